// An equation that is wider than its column scrolls by itself; then, and only then, the keyboard stops there.

"use strict";

document.addEventListener("DOMContentLoaded", async () => {
  if (!document.querySelector(".math")) return;
  await MathJax.startup.promise;
  await document.fonts.ready;
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll("mjx-container")) watch.observe(box);
});
