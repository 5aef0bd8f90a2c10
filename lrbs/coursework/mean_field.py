"""Assignment 2: the sign of a noisy gradient, with the average taken inside."""

from __future__ import annotations

from functools import cache
from math import erf, pi, sqrt
from typing import Any

import numpy as np

from lrbs.approximations import exact
from lrbs.coursework.assignment import Assignment
from lrbs.coursework.plot import curve_findings
from lrbs.coursework.question import Finding, Inputs, Parameters, Property, Question, Slip
from lrbs.laws.erf_route import erf_stand_in
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.sign import mean_field_sign
from lrbs.model import LocalModel
from lrbs.normal import sign_mean
from lrbs.rules import SignSGD
from lrbs.step import expected_step
from lrbs.validation import Array

SIZE = 6  # parameters of the student's model


def draw(rng: np.random.Generator) -> dict[str, Any] | None:
    """One coordinate; a model with a surge or without; and one whose coordinates are unlike."""
    g = np.round(rng.uniform(0.3, 1.5, SIZE) * rng.choice([-1.0, 1.0], SIZE), 2)
    signs = np.sign(g)
    bend = np.round(rng.uniform(0.8, 1.6), 2)
    share = rng.uniform(0.03, 0.1) if rng.random() < 0.5 else rng.uniform(0.4, 0.8)
    H = np.round(bend * ((1 - share) * np.eye(SIZE) + share * np.outer(signs, signs)), 2)
    if abs(signs @ H @ signs / np.trace(H) - 2) < 0.3:
        return None
    unlike = np.round(np.exp(rng.uniform(np.log(0.3), np.log(40.0), SIZE)) * np.abs(g), 2)
    if not (np.linalg.eigvalsh(H)[0] > 0.05 and (unlike > 0).all()):
        return None
    return {
        "mean": float(np.round(rng.uniform(0.2, 0.6), 2)),
        "deviation": float(np.round(rng.uniform(2.0, 6.0), 2)),
        "B": float(rng.integers(8, 64)),
        "g": g,
        "variance": np.round(rng.uniform(20, 400) * np.abs(g) ** 2 * rng.uniform(0.7, 1.4, SIZE), 1),
        "H": H,
        "unlike": unlike,
        "diagonal": np.round(rng.uniform(0.5, 2.0, SIZE), 2),
        "B_unlike": float(rng.integers(16, 200)),
    }


# ------------------------------------------------------------------------------------------- right answers
def mean_sign_value(p: Parameters) -> float:
    return float(mean_field_sign(p.mean, p.deviation / sqrt(p.B)))


def mean_sign(_: Parameters, g: Array, sigma: Array, B: float) -> Array:
    return mean_field_sign(g, np.asarray(sigma) / sqrt(B))


def measured(_: Parameters, g: float, sigma: float, B: float, samples: int, seed: int) -> list[float]:
    """Exact mean of the sign, and the standard error that so many samples give."""
    mean = erf(g * sqrt(B / 2) / sigma)
    return [mean, sqrt((1 - mean**2) / samples)]


@cache
def largest_gap(constant: float) -> float:
    """Largest distance of x / sqrt(x^2 + c) from erf(x), to five digits."""
    x = np.linspace(0, 6, 60_001)
    return float(np.max(np.abs(sign_mean(x * sqrt(2), 1.0) - erf_stand_in(x, constant))))


def law(p: Parameters) -> ScalarLaw:
    return ScalarLaw.of_sign(LocalModel(p.g, p.variance, p.H))


def scalar_over_exact(p: Parameters) -> float:
    model = LocalModel(p.g, p.unlike**2, p.diagonal)
    truth = expected_step(model, SignSGD(), p.B_unlike, exact).optimal_lr
    return float(ScalarLaw.of_sign(model).optimal_lr(p.B_unlike) / truth)


def curve(p: Parameters, batch_size: Array) -> Array:
    return expected_step(LocalModel(p.g, p.variance, p.H), SignSGD(), batch_size).optimal_lr


# ------------------------------------------------------------------------------------------------ questions
def any_signs(rng: np.random.Generator) -> Inputs:
    size = int(rng.integers(3, 8))
    g = rng.standard_normal(size)
    return g, rng.uniform(1, 20, size) * np.abs(g), float(rng.integers(2, 200))


def any_number(rng: np.random.Generator) -> Inputs:
    ratio = rng.uniform(0.1, 0.4) * rng.choice([-1.0, 1.0])
    sigma = float(np.round(rng.uniform(0.5, 5), 2))
    return float(ratio * sigma), sigma, float(rng.integers(4, 12)), 20_000, int(rng.integers(2**31))


