"""Checks of the page on the update RMS: why it is about 0.2, and what can be read off it."""

import math
from itertools import product

import numpy as np

from lrbs import SGD, Adam, laws
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import SIGNALS, unequal_signals
from lrbs.normal import adam_moments
from lrbs.validation import Array

# sqrt(E[u^2]) of pure noise by (beta_1, beta_2), as the book states it.
PURE_NOISE = {
    (0.8, 0.95): 0.327,
    (0.9, 0.95): 0.226,
    (0.95, 0.95): 0.159,
    (0.9, 0.5): 0.270,
    (0.9, 0.2): 0.386,
}


def exact_rms(signal: float, beta1: float, beta2: float) -> float:
    """Update RMS of coordinates that share one ratio of signal to noise, without approximation."""
    return math.sqrt(adam_moments([math.sqrt(signal)], [1.0], beta1, beta2)[1][0])


@check("Monte Carlo")
def averages_of_adam() -> Rows:
    """E[m^2] and E[v] by simulation, in the first steps and after many, with skewed noise."""
    rng = np.random.default_rng(70)
    mu, sigma, beta1, beta2 = 0.4, 1.5, 0.8, 0.9
    for steps in (3, 140):
        gradients = mu + sigma * (rng.exponential(size=(8000, steps, 1)) - 1)
        v = SGD(beta2)(gradients**2)[:, 0]
        yield f"E[v], t = {steps}", laws.second_average(mu, sigma**2, beta2, steps), v
    m = SGD(beta1)(gradients)[:, 0]
    yield "E[m²], t = 140", laws.momentum_square(mu, sigma**2, beta1), m**2


@check("Monte Carlo")
def average_before_it_has_settled() -> Rows:
    """E[m_t] is not mu at finite t: it is (1 - beta_1^t) mu."""
    rng = np.random.default_rng(71)
    m = SGD(0.9)(1 + rng.standard_normal((8000, 10, 1)))[:, 0]
    yield "E[m₁₀]/μ", laws.ema_gain(0.9, 10), m
    yield stated("E[m₁₀]/μ, stated", 0.651, laws.ema_gain(0.9, 10), 1e-3)


@check("Monte Carlo")
def simulated_rms_of_pure_noise() -> Rows:
    """Running Adam on noise alone: 0.225, falling with beta_1 and not independent of beta_2."""
    for (beta1, beta2), figure in PURE_NOISE.items():
        update = laws.simulated_updates(Adam(beta1, beta2), np.zeros(3000), 1.0, rng=72)
        root = exact_rms(0.0, beta1, beta2)
        error = float(np.std(update**2) / (2 * root * math.sqrt(update.size)))
        yield f"({beta1}, {beta2}): simulated", root, (laws.root_mean_square(update), error)
        yield stated(f"({beta1}, {beta2}): stated", figure, root, 2e-3)
    yield stated("the article's 0.225", 0.225, exact_rms(0.0, 0.9, 0.95), 0.01)


@check("approximation")
def rms_of_pure_noise() -> Rows:
    """sqrt((1 - b1)/(1 + b1)) against the exact value."""
    closed = {beta1: float(laws.expected_update_rms(0.0, beta1)) for beta1 in (0.8, 0.9, 0.95)}
    pairs = product(closed, (0.95, 0.99, 0.999))
    worst = max(pairs, key=lambda pair: abs(closed[pair[0]] / exact_rms(0.0, *pair) - 1))
    yield stated("β₁ = 0.9", 0.2294, closed[0.9], 2e-4)
    yield missed("at (0.9, 0.95)", closed[0.9], exact_rms(0.0, 0.9, 0.95), 0.0149, 2e-4)
    yield missed("at (0.9, 0.999)", closed[0.9], exact_rms(0.0, 0.9, 0.999), 0.0005, 2e-4)
    yield missed(f"at {worst}, the worst", closed[worst[0]], exact_rms(0.0, *worst), 0.0191, 2e-4)
    return f"β = {worst[0]}, {worst[1]}"


