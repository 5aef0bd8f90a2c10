// A link to something in a folded box opens the box.
"use strict";

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  let opened = false;
  for (let box = target?.parentElement; box; box = box.parentElement) {
    const folded = box.classList.contains("toggle-hidden");
    if (folded) box.querySelector(".toggle-button").click();
    else if (box.localName === "details" && !box.open) box.open = true;
    else continue;
    opened = true;
  }
  if (opened) target.scrollIntoView();
}

addEventListener("hashchange", reveal);
addEventListener("load", reveal);
