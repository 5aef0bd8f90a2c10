"""Exact moments of signs and soft signs of normal variables: the oracle that approximations are held to.

Nothing here is approximate but the quadrature of soft signs, whose error is below 1e-11.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, owens_t, voigt_profile

from lrbs.operators import Dense, Diagonal, Operator
from lrbs.rules import SGD, softsign
from lrbs.validation import Array, count, fraction, none_negative, vector

__all__ = [
    "adam_moments",
    "sign_mean",
    "sign_moments",
    "sign_product_mean",
    "softsign_mean",
    "softsign_moments",
    "softsign_square",
]

# Adam's integrals run over log s by the trapezoidal rule, whose error for these integrands is below 1e-10.
_LOG_NODES = np.arange(-100.0, 80.0, 0.4)
# Histories are cut where what is left of the slower average is below this.
_FORGOTTEN = 1e-8
# Below this beta_2 the second average is a single gradient for all practical purposes, and the integrals
# leave the range of nodes.
_LEAST_BETA2 = 1e-3
_ROWS = 2048


def sign_mean(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """E[sign(x)] = erf(mean / (sqrt(2) deviation)); the sign itself where deviation = 0. Source: 10542.16."""
    mu, sigma = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), deviation)
    ratio = np.divide(mu, np.sqrt(2) * sigma, out=np.array(np.copysign(np.inf, mu)), where=sigma > 0)
    return np.where(mu == 0, 0.0, erf(ratio))


def sign_product_mean(first: Array, second: Array, correlation: Array) -> Array:
    """E[sign(x) sign(y)] of two normal variables of unit variance and means `first` and `second`.

    ``1 - 4 T(h, a) - 4 T(k, b) - 2 [h k < 0]`` with Owen's function T; ``(2/pi) arcsin(rho)`` at zero means.
    Source: lrbs.arcsine, lrbs.orthant.
    """
    h, k, rho = np.broadcast_arrays(first, second, correlation)
    rest = np.sqrt((1 - rho) * (1 + rho))
    total = 1 - 4 * owens_t(h, _slope(k - rho * h, h * rest)) - 4 * owens_t(k, _slope(h - rho * k, k * rest))
    opposite = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    total = np.where(opposite, total - 2, total)
    return np.where((h == 0) & (k == 0), 2 / np.pi * np.arcsin(rho), total)


def _slope(numerator: Array, denominator: Array) -> Array:
    """Quotient whose limits are those of Owen's function: x/0 is infinite, 0/0 is 0."""
    infinite = np.where(numerator == 0, 0.0, np.copysign(np.inf, numerator) * np.copysign(1.0, denominator))
    return np.divide(numerator, denominator, out=infinite, where=denominator != 0)


def sign_moments(gradient: Array, noise: Operator) -> tuple[Array, Operator]:
    """Mean and covariance of the sign of a normal vector; see :func:`lrbs.exact`."""
    deviation = np.sqrt(noise.diagonal())
    mean = sign_mean(gradient, deviation)
    if isinstance(noise, Diagonal):
        return mean, Diagonal(np.where(deviation > 0, 1 - mean**2, 0.0))
    signal, correlation, moving = _standardised(gradient, deviation, noise)
    product = np.empty_like(correlation)
    i, j = np.triu_indices(signal.size)  # the matrix is symmetric, and Owen's function takes its time
    product[i, j] = product[j, i] = sign_product_mean(signal[i], signal[j], correlation[i, j])
    return mean, _covariance(product, mean, np.ones_like(mean), moving)


def softsign_mean(mean: Array, deviation: Array, epsilon: float) -> Array:
    """E[x / sqrt(x^2 + epsilon^2)] for normal x, with an error below 1e-11. Source: lrbs.soft-mean."""
    mean, deviation = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), deviation)
    if epsilon == 0:
        return sign_mean(mean, deviation)
    m, s = mean.reshape(-1), deviation.reshape(-1)
    result = np.empty_like(m)
    for start in range(0, m.size, _BLOCK):  # block by block: the nodes take tens of times the memory
        block = slice(start, start + _BLOCK)
        r, weights = _scales(m[block], s[block], epsilon)
        widened = 1 + 2 * (r * s[block, None]) ** 2
        tilted = np.exp(-((r * m[block, None]) ** 2) / widened) / (widened * np.sqrt(widened))
        result[block] = m[block] * np.einsum("nk,nk->n", weights, tilted)
    return np.where(deviation > 0, result.reshape(mean.shape), softsign(mean, epsilon))


