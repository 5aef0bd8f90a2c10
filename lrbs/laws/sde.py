"""SGD over many steps, and the stochastic differential equation that it takes steps of.

On a quadratic the cloud of all runs is known without simulation: :mod:`lrbs.laws.quadratic`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.scaling import effective_temperature
from lrbs.validation import Array, count, plain, positive, real_array, vector

__all__ = ["diffusion_coefficient", "sde_runs", "sde_step", "sgd_step"]


def sgd_step(weights: ArrayLike, gradient: ArrayLike, noise: ArrayLike, learning_rate: ArrayLike) -> Array:
    """Weights after a step of SGD, its batch gradient split into mean and noise. Source: 10542.3.

    Parameters
    ----------
    weights, gradient, noise : array_like, shape (..., N)
        `noise` is the batch gradient minus `gradient`.
    learning_rate : array_like

    Returns
    -------
    ndarray, shape (..., N)

    Raises
    ------
    ValueError
        If `learning_rate` is not positive.
    """
    g, xi = real_array(gradient, "gradient"), real_array(noise, "noise")
    eta = positive(learning_rate, "learning_rate")
    return plain(real_array(weights, "weights") - eta * g - eta * xi)


def diffusion_coefficient(covariance: ArrayLike, batch_size: float, learning_rate: float) -> Array:
    """Coefficient sqrt(eta Sigma/B) of the noise in the differential equation of SGD.

    Parameters
    ----------
    covariance : array_like, shape (N,) or (N, N)
        Sigma, or its diagonal if the directions are independent.
    batch_size, learning_rate : float
        Positive. Only their ratio matters: this is what linear scaling keeps.

    Returns
    -------
    ndarray, shaped like `covariance`
        A symmetric square root. Source: 10542.4, 10542.5.

    Raises
    ------
    ValueError
        If `batch_size` or `learning_rate` is not positive, or `covariance` has a negative eigenvalue.
    """
    temperature = float(effective_temperature(batch_size, learning_rate))
    sigma = real_array(covariance, "covariance", ndim=(1, 2))
    values, vectors = (sigma, None) if sigma.ndim == 1 else np.linalg.eigh(sigma)
    if values.min() < -1e-10 * np.abs(values).max():
        raise ValueError(f"covariance must have no negative eigenvalue; the smallest is {values.min():.6g}")
    roots = np.sqrt(temperature * np.maximum(values, 0))  # what is left below zero is rounding
    return roots if vectors is None else np.asarray((vectors * roots) @ vectors.T)


def sde_step(weights: ArrayLike, drift: ArrayLike, diffusion: Array, time_step: float, z: ArrayLike) -> Array:
    """One Euler-Maruyama step: -drift * dt - sqrt(dt) * diffusion z. Source: 10542.4.

    With `drift` the gradient and `time_step` the learning rate it is a step of SGD under normal noise. The
    drift advances with the step and the noise with its square root: therein lies the linear rule.

    Parameters
    ----------
    weights, drift : array_like, shape (..., N)
    diffusion : ndarray, shape (N,) or (N, N)
        From :func:`diffusion_coefficient`.
    time_step : float
    z : array_like, shape (..., N), independent standard normal numbers

    Returns
    -------
    ndarray, shape (..., N)

    Raises
    ------
    ValueError
        If `time_step` is not positive.
    """
    dt = float(positive(time_step, "time_step"))
    numbers = real_array(z, "z")
    noise = numbers * diffusion if diffusion.ndim == 1 else numbers @ diffusion
    return plain(real_array(weights, "weights") - dt * real_array(drift, "drift") - np.sqrt(dt) * noise)


def sde_runs(
    drift: Callable[[Array], Array],
    diffusion: Array,
    start: ArrayLike,
    *,
    time_step: float,
    steps: int,
    runs: int,
    rng: int | np.random.Generator,
) -> Array:
    """Runs of dw = -drift(w) dt - diffusion dz by Euler-Maruyama. Source: 10542.5.

    Parameters
    ----------
    drift : callable
        Gradient of the expected loss at weights (runs, N).
    diffusion : ndarray, shape (N,) or (N, N)
        From :func:`diffusion_coefficient`; constant along the run.
    start : array_like, shape (N,)
    time_step : float
        In units of learning rate: k steps of SGD take the time k * eta.
    steps, runs : int
    rng : int or numpy.random.Generator

    Returns
    -------
    ndarray, shape (steps + 1, runs, N)

    Raises
    ------
    ValueError
        If `runs` or `steps` is no integer of at least 1 or `start` is not a finite vector.
    """
    generator = np.random.default_rng(rng)
    origin = vector(start, "start")
    path = np.empty((count(steps, "steps") + 1, count(runs, "runs"), origin.size))
    path[0] = origin
    for t in range(steps):
        z = generator.standard_normal(path[t].shape)
        path[t + 1] = sde_step(path[t], drift(path[t]), diffusion, time_step, z)
    return path
