// What is drawn, and the pixels that a model is given of it.
//
// The digits that the model learns from were written on paper, cut out, brought to 32 by 32 pixels,
// and counted in blocks of 4 by 4. The same is done with strokes.

const BITMAP = 32; // pixels a side, before they are counted
const PEN = 3.4; // width of a stroke in that bitmap
const MARGIN = PEN / 2;

export class Pad {
  // Calls `changed()` when something has been drawn.
  constructor(canvas, { side, largest }, changed) {
    this.canvas = canvas;
    this.side = side;
    this.largest = largest;
    this.strokes = [];
    this.shown = null; // an image, instead of strokes
    this.changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#end());
  }

  get isEmpty() {
    return !this.shown && this.strokes.length === 0;
  }

  clear() {
    this.strokes = [];
    this.shown = null;
    this.draw();
    this.changed();
  }

  show(image) {
    this.strokes = [];
    this.shown = image;
    this.draw();
    this.changed();
  }

  // The numbers from 0 to 1 that the model is given.
  image() {
    if (this.shown) return this.shown;
    const context = bitmap();
    trace(context, this.#fitted(), PEN);
    const { data } = context.getImageData(0, 0, BITMAP, BITMAP);
    const block = BITMAP / this.side;
    const image = new Float32Array(this.side ** 2);
    for (let y = 0; y < BITMAP; y++) {
      for (let x = 0; x < BITMAP; x++) {
        const place = Math.floor(y / block) * this.side + Math.floor(x / block);
        image[place] += data[4 * (y * BITMAP + x) + 3] / 255 / block ** 2;
      }
    }
    return image.map((share) => Math.round(share * this.largest) / this.largest);
  }

  draw() {
    const { canvas } = this;
    const context = canvas.getContext("2d");
    const color = getComputedStyle(canvas).color;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = context.fillStyle = color;
    if (this.shown) return this.#pixels(context);
    trace(context, this.strokes, canvas.width / 12);
  }

  #pixels(context) {
    const size = this.canvas.width / this.side;
    this.shown.forEach((share, i) => {
      context.globalAlpha = share;
      context.fillRect((i % this.side) * size, Math.floor(i / this.side) * size, size, size);
    });
    context.globalAlpha = 1;
  }

  // The strokes, moved and scaled to fill the bitmap.
  #fitted() {
    const points = this.strokes.flat();
    const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
    const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
    const space = BITMAP - 2 * MARGIN;
    const scale = space / Math.max(right - left, bottom - top, 1);
    const move = [left + right, top + bottom].map((sum) => BITMAP / 2 - (sum / 2) * scale);
    return this.strokes.map((stroke) =>
      stroke.map(([x, y]) => [x * scale + move[0], y * scale + move[1]]),
    );
  }

  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.shown = null;
    this.drawing = true;
    this.strokes.push([this.#place(event)]);
    this.draw();
  }

  #move(event) {
    if (!this.drawing) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.strokes.at(-1).push(this.#place(one));
    this.draw();
  }

  #end() {
    if (!this.drawing) return;
    this.drawing = false;
    this.changed();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }
}

function bitmap() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = BITMAP;
  return canvas.getContext("2d", { willReadFrequently: true });
}

function trace(context, strokes, width) {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const [first, ...others] of strokes) {
    context.beginPath();
    context.moveTo(...first);
    for (const point of others.length ? others : [first]) context.lineTo(...point);
    context.stroke();
  }
}
