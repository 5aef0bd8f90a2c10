"""One step of any rule: two scalars, and the learning rate and progress that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.approximations import exact, mean_field, scalar_mean_field
from lrbs.model import LocalModel
from lrbs.moments import Method
from lrbs.operators import trace_product
from lrbs.rules import SGD, Preconditioned, UpdateRule
from lrbs.validation import Array, plain, positive, real_array, vector

__all__ = ["Step", "expected_step", "loss_decrease", "optimal_lr", "quadratic_loss_change"]


def optimal_lr(alignment: ArrayLike, curvature: ArrayLike) -> Array:
    """Learning rate that minimises the expected loss after one step, alignment / curvature. Source: 11260.3.

    Parameters
    ----------
    alignment : array_like, E[phi]^T g
    curvature : array_like, tr(E[phi phi^T] H), positive

    Returns
    -------
    ndarray, in units of parameter per unit of update

    Raises
    ------
    ValueError
        If a curvature is not positive: the quadratic has no minimum.

    Examples
    --------
    >>> float(optimal_lr(3.0, 6.0))
    0.5
    """
    return plain(real_array(alignment, "alignment") / _curved(curvature))


def loss_decrease(alignment: ArrayLike, curvature: ArrayLike) -> Array:
    """Expected loss decrease at the optimal rate, alignment^2 / (2 curvature). Source: 11280.9, 11280.14.

    Parameters
    ----------
    alignment : array_like, E[phi]^T g
    curvature : array_like, tr(E[phi phi^T] H), positive

    Returns
    -------
    ndarray, in units of the loss

    Raises
    ------
    ValueError
        If a curvature is not positive: the quadratic has no minimum.

    Examples
    --------
    >>> float(loss_decrease(3.0, 6.0))
    0.75
    """
    return plain(real_array(alignment, "alignment") ** 2 / (2 * _curved(curvature)))


def quadratic_loss_change(model: LocalModel, update: ArrayLike, learning_rate: ArrayLike) -> Array:
    """Change of the loss by w -> w - learning_rate * update, to second order.

    Parameters
    ----------
    model : LocalModel
    update : array_like, shape (N,)
    learning_rate : array_like

    Returns
    -------
    ndarray
        Shaped like `learning_rate`; exact when the loss is quadratic, else with an error of third order in
        the learning rate. Source: 11285.1, 11260.1, 10542.7.

    Raises
    ------
    ValueError
        If `update` is not a finite vector.
    """
    phi = vector(update, "update", model.size)
    eta = real_array(learning_rate, "learning_rate")
    return plain(-eta * (phi @ model.gradient) + eta**2 / 2 * (phi @ (model.hessian @ phi)))


@dataclass(frozen=True)
class Step:
    """Expected effect of one step of a rule.

    Attributes
    ----------
    alignment : ndarray
        E[phi]^T g: slope of the expected loss against the learning rate.
    curvature : ndarray, tr(E[phi phi^T] H): its second derivative
    """

    alignment: Array
    curvature: Array

    @property
    def optimal_lr(self) -> Array:
        """Learning rate of the lowest expected loss. Source: 11260.3."""
        return optimal_lr(self.alignment, self.curvature)

    @property
    def loss_decrease(self) -> Array:
        """Expected decrease of the loss at that learning rate. Source: 11280.9."""
        return loss_decrease(self.alignment, self.curvature)

    def loss_change(self, learning_rate: ArrayLike) -> Array:
        """Expected change of the loss, -eta alignment + eta^2/2 curvature. Source: 11285.2, 11260.2, 10542.8.

        Parameters
        ----------
        learning_rate : array_like, broadcast against the shape of the step

        Returns
        -------
        ndarray, negative where the step helps
        """
        eta = real_array(learning_rate, "learning_rate")
        return plain(-eta * self.alignment + eta**2 / 2 * self.curvature)


def expected_step(
    model: LocalModel, rule: UpdateRule, batch_size: ArrayLike, method: Method = mean_field
) -> Step:
    """Alignment and curvature of one step, by a closed form. Source: 10542.9, 11280.14.

    Parameters
    ----------
    model : LocalModel
    rule : UpdateRule
        Rules with memory are taken in their stationary state under the model's gradient.
    batch_size : array_like, positive, any shape
    method : callable
        :func:`lrbs.exact`, :func:`lrbs.mean_field`, :func:`lrbs.scalar_mean_field` or one of your own.

    Returns
    -------
    Step
        Shaped like `batch_size`. Memory is that of a few vectors, whatever the number of batch sizes.

    Raises
    ------
    ValueError
        Batch sizes that are not positive and finite.
    NotImplementedError
        If `method` has no form for `rule`, or a trace cannot be had from the structures given.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[4.0, 4.0], hessian=[1.0, 3.0]
    ... )
    >>> expected_step(model, SGD(), [4.0, 12.0]).optimal_lr
    array([0.25 , 0.375])
    """
    sizes = positive(batch_size, "batch_size")
    pairs = np.empty((sizes.size, 2))
    linear = type(rule) in (SGD, Preconditioned) and method in (exact, mean_field, scalar_mean_field)
    if linear and sizes.size:
        # A linear rule's mean does not know the noise and its covariance is proportional to it: one
        # trace serves all batch sizes.
        alignment, signal, noise = _parts(model, rule, 1.0, method)
        pairs[:, 0], pairs[:, 1] = alignment, signal + noise / sizes.reshape(-1)
    else:
        for index, size in enumerate(sizes.reshape(-1)):
            alignment, signal, noise = _parts(model, rule, float(size), method)
            pairs[index] = alignment, signal + noise
    return Step(*(plain(column.reshape(sizes.shape)) for column in pairs.T))


def _parts(
    model: LocalModel, rule: UpdateRule, batch_size: float, method: Method
) -> tuple[float, float, float]:
    """Alignment, curvature of the mean update, curvature of its noise."""
    moments = method(rule, model.gradient, model.noise(batch_size))
    mean = moments.mean
    signal = float(mean @ (model.hessian @ mean))
    return float(mean @ model.gradient), signal, trace_product(moments.covariance, model.hessian)


def _curved(curvature: ArrayLike) -> Array:
    values = real_array(curvature, "curvature")
    if not (values > 0).all():
        raise ValueError(
            f"curvature must be positive; the smallest that came is {values.min():.6g}. The quadratic has no "
            "minimum: use a Gauss-Newton or damped Hessian (H + lambda I), or another point of training"
        )
    return values
