// Fields below exercises: whether a number is right, and if it follows a known slip, which. No kernel is asked.

"use strict";

// Numbers that a text may mean: 9 or 9,0 or 900 % or 3e-4 or 3·10^-4 or 20/11; 1,464 may be either of two.
function numbers(text) {
  const plain = text.normalize("NFKC")
    .replace(/\s|_/g, "")
    .replace(/[−–]/g, "-")
    .replace(/[⁄∕]/g, "/")
    .replace(/[·×*x]10(?:\^|\*\*)?([-+]?\d+)/, "e$1");
  const parts = plain.match(/^([^/%]+)(?:\/([^/%]+))?(%?)$/);
  if (!parts) return [];
  const read = (part) => {
    const found = [part.replace(",", ".")];
    if (/^[-+]?\d{1,3}(,\d{3})+(\.\d*)?$/.test(part)) found.push(part.replaceAll(",", ""));
    return found.filter((each) => /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(each)).map(Number);
  };
  const below = parts[2] === undefined ? [1] : read(parts[2]);
  return read(parts[1])
    .flatMap((above) => below.map((under) => above / under / (parts[3] ? 100 : 1)))
    .filter(Number.isFinite);
}

// What to say of a text, as HTML; words of slips come with the page.
function verdict(text, [right, tolerance, slips]) {
  const given = numbers(text);
  const near = (value, scale = 1) =>
    given.some((number) => Math.abs(number - value) <= (scale * tolerance + 1e-9) * Math.abs(value));
  if (!given.length) return "A number is asked for, such as 0.5, 50 %, 1/2 or 3e-4.";
  if (near(right)) return "<strong>Correct.</strong>";
  const slip = slips.find(([, value]) => near(value));
  if (slip) return `<strong>Not yet: ${slip[0]}.</strong> ${slip[2]}`;
  if (near(right, 5)) return "<strong>Almost.</strong> Close to it: look for what is small, or take more digits.";
  return "<strong>Not yet.</strong>";
}

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form.lrbs-answer")) {
    const answer = JSON.parse(atob(form.dataset.answer));
    const [field, said] = [form.querySelector("input"), form.querySelector("output")];
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      said.innerHTML = verdict(field.value, answer);
      globalThis.MathJax?.startup?.promise?.then(() => MathJax.typesetPromise?.([said]));
    });
    field.addEventListener("input", () => said.replaceChildren()); // of what was typed before
  }
});
