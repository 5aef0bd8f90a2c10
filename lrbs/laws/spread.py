"""Unequal noise: when coordinates differ in their ratio of noise to signal, which average counts?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from lrbs.approximations import mean_field
from lrbs.operators import Diagonal
from lrbs.rules import SignSGD
from lrbs.validation import Array, positive, vector

__all__ = ["fitted_noise_scale", "mean_noise_scale", "power_of_mean"]


def mean_noise_scale(
    gradient: ArrayLike, deviation: ArrayLike, power: float = 2.0, weight: float = 2.0
) -> float:
    """Squared power mean of the noise-to-signal ratios sigma_i/|g_i|, weighted by |g_i|^weight.

    Parameters
    ----------
    gradient, deviation : array_like, shape (N,)
        g_i and the deviations sigma_i > 0 of one sample's gradient.
    power : float
        2 is the mean square, 0 the geometric mean, -1 the harmonic mean.
    weight : float

    Returns
    -------
    float
        In samples. B_simple for (2, 2); what the alignment of signs sees at large batches for (2, 1) and at
        small ones for (-1, 1). Source: lrbs.mean-ratio.

    Raises
    ------
    ValueError
        If a gradient is zero, a deviation not positive, or shapes do not fit.

    Examples
    --------
    >>> [round(mean_noise_scale([1, 1], [1, 3], p, 1), 4) for p in (2, 0, -1)]
    [5.0, 3.0, 2.25]
    """
    g, sigma = _pair(gradient, deviation)
    weights = g**weight / np.sum(g**weight)
    ratios = np.log(sigma / g)
    if power == 0:
        return float(np.exp(2 * weights @ ratios))
    largest = (power * ratios).max()  # taken out, so that no exponential overflows
    return float(np.exp(2 / power * (largest + np.log(weights @ np.exp(power * ratios - largest)))))


def power_of_mean(
    gradient: ArrayLike, deviation: ArrayLike, noise_scale: float, weight: float = 1.0
) -> float:
    """The power whose mean :func:`mean_noise_scale` equals a given noise scale.

    Parameters
    ----------
    gradient, deviation : array_like, shape (N,)
        g_i and the deviations sigma_i > 0 of one sample's gradient.
    noise_scale : float, in samples
    weight : float, of |g_i| in the mean, an exponent

    Returns
    -------
    float
        nan if the ratios are all equal.

    Raises
    ------
    ValueError
        If `noise_scale` is not between the smallest and the largest squared ratio, a gradient is zero, or a
        deviation not positive.
    """
    g, sigma = _pair(gradient, deviation)
    target = float(positive(noise_scale, "noise_scale"))
    smallest, largest = (sigma / g).min() ** 2, (sigma / g).max() ** 2
    if smallest == largest:
        return math.nan
    if not smallest < target < largest:
        raise ValueError(
            f"noise_scale must lie between the squared ratios {smallest:.6g} and {largest:.6g}; "
            f"got {target:.6g}"
        )

    def excess(power: float) -> float:
        return math.log(mean_noise_scale(g, sigma, power, weight) / target)

    reach = 4.0
    while excess(-reach) > 0 or excess(reach) < 0:
        reach *= 2
    return float(brentq(excess, -reach, reach))


def fitted_noise_scale(gradient: ArrayLike, deviation: ArrayLike, batch_size: ArrayLike) -> float:
    """The single noise scale that serves best in place of B_simple, over some batch sizes.

    Parameters
    ----------
    gradient, deviation : array_like, shape (N,)
        g_i and the deviations sigma_i > 0 of one sample's gradient.
    batch_size : array_like, where to fit, in samples

    Returns
    -------
    float
        In samples: minimises the squared logarithmic error of sum|g_i| (1 + B_fit/B)^(-1/2) against the
        coordinate-wise mean field's alignment. Source: lrbs.fitted-scale.

    Raises
    ------
    ValueError
        If a gradient is zero, a deviation or `batch_size` not positive.
    """
    g, sigma = _pair(gradient, deviation)
    sizes = positive(batch_size, "batch_size").reshape(-1)
    means = [mean_field(SignSGD(), g, Diagonal(sigma**2 / size)).mean for size in sizes]
    target = np.log(means @ g / g.sum())

    def error(logarithm: float) -> float:
        return float(np.sum((target + np.log1p(np.exp(logarithm) / sizes) / 2) ** 2))

    ratios = 2 * np.log(sigma / g)
    ends = ratios.min() - 1, ratios.max() + 1
    return float(np.exp(minimize_scalar(error, bounds=ends, method="bounded", options={"xatol": 1e-10}).x))


def _pair(gradient: ArrayLike, deviation: ArrayLike) -> tuple[Array, Array]:
    g = vector(gradient, "gradient")
    sigma = vector(deviation, "deviation", g.size)
    if not g.all():
        raise ValueError(
            "gradient must have no zero entry: such a coordinate has no ratio of noise to signal "
            f"(got {int((g == 0).sum())} of {g.size}; leave them out)"
        )
    return np.abs(g), positive(sigma, "deviation")
