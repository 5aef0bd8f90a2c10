"""Two batch sizes at each step: squares of norms, which are nothing to hold, and their running averages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.noise_scale.estimate import NoiseScaleEstimate, short_number
from lrbs.noise_scale.gradients import SKIP, Reduction, batch_mean
from lrbs.validation import Array, positive, real_array

__all__ = ["RunningNoiseScale", "noise_scale_from_two_batches", "two_batch_moments"]

ALIKE = 1e-6  # share of a square below which two differ by single precision's rounding alone
ROUNDING = 1e-9  # share of a variance below which two memories are one


def two_batch_moments(
    small_norm: ArrayLike,
    big_norm: ArrayLike,
    small_batch_size: ArrayLike,
    big_batch_size: ArrayLike,
    *,
    reduction: Reduction = "mean",
    skip_nonfinite: bool = False,
) -> tuple[Array, Array]:
    """Unbiased tr(Sigma) and |g|^2 from the norms of the gradients of a small and a big batch.

    Parameters
    ----------
    small_norm, big_norm : array_like
        Euclidean norms before clipping, not their squares; of several small batches in one step the root of
        the mean square. The small batches may be parts of the big one.
    small_batch_size, big_batch_size : array_like
        b < B; one for all steps or one for each. Of several small batches that are unequal: the harmonic
        mean, since their squares exceed |g|^2 by tr(Sigma) times the mean of 1/b.
    reduction : {"mean", "sum"}, optional
        Whether losses are means over a batch or sums. Here it matters: sums are longer by different
        factors.
    skip_nonfinite : bool, optional
        Give nan for steps with inf or nan, which :meth:`RunningNoiseScale.add` can skip, and no error.

    Returns
    -------
    trace, squared_gradient : ndarray
        Broadcast. Single steps scatter widely, and |g|^2 is often negative: average, then divide. Source:
        lrbs.noise-two-batches, McCandlish et al., arXiv 1812.06162, appendix A.1.

    Raises
    ------
    ValueError
        If a norm is negative, or b is not positive and below B.
    """
    b, B = (positive(small_batch_size, "small_batch_size"), positive(big_batch_size, "big_batch_size"))
    if not (b < B).all():
        pair = " and ".join(f"{np.broadcast_to(size, (b + B).shape)[~(b < B)][0]:g}" for size in (b, B))
        raise ValueError(f"small_batch_size must be below big_batch_size; got {pair}")
    small = (read_norms(small_norm, "small_norm", skip=skip_nonfinite) * batch_mean(b, reduction)) ** 2
    big = (read_norms(big_norm, "big_norm", skip=skip_nonfinite) * batch_mean(B, reduction)) ** 2
    small = np.where(abs(small - big) < ALIKE * big, big, small)
    return np.asarray((small - big) / (1 / b - 1 / B)), np.asarray((B * big - b * small) / (B - b))


def read_norms(
    values: ArrayLike, name: str, ndim: int | tuple[int, ...] | None = None, *, skip: bool = False
) -> Array:
    """Norms; nan, where that is asked for, in place of all that are not finite."""
    norms = real_array(values, name, ndim, finite=not skip, hint=SKIP)
    if (norms < 0).any():
        raise ValueError(f"{name} must not be negative; the smallest is {norms.min():.6g}")
    return np.where(np.isfinite(norms), norms, np.nan) if skip else norms


class Drift(NamedTuple):
    """How far a short memory reads above a long one, as a share, and the standard error of that."""

    value: float
    standard_error: float


class RunningNoiseScale:
    """Running averages of tr(Sigma) and |g|^2, kept apart, with the error of their ratio.

    A second, shorter memory tells whether the first is late.

    Parameters
    ----------
    decay : float, optional
        Weight of the past at each step, in (0, 1]: 0.99 averages over about a hundred steps, 1 over all.
    unit : str, optional, what batch sizes count
    short_decay : float, optional
        That of the shorter memory; decay**2, half as long, unless told.
    skip_nonfinite : bool, optional
        Leave out steps with inf or nan, and count them in `skipped`.

    Attributes
    ----------
    steps : int, how many steps were taken in
    skipped : int, how many were left out

    Raises
    ------
    ValueError
        If `decay` is not in (0, 1].

    Notes
    -----
    Kept are two dozen numbers. The start counts as it should: averages are over the steps that there were.
    The errors take steps for independent; a drift of the noise scale within the memory counts as scatter.

    Examples
    --------
    >>> running = RunningNoiseScale(decay=0.9, unit="tokens")
    >>> steps = [(900.0, 1.2), (1100.0, 0.8), (1000.0, 1.0)]
    >>> for trace, squared_gradient in steps:
    ...     running.add(trace, squared_gradient)
    >>> round(running.estimate.point_estimate)
    1010
    """

    def __init__(
        self,
        decay: float = 1.0,
        unit: str = "samples",
        *,
        short_decay: float | None = None,
        skip_nonfinite: bool = False,
    ) -> None:
        self.decay, self.unit = float(positive(decay, "decay", ndim=0)), unit
        short = self.decay**2 if short_decay is None else short_decay
        self.short_decay = float(positive(short, "short_decay", ndim=0))
        if self.decay > 1:
            raise ValueError(f"decay must be in (0, 1]; got {self.decay:.6g}")
        if self.short_decay > self.decay:
            raise ValueError(f"short_decay must not exceed decay, {decay:g}; got {self.short_decay:g}")
        self.skip_nonfinite, self.steps, self.skipped = skip_nonfinite, 0, 0
        self._decays = np.array([self.decay, self.short_decay])  # the long memory and the short one
        self._weight, self._products = np.zeros(2), np.zeros((2, 2))
        self._means, self._scatter = np.zeros((2, 2)), np.zeros((2, 2))
        self._last, self._jumps = np.zeros(2), np.zeros((2, 2))

    def add(self, trace: float, squared_gradient: float) -> None:
        """Take in one step's unbiased estimates.

        Parameters
        ----------
        trace, squared_gradient : float
            Of :func:`two_batch_moments`, say; negative ones too.
        """
        named, finite = {"trace": trace, "squared_gradient": squared_gradient}, not self.skip_nonfinite
        pair = np.array(
            [real_array(value, name, 0, finite=finite, hint=SKIP) for name, value in named.items()]
        )
        if not np.isfinite(pair).all():
            self.skipped += 1
            return
        jump = pair - self._last if self.steps else np.zeros(2)
        self._last, self._jumps = pair, self.decay * self._jumps + np.outer(jump, jump) / 2
        self.steps += 1
        past = self._decays * self._weight
        self._weight = past + 1
        self._products = np.outer(self._decays, self._decays) * self._products + 1
        gaps = pair - self._means
        self._means += gaps / self._weight[:, None]
        self._scatter = self.decay * self._scatter + np.outer(gaps[0], gaps[0]) * (past[0] / self._weight[0])

    @property
    def estimate(self) -> NoiseScaleEstimate:
        """The averages up to now with their errors; its note says when they are late.

        Source: lrbs.noise-running.

        Raises
        ------
        ValueError
            Before the second step: one has no spread.
        """
        if self.steps < 2:
            more = f", and {self.skipped} left out for inf or nan" if self.skipped else ""
            raise ValueError(f"an estimate needs 2 steps or more; got {self.steps}{more}")
        effective = self._weight[0] ** 2 / self._products[0, 0]
        covariance = self._scatter / self._weight[0] / (effective - 1)
        trace, square = self._means[0].tolist()
        estimate = NoiseScaleEstimate(trace, square, covariance, self.unit, effective - 1, self.skipped)
        value, error = self.drift
        if abs(value) > 3 * error:
            (N, D), (n, d) = self._means
            read = (
                "do not resolve it" if min(n, d) <= 0 else f"read {short_number(n * D / (N * d))} times that"
            )
            return replace(estimate, note=f"late: recent steps {read}")
        if self.full and not estimate.resolved and not estimate.contradiction:
            return replace(estimate, note="the memory is full: take a longer one, or larger batches")
        return estimate

    @property
    def full(self) -> bool:
        """Whether the memory holds six sevenths of what it can: more steps hardly add data."""
        return self.decay < 1 and bool(self._weight[0] * (1 - self.decay) > 1 - math.exp(-2))

    @property
    def drift(self) -> Drift:
        """How far the short memory reads above the long one: positive while the noise scale rises.

        To first order ln(B_short/B_long), as the difference of two shares, tr(Sigma) short over long less
        |g|^2 short over long: nothing is divided by a |g|^2 of few steps, which may be near 0. The error is
        that of independent steps, from how much they differ from one to the next, which no trend enters.
        Beyond three of it the `estimate` is late, and says so. nan where a long average is not positive, or
        both memories are one.
        """
        long, short = self._means
        # Variance of the difference of two weighted means, for steps of variance one.
        weights = self._products / np.outer(self._weight, self._weight)
        factor = weights[1, 1] - 2 * weights[0, 1] + weights[0, 0]
        if self.steps < 2 or (long <= 0).any() or not factor > ROUNDING * weights[0, 0]:
            return Drift(np.nan, np.nan)
        slopes = np.array([1.0, -1.0]) / long
        # The first step follows none.
        variance = slopes @ self._jumps @ slopes / (self._weight[0] - self.decay ** (self.steps - 1))
        return Drift(float(slopes @ short), float(np.sqrt(variance * factor)))

    def __str__(self) -> str:
        return str(self.estimate)


def noise_scale_from_two_batches(
    small_norms: ArrayLike,
    big_norms: ArrayLike,
    small_batch_size: ArrayLike,
    big_batch_size: ArrayLike,
    *,
    reduction: Reduction = "mean",
    unit: str = "samples",
    skip_nonfinite: bool = False,
) -> NoiseScaleEstimate:
    """Noise scale from gradient norms at a small and a big batch size, step by step.

    Parameters
    ----------
    small_norms, big_norms : array_like, shape (steps,)
        Norms of the gradients of both batches at each step, as a log has them: not their squares, and before
        clipping. Several small batches a step: the root of their mean square, or all, (steps, workers).
    small_batch_size, big_batch_size : float or array_like, shape (steps,)
        b < B; in `unit`. Unequal small batches, (steps, workers), are allowed for.
    reduction : {"mean", "sum"}, optional, whether losses are means over a batch or sums
    unit : str, optional, what batch sizes count
    skip_nonfinite : bool, optional
        Leave out steps with inf or nan, and count them in `skipped`.

    Returns
    -------
    NoiseScaleEstimate
        Errors from the spread over steps. For a run that goes on: :class:`RunningNoiseScale`.

    Raises
    ------
    ValueError
        If logs differ in length, a norm is negative, or b is not below B.
    """
    small = read_norms(small_norms, "small_norms", (1, 2), skip=skip_nonfinite)
    big = read_norms(big_norms, "big_norms", 1, skip=skip_nonfinite)
    if len(small) != len(big):
        raise ValueError(f"small_norms and big_norms must be of the same steps; got {len(small)}, {len(big)}")
    b = positive(small_batch_size, "small_batch_size", (0, 1, 2))
    B = positive(big_batch_size, "big_batch_size", (0, 1))
    for name, size in (("small_batch_size", b), ("big_batch_size", B)):
        if size.ndim and len(size) != len(big):
            raise ValueError(f"{name} must be for {len(big)} steps; got shape {size.shape}")
    if small.ndim == 2:
        # Weighted by their sizes, as workers are: that square exceeds |g|^2 by tr(Sigma) W / (sum of b).
        b = np.broadcast_to(b[:, None] if b.ndim == 1 else b, small.shape)
        small = np.sqrt(np.sum(b * (small * batch_mean(b, reduction)) ** 2, axis=1) / b.sum(axis=1))
        big, b, reduction = big * batch_mean(B, reduction), b.mean(axis=1), "mean"
    elif b.ndim == 2:
        if reduction == "sum":
            raise ValueError("small_norms must be (steps, workers) for sums over unequal small batches")
        b = 1 / np.mean(1 / b, axis=1)
    running = RunningNoiseScale(unit=unit, skip_nonfinite=skip_nonfinite)
    moments = two_batch_moments(small, big, b, B, reduction=reduction, skip_nonfinite=skip_nonfinite)
    for trace, squared_gradient in zip(*moments, strict=True):
        running.add(trace, squared_gradient)
    return running.estimate
