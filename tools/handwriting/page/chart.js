// The loss by the number of steps, as a picture.

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 150, 34, 18];
const DRAWN = 160; // points at most

export function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

export function drawLosses(host, losses) {
  const points = averaged(losses);
  const highest = Math.max(...points.map(([, loss]) => loss), 1e-9);
  const last = Math.max(losses.length, 2);
  const x = (step) => LEFT + ((WIDTH - LEFT) * step) / last;
  const y = (loss) => (HEIGHT - BOTTOM) * (1 - loss / highest) + 4;
  const picture = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  for (const share of [0, 0.5, 1]) {
    const at = y(share * highest);
    picture.append(
      element("line", { x1: LEFT, x2: WIDTH, y1: at, y2: at }),
      element("text", { x: LEFT - 5, y: at + 4, "text-anchor": "end" }, (share * highest).toPrecision(2)),
    );
  }
  picture.append(
    element("text", { x: LEFT, y: HEIGHT - 2 }, "0"),
    element("text", { x: WIDTH, y: HEIGHT - 2, "text-anchor": "end" }, `${losses.length} steps`),
    element("path", { d: points.map(([s, l], i) => `${i ? "L" : "M"}${x(s)} ${y(l)}`).join("") }),
  );
  host.replaceChildren(picture);
  const said = points.length
    ? `from ${points[0][1].toPrecision(3)} to ${points.at(-1)[1].toPrecision(3)} in ${losses.length} steps`
    : "no step yet";
  host.setAttribute("aria-label", `Loss by step: ${said}`);
}

// Means of neighboring steps, few enough to be drawn.
function averaged(losses) {
  const width = Math.max(Math.ceil(losses.length / DRAWN), 1);
  const points = [];
  for (let i = 0; i < losses.length; i += width) {
    const some = losses.slice(i, i + width);
    points.push([i + some.length / 2, some.reduce((a, b) => a + b) / some.length]);
  }
  return points;
}

export function pixels(picture, image, side) {
  picture.replaceChildren(
    ...Array.from(image, (share, i) =>
      element("rect", {
        x: i % side, y: Math.floor(i / side), width: 1, height: 1, "fill-opacity": share,
      }),
    ),
  );
}
