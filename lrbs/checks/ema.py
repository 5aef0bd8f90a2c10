"""Checks of chapter 4: averages over time, momentum as a larger batch, Adam and its laws."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import erf

from lrbs.approximations import exact, mean_field, scalar_mean_field
from lrbs.checks.evidence import (
    Comparison,
    Rows,
    check,
    holds,
    missed,
    near,
    stated,
)
from lrbs.checks.problems import dense_model, minimised_loss
from lrbs.laws.adam import (
    mean_update,
    momentum_square,
    second_average,
    second_moment,
    square_from_mean,
    square_update,
)
from lrbs.laws.adam_curves import adam_law, full_momentum_lr, scalar_mean_update
from lrbs.laws.adam_finite import corrected_mean
from lrbs.laws.averaging import (
    averaged_covariance,
    averaged_mean,
    ema_gain,
    ema_lag,
    ema_noise_factor,
    ema_step,
    ema_weights,
    lion_weights,
    nesterov_weights,
)
from lrbs.laws.momentum import (
    batch_multiplier,
    effective_batch_size,
    ema_batch_multiplier,
    lion_batch_multiplier,
    nesterov_batch_multiplier,
    sgdm_lr,
    stationary_variance,
)
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.update_rms import simulated_updates
from lrbs.model import LocalModel
from lrbs.normal import adam_moments
from lrbs.operators import Diagonal
from lrbs.rules import SGD, Adam, Averaged, Muon, SignSGD, adamw_step
from lrbs.simulate import simulated_step
from lrbs.step import expected_step
from lrbs.validation import Array

# Means of batch gradients in units of their deviation, from nearly pure noise to nearly none.
SIGNALS = np.geomspace(1e-2, 1e2, 81)


def equal_signal_model(size: int = 6, spread: float = 0.0, diagonal: bool = False) -> LocalModel:
    """Independent coordinates; sigma_i/|g_i| is one for all at spread 0, else log-normal."""
    rng = np.random.default_rng(40)
    root, normal = rng.standard_normal((size, size)), rng.standard_normal((2, size))
    gradient = rng.choice([-1.0, 1.0], size) * np.exp(0.7 * normal[0])
    deviation = np.abs(gradient) * 7 * np.exp(spread * normal[1])
    dense = root @ root.T / size + 0.5 * np.outer(np.sign(gradient), np.sign(gradient))
    return LocalModel(gradient, deviation**2, np.diag(dense).copy() if diagonal else dense)


def unit_law(beta1: float) -> ScalarLaw:
    """Adam's law for a diagonal Hessian, in units of B_simple and of its limits at infinite batch size."""
    return adam_law(LocalModel([1.0], [1.0], [1.0]), beta1)


# ---------------------------------------------------------------------------------------- averages
@check("identity")
def recursion_against_weights() -> Rows:
    """Running the recursions against the written-out sums and against the rules."""
    history = np.random.default_rng(41).standard_normal((30, 5)) + 0.2
    m, v, w = np.zeros(5), np.zeros(5), np.zeros(5)
    for gradient in history:
        m, v = ema_step(m, gradient, 0.8), ema_step(v, gradient**2, 0.95)
        w = w - 0.1 * m
    moved = sum(SGD(0.8)(history[: t + 1]) for t in range(30))
    rows = [
        ("m_t, written out", averaged_mean(history, ema_weights(0.8, 30)), m),
        ("v_t, written out", averaged_mean(history**2, ema_weights(0.95, 30)), v),
        ("SGDM's update", SGD(0.8)(history), m),
        ("SGDM after 30 steps", -0.1 * np.asarray(moved), w),
        ("SignSGDM's update", SignSGD(0.8)(history), np.sign(m)),
    ]
    for name, formula, reference in rows:
        for index in (0, 4):
            yield f"{name}, coordinate {index}", formula[index], reference[index]


@check("Monte Carlo")
def average_of_a_moving_gradient() -> Rows:
    """Gradient and noise that both drift, skewed noise; and the lag against a long straight drift."""
    rng = np.random.default_rng(42)
    steps, runs, decay = 20, 20_000, 0.8
    means = np.linspace(1.0, 3.0, steps)
    deviations = np.linspace(2.0, 0.5, steps)
    gradients = means + deviations * (rng.exponential(size=(runs, steps)) - 1)
    m = SGD(decay)(gradients[:, :, None])[:, 0]
    weights = ema_weights(decay, steps)
    mean = float(averaged_mean(means, weights))
    variance = float(averaged_covariance(deviations**2, weights))
    drift = 0.01 * np.arange(-2000, 1)
    yield "mean of m_20", mean, m
    yield "variance of m_20", variance, (m - mean) ** 2
    yield "lag under a straight drift", -0.01 * ema_lag(0.9), averaged_mean(drift, ema_weights(0.9, 2001))


@check("Monte Carlo")
def average_at_finite_time() -> Rows:
    """A constant gradient: sums, simulation, and the limit of many steps."""
    rng = np.random.default_rng(43)
    decay = 0.9
    for steps in (1, 5, 40):
        weights = ema_weights(decay, steps)
        m = SGD(decay)(1 + rng.standard_normal((8000, steps, 1)))[:, 0]
        gain, kept = ema_gain(decay, steps), ema_noise_factor(decay, steps)
        yield f"sum of weights, t = {steps}", gain, weights.sum()
        yield f"sum of squares, t = {steps}", kept, weights @ weights
        yield f"mean of m, t = {steps}", gain, m
        yield f"variance of m, t = {steps}", kept, (m - gain) ** 2
    yield "gain, t = inf", ema_gain(decay), 1.0
    yield "c, t = inf", ema_noise_factor(decay), 1 / 19


