"""How many steps trainings take to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.tasks import Runs, checked_rates, checked_start
from lrbs.lab.tuning import TunedRate, tuned_rate
from lrbs.rules import SGD, UpdateRule
from lrbs.validation import Array, count, positive

__all__ = ["StepsToLoss", "steps_to_loss"]


@dataclass(frozen=True)
class StepsToLoss:
    """Steps that trainings took to a loss: what :func:`steps_to_loss` returns.

    Attributes
    ----------
    learning_rates : ndarray, shape (rates,)
    steps : ndarray, shape (rates, seeds)
        Interpolated between the checks; inf where the loss was not reached.
    """

    learning_rates: Array
    steps: Array

    @property
    def median(self) -> Array:
        """Median over seeds at each learning rate, shape (rates,)."""
        return np.median(self.steps, axis=-1)

    def best(self) -> TunedRate:
        """The learning rate with the smallest mean of the steps over seeds; `value` is that mean.

        A learning rate at which some seed does not arrive is out of the contest.

        Returns
        -------
        TunedRate
        """
        return tuned_rate(self.learning_rates, self.steps)


def steps_to_loss(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    rule: UpdateRule | None = None,
    batch_size: int,
    learning_rates: ArrayLike,
    target_loss: float,
    max_steps: int,
    seeds: Sequence[int],
    every: int = 5,
    patience: float = 2.0,
) -> StepsToLoss:
    """Steps to a target loss at each learning rate, all rates and seeds at once.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,) or (seeds, N), where to start
    data : Dataset
        Batches are drawn from it with replacement; the loss is over all of it.
    rule : UpdateRule, optional, SGD unless told; averages start from zero
    batch_size : int
    learning_rates : array_like, shape (rates,), positive and increasing
    target_loss : float, below the loss at the start
    max_steps : int
    seeds : sequence of int
        Each draws its own batches, the same for all rates and rules.
    every : int, optional
        Steps between two looks at the loss. The first crossing counts, from a straight line in ln(loss)
        between two looks: the loss should not fall by much more than a tenth in so many steps.
    patience : float, optional
        Runs that need more than so many times the steps of the fastest rate (of the slowest seed) are
        given up and count as not arrived.

    Returns
    -------
    StepsToLoss

    Raises
    ------
    ValueError
        If the target is not positive or not below the loss at the start, or shapes do not fit.
    """
    rates, start = checked_rates(learning_rates), checked_start(network, weights, seeds)
    goal = float(positive(target_loss, "target_loss", ndim=0))
    before = network.loss(start, data)[:, None]
    if (before <= goal).any():
        raise ValueError(
            f"target_loss must be below the loss at the start, {before.min():.6g}; got {goal:.6g}"
        )
    limit = count(max_steps, "max_steps")
    count(every, "every")
    runs = Runs(network, start, data, SGD() if rule is None else rule, batch_size, rates, tuple(seeds))
    reached = np.full((len(seeds), len(rates)), np.inf)
    last = np.log(np.broadcast_to(before, reached.shape))
    for step, current in enumerate(runs.path(limit)):
        if step == 0 or (step % every and step != limit):
            continue
        waiting, now = np.isinf(reached), last.copy()
        with np.errstate(divide="ignore"):
            now[waiting] = np.log(runs.loss(current[waiting]))
        width = step - (step - 1) // every * every
        crossing = waiting & (now <= np.log(goal))
        share = (last[crossing] - np.log(goal)) / (last[crossing] - now[crossing])
        reached[crossing] = step - width + width * share
        last = now
        if step >= patience * reached.min(axis=1).max() or np.isfinite(reached).all():
            break
    return StepsToLoss(rates, reached.T)
