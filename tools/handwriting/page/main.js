// The page: digits to learn from, digits that are drawn, and a trainer.

import { bytes } from "../../explorer/page/library.js";
import { drawLosses, element, pixels } from "./chart.js";
import { Pad } from "./pad.js";
import { batch, Trainer } from "./trainer.js";

const $ = (id) => document.getElementById(id);
const { training, digits } = globalThis.lossgraph;
const { side, largest } = digits;

const BATCH = 32;
const OWN = 8; // of a batch, as soon as there are examples of one's own
const SLICE = 40; // milliseconds of training before the page may do something else

const images = split(Float32Array.from(bytes(digits.images), (value) => value / largest));
const labels = bytes(digits.labels);
const count = images.length - digits.heldOut; // those to learn from come first

const own = []; // examples of the user, { image, label }
let losses = [];
let trainer = null;
let training_ = false;
let order = [];

const pad = new Pad($("pad"), digits, () => read());

function split(numbers) {
  return Array.from({ length: numbers.length / side ** 2 }, (_, i) =>
    numbers.subarray(i * side ** 2, (i + 1) * side ** 2),
  );
}

// --- training ---

function nextBatch() {
  const chosen = own.length ? BATCH - OWN : BATCH;
  const rows = Array.from({ length: chosen }, () => {
    if (!order.length) order = shuffled(count);
    const i = order.pop();
    return { image: images[i], label: labels[i] };
  });
  if (own.length) rows.push(...Array.from({ length: OWN }, () => own[random(own.length)]));
  return batch(rows.map((row) => row.image), rows.map((row) => row.label), side);
}

const random = (limit) => Math.floor(Math.random() * limit);

function shuffled(length) {
  const places = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = random(i + 1);
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places;
}

async function train() {
  training_ = true;
  label();
  try {
    while (training_) {
      const until = performance.now() + SLICE;
      do losses.push(await trainer.step(nextBatch()));
      while (training_ && performance.now() < until);
      await report();
      await new Promise((resolve) => setTimeout(resolve));
    }
  } catch (error) {
    fail(error);
  }
  training_ = false;
  label();
}

async function report() {
  const recent = losses.slice(-20);
  $("steps").textContent = trainer.steps;
  $("loss").textContent = losses.length
    ? (recent.reduce((a, b) => a + b) / recent.length).toPrecision(3)
    : "–";
  drawLosses($("chart"), losses);
  const right = await accuracy();
  $("accuracy").textContent = `${(100 * right).toFixed(1)} %`;
  await read();
}

async function accuracy() {
  const held = images.slice(count);
  const logits = await trainer.logits(batch(held, [], side));
  const right = held.filter((_, i) => best(logits.subarray(10 * i, 10 * i + 10)) === labels[count + i]);
  return right.length / held.length;
}

const best = (numbers) => numbers.indexOf(Math.max(...numbers));

function label() {
  $("train").textContent = training_ ? "Pause" : "Train";
  for (const id of ["reset", "save", "model"]) $(id).disabled = training_;
}

// --- what is drawn ---

async function read() {
  const image = pad.isEmpty ? new Float32Array(side ** 2) : pad.image();
  pixels($("seen"), image, side);
  for (const button of $("labels").children) button.disabled = pad.isEmpty || !trainer;
  if (pad.isEmpty || !trainer) {
    return show(null, trainer ? "Draw a digit." : "");
  }
  const shares = softmax(await trainer.logits(batch([image], [], side)));
  const found = best(shares);
  show(shares, trainer.steps ? `This is a ${found}.` : `A guess: ${found}. It has learned nothing yet.`);
}

function show(shares, text) {
  if ($("answer").textContent !== text) $("answer").textContent = text;
  [...$("bars").children].forEach((row, digit) => {
    const share = shares?.[digit] ?? 0;
    row.querySelector(".bar span").style.width = `${100 * share}%`;
    row.querySelector(".share").textContent = shares ? `${(100 * share).toFixed(0)} %` : "";
    row.classList.toggle("best", Boolean(shares) && best(shares) === digit);
  });
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

// --- examples of one's own ---

function teach(digit) {
  own.push({ image: pad.image(), label: digit });
  list();
  pad.clear();
  if (!training_) train();
}

function list() {
  $("examples").replaceChildren(
    ...own.map((example, i) => {
      const [item, button] = ["li", "button"].map((name) => document.createElement(name));
      const picture = element("svg", { viewBox: `0 0 ${side} ${side}`, "aria-hidden": "true" });
      pixels(picture, example.image, side);
      button.type = "button";
      button.title = "Forget this example";
      button.setAttribute("aria-label", `Example ${i + 1}, a ${example.label}: forget it`);
      button.append(picture, String(example.label));
      button.addEventListener("click", () => {
        own.splice(i, 1);
        list();
      });
      item.append(button);
      return item;
    }),
  );
}

// --- the state ---

async function restore(checkpoint, said) {
  try {
    await trainer.restore(checkpoint);
    losses = [];
    $("stored").textContent = said();
    setRate();
    await report();
  } catch (error) {
    $("stored").textContent = error.message;
  }
}

function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function setRate() {
  $("rate").value = Math.log10(trainer.rate);
  $("rate-value").textContent = Number(trainer.rate).toPrecision(2);
}

function fail(error) {
  $("failure").hidden = false;
  $("failure").textContent = String(error.message ?? error);
  $("main").setAttribute("aria-busy", "false");
  console.error(error);
}

// --- what the user does ---

for (let digit = 0; digit < 10; digit++) {
  const [row, button] = ["li", "button"].map((name) => document.createElement(name));
  row.innerHTML = `<span>${digit}</span><span class="bar"><span></span></span><span class="share"></span>`;
  $("bars").append(row);
  button.type = "button";
  button.textContent = digit;
  button.addEventListener("click", () => teach(digit));
  $("labels").append(button);
}
$("train").addEventListener("click", () => {
  if (training_) training_ = false;
  else train();
});
$("reset").addEventListener("click", () => restore(trainer.first, () => "Untrained again."));
$("clear").addEventListener("click", () => pad.clear());
$("sample").addEventListener("click", () => pad.show(images[count + random(digits.heldOut)]));
$("rate").addEventListener("input", () => {
  trainer.rate = Number((10 ** $("rate").value).toPrecision(2));
  $("rate-value").textContent = Number(trainer.rate).toPrecision(2);
});
$("save").addEventListener("click", () => download(trainer.checkpoint(), "state.bin"));
$("model").addEventListener("click", () =>
  download(new Blob([bytes(training.models["model.onnx"])]), "model.onnx"),
);
$("open").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = "";
  training_ = false;
  if (file) {
    const content = new Uint8Array(await file.arrayBuffer());
    await restore(content, () => `${file.name}: after ${trainer.steps} steps.`);
  }
});
document.documentElement.addEventListener("theme", () => pad.draw());

$("foot").textContent =
  `lossgraph ${training.version}: ${training.parameters} parameters, ${training.operators} operators a ` +
  `step. ${count} digits to learn from, of scikit-learn. ONNX Runtime Web is under the MIT license, see ` +
  "LICENSES.txt.";

drawLosses($("chart"), losses);
read();
Trainer.create(training)
  .then(async (made) => {
    trainer = made;
    setRate();
    await report();
    $("train").disabled = false;
    label();
    $("main").setAttribute("aria-busy", "false");
  })
  .catch(fail);

// For tests and for the curious.
globalThis.handwriting = {
  get trainer() {
    return trainer;
  },
  get losses() {
    return losses;
  },
  get own() {
    return own;
  },
  pad,
};