@check("Monte Carlo")
def second_average_of_adam() -> Rows:
    """E[v] with drifting gradient and drifting, heavy-tailed noise; and with both constant."""
    rng = np.random.default_rng(44)
    steps, runs, beta2 = 40, 8000, 0.95
    means, deviations = np.linspace(0.5, 1.5, steps), np.linspace(1.0, 2.0, steps)
    noise = rng.standard_t(9, size=(runs, steps)) * np.sqrt(7 / 9)
    v = SGD(beta2)(((means + deviations * noise) ** 2)[:, :, None])[:, 0]
    weights = ema_weights(beta2, steps)
    constant = np.full(2000, 0.3**2 + 4.0 / 16)
    yield "E[v_40], drifting", averaged_mean(means**2 + deviations**2, weights), v
    yield "constant, many steps", averaged_mean(constant, ema_weights(beta2, 2000)), 0.3**2 + 4.0 / 16
    yield "constant, in short", second_average(0.3, 4.0 / 16), 0.3**2 + 4.0 / 16


# ----------------------------------------------------------------------- momentum as a larger batch
@check("Monte Carlo")
def linear_averages_multiply_the_batch() -> Rows:
    """Closed forms against sums of weights, and the noise of simulated averages."""
    rng = np.random.default_rng(45)
    averages = {
        "heavy ball": (ema_weights(0.9, 400), ema_batch_multiplier(0.9), 19.0),
        "heavy ball, t = 5": (ema_weights(0.9, 5), ema_batch_multiplier(0.9, 5), None),
        "Nesterov": (nesterov_weights(0.9, 400), nesterov_batch_multiplier(0.9), 14.16),
        "Lion": (lion_weights(0.9, 0.99, 3000), lion_batch_multiplier(0.9, 0.99), 71.07),
    }
    for name, (weights, closed, figure) in averages.items():
        yield name, closed, batch_multiplier(weights)
        if figure is not None:
            yield stated(f"{name}: stated", figure, closed, 1e-3)
        short = weights[:400]
        update = Averaged(SGD(), short)(rng.standard_normal((2000, short.size, 1)))[:, 0]
        yield f"{name}: noise left", batch_multiplier(short) ** -1 * short.sum() ** 2, update**2


@check("Monte Carlo")
def momentum_as_a_larger_batch() -> Rows:
    """SGD with momentum: the law against a search over the simulated loss, and against SGD at 19 B."""
    model = dense_model()
    for batch_size in model.noise_scale / 19 * np.array([0.3, 3.0]):
        law = float(sgdm_lr(batch_size, model.max_lr, model.noise_scale, 0.9))
        found, error = minimised_loss(model, SGD(0.9), batch_size, samples=2000, seed=46)
        larger = float(expected_step(model, SGD(), 19 * batch_size).optimal_lr)
        share = f"B = {batch_size / model.noise_scale:.3g} B_noise"
        yield f"{share}: searched", law, (found, error)
        yield f"{share}: SGD, 19 B", law, larger


@check("approximation", absolute=True)
def momentum_of_signs_and_muon() -> Rows:
    """Alignment and curvature with momentum at B, against those without at 9 B; normal noise.

    And the scalar form of the mean, 11301.11, against the exact mean where all ratios are equal.
    """
    model = dense_model(size=6)
    momentum = 0.8  # a multiplier of 9
    for name, rule, plain in (
        ("SignSGD", SignSGD(momentum), SignSGD()),
        ("Muon", Muon((3, 2), momentum), Muon((3, 2))),
        ("Lion's weights, Muon", Averaged(Muon((3, 2)), lion_weights(momentum, 0.9, 120)), Muon((3, 2))),
    ):
        run = simulated_step(model, rule, 3.0, samples=4000, rng=47)
        larger = simulated_step(model, plain, 3.0 / rule.noise_factor, samples=4000, rng=48)
        for part in ("alignment", "curvature"):
            both = float(np.hypot(getattr(run, part + "_se"), getattr(larger, part + "_se")))
            yield f"{name}: {part}", getattr(larger, part), (getattr(run, part), both)
    sign = expected_step(model, SignSGD(momentum), 3.0, mean_field)
    yield (
        "SignSGD, mean field: η*",
        sign.optimal_lr,
        expected_step(model, SignSGD(), effective_batch_size(3.0, momentum), mean_field).optimal_lr,
    )
    scalar = equal_signal_model()
    noise = scalar.noise(5.0)
    yield (
        "scalar form of the mean",
        scalar_mean_update(scalar.gradient, 5.0, scalar.simple_noise_scale, momentum)[0],
        scalar_mean_field(SignSGD(momentum), scalar.gradient, noise).mean[0],
    )
    sizes = np.geomspace(1e-3, 1e3, 241)
    law = scalar_mean_update(1.0, sizes, 1.0, momentum)
    truth = np.array([exact(SignSGD(momentum), np.ones(1), Diagonal([1 / b])).mean[0] for b in sizes])
    worst = int(np.abs(law - truth).argmax())
    at = f"B = {sizes[worst]:.2g} B_simple"
    yield missed(f"mean, {at}", law[worst], truth[worst], 0.0644, 0.01, absolute=True)
    return f"of the mean, equal ratios, normal noise, momentum 0.8, {at}; none as a larger batch"


