"""What a good plot of a curve against the batch size has; figures come as their notebook reported them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lrbs.coursework.question import Finding, numbers
from lrbs.validation import Array

VALUES = 0.02  # relative, of what is drawn
LEAST_POINTS = 20


def axes_of(answer: Any) -> dict[str, Any]:
    """The axes of a figure that hold most lines; a TypeError if it is no figure, or has none."""
    axes = answer["figure"]["axes"]
    if not axes:
        raise TypeError("a figure without axes")
    found: dict[str, Any] = max(axes, key=lambda ax: len(ax["lines"]))
    return found


def lines_of(axes: dict[str, Any]) -> list[tuple[Array, Array]]:
    """Points of each line that are finite and positive in x."""
    found = []
    for line in axes["lines"]:
        x, y = numbers(line["x"]), numbers(line["y"])
        if x.ndim == 1 and x.shape == y.shape:
            kept = np.isfinite(x) & np.isfinite(y) & (x > 0)
            found.append((x[kept], y[kept]))
    return found


def dressed(axes: dict[str, Any]) -> list[Finding]:
    """Whether axes are logarithmic and labelled."""
    scales = axes["xscale"] == axes["yscale"] == "log"
    label = axes["xlabel"].strip().lower()
    return [
        Finding(scales, "Both axes should be logarithmic."),
        Finding(
            "batch" in label or label.strip("$ ") == "b", "The x axis should say that it is the batch size."
        ),
        Finding(bool(axes["ylabel"].strip()), "The y axis has no label."),
    ]


def curve_findings(answer: Any, truth: Callable[[Array], Array], decades: float) -> list[Finding]:
    """Whether some line of a figure is the right curve, over so many decades, on axes with labels."""
    axes = axes_of(answer)
    lines = [(x, y) for x, y in lines_of(axes) if x.size >= LEAST_POINTS]
    wide = [(x, y) for x, y in lines if x.max() / x.min() >= 0.999 * 10**decades]
    right = any(np.all(np.abs(y / truth(x) - 1) <= VALUES) for x, y in lines)
    return [
        *dressed(axes),
        Finding(bool(wide), f"A curve of {LEAST_POINTS} points or more should span {decades:g} decades."),
        Finding(right, "No curve has the right values."),
    ]
