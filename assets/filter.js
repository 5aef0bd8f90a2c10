// A field at the top of the formula index that filters the rows of its table as one types.
document.addEventListener("DOMContentLoaded", () => {
  const page = document.querySelector("#formula-index");
  const table = page?.querySelector("table");
  if (!table) return;
  const greek = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau " +
    "upsilon phi chi psi omega";
  const name = (letter) => greek.split(" ")[letter.codePointAt() - "α".codePointAt()];
  // As it is typed: any quotation mark, hyphen or accent finds any other, and β₁ is found by beta1;
  // everyday names and both spellings find the book's.
  const plain = (text) =>
    text.normalize("NFKD").toLowerCase()
      .replace(/\p{M}|\u00ad|_/gu, "").replace(/[α-ω]/g, name)
      .replace(/[‘’‚‛′ʹʼ`´']/g, "")
      .replace(/[“”„‟″«»]/g, '"')
      .replace(/[‐‑‒–—−]/g, "-")
      .replace(/adamw/g, "adam").replace(/signsgd/g, "sign")
      .replace(/\blr\b/g, "learning rate").replace(/\bbs\b/g, "batch size")
      .replace(/iz(?=e|i|a)/g, "is");
  const rows = [...table.tBodies[0].rows].map((row) => [row, plain(row.textContent)]);
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("output");
  label.className = "lrbs-filter";
  label.textContent = "Filter ";
  field.type = "search";
  field.placeholder = "11280, surge, Monte Carlo …";
  label.append(field, count);
  const filter = () => {
    const words = plain(field.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = ` ${shown} of ${rows.length}`;
  };
  field.addEventListener("input", filter);
  filter();
  page.querySelector("h1").after(label);
});