def softsign_square(mean: Array, deviation: Array, epsilon: float) -> Array:
    """E[x^2 / (x^2 + epsilon^2)] for normal x, by the Voigt profile at its mean. Source: lrbs.soft-square."""
    if epsilon == 0:
        return np.where((np.asarray(mean) == 0) & (np.asarray(deviation) == 0), 0.0, 1.0)
    return 1 - np.pi * epsilon * voigt_profile(mean, deviation, epsilon)


def softsign_moments(gradient: Array, noise: Operator, epsilon: float) -> tuple[Array, Operator]:
    """Mean and covariance of the soft sign of a normal vector; see :func:`lrbs.exact`."""
    if epsilon == 0:
        return sign_moments(gradient, noise)
    deviation = np.sqrt(noise.diagonal())
    mean = softsign_mean(gradient, deviation, epsilon)
    square = softsign_square(gradient, deviation, epsilon)
    if isinstance(noise, Diagonal):
        return mean, Diagonal(np.where(deviation > 0, square - mean**2, 0.0))
    covariance = noise.dense()
    r, weights = _scales(gradient, deviation, epsilon)
    product = np.empty_like(covariance)
    for i in range(gradient.size):  # row by row, so that memory stays at N times the nodes squared
        each = _tilted_product(
            (gradient[i], gradient[:, None, None]),
            (r[i][None, :, None], r[:, None, :]),
            (deviation[i] ** 2, deviation[:, None, None] ** 2, covariance[i][:, None, None]),
        )
        product[i] = np.einsum("a,jb,jab->j", weights[i], weights, each)
    return mean, _covariance((product + product.T) / 2, mean, square, deviation > 0)


def _tilted_product(
    mean: tuple[Array, Array], scale: tuple[Array, Array], covariance: tuple[Array, Array, Array]
) -> Array:
    """E[x y exp(-r^2 x^2 - q^2 y^2)] for normal x and y; `covariance` holds Var[x], Var[y], Cov[x, y]."""
    (m, n), (r, q), (a, b, c) = mean, (scale[0] ** 2, scale[1] ** 2), covariance
    A, B = 1 + 2 * r * a, 1 + 2 * q * b
    determinant = A * B - 4 * r * q * c**2
    x = (m * B - 2 * q * c * n) / determinant  # mean of x under the tilted density
    y = (n * A - 2 * r * c * m) / determinant
    return (c / determinant + x * y) * np.exp(-r * m * x - q * n * y) / np.sqrt(determinant)


