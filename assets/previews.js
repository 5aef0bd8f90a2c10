// A reference to an equation shows the equation while the pointer or the focus is on it; Escape hides it.

"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const main = document.querySelector("main");
  if (!main?.querySelector("a[data-tex]")) return;
  const box = document.createElement("div");
  Object.assign(box, { id: "lrbs-preview", hidden: true });
  box.setAttribute("role", "tooltip");
  main.append(box);
  let shown = null; // the reference whose equation is on show
  let leaving;

  // Below the reference, or above it where there is no room, within the width of the window.
  function place(link) {
    const at = link.getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const below = at.bottom + height + 8 < innerHeight || at.top < height + 8;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8));
    box.style.left = `${scrollX + left}px`;
    box.style.top = `${scrollY + (below ? at.bottom + 4 : at.top - height - 4)}px`;
  }

  async function show(link) {
    clearTimeout(leaving);
    if (link === shown) return;
    hide();
    shown = link;
    await MathJax.startup.promise;
    const equation = await MathJax.tex2chtmlPromise(link.dataset.tex, { display: true });
    if (link !== shown) return;
    MathJax.startup.document.clear();
    MathJax.startup.document.updateDocument(); // styles of letters that are new to the page
    box.replaceChildren(equation);
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    place(link);
  }

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    box.hidden = true;
  }

  function leave() {
    leaving = setTimeout(hide, 200); // time to move the pointer onto the equation, which may be scrolled
  }

  for (const link of main.querySelectorAll('a[data-tex]:not([data-tex=""])')) {
    for (const event of ["pointerenter", "focus"]) link.addEventListener(event, () => show(link));
    for (const event of ["pointerleave", "blur"]) link.addEventListener(event, leave);
  }
  box.addEventListener("pointerenter", () => clearTimeout(leaving));
  box.addEventListener("pointerleave", leave);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
});
