"""Updates at frozen weights: what a rule with memory does once its averages have forgotten their start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.noise import gradient_source
from lrbs.rules import UpdateRule
from lrbs.validation import Array, count

__all__ = ["stationary_updates"]


def stationary_updates(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    rules: Sequence[UpdateRule],
    batch_size: int,
    *,
    runs: int,
    updates: int,
    every: int = 1,
    burn_in: int | None = None,
    rng: int | np.random.Generator,
) -> list[Array]:
    """Updates of several rules on the same gradients of real batches, with the weights held.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset
    rules : sequence of UpdateRule
    batch_size : int
    runs : int, independent histories, side by side
    updates : int, updates kept of each run
    every : int, optional
        Steps from one to the next. Updates of one run are the less alike the further they lie apart.
    burn_in : int, optional
        Steps before the first; the longest horizon of the rules unless told.
    rng : int or numpy.random.Generator

    Returns
    -------
    list of ndarray, each of shape (runs, updates, N)
        One for each rule; for :func:`lrbs.step_from_updates`.

    Raises
    ------
    ValueError
        If `runs`, `updates` or `every` is no integer of at least 1, or `burn_in` negative.
    """
    for value, name in ((runs, "runs"), (updates, "updates"), (every, "every")):
        count(value, name)
    first = max(rule.horizon for rule in rules) if burn_in is None else count(burn_in, "burn_in", least=0)
    generator = np.random.default_rng(rng)
    draw = gradient_source(network, weights, data, batch_size)
    states: list[Any] = [rule.init((runs, network.size)) for rule in rules]
    kept: list[list[Array]] = [[] for _ in rules]
    for step in range(first + 1 + (updates - 1) * every):
        gradients = draw(runs, generator)
        keep = step >= first and (step - first) % every == 0
        for number, rule in enumerate(rules):
            if keep or rule.horizon > 1:  # without memory it has nothing to do in between
                update, states[number] = rule.update(gradients, states[number])
            if keep:
                kept[number].append(update)
    return [np.stack(record, axis=1) for record in kept]
