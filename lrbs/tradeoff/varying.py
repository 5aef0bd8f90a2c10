"""Batch sizes that vary along a run: at a price per step, by powers of the noise scale, or in any way.

Progress s is measured in steps with exact gradients. At batch size B a piece ds of it takes
(1 + B_noise/B) ds steps. The method is that of McCandlish et al. (arXiv 1812.06162, appendix D).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.tradeoff.law import examples, steps
from lrbs.validation import Array, plain, positive, vector

__all__ = [
    "RunLength",
    "critical_average",
    "exchange_rate",
    "frugal_batch_size",
    "noiseless_steps",
    "run_length",
    "tradeoff_product",
]


def frugal_batch_size(noise_scale: ArrayLike, step_price: ArrayLike) -> Array:
    """Batch size of the least total cost when a step costs as much as `step_price` samples.

    It minimises (B + r)(1 + B_noise/B), the cost of a given progress. Its steps and examples satisfy
    10542.14 with the product :func:`tradeoff_product` of power 1/2, at most 1, on the right.

    Parameters
    ----------
    noise_scale : array_like, B_noise at this point of the run, in samples
    step_price : array_like, r, in samples

    Returns
    -------
    ndarray
        Source: 10542.tadaptive.

    Raises
    ------
    ValueError
        If `noise_scale` or `step_price` is not positive.

    Examples
    --------
    >>> frugal_batch_size([100, 10_000], step_price=400)
    array([ 200., 2000.])
    """
    return plain(np.sqrt(positive(step_price, "step_price") * positive(noise_scale, "noise_scale")))


def tradeoff_product(noise_scale: ArrayLike, power: float, progress: ArrayLike = 1.0) -> float:
    """Right side of the hyperbola 10542.14 for batch sizes proportional to B_noise**power.

    1 for a fixed batch (power 0) and for a fixed share of the noise scale (power 1); least, for powers
    of B_noise and for any batch sizes whatever, at 1/2.

    Parameters
    ----------
    noise_scale : array_like, shape (points,), B_noise along the run, in samples
    power : float
    progress : array_like, shape (points,), optional
        Steps with exact gradients that each point stands for; equal unless told.

    Returns
    -------
    float
        Source: lrbs.batch-power.

    Raises
    ------
    ValueError
        If `noise_scale` or `progress` is not positive.
    """
    scales = positive(vector(noise_scale, "noise_scale"), "noise_scale")
    weights = np.broadcast_to(positive(progress, "progress"), scales.shape)

    def mean(exponent: float) -> float:
        return float(np.average(scales**exponent, weights=weights))

    return mean(power) * mean(1 - power) / mean(1)


def exchange_rate(batch_size: ArrayLike, noise_scale: ArrayLike) -> Array:
    """Examples that a larger batch spends for each step that it saves; :func:`frugal_batch_size` inverts it.

    Parameters
    ----------
    batch_size, noise_scale : array_like, B and B_noise, in samples

    Returns
    -------
    ndarray
        r, in samples. A run whose batch follows the noise scale is best when r is the same all along. Source:
        lrbs.exchange-rate.

    Raises
    ------
    ValueError
        If `batch_size` or `noise_scale` is not positive.

    Examples
    --------
    >>> exchange_rate([50, 100, 200], noise_scale=100)
    array([ 25., 100., 400.])
    """
    return plain(positive(batch_size, "batch_size") ** 2 / positive(noise_scale, "noise_scale"))


class RunLength(NamedTuple):
    """Length of a run.

    Attributes
    ----------
    steps, examples : float
    """

    steps: float
    examples: float


def run_length(batch_size: ArrayLike, noise_scale: ArrayLike, progress: ArrayLike) -> RunLength:
    """Steps and examples of a run whose batch size varies along it. Source: lrbs.varying-batch.

    Parameters
    ----------
    batch_size : array_like, shape (points,) or a number, B at each point, in samples
    noise_scale : array_like, shape (points,)
        B_noise there, in samples: the same whatever the batch size, which is what the formula assumes.
    progress : array_like, shape (points,) or a number
        ds: steps with exact gradients that each point stands for.

    Returns
    -------
    RunLength
        Its product (S/S_min - 1)(E/E_min - 1) is never below ``tradeoff_product(noise_scale, 0.5)``.

    Raises
    ------
    ValueError
        If an entry is not positive, or shapes do not fit.
    """
    scale = positive(vector(noise_scale, "noise_scale"), "noise_scale")
    ds = np.broadcast_to(positive(progress, "progress"), scale.shape)
    return RunLength(*(float(np.sum(each(batch_size, ds, scale))) for each in (steps, examples)))


def noiseless_steps(loss: ArrayLike, max_loss_decrease: ArrayLike) -> Array:
    """Progress between points of a run: the steps that exact gradients would take from each to the next.

    Parameters
    ----------
    loss : array_like, shape (points,), falling along the run
    max_loss_decrease : array_like, shape (points,)
        That of one step with the exact gradient, at each point (``LocalModel.max_loss_decrease``).

    Returns
    -------
    ndarray, shape (points - 1,)
        Loss lost in each interval, divided by the decrease of a step there, geometric mean of its ends.

    Raises
    ------
    ValueError
        If the loss does not fall from each point to the next, or there are fewer than two points.
    """
    level = vector(loss, "loss")
    gains = vector(max_loss_decrease, "max_loss_decrease", level.size)
    gains = positive(gains, "max_loss_decrease")
    fall = -np.diff(level)
    if fall.size == 0 or not (fall > 0).all():
        raise ValueError(f"loss must fall from each of 2 or more points to the next; got {level}")
    return plain(fall / np.sqrt(gains[1:] * gains[:-1]))


def critical_average(noise_scale: ArrayLike, progress: ArrayLike) -> float:
    """Critical batch size of a run along which the noise scale changes: its mean over the progress.

    Parameters
    ----------
    noise_scale : array_like, shape (points,)
        B_noise, in samples; its geometric mean at the ends of each interval if `progress` has one entry less.
    progress : array_like
        ds, as from :func:`noiseless_steps`.

    Returns
    -------
    float
        E_min/S_min, in samples. Source: lrbs.critical-average.

    Raises
    ------
    ValueError
        If an entry is not positive, or shapes do not fit.
    """
    ds = positive(vector(progress, "progress"), "progress")
    scale = positive(vector(noise_scale, "noise_scale"), "noise_scale")
    if scale.size == ds.size + 1:
        scale = np.sqrt(scale[1:] * scale[:-1])
    elif scale.size != ds.size:
        raise ValueError(f"noise_scale must have {ds.size} or {ds.size + 1} entries; got {scale.size}")
    return float(np.average(scale, weights=ds))
