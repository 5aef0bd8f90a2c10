"""Adam under normal noise: its moments without approximation, and the first correction to the mean field.

With v = sum_k w_k g_k^2 and normal g_k, E[exp(-s v)] and E[m exp(-s v)] are products over k, and a power of
v is an integral over s of such exponentials. One integral in one dimension replaces the simulation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.averaging import ema_noise_factor
from lrbs.validation import Array, plain, positive, real_array

__all__ = ["corrected_mean", "corrected_square"]


def _fluctuations(mu: Array, spread: Array, beta2: float) -> Array:
    """Variance of v in units of E[v]^2."""
    return plain(ema_noise_factor(beta2) * (4 * mu**2 * spread + 2 * spread**2) / (mu**2 + spread) ** 2)


def corrected_mean(gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float) -> Array:
    """Mean update of Adam to first order in 1 - beta_2, for normal noise, coordinate by coordinate.

    v fluctuates, which raises the mean of 1/sqrt(v); and v holds the newest gradient, which m holds as
    well, which lowers it.

    Parameters
    ----------
    gradient, variance : array_like, of the batch gradient, the variance positive
    beta1, beta2 : float, in [0, 1)

    Returns
    -------
    ndarray
        Source: lrbs.adam-mean.

    Raises
    ------
    ValueError
        If `variance` is not positive, or a coefficient not in [0, 1).

    Examples
    --------
    >>> round(float(corrected_mean(0.5, 1.0, beta1=0.9, beta2=0.95)), 4)
    0.4431
    """
    mu, spread = real_array(gradient, "gradient"), positive(variance, "variance")
    total = mu**2 + spread
    shared = (1 - beta1) * (1 - beta2) / (1 - beta1 * beta2)
    factor = 1 + 3 / 8 * _fluctuations(mu, spread, beta2) - shared * spread / total
    return plain(mu / np.sqrt(total) * factor)


def corrected_square(gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float) -> Array:
    """Mean square of Adam's update to first order in 1 - beta_2, for normal noise, coordinate by coordinate.

    Parameters
    ----------
    gradient, variance : array_like, of the batch gradient, the variance positive
    beta1, beta2 : float, in [0, 1)

    Returns
    -------
    ndarray
        Source: lrbs.adam-square; at gradient 0 it is 11267.tfinite.

    Raises
    ------
    ValueError
        If `variance` is not positive, or a coefficient not in [0, 1).

    Examples
    --------
    >>> square = corrected_square(0.0, 1.0, beta1=0.9, beta2=0.95)
    >>> round(float(square) ** 0.5, 4)
    0.2258
    """
    mu, spread = real_array(gradient, "gradient"), positive(variance, "variance")
    total = mu**2 + spread
    square = (mu**2 + ema_noise_factor(beta1) * spread) / total * (1 + _fluctuations(mu, spread, beta2))
    first = 4 * mu**2 * spread * (1 - beta1) / (1 - beta1 * beta2)
    second = 2 * spread**2 * (1 - beta1) ** 2 / (1 - beta1**2 * beta2)
    return plain(square - (1 - beta2) * (first + second) / total**2)
