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

// A number as it is written, infinities too; NaN for anything else.
export function toNumber(text) {
  const plain = text.trim().toLowerCase().replace("−", "-").replace("∞", "inf");
  const infinite = /^([+-]?)inf(inity)?$/.exec(plain);
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  return plain === "" ? NaN : Number(plain);
}

// Whether a number is between the limits that the loss has: {least, above, most}, null for none.
export function fits(number, { least = null, above = false, most = null, whole }) {
  if (Number.isNaN(number) || (whole && !Number.isInteger(number))) return false;
  return (least === null || number > least || (number === least && !above)) &&
    (most === null || number <= most);
}

function wanted(name, { least = null, above = false, most = null, whole }) {
  const kind = whole ? "a whole number" : "a number";
  const low = least === null ? "" : above ? ` above ${short(least)}` : ` from ${short(least)} on`;
  if (most === null) return `${name}: expected ${kind}${low}`;
  if (least === null) return `${name}: expected ${kind} up to ${short(most)}`;
  return `${name}: expected ${kind} ${above ? "above" : "from"} ${short(least)} ${above ? "and up " : ""}to ${short(most)}`;
}

// A slider with a field for exact numbers. `scale` says how far the slider's steps are apart:
// {low, high, log} or, of whole numbers, {low, high, whole}. The field takes what the loss takes,
// beyond the ends of the slider too, and says in words what that is where something else is typed.
export function numberControl(name, value, scale, change) {
  const id = `control-${name}`;
  const slider = element("input", { type: "range", id, min: 0, max: STEPS, step: 1 });
  const field = element("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    "aria-label": `${name}, exactly`,
    "aria-describedby": `${id}-wrong`,
  });
  const wrong = element("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
  const complain = (text) => {
    wrong.textContent = text;
    wrong.hidden = !text;
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };
  if (scale.whole) scale = { least: scale.low, most: scale.high, ...scale };
  if (scale.whole) Object.assign(slider, { min: scale.low, max: scale.high });
  const show = (number) => {
    slider.value = scale.whole ? number : position(number, scale);
    slider.setAttribute("aria-valuetext", short(number));
    if (document.activeElement !== field) field.value = number;
    complain("");
  };
  slider.addEventListener("input", () => {
    const number = scale.whole ? Number(slider.value) : numberAt(Number(slider.value), scale);
    field.value = number;
    complain("");
    slider.setAttribute("aria-valuetext", short(number));
    change(number);
  });
  field.addEventListener("input", () => {
    const number = toNumber(field.value);
    if (!fits(number, scale)) return complain(wanted(name, scale));
    change(number);
    show(number);
  });
  show(value);
  const head = element("div", { class: "head" }, element("label", { for: id }, name), field);
  return element("div", { class: "control" }, head, slider, wrong);
}

function position(wide, { low, high, log }) {
  const number = Math.min(Math.max(wide, low), high);
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
