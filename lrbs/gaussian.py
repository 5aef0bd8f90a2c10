"""Exact moments of signs and soft signs of normal variables: the oracle that approximations are held to.

Nothing here is approximate but the quadrature in epsilon, whose error is near 1e-9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, owens_t, voigt_profile

from lrbs.operators import Dense, Diagonal, Operator
from lrbs.rules import softsign
from lrbs.validation import Array

__all__ = [
    "sign_mean",
    "sign_moments",
    "softsign_mean",
    "softsign_moments",
    "softsign_square",
]


def sign_mean(mean: Array, deviation: Array) -> Array:
    """E[sign(x)] = erf(mean / (sqrt(2) deviation)) for normal x; the sign itself where deviation = 0.

    Source: 10542.16.
    """
    mean, deviation = np.broadcast_arrays(mean, deviation)
    ratio = np.divide(mean, np.sqrt(2) * deviation, out=np.copysign(np.inf, mean), where=deviation > 0)
    return np.where(mean == 0, 0.0, erf(ratio))


def sign_product_mean(first: Array, second: Array, correlation: Array) -> Array:
    """E[sign(x) sign(y)] of two normal variables of unit variance, from the orthant probability.

    Parameters
    ----------
    first, second : ndarray
        Means of x and y in units of their deviations.
    correlation : ndarray
        Between -1 and 1.

    Returns
    -------
    ndarray
        ``1 - 4 T(h, a) - 4 T(k, b) - 2 [h k < 0]`` with Owen's function T; ``(2/pi) arcsin(rho)`` at
        zero means.
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
    product = sign_product_mean(signal[:, None], signal[None, :], correlation)
    return mean, _covariance(product, mean, np.ones_like(mean), moving)


def softsign_mean(mean: Array, deviation: Array, epsilon: float) -> Array:
    """E[x / sqrt(x^2 + epsilon^2)] for normal x, to about 1e-9."""
    mean, deviation = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), deviation)
    if epsilon == 0:
        return sign_mean(mean, deviation)
    shifts, weights = _shifts(mean, deviation, epsilon)
    result = np.einsum("...k,...k->...", weights, sign_mean(mean[..., None] + shifts, deviation[..., None]))
    return np.where(deviation > 0, result, softsign(mean, epsilon))


def softsign_square(mean: Array, deviation: Array, epsilon: float) -> Array:
    """E[x^2 / (x^2 + epsilon^2)] for normal x: 1 - pi epsilon times the Voigt profile at its mean."""
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
    signal, correlation, moving = _standardised(gradient, deviation, noise)
    shifts, weights = _shifts(gradient, deviation, epsilon)
    shifts = np.divide(shifts, deviation[:, None], out=np.zeros_like(shifts), where=moving[:, None])
    product = np.empty_like(correlation)
    for i in range(gradient.size):  # row by row, so that memory stays at N times the nodes squared
        each = sign_product_mean(
            (signal[i] + shifts[i])[None, :, None],
            (signal[:, None] + shifts)[:, None, :],
            correlation[i][:, None, None],
        )
        product[i] = np.einsum("a,jb,jab->j", weights[i], weights, each)
    return mean, _covariance((product + product.T) / 2, mean, square, moving)


def _standardised(
    gradient: Array, deviation: Array, noise: Operator
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Means in units of deviations, correlations, and which coordinates have noise at all."""
    moving = deviation > 0
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moving)
    correlation = np.clip(
        inverse[:, None] * noise.dense() * inverse, -1, 1
    )  # rounding alone can leave [-1, 1]
    return gradient * inverse, correlation, moving


def _covariance(product: Array, mean: Array, square: Array, moving: NDArray[np.bool_]) -> Dense:
    covariance = product - np.outer(mean, mean)
    np.fill_diagonal(covariance, square - mean**2)
    covariance *= moving[:, None] & moving  # a coordinate without noise has no covariance with another
    return Dense(covariance)


# softsign(x) is the mean of sign(x + t) over t = epsilon tan(theta), theta with density cos(theta)/2 on
# (-pi/2, pi/2): that turns every moment of soft signs into one of signs, smooth in theta but for a step
# of width deviation at t = -mean, where the panels of the quadrature are split.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_SPLITS = np.array([-8.0, -3.0, 0.0, 3.0, 8.0])


def _shifts(mean: Array, deviation: Array, epsilon: float) -> tuple[Array, Array]:
    """Nodes t and weights of the mixture, shapes (..., K)."""
    inner = np.arctan((_SPLITS * deviation[..., None] - mean[..., None]) / epsilon)
    ends = np.full((*mean.shape, 1), np.pi / 2)
    edges = np.concatenate([-ends, inner, ends], axis=-1)
    half = np.diff(edges)[..., None] / 2
    theta = (edges[..., :-1, None] + half * (1 + _NODES)).reshape(*mean.shape, -1)
    weights = (half * _WEIGHTS).reshape(*mean.shape, -1) * np.cos(theta) / 2
    return epsilon * np.tan(theta), weights
