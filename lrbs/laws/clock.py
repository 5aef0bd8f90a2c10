"""Clock time instead of steps: data-parallel training on workers that have to talk to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw

from lrbs.tradeoff import steps
from lrbs.validation import Array, plain, positive

__all__ = ["Cluster"]


@dataclass(frozen=True)
class Cluster:
    """Workers that share a batch: each takes `local_batch_size` samples, then all add up their gradients.

    Parameters
    ----------
    compute_time : float
        c_1: time for the gradient of a local batch, however many workers there are.
    communication_time : float
        c_2 P: time of the sum over workers for each unit of ln W; P is the number of parameters.
    local_batch_size : float
        b, in samples. A batch of B samples takes W = B/b workers, which need not be a whole number here.

    Raises
    ------
    ValueError
        If one of them is not positive.
    """

    compute_time: float
    communication_time: float
    local_batch_size: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            positive(value, name)

    def workers(self, batch_size: ArrayLike) -> Array:
        """W = B/b; at least one.

        Parameters
        ----------
        batch_size : array_like, B >= b, in samples

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If `batch_size` is below `local_batch_size`.
        """
        size = positive(batch_size, "batch_size")
        if (size < self.local_batch_size).any():
            raise ValueError(
                f"batch_size must be at least local_batch_size = {self.local_batch_size:g}, one worker's; "
                f"got {size.min():g}"
            )
        return plain(size / self.local_batch_size)

    def step_time(self, batch_size: ArrayLike) -> Array:
        """Time of one step. Source: 10542.d45.

        Parameters
        ----------
        batch_size : array_like, in samples, at least `local_batch_size`

        Returns
        -------
        ndarray, in the unit of `compute_time`
        """
        return plain(self.compute_time + self.communication_time * np.log(self.workers(batch_size)))

    def total_time(self, batch_size: ArrayLike, min_steps: float, noise_scale: float) -> Array:
        """Time to a target loss. Source: 10542.d46.

        Parameters
        ----------
        batch_size : array_like, B >= b, in samples
        min_steps, noise_scale : float
            S_min, steps with exact gradients, and B_noise in samples.

        Returns
        -------
        ndarray, in the unit of `compute_time`
        """
        return plain(steps(batch_size, min_steps, noise_scale) * self.step_time(batch_size))

    def fastest_batch_size(self, noise_scale: float) -> float:
        """Batch size of the least total time. Source: 10542.d46.

        Setting the derivative of 10542.d46 to zero gives x - ln x = c_1/(c_2 P) - 1 + ln(B_noise/b) for
        x = B/B_noise; the minimum is the larger root, a Lambert function. Where it does not exist, or one
        worker alone is faster, the answer is one worker.

        Parameters
        ----------
        noise_scale : float, in samples

        Returns
        -------
        float, in samples, at least `local_batch_size`

        Raises
        ------
        ValueError
            If `noise_scale` is not positive.
        """
        scale = float(positive(noise_scale, "noise_scale"))
        alone = float(self.local_batch_size)
        right = self.compute_time / self.communication_time - 1 + np.log(scale / alone)
        if right < 1:
            return alone
        inside = -scale * float(np.real(lambertw(-np.exp(-right), -1)))
        if inside <= alone or self.total_time(inside, 1, scale) >= self.total_time(alone, 1, scale):
            return alone
        return inside

    def efficiency(self, batch_size: ArrayLike) -> Array:
        """Share of a step that is computation: 1 for one worker, falling with their number.

        Parameters
        ----------
        batch_size : array_like, B >= b, in samples

        Returns
        -------
        ndarray
            Source: 10542.d47.

        Raises
        ------
        ValueError
            If `batch_size` is below `local_batch_size`.
        """
        return plain(self.compute_time / self.step_time(batch_size))

    def batch_size_at_efficiency(self, efficiency: float) -> float:
        """Batch size at which :meth:`efficiency` falls to a threshold in (0, 1].

        Parameters
        ----------
        efficiency : float, in (0, 1]

        Returns
        -------
        float, in samples

        Raises
        ------
        ValueError
            If `efficiency` is not in (0, 1].
        """
        if not 0 < efficiency <= 1:
            raise ValueError(f"efficiency must be in (0, 1]; got {efficiency!r}")
        exponent = self.compute_time / self.communication_time * (1 / efficiency - 1)
        return float(self.local_batch_size * np.exp(exponent))
