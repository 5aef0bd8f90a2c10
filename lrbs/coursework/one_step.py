"""Assignment 1: one step of SGD, and the two numbers that it hangs on."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrbs.coursework.assignment import Assignment
from lrbs.coursework.question import Inputs, Parameters, Property, Question, Slip
from lrbs.laws.sgd import saturation
from lrbs.model import LocalModel
from lrbs.rules import SGD
from lrbs.step import expected_step
from lrbs.tradeoff import law
from lrbs.validation import Array

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)  # of the table of runs
RELATIVE_ERROR = 0.03


def definite(rng: np.random.Generator, size: int, decimals: int, scale: float = 1.0) -> Array | None:
    """A positive definite matrix that is still one after rounding; None if this draw is not."""
    root = rng.standard_normal((size, size))
    matrix = np.round(scale * (root @ root.T / size + 0.2 * np.eye(size)), decimals)
    matrix = (matrix + matrix.T) / 2
    return matrix if np.linalg.eigvalsh(matrix)[0] > 0.05 * scale else None


def draw(rng: np.random.Generator) -> dict[str, Any] | None:
    """Gradient, covariance and Hessian in three dimensions, a tuned rate, a share, and a table of runs."""
    S, H = definite(rng, 3, 2, scale=40.0), definite(rng, 3, 2)
    g = np.round(rng.uniform(0.3, 2.0, 3) * rng.choice([-1.0, 1.0], 3), 2)
    if S is None or H is None:
        return None
    min_steps, noise_scale = rng.uniform(800, 3000), rng.uniform(60, 300)
    B = np.array(SIZES, dtype=np.float64)
    true = law.steps(B, min_steps, noise_scale)
    errors = np.round(RELATIVE_ERROR * true * rng.uniform(0.4, 2.0, B.size))
    steps = np.round(true + errors * rng.standard_normal(B.size))
    return {
        "g": g,
        "S": S,
        "H": H,
        "share": float(np.round(rng.uniform(0.55, 0.95), 2)),
        "tuned_lr": float(np.round(rng.uniform(0.02, 0.2), 3)),
        "tuned_noise_scale": float(np.round(rng.uniform(400, 3000), -1)),
        "batch_sizes": B,
        "steps": steps,
        "step_errors": errors,
    }


# ------------------------------------------------------------------------------------------- right answers
def model(g: Array, S: Array, H: Array) -> LocalModel:
    return LocalModel(g, S, H)


def noise_scale(p: Parameters) -> float:
    return float(model(p.g, p.S, p.H).noise_scale)


def sgd_lr(_: Parameters, g: Array, S: Array, H: Array, B: float) -> float:
    return float(expected_step(model(g, S, H), SGD(), B).optimal_lr)


def batch_for_share(p: Parameters) -> float:
    return noise_scale(p) * p.share / (1 - p.share)


def predicted_lr(p: Parameters) -> float:
    small, large = saturation([256, 4096], 1.0, p.tuned_noise_scale)
    return float(p.tuned_lr * large / small)


def loss_change(_: Parameters, g: Array, S: Array, H: Array, B: float, learning_rate: float) -> float:
    return float(expected_step(model(g, S, H), SGD(), B).loss_change(learning_rate))


def fit(p: Parameters, weighted: bool = True) -> Array:
    """S_min, E_min and their standard errors, by least squares on S = S_min + E_min/B."""
    errors = p.step_errors if weighted else np.full(p.steps.size, np.sqrt(np.mean(p.step_errors**2)))
    design = np.stack([np.ones_like(p.steps), 1 / p.batch_sizes], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    best = covariance @ design.T @ (p.steps / errors)
    return np.concatenate([best, np.sqrt(np.diag(covariance))])


# ------------------------------------------------------------------------------------------------- functions
def any_model(rng: np.random.Generator) -> Inputs:
    """A model of two to six parameters and a batch size, none of which the student has seen."""
    size = int(rng.integers(2, 7))
    while True:
        S, H = definite(rng, size, 6, scale=float(rng.uniform(5, 80))), definite(rng, size, 6)
        if S is not None and H is not None:
            return rng.standard_normal(size), S, H, float(np.round(2 ** rng.uniform(3, 9)))


def any_step(rng: np.random.Generator) -> Inputs:
    """The same with a learning rate, from a third of the best to three times it."""
    inputs = any_model(rng)
    return *inputs, sgd_lr(Parameters(), *inputs) * float(rng.choice([0.35, 0.6, 1.5, 2.5]))


def _with_exact_gradients(call: Any, p: Parameters) -> bool:
    found = float(call(p.g, p.S, p.H, 1e12))
    return abs(found / float(p.g @ p.g / (p.g @ p.H @ p.g)) - 1) < 0.01


def _in_proportion(call: Any, p: Parameters) -> bool:
    return abs(float(call(p.g, p.S, p.H, 2e-6)) / float(call(p.g, p.S, p.H, 1e-6)) - 2) < 0.02


def _zero_rate(call: Any, p: Parameters) -> bool:
    return float(call(p.g, p.S, p.H, 64.0, 0.0)) == 0


def _parts(g: Array, S: Array, H: Array) -> tuple[float, float, float]:
    return float(g @ g), float(g @ H @ g), float(np.trace(S @ H))


def _sgd_variant(noise: Any, factor: float = 1.0) -> Any:
    """A wrong formula of the learning rate, by what it takes for the noise's part of the curvature."""

    def formula(_: Parameters, g: Array, S: Array, H: Array, B: float) -> float:
        square, signal, _noise = _parts(g, S, H)
        return factor * square / (signal + noise(S, H, B))

    return formula


