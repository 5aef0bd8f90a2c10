"""Assignment 3: the sign of a matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from lrbs.approximations import mean_field
from lrbs.approximations.mean_fields import two_sided_mean_field
from lrbs.coursework.assignment import Assignment
from lrbs.coursework.question import Inputs, Parameters, Property, Question, Slip
from lrbs.laws.muon import COEFFICIENTS, newton_schulz
from lrbs.model import LocalModel
from lrbs.rules import Muon, msign
from lrbs.step import expected_step
from lrbs.validation import Array

TARGET = 0.68
SHAPE = (5, 3)
SAMPLES = 4000  # an error of a quarter of a per cent; an answer may be off by 3


def draw(rng: np.random.Generator) -> dict[str, Any] | None:
    """A small singular value, a layer with even noise, and a gradient whose noise sits in one row."""
    smallest = float(f"{np.exp(rng.uniform(np.log(2e-4), np.log(0.05))):.2g}")
    variance = np.full(SHAPE, float(np.round(rng.uniform(0.02, 0.06), 3)))
    variance[int(rng.integers(SHAPE[0]))] = float(np.round(rng.uniform(2, 5), 1))
    rows, columns = (int(2 ** rng.integers(5, 9)) for _ in range(2))
    if rows == columns:
        return None
    return {
        "smallest": smallest,
        "rows": float(rows),
        "columns": float(columns),
        "entry_deviation": float(np.round(rng.uniform(0.01, 0.05), 3)),
        "gradient_norm": float(np.round(rng.uniform(0.5, 2.0), 2)),
        "G": np.round(rng.standard_normal(SHAPE), 2),
        "V": variance,
    }


# ------------------------------------------------------------------------------------------- right answers
def steps_needed(p: Parameters) -> int:
    """Steps of the quintic until a singular value first exceeds the target, on a matrix that holds it."""
    for steps in range(1, 30):
        value = float(newton_schulz(np.diag([p.smallest, np.sqrt(1 - p.smallest**2)]), steps)[0, 0])
        if value > TARGET:
            return steps
    raise RuntimeError(f"{p.smallest} never exceeds {TARGET}")


def matrix_noise_scale(p: Parameters) -> float:
    return float(p.rows * p.columns * p.entry_deviation**2 / p.gradient_norm**2)


def alignments(p: Parameters) -> Array:
    """tr(E[msign]^T G) by the one-sided and the two-sided mean field, and by simulation."""
    return np.array(_alignments(p.G.tobytes(), p.V.tobytes()))


@lru_cache(256)
def _alignments(gradient: bytes, variance: bytes) -> tuple[float, ...]:
    G, V = (np.frombuffer(part).reshape(SHAPE) for part in (gradient, variance))
    model = LocalModel(G.reshape(-1), V.reshape(-1), np.ones(G.size))
    forms = [expected_step(model, Muon(SHAPE), 1.0, form) for form in (mean_field, two_sided_mean_field)]
    draws = G + np.sqrt(V) * np.random.default_rng(1).standard_normal((SAMPLES, *SHAPE))
    measured = float(np.sum(msign(draws).mean(axis=0) * G))
    return *(float(form.alignment) for form in forms), measured


# ------------------------------------------------------------------------------------------------ questions
def any_matrix(rng: np.random.Generator) -> Inputs:
    """Wide, tall and square, of full rank or less."""
    rows, columns = (int(n) for n in rng.integers(2, 7, 2))
    rank = int(rng.integers(1, min(rows, columns) + 1))
    left, right = rng.standard_normal((rows, rank)), rng.standard_normal((rank, columns))
    return (left @ right,)


def any_iteration(rng: np.random.Generator) -> Inputs:
    rows, columns = (int(n) for n in rng.integers(2, 7, 2))
    return 0.3 * rng.standard_normal((rows, columns)), int(rng.integers(1, 4))


def near(got: Any, expected: Any, scale: float) -> bool:
    """Whether two matrices agree in the Frobenius norm, to a millionth."""
    answer, right = np.asarray(got, dtype=np.float64), np.asarray(expected)
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.linalg.norm(answer - right) if answer.shape == right.shape else np.inf
    return bool(distance <= 1e-6 * scale * np.linalg.norm(right))


def near_alignments(got: Any, expected: Any, scale: float) -> bool:
    """Whether the two forms agree to 1 %, and the simulation, which has an error, to 3 %."""
    answer, right = np.asarray(got, dtype=np.float64), np.asarray(expected)
    return answer.shape == right.shape and bool(
        np.all(np.abs(answer / right - 1) <= scale * np.array([0.01, 0.01, 0.03]))
    )


def _rank_stays(call: Any, _: Parameters) -> bool:
    found = np.asarray(call(np.outer([1.0, 2.0, 2.0], [3.0, 4.0])), dtype=np.float64)
    return near(found, np.outer([1.0, 2.0, 2.0], [3.0, 4.0]) / 15, 1.0)


def _transposes(call: Any, p: Parameters) -> bool:
    return near(np.transpose(call(p.G.T, 5)), call(p.G, 5), 1.0)


def _without_norm(_: Parameters, G: Array, steps: int) -> Array:
    a, b, c = COEFFICIENTS
    X = np.asarray(G)
    with np.errstate(all="ignore"):
        for _step in range(steps):
            A = X @ X.T
            X = a * X + (b * A + c * A @ A) @ X
    return X


ASSIGNMENT = Assignment(
    name="3-muon",
    title="Muon",
    minutes=120,
    draw=draw,
    questions=(
        Question(
            "q1",
            "msign",
            3,
            "The sign of a matrix",
            expected=lambda _, G: msign(G),
            inputs=any_matrix,
            agree=near,
            calls=6,
            slips=(
                Slip("elementwise", lambda _, G: np.sign(G), "That is the sign of each entry."),
                Slip(
                    "unit length",
                    lambda _, G: G / np.linalg.norm(G),
                    "That has length one and the direction of G; all singular values should become one.",
                ),
            ),
            properties=(
                Property(_rank_stays, "Singular values that are 0 have no sign: they should stay 0."),
            ),
        ),
        Question(
            "q2",
            "newton_schulz",
            3,
            "Without a decomposition",
            expected=lambda _, G, steps: newton_schulz(G, steps),
            inputs=any_iteration,
            agree=near,
            slips=(
                Slip("not normalised", _without_norm, "Divide by the Frobenius norm before the first step."),
                Slip(
                    "one step more",
                    lambda _, G, steps: newton_schulz(G, steps + 1),
                    "You take a step more than was asked for.",
                ),
            ),
            properties=(
                Property(_transposes, "A wide matrix should give the transpose of what its transpose gives."),
            ),
        ),
        Question(
            "q3",
            "steps_needed",
            2,
            "How many steps",
            expected=steps_needed,
            slips=(
                Slip("one too few", lambda p: steps_needed(p) - 1, "Off by one: is it above 0.68 by then?"),
                Slip("one too many", lambda p: steps_needed(p) + 1, "Off by one: it was above 0.68 before."),
            ),
        ),
        Question(
            "q4",
            "matrix_noise_scale",
            2,
            "The noise scale of a layer",
            expected=matrix_noise_scale,
            slips=(
                Slip(
                    "rows missing",
                    lambda p: matrix_noise_scale(p) / p.rows,
                    "The trace of the covariance counts every entry of the matrix, n m of them.",
                ),
                Slip(
                    "columns missing",
                    lambda p: matrix_noise_scale(p) / p.columns,
                    "The trace of the covariance counts every entry of the matrix, n m of them.",
                ),
                Slip(
                    "upside down", lambda p: 1 / matrix_noise_scale(p), "Noise belongs above, signal below."
                ),
            ),
        ),
        Question(
            "q5",
            "alignments",
            3,
            "One side or two",
            expected=alignments,
            agree=near_alignments,
            slips=(
                Slip(
                    "forms swapped",
                    lambda p: alignments(p)[[1, 0, 2]],
                    "The first two have changed places: the two-sided form takes a fourth root on each side.",
                ),
            ),
        ),
        Question("q6", "one_column", 2, "A matrix of one column", least_words=10),
    ),
)
