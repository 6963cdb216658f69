// What a state says of a loss: which of its graphs, from what arrays, along what points.

import { fits } from "./controls.js";

export const POINTS = 201;

// Of the variants of a loss the one whose choices a state names.
export function variantOf(loss, state) {
  return loss.variants.find((variant) =>
    Object.entries(variant.choices).every(
      ([name, text]) => text === (state.options[name] ?? loss.options.find((o) => o.name === name).value),
    ),
  );
}

// What stays, with the label where it was moved to.
export function arraysOf(variant, state) {
  const arrays = structuredClone(variant.arrays);
  const { label } = variant;
  if (label && state.label !== null) place(arrays[label.input].data, label, state.label);
  return arrays;
}

// The options that are inputs of the graph.
export function scalarsOf(loss, state) {
  const scalars = loss.options.filter((option) => option.kind === "number");
  return Object.fromEntries(
    scalars.map(({ name, value }) => {
      const data = [Number(state.options[name] ?? value)];
      return [name, { dtype: "float32", shape: [], data }];
    }),
  );
}

function place(data, label, value) {
  if (label.kind === "one_hot") {
    for (let i = 0; i < label.classes; i++) data[label.place + i] = Number(i === value);
  } else {
    data[label.place] = value;
  }
}

export function range(variant, state) {
  return [state.from ?? variant.low, state.to ?? variant.high];
}

export function points([from, to]) {
  return Float32Array.from({ length: POINTS }, (_, i) => from + ((to - from) * i) / (POINTS - 1));
}

// A state without what this loss does not have: addresses are written by people too.
export function allowed(wanted, found) {
  const options = {};
  for (const option of found.options) {
    const text = wanted.options[option.name];
    if (text === undefined || option.kind === "text") continue;
    const number = Number(text);
    const good =
      option.kind === "choice"
        ? option.choices.includes(text)
        : fits(number, option);
    if (good) options[option.name] = text;
  }
  const next = { ...wanted, options };
  const variant = variantOf(found, next);
  const { label } = variant;
  const kept = label?.choices ? label.choices.includes(next.label) : inside(next.label, label);
  if (!kept) next.label = null;
  const [from, to] = range(variant, next);
  if (!(from < to)) next.from = next.to = null;
  return next;
}

const inside = (number, label) => label && number !== null && fits(number, label);

// A state in a few words.
export function spelled({ loss: name, options, label }) {
  const settings = Object.entries(options).map(([key, text]) => `${key}=${text}`);
  if (label !== null) settings.push(`label ${label}`);
  return settings.length ? `${name}, ${settings.join(", ")}` : name;
}
