"""Any number of batch sizes: squares of norms on a line in 1/B, with a test whether it is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc

from lrbs.noise_scale.estimate import NoiseScaleEstimate, spread
from lrbs.noise_scale.gradients import Reduction, batch_mean
from lrbs.noise_scale.running import read_norms
from lrbs.validation import Array, positive

__all__ = ["noise_scale_from_batch_sizes"]

ROUNDS = 20  # of weights from residuals and residuals from weights
DOUBTFUL = 0.01
ROUNDING = 1e-9


def noise_scale_from_batch_sizes(
    norms: ArrayLike,
    batch_size: ArrayLike,
    *,
    reduction: Reduction = "mean",
    unit: str = "samples",
    skip_nonfinite: bool = False,
) -> NoiseScaleEstimate:
    """Noise scale from gradient norms at two or more batch sizes: a weighted line in 1/B.

    Source: lrbs.noise-line.

    Parameters
    ----------
    norms : array_like, shape (steps, sizes) or (gradients,)
        Norms of batch gradients before clipping, not their squares. In two dimensions a row is a step of a
        run, whose batches may be parts of each other; in one, each is a gradient of its own, all at one set
        of weights, any number of each size.
    batch_size : array_like
        B; in `unit`. One for each column, or for each norm.
    reduction : {"mean", "sum"}, optional, whether losses are means over a batch or sums
    unit : str, optional, what batch sizes count
    skip_nonfinite : bool, optional
        Leave out steps (or gradients) with inf or nan, and count them in `skipped`.

    Returns
    -------
    NoiseScaleEstimate
        For steps, errors from the spread over them; for single gradients, from the scatter around the line.
        `p_value` is that of an F test (for steps, Hotelling's) of the line against any other curve; nan
        where nothing is repeated, or there are two sizes. Below 0.01 the estimate says so.

    Raises
    ------
    ValueError
        A single batch size, too few norms, sizes that do not fit the norms, nan or inf.

    Notes
    -----
    The mean square at B is |g|^2 + tr(Sigma)/B. Squares scatter by a/B + b/B^2, signal times noise and noise
    times noise; a and b come from the scatter itself, and weigh the squares.

    Examples
    --------
    >>> norms = np.sqrt(2 + 600 / np.array([8, 32, 128, 8, 32, 128]))
    >>> round(noise_scale_from_batch_sizes(norms, [8, 32, 128, 8, 32, 128]).point_estimate, 6)
    300.0
    """
    read = read_norms(norms, "norms", (1, 2), skip=skip_nonfinite)
    size = positive(batch_size, "batch_size", (1, 2))
    try:
        size = np.broadcast_to(size, read.shape)
    except ValueError:
        raise ValueError(
            f"batch_size must be one for each column or each norm, shape {read.shape[-1:]} or {read.shape}; "
            f"got {size.shape}"
        ) from None
    squares = (read * batch_mean(size, reduction)) ** 2
    kept = np.isfinite(squares) if read.ndim == 1 else np.isfinite(squares).all(axis=1)
    squares, inverse, skipped = squares[kept], 1 / size[kept], int(np.sum(~kept))
    sizes = np.unique(inverse).size
    if sizes < 2:
        raise ValueError(f"batch_size must hold 2 sizes or more: a line needs two points; got {sizes}")
    least = 2 if read.ndim == 2 else 4
    if len(squares) < least:
        words = "steps" if read.ndim == 2 else "gradients"
        raise ValueError(f"norms must be of at least {least} {words}; got {len(squares)}")
    estimate = (_steps if read.ndim == 2 else _single)(squares, inverse, unit)
    note = f"not a line in 1/B (p = {estimate.p_value:.1g})" if estimate.p_value < DOUBTFUL else ""
    return replace(estimate, skipped=skipped, note=note)


def _single(squares: Array, inverse: Array, unit: str) -> NoiseScaleEstimate:
    """One line through all."""
    variance = _scatter(squares, inverse)
    line = _line(inverse, variance)
    found = line @ squares
    freedom = squares.size - 2
    misfit = np.sum((squares - found @ _columns(inverse)) ** 2 / variance)
    covariance = (line * variance) @ line.T * misfit / freedom
    # Against the means of each size: what of the misfit is not scatter among equals.
    places, counts = np.unique(inverse, return_inverse=True, return_counts=True)[1:]
    means = np.bincount(places, squares) / counts
    pure = np.sum((squares - means[places]) ** 2 / variance)
    bends, repeats = counts.size - 2, squares.size - counts.size
    rounding = ROUNDING**2 * np.sum(squares**2 / variance)
    p = _p_value(misfit - pure, bends, pure + rounding, repeats)
    return NoiseScaleEstimate(float(found[0]), float(found[1]), covariance, unit, freedom, p_value=p)


def _steps(squares: Array, inverse: Array, unit: str) -> NoiseScaleEstimate:
    """A line through each step, by the same weights; what scatters over steps is the error."""
    if any(np.unique(row).size < 2 for row in inverse):
        raise ValueError("batch_size must hold 2 sizes or more in each step: a line needs two points")
    columns = np.argsort(inverse.mean(axis=0))
    squares, inverse = squares[:, columns], inverse[:, columns]
    centred = squares - squares.mean(axis=0) if np.ptp(inverse, axis=0).max() == 0 else None
    variance = _scatter(squares.ravel(), inverse.ravel(), centred).reshape(squares.shape)
    lines = [_line(row, scatter) for row, scatter in zip(inverse, variance, strict=True)]
    pairs = np.array([line @ row for line, row in zip(lines, squares, strict=True)])
    gaps = squares - np.array([pair @ _columns(row) for pair, row in zip(pairs, inverse, strict=True)])
    # All that a line leaves is in the gaps between the two ends; Hotelling's T^2 of their means.
    inner = gaps[:, 1:-1]
    steps, bends = inner.shape
    p = np.nan
    if 0 < bends < steps:
        spreads = np.atleast_2d(np.cov(inner, rowvar=False))
        spreads += np.eye(bends) * (ROUNDING * squares.mean()) ** 2
        mean = inner.mean(axis=0)
        p = _p_value(steps * mean @ np.linalg.solve(spreads, mean), bends, steps - 1, steps - bends)
    return replace(spread(pairs, unit), p_value=p)


def _p_value(above: float, bends: int, below: float, repeats: int) -> float:
    """Of an F test; nan where there is nothing to test, or nothing to test it by."""
    if not bends or not repeats:
        return np.nan
    return float(fdtrc(bends, repeats, max(above, 0.0) / bends / (below / repeats)))


def _columns(inverse: Array) -> Array:
    return np.stack([inverse, np.ones_like(inverse)])


def _line(inverse: Array, variance: Array) -> Array:
    """What to multiply squares by for tr(Sigma) and |g|^2: weighted least squares, shape (2, n)."""
    weighted = _columns(inverse) / variance
    return np.asarray(np.linalg.solve(weighted @ _columns(inverse).T, weighted))


def _scatter(squares: Array, inverse: Array, centred: Array | None = None) -> Array:
    """Variances a/B + b/B^2 of squares, with a and b from their deviations, each weighed by its variance."""
    from scipy.optimize import nnls

    shape = np.stack([inverse, inverse**2], axis=1)
    variance = squares.mean() ** 2 * inverse**2
    for _ in range(ROUNDS):
        gaps = squares - _line(inverse, variance) @ squares @ _columns(inverse)
        if centred is not None:
            gaps = centred.ravel()
        parts, _ = nnls(shape / variance[:, None], gaps**2 / variance)
        if not parts.any():
            break  # no scatter at all
        variance = shape @ parts
    return np.asarray(variance)
