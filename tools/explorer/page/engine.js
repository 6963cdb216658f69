// ONNX Runtime Web: its WebAssembly comes out of a script, for a page opened from a file may
// not fetch it.

import { bytes } from "./library.js";

const { ort } = globalThis;
// Optimizing takes longer than it saves with arrays this small, and version 1.30 fails at it for
// some models that it runs. Warnings are not for the console of this page.
const OPTIONS = { graphOptimizationLevel: "disabled", logSeverityLevel: 3 };
const KEPT = 12; // sessions, each a few hundred kilobytes
const sessions = new Map();

export const ready = unpack();

async function unpack() {
  const { wasm, glue } = globalThis.lossgraph.engine;
  const packed = new Blob([bytes(wasm)]).stream();
  const unpacked = packed.pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  const script = new Blob([bytes(glue)], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(script) };
  ort.env.wasm.numThreads = 1;
}

// The session of a model; the ones used last are kept.
export async function session(model) {
  const found = sessions.get(model) ?? create(model);
  sessions.delete(model);
  sessions.set(model, found);
  if (sessions.size > KEPT) {
    const [oldest, left] = sessions.entries().next().value;
    sessions.delete(oldest);
    left.then((it) => it.release());
  }
  return found;
}

async function create(model) {
  await ready;
  return ort.InferenceSession.create(bytes(model), OPTIONS);
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

export function tensor({ dtype, shape, data }) {
  const values = dtype === "int64" ? data.map((value) => BigInt(Math.trunc(value))) : data;
  return new ort.Tensor(dtype, ARRAYS[dtype].from(values), shape);
}
