"""Noise that is not normal: what signs see of it, and what rare outliers do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, gammaln, xlog1py, xlogy

from lrbs.validation import Array, count, fraction, non_negative, plain, positive

__all__ = ["contaminated_sign_mean", "sign_variance"]


def sign_variance(central_density: ArrayLike) -> Array:
    """1/(2 f(0))^2: the variance that stands in 11280.2 for noise of this density at its centre.

    Parameters
    ----------
    central_density : array_like
        f(0) > 0 of a symmetric noise, per unit of the gradient.

    Returns
    -------
    ndarray
        With it the mean field's slope at small signals is right for any noise: pi/2 sigma^2 for normal noise,
        sigma^2/2 for Laplace noise, 3 sigma^2 for uniform noise, which is the most that symmetric noise with
        a single hump can reach. Source: lrbs.central-density.

    Raises
    ------
    ValueError
        If `central_density` is not positive.

    Examples
    --------
    >>> round(float(sign_variance(1 / np.sqrt(2 * np.pi))), 4)
    1.5708
    """
    return plain(1 / (4 * positive(central_density, "central_density") ** 2))


def contaminated_sign_mean(
    gradient: float, deviation: float, batch_size: int, share: float, factor: float
) -> float:
    """E[sign] of a batch mean when a share of the samples has noise `factor` times as wide.

    Parameters
    ----------
    gradient : float
    deviation : float
        sigma > 0 of the normal noise of an ordinary sample.
    batch_size : int
    share : float
        Probability p in [0, 1) that a sample is an outlier.
    factor : float
        lambda, its deviation in units of the ordinary one, >= 0.

    Returns
    -------
    float
        Exact: a batch has k outliers with the binomial probability, and its mean is then normal. Source:
        lrbs.contaminated.

    Raises
    ------
    ValueError
        If `deviation` is not positive, `share` is not in [0, 1), `factor` is negative or `batch_size` is no
        integer of at least 1.
    """
    size, p = count(batch_size, "batch_size"), fraction(share, "share")
    sigma = float(positive(deviation, "deviation"))
    outliers = np.arange(size + 1.0)
    weights = np.exp(
        gammaln(size + 1)
        - gammaln(outliers + 1)
        - gammaln(size - outliers + 1)
        + xlogy(outliers, p)
        + xlog1py(size - outliers, -p)
    )
    spread = np.sqrt(size - outliers + outliers * non_negative(factor, "factor") ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # all samples outliers, and of no width
        means = erf(gradient * size / (np.sqrt(2) * sigma * spread))
    return float(weights @ np.nan_to_num(means))
