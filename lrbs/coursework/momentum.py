"""Assignment 4: momentum as a larger batch, and the two averages of Adam."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from lrbs.coursework.assignment import Assignment
from lrbs.coursework.question import Finding, Inputs, Parameters, Property, Question, Slip
from lrbs.laws.adam_finite import corrected_square
from lrbs.laws.averaging import ema_gain, ema_noise_factor
from lrbs.laws.momentum import effective_batch_size, ema_batch_multiplier, sgdm_lr
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.update_rms import expected_update_rms, signal_from_update_rms, simulated_updates
from lrbs.rules import Adam
from lrbs.validation import Array

GROWTH = 16
COORDINATES = 40_000  # of the marker's own simulation
LARGEST_ERROR = 0.02  # relative, of the student's


def draw(rng: np.random.Generator) -> dict[str, Any] | None:
    """Coefficients, a run to be moved to another batch size, and a log to be read."""
    old, new = rng.choice([0.8, 0.85, 0.9, 0.95, 0.98], 2, replace=False)
    beta1 = float(rng.choice([0.8, 0.85, 0.95]))
    signal = float(np.exp(rng.uniform(np.log(0.02), np.log(3.0))))
    return {
        "momentum": float(np.round(rng.uniform(0.6, 0.97), 2)),
        "lr": float(np.round(rng.uniform(0.01, 0.2), 3)),
        "old_momentum": float(old),
        "new_momentum": float(new),
        "B": float(rng.integers(16, 65)),
        "noise_scale": float(np.round(rng.uniform(400, 4000), -1)),
        "beta": float(rng.choice([0.8, 0.9])),
        "log": {
            "batch_size": float(2 ** rng.integers(6, 11)),
            "beta1": beta1,
            "beta2": 0.999,
            "update_rms": float(f"{expected_update_rms(signal, beta1):.4g}"),
            "claimed_noise_scale": float(
                f"{2 ** rng.integers(6, 11) / signal * rng.choice([0.4, 1.0, 2.5]):.3g}"
            ),
        },
    }


# ------------------------------------------------------------------------------------------- right answers
def average_noise(_: Parameters, beta: float, t: int) -> float:
    """Variance of the corrected average after t steps from zero, per variance of a gradient."""
    return ema_noise_factor(beta, t) / ema_gain(beta, t) ** 2


def kept_lr(p: Parameters) -> float:
    """Rate with which PyTorch's buffer, the sum of gradients, gives steps as long as before."""
    return float(p.lr * (1 - p.new_momentum) / (1 - p.old_momentum))


def factors(p: Parameters) -> Array:
    """Growth of the best rate of SGDM, Signum and Adam when the batch grows sixteenfold."""
    sizes = np.array([p.B, GROWTH * p.B])
    sign = ScalarLaw(1.0, 1.0, 1.0, p.noise_scale)  # a diagonal Hessian: signal and noise bend alike
    adam = replace(sign, noise_curvature=ema_noise_factor(p.beta))
    curves = (
        sgdm_lr(sizes, 1.0, p.noise_scale, p.beta),
        sign.optimal_lr(effective_batch_size(sizes, p.beta)),
        adam.optimal_lr(sizes),
    )
    return np.array([curve[1] / curve[0] for curve in curves])


def noise_scale_from_rms(_: Parameters, rms: float, beta1: float, beta2: float, B: float) -> float:
    signal = float(signal_from_update_rms(rms, beta1, beta2))
    return B / signal if signal > 0 else float("nan")


def adam_square(_: Parameters, signal: float, beta1: float, beta2: float, seed: int) -> list[float]:
    """E[phi^2] of stationary Adam on one coordinate and its standard error, by simulation."""
    return list(_simulated(signal, beta1, beta2))


