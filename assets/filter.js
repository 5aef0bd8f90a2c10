// A field above the table of the formula index that filters its rows as one types.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("#formula-index table");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("output");
  label.className = "lrbs-filter";
  label.textContent = "Filter ";
  field.type = "search";
  field.placeholder = "11280, surge, Monte Carlo …";
  label.append(field, count);
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = ` ${shown} of ${rows.length}`;
  };
  field.addEventListener("input", filter);
  filter();
  (table.closest(".pst-scrollable-table-container") ?? table).before(label);
});
