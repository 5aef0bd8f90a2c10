"""The two classical scaling rules, and the increment of SGD, -eta g_B: its noise and what that costs.

A scaling rule answers the question what should stay the same when the batch grows. The square-root rule
keeps the covariance of one increment, the linear rule that of a path for each unit of time, see
:mod:`lrbs.laws.sde`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.model import LocalModel
from lrbs.operators import Operator, trace_product
from lrbs.validation import Array, plain, positive, real_array

__all__ = [
    "effective_temperature",
    "increment_covariance",
    "linear_rule",
    "noise_cost",
    "noise_strength",
    "rms_update_length",
    "signal_to_noise",
    "square_root_rule",
    "update_length",
]


def square_root_rule(learning_rate: ArrayLike, growth: ArrayLike) -> Array:
    """Learning rate that keeps the covariance of one increment when the batch grows. Source: 10542.2.

    Parameters
    ----------
    learning_rate : array_like, before the change, positive
    growth : array_like, new batch size over old, positive

    Returns
    -------
    ndarray, learning_rate * sqrt(growth)

    Raises
    ------
    ValueError
        If `learning_rate` or `growth` is not positive.

    Examples
    --------
    >>> float(square_root_rule(0.1, growth=16))
    0.4
    """
    return plain(positive(learning_rate, "learning_rate") * np.sqrt(positive(growth, "growth")))


def linear_rule(learning_rate: ArrayLike, growth: ArrayLike) -> Array:
    """Learning rate that keeps the noise of the path for each unit of time: learning_rate * growth.

    Parameters
    ----------
    learning_rate : array_like, before the change, positive
    growth : array_like, new batch size over old, positive

    Returns
    -------
    ndarray
        Keeps the coefficients of the differential equation of SGD (:func:`lrbs.laws.sde_runs`). Source:
        10542.5.

    Raises
    ------
    ValueError
        If `learning_rate` or `growth` is not positive.

    Examples
    --------
    >>> float(linear_rule(0.1, growth=16))
    1.6
    """
    return plain(positive(learning_rate, "learning_rate") * positive(growth, "growth"))


def effective_temperature(batch_size: ArrayLike, learning_rate: ArrayLike) -> Array:
    """eta / B, to which the variance of the stationary cloud is proportional at small learning rates.

    Parameters
    ----------
    batch_size, learning_rate : array_like, positive, broadcast

    Returns
    -------
    ndarray
        At eta lambda = x the proportionality understates the variance by the share x/2 of it. Source:
        10542.d33.

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    """
    return plain(positive(learning_rate, "learning_rate") / positive(batch_size, "batch_size"))


def increment_covariance(model: LocalModel, batch_size: float, learning_rate: float) -> Operator:
    """Covariance eta^2 Sigma/B of one increment of SGD, with the structure of Sigma. Source: 10542.d31.

    Parameters
    ----------
    model : LocalModel
    batch_size, learning_rate : float, positive

    Returns
    -------
    Operator

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    """
    return model.noise(batch_size).scaled(float(positive(learning_rate, "learning_rate")) ** 2)


def noise_strength(model: LocalModel, batch_size: float, learning_rate: float) -> float:
    """Frobenius norm of the covariance of one increment, eta^2 ||Sigma||_F / B. Source: 10542.d31.

    Parameters
    ----------
    model : LocalModel
    batch_size, learning_rate : float, positive

    Returns
    -------
    float, in squared units of the parameters

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    """
    covariance = increment_covariance(model, batch_size, learning_rate)
    return float(np.sqrt(trace_product(covariance, covariance)))


def signal_to_noise(model: LocalModel, batch_size: ArrayLike) -> Array:
    """Length of the mean increment over the root mean square length of its noise, sqrt(B/B_simple).

    Parameters
    ----------
    model : LocalModel
    batch_size : array_like, positive

    Returns
    -------
    ndarray
        Without a learning rate among the arguments: it cancels. Source: 10542.d6.

    Raises
    ------
    ValueError
        If `batch_size` is not positive.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[4.0, 4.0], hessian=[1.0, 3.0]
    ... )
    >>> float(signal_to_noise(model, 4 * model.simple_noise_scale))
    2.0
    """
    return plain(np.sqrt(positive(batch_size, "batch_size") / model.simple_noise_scale))


def noise_cost(model: LocalModel, batch_size: ArrayLike, learning_rate: ArrayLike) -> Array:
    """Twice the loss that the noise of one step costs, per unit of learning rate: eta tr(H Sigma)/B.

    To be held against ||g||^2, what a small step gains per unit of learning rate.

    Parameters
    ----------
    model : LocalModel
    batch_size, learning_rate : array_like, positive, broadcast

    Returns
    -------
    ndarray
        Exact on a quadratic loss. Source: 10542.d22, and 10542.d23 for H = lambda I.

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    """
    rate, size = positive(learning_rate, "learning_rate"), positive(batch_size, "batch_size")
    return plain(rate / size * trace_product(model.covariance, model.hessian))


def update_length(learning_rate: ArrayLike, gradient: ArrayLike) -> Array:
    """Length of the step that SGD takes on a batch gradient.

    Parameters
    ----------
    learning_rate : array_like, positive
    gradient : array_like, shape (..., N), batch gradients

    Returns
    -------
    ndarray, shape (...)
        Source: 10542.d34. Over batches its root mean square is :func:`rms_update_length`.

    Raises
    ------
    ValueError
        If `learning_rate` is not positive.
    """
    vectors = real_array(gradient, "gradient")
    return plain(positive(learning_rate, "learning_rate") * np.linalg.norm(vectors, axis=-1))


def rms_update_length(model: LocalModel, batch_size: ArrayLike, learning_rate: ArrayLike) -> Array:
    """Root mean square over batches of the length of an SGD step, eta ||g|| sqrt(1 + B_simple/B).

    Parameters
    ----------
    model : LocalModel
    batch_size, learning_rate : array_like, positive, broadcast

    Returns
    -------
    ndarray
        Source: 10542.d34 with 10542.1.

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    """
    rate, size = positive(learning_rate, "learning_rate"), positive(batch_size, "batch_size")
    return plain(rate * np.sqrt(model.squared_gradient * (1 + model.simple_noise_scale / size)))
