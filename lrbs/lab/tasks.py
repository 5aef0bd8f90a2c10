"""Trainings that share a rule and a batch size: the unit of work of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.lab.training import weights_along
from lrbs.rules import UpdateRule
from lrbs.validation import Array, positive, real_array

__all__ = ["Runs", "checked_rates", "checked_start"]


@dataclass(frozen=True)
class Runs:
    """Trainings by one rule at one batch size, at several learning rates from several seeds."""

    network: Network
    start: Array  # (seeds, N)
    data: Dataset
    rule: UpdateRule
    batch_size: int
    rates: Array  # (rates,)
    seeds: tuple[int, ...]
    primed: int = 0
    schedule: Array | None = None  # a factor of the rates for each step

    def path(self, steps: int) -> Iterator[Array]:
        """Weights (seeds, rates, N) at the start and after each step."""
        batches = self._batches(self.primed + steps)
        start = self.start[:, None, :]
        settings = self.network, start, self.rule, self.rates, batches, self.primed, self.schedule
        return weights_along(*settings)

    def _batches(self, number: int) -> Iterator[list[Dataset]]:
        generators = [np.random.default_rng([seed, self.batch_size]) for seed in self.seeds]
        for _ in range(number):
            yield [self.data.take(sample_batches(self.data, self.batch_size, (), own)) for own in generators]

    def loss(self, weights: Array) -> Array:
        """Loss over all data, inf where the weights are nan; in parts that stay near the cache."""
        network, data = self.network, self.data
        rows = weights.reshape(-1, network.size)
        losses = np.full(len(rows), np.inf)
        kept = np.flatnonzero(~np.isnan(rows[:, 0]))
        with np.errstate(over="ignore", invalid="ignore"):
            for part in np.split(kept, range(network.block(data), len(kept), network.block(data))):
                losses[part] = network.loss(rows[part], data)
        return np.where(np.isfinite(losses), losses, np.inf).reshape(weights.shape[:-1])


def checked_rates(learning_rates: ArrayLike, leading: tuple[int, ...] = ()) -> Array:
    """Increasing rates, shape (*leading, rates)."""
    rates = positive(learning_rates, "learning_rates")
    if not rates.ndim or not rates.size or not (np.diff(rates) > 0).all():
        raise ValueError(f"learning_rates must increase along the last axis; got shape {rates.shape}")
    try:
        return np.array(np.broadcast_to(rates, (*leading, rates.shape[-1])))
    except ValueError:
        raise ValueError(
            f"learning_rates must broadcast to {(*leading, rates.shape[-1])}; got shape {rates.shape}"
        ) from None


def checked_start(network: Network, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """Weights that each seed starts from, shape (seeds, N)."""
    if not len(seeds):
        raise ValueError("seeds must not be empty")
    several = len(seeds), network.size
    start = real_array(weights, "weights", ndim=(1, 2))
    if start.shape not in ((network.size,), several):
        raise ValueError(f"weights must have shape ({network.size},) or {several}; got {start.shape}")
    return np.array(np.broadcast_to(start, several))