def within_errors(got: Any, expected: Any, scale: float) -> bool:
    """Whether a mean lies within five standard errors, and its own error is the right one."""
    (mean, error), (true, true_error) = map(np.ravel, (got, expected))
    return abs(mean - true) <= 5 * scale * true_error and abs(error / true_error - 1) <= 0.1 * scale


def _only_signs(call: Any, p: Parameters) -> bool:
    found = np.asarray(call(p.g, np.sqrt(p.variance), 1e12), dtype=np.float64)
    return bool(np.allclose(found, np.sign(p.g), atol=1e-3))


def _one_sample(p: Parameters, g: float, sigma: float, B: float, samples: int, seed: int) -> list[float]:
    return measured(p, g, sigma, 1.0, samples, seed)


def _deviation(p: Parameters, g: float, sigma: float, B: float, samples: int, seed: int) -> list[float]:
    mean, error = measured(p, g, sigma, B, samples, seed)
    return [mean, error * sqrt(samples)]


def inspect_figure(answer: Any, p: Parameters) -> list[Finding]:
    """Whether a figure shows the learning rate against the batch size, and the right one."""
    return curve_findings(answer, lambda batch_size: curve(p, batch_size), decades=3)


ASSIGNMENT = Assignment(
    name="2-mean-field",
    title="Mean field",
    minutes=150,
    draw=draw,
    questions=(
        Question(
            "q1",
            "mean_sign_value",
            2,
            "The mean of a sign",
            expected=mean_sign_value,
            slips=(
                Slip(
                    "noise of a sample",
                    lambda p: float(mean_field_sign(p.mean, p.deviation)),
                    "sigma is the deviation of one sample; the mean of B samples has variance sigma^2/B.",
                ),
                Slip(
                    "sigma over B",
                    lambda p: float(mean_field_sign(p.mean, p.deviation / p.B)),
                    "Variances are divided by B, deviations by its root.",
                ),
                Slip(
                    "exact",
                    lambda p: float(sign_mean(p.mean, p.deviation / sqrt(p.B))),
                    "That is the exact mean for normal noise, an erf. The mean field was asked for.",
                ),
                Slip(
                    "pi/2",
                    lambda p: float(mean_field_sign(p.mean, p.deviation * sqrt(pi / 2 / p.B))),
                    "The factor pi/2 belongs to the older route; the mean field has none.",
                ),
            ),
        ),
        Question(
            "q2",
            "mean_sign",
            3,
            "The same as a function",
            expected=mean_sign,
            inputs=any_signs,
            slips=(
                Slip(
                    "B upside down",
                    lambda p, g, sigma, B: mean_field_sign(g, np.asarray(sigma) * sqrt(B)),
                    "With a larger batch the noise should get smaller.",
                ),
            ),
            properties=(Property(_only_signs, "As B grows without bound, sign(g) should remain."),),
        ),
        Question(
            "q3",
            "measured",
            3,
            "Measured, with its error",
            expected=measured,
            inputs=any_number,
            agree=within_errors,
            calls=3,
            slips=(
                Slip(
                    "deviation for error",
                    _deviation,
                    "That is the standard deviation of a sign. The error of their mean is smaller.",
                ),
                Slip("one sample", _one_sample, "Each sign is that of a mean of B numbers, not of one."),
            ),
        ),
        Question(
            "q4",
            "largest_error",
            2,
            "How far off the one line is",
            expected=lambda p: largest_gap(0.5),
            slips=(
                Slip(
                    "older constant",
                    lambda p: largest_gap(pi / 4),
                    "That is the largest error of the older route, with pi/2 in it.",
                ),
            ),
        ),
        Question(
            "q5",
            "surge_batch",
            3,
            "The batch of the surge",
            expected=lambda p: law(p).peak_batch_size,
            slips=(
                Slip(
                    "half-way point of the loss",
                    lambda p: law(p).loss_scale,
                    "There half of the greatest loss decrease is reached; the learning rate peaks elsewhere.",
                ),
                Slip(
                    "noise scale",
                    lambda p: law(p).noise_scale,
                    "That is B_simple; the peak lies at a multiple of it that the Hessian decides.",
                ),
            ),
        ),
        Question("q6", "two_coordinates", 2, "Can two coordinates surge?", least_words=10),
        Question(
            "q7",
            "scalar_over_exact",
            2,
            "Unlike coordinates",
            expected=scalar_over_exact,
            slips=(
                Slip(
                    "upside down",
                    lambda p: 1 / scalar_over_exact(p),
                    "That is the exact rate over the scalar one.",
                ),
            ),
        ),
        Question("q8", "fig", 3, "A picture of the curve", inspect=inspect_figure),
    ),
)