@check(
    "approximation", where="mean sign, momentum 0.9 against one gradient of the same variance", absolute=True
)
def signs_under_skewed_noise() -> Rows:
    """Where it breaks: for a sign, equal variances are not enough. Exponential noise, mean gradient zero."""
    rng = np.random.default_rng(49)
    draws = rng.exponential(size=(20_000, 132, 1)) - 1
    averaged = SignSGD(0.9)(draws)[:, 0]
    larger_batch = np.sign(draws[:, :19].mean(axis=1))[:, 0]
    difference = averaged - larger_batch
    gap, gap_se = float(difference.mean()), float(difference.std() / math.sqrt(difference.size))
    one = 2 * math.exp(-1) - 1  # E[sign(x - 1)] of an exponential x, whatever its scale
    yield stated("one skewed gradient, any B", -0.264, one, 0.01)
    yield stated("momentum 0.9", -0.08, averaged.mean(), 0.15)
    yield stated("a true batch of 19", -0.06, larger_batch.mean(), 0.2)
    yield "momentum 0.9 less that: as stated", -0.02, (gap, gap_se)
    yield missed("mean sign of one such gradient", one, averaged.mean(), -0.185, 0.06, absolute=True)


def parabola_runs(
    learning_rate: float,
    noise_variance: float,
    momentum: float,
    *,
    steps: int,
    runs: int,
    rng: int,
    start: float = 0.0,
) -> Array:
    """Runs of SGD with momentum on the loss w^2 / 2 with normal noise: shape (steps + 1, runs)."""
    generator = np.random.default_rng(rng)
    path, m = np.full((steps + 1, runs), start), np.zeros(runs)
    for t in range(steps):
        gradient = path[t] + np.sqrt(noise_variance) * generator.standard_normal(runs)
        m = ema_step(m, gradient, momentum)
        path[t + 1] = path[t] - learning_rate * m
    return path


@check("Monte Carlo")
def momentum_does_not_lower_the_floor() -> Rows:
    """Many steps on a parabola: the variance reached with momentum, without, and with a larger batch."""
    for momentum in (0.0, 0.9):
        path = parabola_runs(0.2, 1.0, momentum, steps=150, runs=8000, rng=50)
        closed = float(stationary_variance(1.0, 0.2, 1.0, momentum))
        yield f"Var[w], momentum {momentum}", closed, path[-1] ** 2
    with_momentum = float(stationary_variance(1.0, 0.05, 1.0, 0.9))
    yield stated(
        "0.9 against none, η = 0.05", 0.976, with_momentum / float(stationary_variance(1, 0.05, 1.0)), 1e-3
    )
    yield stated(
        "19 B against B, η = 0.05",
        1 / 19,
        float(stationary_variance(1, 0.05, 1 / 19)) / float(stationary_variance(1, 0.05, 1.0)),
        1e-9,
    )


# --------------------------------------------------------------------------- Adam, by coordinate
@check("identity")
def adam_recursion_against_rule() -> Rows:
    """Adam step by step against its averages written out; decoupled decay against its own recursion."""
    history = np.random.default_rng(51).standard_normal((25, 4)) * np.array([1.0, 10.0, 0.1, 1e-6])
    rule = Adam(0.9, 0.97, epsilon=1e-7)
    weights, plain = np.ones(4), np.ones(4)
    state, plain_state = rule.init((4,)), rule.init((4,))
    expected, decayed = np.ones(4), np.ones(4)
    for t, gradient in enumerate(history):
        weights, state = adamw_step(weights, gradient, state, 0.01, rule, weight_decay=0.3)
        plain, plain_state = adamw_step(plain, gradient, plain_state, 0.01, rule)
        seen = history[t::-1]
        first, second = (SGD(b).weights(t + 1) / (1 - b ** (t + 1)) for b in (0.9, 0.97))
        update = (first @ seen) / (np.sqrt(second @ seen**2) + 1e-7)
        expected = expected - 0.01 * update
        decayed = (1 - 0.01 * 0.3) * decayed - 0.01 * update
    for index in (0, 3):
        yield f"Adam, coordinate {index}", plain[index], expected[index]
        yield f"AdamW, coordinate {index}", weights[index], decayed[index]


@check("approximation", absolute=True)
def sign_of_an_average() -> Rows:
    """E[m]/sqrt(E[m^2]) for the sign of an average: against simulation, and its largest error."""
    momentum = 0.9
    c = ema_noise_factor(momentum)
    closed = mean_update(SIGNALS, momentum_square(SIGNALS, 1.0, momentum))
    true = exact(SignSGD(momentum), SIGNALS, Diagonal(np.ones(SIGNALS.size))).mean
    errors = np.abs(closed - true)
    rng = np.random.default_rng(52)
    run = SignSGD(momentum)(0.2 + rng.standard_normal((8000, 132, 1)))[:, 0]
    yield "error function against simulation", erf(0.2 / math.sqrt(2 * c)), run
    yield stated("largest error", 0.064, errors.max(), 0.02)
    yield (
        "mean field of the rule",
        closed[30],
        mean_field(SignSGD(momentum), SIGNALS, Diagonal(np.ones(SIGNALS.size))).mean[30],
    )
    return errors.max(), f"at mean/deviation {SIGNALS[errors.argmax()]:.2g}"


@check("Monte Carlo")
def adam_moments_against_simulation() -> Rows:
    """The integrals against a long run, against short runs, and where they must be those of a sign."""
    for signal, beta1, beta2 in ((0.5, 0.9, 0.95), (0.0, 0.8, 0.5), (2.0, 0.6, 0.9)):
        update = simulated_updates(Adam(beta1, beta2), np.full(6000, signal), 1.0, rng=53)
        mean, square = adam_moments([signal], [1.0], beta1, beta2)
        name = f"{signal:g} at ({beta1}, {beta2})"
        if signal:
            yield f"mean, {name}", mean[0], update
        yield f"square, {name}", square[0], update**2
    run = Adam(0.9, 0.95)(0.7 + np.random.default_rng(54).standard_normal((10_000, 3, 1)))[:, 0]
    mean, square = adam_moments([0.7], [1.0], 0.9, 0.95, steps=3)
    first, one = adam_moments([0.7], [1.0], 0.9, 0.95, steps=1)
    yield "mean, step 3", mean[0], run
    yield "square, step 3", square[0], run**2
    yield near("mean, step 1", first[0], erf(0.7 / math.sqrt(2)), tolerance=1e-8)
    yield near("square, step 1", one[0], 1.0, tolerance=1e-8)