def _standardised(
    gradient: Array, deviation: Array, noise: Operator
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Means in units of deviations, correlations, and which coordinates have noise at all."""
    moving = deviation > 0
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moving)
    correlation = inverse[:, None] * noise.dense() * inverse
    return gradient * inverse, np.clip(correlation, -1, 1), moving  # rounding alone can leave [-1, 1]


def _covariance(product: Array, mean: Array, square: Array, moving: NDArray[np.bool_]) -> Dense:
    covariance = product - np.outer(mean, mean)
    np.fill_diagonal(covariance, square - mean**2)
    covariance *= moving[:, None] & moving  # a coordinate without noise has no covariance with another
    return Dense.trusted(covariance)


# 1/sqrt(A) is 2/sqrt(pi) times the integral of exp(-r^2 A) over r > 0. With A = x^2 + epsilon^2, a moment
# of soft signs becomes an integral over r of a normal expectation in closed form, even and analytic in r.
# At r = unit * sinh(v), v in equal steps, the trapezoidal rule converges exponentially.
_STEP = 0.15
_END = 6.2  # exp(-_END^2) = 2e-17
_BLOCK = 2**12  # coordinates at a time


def _scales(mean: Array, deviation: Array, epsilon: float) -> tuple[Array, Array]:
    """Nodes r and weights of that integral for each coordinate, shapes (N, K)."""
    unit = 1 / np.sqrt(mean**2 + 2 * deviation**2 + epsilon**2)
    end = np.arcsinh(_END / (epsilon * unit))
    count = int(np.ceil(end.max() / _STEP)) + 1
    v = end[:, None] * np.linspace(0, 1, count)
    r = unit[:, None] * np.sinh(v)
    weights = 2 / np.sqrt(np.pi) * np.exp(-((epsilon * r) ** 2)) * unit[:, None] * np.cosh(v) * v[:, 1:2]
    weights[:, 0] /= 2
    return r, weights


# ------------------------------------------------------------------------------------------ Adam
def adam_moments(
    gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float, steps: int | None = None
) -> tuple[Array, Array]:
    """E[phi] and E[phi^2] of Adam under normal noise, coordinate by coordinate, without approximation.

    Source: lrbs.adam-normal.

    Parameters
    ----------
    gradient : array_like, shape (N,), mean of the batch gradient
    variance : array_like, shape (N,), its variance, >= 0
    beta1, beta2 : float, in [0, 1), beta2 at least 0.001
    steps : int, optional
        Since the start from zero, with both averages corrected for it; the stationary state unless told.

    Returns
    -------
    mean, square : ndarray, shape (N,)
        To about eight digits. At beta2 = 0 and beta1 > 0 both would be infinite: dividing by a single
        gradient that can be 0.

    Examples
    --------
    >>> mean, square = adam_moments([0.5], [1.0], beta1=0.9, beta2=0.95)
    >>> round(float(mean[0]), 4), round(float(square[0]), 4)
    (0.4432, 0.23)
    """
    mu, spread = vector(gradient, "gradient"), none_negative(variance, "variance")
    spread = np.broadcast_to(spread, mu.shape)
    if fraction(beta2, "beta2") < _LEAST_BETA2:
        raise ValueError(f"beta2 must be at least {_LEAST_BETA2:g}; got {beta2:.6g}")
    fraction(beta1, "beta1")
    if steps is None:
        steps = math.ceil(math.log(_FORGOTTEN) / math.log(max(beta1, beta2)))
    parts = _integrands(beta1, beta2, count(steps, "steps"))
    mean, square = np.sign(mu), np.abs(np.sign(mu))  # where there is no noise, the update is a sign
    noisy = np.flatnonzero(spread > 0)
    for start in range(0, noisy.size, _ROWS):
        rows = noisy[start : start + _ROWS]
        mean[rows], square[rows] = _integrated(mu[rows] / np.sqrt(spread[rows]), *parts)
    return mean, square


def _integrated(ratio: Array, root: Array, decay: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Both moments for coordinates of variance 1 and the given means."""
    s, width = np.exp(_LOG_NODES), _LOG_NODES[1] - _LOG_NODES[0]
    density = np.exp(-root - ratio[:, None] ** 2 * decay)
    mean = ratio * (density @ (first * np.sqrt(s / np.pi))) * width
    square = (ratio**2 * (density @ (first**2 * s)) + density @ (second * s)) * width
    return mean, square


@lru_cache(maxsize=64)
def _integrands(beta1: float, beta2: float, steps: int) -> tuple[Array, Array, Array, Array]:
    """Of Z the logarithm without mean and the factor of mu^2; C and D; at the nodes s, for unit variance."""
    u, w = SGD(beta1).weights(steps), SGD(beta2).weights(steps)
    u, w = u / u.sum(), w / w.sum()  # Adam's correction of the start
    table = np.empty((4, _LOG_NODES.size))
    for index, s in enumerate(np.exp(_LOG_NODES)):
        q = 2 * s * w
        r = 1 / (1 + q)
        first, second = u * r, u**2 * r
        table[:, index] = np.log1p(q).sum() / 2, (q * r).sum() / 2, first.sum(), second.sum()
    table.flags.writeable = False
    return table[0], table[1], table[2], table[3]
