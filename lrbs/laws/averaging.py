"""Averages over time: what they keep of the gradient, and what of its noise.

An optimiser with memory acts on m_t = sum_k w_k g_{t-k}. If the gradient stands still and the noise of
each step is new, m_t has the mean (sum w) g and the covariance (sum w^2) Sigma/B. What these two sums do to a
step stands in :mod:`lrbs.laws.momentum`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, count, fraction, plain, real_array, vector

__all__ = [
    "averaged_covariance",
    "averaged_mean",
    "ema_gain",
    "ema_lag",
    "ema_noise_factor",
    "ema_step",
    "ema_weights",
]


# ---------------------------------------------------------------------------------------- weights
def ema_step(average: ArrayLike, value: ArrayLike, decay: float) -> Array:
    """One step of an exponential moving average: decay * average + (1 - decay) * value.

    Parameters
    ----------
    average, value : array_like, broadcast
    decay : float, in [0, 1)

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1).
    """
    b = fraction(decay, "decay")
    return plain(b * real_array(average, "average") + (1 - b) * real_array(value, "value"))


def ema_weights(decay: float, steps: int) -> Array:
    """Weights of an exponential moving average that started from zero, newest first.

    Parameters
    ----------
    decay : float, coefficient in [0, 1), such as Adam's beta_1
    steps : int, length of the history

    Returns
    -------
    ndarray, shape (steps,)
        (1 - decay) * decay^k for the gradient k steps ago; they sum to 1 - decay^steps.
        Source: 11301.3, 11267.2.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1) or `steps` is no integer of at least 1.

    Examples
    --------
    >>> ema_weights(0.5, 3)
    array([0.5  , 0.25 , 0.125])
    """
    b = fraction(decay, "decay")
    return plain((1 - b) * b ** np.arange(count(steps, "steps"), dtype=np.float64))


# ---------------------------------------------------------------------------------- mean and noise
def averaged_mean(means: ArrayLike, weights: ArrayLike) -> Array:
    """Mean of a weighted average: of gradients for m, of their mean squares g^2 + sigma^2/B for v.

    Parameters
    ----------
    means : array_like, shape (steps, ...), expected values, oldest first
    weights : array_like, shape (steps,)
        Newest first, as :func:`ema_weights` gives them.

    Returns
    -------
    ndarray, shape (...)
        Source: 11301.4, 11301.14.

    Raises
    ------
    ValueError
        If there is not one weight a step.
    """
    history, w = _history(means, "means", weights)
    return plain(np.tensordot(w[::-1], history, axes=1))


def averaged_covariance(covariances: ArrayLike, weights: ArrayLike) -> Array:
    """Covariance of a weighted average of gradients whose noise is new at every step. Source: 11301.6.

    Parameters
    ----------
    covariances : array_like, shape (steps, ...)
        Covariances Sigma_s/B of the batch gradients (matrices or their diagonals), oldest first.
    weights : array_like, shape (steps,), newest first

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If there is not one weight a step.
    """
    history, w = _history(covariances, "covariances", weights)
    return plain(np.tensordot(w[::-1] ** 2, history, axes=1))


def ema_gain(decay: float, steps: float = math.inf) -> float:
    """Part of a constant that an average from zero shows after some steps, 1 - decay^steps. Source: 11301.5.

    Parameters
    ----------
    decay : float, in [0, 1)
    steps : int or inf, the stationary state unless told

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1) or `steps` no whole number.
    """
    return 1 - fraction(decay, "decay") ** _duration(steps)


def ema_noise_factor(decay: float, steps: float = math.inf) -> float:
    """Part of the noise's variance that an average from zero shows after some steps.

    Parameters
    ----------
    decay : float, in [0, 1)
    steps : int or inf
        The stationary state unless told: (1 - decay) / (1 + decay).

    Returns
    -------
    float
        Source: 11301.7, 11267.5.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1) or `steps` no whole number.

    Examples
    --------
    >>> round(ema_noise_factor(0.9), 5)  # 1/19
    0.05263
    """
    b = fraction(decay, "decay")
    return (1 - b) ** 2 * (1 - b ** (2 * _duration(steps))) / (1 - b**2)


def ema_lag(decay: float) -> float:
    """Age in steps of what an average shows: decay / (1 - decay), 9 at 0.9. Source: lrbs.ema-lag.

    Parameters
    ----------
    decay : float, in [0, 1)

    Returns
    -------
    float
        Under a gradient that changes by d each step, the average misses the present one by this many d.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1).
    """
    b = fraction(decay, "decay")
    return b / (1 - b)


def _history(values: ArrayLike, name: str, weights: ArrayLike) -> tuple[Array, Array]:
    history, w = real_array(values, name), vector(weights, "weights")
    if history.ndim == 0 or history.shape[0] != w.size:
        raise ValueError(f"{name} must have {w.size} steps, one per weight; got shape {history.shape}")
    return history, w


def _duration(steps: float) -> float:
    if steps != math.inf and not (steps >= 1 and float(steps).is_integer()):
        raise ValueError(f"steps must be a whole number from 1 on, or inf; got {steps!r}")
    return steps
