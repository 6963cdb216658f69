// The page: a state, which the address holds, and what is drawn for it.

import { choiceControl, element, numberControl, rangeControl } from "./controls.js";
import { Drawing } from "./drawing.js";
import { index, load } from "./library.js";
import { List } from "./list.js";
import { Plot, short } from "./plot.js";
import * as sheet from "./sheet.js";
import { FIRST, format, parse } from "./state.js";
import { sweep } from "./sweep.js";
import { allowed, arraysOf, points, POINTS, range, spelled, variantOf } from "./view.js";

const $ = (id) => document.getElementById(id);
const WRITTEN = 200; // milliseconds between changes of the address; browsers refuse many

const blank = (loss) => ({ ...parse(""), loss });

let state = blank(FIRST);
let loss = null; // what the library has of it
let curve = null;
let pinnedCurve = null;

const plot = new Plot($("plots"), {
  choose: (x) => move({ at: Number(x.toPrecision(5)) }),
  zoom: (from, to) => move({ from: from && tidy(from), to: to && tidy(to) }, true),
  hover: (i) => read(i ?? place()),
});
const drawing = new Drawing($("which"), $("graph"));
const list = new List($("search"), $("list"), $("count"));

// --- from one state to the next ---

// The same loss with something changed; `rebuilt` where the controls must show it too.
function move(change, rebuilt = false) {
  state = { ...state, ...change };
  write();
  fail(null);
  if (rebuilt) build();
  const only = Object.keys(change);
  if (only.length === 1 && only[0] === "at") return mark();
  draw();
}

function choose(option, text) {
  const options = { ...state.options, [option.name]: String(text) };
  if (options[option.name] === String(option.value)) delete options[option.name];
  if (option.kind === "number") return move({ options });
  // Another graph has arrays and labels of its own.
  move({ options, label: null, from: null, to: null, at: null }, true);
}

// The full name of a loss: of itself, of one that is called so too, or that is spelled so.
const plain = (name) => name.toLowerCase().replace(/[^a-z0-9.]/g, "").replace(/loss$/, "");
function fullName(name) {
  const all = index();
  const found =
    all.find((entry) => entry.name === name) ??
    all.find((entry) => entry.aliases.includes(name.toLowerCase())) ??
    all.find((entry) => plain(entry.name) === plain(name)) ??
    all.find((entry) => plain(entry.name.split(".")[1]) === plain(name));
  return found?.name;
}
const isKnown = (name) => fullName(name) !== undefined;

async function enter(next) {
  address = location.hash;
  const known = isKnown(next.loss);
  if (known) fail(null);
  else fail(new Error(`No loss is called ${next.loss}: this is ${FIRST}`));
  state = known ? { ...next, loss: fullName(next.loss) } : blank(FIRST);
  if (state.pinned && !isKnown(state.pinned.loss)) state.pinned = null;
  if (state.pinned) state.pinned = { ...state.pinned, loss: fullName(state.pinned.loss) };
  busy(true);
  try {
    const found = await load(state.loss);
    if (found.name !== state.loss) return; // somebody was quicker
    loss = found;
    state = allowed(state, found);
    describe();
    build();
    draw();
  } catch (error) {
    fail(error);
  }
}

let writing = null;
let address = null; // that the state came from, or that was written for it
function write() {
  writing ??= setTimeout(() => {
    writing = null;
    if (location.hash !== address) return; // somebody goes elsewhere
    history.replaceState(null, "", format(state));
    address = location.hash;
  }, WRITTEN);
}

// --- what stands on the page ---

function describe() {
  $("name").textContent = loss.name;
  $("summary").innerHTML = loss.summary;
  $("formula").innerHTML = loss.formula;
  $("about").replaceChildren(...sheet.facts(loss));
  document.title = `${loss.name} · lossgraph explorer`;
  list.select(loss.name);
  $("loss").hidden = false;
  drawing.show(loss.drawings);
}

function build() {
  const variant = variantOf(loss, state);
  const knobs = loss.options.flatMap((option) => {
    const value = state.options[option.name] ?? option.value;
    const change = (text) => choose(option, text);
    if (option.kind === "number") return [numberControl(option.name, Number(value), option, change)];
    return option.kind === "choice" ? [choiceControl(option.name, value, option.choices, change)] : [];
  });
  if (variant.label) knobs.push(labelControl(variant.label));
  knobs.push(rangeControl(range(variant, state), (from, to) => move({ from, to })));
  const focused = document.activeElement.id;
  $("knobs").replaceChildren(...knobs);
  if (focused) $(focused)?.focus();
  $("moving").textContent =
    `x is ${variant.moving}, all else stays. The value is the sum of the loss's; the gradient is its ` +
    "derivative by x. Drag in a panel to zoom, double-click to go back.";
  sheet.forget($("models"));
  $("models").replaceChildren(...sheet.models(loss, variant.model));
}

function labelControl(label) {
  const value = state.label ?? label.value;
  const change = (number) => move({ label: Number(number) === label.value ? null : Number(number) });
  if (!label.choices) return numberControl(label.name, value, label, change);
  const [low, high] = [label.choices[0], label.choices.at(-1)];
  return high - low === label.choices.length - 1 && high - low > 1
    ? numberControl(label.name, value, { low, high, whole: true }, change)
    : choiceControl(label.name, String(value), label.choices.map(String), change);
}