@lru_cache(256)
def _simulated(signal: float, beta1: float, beta2: float) -> tuple[float, float]:
    mean = np.full(COORDINATES, np.sqrt(signal))
    squares = simulated_updates(Adam(beta1, beta2, epsilon=1e-12), mean, 1.0, rng=1) ** 2
    return float(squares.mean()), float(squares.std() / np.sqrt(COORDINATES))


def claims(p: Parameters) -> list[bool]:
    """Which of the five claims of the text hold."""
    log = p.log
    signal = float(signal_from_update_rms(log["update_rms"], log["beta1"]))
    found = log["batch_size"] / signal
    doubled = float(expected_update_rms(2 * signal, log["beta1"]))
    return [
        bool(signal < 1),
        bool(0.8 < found / log["claimed_noise_scale"] < 1.25),
        bool(doubled < 1.1 * log["update_rms"]),
        bool(log["update_rms"] > 2 * np.sqrt(ema_noise_factor(log["beta1"]))),
        bool(log["batch_size"] * ema_batch_multiplier(log["beta1"]) > found),
    ]


# ------------------------------------------------------------------------------------------------ questions
def any_average(rng: np.random.Generator) -> Inputs:
    return float(np.round(rng.uniform(0.8, 0.99), 3)), int(rng.integers(2, 12))


def any_rms(rng: np.random.Generator) -> Inputs:
    beta1, beta2 = float(rng.choice([0.8, 0.9])), float(rng.choice([0.9, 0.95]))
    floor = float(corrected_square(0.0, 1.0, beta1, beta2))
    rms = np.sqrt(floor + (1 - floor) * rng.uniform(0.02, 0.15))
    return float(np.round(rms, 4)), beta1, beta2, float(2 ** rng.integers(6, 12))


def any_adam(rng: np.random.Generator) -> Inputs:
    beta1, beta2 = float(rng.choice([0.8, 0.9])), float(rng.choice([0.9, 0.95]))
    return float(np.round(rng.uniform(0.02, 0.5), 2)), beta1, beta2, int(rng.integers(2**31))


def within_errors(got: Any, expected: Any, scale: float) -> bool:
    """Whether a mean agrees within five errors of both, and has an error that is small and not nothing."""
    (value, error), (true, true_error) = map(np.ravel, (got, expected))
    near = abs(value - true) <= 5 * scale * np.hypot(error, true_error)
    return bool(near and 0 < error <= scale * LARGEST_ERROR * true)


def _below_the_noise(call: Any, _: Parameters) -> bool:
    return bool(np.isnan(float(call(0.15, 0.9, 0.95, 256.0))))


def _tends_to_stationary(call: Any, _: Parameters) -> bool:
    return abs(float(call(0.9, 2000)) * 19 - 1) < 0.01


def _root_of(p: Parameters, rms: float, beta1: float, beta2: float, B: float) -> float:
    floor = float(corrected_square(0.0, 1.0, beta1, beta2))
    signal = (rms - floor) / (1 - rms)
    return B / signal if signal > 0 else float("nan")


