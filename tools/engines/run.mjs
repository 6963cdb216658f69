// Runs jobs in an ONNX Runtime for JavaScript: ENGINE MODULES (FOLDER | --version)
//
// ENGINE is onnxruntime-node, or onnxruntime-web, which here runs its WebAssembly; MODULES is the
// node_modules that has it. What the files in FOLDER look like is said in exchange.py.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// How JavaScript holds the elements of a tensor; float16 as bits, and bool as bytes.
const ARRAYS = {
  bool: Uint8Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
};
const PROVIDERS = { "onnxruntime-node": "cpu", "onnxruntime-web": "wasm" };

function load(engine, modules) {
  const ort = createRequire(join(modules, "x.js"))(engine);
  ort.env.logLevel = "error";
  if (engine === "onnxruntime-web") {
    ort.env.wasm.numThreads = 1; // further ones are workers, which keep the process alive
  }
  return ort;
}

function fetchTensor(ort, folder, { dtype, shape, file }) {
  const ArrayType = ARRAYS[dtype];
  if (!ArrayType) {
    throw new Error(`no tensors of ${dtype} in JavaScript`);
  }
  const bytes = new Uint8Array(readFileSync(join(folder, file))); // in a buffer of its own
  return new ort.Tensor(dtype, new ArrayType(bytes.buffer), shape);
}

function storeTensor(folder, file, tensor) {
  const { buffer, byteOffset, byteLength } = tensor.data;
  writeFileSync(join(folder, file), new Uint8Array(buffer, byteOffset, byteLength));
  return { dtype: tensor.type, shape: tensor.dims, file };
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value], k) => [key, change(value, k)]));
}

async function runOnce(ort, session, folder, inputs, stem) {
  const feeds = mapValues(inputs, (place) => fetchTensor(ort, folder, place));
  const outputs = await session.run(feeds);
  return { outputs: mapValues(outputs, (t, k) => storeTensor(folder, `${stem}_${k}.bin`, t)) };
}

const failed = (error) => ({ error: String(error?.message ?? error) });

async function runJob(ort, provider, folder, { model, runs }, number) {
  let session;
  try {
    const options = { executionProviders: [provider], logSeverityLevel: 3 };
    session = await ort.InferenceSession.create(readFileSync(model), options);
  } catch (error) {
    return runs.map(() => failed(error));
  }
  const found = [];
  for (const [r, inputs] of runs.entries()) {
    found.push(await runOnce(ort, session, folder, inputs, `out_${number}_${r}`).catch(failed));
  }
  await session.release();
  return found;
}

const [engine, modules, folder] = process.argv.slice(2);
const ort = load(engine, modules);
if (folder === "--version") {
  console.log(JSON.parse(readFileSync(join(modules, engine, "package.json"), "utf8")).version);
} else {
  const { jobs } = JSON.parse(readFileSync(join(folder, "jobs.json"), "utf8"));
  for (const [number, job] of jobs.entries()) {
    const runs = await runJob(ort, PROVIDERS[engine], folder, job, number);
    const path = join(folder, `result_${number}`);
    writeFileSync(`${path}.part`, JSON.stringify({ runs }));
    renameSync(`${path}.part`, `${path}.json`); // whole or not at all, should the process end
  }
}
