"""Soft signs: what Adam's epsilon does, from sign (epsilon = 0) to plain gradient descent (epsilon infinite).

The moments of soft signs and the closed curves in B that follow from them. The older article (10563) goes
by way of the clip function and arrives at the mean field with pi/2 times the noise, which
:func:`lrbs.laws.erf_route.older_route` is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lrbs.approximations import ERF_SLOPE
from lrbs.laws.scalar_law import ScalarLaw, along
from lrbs.model import LocalModel
from lrbs.rules import SGD, softsign
from lrbs.step import Step, expected_step
from lrbs.validation import Array, fraction, non_negative, plain, positive

__all__ = [
    "adam_limit_lr",
    "lr_per_epsilon",
    "rescaled_noise",
    "rescaled_softsign",
    "sgd_limit_lr",
    "soft_law",
    "soft_noise_scale",
    "surge_ratio",
]


def rescaled_softsign(x: ArrayLike, epsilon: float) -> Array:
    """epsilon * softsign(x, epsilon) = x / sqrt(1 + (x/epsilon)^2): tends to x itself. Source: 10563.2.

    Parameters
    ----------
    x : array_like
    epsilon : float, positive, in units of x, infinity gives x

    Returns
    -------
    ndarray
        Below |x| by the share (x/epsilon)^2 / 2 for large epsilon.

    Examples
    --------
    >>> [round(float(rescaled_softsign(3.0, each)), 4) for each in (4.0, 400.0, np.inf)]
    [2.4, 2.9999, 3.0]
    """
    values = np.asarray(x, dtype=np.float64)
    return plain(values / np.hypot(1, values / _dial(epsilon)))


# ------------------------------------------------------------------------------- closed curves in B
def soft_noise_scale(model: LocalModel, epsilon: float) -> float:
    """tr(Sigma) / (g^T g + N epsilon^2): B_simple as epsilon changes it. Source: 11280.21.

    Parameters
    ----------
    model : LocalModel
    epsilon : float, in units of the gradient, >= 0

    Returns
    -------
    float, in samples

    Raises
    ------
    ValueError
        If `epsilon` is negative, or it and the gradient are zero.

    Examples
    --------
    >>> model = LocalModel([1.0, 1.0], [4.0, 4.0], [1.0, 1.0])
    >>> soft_noise_scale(model, epsilon=1.0)
    2.0
    """
    signal = float(model.gradient @ model.gradient) + model.size * non_negative(epsilon, "epsilon") ** 2
    if signal == 0:
        raise ValueError("gradient and epsilon are both zero: the ratio of noise to signal has no value")
    return model.covariance.trace() / signal


def soft_law(model: LocalModel, epsilon: float, noise_constant: float = 1.0) -> ScalarLaw:
    """The scalar law of SoftSignSGD at a point of training: that of SignSGD with soft signs in it.

    Parameters
    ----------
    model : LocalModel
        Its Hessian must have a diagonal. Correlations of the noise are ignored, as in the articles.
    epsilon : float
        In units of the gradient, >= 0; with 0 the law is :meth:`lrbs.ScalarLaw.of_sign`.
    noise_constant : float
        1 for the mean field (11280.23), pi/2 for the older route (10563.14).

    Returns
    -------
    ScalarLaw
        Its `optimal_lr` is 11280.23; its `loss_decrease` is ours. Source: lrbs.soft-loss.

    Raises
    ------
    ValueError
        If `noise_constant` is not positive or `epsilon` is negative.
    """
    nu = softsign(model.gradient, non_negative(epsilon, "epsilon"))
    scale = float(positive(noise_constant, "noise_constant")) * soft_noise_scale(model, epsilon)
    return along(model, nu, model.hessian.trace(), scale)


def surge_ratio(model: LocalModel, epsilon: float) -> float:
    """nu^T H nu / tr H: a surge needs it above 1 (10563.15), and has it above 2 (ours), in the scalar law.

    Parameters
    ----------
    model : LocalModel, with tr H > 0
    epsilon : float, in units of the gradient, >= 0

    Returns
    -------
    float
        Source: lrbs.soft-surge.

    Raises
    ------
    ValueError
        If `epsilon` is negative or tr H not positive.

    Examples
    --------
    >>> model = LocalModel(np.ones(4), np.ones(4), np.ones((4, 4)))
    >>> [round(surge_ratio(model, each), 4) for each in (0.0, 1.0, 3**0.5)]
    [4.0, 2.0, 1.0]
    """
    nu = softsign(model.gradient, non_negative(epsilon, "epsilon"))
    return float(nu @ (model.hessian @ nu)) / float(positive(model.hessian.trace(), "trace of the hessian"))


# ------------------------------------------------------------------------------------- towards SGD
def rescaled_noise(
    model: LocalModel, epsilon: float, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE
) -> Array:
    """epsilon^2 (1 - beta^2): variance of one coordinate of the update, in units of the gradient.

    Parameters
    ----------
    model : LocalModel
    epsilon : float, positive, in units of the gradient; inf gives the limit
    batch_size : array_like, in samples
    noise_constant : float
        pi/2 for the older route, whose limit 10563.17 is; 1 for the mean field.

    Returns
    -------
    ndarray, noise_constant * (mean of sigma_i^2) / B in the limit

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    smallness = _dial(epsilon) ** -2.0
    noise = float(positive(noise_constant, "noise_constant")) * model.covariance.trace()
    signal = smallness * float(model.gradient @ model.gradient) + model.size
    return plain(noise / (positive(batch_size, "batch_size") * signal + smallness * noise))


