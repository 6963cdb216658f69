// The pictures of the ONNX graphs: which of them, and how large.

const STEP = 1.25;
const [SMALLEST, LARGEST] = [0.1, 2];
const NARROW = 480; // of a telephone: there it is seen whole first, and made larger by hand

export class Drawing {
  #kind = "value";
  #drawings = {};
  #scale = 1;

  constructor(buttons, host) {
    this.buttons = [...buttons.querySelectorAll("button")];
    this.host = host;
    buttons.addEventListener("click", ({ target }) => {
      const { kind, zoom } = target.dataset;
      if (kind) this.#draw(kind);
      else if (zoom === "fit") this.#zoom(this.#fitting());
      else if (zoom) this.#zoom(this.#scale * (zoom === "in" ? STEP : 1 / STEP));
    });
  }

  show(drawings) {
    this.#drawings = drawings;
    this.#draw(this.#kind);
  }

  #draw(kind) {
    this.#kind = kind;
    this.host.innerHTML = this.#drawings[kind];
    this.picture = this.host.querySelector("svg");
    for (const button of this.buttons) {
      if (button.dataset.kind) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    }
    const whole = this.host.clientWidth < NARROW ? this.#fitting() : 0;
    this.#zoom(whole || Math.max(this.#fitting(), 0.6)); // smaller, its words cannot be read
    this.#begin();
  }

  // Where reading begins, in a picture that is not seen whole: at an input.
  #begin() {
    const box = this.picture.querySelector(".input")?.getBBox();
    if (!box) return;
    this.host.scrollLeft = (box.x + box.width / 2) * this.#scale - this.host.clientWidth / 2;
    this.host.scrollTop = box.y * this.#scale - 20;
  }

  // How large it can be without scrolling sideways.
  #fitting() {
    return Math.min(this.host.clientWidth / this.picture.viewBox.baseVal.width, 1);
  }

  #zoom(scale) {
    const { host, picture } = this;
    const middle = (host.scrollLeft + host.clientWidth / 2) / host.scrollWidth;
    this.#scale = Math.min(Math.max(scale, SMALLEST), LARGEST);
    picture.setAttribute("width", picture.viewBox.baseVal.width * this.#scale);
    picture.setAttribute("height", picture.viewBox.baseVal.height * this.#scale);
    host.scrollLeft = middle * host.scrollWidth - host.clientWidth / 2;
  }
}