def _mean_error(beta1: float, beta2: float) -> tuple[float, float]:
    """Largest relative error of the mean field, and of its correction, over signals."""
    mean, _ = adam_moments(SIGNALS, np.ones(SIGNALS.size), beta1, beta2)
    plain = mean_update(SIGNALS, second_average(SIGNALS, 1.0))
    better = corrected_mean(SIGNALS, 1.0, beta1, beta2)
    return float(np.abs(plain / mean - 1).max()), float(np.abs(better / mean - 1).max())


@check("approximation")
def adam_mean_over_beta2() -> Rows:
    """E[m]/sqrt(E[v]) against the exact mean: the error dies with 1 - beta_2; erf is not the limit."""
    at_half = [float(adam_moments([0.5], [1.0], 0.9, beta2)[0][0]) for beta2 in (0.95, 0.999)]
    limit = float(mean_update(0.5, second_average(0.5, 1.0)))
    errors = {beta2: _mean_error(0.9, beta2) for beta2 in (0.95, 0.99, 0.999)}
    yield stated("signal 0.5: mean field", 0.4472, limit, 1e-4)
    yield stated("corrected, β₂ = 0.95", 0.4431, corrected_mean(0.5, 1.0, 0.9, 0.95), 2e-4)
    yield stated("exact, β₂ = 0.95", 0.4432, at_half[0], 2e-4)
    yield stated("exact, β₂ = 0.999", 0.4470, at_half[1], 2e-4)
    yield near(
        "gap at 0.999, first order",
        limit - float(corrected_mean(0.5, 1.0, 0.9, 0.999)),
        limit - at_half[1],
        tolerance=0.01,
    )
    yield stated("erf, for a sign", 0.3829, erf(0.5 / math.sqrt(2)), 2e-4)
    yield stated("largest error, 0.95", 0.0149, errors[0.95][0], 0.02)
    yield stated("largest error, 0.99", 0.0054, errors[0.99][0], 0.02)
    yield stated("largest error, 0.999", 0.00062, errors[0.999][0], 0.02)
    yield stated("corrected, 0.95", 0.00061, errors[0.95][1], 0.02)
    return errors[0.95][0], f"β = 0.9, 0.95, weak signals; {100 * errors[0.95][1]:.2g} % corrected"


@check("approximation", where="β = 0.9, 0.95")
def corrected_mean_of_adam() -> Rows:
    """The first correction in 1 - beta_2 against the exact mean, over signals."""
    errors = {}
    for beta2, figure in ((0.9, 0.000773), (0.95, 0.00061), (0.99, 7.87e-5)):
        errors[beta2] = _mean_error(0.9, beta2)[1]
        yield stated(f"largest error, β = 0.9, {beta2}", figure, errors[beta2], 0.03)
    return errors[0.95]


@check("approximation", where="of the square, β = 0.9, 0.5")
def mean_field_of_adam_at_small_beta2() -> Rows:
    """Where it breaks: a second average that hardly averages."""
    signals = np.array([0.1, 0.56])
    mean, square = adam_moments(signals, np.ones(2), 0.9, 0.5)
    plain = mean_update(signals, second_average(signals, 1.0))
    squares = square_update(signals, 1.0, 0.9)
    yield missed("mean at signal 0.56", plain[1], mean[1], -0.139, 0.01)
    yield missed("square at signal 0.1", squares[0], square[0], -0.272, 0.01)


@check("approximation")
def adam_square_over_the_plane() -> Rows:
    """E[m^2]/E[v] against the exact mean square, over beta_1, beta_2 and the signal."""
    worst = {}
    for beta1 in (0.0, 0.5, 0.9, 0.98):
        for beta2 in (0.9, 0.95, 0.99):
            _, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), beta1, beta2)
            worst[beta1, beta2] = np.abs(square_update(SIGNALS, 1.0, beta1) / square - 1)
    _, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), 0.9, 0.999)
    worst[0.9, 0.999] = np.abs(square_update(SIGNALS, 1.0, 0.9) / square - 1)
    common = worst[0.9, 0.95]
    whole = max(worst, key=lambda pair: worst[pair].max())
    model = equal_signal_model()
    moments = mean_field(Adam(0.9, 0.95), model.gradient, model.noise(5.0))
    variance = model.noise(5.0).diagonal()
    yield (
        "mean field of the rule",
        square_update(model.gradient, variance, 0.9)[2],
        moments.mean[2] ** 2 + moments.covariance.diagonal()[2],
    )
    yield stated("largest error, (0.9, 0.95)", 0.0558, common.max(), 0.01)
    yield stated("largest error, (0.9, 0.999)", 0.0020, worst[0.9, 0.999].max(), 0.02)
    yield stated("largest error of all", 0.104, worst[whole].max(), 0.02)
    return worst[whole].max(), f"β = {whole[0]}, {whole[1]}; {100 * common.max():.1f} % at 0.9, 0.95"