@check("approximation")
def square_at_finite_beta2() -> Rows:
    """The first correction against the exact mean square: pure noise, and all signals."""
    errors, floors = {}, {}
    for beta1, beta2 in ((0.9, 0.95), (0.9, 0.99), (0.95, 0.95), (0.8, 0.95)):
        _, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), beta1, beta2)
        errors[beta1, beta2] = np.abs(laws.corrected_square(SIGNALS, 1.0, beta1, beta2) / square - 1)
        floors[beta1, beta2] = math.sqrt(float(laws.corrected_square(0.0, 1.0, beta1, beta2)))
    c, b1, b2 = laws.ema_noise_factor(0.9), 0.9, 0.95
    printed = c * (1 + 2 * (1 - b2) / (1 + b2) - 2 * (1 - b1**2) * (1 - b2) / (1 - b1**2 * b2))
    largest = max(errors, key=lambda pair: errors[pair].max())
    yield "printed form", laws.corrected_square(0.0, 1.0, b1, b2), printed
    yield stated("RMS of pure noise, (0.9, 0.95)", 0.2258, floors[0.9, 0.95], 3e-4)
    yield near("exact", floors[0.9, 0.95], exact_rms(0.0, 0.9, 0.95), tolerance=2e-3)
    yield stated("largest error, (0.9, 0.95)", 0.0049, errors[0.9, 0.95].max(), 0.02)
    yield stated("largest error, (0.8, 0.95)", 0.0069, errors[0.8, 0.95].max(), 0.02)
    at = f"mean/deviation {SIGNALS[errors[largest].argmax()]:.2g}"
    return errors[largest].max(), f"β = {largest[0]}, {largest[1]}; mean square, {at}"


@check("algebra only", where="within the mean field")
def average_shown_by_the_rms() -> Rows:
    """What the inverted RMS of unequal coordinates reads: their average, with the share of momentum gone."""
    for spread in (0.5, 2.0):
        mean, deviation = unequal_signals(spread, 0.1)
        average = laws.signal_seen_by_rms((mean / deviation) ** 2)
        for beta1 in (0.5, 0.9):
            reading = float(laws.signal_from_update_rms(_rms_by_coordinate(mean, deviation, beta1), beta1))
            yield f"spread {spread:g}, β₁ = {beta1:g}", average, reading


def _rms_by_coordinate(mean: Array, deviation: Array, beta1: float) -> float:
    """Update RMS in the mean field, each coordinate with a ratio of its own."""
    squares = laws.momentum_square(mean, deviation**2, beta1) / laws.second_average(mean, deviation**2)
    return math.sqrt(float(np.mean(squares)))


@check("approximation", where="RMS, log-normal σᵢ of spread 2, B = 0.1 B_simple; none for equal ratios")
def rms_over_unequal_coordinates() -> Rows:
    """One ratio for all against coordinates that differ: the reading is not B/B_simple."""
    for spread, off in ((0.0, 0.0), (0.5, 1.20), (1.0, 7.52), (2.0, 93.7)):
        mean, deviation = unequal_signals(spread, 0.1)
        rms = _rms_by_coordinate(mean, deviation, 0.9)
        reading = float(laws.signal_from_update_rms(rms, 0.9))
        yield missed(f"B/B_simple read, spread {spread:g}", reading, 0.1, off, 0.01)
    row = missed("RMS, spread 2", laws.expected_update_rms(0.1, 0.9), rms, -0.61, 0.01)
    yield row
    return row.relative


@check("approximation")
def noise_scale_read_off_the_update_rms() -> Rows:
    """Inverse of the mean field; readings of exact and of simulated runs, corrected and not."""
    signals = np.array([0.01, 0.1, 1.0, 10.0])
    there = laws.signal_from_update_rms(laws.expected_update_rms(signals, 0.9), 0.9)
    plain = np.array([laws.signal_from_update_rms(exact_rms(s, 0.9, 0.95), 0.9) for s in signals])
    better = np.array([laws.signal_from_update_rms(exact_rms(s, 0.9, 0.95), 0.9, 0.95) for s in signals])
    slow = float(laws.signal_from_update_rms(exact_rms(0.01, 0.9, 0.999), 0.9))
    update = laws.simulated_updates(Adam(0.9, 0.95), np.full(6000, math.sqrt(0.1)), 1.0, rng=74)
    rms, step = exact_rms(0.1, 0.9, 0.95), 1e-4 * exact_rms(0.1, 0.9, 0.95)
    low, high = (laws.signal_from_update_rms(rms + d, 0.9) for d in (-step, step))
    of_rms = np.std(update**2) / (2 * laws.root_mean_square(update) * math.sqrt(update.size))
    error = (high - low) / (2 * step) * of_rms
    pure = float(laws.signal_from_update_rms(exact_rms(0.0, 0.9, 0.95), 0.9))
    for s, t in zip(signals, there, strict=True):
        yield f"inverse at {s:g}", t, s
    yield "simulated, 0.1", plain[1], (laws.signal_from_update_rms(laws.root_mean_square(update), 0.9), error)
    yield missed("a true 0.01, (0.9, 0.95)", plain[0], 0.01, -0.24, 0.02)
    yield missed("a true 0.01, corrected", better[0], 0.01, -0.07, 0.02)
    yield missed("a true 0.01, (0.9, 0.999)", slow, 0.01, -0.01, 0.01)
    yield missed("a true 0.1, corrected", better[1], 0.1, -0.073, 0.01)
    yield holds("pure noise is not resolved", pure <= 0)
    corrected = f"{100 * abs(better[0] / 0.01 - 1):.0f} % when corrected"
    return np.abs(plain / signals - 1).max(), f"B = 0.01 B_simple at (0.9, 0.95); {corrected}"


