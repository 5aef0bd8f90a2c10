"""Adam's closed laws: what its two averages make of the learning rate, the peak and the loss decrease.

They are those of SignSGD with one number changed. Momentum takes noise out of Adam's update and leaves the
length of its mean alone, so that only the curvature met by the noise is multiplied by c.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.averaging import ema_noise_factor
from lrbs.laws.curves import normalised_batch_size
from lrbs.laws.momentum import effective_batch_size
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.model import LocalModel
from lrbs.validation import Array, plain, positive, real_array

__all__ = ["adam_law", "full_momentum_lr", "scalar_mean_update"]


def scalar_mean_update(
    gradient: ArrayLike, batch_size: ArrayLike, simple_noise_scale: ArrayLike, momentum: float = 0.0
) -> Array:
    """sign(g) (1 + B_simple/B)^(-1/2) at the effective batch size: one signal-to-noise ratio for all.

    Parameters
    ----------
    gradient : array_like
    batch_size, simple_noise_scale : array_like, positive
    momentum : float
        Of SignSGD. Leave it at 0 for Adam, whose second average sees the noise before it is averaged.

    Returns
    -------
    ndarray
        Source: 11301.11, 11301.15.

    Raises
    ------
    ValueError
        If a batch size or noise scale is not positive, or `momentum` not in [0, 1).
    """
    beta = normalised_batch_size(effective_batch_size(batch_size, momentum), simple_noise_scale)
    return plain(np.sign(real_array(gradient, "gradient")) * beta)


def full_momentum_lr(
    batch_size: ArrayLike, gradient_sum: ArrayLike, sign_curvature: ArrayLike, simple_noise_scale: ArrayLike
) -> Array:
    """Adam's optimal learning rate as beta_1 -> 1, when m is free of noise and v is not: it falls with B.

    Parameters
    ----------
    batch_size : array_like, in samples
    gradient_sum : array_like, sum |g_i|
    sign_curvature : array_like, s^T H s with s = sign(g)
    simple_noise_scale : array_like, B_simple, in samples

    Returns
    -------
    ndarray
        Source: 11301.18.

    Raises
    ------
    ValueError
        If `batch_size`, `sign_curvature` or `simple_noise_scale` is not positive.
    """
    beta = normalised_batch_size(batch_size, simple_noise_scale)
    limit = real_array(gradient_sum, "gradient_sum") / positive(sign_curvature, "sign_curvature")
    return plain(limit / beta)


def adam_law(model: LocalModel, beta1: float) -> ScalarLaw:
    """Adam's curves in the batch size at a point of training: learning rate, peak, loss decrease.

    Parameters
    ----------
    model : LocalModel
        Its Hessian must have a diagonal; its covariance enters through B_simple alone.
    beta1 : float, in [0, 1); at 0 the law is that of SignSGD

    Returns
    -------
    ScalarLaw
        SignSGD's law with c tr H in the place of tr H: independent coordinates that share one ratio of signal
        to noise, stationary averages, beta_2 near 1. Its `optimal_lr` is 11301.21 and, for a diagonal
        Hessian, 11301.22; its `peak_batch_size` is 11301.tsurge, inf without a surge. Source: lrbs.adam-loss,
        lrbs.adam-peak.

    Raises
    ------
    ValueError
        If `beta1` is not in [0, 1), or the gradient zero.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[100.0, 100.0], hessian=[1.0, 1.0]
    ... )
    >>> law = adam_law(model, beta1=0.9)
    >>> round(law.peak_batch_size / model.simple_noise_scale, 4)
    0.0588
    """
    sign = ScalarLaw.of_sign(model)
    return replace(sign, noise_curvature=ema_noise_factor(beta1) * sign.noise_curvature)
