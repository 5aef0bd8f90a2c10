"""Checks of the chapter on forty steps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs import SGD, Adam, LocalModel, Muon, SignSGD, UpdateRule, expected_step, step_from_updates
from lrbs.checks.evidence import Rows, check, missed
from lrbs.checks.problems import dense_model, quadratic_loss
from lrbs.lab import Dataset, Sweep, TanhNetwork, batch_gradients, digits, local_model, sweep, train
from lrbs.laws.several_steps import loss_after_steps
from lrbs.rules import Layerwise
from lrbs.simulate import draw_gradients
from lrbs.validation import Array, vector


@check("Monte Carlo")
def several_steps_simulated() -> Rows:
    """Expected loss after several steps against runs on a quadratic, plain, with momentum, primed."""
    model, rate, size, runs = dense_model(), 0.15, 4.0, 20_000
    once = expected_step(model, SGD(), size).loss_change(rate)
    yield "one step, 11260.2", loss_after_steps(model, SGD(), size, rate, 1), once
    for name, rule, primed in (
        ("SGD", SGD(), False),
        ("momentum", SGD(momentum=0.7), False),
        ("momentum, primed", SGD(momentum=0.7), True),
    ):
        early = rule.horizon if primed else 0
        noise = draw_gradients(model, size, (runs, early + 6), 5) - model.gradient
        offset = np.zeros((runs, model.size))
        average = np.zeros_like(offset)
        for step in range(early + 6):
            slope = model.gradient + np.asarray(model.hessian @ offset.T).T
            average = rule.momentum * average + (1 - rule.momentum) * (slope + noise[:, step])
            if step >= early:
                offset = offset - rate * average
        predicted = float(loss_after_steps(model, rule, size, rate, 6, primed=primed))
        yield f"6 steps, {name}", predicted, quadratic_loss(model, offset)


@check("approximation", where="10 steps", news=True)
def downward_curvature_has_no_floor() -> Rows:
    """From near the top of a cosine: its floor lies 2 below, the quadratic there has none."""
    weights, rate = np.array([0.1]), 0.5
    model = LocalModel(-np.sin(weights), [1.0], -np.cos(weights))
    for steps, off in ((3, 0.01), (10, 7.34)):
        point = weights
        for _ in range(steps):
            point = point + rate * np.sin(point)
        real = float(np.cos(point[0]) - np.cos(weights[0]))
        predicted = float(loss_after_steps(model, SGD(), 1e12, rate, steps))
        yield missed(f"loss after {steps} steps", predicted, real, off, 0.02)


# ---------------------------------------------------------------------------------- the experiment
@dataclass(frozen=True)
class Experiment:
    """Trainings of a network from one point, `weights`, and what the laws of one step say at that point."""

    network: TanhNetwork
    weights: Array
    data: Dataset
    model: LocalModel
    rules: Mapping[str, UpdateRule]
    batch_sizes: tuple[int, ...] = (4, 16, 64, 256, 1024)

    def one_step(self, name: str, batch_sizes: ArrayLike | None = None, *, strangers: bool = False) -> Array:
        """The best learning rate of one step of a rule where the trainings start, at each batch size.

        By the mean field; for `strangers` without the correlations of the noise. A rule for each layer has
        none: then alignment over curvature, averages over 300 updates, of real batches or of normal noise.
        """
        sizes = vector(self.batch_sizes if batch_sizes is None else batch_sizes, "batch_sizes")
        rule, model = self.rules[name], self.model.with_correlations(0) if strangers else self.model
        if not isinstance(rule, Layerwise):
            return expected_step(model, rule, sizes).optimal_lr
        rates = np.empty(sizes.size)
        for k, size in enumerate(map(int, sizes)):
            if strangers:
                gradients = draw_gradients(model, size, (300,), size)
            else:
                gradients = batch_gradients(self.network, self.weights, self.data, size, 300, rng=size)
            updates = rule(gradients[:, None])
            rates[k] = step_from_updates(updates, model.gradient, model.hessian).optimal_lr
        return rates

    def trainings(
        self,
        steps: ArrayLike = 40,
        names: Sequence[str] | None = None,
        progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    ) -> Sweep:
        """Train by some rules, or all, at each batch size: thirteen rates around that of :meth:`one_step`.

        Eight seeds, averages from zero. Neither the rates nor the batches of a rule depend on other rules.
        """
        rules = {name: self.rules[name] for name in (self.rules if names is None else names)}
        centre = np.array([self.one_step(name) for name in rules])
        return sweep(
            self.network,
            self.weights,
            self.data,
            rules=rules,
            batch_sizes=self.batch_sizes,
            learning_rates=centre[..., None] * 1.5 ** np.arange(-6, 7),
            seeds=range(8),
            steps=steps,
            progress=progress,
        )


@cache
def experiment() -> Experiment:
    """The digits network of 1210 weights after 300 steps of SGD, and five optimisers."""
    data, _ = digits()
    network = TanhNetwork(inputs=64, hidden=16, classes=10)
    start = network.initial_weights(0)
    weights = train(network, start, data, learning_rate=0.1, batch_size=32, steps=300, rng=1)
    # To Muon a bias is a matrix of one column.
    matrices = {name: (shape[0], int(np.prod(shape[1:]))) for name, shape in network.shapes.items()}
    rules: dict[str, UpdateRule] = {
        "SGD": SGD(),
        "SGD with momentum": SGD(momentum=0.9),
        "SignSGD": SignSGD(),
        "Adam": Adam(beta1=0.9, beta2=0.95),
        "Muon": Layerwise(network, {name: Muon(shape) for name, shape in matrices.items()}),
    }
    return Experiment(network, weights, data, local_model(network, weights, data), rules)