@check("approximation", where="β₁ = 0, β₂ = 0.95")
def two_special_cases_of_adam() -> Rows:
    """beta_1 = 0 is SignSGD's second moment, beta_1 -> 1 the square of the mean; eta* falls with B there."""
    g, variance, nearly = np.array([0.1, 1.0, 3.0]), np.array([1.0, 0.5, 4.0]), 1 - 1e-9
    mean = mean_update(g, second_average(g, variance))
    model = LocalModel([1.0, -1.0], [10.0, 10.0], [[1.0, 0.5], [0.5, 1.0]])  # s^T H s = 1, B_simple = 10
    law = adam_law(model, nearly)
    sizes = np.array([0.1, 1.0, 100.0])
    full = full_momentum_lr(sizes, 2.0, 1.0, 10.0)
    _, rmsprop = adam_moments(SIGNALS, np.ones(SIGNALS.size), 0.0, 0.95)
    yield "β₁ = 0: square", square_update(g, variance, 0.0)[0], 1.0
    yield missed("RMSProp, (0, 0.95): where least", 1.0, rmsprop.min(), 0.046, 0.001)
    yield near("β₁ → 1: square", square_update(g, variance, nearly)[1], mean[1] ** 2, tolerance=1e-8)
    yield near("β₁ → 1: η*, B = 0.1", full[0], law.optimal_lr(0.1), tolerance=1e-6)
    yield "limit at large B", full_momentum_lr(1e12, 2.0, 1.0, 10.0), 2.0
    yield holds("falls from B = 0.1 to 100", (np.diff(full) < 0).all())


@check("approximation", where="β = 0.99, 0.999, mean a tenth of the deviation")
def square_at_full_momentum() -> Rows:
    """Long momentum under a longer second average: how near the mean square is to the square of the mean."""
    signals = np.array([0.1, 0.3, 1.0, 3.0])
    law = square_update(signals, 1.0, 1 - 1e-12)
    for beta1, beta2, off in ((0.99, 0.999, -0.33), (0.999, 0.9999, -0.05)):
        _, square = adam_moments(signals, np.ones(4), beta1, beta2)
        yield missed(f"signal 0.1, β = {beta1}, {beta2}", law[0], square[0], off, 0.01)


@check("approximation", where="β = 0.99, 0.999, equal ratios, B from 0.03 B_simple")
def learning_rate_at_full_momentum() -> Rows:
    """The limit of beta_1 -> 1 against exact moments of Adam with momentum 0.99 and 0.999."""
    model = equal_signal_model()
    law = adam_law(model, 0.9)
    sizes = model.simple_noise_scale * np.geomspace(0.03, 1e3, 46)
    limit = full_momentum_lr(sizes, law.alignment, law.signal_curvature, law.noise_scale)
    for beta1, beta2, off in ((0.99, 0.999, 0.062), (0.999, 0.9999, 0.006)):
        truth = expected_step(model, Adam(beta1, beta2), sizes, exact).optimal_lr
        worst = int(np.abs(limit / truth - 1).argmax())
        at = f"B = {sizes[worst] / model.simple_noise_scale:.2g} B_simple"
        yield missed(f"η*, β = {beta1}, {beta2}, {at}", limit[worst], truth[worst], off, 0.01)


@check("approximation", where="from the exact mean, β = 0.9, 0.95")
def adam_square_from_its_mean() -> Rows:
    """The same number from the mean alone; and from the exact mean, against the exact mean square."""
    mean = mean_update(SIGNALS, second_average(SIGNALS, 1.0))
    exact_mean, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), 0.9, 0.95)
    from_exact = square_from_mean(exact_mean, 0.9)
    worst = int(np.abs(from_exact / square - 1).argmax())
    for beta1 in (0.0, 0.5, 0.95):
        for index in (10, 40, 70):
            yield (
                f"β₁ = {beta1}, signal {SIGNALS[index]:.2g}",
                square_from_mean(mean, beta1)[index],
                square_update(SIGNALS, 1.0, beta1)[index],
            )
    yield missed(f"exact, signal {SIGNALS[worst]:.2g}", from_exact[worst], square[worst], 0.040, 1e-3)


@check("approximation", where="three coordinates, β = 0.8, 0.98")
def second_moment_of_adam() -> Rows:
    """The matrix against simulated updates of independent coordinates, and against the core's mean field."""
    model = equal_signal_model(size=3, spread=0.5)
    noise = model.noise(20.0)
    rule = Adam(0.8, 0.98)
    mean, square = adam_moments(model.gradient, noise.diagonal(), rule.beta1, rule.beta2)
    formula = second_moment(mean_field(rule, model.gradient, noise).mean, rule.beta1)
    deviation = np.sqrt(noise.diagonal())
    updates = np.stack(
        [
            simulated_updates(rule, np.full(2000, model.gradient[i]), deviation[i], rng=60 + i, steps=400)
            for i in range(3)
        ]
    )
    moments = mean_field(rule, model.gradient, noise)
    core = moments.covariance.dense() + np.outer(moments.mean, moments.mean)
    exact_matrix = np.outer(mean, mean) + np.diag(square - mean**2)
    errors = np.abs(formula / exact_matrix - 1)
    yield "core, (0, 0)", formula[0, 0], core[0, 0]
    yield "core, (0, 2)", formula[0, 2], core[0, 2]
    yield "simulated, (0, 1)", exact_matrix[0, 1], updates[0] * updates[1]
    yield "simulated, (1, 1)", exact_matrix[1, 1], updates[1] ** 2
    yield stated("largest error", 0.0304, errors.max(), 0.02)
    return errors.max()


