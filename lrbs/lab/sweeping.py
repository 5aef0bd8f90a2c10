"""Many trainings at once: rules, batch sizes, learning rates and seeds, on one machine or on several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.tasks import Runs, checked_rates, checked_start
from lrbs.lab.training import checked_moments
from lrbs.lab.tuning import TunedRate, tuned_rate
from lrbs.rules import UpdateRule
from lrbs.validation import Array, count, positive

__all__ = ["Sweep", "sweep"]


class Executor(Protocol):
    """What spreads tasks: anything with the ``map`` of ``concurrent.futures``."""

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterable[Any]:
        """Results of the function, in the order of the tasks."""


@dataclass(frozen=True)
class Sweep:
    """Losses of many trainings: what :func:`sweep` returns.

    Attributes
    ----------
    rules : tuple of str
    batch_sizes : ndarray of int, shape (batch sizes,)
    learning_rates : ndarray, shape (rules, batch sizes, rates)
    losses : ndarray, shape (*steps.shape, rules, batch sizes, rates, seeds)
        Over all data, after so many steps; inf where the weights overflowed.
    """

    rules: tuple[str, ...]
    batch_sizes: NDArray[np.intp]
    learning_rates: Array
    losses: Array

    def best(self) -> TunedRate:
        """The best learning rate of each rule at each batch size, with the error that the seeds leave.

        Returns
        -------
        TunedRate
            Of shape (*steps.shape, rules, batch sizes); `value` is the loss.
        """
        return tuned_rate(self.learning_rates, self.losses)


def sweep(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    rules: Mapping[str, UpdateRule],
    batch_sizes: Sequence[int],
    learning_rates: ArrayLike,
    seeds: Sequence[int],
    steps: ArrayLike,
    primed: int = 0,
    schedule: ArrayLike | None = None,
    executor: Executor | None = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Sweep:
    """Train by every rule at every batch size and learning rate, from several seeds.

    The learning rates and seeds of one rule and batch size are one array. A seed draws the same batches
    for all its learning rates and for all rules, so that they compare better than two seeds do.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,) or (seeds, N)
        Where to start; averages of the rules start from zero unless primed.
    data : Dataset
        Batches are drawn from it with replacement; the losses are over all of it.
    rules : mapping from str to UpdateRule
    batch_sizes : sequence of int
    learning_rates : array_like
        Positive, increasing along the last axis, that of the rates; it broadcasts to (rules, batch sizes,
        rates). Nearly all that is worth knowing lies within a factor of ten of a good guess.
    seeds : sequence of int
    steps : int or array_like of int
        Moments at which losses are wanted; 0 is the start.
    primed : int, optional
        Gradients at the start that the averages of the rules see before the first step: with so many as
        the horizon of a rule, it begins in its stationary state instead of from zero.
    schedule : array_like, shape (steps,), optional
        Factor of the learning rate at each step, positive; constant unless told.
    executor : Executor, optional
        Where tasks run, one for each rule and batch size; here, one after the other, unless told. What
        is drawn depends on seed and batch size alone, so that the result does not depend on where.
    progress : callable, optional
        Given the tasks, an iterable of them that may show how far it is.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        Empty lists, rates that are not positive, shapes that do not fit.

    Notes
    -----
    On one machine::

        with concurrent.futures.ProcessPoolExecutor() as executor:
            sweep(..., executor=executor)

    On a cluster of Dask (tested)::

        client = distributed.Client("tcp://scheduler:8786")
        sweep(..., executor=client.get_executor())

    On one of Ray, whose pool has the same ``map`` (not tested here)::

        from ray.util.multiprocessing import Pool
        sweep(..., executor=Pool(ray_address="auto"))

    Processes that share a machine should keep to one thread of linear algebra each
    (``OPENBLAS_NUM_THREADS=1``).
    """
    names, sizes = tuple(rules), [count(size, "batch_sizes") for size in batch_sizes]
    if not names or not sizes:
        raise ValueError(f"rules and batch_sizes must not be empty; got {len(names)} and {len(sizes)}")
    rates = checked_rates(learning_rates, (len(names), len(sizes)))
    count(primed, "primed", least=0)
    moments, start = checked_moments(steps), checked_start(network, weights, seeds)
    factors = None if schedule is None else positive(schedule, "schedule", ndim=1)
    if factors is not None and len(factors) < moments.max():
        raise ValueError(f"schedule must have a factor for each of {moments.max()} steps; got {len(factors)}")
    tasks = [
        (Runs(network, start, data, rules[name], size, rates[i, j], tuple(seeds), primed, factors), moments)
        for i, name in enumerate(names)
        for j, size in enumerate(sizes)
    ]
    results = map(_losses, tasks) if executor is None else executor.map(_losses, tasks)
    # As the bar moves on, the next result is waited for.
    losses = np.stack([result for _, result in zip(progress(tasks), results, strict=True)], axis=moments.ndim)
    shape = (*moments.shape, len(names), len(sizes), rates.shape[-1], len(seeds))
    return Sweep(names, np.array(sizes), rates, losses.reshape(shape))


def _losses(task: tuple[Runs, NDArray[Any]]) -> Array:
    """Losses (*moments.shape, rates, seeds): what runs somewhere else, so it stands at the top."""
    runs, moments = task
    losses = np.empty((*moments.shape, len(runs.rates), len(runs.seeds)))
    for step, current in enumerate(runs.path(int(moments.max()))):
        if (moments == step).any():
            losses[moments == step] = runs.loss(current).T
    return losses
