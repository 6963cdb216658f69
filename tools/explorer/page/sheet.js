// What the page says of a loss beside its curves: arrays, facts, models, drawings.

import { element } from "./controls.js";
import { bytes } from "./library.js";
import { short } from "./plot.js";

const ROWS = 8; // of an array that are shown
const COLUMNS = 8;

// Arrays that the graph is given, with what moves marked. `marked` maps the name of an array to a
// map from places to classes.
export function arrays(all, marked) {
  return Object.entries(all).map(([name, array]) => {
    const type = ` ${array.dtype}[${array.shape.join(", ")}]`;
    const head = element("p", {}, element("code", {}, name), type);
    return element("div", { class: "array" }, head, table(array, marked[name] ?? new Map()));
  });
}

function table({ shape, data }, marked) {
  const columns = shape.at(-1) ?? 1;
  const rows = [];
  for (let row = 0; row * columns < data.length && row < ROWS; row++) {
    const cells = [];
    for (let column = 0; column < Math.min(columns, COLUMNS); column++) {
      const place = row * columns + column;
      const what = marked.get(place);
      const text = what === "moving" ? "x" : digits(data[place]);
      cells.push(element("td", { class: what }, text));
    }
    if (columns > COLUMNS) cells.push(element("td", {}, "…"));
    rows.push(element("tr", {}, ...cells));
  }
  if (data.length > ROWS * columns) rows.push(element("tr", {}, element("td", {}, "…")));
  return element("table", {}, ...rows);
}

const digits = (number) => (Number.isInteger(number) ? String(number) : short(Number(number.toPrecision(3))));

export function facts(loss) {
  const terms = {
    Inputs: list(loss.inputs.map((input) => [element("code", {}, input.name), ` ${input.text}`])),
    Options: list(
      loss.options
        .filter((option) => option.kind === "text")
        .map((option) => [element("code", {}, `${option.name}=${option.value}`)]),
    ),
    "Also called": list(loss.aliases.map((alias) => [element("code", {}, alias)])),
    Follows: loss.original && element("code", {}, loss.original),
    "Same loss": list(loss.same.map((name) => [element("a", { href: `#loss=${name}` }, name)])),
    Source: loss.source,
  };
  return Object.entries(terms)
    .filter(([, body]) => body)
    .flatMap(([term, body]) => [element("dt", {}, term), element("dd", {}, body)]);
}

function list(items) {
  return items.length ? element("ul", {}, ...items.map((item) => element("li", {}, ...item))) : null;
}

// Links to models: the exported ones, and the one that this page runs.
export function models(loss, running) {
  const offered = [
    [`${loss.name}.value.onnx`, loss.exported.value, "the value"],
    [`${loss.name}.training.onnx`, loss.exported.training, "the value and the gradient"],
  ];
  if (loss.options.some((option) => option.kind === "number")) {
    offered.push([`${loss.name}.options.onnx`, running, "with options as inputs, as run here"]);
  }
  return offered.map(([file, base64, text]) => {
    const content = bytes(base64);
    const url = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
    const link = element("a", { href: url, download: file }, file);
    return element("li", {}, link, ` ${text}, ${content.length.toLocaleString("en")} bytes`);
  });
}

export function forget(host) {
  for (const link of host.querySelectorAll("a[download]")) URL.revokeObjectURL(link.href);
}

// What `lossgraph export` is to be given for the models with these options.
export function command(loss, state, input) {
  const options = Object.entries(state.options).map(([name, text]) => `--set ${name}=${text}`);
  const folder = loss.name.split(".")[1];
  return ["lossgraph export", loss.name, ...options, `--grad ${input}`, `-o ${folder}`].join(" ");
}
