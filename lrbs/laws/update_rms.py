"""The update RMS: why Adam's is about 0.2, and the noise scale that can be read off it.

Both readings here give the ratio of signal to noise of a batch gradient, |mu|^2/|sigma|^2 = B/B_simple.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.adam_finite import corrected_square
from lrbs.laws.averaging import ema_noise_factor
from lrbs.rules import Adam
from lrbs.validation import Array, count, none_negative, plain, positive, real_array, vector

__all__ = [
    "expected_update_rms",
    "momentum_norm",
    "momentum_ratio",
    "root_mean_square",
    "signal_from_momentum_ratio",
    "signal_from_update_rms",
    "signal_seen_by_rms",
    "simulated_updates",
]


def root_mean_square(update: ArrayLike) -> float:
    """Root mean square over coordinates: |u| / sqrt(N), what training runs log.

    Parameters
    ----------
    update : array_like, any shape

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `update` is not a finite vector.
    """
    u = vector(np.ravel(np.asarray(update)), "update")
    return float(np.sqrt(np.mean(u**2)))


def simulated_updates(
    rule: Adam,
    gradient: ArrayLike,
    deviation: ArrayLike,
    *,
    rng: int | np.random.Generator,
    steps: int | None = None,
) -> Array:
    """Adam's update after many steps under a constant gradient and normal noise, by running its recursion.

    Parameters
    ----------
    rule : Adam
    gradient : array_like, shape (N,)
        Mean of the batch gradient, one coordinate a sample.
    deviation : array_like
        Its standard deviation, broadcast against `gradient`.
    rng : int or numpy.random.Generator
    steps : int, optional, the rule's `horizon` unless told

    Returns
    -------
    ndarray, shape (N,)
        In memory of a few vectors. Source: 11267.tsim.

    Raises
    ------
    ValueError
        If shapes do not fit or `steps` is no integer of at least 1.
    """
    mu, spread = vector(gradient, "gradient"), real_array(deviation, "deviation")
    generator = np.random.default_rng(rng)
    state = rule.init(mu.shape)
    for _ in range(rule.horizon if steps is None else count(steps, "steps")):
        phi, state = rule.update(mu + spread * generator.standard_normal(mu.size), state)
    return phi


def expected_update_rms(signal: ArrayLike, beta1: float) -> Array:
    """Adam's update RMS, mean field, one ratio of signal to noise for all coordinates.

    Parameters
    ----------
    signal : array_like
        |mu|^2 / |sigma|^2 >= 0 of the batch gradient, which is B / B_simple.
    beta1 : float, in [0, 1)

    Returns
    -------
    ndarray
        From sqrt((1 - beta1)/(1 + beta1)) for pure noise to 1 for none. Source: 11267.7, 11267.8.

    Raises
    ------
    ValueError
        If `signal` is negative or `beta1` not in [0, 1).

    Examples
    --------
    >>> round(float(expected_update_rms(0.0, beta1=0.9)), 4)
    0.2294
    """
    ratio = none_negative(signal, "signal")
    return plain(np.sqrt((ratio + ema_noise_factor(beta1)) / (ratio + 1)))


def signal_from_update_rms(rms: ArrayLike, beta1: float, beta2: float | None = None) -> Array:
    """B / B_simple as read off Adam's update RMS. Source: 11267.9.

    Parameters
    ----------
    rms : array_like
        Between 0 and 1. With weight decay: of the update without it.
    beta1 : float, in [0, 1)
    beta2 : float, optional
        If given, the level of pure noise is corrected for the fluctuations of v (11267.tfinite).

    Returns
    -------
    ndarray
        Not positive where the RMS does not exceed the level of pure noise: the signal is then not resolved,
        and nothing is clipped to hide it. Divide the batch size by it for B_simple.

    Raises
    ------
    ValueError
        If an RMS is not above 0 and below 1: no stationary Adam has that.

    Examples
    --------
    >>> round(float(signal_from_update_rms(0.25, beta1=0.9)), 5)
    0.01053
    """
    floor = ema_noise_factor(beta1) if beta2 is None else float(corrected_square(0.0, 1.0, beta1, beta2))
    return _signal(rms, "rms", floor)


def momentum_norm(gradient_norm: ArrayLike, noise_norm: ArrayLike, momentum: float) -> Array:
    """|m| of the average from the norms of the mean gradient and of its deviations. Source: 11267.11.

    Parameters
    ----------
    gradient_norm, noise_norm : array_like
        |mu| of the mean gradient and |sigma| of the deviations of a batch gradient; broadcast.
    momentum : float, in [0, 1)

    Returns
    -------
    ndarray
        Exact in the mean square for any noise that is new at every step.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).
    """
    mu, sigma = real_array(gradient_norm, "gradient_norm"), real_array(noise_norm, "noise_norm")
    return plain(np.sqrt(mu**2 + ema_noise_factor(momentum) * sigma**2))


def momentum_ratio(gradient_norm: ArrayLike, noise_norm: ArrayLike, momentum: float) -> Array:
    """|m| / |g| of the average and the batch gradient. Source: 11267.12.

    Parameters
    ----------
    gradient_norm, noise_norm : array_like
        |mu| of the mean gradient and |sigma| of the deviations of a batch gradient; broadcast.
    momentum : float, in [0, 1)

    Returns
    -------
    ndarray
        Adam's update RMS when all coordinates share one ratio of signal to noise, and free of that condition.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1), or both norms are zero.
    """
    whole = momentum_norm(gradient_norm, noise_norm, momentum=0.0)
    return plain(momentum_norm(gradient_norm, noise_norm, momentum) / positive(whole, "gradient_norm"))


def signal_from_momentum_ratio(ratio: ArrayLike, momentum: float) -> Array:
    """B / B_simple as read off |m| / |g|, for any optimiser with momentum, Muon included. Source: 11267.13.

    Parameters
    ----------
    ratio : array_like
        |m| / |g| between 0 and 1: norm of the average over norm of the batch gradient.
    momentum : float, in [0, 1)

    Returns
    -------
    ndarray
        Not positive where the signal is not resolved; nothing is clipped.

    Raises
    ------
    ValueError
        If `ratio` is not between 0 and 1, or `momentum` not in [0, 1).
    """
    return _signal(ratio, "ratio", ema_noise_factor(momentum))


def signal_seen_by_rms(signal: ArrayLike) -> float:
    """What the inversion of the update RMS gives when coordinates differ in their ratio of signal to noise.

    Parameters
    ----------
    signal : array_like, shape (N,)
        mu_i^2 / sigma_i^2 of the batch gradient, coordinate by coordinate.

    Returns
    -------
    float
        An average in which each coordinate counts as much as any other. B / B_simple weighs them by their
        noise sigma_i^2 instead: the two differ when quiet coordinates have the better ratio. Source:
        lrbs.rms-average.

    Raises
    ------
    ValueError
        If `signal` is negative or not a vector.
    """
    rho = none_negative(vector(signal, "signal"), "signal")
    return float(np.sum(rho / (1 + rho)) / np.sum(1 / (1 + rho)))


def _signal(value: ArrayLike, name: str, floor: float) -> Array:
    squared = positive(value, name) ** 2
    if not (squared < 1).all():
        raise ValueError(
            f"{name} must be below 1, its value without noise; the largest that came is "
            f"{np.sqrt(squared.max()):.6g}"
        )
    return plain((squared - floor) / (1 - squared))
