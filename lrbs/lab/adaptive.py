"""SGD on a network at the learning rate of the law, with a batch chosen from the noise scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.noise import local_model
from lrbs.laws.schedules import noise_aware_lr
from lrbs.validation import Array, count, positive, vector

__all__ = ["AdaptiveRun", "BatchHistory", "adaptive_run"]


@dataclass(frozen=True, eq=False)
class BatchHistory:
    """The batches of a run, and the noise scale that each followed: arrays of shape (steps,)."""

    noise_scale: Array
    batch_size: Array

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.batch_size)

    @property
    def examples(self) -> int:
        """Number of samples."""
        return int(self.batch_size.sum())


@dataclass(frozen=True, eq=False)
class AdaptiveRun(BatchHistory):
    """What happened at each step of :func:`adaptive_run`; `loss`, over all data, has the end as well."""

    learning_rate: Array
    loss: Array


def adaptive_run(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    batch_size: Callable[[float], float | Array],
    target_loss: float,
    rng: int | np.random.Generator,
    every: int = 5,
    max_steps: int = 2000,
) -> AdaptiveRun:
    """SGD until the loss is at the target, at the learning rate of 10542.d51 in every step.

    Parameters
    ----------
    network : Network
        Its loss should be convex (:class:`lrbs.lab.SoftmaxRegression`): where the Hessian curves downwards
        along the gradient the law has no learning rate.
    weights : array_like, shape (N,), where to start
    data : Dataset
        Batches are drawn from it with replacement; gradient, Hessian and noise are exact over all of it.
    batch_size : callable
        Batch size for a noise scale, rounded to an integer of at least 1; infinity means the exact
        gradient, counted as no samples.
    target_loss : float
    rng : int or numpy.random.Generator
    every : int, optional
        Steps between two measurements of the noise scale.
    max_steps : int, optional

    Returns
    -------
    AdaptiveRun

    Raises
    ------
    RuntimeError
        If the target is not reached within `max_steps`.
    """
    generator = np.random.default_rng(rng)
    w = vector(weights, "weights", network.size).copy()
    target = float(positive(target_loss, "target_loss"))
    count(every, "every")
    losses = [float(network.loss(w, data))]
    rows: list[tuple[float, float, float]] = []
    while losses[-1] > target:
        if len(rows) == max_steps:
            raise RuntimeError(
                f"target_loss {target:g} not reached in {max_steps} steps; got to {losses[-1]:.3g}"
            )
        if len(rows) % every == 0:
            model = local_model(network, w, data, dense=False)
            scale, max_lr = model.noise_scale, model.max_lr
        size = float(batch_size(scale))
        if np.isinf(size):
            gradient, rate, size = network.gradient(w, data), max_lr, 0
        else:
            size = max(1, round(size))
            gradient = network.gradient(w, data.take(generator.integers(len(data), size=size)))
            rate = float(noise_aware_lr(size, max_lr, scale))
        w -= rate * gradient
        losses.append(float(network.loss(w, data)))
        rows.append((scale, size, rate))
    scales, sizes, rates = np.array(rows).reshape(-1, 3).T
    return AdaptiveRun(scales, sizes, rates, np.array(losses))
