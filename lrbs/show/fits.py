"""Fits drawn over what they were fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lrbs.show.palette import COLOURS, PALETTE
from lrbs.validation import positive, vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrbs.tradeoff import TradeoffFit

__all__ = ["tradeoff"]


def tradeoff(
    axes: Axes,
    fit: TradeoffFit,
    batch_size: ArrayLike,
    steps: ArrayLike,
    *,
    relative_error: ArrayLike | None = None,
    label: str | None = None,
    colour: str = "law",
    marker: str = "o",
) -> None:
    """Steps against batch size: measured runs, the fitted curve, its 95 % band, the critical batch size.

    Parameters
    ----------
    axes : matplotlib.axes.Axes, made logarithmic both ways
    fit : TradeoffFit
    batch_size, steps : array_like, shape (runs,), what was fitted
    relative_error : array_like, optional
        Standard error of ln S, drawn as bars of two of them.
    label : str, optional, for the legend
    colour, marker : str, optional
        A meaning of the palette or any colour that matplotlib knows; any of its markers.

    Raises
    ------
    ValueError
        If `batch_size`, `steps` or `relative_error` is not positive.
    """
    B = positive(vector(batch_size, "batch_size"), "batch_size")
    S = positive(vector(steps, "steps", B.size), "steps")
    colour = COLOURS[PALETTE[colour]] if colour in PALETTE else colour
    fine = np.geomspace(B.min() / 1.5, B.max() * 1.5, 60)
    curve = fit.predict(fine)
    critical = fit.critical_batch_size
    axes.set(xscale="log", yscale="log")
    axes.fill_between(fine, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(fine, curve.steps, color=colour, linestyle="-")
    error = None
    if relative_error is not None:
        width = np.exp(2 * positive(relative_error, "relative_error") * np.ones(B.size))
        error = np.stack([S - S / width, S * width - S])
    axes.errorbar(B, S, error, color=colour, marker=marker, linestyle="none", label=label)
    if fine[0] < critical < fine[-1]:
        axes.plot([critical], fit.predict([critical]).steps, marker="|", markersize=22, color=colour)
