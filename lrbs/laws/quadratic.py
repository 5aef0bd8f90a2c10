"""The cloud that the runs of SGD form on a quadratic, exactly, and as the differential equation has it.

All here is written in the eigenvectors of the Hessian, where a quadratic falls apart into directions.
The mean and the variance along each of them follow from step to step without approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.momentum import stationary_variance
from lrbs.laws.scaling import effective_temperature
from lrbs.laws.sde import sgd_step
from lrbs.model import LocalModel
from lrbs.validation import Array, count, none_negative, plain, positive, real_array, vector

__all__ = ["Cloud", "Quadratic", "sde_cloud", "settled_variance", "sgd_cloud", "sgd_runs"]


@dataclass(frozen=True, init=False)
class Quadratic:
    """L(w) = sum_i curvature_i w_i^2 / 2, whose sample gradients scatter around curvature_i w_i.

    Parameters
    ----------
    curvature : array_like, shape (N,)
        Eigenvalues of the Hessian, positive; the coordinates are its eigenvectors, the minimum is at 0.
    variance : array_like, shape (N,)
        Variance of one sample's gradient along each eigenvector, the same everywhere. The noise may be
        correlated between them: what is said of each direction holds all the same.

    Raises
    ------
    ValueError
        If an eigenvalue is not positive, a variance negative, or shapes differ.
    """

    curvature: Array
    variance: Array

    def __init__(self, curvature: ArrayLike, variance: ArrayLike) -> None:
        eigenvalues = positive(vector(curvature, "curvature"), "curvature")
        variances = none_negative(vector(variance, "variance", eigenvalues.size), "variance")
        object.__setattr__(self, "curvature", eigenvalues)
        object.__setattr__(self, "variance", variances)

    def at(self, weights: ArrayLike) -> LocalModel:
        """The local model at a point, with independent directions.

        Parameters
        ----------
        weights : array_like, shape (N,)

        Returns
        -------
        LocalModel

        Raises
        ------
        ValueError
            If `weights` is not a finite vector.
        """
        return LocalModel(self.curvature * vector(weights, "weights"), self.variance, self.curvature)

    def loss(self, weights: ArrayLike) -> Array:
        """L(w) at each of some points.

        Parameters
        ----------
        weights : array_like, shape (..., N)

        Returns
        -------
        ndarray, shape (...)
        """
        return plain(np.sum(self.curvature * real_array(weights, "weights") ** 2, axis=-1) / 2)


@dataclass(frozen=True)
class Cloud:
    """Where the runs of SGD are: mean and variance along each direction.

    Attributes
    ----------
    mean, variance : ndarray, shape (moments, N)
    """

    mean: Array
    variance: Array

    def expected_loss(self, quadratic: Quadratic) -> Array:
        """Mean loss of the runs.

        Parameters
        ----------
        quadratic : Quadratic

        Returns
        -------
        ndarray, shape (moments,)
        """
        return plain((self.mean**2 + self.variance) @ quadratic.curvature / 2)


def sgd_runs(
    quadratic: Quadratic,
    start: ArrayLike,
    *,
    batch_size: ArrayLike,
    learning_rate: ArrayLike,
    steps: int,
    runs: int,
    rng: int | np.random.Generator,
) -> Array:
    """Runs of SGD on a quadratic under normal noise, independent between directions.

    Parameters
    ----------
    quadratic : Quadratic
    start : array_like, shape (N,)
    batch_size, learning_rate : array_like, positive, a number, or one for each step
    steps, runs : int
    rng : int or numpy.random.Generator

    Returns
    -------
    ndarray, shape (steps + 1, runs, N)

    Raises
    ------
    ValueError
        If a batch size or learning rate is not positive, or shapes do not fit.
    """
    generator = np.random.default_rng(rng)
    rates, sizes = _per_step(batch_size, learning_rate, steps)
    origin = vector(start, "start", quadratic.curvature.size)
    path = np.empty((steps + 1, count(runs, "runs"), origin.size))
    path[0] = origin
    for t, (eta, size) in enumerate(zip(rates, sizes, strict=True)):
        noise = np.sqrt(quadratic.variance / size) * generator.standard_normal(path[t].shape)
        path[t + 1] = sgd_step(path[t], quadratic.curvature * path[t], noise, eta)
    return path


def sgd_cloud(
    quadratic: Quadratic,
    start: ArrayLike,
    *,
    batch_size: ArrayLike,
    learning_rate: ArrayLike,
    steps: int,
    start_variance: ArrayLike = 0.0,
) -> Cloud:
    """Mean and variance of the runs of SGD after 0, 1, ..., `steps` steps, exactly.

    m <- (1 - eta lambda) m and v <- (1 - eta lambda)^2 v + eta^2 sigma^2/B, for any noise distribution.

    Parameters
    ----------
    quadratic : Quadratic
    start : array_like, shape (N,)
    batch_size, learning_rate : array_like, positive, a number, or one for each step
    steps : int
    start_variance : array_like, shape (N,), of the starting points; none unless told

    Returns
    -------
    Cloud, of shape (steps + 1, N)

    Raises
    ------
    ValueError
        If a batch size or learning rate is not positive, or shapes do not fit.
    """
    rates, sizes = _per_step(batch_size, learning_rate, steps)
    mean = np.empty((steps + 1, quadratic.curvature.size))
    variance = np.empty_like(mean)
    mean[0], variance[0] = vector(start, "start", quadratic.curvature.size), start_variance
    for t, (eta, size) in enumerate(zip(rates, sizes, strict=True)):
        shrink = 1 - eta * quadratic.curvature
        mean[t + 1] = shrink * mean[t]
        variance[t + 1] = shrink**2 * variance[t] + eta**2 * quadratic.variance / size
    return Cloud(mean, variance)


def sde_cloud(
    quadratic: Quadratic, start: ArrayLike, *, batch_size: float, learning_rate: float, time: ArrayLike
) -> Cloud:
    """Mean and variance of the differential equation's paths (an Ornstein-Uhlenbeck process).

    Parameters
    ----------
    quadratic : Quadratic
    start : array_like, shape (N,)
    batch_size, learning_rate : float, positive
    time : array_like, shape (moments,)
        In units of learning rate: eta times the number of steps.

    Returns
    -------
    Cloud
        Of shape (moments, N); it depends on eta and B through their ratio alone. Source: 10542.5.

    Raises
    ------
    ValueError
        If a batch size or learning rate is not positive, or shapes do not fit.
    """
    moments = vector(time, "time")[:, None]
    decay = np.exp(-quadratic.curvature * moments)
    limit = effective_temperature(batch_size, learning_rate) * quadratic.variance / (2 * quadratic.curvature)
    return Cloud(vector(start, "start") * decay, limit * (1 - decay**2))


def settled_variance(quadratic: Quadratic, batch_size: float, learning_rate: float) -> Array:
    """Variance of the cloud along each direction once the start is forgotten.

    The fixed point of the recursion of :func:`sgd_cloud`; the differential equation has 2 in the place
    of 2 - eta lambda.

    Parameters
    ----------
    quadratic : Quadratic
    batch_size : float
    learning_rate : float
        Below 2 / (largest curvature): beyond, the runs diverge.

    Returns
    -------
    ndarray, shape (N,)
        Source: lrbs.stationary-variance.

    Raises
    ------
    ValueError
        If the learning rate is not stable, or an argument not positive.

    Examples
    --------
    >>> quadratic = Quadratic(curvature=[2.0], variance=[3.0])
    >>> variance = settled_variance(quadratic, learning_rate=0.1, batch_size=4)
    >>> variance.round(5)
    array([0.02083])
    """
    noise = quadratic.variance / positive(batch_size, "batch_size")
    return stationary_variance(quadratic.curvature, learning_rate, noise)


def _per_step(batch_size: ArrayLike, learning_rate: ArrayLike, steps: int) -> tuple[Array, Array]:
    shape = (count(steps, "steps"),)
    rates, sizes = positive(learning_rate, "learning_rate"), positive(batch_size, "batch_size")
    for name, array in (("learning_rate", rates), ("batch_size", sizes)):
        if array.shape not in ((), shape):
            raise ValueError(f"{name} must be a number or have shape {shape}; got {array.shape}")
    return np.broadcast_to(rates, shape), np.broadcast_to(sizes, shape)