@check("approximation")
def adam_is_not_the_sign_of_its_momentum() -> Rows:
    """phi = sign(m) is SignSGDM: at mu/sigma = 0.5 neither of its moments is Adam's.

    Far above the noise it is: there both are 1.
    """
    mean, square = adam_moments([0.5], [1.0], 0.9, 0.95)
    sign = SignSGD(0.9)(0.5 + np.random.default_rng(55).standard_normal((8000, 132, 1)))[:, 0]
    update = simulated_updates(Adam(0.9, 0.95), np.full(6000, 0.5), 1.0, rng=56)
    of_sign = float(erf(0.5 * math.sqrt(19 / 2)))
    clear, _ = adam_moments([30.0], [1.0], 0.9, 0.95)
    yield "sign(m): mean", of_sign, sign
    yield "Adam: mean", mean[0], update
    yield missed("mean", of_sign, mean[0], 1.190, 2e-3)
    yield missed("mean square", np.mean(sign**2), square[0], 3.348, 2e-3)
    yield near("mean at a signal of 30", 1.0, clear[0], tolerance=2e-3)
    return (
        abs(of_sign / mean[0] - 1),
        "of the mean, at half the deviation, β = 0.9, 0.95; the square is too large by a factor "
        f"{np.mean(sign**2) / square[0]:.1f}",
    )


# ------------------------------------------------------------------------------- Adam, scalar laws
@check("approximation", where="of the mean update at spread 2, B = 0.01 B_simple; none for equal ratios")
def one_ratio_for_all_coordinates() -> Rows:
    """One ratio for all coordinates: exact step for equal ratios, its error when they spread."""
    model = equal_signal_model()
    core = scalar_mean_field(Adam(0.9, 0.95), model.gradient, model.noise(5.0)).mean
    scalar = scalar_mean_update(model.gradient, 5.0, model.simple_noise_scale)
    normal = np.random.default_rng(57).standard_normal(100_000)
    figures, signals = {0.0: 0.0, 0.5: -0.301, 1.0: -0.695, 2.0: -0.882}, {}
    for spread in figures:
        ratios = np.exp(spread * normal)  # sigma_i / |g_i|
        size = 0.01 * np.mean(ratios**2)
        signals[spread] = float(mean_update(1.0, second_average(1.0, ratios**2 / size)).mean())
    law = float(scalar_mean_update(1.0, 0.01, 1.0))
    yield "core", scalar[0], core[0]
    for s in figures:
        yield missed(f"signal at spread {s:g}", law, signals[s], figures[s], 0.02)


class _Worst(NamedTuple):
    """Where a law is furthest from the truth: batch size in B_simple, and both values."""

    batch_size: float
    law: float
    truth: float

    def missed(self, name: str, off: float) -> Comparison:
        return missed(f"{name}, at worst", self.law, self.truth, off, 1e-3)


def _largest_errors(model: LocalModel, beta1: float = 0.9, beta2: float = 0.95) -> tuple[_Worst, _Worst]:
    """Largest errors of Adam's law over six decades of B: of the learning rate, of the loss decrease."""
    law = adam_law(model, beta1)
    shares = np.geomspace(1e-3, 1e3, 61)
    sizes = model.simple_noise_scale * shares
    true = expected_step(model, Adam(beta1, beta2), sizes, exact)
    found = []
    for said, real in (
        (law.optimal_lr(sizes), true.optimal_lr),
        (law.loss_decrease(sizes), true.loss_decrease),
    ):
        worst = int(np.abs(said / real - 1).argmax())
        found.append(_Worst(float(shares[worst]), float(said[worst]), float(real[worst])))
    return found[0], found[1]


def models_of_one_trace() -> dict[str, LocalModel]:
    """One gradient and one ratio for all coordinates, three Hessians of one trace; s = sign(g).

    Dense with a common part, s^T H s = 2.7 tr H; its diagonal alone, s^T H s = tr H; and one in which signs
    pull apart, s^T H s = tr H / 4.
    """
    dense, diagonal = equal_signal_model(), equal_signal_model(diagonal=True)
    s, trace = np.sign(dense.gradient), diagonal.hessian.trace()
    # A multiple of I - a s s^T / N, for which s^T H s / tr H = (1 - a) / (1 - a / N).
    a = 0.75 / (1 - 0.25 / s.size)
    opposed = (np.eye(s.size) - a * np.outer(s, s) / s.size) * trace / (s.size - a)
    return {
        "dense": dense,
        "diagonal": diagonal,
        "sᵀHs = tr H / 4": LocalModel(dense.gradient, dense.covariance, opposed),
    }


def _worst_of_three(part: int) -> tuple[float, str]:
    """Largest error over three Hessians, of the learning rate (0) or the loss decrease (1), and where."""
    found = {name: _largest_errors(model)[part] for name, model in models_of_one_trace().items()}
    errors = {name: abs(each.law / each.truth - 1) for name, each in found.items()}
    worst = max(errors, key=errors.__getitem__)
    others = ", ".join(f"{100 * e:.1f} % {name}" for name, e in errors.items() if name != worst)
    at = f"{worst}, {found[worst].batch_size:.2g} B_simple"
    return errors[worst], f"equal ratios, {at}; {others}"


