// What live figures are drawn with: text, numbers, scales and paths. See live.js.

"use strict";

globalThis.lrbsDrawing = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const DASHES = ["", "8 4", "8 3 2 3", "2 3", "8 2 2 2 2 2", "14 4"];
  const LETTER = 7.2; // mean width in pixels of a letter in the axes

  function element(name, attributes = {}, ...children) {
    const drawing = ["svg", "g", "path", "rect", "line", "text", "tspan", "clipPath", "defs"].includes(name);
    const made = drawing ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // "noise scale B_noise" with its symbol in italics and its index below the line. A symbol is a letter
  // with an index, or a capital or Greek letter by itself.
  const SYMBOL = /(?<![\p{L}\d_])(\p{L}_[\p{L}\d]+|[B-HJ-ZΑ-Ωα-ω](?![\p{L}\d]))/u;

  function words(text, inDrawing = false) {
    return text.replaceAll("'", "’").split(SYMBOL).flatMap((part, n) => {
      if (!part) return [];
      if (n % 2 === 0) return inDrawing ? [element("tspan", {}, part)] : [part];
      const [symbol, index] = [part[0], part.slice(2)];
      const letter = inDrawing ? element("tspan", { "font-style": "italic" }, symbol) : element("i", {}, symbol);
      if (!index) return [letter];
      if (!inDrawing) return [letter, element("sub", {}, index)];
      const below = element("tspan", { dy: "0.3em", "font-size": "75%" }, index);
      return [letter, below, element("tspan", { dy: "-0.225em" }, "\u200b")];
    });
  }

  function numberText(value, digits = 4) {
    if (Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    const sign = value < 0 ? "−" : "";
    if (size === 0 || (size >= 1e-3 && size < 1e5)) return sign + Number(size.toPrecision(digits));
    const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
    const raised = [...String(Number(exponent))].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return `${sign}${Number(mantissa)}×10${raised.join("")}`;
  }

  // The upper 24 bits of single-precision numbers, in base64.
  function decode(text) {
    const octets = atob(text);
    const view = new DataView(new ArrayBuffer(4));
    return Float64Array.from({ length: octets.length / 3 }, (_, i) => {
      for (let k = 0; k < 3; k++) view.setUint8(k, octets.charCodeAt(3 * i + k));
      return view.getFloat32(0);
    });
  }

  // An array of numbers for each position of the sliders; length 1 along a slider means no dependence.
  function table([shape, text]) {
    const numbers = decode(text);
    const length = shape.at(-1);
    return (position) => {
      const row = position.reduce((at, i, k) => at * shape[k] + Math.min(i, shape[k] - 1), 0);
      return numbers.subarray(row * length, (row + 1) * length);
    };
  }

  function scale(axis, from, to) {
    const flat = axis.log ? Math.log : (value) => value;
    const [low, high] = axis.limits.map(flat);
    return (value) => from + ((flat(value) - low) / (high - low)) * (to - from);
  }

  const inside = (axis, value) => value >= axis.limits[0] && value <= axis.limits[1];
  const pixel = (value) => Math.max(-9999, Math.min(9999, value)).toFixed(1);

  function linePath(xs, ys) {
    let path = "";
    let pen = "M";
    for (let i = 0; i < xs.length; i++) {
      if (Number.isNaN(xs[i]) || Number.isNaN(ys[i])) {
        pen = "M";
      } else {
        path += `${pen}${pixel(xs[i])} ${pixel(ys[i])}`;
        pen = "L";
      }
    }
    return path;
  }

  const MARKERS = [
    (x, y) => `M${x - 4.5} ${y}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0`,
    (x, y) => `M${x - 4} ${y - 4}h8v8h-8z`,
    (x, y) => `M${x} ${y - 5}l5 8.5h-10z`,
    (x, y) => `M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z`,
  ];

  // The nearest value that the axis has.
  const kept = (axis, value) => Math.min(Math.max(value, axis.limits[0]), axis.limits[1]);

  // The paths of one series: what they are (a class of live.css) and how they run.
  function paths(series, at, axes, toX, toY, box) {
    if (series.kind === "rule") {
      const d = at.x ? `M${pixel(toX(at.x[0]))} ${box.top}V${box.bottom}` : `M${box.left} ${pixel(toY(at.y[0]))}H${box.right}`;
      return { rule: d };
    }
    const xs = at.x.map(toX);
    if (series.kind === "line") return { line: linePath(xs, at.y.map(toY)) };
    if (series.kind === "band") {
      const there = linePath(xs, at.low.map(toY));
      const back = linePath(xs.slice().reverse(), at.high.map(toY).reverse());
      return { band: there + back.replace("M", "L") + "Z" };
    }
    let markers = "";
    let bars = "";
    for (let i = 0; i < xs.length; i++) {
      if (!inside(axes.x, at.x[i]) || !inside(axes.y, at.y[i])) continue;
      markers += MARKERS[series.number % MARKERS.length](Number(pixel(xs[i])), Number(pixel(toY(at.y[i]))));
      if (at.low) bars += `M${pixel(xs[i])} ${pixel(toY(kept(axes.y, at.low[i])))}V${pixel(toY(kept(axes.y, at.high[i])))}`;
    }
    return at.low ? { bars, points: markers } : { points: markers };
  }

  // Labels that would touch are left out, evenly.
  function shownTicks(ticks, place, room) {
    const places = ticks.map(([value]) => place(value));
    let every = 1;
    while (every < ticks.length) {
      const kept = places.filter((_, i) => i % every === 0);
      if (kept.every((at, i) => i === 0 || Math.abs(at - kept[i - 1]) >= room)) break;
      every++;
    }
    return ticks.map(([value, text], i) => [places[i], i % every === 0 ? text : ""]);
  }

  return { DASHES, LETTER, element, numberText, paths, pixel, scale, shownTicks, table, words };
})();
