"""Checks of the first half of EMA: averages over time, and momentum as a larger batch."""

import math

import numpy as np
from scipy.special import erf

from lrbs import (
    SGD,
    Averaged,
    Lion,
    Muon,
    SignSGD,
    exact,
    expected_step,
    laws,
    mean_field,
    scalar_mean_field,
    simulated_step,
)
from lrbs.checks.evidence import Rows, check, missed, stated
from lrbs.checks.problems import SIGNALS, dense_model, equal_signal_model, minimised_loss
from lrbs.checks.runs import parabola_runs
from lrbs.operators import Diagonal


# ---------------------------------------------------------------------------------------- averages
@check("identity")
def recursion_against_weights() -> Rows:
    """Running the recursions against the written-out sums and against the rules."""
    history = np.random.default_rng(41).standard_normal((30, 5)) + 0.2
    m, v, w = np.zeros((3, 5))
    for gradient in history:
        m, v = laws.ema_step(m, gradient, 0.8), laws.ema_step(v, gradient**2, 0.95)
        w = w - 0.1 * m
    moved = sum(SGD(0.8)(history[: t + 1]) for t in range(30))
    for name, formula, reference in (
        ("m_t, written out", laws.averaged_mean(history, laws.ema_weights(0.8, 30)), m),
        ("v_t, written out", laws.averaged_mean(history**2, laws.ema_weights(0.95, 30)), v),
        ("SGDM's update", SGD(0.8)(history), m),
        ("SGDM after 30 steps", -0.1 * np.asarray(moved), w),
        ("SignSGDM's update", SignSGD(0.8)(history), np.sign(m)),
    ):
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
    weights = laws.ema_weights(decay, steps)
    mean = float(laws.averaged_mean(means, weights))
    variance = float(laws.averaged_covariance(deviations**2, weights))
    drift = 0.01 * np.arange(-2000, 1)
    yield "mean of m_20", mean, m
    yield "variance of m_20", variance, (m - mean) ** 2
    yield (
        "lag under a straight drift",
        -0.01 * laws.ema_lag(0.9),
        laws.averaged_mean(drift, laws.ema_weights(0.9, 2001)),
    )


@check("Monte Carlo")
def average_at_finite_time() -> Rows:
    """A constant gradient: sums, simulation, and the limit of many steps."""
    rng = np.random.default_rng(43)
    decay = 0.9
    for steps in (1, 5, 40):
        weights = laws.ema_weights(decay, steps)
        m = SGD(decay)(1 + rng.standard_normal((8000, steps, 1)))[:, 0]
        gain, kept = laws.ema_gain(decay, steps), laws.ema_noise_factor(decay, steps)
        yield f"sum of weights, t = {steps}", gain, weights.sum()
        yield f"sum of squares, t = {steps}", kept, weights @ weights
        yield f"mean of m, t = {steps}", gain, m
        yield f"variance of m, t = {steps}", kept, (m - gain) ** 2
    yield "gain, t = inf", laws.ema_gain(decay), 1.0
    yield "c, t = inf", laws.ema_noise_factor(decay), 1 / 19


# ----------------------------------------------------------------------- momentum as a larger batch
@check("Monte Carlo")
def linear_averages_multiply_the_batch() -> Rows:
    """Closed forms against sums of weights, and the noise of simulated averages."""
    rng = np.random.default_rng(45)
    averages = {
        "heavy ball": (laws.ema_weights(0.9, 400), laws.ema_batch_multiplier(0.9), 19.0),
        "heavy ball, t = 5": (laws.ema_weights(0.9, 5), laws.ema_batch_multiplier(0.9, 5), None),
        "Nesterov": (SGD(0.9, nesterov=True).weights(400), laws.nesterov_batch_multiplier(0.9), 14.16),
        "Lion": (Lion(0.9, 0.99).weights(3000), laws.lion_batch_multiplier(0.9, 0.99), 71.07),
    }
    for name, (weights, closed, figure) in averages.items():
        yield name, closed, laws.batch_multiplier(weights)
        if figure is not None:
            yield stated(f"{name}: stated", figure, closed, 1e-3)
        short = weights[:400]
        update = Averaged(SGD(), short)(rng.standard_normal((2000, short.size, 1)))[:, 0]
        yield f"{name}: noise left", laws.batch_multiplier(short) ** -1 * short.sum() ** 2, update**2


