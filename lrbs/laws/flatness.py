"""Curvature put to use: steps of second order, and the sharpness that is said to explain generalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.approximations import exact
from lrbs.model import LocalModel
from lrbs.operators import Operator
from lrbs.rules import Preconditioned
from lrbs.validation import Array, plain, positive, real_array, symmetric_matrix, vector

__all__ = [
    "generalisation_gap",
    "natural_gradient_step",
    "newton_covariance",
    "newton_noise_scale",
    "sharpness",
]


def newton_covariance(model: LocalModel, batch_size: float, learning_rate: float) -> Operator:
    """Covariance of the increment -eta H^-1 g_B of Newton's method with the exact Hessian. Source: 10542.d53.

    Parameters
    ----------
    model : LocalModel, its Hessian must be small enough to invert
    batch_size, learning_rate : float, positive

    Returns
    -------
    Operator

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive.
    numpy.linalg.LinAlgError
        If the Hessian is singular.
    """
    rule = Preconditioned(np.linalg.inv(model.hessian.dense()))
    moments = exact(rule, model.gradient, model.noise(batch_size))
    return moments.covariance.scaled(float(positive(learning_rate, "learning_rate")) ** 2)


def newton_noise_scale(model: LocalModel) -> float:
    """Noise scale of Newton's method, tr(Sigma H^-1) / g^T H^-1 g, in samples. Source: 10542.d53.

    Parameters
    ----------
    model : LocalModel, its Hessian must be small enough to invert

    Returns
    -------
    float
        By 11260.3 with phi = H^-1 g_B the optimal learning rate is 1/(1 + B_Newton/B).

    Raises
    ------
    numpy.linalg.LinAlgError
        If the Hessian is singular.
    """
    inverse = np.linalg.inv(model.hessian.dense())
    noise = float(np.trace(np.asarray(model.covariance @ inverse)))
    return noise / float(model.gradient @ inverse @ model.gradient)


def natural_gradient_step(
    weights: ArrayLike, gradient: ArrayLike, fisher: ArrayLike, learning_rate: float
) -> Array:
    """Weights after one step along F^-1 times a batch gradient. Source: 10542.d54.

    Parameters
    ----------
    weights : array_like, shape (N,)
    gradient : array_like, shape (N,), of a batch
    fisher : array_like, shape (N, N)
        Fisher information matrix F, symmetric and invertible. When it is known, or estimated from other
        data than the batch, :class:`lrbs.Preconditioned` with F^-1 gives the law of the learning rate;
        an F estimated from the batch itself is no fixed preconditioner, and that law does not hold.
    learning_rate : float

    Returns
    -------
    ndarray, shape (N,)

    Raises
    ------
    ValueError
        If shapes do not fit, `fisher` is not symmetric or `learning_rate` is not positive.
    numpy.linalg.LinAlgError
        If `fisher` is singular.
    """
    start = vector(weights, "weights")
    slope = vector(gradient, "gradient", start.size)
    matrix = symmetric_matrix(fisher, "fisher")
    return start - float(positive(learning_rate, "learning_rate")) * np.linalg.solve(matrix, slope)


def sharpness(hessian: Operator) -> float:
    """Trace of the Hessian, as `LocalModel.hessian` keeps it; :class:`lrbs.operators.Probed` estimates it.

    Parameters
    ----------
    hessian : Operator

    Returns
    -------
    float
        It changes with the units of the parameters: compare points of one network only. Source: 10542.d32.
    """
    return hessian.trace()


def generalisation_gap(test_loss: ArrayLike, training_loss: ArrayLike) -> Array:
    """Loss on data kept back minus loss on the training data. Source: 10542.d30.

    Parameters
    ----------
    test_loss, training_loss : array_like

    Returns
    -------
    ndarray
    """
    return plain(real_array(test_loss, "test_loss") - real_array(training_loss, "training_loss"))
