"""SGD that estimates its noise scale on the way, and lets batch and learning rate follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.adaptive import BatchHistory
from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.tracking import half_gradients
from lrbs.laws.schedules import noise_aware_lr
from lrbs.noise_scale import RunningNoiseScale, two_batch_moments
from lrbs.validation import Array, count, positive, vector

__all__ = ["SelfTunedRun", "self_tuned_run"]


@dataclass(frozen=True, eq=False)
class SelfTunedRun(BatchHistory):
    """What happened at each step of :func:`self_tuned_run`, and whether it arrived at the target."""

    arrived: bool


def self_tuned_run(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    batch_size: Callable[[float], float | Array],
    max_lr: float,
    target_loss: float,
    rng: int | np.random.Generator,
    start: float = 32.0,
    decay: float = 0.9,
    every: int = 2,
    max_steps: int = 2000,
) -> SelfTunedRun:
    """SGD whose batch size and learning rate follow a noise scale that it estimates on the way.

    Nothing is asked of the data but the batches themselves: the two halves of each give unbiased |g|^2 and
    tr(Sigma), whose running averages give B_simple. The learning rate is 10542.d51 with it.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset
    batch_size : callable
        Batch size for a noise scale; rounded to an even integer of at least 2.
    max_lr : float
        Learning rate for infinite batches, the same throughout.
    target_loss : float, loss over all data at which to stop
    rng : int or numpy.random.Generator
    start : float, optional
        Noise scale before the first estimate. Where an estimate is not positive the last one is kept.
    decay : float, optional
        Weight of the past in the running averages, at each step.
    every : int, optional, steps between two looks at the loss
    max_steps : int, optional

    Returns
    -------
    SelfTunedRun
    """
    w = vector(weights, "weights", network.size).copy()
    goal = float(positive(target_loss, "target_loss", ndim=0))
    limit = float(positive(max_lr, "max_lr", ndim=0))
    count(every, "every")
    generator, averages = np.random.default_rng(rng), RunningNoiseScale(decay=decay)
    scale = float(positive(start, "start", ndim=0))
    rows: list[tuple[float, float]] = []
    arrived = False
    while not arrived and len(rows) < max_steps:
        half = max(1, round(float(batch_size(scale)) / 2))
        halves = half_gradients(network, w, data, half, generator)
        g = halves.mean(axis=0)
        rows.append((scale, 2 * half))
        w -= noise_aware_lr(2 * half, limit, scale) * g
        small = np.sqrt(np.mean(np.sum(halves**2, axis=1)))
        trace, square = two_batch_moments(small, np.linalg.norm(g), half, 2 * half)
        averages.add(float(trace), float(square))
        if averages.steps > 2 and averages.estimate.squared_gradient > 0 < averages.estimate.trace:
            scale = averages.estimate.point_estimate
        if len(rows) % every == 0:
            arrived = bool(network.loss(w, data) <= goal)
    scales, sizes = np.array(rows).reshape(-1, 2).T
    return SelfTunedRun(scales, sizes, arrived)
