"""Noise scales read off what training logs anyway: the update RMS, the norms of momentum and gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.averaging import ema_noise_factor
from lrbs.laws.update_rms import signal_from_momentum_ratio, signal_from_update_rms
from lrbs.noise_scale.estimate import NoiseScaleEstimate, jackknife
from lrbs.noise_scale.gradients import SKIP
from lrbs.validation import Array, count, positive, real_array

__all__ = ["noise_scale_from_momentum", "noise_scale_from_update_rms"]

OF_NORMS = (
    "Is the first norm that of the normalised average, (1 - momentum) times a buffer that keeps the sum, "
    "momentum right, and are both of gradients before clipping, or both after?"
)
OF_RMS = (
    "Is it the RMS of updates without learning rate and weight decay, after both averages have settled, over "
    "coordinates that have gradients, and beta1 right?"
)

# Parts of a log for the jackknife: at most so many, each at least so many memories of the average long.
_PARTS = 20
_MEMORIES = 3


def noise_scale_from_momentum(
    momentum_norms: ArrayLike,
    gradient_norms: ArrayLike,
    momentum: float,
    batch_size: float,
    *,
    unit: str = "samples",
    skip_nonfinite: bool = False,
) -> NoiseScaleEstimate:
    """Noise scale from the norms of the averaged gradient and of the batch gradient, step by step.

    For any rule with momentum, Muon and Adam included: turns 11267.13 round, on mean squares.

    Parameters
    ----------
    momentum_norms, gradient_norms : array_like, shape (steps,)
        |m_t| and |g_t| of consecutive steps, after the average has settled. m is the normalised average,
        (1 - momentum) times the buffer of libraries that keep the sum. Both of gradients before clipping,
        or both after: PyTorch's ``clip_grad_norm_`` returns the norm before, while Adam's ``exp_avg`` holds
        clipped gradients, and from the two together the noise scale comes out far too large, or
        contradicted. Where clipping was at work, take the norm again after it; the noise scale is then that
        of clipped gradients.
    momentum : float
    batch_size : float, in `unit`
    unit : str, optional, what `batch_size` counts
    skip_nonfinite : bool, optional
        Leave out steps with inf or nan, which an optimiser under mixed precision skips too; count them.

    Returns
    -------
    NoiseScaleEstimate
        Errors from stretches of the log longer than the memory, left out one at a time. They cover chance. A
        gradient that turns within the memory of the average is outside: it makes |m| shorter and the noise
        scale too large. Means or sums of losses: no difference, both norms scale alike. Source:
        lrbs.noise-momentum.

    Raises
    ------
    ValueError
        Logs of unequal length, or shorter than nine memories (1 + momentum)/(1 - momentum); an average that
        is longer than what it averages.
    """
    (m, g), skipped = _logs(skip_nonfinite, momentum_norms=momentum_norms, gradient_norms=gradient_norms)
    size = float(positive(batch_size, "batch_size", ndim=0))

    def moments(squares: Array) -> Array:
        signal = signal_of_norms(squares[0] ** 0.5, squares[1] ** 0.5, momentum)
        return squares[1] / (1 + signal) * np.array([size, signal])

    return _read([m, g], moments, momentum, unit, skipped, OF_NORMS)


def signal_of_norms(momentum_norm: float, gradient_norm: float, momentum: float) -> float:
    """B / B_simple from both norms, or an error that says what else they may be."""
    if momentum_norm >= gradient_norm:
        raise ValueError(
            "momentum_norms must be below gradient_norms: an average is shorter than what it averages; got "
            f"{momentum_norm:g} and {gradient_norm:g}. Are they in this order, and is the first of the "
            "average, 1 - momentum times a buffer that keeps the sum, as PyTorch's SGD has it?"
        )
    return float(signal_from_momentum_ratio(momentum_norm / gradient_norm, momentum))


def noise_scale_from_update_rms(
    update_rms: ArrayLike,
    beta1: float,
    batch_size: float,
    *,
    beta2: float | None = None,
    every: int = 1,
    unit: str = "samples",
    skip_nonfinite: bool = False,
) -> NoiseScaleEstimate:
    """Noise scale from the RMS of Adam's updates, step by step: turns 11267.9 round, on the mean square.

    Parameters
    ----------
    update_rms : array_like, shape (looks,)
        Of updates without weight decay and learning rate, after the averages have settled, over coordinates
        that have gradients.
    beta1 : float
    batch_size : float, in `unit`
    beta2 : float, optional
        If given, the level of pure noise is corrected for the fluctuations of v (11267.tfinite).
    every : int, optional, steps from one number of the log to the next
    unit : str, optional, what `batch_size` counts
    skip_nonfinite : bool, optional
        Leave out steps with inf or nan, and count them in `skipped`.

    Returns
    -------
    NoiseScaleEstimate
        The RMS does not know how long gradients are: `trace` and `squared_gradient` are in units of the
        variance of one batch gradient. The errors, from stretches of the log longer than the memory,
        cover chance alone. That all coordinates share one ratio of signal to noise is assumed, and
        costs far more (lrbs.rms-average). Source: lrbs.noise-update-rms.

    Raises
    ------
    ValueError
        A mean square that is not below 1, or a log shorter than nine memories of the first average.
    """
    (rms,), skipped = _logs(skip_nonfinite, update_rms=update_rms)
    size = float(positive(batch_size, "batch_size", ndim=0))

    def moments(squares: Array) -> Array:
        return np.array([size, float(signal_from_update_rms(np.sqrt(squares[0]), beta1, beta2))])

    return _read([rms], moments, beta1, unit, skipped, OF_RMS, count(every, "every"))


def _logs(skip: bool, **logs: ArrayLike) -> tuple[list[Array], int]:
    """Logs of the same steps, positive; and how many steps were left out."""
    arrays = [real_array(log, name, 1, finite=not skip, hint=SKIP) for name, log in logs.items()]
    if len({array.size for array in arrays}) > 1:
        sizes = ", ".join(f"{array.size}" for array in arrays)
        raise ValueError(f"{' and '.join(logs)} must be of the same steps; got {sizes}")
    kept = np.isfinite(np.sum(arrays, axis=0))
    arrays = [positive(array[kept], name) for name, array in zip(logs, arrays, strict=True)]
    return arrays, int(np.sum(~kept))


def _read(
    logs: list[Array],
    moments: Callable[[Array], Array],
    momentum: float,
    unit: str,
    skipped: int,
    causes: str,
    every: int = 1,
) -> NoiseScaleEstimate:
    """Moments of the mean square over steps, with the jackknife over stretches of the logs."""
    squares = np.stack(logs, axis=1) ** 2
    length = ceil(_MEMORIES / ema_noise_factor(momentum) / every)
    parts = min(_PARTS, len(squares) // length)
    if parts < 3:
        raise ValueError(
            f"a log must be of at least {3 * length} numbers at momentum {momentum:g}, for stretches longer "
            f"than its memory; got {len(squares)}"
        )
    stretches = np.array_split(squares, parts)
    left_out = [np.concatenate(stretches[:k] + stretches[k + 1 :]).mean(axis=0) for k in range(parts)]
    rest = np.array([moments(mean) for mean in left_out])
    found = jackknife(moments(squares.mean(axis=0)), rest, unit, skipped)
    if np.ptp(squares, axis=0).any():
        return replace(found, causes=causes)
    return replace(found, causes=causes, note="one number at all steps: how far it is off cannot be told")
