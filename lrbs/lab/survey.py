"""One step of several rules at one point of training, on real batches: measured, with nothing assumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset
from lrbs.lab.networks import Network
from lrbs.lab.search import SearchedStep, best_learning_rate
from lrbs.lab.stationary import stationary_updates
from lrbs.model import LocalModel
from lrbs.rules import UpdateRule
from lrbs.simulate import MeasuredStep, step_from_updates
from lrbs.validation import Array

__all__ = ["SurveyedSteps", "survey_steps"]

Result = TypeVar("Result", MeasuredStep, SearchedStep)


@dataclass(frozen=True)
class SurveyedSteps:
    """One step of one rule at each of several batch sizes.

    Attributes
    ----------
    batch_size : ndarray, shape (B,)
    measured : MeasuredStep
        Two moments of real updates in the quadratic that the loss is near the weights; arrays of shape (B,).
    searched : SearchedStep or None
        The minimum of the loss itself over the learning rate; arrays of shape (B,).
    """

    batch_size: Array
    measured: MeasuredStep
    searched: SearchedStep | None


def survey_steps(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    model: LocalModel,
    rules: Mapping[str, UpdateRule],
    batch_sizes: Iterable[int],
    *,
    rng: int,
    runs: int = 32,
    updates: int = 8,
    every: int = 20,
    burn_in: int | None = None,
    search: bool = True,
) -> dict[str, SurveyedSteps]:
    """The best learning rate of each rule at each batch size, at frozen weights.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset
    model : LocalModel
        Of these weights: its gradient and Hessian make two numbers of an update.
    rules : mapping from str to UpdateRule
        By name. All see the same batches.
    batch_sizes : iterable of int
        Taken as they come: something with a progress bar will do.
    rng : int
        Seed; each batch size draws its own numbers from it.
    runs, updates, every : int, optional
        Histories side by side, updates kept of each, steps from one to the next.
    burn_in : int, optional
        Steps before the first; the longest horizon of the rules unless told.
    search : bool, optional
        Also minimise the loss itself (:func:`lrbs.lab.best_learning_rate`), over every second update.

    Returns
    -------
    dict
        For each name of a rule what was found, standard errors included: those of `measured` from the
        spread over runs; those of `searched` take updates as independent, so let `every` be long against the
        memory of the rules' average of gradients.
    """
    sizes: list[int] = []
    measured: dict[str, list[MeasuredStep]] = {name: [] for name in rules}
    searched: dict[str, list[SearchedStep]] = {name: [] for name in rules}
    for size in batch_sizes:
        sizes.append(size)
        kept: Any = {"runs": runs, "updates": updates, "every": every, "burn_in": burn_in}
        own = np.random.default_rng([rng, size])
        drawn = stationary_updates(network, weights, data, list(rules.values()), size, **kept, rng=own)
        for name, phi in zip(rules, drawn, strict=True):
            step = step_from_updates(phi, model.gradient, model.hessian)
            measured[name].append(step)
            if search:
                half, start = phi[:, ::2].reshape(-1, network.size), float(step.optimal_lr)
                searched[name].append(best_learning_rate(network, weights, data, half, start=start))
    found = {name: _stacked(steps) if search else None for name, steps in searched.items()}
    return {name: SurveyedSteps(np.array(sizes), _stacked(measured[name]), found[name]) for name in rules}


def _stacked(steps: list[Result]) -> Result:
    """One result whose fields are arrays of theirs."""
    names = [field.name for field in fields(steps[0])]
    return replace(steps[0], **{name: np.array([getattr(step, name) for step in steps]) for name in names})
