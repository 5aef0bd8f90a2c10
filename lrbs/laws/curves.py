"""Shapes of curves in the batch size: powers of the saturation law, and the one hyperbola of the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.sparse.linalg import LinearOperator

from lrbs.approximations import exact
from lrbs.model import LocalModel
from lrbs.operators import trace_product
from lrbs.rules import Preconditioned
from lrbs.step import loss_decrease
from lrbs.validation import Array, plain, positive, real_array, vector

__all__ = [
    "fit_power_saturation",
    "implied_noise_scale",
    "normalised_batch_size",
    "power_saturation",
    "preconditioned_limits",
]


def normalised_batch_size(batch_size: ArrayLike, noise_scale: ArrayLike) -> Array:
    """beta = (1 + noise_scale/B)^(-1/2): the batch size, mapped to (0, 1).

    Parameters
    ----------
    batch_size, noise_scale : array_like
        In samples, positive.

    Returns
    -------
    ndarray
        sqrt(1/2) at B = noise_scale. Source: 11280.6; with noise_scale = pi kappa^2 / 2, 10542.27.

    Raises
    ------
    ValueError
        If `batch_size` or `noise_scale` is not positive.
    """
    return plain((1 + positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size")) ** -0.5)


def power_saturation(
    batch_size: ArrayLike, limit: ArrayLike, noise_scale: ArrayLike, exponent: float = 0.5
) -> Array:
    """limit / (1 + noise_scale/B)^exponent: rises as B^exponent, then levels off; never falls.

    Parameters
    ----------
    batch_size : array_like
        B > 0, in samples.
    limit : array_like
        Value at infinite batch size.
    noise_scale : array_like
        In samples, positive.
    exponent : float
        1/2 for sign-like rules without off-diagonal curvature, 1 for SGD.

    Returns
    -------
    ndarray
        In units of `limit`. Source: 11285.8, 10542.25, 10542.29, 11280.tnewton.

    Raises
    ------
    ValueError
        If `batch_size`, `noise_scale` or `exponent` is not positive.

    Examples
    --------
    >>> float(power_saturation(1.0, limit=0.5, noise_scale=3.0))
    0.25
    """
    beta = normalised_batch_size(batch_size, noise_scale)
    return plain(real_array(limit, "limit") * beta ** (2 * float(positive(exponent, "exponent"))))


def fit_power_saturation(batch_size: ArrayLike, learning_rate: ArrayLike) -> tuple[float, float, float]:
    """Limit, noise scale and exponent of the :func:`power_saturation` nearest to a curve, in logarithms.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (n,)
        Positive, n >= 3.

    Returns
    -------
    (limit, noise_scale, exponent) : tuple of float

    Raises
    ------
    ValueError
        If there are fewer than three points, shapes differ, or an entry is not positive.
    """
    B, eta = (
        positive(vector(batch_size, "batch_size"), "batch_size"),
        positive(learning_rate, "learning_rate"),
    )
    if B.size < 3 or eta.shape != B.shape:
        raise ValueError(f"learning_rate must be three or more, one a batch size; got shape {eta.shape}")

    def gap(logs: Array) -> Array:
        limit, noise_scale, exponent = np.exp(logs)
        return plain(np.log(power_saturation(B, limit, noise_scale, exponent) / eta))

    start = np.log([eta.max(), np.sqrt(B.min() * B.max()), 0.5])
    limit, noise_scale, exponent = np.exp(least_squares(gap, start, xtol=1e-12, ftol=1e-12).x)
    return float(limit), float(noise_scale), float(exponent)


def preconditioned_limits(
    model: LocalModel, operator: ArrayLike | LinearOperator | Callable[[Array], ArrayLike]
) -> tuple[float, float]:
    """Limit and half-way point of the loss decrease of phi = G^-1 g_B / f(B), whatever f is.

    Parameters
    ----------
    model : LocalModel
    operator : array_like, LinearOperator or callable
        G^-1: 1-D means diagonal, 2-D dense, a function is G^-1 times a vector.

    Returns
    -------
    (max_loss_decrease, noise_scale) : tuple of float
        (g P g)^2 / (2 g P H P g) and tr(Sigma P H P) / (g P H P g) with P = G^-1. Source: 11280.15.
    """
    moments = exact(Preconditioned(operator), model.gradient, model.covariance)
    signal = float(moments.mean @ (model.hessian @ moments.mean))
    decrease = float(loss_decrease(moments.mean @ model.gradient, signal))
    return decrease, trace_product(moments.covariance, model.hessian) / signal


def implied_noise_scale(batch_size: ArrayLike, value: ArrayLike, limit: ArrayLike) -> Array:
    """B (limit/value - 1): the noise scale that one point of a curve limit / (1 + noise_scale/B) implies.

    Parameters
    ----------
    batch_size : array_like
        B > 0, in samples.
    value, limit : array_like
        Of the curve, at B and at infinite batch size; broadcast.

    Returns
    -------
    ndarray
        In samples. The inverse of :func:`lrbs.saturation`: the same at all batch sizes if, and only if,
        the curve is that hyperbola; negative where a curve lies above its limit.

    Raises
    ------
    ValueError
        If `batch_size` is not positive.
    """
    ratio = real_array(limit, "limit") / real_array(value, "value")
    return plain(positive(batch_size, "batch_size") * (ratio - 1))
