"""Two batch sizes at each step: squares of norms, which are nothing to hold, and their running averages."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.noise_scale.estimate import NoiseScaleEstimate
from lrbs.noise_scale.gradients import Reduction, batch_mean
from lrbs.validation import Array, positive, real_array

__all__ = ["RunningNoiseScale", "noise_scale_from_two_batches", "two_batch_moments"]


def two_batch_moments(
    small_norm: ArrayLike,
    big_norm: ArrayLike,
    small_batch_size: float,
    big_batch_size: float,
    *,
    reduction: Reduction = "mean",
) -> tuple[Array, Array]:
    """Unbiased tr(Sigma) and |g|^2 from the norms of the gradients of a small and a big batch.

    Parameters
    ----------
    small_norm, big_norm : array_like
        Euclidean norms, not their squares; of several small batches in one step the root of the mean square.
        The small batches may be parts of the big one.
    small_batch_size, big_batch_size : float
        b < B.
    reduction : {"mean", "sum"}, optional
        Whether losses are means over a batch or sums. Here it matters: sums are longer by different
        factors.

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
    b = float(positive(small_batch_size, "small_batch_size", ndim=0))
    B = float(positive(big_batch_size, "big_batch_size", ndim=0))
    if b >= B:
        raise ValueError(f"small_batch_size must be below big_batch_size; got {b:g} and {B:g}")
    norms = {
        "small_norm": real_array(small_norm, "small_norm") * batch_mean(b, reduction),
        "big_norm": real_array(big_norm, "big_norm") * batch_mean(B, reduction),
    }
    for name, values in norms.items():
        if (values < 0).any():
            raise ValueError(f"{name} must not be negative; the smallest is {values.min():.6g}")
    small, big = (norm**2 for norm in norms.values())
    return np.asarray((small - big) / (1 / b - 1 / B)), np.asarray((B * big - b * small) / (B - b))


class RunningNoiseScale:
    """Running averages of tr(Sigma) and |g|^2, kept apart, with the error of their ratio.

    Parameters
    ----------
    decay : float, optional
        Weight of the past at each step, in (0, 1]: 0.99 averages over about a hundred steps, 1 over all.
    unit : str, optional
        What batch sizes count.

    Attributes
    ----------
    steps : int
        How many steps were taken in.

    Raises
    ------
    ValueError
        If `decay` is not in (0, 1].

    Notes
    -----
    Kept are a dozen numbers. The start counts as it should: averages are over the steps that there were. The
    errors take steps for independent; a drift of the noise scale within the memory counts as scatter.

    Examples
    --------
    >>> running = RunningNoiseScale(decay=0.9, unit="tokens")
    >>> steps = [(900.0, 1.2), (1100.0, 0.8), (1000.0, 1.0)]
    >>> for trace, squared_gradient in steps:
    ...     running.add(trace, squared_gradient)
    >>> round(running.estimate.point_estimate)
    1010
    """

    def __init__(self, decay: float = 1.0, unit: str = "samples") -> None:
        self.decay, self.unit = float(positive(decay, "decay", ndim=0)), unit
        if self.decay > 1:
            raise ValueError(f"decay must be in (0, 1]; got {self.decay:.6g}")
        self.steps = 0
        self._weight = self._squares = 0.0
        self._mean, self._scatter = np.zeros(2), np.zeros((2, 2))

    def add(self, trace: float, squared_gradient: float) -> None:
        """Take in one step's unbiased estimates.

        Parameters
        ----------
        trace, squared_gradient : float
            Of :func:`two_batch_moments`, say; negative ones too.
        """
        pair = np.array(
            [float(real_array(trace, "trace", 0)), float(real_array(squared_gradient, "squared_gradient", 0))]
        )
        self.steps += 1
        past = self.decay * self._weight
        self._weight = past + 1
        self._squares = self.decay**2 * self._squares + 1
        gap = pair - self._mean
        self._mean += gap / self._weight
        self._scatter = self.decay * self._scatter + np.outer(gap, gap) * (past / self._weight)

    @property
    def estimate(self) -> NoiseScaleEstimate:
        """The averages up to now with their errors.

        Source: lrbs.noise-running.

        Raises
        ------
        ValueError
            Before the second step: one has no spread.
        """
        if self.steps < 2:
            raise ValueError(f"an estimate needs 2 steps or more; got {self.steps}")
        effective = self._weight**2 / self._squares
        covariance = self._scatter / self._weight / (effective - 1)
        trace, squared_gradient = self._mean.tolist()
        return NoiseScaleEstimate(trace, squared_gradient, covariance, self.unit, effective - 1)


def noise_scale_from_two_batches(
    small_norms: ArrayLike,
    big_norms: ArrayLike,
    small_batch_size: float,
    big_batch_size: float,
    *,
    reduction: Reduction = "mean",
    unit: str = "samples",
) -> NoiseScaleEstimate:
    """Noise scale from gradient norms at a small and a big batch size, step by step.

    Parameters
    ----------
    small_norms, big_norms : array_like, shape (steps,)
        Norms of the gradients of both batches at each step, as a log has them: not their squares.
    small_batch_size, big_batch_size : float
        b < B; in `unit`.
    reduction : {"mean", "sum"}, optional
        Whether losses are means over a batch or sums.
    unit : str, optional
        What batch sizes count.

    Returns
    -------
    NoiseScaleEstimate
        Errors from the spread over steps. For a run that goes on: :class:`RunningNoiseScale`.

    Raises
    ------
    ValueError
        If logs differ in length, a norm is negative, or b is not below B.
    """
    small, big = real_array(small_norms, "small_norms", 1), real_array(big_norms, "big_norms", 1)
    if small.shape != big.shape:
        raise ValueError(f"small_norms and big_norms must be of the same steps; got {small.size}, {big.size}")
    running = RunningNoiseScale(unit=unit)
    moments = two_batch_moments(small, big, small_batch_size, big_batch_size, reduction=reduction)
    for trace, squared_gradient in zip(*moments, strict=True):
        running.add(trace, squared_gradient)
    return running.estimate