@check("Monte Carlo")
def norms_of_gradient_and_average() -> Rows:
    """|m| and |m|/|g| with unequal coordinates, by simulation."""
    mean, deviation = unequal_signals(1.0, 0.1, size=100)
    rng = np.random.default_rng(75)
    gradients = mean + deviation * rng.standard_normal((250, 132, mean.size))
    m, last = SGD(0.9)(gradients), gradients[:, -1]
    mu, sigma = float(np.linalg.norm(mean)), float(np.linalg.norm(deviation))
    squares, of_last = (m**2).sum(axis=1), (last**2).sum(axis=1)
    ratio = float(np.sqrt(squares.mean() / of_last.mean()))
    spread = float(np.hypot(squares.std() / squares.mean(), of_last.std() / of_last.mean()))
    law = laws.momentum_ratio(mu, sigma, 0.9)
    yield "|m|²", float(laws.momentum_norm(mu, sigma, 0.9)) ** 2, squares
    yield "|g|²", mu**2 + sigma**2, of_last
    yield "|m|/|g|", law, (ratio, ratio * spread / 2 / math.sqrt(250))
    yield "as Adam's RMS at equal ratios", law, laws.expected_update_rms(mu**2 / sigma**2, 0.9)


@check("Monte Carlo")
def noise_scale_read_off_two_norms() -> Rows:
    """The inverse; and where the RMS misreads by its average, the two norms do not."""
    mean, deviation = unequal_signals(1.0, 0.1, size=8000)
    mu, sigma = float(np.linalg.norm(mean)), float(np.linalg.norm(deviation))
    true = mu**2 / sigma**2
    rng, m, readings = np.random.default_rng(76), np.zeros(mean.size), []
    for step in range(400):
        gradient = mean + deviation * rng.standard_normal(mean.size)
        m = 0.9 * m + 0.1 * gradient
        if step >= 100 and step % 30 == 0:  # far enough apart to count as independent
            shown = np.linalg.norm(m) / np.linalg.norm(gradient)
            readings.append(float(laws.signal_from_momentum_ratio(shown, 0.9)))
    rms = laws.signal_seen_by_rms((mean / deviation) ** 2)
    yield "inverse", laws.signal_from_momentum_ratio(laws.momentum_ratio(mu, sigma, 0.9), 0.9), true
    yield "read off a run, B/B_simple = 0.1", true, readings
    yield stated("the RMS of the same run reads", 0.852, rms, 0.05)


@check("approximation", where="B = 0.1 B_simple, momentum 0.9", news=True)
def two_norms_under_a_turning_gradient() -> Rows:
    """Where it breaks: a gradient that turns by 0.1 rad a step, so that its average is shorter than it is."""
    angles = 0.1 * np.arange(-400, 1)
    turning = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gain = float(np.linalg.norm(laws.averaged_mean(turning, laws.ema_weights(0.9, angles.size))))
    mu, sigma = 1.0, math.sqrt(10.0)
    shown = float(laws.momentum_norm(gain * mu, sigma, 0.9)) / math.hypot(mu, sigma)
    reading = float(laws.signal_from_momentum_ratio(shown, 0.9))
    yield "length of the average", 0.1 / math.sqrt(1.81 - 1.8 * math.cos(0.1)), gain
    yield missed("B/B_simple read", reading, 0.1, -0.524, 0.02)
