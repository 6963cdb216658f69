// Curves: a model run at each x, the value summed and the gradient of the entry that moves.

import { session, tensor } from "./engine.js";
import { arraysOf, scalarsOf, variantOf } from "./view.js";

const COARSE = 8; // every how many points come first, where all of them take long
const SLICE = 12; // milliseconds of work between two moments for the page
const PATIENCE = 60; // milliseconds after which a coarse curve is shown

// A function of x: the value and the gradient there.
async function along(loss, state) {
  const variant = variantOf(loss, state);
  const model = await session(variant.model);
  const arrays = { ...arraysOf(variant, state), ...scalarsOf(loss, state) };
  const feeds = Object.fromEntries(Object.entries(arrays).map(([k, a]) => [k, tensor(a)]));
  const moving = feeds[variant.input];
  return async (x) => {
    moving.data[variant.place] = x;
    const results = await model.run(feeds);
    let value = 0;
    for (const number of results[variant.value].data) value += number;
    return [value, results[`grad_${variant.input}`].data[variant.place]];
  };
}

// Yields the curve, and before it a coarse one if that takes long. What is not known yet is
// undefined. Whoever is no longer interested stops iterating.
export async function* sweep(loss, state, x) {
  const run = await along(loss, state);
  const curve = { x, value: new Array(x.length), gradient: new Array(x.length) };
  const all = [...x.keys()];
  const order = [...all.filter((i) => i % COARSE === 0), ...all.filter((i) => i % COARSE)];
  const begun = performance.now();
  let rested = begun;
  for (const [done, i] of order.entries()) {
    [curve.value[i], curve.gradient[i]] = await run(x[i]);
    const now = performance.now();
    const shown = done === Math.floor(x.length / COARSE) && now - begun > PATIENCE;
    if (shown || now - rested > SLICE) {
      yield { curve, shown, complete: false };
      await breath();
      rested = performance.now();
    }
  }
  yield { curve, shown: true, complete: true };
}

// Lets the page draw and hear its user.
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}