def lr_per_epsilon(
    model: LocalModel, epsilon: float, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE
) -> Array:
    """eta*/epsilon of the scalar law, in the form that stays finite as epsilon grows. Source: 10563.16.

    Parameters
    ----------
    model : LocalModel
    epsilon : float, positive, in units of the gradient; inf gives the limit
    batch_size : array_like, in samples
    noise_constant : float
        pi/2 for the older route, whose limit 10563.17 is; 1 for the mean field.

    Returns
    -------
    ndarray
        :func:`sgd_limit_lr` at infinite epsilon.

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    noise = rescaled_noise(model, epsilon, batch_size, noise_constant)
    beta = np.sqrt(1 - noise * _dial(epsilon) ** -2.0)
    update = rescaled_softsign(model.gradient, epsilon)
    curvature = beta**2 * float(update @ (model.hessian @ update)) + noise * model.hessian.trace()
    return Step(beta * float(update @ model.gradient), curvature).optimal_lr


def sgd_limit_lr(model: LocalModel, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE) -> Array:
    """eta* of SGD whose noise has the covariance noise_constant * mean(sigma_i^2) I / B. Source: 10563.18.

    Where :func:`lr_per_epsilon` ends. The true end of SoftSignSGD has the model's own covariance.

    Parameters
    ----------
    model : LocalModel
    batch_size : array_like, in samples
    noise_constant : float
        pi/2 for the older route, whose limit 10563.17 is; 1 for the mean field.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    spread = float(positive(noise_constant, "noise_constant")) * model.covariance.trace() / model.size
    isotropic = LocalModel(model.gradient, np.full(model.size, spread), model.hessian)
    return expected_step(isotropic, SGD(), batch_size).optimal_lr


def adam_limit_lr(model: LocalModel, batch_size: ArrayLike, beta1: float = 0.9) -> Array:
    """eta*/epsilon of Adam for large epsilon: the learning rate of SGD with momentum beta1, exactly.

    Parameters
    ----------
    model : LocalModel
    batch_size : array_like
    beta1 : float, in [0, 1)

    Returns
    -------
    ndarray
        Source: lrbs.adam-epsilon.

    Raises
    ------
    ValueError
        If `batch_size` is not positive or `beta1` not in [0, 1).
    """
    return expected_step(model, SGD(momentum=fraction(beta1, "beta1")), batch_size).optimal_lr


# ------------------------------------------------------------------------------------------- pieces
def _dial(epsilon: float) -> float:
    """A positive epsilon; infinity is one end of the dial."""
    return math.inf if epsilon == math.inf else float(positive(epsilon, "epsilon"))
