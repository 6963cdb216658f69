// Runs jobs in an ONNX Runtime of Node.js: ENGINE MODULES FOLDER
//
// ENGINE is onnxruntime-node, or onnxruntime-web, which here runs its WebAssembly; MODULES is the
// node_modules that has it. Requests and answers are said in exchange.py.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { runJob } from "./runner.mjs";

const PROVIDERS = { "onnxruntime-node": "cpu", "onnxruntime-web": "wasm" };
const FILES = {
  read: async (path) => new Uint8Array(readFileSync(path)),
  write: async (path, content) => writeFileSync(path, content),
};

function load(engine, modules) {
  const ort = createRequire(join(modules, "x.js"))(engine);
  ort.env.logLevel = "error";
  if (engine === "onnxruntime-web") {
    ort.env.wasm.numThreads = 1; // further ones are workers, which keep the process alive
  }
  return ort;
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

console.log = console.error; // a library's prints are no answers
const [engine, modules] = process.argv.slice(2);
const ort = load(engine, modules);
const { version } = JSON.parse(readFileSync(join(modules, engine, "package.json"), "utf8"));
say({ version });
for await (const line of createInterface({ input: process.stdin })) {
  say(await runJob(ort, PROVIDERS[engine], JSON.parse(line), FILES));
}
