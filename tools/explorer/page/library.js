// The losses: what the build wrote of each, loaded when it is looked at. A page opened from a
// file may not fetch, but it may add scripts, so each loss is a script that fills in its place.

const shelf = (globalThis.lossgraph ??= { losses: {} });
const loading = new Map();

export const index = () => shelf.index;

export function load(name) {
  if (!loading.has(name)) loading.set(name, add(name));
  return loading.get(name);
}

function add(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `losses/${name}.js`;
    script.onload = () => resolve(shelf.losses[name]);
    script.onerror = () => {
      loading.delete(name);
      reject(new Error(`${script.src} could not be loaded`));
    };
    document.head.append(script);
  });
}

export function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
