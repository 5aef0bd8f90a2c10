"""The sign of a noisy number: its mean with the average taken inside, and why that works.

One coordinate at a time; what follows for a whole step stands in :mod:`lrbs.laws.scalar_law`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.rules import softsign
from lrbs.validation import Array, count, none_negative, plain, positive, real_array

__all__ = [
    "independent_second_moment",
    "mean_field_sign",
    "normal_sign_correction",
    "sign_correction",
    "sign_mean_series",
    "sign_series",
]


def mean_field_sign(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """mean / sqrt(mean^2 + deviation^2): the mean of the sign with the average taken inside.

    Parameters
    ----------
    mean : array_like, mean g of the noisy number, in any unit
    deviation : array_like
        Its standard deviation sigma / sqrt(B), >= 0, in the same unit.

    Returns
    -------
    ndarray
        In [-1, 1]; 0 where the mean is 0. Asks nothing of the distribution but its mean and variance;
        for normal noise at most 0.064 off. Source: 11280.2, 11280.3.

    Raises
    ------
    ValueError
        For a negative deviation.

    Examples
    --------
    >>> mean_field_sign([3.0, -3.0, 0.0], [4.0, 4.0, 0.0])
    array([ 0.6, -0.6,  0. ])
    """
    mu, sigma = np.broadcast_arrays(real_array(mean, "mean"), none_negative(deviation, "deviation"))
    return softsign(mu, sigma)


def independent_second_moment(sign_means: ArrayLike) -> Array:
    """E[phi phi^T] of independent signs from their means: mu_i mu_j, and 1 on the diagonal.

    Parameters
    ----------
    sign_means : array_like, shape (N,), means mu_i, whichever form they come from

    Returns
    -------
    ndarray, shape (N, N)
        Exact when the means are and no two coordinates share noise. Source: 11280.5, 10542.19.
    """
    mu = real_array(sign_means, "sign_means", ndim=1)
    second = np.outer(mu, mu)
    np.fill_diagonal(second, 1.0)
    return second


def sign_series(x: ArrayLike, mean_square: float, terms: int) -> Array:
    """First terms of the series of x / sqrt(v + (x^2 - v)) about v = mean_square. Source: 11280.16, 11280.17.

    Parameters
    ----------
    x : array_like
    mean_square : float, mu^2 + sigma^2, positive
    terms : int
        How many, at least 1; the first alone is the mean field.

    Returns
    -------
    ndarray
        Tends to sign(x) where 0 < x^2 < 2 v, and nowhere else.

    Raises
    ------
    ValueError
        If `mean_square` is not positive or `terms` is no integer of at least 1.

    Examples
    --------
    >>> [round(float(sign_series(1.2, 1.0, n)), 3) for n in (1, 2, 3, 20)]
    [1.2, 0.936, 1.023, 1.0]
    """
    values = real_array(x, "x")
    v = float(positive(mean_square, "mean_square", ndim=0))
    small = values**2 / v - 1
    term = values / np.sqrt(v)
    total = term
    for k in range(1, count(terms, "terms")):
        term = term * small * (0.5 - k) / k  # binomial coefficients of -1/2
        total = total + term
    return plain(total)


def sign_mean_series(mean: float, deviation: float, terms: int) -> float:
    """Average of :func:`sign_series` over a normal number: partial sums that diverge as terms are added.

    Parameters
    ----------
    mean, deviation : float, mu and sigma of the number
    terms : int, how many, at least 1

    Returns
    -------
    float
        To rounding: Gauss-Hermite quadrature is exact for these polynomials. Source: 11280.17.

    Raises
    ------
    ValueError
        If `terms` is no integer of at least 1.

    Examples
    --------
    >>> # The true mean, an erf, is 0.520.
    >>> [round(sign_mean_series(1.0, 2**0.5, n), 3) for n in (1, 2, 3, 4, 5)]
    [0.577, 0.192, 1.347, -3.571, 25.368]
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(count(terms, "terms"))
    values = sign_series(mean + deviation * nodes, mean**2 + deviation**2, terms)
    return float(weights @ values / weights.sum())


def sign_correction(mean: ArrayLike, deviation: ArrayLike, third_moment: ArrayLike) -> Array:
    """Second term of the averaged series, to be subtracted from :func:`mean_field_sign`. Source: 11280.18.

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma of the number, not both 0
    third_moment : array_like, E[x^3], of whatever distribution

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `deviation` is negative, or both are 0.
    """
    mu = real_array(mean, "mean")
    v = mu**2 + none_negative(deviation, "deviation") ** 2
    if not (v > 0).all():
        raise ValueError("mean and deviation must not both be 0")
    return plain((real_array(third_moment, "third_moment") - mu * v) / (2 * v**1.5))


def normal_sign_correction(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """:func:`sign_correction` with the third moment of a normal number, mu^3 + 3 mu sigma^2.

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma of the number, broadcast

    Returns
    -------
    ndarray
        At most 0.385, at sigma^2 = 2 mu^2, six times the true error. Source: 11280.19.

    Raises
    ------
    ValueError
        If `deviation` is negative, or both are 0.

    Examples
    --------
    >>> round(float(normal_sign_correction(1.0, 2**0.5)), 4)
    0.3849
    """
    mu, sigma = real_array(mean, "mean"), none_negative(deviation, "deviation")
    return sign_correction(mu, sigma, mu**3 + 3 * mu * sigma**2)
