// Runs a job in an ONNX Runtime for JavaScript, in Node.js or in a browser.
//
// What a job and its answer look like is said in exchange.py. Files are read and written by what
// is given: `read(path)` gives the bytes of a file, `write(path, content)` puts one there.

// How JavaScript holds the elements of a tensor; bool as bytes, and float16 as bits where the
// language has no such numbers.
const ARRAYS = {
  bool: Uint8Array,
  float16: globalThis.Float16Array ?? Uint16Array,
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

async function mapValues(object, change) {
  const changed = {};
  for (const [k, [key, value]] of Object.entries(object).entries()) {
    changed[key] = await change(value, k);
  }
  return changed;
}

async function fetchTensor(ort, files, { dtype, shape, file }) {
  const ArrayType = ARRAYS[dtype];
  if (!ArrayType) {
    throw new Error(`no tensors of ${dtype} in JavaScript`);
  }
  const bytes = await files.read(file); // in a buffer of its own
  return new ort.Tensor(dtype, new ArrayType(bytes.buffer), shape);
}

async function storeTensor(files, file, tensor) {
  const { buffer, byteOffset, byteLength } = tensor.data;
  await files.write(file, new Uint8Array(buffer, byteOffset, byteLength));
  return { dtype: tensor.type, shape: tensor.dims, file };
}

async function runOnce(ort, session, files, inputs, stem) {
  const feeds = await mapValues(inputs, (place) => fetchTensor(ort, files, place));
  const outputs = await session.run(feeds);
  const store = (tensor, k) => storeTensor(files, `${stem}_${k}.bin`, tensor);
  return { outputs: await mapValues(outputs, store) };
}

function failed(error) {
  if (error instanceof WebAssembly.RuntimeError) {
    throw error; // nothing runs in that memory any more
  }
  return { error: String(error?.message ?? error) };
}

export async function runJob(ort, provider, { model, runs, outputs }, files) {
  let session;
  try {
    const options = { executionProviders: [provider], logSeverityLevel: 3 };
    session = await ort.InferenceSession.create(await files.read(model), options);
  } catch (error) {
    return { runs: runs.map(() => failed(error)) };
  }
  const found = [];
  for (const [r, inputs] of runs.entries()) {
    found.push(await runOnce(ort, session, files, inputs, `${outputs}_${r}`).catch(failed));
  }
  await session.release();
  return { runs: found };
}
