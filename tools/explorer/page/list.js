// The list of losses: links, of which one is in the order of the Tab key and the arrows lead on.

import { index } from "./library.js";

export class List {
  constructor(field, host, status) {
    this.field = field;
    this.host = host;
    this.status = status;
    host.append(...groups().map(([namespace, losses]) => section(namespace, losses)));
    this.links = [...host.querySelectorAll("a")];
    field.addEventListener("input", () => this.filter());
    field.addEventListener("keydown", (event) => this.#enter(event));
    host.addEventListener("keydown", (event) => this.#walk(event));
    this.select(null);
  }

  // All words that were typed must be in the name or in what is said of the loss.
  filter() {
    const words = this.field.value.toLowerCase().split(/\s+/);
    for (const link of this.links) {
      const hit = words.every((word) => link.dataset.text.includes(word));
      link.parentElement.hidden = !hit;
    }
    for (const part of this.host.querySelectorAll("section")) {
      part.hidden = !part.querySelector("li:not([hidden])");
    }
    const count = this.#shown().length;
    this.status.textContent = `${count} ${count === 1 ? "loss" : "losses"}`;
    this.#reachable();
  }

  select(name) {
    for (const link of this.links) {
      if (link.dataset.name === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.filter();
    this.#reveal(this.#current());
  }

  // Scrolls the list alone: scrollIntoView would scroll the page too.
  #reveal(link) {
    if (!link) return;
    const [outer, inner] = [this.host, link].map((one) => one.getBoundingClientRect());
    const hidden = inner.top < outer.top + inner.height || inner.bottom > outer.bottom;
    if (hidden) this.host.scrollTop += inner.top - outer.top - outer.height / 2;
  }

  #shown = () => this.links.filter((link) => !link.parentElement.hidden);
  #current = () => this.#shown().find((link) => link.hasAttribute("aria-current"));

  #reachable() {
    const one = this.#current() ?? this.#shown()[0];
    for (const link of this.links) link.tabIndex = link === one ? 0 : -1;
  }

  #enter(event) {
    const first = this.#shown()[0];
    if (event.key === "Enter" && first) first.click();
    else if (event.key === "ArrowDown" && first) first.focus();
    else if (event.key === "Escape") this.#clear();
    else return;
    event.preventDefault();
  }

  #clear() {
    this.field.value = "";
    this.filter();
  }

  #walk(event) {
    const shown = this.#shown();
    const here = shown.indexOf(document.activeElement);
    const steps = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: shown.length - 1 };
    if (here < 0 || !(event.key in steps)) return;
    (shown[steps[event.key]] ?? (event.key === "ArrowUp" ? this.field : shown[here])).focus();
    event.preventDefault();
  }
}

function groups() {
  return [...Map.groupBy(index(), (loss) => loss.name.split(".")[0])];
}

function section(namespace, losses) {
  const part = document.createElement("section");
  const heading = document.createElement("h2");
  const list = document.createElement("ul");
  heading.textContent = namespace;
  heading.id = `of-${namespace}`;
  part.setAttribute("aria-labelledby", heading.id);
  list.append(...losses.map(item));
  part.append(heading, list);
  return part;
}

function item({ name, summary, aliases }) {
  const line = document.createElement("li");
  const link = document.createElement("a");
  link.href = `#loss=${name}`;
  link.textContent = name.split(".")[1];
  link.title = summary;
  link.dataset.name = name;
  link.dataset.text = [name, summary, ...aliases].join(" ").toLowerCase();
  line.append(link);
  return line;
}