@lru_cache(256)
def _v_from_m(signal: float, beta1: float, beta2: float) -> tuple[float, float]:
    rng, steps = np.random.default_rng(1), Adam(beta1, beta2).horizon
    m = v = np.zeros(COORDINATES // 4)
    for _ in range(steps):
        m = beta1 * m + (1 - beta1) * (np.sqrt(signal) + rng.standard_normal(m.size))
        v = beta2 * v + (1 - beta2) * m**2
    squares = m**2 / v
    return float(squares.mean()), float(squares.std() / np.sqrt(squares.size))


def inspect_claims(answer: Any, p: Parameters) -> list[Finding]:
    """All right, or all but one; guessing pays nothing on average."""
    given = [bool(value) for value in np.ravel(answer)]
    if len(given) != 5:
        raise ValueError("five truth values")
    wrong = sum(a != b for a, b in zip(given, claims(p), strict=True))
    return [
        Finding(wrong <= 1, "More than one of the five is wrong."),
        Finding(wrong == 0, "Not all five are right."),
    ]


ASSIGNMENT = Assignment(
    name="4-momentum-and-adam",
    title="Momentum and Adam",
    minutes=180,
    draw=draw,
    questions=(
        Question(
            "q1",
            "multiplier",
            2,
            "Momentum as a larger batch",
            expected=lambda p: ema_batch_multiplier(p.momentum),
            slips=(
                Slip(
                    "one over one minus beta",
                    lambda p: 1 / (1 - p.momentum),
                    "That is the sum of the weights of PyTorch's buffer, and says nothing about the noise.",
                ),
                Slip(
                    "upside down",
                    lambda p: ema_noise_factor(p.momentum),
                    "That is the share of the noise that is left; momentum is a larger batch.",
                ),
            ),
        ),
        Question(
            "q2",
            "average_noise",
            3,
            "The first steps of an average",
            expected=average_noise,
            inputs=any_average,
            slips=(
                Slip(
                    "t without end",
                    lambda _, beta, t: ema_noise_factor(beta),
                    "That is what remains after many steps; t is finite.",
                ),
                Slip(
                    "gain missing",
                    lambda _, beta, t: ema_noise_factor(beta, t),
                    "The average from zero is too short by 1 - beta^t; correcting it enlarges its noise.",
                ),
            ),
            properties=(
                Property(_tends_to_stationary, "After many steps (1 - beta)/(1 + beta) should remain."),
            ),
        ),
        Question(
            "q3",
            "kept_lr",
            2,
            "Another momentum in PyTorch",
            expected=kept_lr,
            slips=(
                Slip(
                    "ratio of multipliers",
                    lambda p: (
                        p.lr * ema_batch_multiplier(p.new_momentum) / ema_batch_multiplier(p.old_momentum)
                    ),
                    "That compares the noise of the averages; the question is how long the steps are.",
                ),
                Slip(
                    "upside down",
                    lambda p: p.lr * (1 - p.old_momentum) / (1 - p.new_momentum),
                    "A buffer with more momentum is longer, so its rate must be smaller.",
                ),
                Slip("unchanged", lambda p: p.lr, "PyTorch's buffer is a sum: its length depends on beta."),
            ),
        ),
        Question(
            "q4",
            "factors",
            3,
            "Sixteen times the batch",
            expected=factors,
            slips=(
                Slip(
                    "16, 4, 4",
                    lambda p: np.array([16.0, 4.0, 4.0]),
                    "That holds far below the noise scale. How far below is the effective batch here?",
                ),
            ),
        ),
        Question(
            "q5",
            "noise_scale_from_rms",
            3,
            "A noise scale from a log",
            expected=noise_scale_from_rms,
            inputs=any_rms,
            slips=(
                Slip(
                    "no beta_2",
                    lambda _, rms, beta1, beta2, B: B / float(signal_from_update_rms(rms, beta1)),
                    "v fluctuates, and the more the smaller beta_2: the level of pure noise depends on it.",
                ),
                Slip("root for square", _root_of, "The law is about mean squares; you put in the root."),
            ),
            properties=(
                Property(
                    _below_the_noise,
                    "An RMS below the level of pure noise resolves nothing: return nan, and clip nothing.",
                ),
            ),
        ),
        Question(
            "q6",
            "adam_square",
            3,
            "Adam, simulated",
            expected=adam_square,
            inputs=any_adam,
            agree=within_errors,
            calls=2,
            slips=(
                Slip(
                    "v from m",
                    lambda _, signal, beta1, beta2, seed: list(_v_from_m(signal, beta1, beta2)),
                    "v is the average of the squares of the gradients, not of m.",
                ),
            ),
        ),
        Question("q7", "claims", 2, "Five claims about a log", inspect=inspect_claims),
        Question("q8", "warm_up", 2, "What warm-up mends", least_words=15),
    ),
)
