// What a user can move: options, the label, the range of x. Native inputs, so that the keyboard
// and screen readers know them.

import { short } from "./plot.js";

const STEPS = 200; // of a slider

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A slider with a field for exact numbers. `scale` says how far the slider's steps are apart:
// {low, high, log} or, of whole numbers, {low, high, whole}.
export function numberControl(name, value, scale, change) {
  const id = `control-${name}`;
  const slider = element("input", { type: "range", id, min: 0, max: STEPS, step: 1 });
  const field = element("input", {
    type: "number",
    min: scale.low,
    max: scale.high,
    step: scale.whole ? 1 : "any",
    "aria-label": `${name}, exactly`,
  });
  if (scale.whole) Object.assign(slider, { min: scale.low, max: scale.high });
  const show = (number) => {
    slider.value = scale.whole ? number : position(number, scale);
    slider.setAttribute("aria-valuetext", short(number));
    field.value = number;
    field.removeAttribute("aria-invalid");
  };
  slider.addEventListener("input", () => {
    const number = scale.whole ? Number(slider.value) : numberAt(Number(slider.value), scale);
    field.value = number;
    field.removeAttribute("aria-invalid");
    slider.setAttribute("aria-valuetext", short(number));
    change(number);
  });
  field.addEventListener("input", () => {
    const good = field.value !== "" && field.checkValidity();
    if (!good) return field.setAttribute("aria-invalid", "true");
    const number = Number(field.value);
    change(number);
    show(number);
  });
  show(value);
  const head = element("div", { class: "head" }, element("label", { for: id }, name), field);
  return element("div", { class: "control" }, head, slider);
}

function position(number, { low, high, log }) {
  const share = log ? Math.log(number / low) / Math.log(high / low) : (number - low) / (high - low);
  return Math.round(STEPS * share);
}

function numberAt(step, { low, high, log }) {
  if (step === 0) return low;
  if (step === STEPS) return high;
  const share = step / STEPS;
  const number = log ? low * (high / low) ** share : low + (high - low) * share;
  // As many digits as tell two steps apart.
  return log ? Number(number.toPrecision(3)) : rounded(number, (high - low) / STEPS);
}

function rounded(number, step) {
  const unit = 10 ** Math.floor(Math.log10(step));
  return Number((Math.round(number / unit) * unit).toPrecision(12));
}

export function choiceControl(name, value, choices, change) {
  const id = `control-${name}`;
  const select = element("select", { id });
  for (const text of choices) {
    select.append(element("option", { value: text, selected: text === value }, text));
  }
  select.addEventListener("change", () => change(select.value));
  const head = element("div", { class: "head" }, element("label", { for: id }, name), select);
  return element("div", { class: "control" }, head);
}

// The ends of x: both numbers, the second above the first.
export function rangeControl([from, to], change) {
  const field = (text, value) =>
    element("input", { type: "number", step: "any", value: short(value), "aria-label": text });
  const ends = [field("x from", from), field("x to", to)];
  const apply = () => {
    const [low, high] = ends.map((end) => Number(end.value));
    const good = ends.every((end) => end.value !== "" && end.checkValidity()) && low < high;
    for (const end of ends) end.toggleAttribute("aria-invalid", !good);
    if (good) change(low, high);
  };
  for (const end of ends) end.addEventListener("change", apply);
  const head = element("div", { class: "head" }, element("span", {}, "x from"), ends[0], "to", ends[1]);
  return element("div", { class: "control range" }, head);
}
