// Two panels over one x: the value and the gradient, each with a pinned curve behind it.

import uPlot from "uplot";

const PANELS = [
  { name: "value", title: "Value", color: "--value" },
  { name: "gradient", title: "Gradient", color: "--gradient" },
];

const HEIGHT = 210;

export class Plot {
  // Calls `choose(x)` where the user clicks, `zoom(from, to)` where one drags, `zoom(null, null)`
  // at a double click, and `hover(i)` with the number of the point under the pointer, or null.
  constructor(host, events) {
    this.host = host;
    this.events = events;
    this.at = null;
    this.curve = null;
    this.panels = PANELS.map((panel) => this.#panel(panel));
    new ResizeObserver(() => this.#resize()).observe(host);
  }

  draw(curve, pinned, at) {
    this.curve = curve;
    this.at = at;
    for (const { name, chart } of this.panels) {
      const behind = pinned?.[name] ?? new Array(curve.x.length);
      chart.setData([curve.x, drawable(behind), drawable(curve[name])]);
    }
  }

  mark(at) {
    this.at = at;
    for (const { chart } of this.panels) chart.redraw(false);
  }

  // Colors are the page's, which change with its theme.
  recolor() {
    for (const { chart } of this.panels) chart.redraw(false, true);
  }

  #panel({ name, title, color }) {
    const box = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const frame = document.createElement("div");
    caption.textContent = title;
    frame.className = "frame";
    frame.setAttribute("role", "img");
    box.append(caption, frame);
    this.host.append(box);
    const chart = new uPlot(this.#options(frame, color), [[0, 1], [], []], frame);
    chart.over.addEventListener("mouseleave", () => this.events.hover(null));
    return { name, chart, frame };
  }

  describe(texts) {
    for (const { name, frame } of this.panels) frame.setAttribute("aria-label", texts[name]);
  }

  #options(frame, color) {
    const axis = {
      stroke: () => shade("--muted"),
      grid: { stroke: () => shade("--grid"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    const line = { spanGaps: false, points: { show: false } };
    return {
      width: frame.clientWidth,
      height: HEIGHT,
      padding: [10, 12, 0, 0], // what the slider under the panels is fitted to
      pxAlign: 0,
      legend: { show: false },
      scales: { x: { time: false }, y: { range: padded } },
      axes: [{ ...axis, size: 30 }, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
      series: [
        {},
        { ...line, stroke: () => shade("--muted"), width: 1.5, dash: [5, 4] },
        { ...line, stroke: () => shade(color), width: 2.25 },
      ],
      cursor: {
        y: false,
        sync: { key: "explorer" },
        points: { size: 7 },
        drag: { x: true, y: false, setScale: false, dist: 5 },
        bind: { dblclick: () => () => this.events.zoom(null, null) },
      },
      hooks: {
        draw: [(chart) => this.#drawMark(chart, color)],
        setCursor: [(chart) => chart.cursor.event && this.events.hover(chart.cursor.idx)],
        setSelect: [(chart) => this.#select(chart)],
        ready: [(chart) => this.#listen(chart)],
      },
    };
  }

  #listen(chart) {
    let down = 0;
    chart.over.addEventListener("mousedown", (event) => (down = event.clientX));
    chart.over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - down) < 5) {
        this.events.choose(chart.posToVal(chart.cursor.left, "x"));
      }
    });
  }

  #select(chart) {
    const { left, width } = chart.select;
    if (width < 5) return;
    const ends = [left, left + width].map((place) => chart.posToVal(place, "x"));
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.events.zoom(...ends);
  }

  // A line at the x that is read out, and a dot on the curve.
  #drawMark(chart, color) {
    if (!this.curve) return;
    const { ctx, bbox } = chart;
    const x = chart.valToPos(this.curve.x[this.at], "x", true);
    ctx.save();
    ctx.strokeStyle = shade("--muted");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const y = chart.data[2][this.at];
    if (y !== null && y !== undefined) {
      ctx.fillStyle = shade(color);
      ctx.strokeStyle = shade("--card");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.beginPath();
      ctx.arc(x, chart.valToPos(y, "y", true), 5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }

  #resize() {
    for (const { chart, frame } of this.panels) {
      if (frame.clientWidth) chart.setSize({ width: frame.clientWidth, height: HEIGHT });
    }
  }
}

// Null is a gap; what is undefined is passed over.
const drawable = (line) =>
  Array.from(line, (y) => (y === undefined || Number.isFinite(y) ? y : null));

const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// A constant gets some room too, and a curve that is flat but for the last bits is a constant.
function padded(_, low, high) {
  if (low === null) return [0, 1];
  const size = Math.max(Math.abs(low), Math.abs(high));
  const room = high - low > 1e-5 * size ? (high - low) * 0.08 : Math.max(size * 0.5, 0.5);
  return [low - room, high + room];
}

export function short(number) {
  if (number === 0) return "0";
  const size = Math.abs(number);
  return size >= 1e5 || size < 1e-4
    ? number.toExponential(2).replace(/\.?0+e/, "e")
    : String(Number(number.toPrecision(5)));
}
