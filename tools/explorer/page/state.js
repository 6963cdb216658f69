// What the page shows, as it stands in the address:
//   #loss=gluon.HuberLoss&set.rho=0.5&label=1&from=-2&to=2&at=0.3&pinned=..
// What is left out is the loss's own default; `pinned` is a state again. The name of a loss will do:
//   #gluon.HuberLoss

export const FIRST = "gluon.HuberLoss"; // where none is named
const NUMBERS = ["label", "from", "to", "at"];

export function parse(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const [first] = fields.keys();
  const loss = fields.get("loss") ?? (fields.get(first) ? FIRST : first || FIRST);
  const state = { loss, options: {}, pinned: null };
  for (const name of NUMBERS) {
    const text = fields.get(name);
    const number = text ? Number(text) : NaN;
    const good = name === "label" ? !Number.isNaN(number) : Number.isFinite(number);
    state[name] = good ? number : null;
  }
  for (const [name, text] of fields) {
    if (name.startsWith("set.")) state.options[name.slice(4)] = text;
  }
  if (fields.get("pinned")) state.pinned = parse(fields.get("pinned"));
  return state;
}

export function format(state) {
  const fields = new URLSearchParams({ loss: state.loss });
  for (const [name, text] of Object.entries(state.options)) fields.set(`set.${name}`, text);
  for (const name of NUMBERS) {
    if (state[name] !== null) fields.set(name, state[name]);
  }
  if (state.pinned) fields.set("pinned", format(state.pinned).slice(1));
  return `#${fields}`;
}
