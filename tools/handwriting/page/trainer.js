// Training with the exported graphs: what the page of an export shows, for this page.

import { ready } from "../../explorer/page/engine.js";
import { bytes } from "../../explorer/page/library.js";

const { ort } = globalThis;
const STATE = "state.bin";

export class Trainer {
  static async create({ models, state, rate }) {
    await ready;
    const trainer = new Trainer();
    const open = (name, data) =>
      ort.InferenceSession.create(bytes(models[name]), {
        logSeverityLevel: 3,
        ...(data && { externalData: [{ path: STATE, data }] }),
      });
    trainer.open = open;
    trainer.first = bytes(state);
    trainer.rate = rate;
    for (const name of ["train", "evaluate", "predict"]) trainer[name] = await open(`${name}.onnx`);
    await trainer.restore(trainer.first);
    return trainer;
  }

  // Go on from a checkpoint; an error if it is none of this model.
  async restore(checkpoint) {
    if (checkpoint.length !== this.first.length) {
      throw new Error(`This file has ${checkpoint.length} bytes, the state has ${this.first.length}.`);
    }
    const initial = await this.open("initial.onnx", checkpoint);
    this.order = initial.outputNames;
    this.state = { ...(await initial.run({})) };
    this.rate = this.state.learning_rate.data[0];
    await initial.release();
  }

  get steps() {
    return Number(this.state.step.data[0]);
  }

  // A step on a batch; the loss before it.
  async step(batch) {
    this.state.learning_rate.data[0] = this.rate;
    const made = await run(this.train, { ...this.state, ...batch });
    for (const name of this.order) this.state[name] = made[`next_${name}`] ?? this.state[name];
    return made.loss.data[0];
  }

  async logits(batch) {
    return (await run(this.predict, { ...this.state, ...batch })).logits.data;
  }

  checkpoint() {
    return new Blob(this.order.map((name) => this.state[name].data));
  }
}

const run = (session, tensors) =>
  session.run(Object.fromEntries(session.inputNames.map((name) => [name, tensors[name]])));

// A batch of images, each an array of numbers, and labels.
export function batch(images, labels, side) {
  const data = new Float32Array(images.length * side ** 2);
  images.forEach((image, i) => data.set(image, i * side ** 2));
  return {
    image: new ort.Tensor("float32", data, [images.length, 1, side, side]),
    label: new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [labels.length]),
  };
}