def _loss_variant(half: float, noise: bool) -> Any:
    def formula(_: Parameters, g: Array, S: Array, H: Array, B: float, learning_rate: float) -> float:
        square, signal, trace = _parts(g, S, H)
        return -learning_rate * square + half * learning_rate**2 * (signal + noise * trace / B)

    return formula


ASSIGNMENT = Assignment(
    name="1-one-step",
    title="One step",
    minutes=120,
    draw=draw,
    questions=(
        Question(
            "q1",
            "noise_scale",
            2,
            "The noise scale",
            expected=noise_scale,
            slips=(
                Slip(
                    "simple noise scale",
                    lambda p: np.trace(p.S) / (p.g @ p.g),
                    "This is B_simple, right where the Hessian is a multiple of the identity. Yours is not.",
                ),
                Slip(
                    "Hessian above alone",
                    lambda p: np.trace(p.S @ p.H) / (p.g @ p.g),
                    "The Hessian weighs the noise; it weighs the gradient too.",
                ),
                Slip(
                    "diagonals alone",
                    lambda p: np.diag(p.S) @ np.diag(p.H) / (p.g**2 @ np.diag(p.H)),
                    "You took the diagonals. The trace of a product is more than the product of diagonals.",
                ),
            ),
        ),
        Question(
            "q2",
            "sgd_lr",
            4,
            "The best learning rate",
            expected=sgd_lr,
            inputs=any_model,
            slips=(
                Slip(
                    "covariance of a sample",
                    _sgd_variant(lambda S, H, B: np.trace(S @ H)),
                    "S is the covariance of one sample's gradient. That of a batch of B is smaller.",
                ),
                Slip(
                    "product of traces",
                    _sgd_variant(lambda S, H, B: np.trace(S) * np.trace(H) / B),
                    "The trace of a product is not the product of the traces.",
                ),
                Slip(
                    "stray half",
                    _sgd_variant(lambda S, H, B: np.trace(S @ H) / B, 0.5),
                    "A factor of 1/2 is too much: differentiate the parabola once more.",
                ),
            ),
            properties=(
                Property(
                    _with_exact_gradients,
                    "As B grows without bound, the noise should drop out and g.g / g.H.g remain.",
                ),
                Property(_in_proportion, "At very small B the learning rate should be in proportion to B."),
            ),
        ),
        Question(
            "q3",
            "batch_for_share",
            2,
            "A batch for a share of the progress",
            expected=batch_for_share,
            slips=(
                Slip(
                    "share upside down",
                    lambda p: noise_scale(p) * (1 - p.share) / p.share,
                    "A larger share needs a larger batch; yours gets smaller.",
                ),
                Slip(
                    "one over the rest",
                    lambda p: noise_scale(p) / (1 - p.share),
                    "At a share of 0 no batch is needed; yours is not 0 there.",
                ),
            ),
        ),
        Question(
            "q4",
            "predicted_lr",
            2,
            "From 256 to 4096",
            expected=predicted_lr,
            slips=(
                Slip("linear", lambda p: 16 * p.tuned_lr, "Linear scaling holds far below the noise scale."),
                Slip(
                    "square root",
                    lambda p: 4 * p.tuned_lr,
                    "The square-root rule is not what the best rate of one SGD step follows.",
                ),
            ),
        ),
        Question(
            "q5",
            "loss_change",
            3,
            "What a step does to the loss",
            expected=loss_change,
            inputs=any_step,
            slips=(
                Slip("half missing", _loss_variant(1.0, True), "Taylor's second term has a factor 1/2."),
                Slip(
                    "noise missing",
                    _loss_variant(0.5, False),
                    "A noisy step is longer than its mean: its noise meets the curvature too.",
                ),
            ),
            properties=(Property(_zero_rate, "A step of no length should change nothing."),),
        ),
        Question(
            "q6",
            "fit",
            4,
            "Steps against examples",
            expected=fit,
            slips=(
                Slip(
                    "swapped",
                    lambda p: fit(p)[[1, 0, 3, 2]],
                    "S_min and E_min have changed places: S_min is the smaller of the two here.",
                ),
                Slip(
                    "unweighted",
                    lambda p: fit(p, weighted=False),
                    "The rows are not equally sure: weigh each by one over its error squared.",
                ),
            ),
        ),
        Question("q7", "diverged", 3, "He scaled linearly to 64k", least_words=15),
    ),
)
