// Runs jobs in an ONNX Runtime of Node.js: ENGINE MODULES (FOLDER | --version)
//
// ENGINE is onnxruntime-node, or onnxruntime-web, which here runs its WebAssembly; MODULES is the
// node_modules that has it.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

import { runJobs } from "./runner.mjs";

const PROVIDERS = { "onnxruntime-node": "cpu", "onnxruntime-web": "wasm" };

function load(engine, modules) {
  const ort = createRequire(join(modules, "x.js"))(engine);
  ort.env.logLevel = "error";
  if (engine === "onnxruntime-web") {
    ort.env.wasm.numThreads = 1; // further ones are workers, which keep the process alive
  }
  return ort;
}

const [engine, modules, folder] = process.argv.slice(2);
const ort = load(engine, modules);
if (folder === "--version") {
  console.log(JSON.parse(readFileSync(join(modules, engine, "package.json"), "utf8")).version);
} else {
  await runJobs(ort, PROVIDERS[engine], {
    read: async (path) => new Uint8Array(readFileSync(resolve(folder, path))),
    write: async (name, content) => {
      writeFileSync(join(folder, `${name}.part`), content);
      renameSync(join(folder, `${name}.part`), join(folder, name)); // whole or not at all
    },
  });
}
