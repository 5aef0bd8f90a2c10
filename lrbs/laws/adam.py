"""Adam: two averages, one over the other. Its step, and its mean field coordinate by coordinate.

The mean field of a quotient takes the mean above and below the line; for Adam what is below is itself an
average, so that this becomes exact as beta_2 -> 1. What is missing at a finite beta_2 stands in
:mod:`lrbs.laws.adam_finite`, what follows for the learning rate in
:mod:`lrbs.laws.adam_curves`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.averaging import ema_gain, ema_noise_factor
from lrbs.validation import Array, fraction, none_negative, plain, real_array, vector

__all__ = [
    "mean_update",
    "momentum_square",
    "second_average",
    "second_moment",
    "square_from_mean",
    "square_update",
]


# ---------------------------------------------------------------------------------------- the rule


# -------------------------------------------------------------------- mean field, by coordinate
def momentum_square(gradient: ArrayLike, variance: ArrayLike, momentum: float) -> Array:
    """E[m^2] of a stationary average, coordinate by coordinate. Source: 11267.10.

    Parameters
    ----------
    gradient : array_like, mean mu of the batch gradient
    variance : array_like
        Its variance sigma^2 (that of one sample, divided by the batch size).
    momentum : float, beta_1 in [0, 1)

    Returns
    -------
    ndarray
        Exact for any noise that is new at every step.

    Raises
    ------
    ValueError
        If a variance is negative or `momentum` is not in [0, 1).
    """
    mu, spread = _coordinates(gradient, variance)
    return plain(mu**2 + ema_noise_factor(momentum) * spread)


def second_average(
    gradient: ArrayLike, variance: ArrayLike, beta2: float = 0.0, steps: float = math.inf
) -> Array:
    """E[v], coordinate by coordinate; in the stationary state, where beta_2 no longer matters, unless told.

    Parameters
    ----------
    gradient, variance : array_like
        Mean and variance of the batch gradient, by coordinate; broadcast.
    beta2 : float, in [0, 1)
    steps : int or inf, since the start from zero

    Returns
    -------
    ndarray
        Source: 11267.4.

    Raises
    ------
    ValueError
        If a variance is negative, `beta2` not in [0, 1) or `steps` no whole number.
    """
    mu, spread = _coordinates(gradient, variance)
    return plain(ema_gain(beta2, steps) * (mu**2 + spread))


def mean_update(mean: ArrayLike, square: ArrayLike) -> Array:
    """E[m] / sqrt(E[.]): the mean field of a quotient, coordinate by coordinate. Source: 11301.10, 11301.13.

    Parameters
    ----------
    mean : array_like, E[m]
    square : array_like
        E[m^2] for the sign of an average, from :func:`momentum_square`, E[v] for Adam, from
        :func:`second_average`.

    Returns
    -------
    ndarray
        0 where both are. For the sign an approximation with errors up to 0.064; for Adam exact as beta_2 ->
        1.

    Raises
    ------
    ValueError
        If `square` is negative.
    """
    numerator, denominator = np.broadcast_arrays(real_array(mean, "mean"), none_negative(square, "square"))
    return _quotient(numerator, np.sqrt(denominator))


def square_update(gradient: ArrayLike, variance: ArrayLike, beta1: float) -> Array:
    """E[phi^2] of Adam as E[m^2] / E[v], coordinate by coordinate.

    Parameters
    ----------
    gradient, variance : array_like
        Mean and variance of the batch gradient, by coordinate; broadcast.
    beta1 : float, in [0, 1)

    Returns
    -------
    ndarray
        0 where there is neither gradient nor noise. Source: 11301.16, 11301.17, 11301.tbeta0, 11267.3,
        11267.6.

    Raises
    ------
    ValueError
        If a variance is negative or `beta1` is not in [0, 1).

    Examples
    --------
    >>> # Pure noise: 1/19.
    >>> round(float(square_update(0.0, 1.0, beta1=0.9)), 4)
    0.0526
    """
    mu, spread = np.broadcast_arrays(*_coordinates(gradient, variance))
    return _quotient(momentum_square(mu, spread, beta1), second_average(mu, spread))


def square_from_mean(mean: ArrayLike, beta1: float) -> Array:
    """E[phi^2] of Adam from E[phi] alone: part of it is the signal's, the rest a floor of noise.

    Parameters
    ----------
    mean : array_like, E[phi]
    beta1 : float, in [0, 1)

    Returns
    -------
    ndarray
        Source: 11301.19.

    Raises
    ------
    ValueError
        If `beta1` is not in [0, 1).
    """
    b = fraction(beta1, "beta1")
    return plain(2 * b / (1 + b) * real_array(mean, "mean") ** 2 + (1 - b) / (1 + b))


def second_moment(mean: ArrayLike, beta1: float) -> Array:
    """E[phi phi^T] of Adam for independent coordinates, shape (N, N).

    Parameters
    ----------
    mean : array_like, shape (N,), E[phi]
    beta1 : float, in [0, 1)

    Returns
    -------
    ndarray, shape (N, N)
        Source: 11301.20. With beta1 = 0 that of SignSGD.

    Raises
    ------
    ValueError
        If `mean` is not a finite vector or `beta1` is not in [0, 1).
    """
    phi = vector(mean, "mean")
    return np.outer(phi, phi) + ema_noise_factor(beta1) * np.diag(1 - phi**2)


def _coordinates(gradient: ArrayLike, variance: ArrayLike) -> tuple[Array, Array]:
    return real_array(gradient, "gradient"), none_negative(variance, "variance")


def _quotient(numerator: Array, denominator: Array) -> Array:
    """Quotient, with 0/0 = 0: a coordinate without gradient and noise does not move."""
    return plain(np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0))