@check("Monte Carlo")
def momentum_as_a_larger_batch() -> Rows:
    """SGD with momentum: the law against a search over the simulated loss, and against SGD at 19 B."""
    model = dense_model()
    for batch_size in model.noise_scale / 19 * np.array([0.3, 3.0]):
        law = float(laws.sgdm_lr(batch_size, model.max_lr, model.noise_scale, 0.9))
        found, error = minimised_loss(model, SGD(0.9), batch_size, samples=2000, seed=46)
        larger = float(expected_step(model, SGD(), 19 * batch_size).optimal_lr)
        share = f"B = {batch_size / model.noise_scale:.3g} B_noise"
        yield f"{share}: searched", law, (found, error)
        yield f"{share}: SGD, 19 B", law, larger


@check("approximation", absolute=True)
def momentum_of_signs_and_muon() -> Rows:
    """Alignment and curvature with momentum at B, against those without at 9 B; the scalar mean, 11301.11."""
    model = dense_model(size=6)
    momentum = 0.8  # a multiplier of 9
    for name, rule, plain in (
        ("SignSGD", SignSGD(momentum), SignSGD()),
        ("Muon", Muon((3, 2), momentum), Muon((3, 2))),
        ("Lion's weights, Muon", Averaged(Muon((3, 2)), Lion(momentum, 0.9).weights(120)), Muon((3, 2))),
    ):
        run = simulated_step(model, rule, 3.0, samples=4000, rng=47)
        larger = simulated_step(model, plain, 3.0 / rule.noise_factor, samples=4000, rng=48)
        for part in ("alignment", "curvature"):
            both = float(np.hypot(getattr(run, part + "_se"), getattr(larger, part + "_se")))
            yield f"{name}: {part}", getattr(larger, part), (getattr(run, part), both)
    sign = expected_step(model, SignSGD(momentum), 3.0).optimal_lr
    larger_sign = expected_step(model, SignSGD(), laws.effective_batch_size(3.0, momentum)).optimal_lr
    yield "SignSGD, mean field: η*", sign, larger_sign
    scalar = equal_signal_model()
    closed = laws.scalar_mean_update(scalar.gradient, 5.0, scalar.simple_noise_scale, momentum)
    field = scalar_mean_field(SignSGD(momentum), scalar.gradient, scalar.noise(5.0))
    yield "scalar form of the mean", closed[0], field.mean[0]
    sizes = np.geomspace(1e-3, 1e3, 241)
    law = laws.scalar_mean_update(1.0, sizes, 1.0, momentum)
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


@check("Monte Carlo")
def momentum_does_not_lower_the_floor() -> Rows:
    """Many steps on a parabola: the variance reached with momentum, without, and with a larger batch."""
    for momentum in (0.0, 0.9):
        path = parabola_runs(0.2, 1.0, momentum, steps=150, runs=8000, rng=50)
        closed = float(laws.stationary_variance(1.0, 0.2, 1.0, momentum))
        yield f"Var[w], momentum {momentum}", closed, path[-1] ** 2
    plain = laws.stationary_variance(1.0, 0.05, 1.0)
    with_momentum, larger = (
        laws.stationary_variance(1.0, 0.05, 1.0, 0.9),
        laws.stationary_variance(1.0, 0.05, 1 / 19),
    )
    yield stated("0.9 against none, η = 0.05", 0.976, with_momentum / plain, 1e-3)
    yield stated("19 B against B, η = 0.05", 1 / 19, larger / plain, 1e-9)


@check("approximation", absolute=True)
def sign_of_an_average() -> Rows:
    """E[m]/sqrt(E[m^2]) for the sign of an average: against simulation, and its largest error."""
    momentum = 0.9
    c = laws.ema_noise_factor(momentum)
    closed = laws.mean_update(SIGNALS, laws.momentum_square(SIGNALS, 1.0, momentum))
    noise = Diagonal(np.ones(SIGNALS.size))
    true, field = (method(SignSGD(momentum), SIGNALS, noise).mean for method in (exact, mean_field))
    errors = np.abs(closed - true)
    rng = np.random.default_rng(52)
    run = SignSGD(momentum)(0.2 + rng.standard_normal((8000, 132, 1)))[:, 0]
    yield "error function against simulation", erf(0.2 / math.sqrt(2 * c)), run
    yield stated("largest error", 0.064, errors.max(), 0.02)
    yield "mean field of the rule", closed[30], field[30]
    return errors.max(), f"at mean/deviation {SIGNALS[errors.argmax()]:.2g}"
