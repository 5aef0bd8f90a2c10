"""Momentum as a larger batch: any average over time, and any rule on it.

For one step from frozen weights the whole effect of a linear average is one number, by which it multiplies
the batch size. For many steps it is not: see :func:`stationary_variance`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.averaging import ema_gain, ema_noise_factor
from lrbs.laws.sgd import saturation
from lrbs.validation import Array, fraction, plain, positive, vector

__all__ = [
    "batch_multiplier",
    "effective_batch_size",
    "ema_batch_multiplier",
    "lion_batch_multiplier",
    "nesterov_batch_multiplier",
    "sgdm_lr",
    "stationary_variance",
]


def batch_multiplier(weights: ArrayLike) -> float:
    """By how much a weighted average of gradients multiplies the batch size, (sum w)^2 / sum w^2.

    Parameters
    ----------
    weights : array_like, shape (steps,)
        Of gradients at different times; their order does not matter.

    Returns
    -------
    float
        Between 1 and the number of weights if none is negative. Exact for linear rules; for rules that are
        not, it needs normal noise. Source: lrbs.averaging.

    Raises
    ------
    ValueError
        If `weights` is not a finite vector, or sums to zero.

    Examples
    --------
    >>> # Four batches, one gradient.
    >>> batch_multiplier([0.25, 0.25, 0.25, 0.25])
    4.0
    """
    w = vector(weights, "weights")
    if w.sum() == 0:
        raise ValueError("weights must not sum to 0: such an average keeps nothing of the gradient")
    return float(w.sum() ** 2 / (w @ w))


def ema_batch_multiplier(decay: float, steps: float = math.inf) -> float:
    """Batch multiplier of heavy-ball momentum, (1 + b)/(1 - b), and below that during its first steps.

    Parameters
    ----------
    decay : float, in [0, 1)
    steps : int or inf
        Since the start from zero; the stationary state unless told.

    Returns
    -------
    float
        A correction of the start-up (Adam's m-hat) does not change it. Source: lrbs.start-up.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1) or `steps` no whole number.

    Examples
    --------
    >>> round(ema_batch_multiplier(0.9), 6)
    19.0
    >>> round(ema_batch_multiplier(0.9, steps=1), 6)
    1.0
    """
    return ema_gain(decay, steps) ** 2 / ema_noise_factor(decay, steps)


def nesterov_batch_multiplier(momentum: float) -> float:
    """Batch multiplier of Nesterov's momentum on the normalised average. Source: lrbs.nesterov.

    Parameters
    ----------
    momentum : float, in [0, 1)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).

    Examples
    --------
    >>> round(nesterov_batch_multiplier(0.9), 2)
    14.16
    """
    b = fraction(momentum, "momentum")
    return (1 + b) / ((1 - b) * (1 + 2 * b - 2 * b**3))


def lion_batch_multiplier(beta1: float, beta2: float) -> float:
    """Batch multiplier of Lion's two coefficients, under normal noise. Source: lrbs.lion.

    Parameters
    ----------
    beta1, beta2 : float, in [0, 1)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `beta1` or `beta2` is not in [0, 1).

    Examples
    --------
    >>> round(lion_batch_multiplier(0.9, 0.99), 2)
    71.07
    """
    b1, b2 = fraction(beta1, "beta1"), fraction(beta2, "beta2")
    return 1 / ((1 - b1) ** 2 + b1**2 * ema_noise_factor(b2))


def effective_batch_size(batch_size: ArrayLike, momentum: float) -> Array:
    """Batch size without memory whose gradient has the noise of the average, B (1 + b)/(1 - b).

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    momentum : float, of the normalised average, in [0, 1)

    Returns
    -------
    ndarray, in samples

    Raises
    ------
    ValueError
        If `batch_size` is not positive or `momentum` is not in [0, 1).
    """
    return plain(positive(batch_size, "batch_size") * ema_batch_multiplier(momentum))


def sgdm_lr(batch_size: ArrayLike, max_lr: ArrayLike, noise_scale: ArrayLike, momentum: float) -> Array:
    """SGD's law at the effective batch size; the loss decrease follows the same law. Source: 11301.8.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    max_lr, noise_scale : array_like
        Of SGD without momentum: :class:`lrbs.LocalModel` has them.
    momentum : float, of the normalised average, in [0, 1)

    Returns
    -------
    ndarray
        For one step from frozen weights with a stationary average; :func:`stationary_variance` is for many
        steps.

    Raises
    ------
    ValueError
        If a batch size or noise scale is not positive, or `momentum` not in [0, 1).
    """
    return saturation(effective_batch_size(batch_size, momentum), max_lr, noise_scale)


def stationary_variance(
    curvature: ArrayLike, learning_rate: ArrayLike, noise_variance: ArrayLike, momentum: float = 0.0
) -> Array:
    """Variance of a weight after many steps of SGD with momentum on the loss curvature * w^2 / 2.

    Parameters
    ----------
    curvature : array_like, lambda > 0
    learning_rate : array_like
        Below 2 (1 + b) / (1 - b) / curvature: beyond that the iteration diverges.
    noise_variance : array_like, sigma^2/B of the batch gradient
    momentum : float, of the normalised average

    Returns
    -------
    ndarray
        At small learning rates momentum changes nothing: what one step gains by averaging, the next steps
        lose by meeting the same noise again. Source: lrbs.sgdm-floor.

    Raises
    ------
    ValueError
        If an argument is not positive, or a learning rate too large for the iteration to settle.
    """
    bend, eta = positive(curvature, "curvature"), positive(learning_rate, "learning_rate")
    rest = 2 - ema_noise_factor(momentum) * eta * bend
    if not (rest > 0).all():
        raise ValueError(
            f"learning_rate must be below {2 / ema_noise_factor(momentum):.6g} / curvature for the weights "
            f"to settle; got up to {np.max(eta * bend):.6g} / curvature"
        )
    return plain(eta * positive(noise_variance, "noise_variance") / (bend * rest))