@check("approximation")
def adam_law_against_minimised_loss() -> Rows:
    """Equal ratios of signal to noise: the law against exact moments, and those against a searched loss."""
    model = equal_signal_model()
    law = adam_law(model, 0.9)
    sizes = model.simple_noise_scale * np.geomspace(1e-3, 1e3, 61)
    true = expected_step(model, Adam(0.9, 0.95), sizes, exact)
    errors = law.optimal_lr(sizes) / true.optimal_lr - 1
    worst = int(np.abs(errors).argmax())
    for size in model.simple_noise_scale * np.array([0.02, 0.5]):
        found, error = minimised_loss(model, Adam(0.9, 0.95), float(size), samples=1500, seed=58)
        reference = float(expected_step(model, Adam(0.9, 0.95), size, exact).optimal_lr)
        yield f"exact moments, B = {size / model.simple_noise_scale:g} B_simple", reference, (found, error)
    size = 0.3 * model.simple_noise_scale
    beta = (1 + 1 / 0.3) ** -0.5
    g, H, s = model.gradient, model.hessian.dense(), np.sign(model.gradient)
    off = float(s @ H @ s - np.trace(H))
    sign_law = float(np.abs(g).sum() / (np.trace(H) / beta + beta * off))
    yield "β₁ = 0: SignSGD's law", adam_law(model, 0.0).optimal_lr(size), sign_law
    yield near(
        "β₁ → 1",
        adam_law(model, 1 - 1e-9).optimal_lr(size),
        full_momentum_lr(size, law.alignment, law.signal_curvature, law.noise_scale),
        tolerance=1e-6,
    )
    yield (
        "scalar mean field",
        law.optimal_lr(size),
        expected_step(model, Adam(0.9, 0.95), size, scalar_mean_field).optimal_lr,
    )
    yield stated("largest error", -0.0261, errors[worst], 0.02)
    return _worst_of_three(0)


@check("approximation", where="loss decrease at 0.001 B_simple; σᵢ/|gᵢ| log-normal, spread 1")
def adam_law_with_unequal_signals() -> Rows:
    """Where it breaks: sigma_i/|g_i| spread over coordinates. The mean field by coordinate does not mind."""
    rng = np.random.default_rng(59)
    model = LocalModel(np.ones(1000), np.exp(2.0 * rng.standard_normal(1000)), np.ones(1000))
    sizes = model.simple_noise_scale * np.array([1e-3, 1e-2, 0.1, 1.0])
    true = expected_step(model, Adam(0.9, 0.95), sizes, exact)
    law = adam_law(model, 0.9)
    coordinate = expected_step(model, Adam(0.9, 0.95), sizes).optimal_lr
    rates, gains = law.optimal_lr(sizes), law.loss_decrease(sizes)
    worst = int(np.abs(coordinate / true.optimal_lr - 1).argmax())
    yield missed("η* at 0.001 B_simple", rates[0], true.optimal_lr[0], -0.62, 0.02)
    yield missed("η* at 0.1 B_simple", rates[2], true.optimal_lr[2], 0.64, 0.02)
    yield missed("loss decrease at 0.001 B_simple", gains[0], true.loss_decrease[0], -0.90, 0.02)
    yield missed("η* by coordinate, at worst", coordinate[worst], true.optimal_lr[worst], -0.028, 0.005)


@check("approximation")
def adam_with_a_diagonal_hessian() -> Rows:
    """The printed form against the general one; against exact moments; local slopes."""
    model = equal_signal_model(diagonal=True)
    law = adam_law(model, 0.9)
    size = 0.2 * model.simple_noise_scale
    beta = (1 + 1 / 0.2) ** -0.5
    printed = law.alignment / ((0.1 / 1.9 / beta + beta * 1.8 / 1.9) * model.hessian.trace())
    unit = unit_law(0.9)
    figures = {0.001: 0.48, 0.01: 0.35, 0.0588: 0.0, 0.1: -0.11, 1.0: -0.20}
    slopes = [
        stated(f"slope at {share:g} B_simple", figure, _slope(unit, share), 0.005, absolute=True)
        for share, figure in figures.items()
    ]
    rate, gain = _largest_errors(model)
    yield "printed form", law.optimal_lr(size), printed
    yield (
        "scalar mean field",
        law.optimal_lr(size),
        expected_step(model, Adam(0.9, 0.95), size, scalar_mean_field).optimal_lr,
    )
    yield from slopes
    yield rate.missed("η*", -0.042)
    yield gain.missed("loss decrease", -0.032)
    return abs(rate.law / rate.truth - 1), f"equal ratios, {rate.batch_size:.2g} B_simple"


def _slope(law: ScalarLaw, batch_size: float, step: float = 1e-4) -> float:
    """d log eta* / d log B."""
    low, high = law.optimal_lr(batch_size * np.exp([-step, step]))
    return float(np.log(high / low) / (2 * step))


@check("approximation", where="batch size, β = 0.9, 0.95, equal ratios")
def peak_of_adam() -> Rows:
    """The peak against a search over the curve; none at beta_1 <= 1/3 for a diagonal Hessian."""
    for name, law in (
        ("diagonal, 0.9", unit_law(0.9)),
        ("diagonal, 0.5", unit_law(0.5)),
        ("dense, 0.4", adam_law(equal_signal_model(), 0.4)),
    ):
        found = minimize_scalar(
            lambda x, law=law: -float(law.optimal_lr(math.exp(x))),
            bounds=(-10, 15),
            method="bounded",
            options={"xatol": 1e-9},
        )
        yield near(name, law.peak_batch_size, math.exp(found.x), tolerance=1e-5)
    unit = unit_law(0.9)
    peak = unit.peak_batch_size
    yield stated("β₁ = 0.9: in B_simple", 0.0588, peak, 1e-3)
    yield "β* there", math.sqrt(0.1 / 1.8), scalar_mean_update(1.0, peak, 1.0)
    yield "printed form", 0.1 / 1.7, peak
    yield holds("β₁ = 1/3: rises for ever", unit_law(1 / 3).peak_batch_size > 1e12)
    yield holds("β₁ = 0.34: peaks", unit_law(0.34).peak_batch_size < 40)
    point = LocalModel([1.0], [1.0], [1.0])
    fine = np.geomspace(0.01, 1, 401)
    for beta2, off in ((0.95, -0.035), (0.999, -0.001)):
        true_peak = fine[expected_step(point, Adam(0.9, beta2), fine, exact).optimal_lr.argmax()]
        yield missed(f"exact peak, β = 0.9, {beta2}", peak, true_peak, off, 0.02)


