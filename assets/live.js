// Live figures: sliders that move curves, without a kernel and without a network.
// The numbers come with the page, computed by lrbs at every position of the sliders (lrbs/show/live.py).
// This script looks them up and draws them. It knows no formula.

"use strict";

// The page is there when a deferred script runs; other scripts are not waited for.
(() => {
  const { DASHES, LETTER, element, numberText, paths, pixel, scale, shownTicks, table, words } = lrbsDrawing;
  const DRAWN_IN_ORDER = ["band", "rule", "line", "points"];

  class LiveFigure {
    constructor(figure) {
      const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
      Object.assign(this, { figure, axes: data.axes, controls: data.controls, alt: data.alt });
      this.position = data.controls.map((control) => control.start);
      this.series = data.series.map((series) => ({
        ...series,
        arrays: Object.entries(series.arrays).map(([role, packed]) => [role, table(packed)]),
      }));
      this.width = 0;
      this.groups = [];
      this.build();
    }

    at(series) {
      return Object.fromEntries(series.arrays.map(([role, numbers]) => [role, numbers(this.position)]));
    }

    build() {
      const moving = element("div", { class: "lrbs-controls" });
      this.controls.forEach((control, k) => moving.append(this.control(control, k)));
      const legend = element("ul", { class: "lrbs-legend" });
      for (const series of this.series) if (series.kind !== "readout") legend.append(this.legendItem(series));
      this.readouts = element("p", { class: "lrbs-readouts", "aria-live": "polite" });
      this.svg = element("svg", { role: "img" });
      this.numbers = element("details", { class: "lrbs-numbers" }, element("summary", {}, "Numbers as a table"));
      this.numbers.addEventListener("toggle", () => this.tabulate());
      const caption = this.figure.querySelector("figcaption");
      caption.querySelector(".lrbs-how")?.remove();
      this.figure.querySelector("img")?.remove();
      caption.before(moving, this.readouts, legend, this.svg);
      caption.after(this.numbers);
      this.figure.classList.add("lrbs-moves");
      new ResizeObserver(() => this.layOut()).observe(this.figure);
      this.layOut();
      this.read();
    }

    control(control, k) {
      const id = `${this.figure.id}-${k}`;
      const label = element("label", { for: id }, ...words(control.label));
      if (control.kind === "choice") {
        const select = element("select", { id });
        control.names.forEach((name, i) => select.append(element("option", { value: i }, name)));
        select.value = control.start;
        select.addEventListener("input", () => this.move(k, select.selectedIndex));
        return element("div", {}, label, select);
      }
      const range = element("input", { id, type: "range", min: 0, max: control.names.length - 1, step: 1 });
      const output = element("output", { for: id, "aria-live": "off" });
      const say = () => {
        output.textContent = control.names[range.value];
        range.setAttribute("aria-valuetext", control.names[range.value]);
      };
      range.value = control.start;
      say();
      range.addEventListener("input", () => {
        say();
        this.move(k, Number(range.value));
      });
      return element("div", {}, label, output, range);
    }

    legendItem(series) {
      const picture = element("svg", { width: 28, height: 14, "aria-hidden": "true", class: `lrbs-${series.colour}` });
      const axes = { x: { limits: [0, 1] }, y: { limits: [0, 1] } };
      const swatch = { x: [0.5], y: [0.5] };
      if (series.kind === "points") {
        const [toX, toY] = [(x) => 28 * x, (y) => 14 * y];
        picture.append(...this.drawn(series, paths(series, swatch, axes, toX, toY)));
      } else {
        const upright = series.arrays.length === 1 && series.arrays[0][0] === "x";
        const d = series.kind === "band" ? "M1 2h26v10h-26z" : upright ? "M14 0v14" : "M1 7h26";
        picture.append(...this.drawn(series, { [series.kind]: d }));
      }
      return element("li", {}, picture, element("span", {}, ...words(series.name)));
    }

    drawn(series, shapes) {
      return Object.entries(shapes).map(([kind, d]) => {
        const path = element("path", { class: `lrbs-${kind}`, d });
        if (kind === "line") path.setAttribute("stroke-dasharray", DASHES[series.number % DASHES.length]);
        return path;
      });
    }

    // Anew for the width that there is, whenever it changes.
    layOut() {
      const width = Math.round(this.figure.clientWidth);
      if (width < 160 || width === this.width) return;
      this.width = width;
      const height = Math.round(Math.max(210, Math.min(340, 0.42 * width)));
      const left = Math.round(12 + LETTER * Math.max(...this.axes.y.ticks.map(([, text]) => text.length)));
      this.box = { left, right: width - 14, top: 30, bottom: height - 46 };
      const { right, top, bottom } = this.box;
      this.toX = scale(this.axes.x, left, right);
      this.toY = scale(this.axes.y, bottom, top);
      for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height })) {
        this.svg.setAttribute(key, value);
      }
      const clip = `${this.figure.id}-plot`;
      const inner = element("rect", { x: left, y: top, width: right - left, height: bottom - top });
      this.groups = this.series
        .filter((series) => series.kind !== "readout")
        .sort((a, b) => DRAWN_IN_ORDER.indexOf(a.kind) - DRAWN_IN_ORDER.indexOf(b.kind))
        .map((series) => {
          const group = element("g", { class: `lrbs-${series.colour}`, "data-series": series.name });
          if (series.kind !== "points") group.setAttribute("clip-path", `url(#${clip})`);
          group.append(...this.drawn(series, this.shapes(series)));
          return [series, group];
        });
      const groups = this.groups.map(([, group]) => group);
      this.svg.replaceChildren(element("clipPath", { id: clip }, inner), this.frame(), ...groups);
    }

    // Axes: grid, numbers and names.
    frame() {
      const { x, y } = this.axes;
      const { left, right, top, bottom } = this.box;
      const frame = element("g", { class: "lrbs-axes" });
      const widest = Math.max(...x.ticks.map(([, text]) => text.length));
      for (const [at, text] of shownTicks(x.ticks, this.toX, widest * LETTER + 8)) {
        frame.append(element("path", { d: `M${pixel(at)} ${top}V${bottom}` }));
        frame.append(element("text", { x: pixel(at), y: bottom + 18, "text-anchor": "middle" }, text));
      }
      for (const [at, text] of shownTicks(y.ticks, this.toY, 18)) {
        frame.append(element("path", { d: `M${left} ${pixel(at)}H${right}` }));
        frame.append(element("text", { x: left - 7, y: pixel(at), dy: "0.33em", "text-anchor": "end" }, text));
      }
      const below = { class: "lrbs-label", x: right, y: bottom + 39, "text-anchor": "end" };
      frame.append(
        element("path", { class: "lrbs-frame", d: `M${left} ${top}V${bottom}H${right}` }),
        element("text", below, ...words(x.label, true)),
        element("text", { class: "lrbs-label", x: 0, y: 15 }, ...words(y.label, true)),
      );
      return frame;
    }

    shapes(series) {
      return paths(series, this.at(series), this.axes, this.toX, this.toY, this.box);
    }

    move(k, i) {
      this.position[k] = i;
      for (const [series, group] of this.groups) {
        Object.values(this.shapes(series)).forEach((d, n) => group.children[n].setAttribute("d", d));
      }
      this.read();
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.tabulate(), 100);
    }

    here() {
      return this.controls.map(({ label, names }, k) => `${label} ${names[this.position[k]]}`).join(", ");
    }

    // Series of one kind that are one number each: name and number.
    single(kind) {
      return this.series
        .filter((series) => series.kind === kind)
        .map((series) => [...words(series.name), " ", element("strong", {}, numberText(Object.values(this.at(series))[0][0], 3))]);
    }

    // The position in words, and the numbers that are shown as such.
    read() {
      this.svg.setAttribute("aria-label", `${this.alt} At ${this.here()}.`);
      const shown = this.single("readout");
      this.readouts.hidden = shown.length === 0;
      this.readouts.replaceChildren(...shown.map((parts) => element("span", {}, ...parts)));
    }

    // What is drawn at the present position, as tables: one for each set of x.
    tabulate() {
      if (!this.numbers.open) return;
      const sets = new Map();
      for (const series of this.series.filter(({ kind }) => !["rule", "readout"].includes(kind))) {
        const at = this.at(series);
        const key = at.x.join();
        if (!sets.has(key)) sets.set(key, [[words(this.axes.x.label), at.x]]);
        for (const [role, numbers] of Object.entries(at)) {
          const suffix = { y: "", low: ", from", high: ", to" }[role];
          if (suffix !== undefined) sets.get(key).push([[...words(series.name), suffix], numbers]);
        }
      }
      const here = this.here();
      const parts = [...sets.values()].map((columns) => {
        const head = columns.map(([name]) => element("th", { scope: "col" }, ...name));
        const rows = Array.from(columns[0][1], (_, i) =>
          element("tr", {}, ...columns.map(([, numbers]) => element("td", {}, numberText(numbers[i])))),
        );
        return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
      });
      const region = element("div", { tabindex: 0, role: "region", "aria-label": `Numbers at ${here}` }, ...parts);
      const rules = this.single("rule").map((parts) => element("p", {}, ...parts));
      this.numbers.replaceChildren(this.numbers.firstElementChild, element("p", {}, "At ", ...words(here), ":"), ...rules, region);
    }
  }

  for (const figure of document.querySelectorAll("figure.lrbs-live")) new LiveFigure(figure);
})();
