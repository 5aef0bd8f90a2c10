"""Checks of the chapter on forty steps."""

from __future__ import annotations

import numpy as np

from lrbs.checks.evidence import Comparison, Evidence, against_sample, missed
from lrbs.checks.findings import Validity
from lrbs.checks.problems import dense_model, quadratic_loss
from lrbs.laws.several_steps import loss_after_steps
from lrbs.model import LocalModel
from lrbs.rules import SGD
from lrbs.simulate import draw_gradients
from lrbs.step import expected_step

VALIDITY = [
    Validity(
        law="Several steps of SGD at one learning rate",
        ids=("lrbs.several-steps",),
        assumptions="Quadratic loss; Σ the same at every step; linear rule",
        status="Exact on a quadratic",
        error="Agrees with simulation within {several_steps_simulated:.1%}",
        breaks="downward_curvature_has_no_floor",
    ),
]


def several_steps_simulated() -> Evidence:
    """Expected loss after several steps against runs on a quadratic, plain, with momentum, primed."""
    model, rate, size, runs = dense_model(), 0.15, 4.0, 20_000
    rows = [
        Comparison(
            "one step, 11260.2",
            float(loss_after_steps(model, SGD(), size, rate, 1)),
            float(expected_step(model, SGD(), size).loss_change(rate)),
        )
    ]
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
        rows.append(against_sample(f"6 steps, {name}", predicted, quadratic_loss(model, offset)))
    return Evidence("Monte Carlo", tuple(rows))


def downward_curvature_has_no_floor() -> Evidence:
    """From near the top of a cosine: its floor lies 2 below, the quadratic there has none."""
    weights, rate = np.array([0.1]), 0.5
    model = LocalModel(-np.sin(weights), [1.0], -np.cos(weights))
    rows = []
    for steps, off in ((3, 0.01), (10, 7.34)):
        point = weights
        for _ in range(steps):
            point = point + rate * np.sin(point)
        real = float(np.cos(point[0]) - np.cos(weights[0]))
        predicted = float(loss_after_steps(model, SGD(), 1e12, rate, steps))
        rows.append(missed(f"loss after {steps} steps", predicted, real, off, 0.02))
    return Evidence("approximation", tuple(rows), where="10 steps")
