"""Learning rates and batch sizes along a run: warm-up, annealing, batches that grow or follow noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.sgd import saturation
from lrbs.validation import Array, none_negative, plain, positive

__all__ = [
    "adaptive_batch_size",
    "cosine",
    "growing_batch_size",
    "linear_warmup",
    "matching_warmup",
    "noise_aware_lr",
    "warmup_displacement",
    "warmup_weight",
]


# ------------------------------------------------------------------------------------- the beginning
def linear_warmup(step: ArrayLike, warmup_steps: float, target_lr: float) -> Array:
    """Learning rate that rises in proportion to the step and then stays. Source: 10542.d35.

    Parameters
    ----------
    step : array_like, t >= 0
    warmup_steps : float, step at which the target is reached; positive
    target_lr : float, positive

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `step` is negative, `warmup_steps` or `target_lr` not positive.

    Examples
    --------
    >>> linear_warmup([0, 50, 100, 150], warmup_steps=100, target_lr=0.2)
    array([0. , 0.1, 0.2, 0.2])
    """
    share = none_negative(step, "step") / float(positive(warmup_steps, "warmup_steps"))
    return plain(float(positive(target_lr, "target_lr")) * np.minimum(share, 1))


def warmup_displacement(
    step: ArrayLike, warmup_steps: float, target_lr: float, gradient_length: float
) -> Array:
    """Bound on the expected distance from the start after `step` steps of a linear warm-up.

    It holds when the first step has s = 0, that is learning rate 0, in expectation, and for step <=
    warmup_steps. It is reached only if all gradients point one way.

    Parameters
    ----------
    step : array_like, number of steps taken
    warmup_steps, target_lr : float
    gradient_length : float, mean length of a batch gradient

    Returns
    -------
    ndarray
        Source: 10542.d36.

    Raises
    ------
    ValueError
        If `step` is negative or another argument not positive.
    """
    length = float(positive(gradient_length, "gradient_length"))
    rate = float(positive(target_lr, "target_lr"))
    return plain(
        none_negative(step, "step") ** 2 / (2 * float(positive(warmup_steps, "warmup_steps"))) * rate * length
    )


def warmup_weight(step: ArrayLike, warmup_steps: float, first: int = 0) -> Array:
    """Sum of the shares s / warmup_steps over `step` steps that count s from `first`: the exact t^2/(2T).

    Parameters
    ----------
    step : array_like, t >= 0
    warmup_steps : float, T > 0
    first : int, 0 or 1

    Returns
    -------
    ndarray
        t (t - 1) / (2T) for ``first=0``, as in 10542.d36; t (t + 1) / (2T), beyond t^2/(2T), for ``first=1``.

    Raises
    ------
    ValueError
        If `step` is negative or `warmup_steps` not positive.
    """
    t = none_negative(step, "step")
    return plain(t * (t - 1 + 2 * first) / (2 * float(positive(warmup_steps, "warmup_steps"))))


def matching_warmup(full_steps: ArrayLike = 1.0) -> Array:
    """Warm-up steps after which the bound 10542.d36 equals the length of `full_steps` steps at full rate.

    Parameters
    ----------
    full_steps : array_like, positive, 1 in the source

    Returns
    -------
    ndarray
        Source: 10542.d37.

    Raises
    ------
    ValueError
        If `full_steps` is not positive.

    Examples
    --------
    >>> float(matching_warmup())
    2.0
    """
    return plain(2 * positive(full_steps, "full_steps"))


# ------------------------------------------------------------------------------------------- the end
def cosine(step: ArrayLike, total_steps: float, max_lr: float, min_lr: float = 0.0) -> Array:
    """Learning rate that falls from `max_lr` to `min_lr` along half a cosine. Source: 10542.d50.

    Parameters
    ----------
    step : array_like, 0 <= t <= total_steps
    total_steps : float
    max_lr, min_lr : float, 0 <= min_lr <= max_lr

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If a step lies beyond the end: the cosine would rise again.
    """
    t, total = none_negative(step, "step"), float(positive(total_steps, "total_steps"))
    if (t > total).any():
        raise ValueError(
            f"step must not exceed total_steps = {total:g}; the largest that came is {t.max():g}"
        )
    if not 0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr must lie between 0 and max_lr = {max_lr:g}; got {min_lr:g}")
    return plain(min_lr + (max_lr - min_lr) / 2 * (1 + np.cos(np.pi * t / total)))


def growing_batch_size(step: ArrayLike, start: float, growth: float) -> Array:
    """Batch size that grows by the factor `growth` each step, in samples, not rounded. Source: 10542.d52.

    Parameters
    ----------
    step : array_like
    start : float, batch size at step 0
    growth : float, r > 1

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `step` is negative, `start` not positive or `growth` not above 1.
    """
    if not growth > 1:
        raise ValueError(f"growth must exceed 1; got {growth!r}")
    return plain(float(positive(start, "start")) * float(growth) ** none_negative(step, "step"))


def noise_aware_lr(batch_size: ArrayLike, max_lr: ArrayLike, noise_scale: ArrayLike) -> Array:
    """SGD's law 10542.10 with limits and noise scales that change along the run. Source: 10542.d51.

    Parameters
    ----------
    batch_size, max_lr, noise_scale : array_like, each a number or one for each step; broadcast

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    return saturation(batch_size, positive(max_lr, "max_lr"), noise_scale)


# ------------------------------------------------------------------------------------------ the batch
def adaptive_batch_size(noise_scale: ArrayLike, max_batch_size: float, fraction: float) -> Array:
    """A share of the noise scale, up to a limit; in samples, not rounded. Source: 10542.d44.

    Parameters
    ----------
    noise_scale : array_like, B_noise(t)
    max_batch_size : float
    fraction : float, alpha, positive

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `noise_scale`, `max_batch_size` or `fraction` is not positive.
    """
    share = float(positive(fraction, "fraction")) * positive(noise_scale, "noise_scale")
    return plain(np.minimum(share, float(positive(max_batch_size, "max_batch_size"))))
