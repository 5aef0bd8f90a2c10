// A formula that is wider than its column is set smaller, down to three quarters. If that is not enough, it
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
    const share = box.clientWidth / box.scrollWidth;
    if (share < 1) box.style.fontSize = `${size * Math.max(0.99 * share, 0.75)}%`;
  };
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      fit(target);
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0; // but for rounding
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll("mjx-container")) watch.observe(box);
});