function place() {
  if (!curve) return Math.round(0.7 * (POINTS - 1));
  const last = curve.x.length - 1;
  if (state.at === null) return Math.round(0.7 * last);
  const share = (state.at - curve.x[0]) / (curve.x[last] - curve.x[0]);
  return Math.min(Math.max(Math.round(share * last), 0), last);
}

function mark() {
  $("at").value = place();
  plot.mark(place());
  read(place());
}

function read(i) {
  if (!curve) return;
  const number = (y) => (y === undefined ? "…" : Number.isFinite(y) ? short(y) : String(y));
  const parts = [
    ["x", short(curve.x[i])],
    ["value", number(curve.value[i])],
    ["gradient", number(curve.gradient[i])],
  ];
  $("at").setAttribute("aria-valuetext", `x ${short(curve.x[i])}`);
  $("reading").replaceChildren(
    ...parts.map(([name, text]) => element("span", { class: name }, `${name} `, element("b", {}, text))),
  );
}

// --- drawing ---

let wanted = 0; // how many times somebody asked
let running = false;

// One sweep at a time. A newer wish ends it as soon as something of it has been shown, so that
// curves follow a slider that is being dragged even where a sweep takes a second.
async function draw() {
  wanted++;
  busy(true);
  if (running) return;
  running = true;
  try {
    for (let drawn = 0; drawn !== wanted; ) {
      drawn = wanted;
      await once(() => drawn !== wanted);
    }
    busy(false);
  } catch (error) {
    fail(error);
  } finally {
    running = false;
  }
}

async function once(stale) {
  const [what, where] = [loss, state];
  const variant = variantOf(what, where);
  const x = points(range(variant, where));
  note(variant);
  pinnedCurve = where.pinned && (await pinned(where.pinned, x));
  for await (const { curve: found, shown, complete } of sweep(what, where, x)) {
    if (what !== loss) return;
    if (!shown) continue;
    curve = found;
    plot.draw(curve, pinnedCurve, place());
    mark();
    if (!complete && stale()) return;
  }
  plot.describe(texts());
}

const kept = { key: null, curve: null }; // the pinned curve that was computed last
async function pinned(view, x) {
  const key = `${format(view)} ${x[0]} ${x.at(-1)}`;
  if (key !== kept.key) {
    const found = await load(view.loss);
    for await (const { curve: line } of sweep(found, allowed(view, found), x)) kept.curve = line;
    kept.key = key;
  }
  return kept.curve;
}

// What the graph is given now, and how it is exported like this.
function note(variant) {
  const marked = {};
  const set = (name, spot, what) => (marked[name] ??= new Map()).set(spot, what);
  const { label } = variant;
  for (let i = 0; label && i < (label.classes ?? 1); i++) set(label.input, label.place + i, "label");
  set(variant.input, variant.place, "moving");
  $("arrays").replaceChildren(...sheet.arrays(arraysOf(variant, state), marked));
  $("command").textContent = sheet.command(loss, state, variant.input);
  $("pin").textContent = state.pinned ? "Unpin curve" : "Pin curve";
  $("pinned").textContent = state.pinned ? `Dashed: ${spelled(state.pinned)}` : "";
}

function texts() {
  const about = (name) => {
    const known = curve[name].filter(Number.isFinite);
    if (!known.length) return `${name} of ${loss.name}: not a finite number anywhere here`;
    const [low, high] = [Math.min(...known), Math.max(...known)].map(short);
    const [from, to] = [curve.x[0], curve.x.at(-1)].map(short);
    return `${name} of ${loss.name} for x from ${from} to ${to}: between ${low} and ${high}`;
  };
  return { value: about("value"), gradient: about("gradient") };
}

function busy(is) {
  $("main").setAttribute("aria-busy", String(is));
}

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? String(error.message ?? error) : "";
  if (error) {
    console.error(error);
    busy(false);
  }
}

const tidy = (x) => Number(x.toPrecision(3));

// --- what the user does ---

$("at").addEventListener("input", () => {
  if (curve) move({ at: Number(curve.x[$("at").value].toPrecision(5)) });
});
$("reset").addEventListener("click", () => move({ ...blank(state.loss), pinned: state.pinned }, true));
$("pin").addEventListener("click", () => {
  move({ pinned: state.pinned ? null : { ...state, pinned: null, from: null, to: null, at: null } });
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("open-list").addEventListener("click", () => unfold(!document.body.classList.contains("listing")));
$("list").addEventListener("click", (event) => {
  const name = event.target.closest("a")?.dataset.name;
  if (!name || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  unfold(false);
  location.hash = format({ ...blank(name), pinned: state.pinned });
});
document.documentElement.addEventListener("theme", () => plot.recolor());
addEventListener("hashchange", () => enter(parse(location.hash)));
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  unfold(true);
  $("search").focus();
});

function unfold(is) {
  document.body.classList.toggle("listing", is);
  $("open-list").setAttribute("aria-expanded", String(is));
}

// For tests and for the curious: what is drawn.
globalThis.explorer = {
  get state() {
    return state;
  },
  get curve() {
    return curve;
  },
  get pinned() {
    return pinnedCurve;
  },
};

$("foot").textContent = globalThis.lossgraph.about;
enter(parse(location.hash));
