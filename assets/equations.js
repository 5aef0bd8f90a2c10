// An equation that is wider than its column is set smaller, down to three quarters. If that is not enough, it
// scrolls by itself; then, and only then, the keyboard stops there.

"use strict";

addEventListener("load", async () => {
  if (!document.querySelector(".math")) return;
  await MathJax.startup.promise;
  await document.fonts.ready;
  const fitted = new WeakMap(); // by box: the size that MathJax gave it, the width it was fitted to
  const fit = (box) => {
    const size = fitted.get(box)?.size ?? parseFloat(box.style.fontSize);
    const width = box.clientWidth;
    if (fitted.get(box)?.width === width) return; // its own change of height
    fitted.set(box, { size, width });
    box.style.fontSize = `${size}%`;
    // Margins do not shrink along: what one step leaves, the next takes.
    for (let share = 1; share > 0.75 && box.scrollWidth > box.clientWidth; ) {
      share = Math.max((0.99 * share * box.clientWidth) / box.scrollWidth, 0.75);
      box.style.fontSize = `${size * share}%`;
    }
  };
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.matches("[display='true']")) fit(target);
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll("mjx-container")) watch.observe(box);
});
