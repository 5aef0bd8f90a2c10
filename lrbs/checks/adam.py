"""Checks of the second half of EMA: Adam's two averages, and the mean and mean square of its update."""

import math
from itertools import product

import numpy as np
from scipy.special import erf

from lrbs import SGD, Adam, LocalModel, SignSGD, mean_field
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import SIGNALS, equal_signal_model
from lrbs.laws.adam import mean_update, second_average, second_moment, square_from_mean, square_update
from lrbs.laws.adam_curves import adam_law, full_momentum_lr
from lrbs.laws.adam_finite import corrected_mean
from lrbs.laws.averaging import averaged_mean, ema_weights
from lrbs.laws.update_rms import simulated_updates
from lrbs.normal import adam_moments
from lrbs.rules import adamw_step


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
    gap = limit - corrected_mean(0.5, 1.0, 0.9, 0.999)
    yield near("gap at 0.999, first order", gap, limit - at_half[1], tolerance=0.01)
    yield stated("erf, for a sign", 0.3829, erf(0.5 / math.sqrt(2)), 2e-4)
    for beta2, figure in ((0.95, 0.0149), (0.99, 0.0054), (0.999, 0.00062)):
        yield stated(f"largest error, {beta2}", figure, errors[beta2][0], 0.02)
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


@check("approximation", where="of the square, β = 0.9, 0.5", news=True)
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
    for beta1, beta2 in (*product((0.0, 0.5, 0.9, 0.98), (0.9, 0.95, 0.99)), (0.9, 0.999)):
        _, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), beta1, beta2)
        worst[beta1, beta2] = np.abs(square_update(SIGNALS, 1.0, beta1) / square - 1)
    common = worst[0.9, 0.95]
    whole = max(worst, key=lambda pair: worst[pair].max())
    model = equal_signal_model()
    moments = mean_field(Adam(0.9, 0.95), model.gradient, model.noise(5.0))
    squares = square_update(model.gradient, model.noise(5.0).diagonal(), 0.9)
    yield "mean field of the rule", squares[2], moments.mean[2] ** 2 + moments.covariance.diagonal()[2]
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


@check("approximation", where="from the exact mean, β = 0.9, 0.95")
def adam_square_from_its_mean() -> Rows:
    """The same number from the mean alone; and from the exact mean, against the exact mean square."""
    mean = mean_update(SIGNALS, second_average(SIGNALS, 1.0))
    exact_mean, square = adam_moments(SIGNALS, np.ones(SIGNALS.size), 0.9, 0.95)
    from_exact = square_from_mean(exact_mean, 0.9)
    worst = int(np.abs(from_exact / square - 1).argmax())
    for beta1 in (0.0, 0.5, 0.95):
        again, squares = square_from_mean(mean, beta1), square_update(SIGNALS, 1.0, beta1)
        for index in (10, 40, 70):
            yield f"β₁ = {beta1}, signal {SIGNALS[index]:.2g}", again[index], squares[index]
    yield missed(f"exact, signal {SIGNALS[worst]:.2g}", from_exact[worst], square[worst], 0.040, 1e-3)


@check("approximation", where="three coordinates, β = 0.8, 0.98")
def second_moment_of_adam() -> Rows:
    """The matrix against simulated updates of independent coordinates, and against the core's mean field."""
    model = equal_signal_model(size=3, spread=0.5)
    noise = model.noise(20.0)
    rule = Adam(0.8, 0.98)
    mean, square = adam_moments(model.gradient, noise.diagonal(), rule.beta1, rule.beta2)
    moments = mean_field(rule, model.gradient, noise)
    formula = second_moment(moments.mean, rule.beta1)
    x, y, _ = (
        simulated_updates(rule, np.full(2000, g), deviation, rng=60 + i, steps=400)
        for i, (g, deviation) in enumerate(zip(model.gradient, np.sqrt(noise.diagonal()), strict=True))
    )
    core = moments.covariance.dense() + np.outer(moments.mean, moments.mean)
    exact_matrix = np.outer(mean, mean) + np.diag(square - mean**2)
    errors = np.abs(formula / exact_matrix - 1)
    yield "core, (0, 0)", formula[0, 0], core[0, 0]
    yield "core, (0, 2)", formula[0, 2], core[0, 2]
    yield "simulated, (0, 1)", exact_matrix[0, 1], x * y
    yield "simulated, (1, 1)", exact_matrix[1, 1], y**2
    yield stated("largest error", 0.0304, errors.max(), 0.02)
    return errors.max()


@check("approximation")
def adam_is_not_the_sign_of_its_momentum() -> Rows:
    """phi = sign(m) is SignSGDM: at mu/sigma = 0.5 neither of its moments is Adam's; at 30 both are."""

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
    place = "of the mean, at half the deviation, β = 0.9, 0.95; the square is too large by a factor "
    return abs(of_sign / mean[0] - 1), f"{place}{np.mean(sign**2) / square[0]:.1f}"