@check("approximation")
def loss_decrease_of_adam() -> Rows:
    """Against the scalar mean field and exact moments; it rises where eta* falls."""
    model = equal_signal_model()
    law = adam_law(model, 0.9)
    sizes = model.simple_noise_scale * np.geomspace(1e-3, 1e3, 61)
    true = expected_step(model, Adam(0.9, 0.95), sizes, exact)
    scalar = expected_step(model, Adam(0.9, 0.95), sizes, scalar_mean_field)
    errors = np.abs(law.loss_decrease(sizes) / true.loss_decrease - 1)
    unit = unit_law(0.9)
    share = {
        size: float(unit.loss_decrease(size)) / unit.max_loss_decrease for size in (0.0588, 0.1, 1.0, 10.0)
    }
    rate = {size: float(unit.optimal_lr(size)) for size in share}
    run = simulated_step(model, Adam(0.9, 0.95), 0.1 * model.simple_noise_scale, samples=1500, rng=64)
    at = expected_step(model, Adam(0.9, 0.95), 0.1 * model.simple_noise_scale, exact)
    yield "scalar mean field", law.loss_decrease(sizes)[20], scalar.loss_decrease[20]
    yield "exact, simulated", at.loss_decrease, (run.loss_decrease, run.loss_decrease_se)
    for s, f in zip(share, (0.528, 0.655, 0.950, 0.995), strict=True):
        yield stated(f"decrease at {s:g} B_simple", f, share[s], 1e-3)
    for s, f in zip(share, (2.24, 2.17, 1.34, 1.04), strict=True):
        yield stated(f"η* at {s:g} B_simple", f, rate[s], 5e-3)
    yield stated("largest error", 0.0143, errors.max(), 0.02)
    return _worst_of_three(1)


@check(
    "algebra only",
    where="of the scalar laws; SignSGDM in the place of Adam misses in η*, not in the loss decrease",
)
def momentum_in_adam_is_no_larger_batch() -> Rows:
    """For the loss decrease momentum multiplies Adam's batch by 19, for the learning rate it does not."""
    with_momentum, without = unit_law(0.9), unit_law(0.0)
    small = 1e-8
    rise = float(with_momentum.optimal_lr(small)) / math.sqrt(small)
    sign_rise = float(without.optimal_lr(19 * small)) / math.sqrt(small)
    yield "loss decrease at 0.1 B_simple", with_momentum.loss_decrease(0.1), without.loss_decrease(1.9)
    yield stated("η*/√(B/B_simple), Adam", 19.0, rise, 1e-6)
    yield stated("η*/√(B/B_simple), SignSGDM", math.sqrt(19), sign_rise, 1e-6)
    yield missed(
        "η* at 0.1 B_simple: SignSGDM for Adam",
        without.optimal_lr(1.9),
        with_momentum.optimal_lr(0.1),
        -0.6275,
        5e-3,
    )
    return abs(float(with_momentum.loss_decrease(0.1) / without.loss_decrease(1.9)) - 1)


@check("approximation")
def adam_law_over_hessians() -> Rows:
    """Equal ratios and exact moments: how far Adam's law is off depends on s^T H s / tr H, s = sign(g)."""
    figures = {"dense": (-0.0261, -0.0143), "diagonal": (-0.042, -0.032), "sᵀHs = tr H / 4": (-0.098, -0.091)}
    places = []
    for name, model in models_of_one_trace().items():
        rate, gain = _largest_errors(model)
        places.append(f"{rate.batch_size:.2g}")
        yield rate.missed(f"{name}: η*", figures[name][0])
        yield gain.missed(f"{name}: loss decrease", figures[name][1])
    return f"η*, sᵀHs = tr H / 4; the three are worst at {', '.join(places)} B_simple"


@check("approximation", where="loss decrease of the scalar law, B = 1000")
def larger_batch_can_lose_under_adam() -> Rows:
    """Unequal ratios and a diagonal Hessian: Adam's progress at its best learning rate falls with B."""
    model = LocalModel(
        np.r_[1.0, np.full(100, 0.005)], np.r_[0.1, np.ones(100)] ** 2, np.r_[1.0, np.full(100, 0.05)]
    )
    sizes = np.array([10.0, 1e3, 1e4, 1e5, 1e7])
    field = expected_step(model, Adam(0.9, 0.95), sizes)
    true = expected_step(model, Adam(0.9, 0.95), sizes, exact)
    scalar = adam_law(model, 0.9).loss_decrease(sizes)
    for b, figure, x in zip(sizes, (0.402, 0.422, 0.339, 0.218, 0.188), field.loss_decrease, strict=True):
        yield stated(f"mean field, B = {b:.0e}", figure, x, 2e-3)
    yield holds("exact: falls from B = 1000 on", (np.diff(true.loss_decrease[1:]) < 0).all())
    yield holds("the scalar law: rises throughout", (np.diff(scalar) > 0).all())
    for b, x, t, off in zip(
        sizes,
        field.loss_decrease,
        true.loss_decrease,
        (-0.006, -0.010, -0.024, -0.011, 0.0),
        strict=True,
    ):
        yield missed(f"mean field, B = {b:.0e}", x, t, off, 2e-3)
    yield missed("scalar law, B = 1e+03", scalar[1], true.loss_decrease[1], -0.562, 5e-3)

_STATIONARY = "Gradient constant over the memory of the average, noise new at every step"
