"""Stand-ins for sigmoids, and the clip: the way by which article 10563 averages a soft sign.

A smooth one and one with corners; the moments of the second under normal noise have closed forms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, ndtr

from lrbs.normal import sign_mean
from lrbs.validation import Array, non_negative, none_negative, plain, positive, real_array

__all__ = ["clip_mean", "clip_mean_by_slope", "clip_square", "hard_sigmoid", "smooth_sigmoid"]


def smooth_sigmoid(x: ArrayLike, slope: ArrayLike) -> Array:
    """x / sqrt(x^2 + 1/k^2): any odd function from -1 to 1, known by its slope k at 0. Source: 10563.3.

    Parameters
    ----------
    x : array_like
    slope : array_like, k > 0

    Returns
    -------
    ndarray, off by at most 0.108 for erf, 0.074 for tanh

    Raises
    ------
    ValueError
        If `slope` is not positive.
    """
    values, width = np.broadcast_arrays(np.asarray(x, dtype=np.float64), 1 / positive(slope, "slope"))
    return plain(values / np.hypot(values, width))


def hard_sigmoid(x: ArrayLike, slope: ArrayLike) -> Array:
    """clip(k x, -1, 1): the same by a clipped line; with slope 1/epsilon a stand-in for the soft sign.

    Parameters
    ----------
    x : array_like
    slope : array_like, k > 0

    Returns
    -------
    ndarray
        Off by at most 0.210 for erf, 0.238 for tanh, 0.293 for the soft sign. Source: 10563.4, 10563.6.

    Raises
    ------
    ValueError
        If `slope` is not positive.
    """
    return plain(np.clip(positive(slope, "slope") * np.asarray(x, dtype=np.float64), -1, 1))


# ------------------------------------------------------------------------------- moments of the clip
def clip_mean(mean: ArrayLike, deviation: ArrayLike, epsilon: float) -> Array:
    """E[clip(x/epsilon, -1, 1)] of a normal x. Source: 10563.7, 10563.8.

    The clip is a mean of signs, ``(1/2) int_{-1}^{1} sign(x - epsilon t) dt``, so its mean is one of error
    functions. Computed as the clip of the mean plus what noise adds at the two corners.

    Parameters
    ----------
    mean, deviation : array_like
        Of x; a deviation of a batch gradient is sigma/sqrt(B). Deviations may be zero.
    epsilon : float, zero or more; zero gives the mean of the sign

    Returns
    -------
    ndarray, to about 1e-14

    Examples
    --------
    >>> round(float(clip_mean(1.0, 1.0, 2.0)), 6)
    0.458533
    """
    a, b, still, mu, sigma = _standardised(mean, deviation, epsilon)
    if epsilon == 0:
        return sign_mean(mu, sigma)
    corners = (_overshoot(np.abs(a + b)) - _overshoot(np.abs(a - b))) / b
    narrow = np.einsum("k,...k->...", _WEIGHTS, erf((a[..., None] - b[..., None] * _NODES) / np.sqrt(2))) / 2
    noisy = np.where(b < NARROW, narrow, np.clip(a / b, -1, 1) + corners)
    return np.where(still, np.clip(mu / epsilon, -1, 1), noisy)


def clip_square(mean: ArrayLike, deviation: ArrayLike, epsilon: float) -> Array:
    """E[clip(x/epsilon, -1, 1)^2] of a normal x, in the closed form that the article leaves out.

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma of x, broadcast
    epsilon : float, where the clip begins

    Returns
    -------
    ndarray
        To about 1e-12. Source: 10563.11; the closed form is ours, lrbs.clip-square.

    Raises
    ------
    ValueError
        If `deviation` or `epsilon` is negative.

    Examples
    --------
    >>> round(float(clip_square(1.0, 1.0, 2.0)), 6)
    0.397417
    """
    a, b, still, mu, sigma = _standardised(mean, deviation, epsilon)
    if epsilon == 0:
        return np.where((mu == 0) & (sigma == 0), 0.0, 1.0)
    inside = ndtr(a + b) - ndtr(a - b)
    outside = ndtr(-a - b) + ndtr(a - b)
    wide = outside + ((1 + a**2) * inside + (a - b) * _density(a + b) - (a + b) * _density(a - b)) / b**2
    band = (1 - _NODES**2) * _density(a[..., None] - b[..., None] * _NODES)
    noisy = np.where(b < NARROW, 1 - b * (band @ _WEIGHTS), wide)
    return np.where(still, np.clip(mu / epsilon, -1, 1) ** 2, noisy)


def clip_mean_by_slope(mean: ArrayLike, deviation: ArrayLike, epsilon: float) -> Array:
    """The mean of the clip by its slope at zero mean, a / sqrt(a^2 + b^2/erf(b/sqrt 2)^2).

    The half-way house of 10563.9: :func:`smooth_sigmoid` with the slope of :func:`clip_mean`.

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma > 0 of x, broadcast
    epsilon : float, where the clip begins; positive

    Returns
    -------
    ndarray
        Off the mean of the clip by up to 0.293.

    Raises
    ------
    ValueError
        If `deviation` or `epsilon` is not positive.
    """
    a = np.asarray(mean, dtype=np.float64) / positive(deviation, "deviation")
    b = positive(epsilon, "epsilon") / positive(deviation, "deviation")
    return smooth_sigmoid(a, erf(b / np.sqrt(2)) / b)


# ------------------------------------------------------------------------------------------- pieces
# For narrow clips (b below this) the closed forms lose digits to cancellation, and a Gauss rule does not.
NARROW = 0.5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def _standardised(
    mean: ArrayLike, deviation: ArrayLike, epsilon: float
) -> tuple[Array, Array, Array, Array, Array]:
    """a = mean/deviation, b = epsilon/deviation, where there is no noise, and the two arguments."""
    non_negative(epsilon, "epsilon")
    mu, sigma = np.broadcast_arrays(real_array(mean, "mean"), none_negative(deviation, "deviation"))
    still = sigma == 0
    unit = np.where(still, 1.0, sigma)
    return mu / unit, np.asarray(epsilon / unit), still, mu, sigma


def _density(x: Array) -> Array:
    return plain(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def _overshoot(x: Array) -> Array:
    """E[(z - x)^+] of a standard normal z."""
    return plain(_density(x) - x * ndtr(-x))
