"""The best point of a grid of learning rates, with the error that a few seeds leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrbs.validation import Array, positive

__all__ = ["TunedRate", "jackknife_se", "tuned_rate"]


@dataclass(frozen=True)
class TunedRate:
    """Result of :func:`tuned_rate`; each array has the leading axes of the values, if there are any.

    Attributes
    ----------
    learning_rate : ndarray
        Where the mean over seeds is smallest, between the points of the grid.
    value : ndarray
        The smallest mean on the grid: nothing is made up between its points.
    at_edge : ndarray of bool
        The best grid point is not enclosed by two others with a finite mean: `learning_rate` is that
        point itself and only a bound, and errors do not apply.
    learning_rate_without, value_without : ndarray, shape (..., seeds)
        The same with one seed left out, each seed in turn. Whatever is made of the numbers, such as a
        slope over batch sizes, has its standard error from these: :func:`jackknife_se`.
    """

    learning_rate: Array
    value: Array
    at_edge: NDArray[np.bool_]
    learning_rate_without: Array
    value_without: Array

    @property
    def learning_rate_se(self) -> Array:
        """Standard error of the learning rate over seeds."""
        return self.learning_rate * jackknife_se(np.log(self.learning_rate_without))

    @property
    def value_se(self) -> Array:
        """Standard error over seeds of the smallest mean."""
        return jackknife_se(self.value_without)


def tuned_rate(learning_rates: ArrayLike, values: ArrayLike) -> TunedRate:
    """The learning rate at which a mean over seeds is smallest, by a parabola through the best three.

    Parameters
    ----------
    learning_rates : array_like, shape (..., rates)
        Positive and increasing along the last axis; it broadcasts to the values.
    values : array_like, shape (..., rates, seeds)
        What is to be small: losses after some steps, or steps to some loss. inf and nan stand for runs
        that diverged or did not arrive, and make the mean of their rate infinite.

    Returns
    -------
    TunedRate

    Raises
    ------
    ValueError
        Shapes that do not fit, fewer than two seeds, rates that do not increase, or no rate at which all
        seeds are finite.

    Notes
    -----
    The parabola is in the logarithm of the rate. The standard errors are a jackknife of the whole
    procedure, choice of the grid point included. They do not know the error of the parabola, which on an
    even grid is half of its step at the most: let neighbouring rates differ by a factor of two or less.

    Examples
    --------
    >>> rates = np.array([0.1, 0.2, 0.4])
    >>> losses = np.log(rates / 0.2)[:, None] ** 2 + [1.0, 2.0]
    >>> best = tuned_rate(rates, losses)
    >>> round(float(best.learning_rate), 6), float(best.value)
    (0.2, 1.5)
    """
    measured = np.asarray(values, dtype=np.float64)
    rates = positive(learning_rates, "learning_rates")
    if measured.ndim < 2 or measured.shape[-1] < 2:
        raise ValueError(
            f"values must have shape (..., rates, seeds) with two seeds or more; got {measured.shape}"
        )
    try:
        rates = np.broadcast_to(rates, measured.shape[:-1])
    except ValueError:
        raise ValueError(
            f"learning_rates must broadcast to the values, {measured.shape[:-1]}; got {rates.shape}"
        ) from None
    if not (np.diff(rates) > 0).all():
        raise ValueError("learning_rates must increase along their last axis")
    finite = np.where(np.isfinite(measured), measured, np.inf)
    whole = _lowest(np.log(rates), finite.mean(axis=-1))
    rest = (np.delete(finite, seed, axis=-1).mean(axis=-1) for seed in range(finite.shape[-1]))
    without = [_lowest(np.log(rates), means) for means in rest]
    places, values, _ = (np.stack(part, axis=-1) for part in zip(*without, strict=True))
    return TunedRate(np.exp(whole[0]), whole[1], whole[2], np.exp(places), values)


def jackknife_se(without: ArrayLike) -> Array:
    """Standard error of an estimate from its values with one seed left out.

    Parameters
    ----------
    without : array_like, shape (..., seeds)

    Returns
    -------
    ndarray, shape (...)
    """
    estimates = np.asarray(without, dtype=np.float64)
    seeds = estimates.shape[-1]
    spread = estimates - estimates.mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt((seeds - 1) / seeds * np.sum(spread**2, axis=-1)))


def _lowest(places: Array, means: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Place of the minimum, height on the grid along the last axis, and whether nothing encloses it."""
    best = np.argmin(means, axis=-1)[..., None]
    last = means.shape[-1] - 1

    def at(array: Array, offset: int) -> Array:
        return np.take_along_axis(array, np.clip(best + offset, 0, last), axis=-1)[..., 0]

    x, y = at(places, 0), at(means, 0)
    if not np.isfinite(y).all():
        raise ValueError(
            "values must be finite for all seeds at one learning rate or more; try smaller rates"
        )
    inner = (best[..., 0] > 0) & (best[..., 0] < last)
    enclosed = inner & np.isfinite(at(means, -1)) & np.isfinite(at(means, 1))
    # Newton's form of the parabola; at an edge it is not used.
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = at(places, -1) - x, at(places, 1) - x
        rise, fall = (at(means, 1) - y) / right, (at(means, -1) - y) / left
        bend = (rise - fall) / (right - left)
        slope = rise - bend * right
        move = np.where(enclosed & (bend > 0), -slope / (2 * bend), 0.0)
    return x + move, y, ~enclosed
