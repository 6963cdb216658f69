// Light, dark, or the system's; before anything is drawn, so that nothing flashes.
"use strict";

{
  const THEMES = ["system", "light", "dark"];
  const root = document.documentElement;

  // Pages from files may have no storage.
  const kept = (() => {
    try {
      return localStorage;
    } catch {
      return { getItem: () => null, setItem: () => {} };
    }
  })();

  const apply = (theme) => {
    root.dataset.theme = theme;
    root.dispatchEvent(new Event("theme"));
  };

  const stored = kept.getItem("theme");
  apply(THEMES.includes(stored) ? stored : "system");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    root.dispatchEvent(new Event("theme")),
  );

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => (button.textContent = `Theme: ${root.dataset.theme}`);
    button.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      kept.setItem("theme", next);
      apply(next);
      name();
    });
    name();
  });
}
