"""Checks of Adam's laws: learning rate and loss decrease against the batch size, and where they break."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from lrbs import Adam, LocalModel, exact, expected_step, scalar_mean_field, simulated_step
from lrbs.checks.comparison import Comparison
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import equal_signal_model, lowest, minimised_loss, models_of_one_trace, unit_law
from lrbs.laws.adam import mean_update, second_average
from lrbs.laws.adam_curves import adam_law, full_momentum_lr, scalar_mean_update
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.validation import Array


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

    @property
    def error(self) -> float:
        return abs(self.law / self.truth - 1)

    def missed(self, name: str, off: float) -> Comparison:
        return missed(f"{name}, at worst", self.law, self.truth, off, 1e-3)


def _largest_errors(model: LocalModel, beta1: float = 0.9, beta2: float = 0.95) -> tuple[_Worst, _Worst]:
    """Largest errors of Adam's law over six decades of B: of the learning rate, of the loss decrease."""
    law, shares = adam_law(model, beta1), np.geomspace(1e-3, 1e3, 61)
    sizes = model.simple_noise_scale * shares
    true = expected_step(model, Adam(beta1, beta2), sizes, exact)

    def worst(said: Array, real: Array) -> _Worst:
        place = int(np.abs(said / real - 1).argmax())
        return _Worst(float(shares[place]), float(said[place]), float(real[place]))

    gain = worst(law.loss_decrease(sizes), true.loss_decrease)
    return worst(law.optimal_lr(sizes), true.optimal_lr), gain


def _worst_of_three(part: int) -> tuple[float, str]:
    """Largest error over three Hessians, of the learning rate (0) or the loss decrease (1), and where."""
    found = {name: _largest_errors(model)[part] for name, model in models_of_one_trace().items()}
    worst = max(found, key=lambda name: found[name].error)
    others = ", ".join(f"{100 * each.error:.1f} % {name}" for name, each in found.items() if name != worst)
    at = f"{worst}, {found[worst].batch_size:.2g} B_simple"
    return found[worst].error, f"equal ratios, {at}; {others}"


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
    sign_law = float(np.abs(g).sum() / (np.trace(H) / beta + beta * (s @ H @ s - np.trace(H))))
    full = law.alignment, law.signal_curvature, law.noise_scale
    scalar = expected_step(model, Adam(0.9, 0.95), size, scalar_mean_field).optimal_lr
    yield "β₁ = 0: SignSGD's law", adam_law(model, 0.0).optimal_lr(size), sign_law
    yield near(
        "β₁ → 1", adam_law(model, 1 - 1e-9).optimal_lr(size), full_momentum_lr(size, *full), tolerance=1e-6
    )
    yield "scalar mean field", law.optimal_lr(size), scalar
    yield stated("largest error", -0.0261, errors[worst], 0.02)
    return _worst_of_three(0)


@check("approximation", where="loss decrease at 0.001 B_simple; σᵢ/|gᵢ| log-normal, spread 1", news=True)
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
    scalar = expected_step(model, Adam(0.9, 0.95), size, scalar_mean_field).optimal_lr
    rate, gain = _largest_errors(model)
    yield "printed form", law.optimal_lr(size), printed
    yield "scalar mean field", law.optimal_lr(size), scalar
    for share, figure in {0.001: 0.48, 0.01: 0.35, 0.0588: 0.0, 0.1: -0.11, 1.0: -0.20}.items():
        slope = _slope(unit_law(0.9), share)
        yield stated(f"slope at {share:g} B_simple", figure, slope, 0.005, absolute=True)
    yield rate.missed("η*", -0.042)
    yield gain.missed("loss decrease", -0.032)
    return rate.error, f"equal ratios, {rate.batch_size:.2g} B_simple"


def _slope(law: ScalarLaw, batch_size: float, step: float = 1e-4) -> float:
    """d log eta* / d log B."""
    low, high = law.optimal_lr(batch_size * np.exp([-step, step]))
    return float(np.log(high / low) / (2 * step))


def _below(law: ScalarLaw, log_size: float) -> float:
    return -float(law.optimal_lr(math.exp(log_size)))


@check("approximation", where="batch size, β = 0.9, 0.95, equal ratios")
def peak_of_adam() -> Rows:
    """The peak against a search over the curve; none at beta_1 <= 1/3 for a diagonal Hessian."""
    for name, law in (
        ("diagonal, 0.9", unit_law(0.9)),
        ("diagonal, 0.5", unit_law(0.5)),
        ("dense, 0.4", adam_law(equal_signal_model(), 0.4)),
    ):
        found, _ = lowest(partial(_below, law), -10, 15)
        yield near(name, law.peak_batch_size, math.exp(found), tolerance=1e-5)
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
    run = simulated_step(model, Adam(0.9, 0.95), 0.1 * model.simple_noise_scale, samples=1500, rng=64)
    at = expected_step(model, Adam(0.9, 0.95), 0.1 * model.simple_noise_scale, exact)
    yield "scalar mean field", law.loss_decrease(sizes)[20], scalar.loss_decrease[20]
    yield "exact, simulated", at.loss_decrease, (run.loss_decrease, run.loss_decrease_se)
    shares, unit = np.array([0.0588, 0.1, 1.0, 10.0]), unit_law(0.9)
    gains, rates = unit.loss_decrease(shares) / unit.max_loss_decrease, unit.optimal_lr(shares)
    for share, figure, gain in zip(shares, (0.528, 0.655, 0.950, 0.995), gains, strict=True):
        yield stated(f"decrease at {share:g} B_simple", figure, gain, 1e-3)
    for share, figure, rate in zip(shares, (2.24, 2.17, 1.34, 1.04), rates, strict=True):
        yield stated(f"η* at {share:g} B_simple", figure, rate, 5e-3)
    yield stated("largest error", 0.0143, errors.max(), 0.02)
    return _worst_of_three(1)


@check(
    "algebra only",
    where="of the scalar laws; SignSGDM in the place of Adam misses in η*, not in the loss decrease",
)
def momentum_in_adam_is_no_larger_batch() -> Rows:
    """For the loss decrease momentum multiplies Adam's batch by 19, for the learning rate it does not."""
    with_momentum, without = unit_law(0.9), unit_law(0.0)
    rise, sign_rise = (
        float(law.optimal_lr(B)) / 1e-4 for law, B in ((with_momentum, 1e-8), (without, 19e-8))
    )
    yield "loss decrease at 0.1 B_simple", with_momentum.loss_decrease(0.1), without.loss_decrease(1.9)
    yield stated("η*/√(B/B_simple), Adam", 19.0, rise, 1e-6)
    yield stated("η*/√(B/B_simple), SignSGDM", math.sqrt(19), sign_rise, 1e-6)
    rates = without.optimal_lr(1.9), with_momentum.optimal_lr(0.1)
    yield missed("η* at 0.1 B_simple: SignSGDM for Adam", *rates, -0.6275, 5e-3)
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
    offs = (-0.006, -0.010, -0.024, -0.011, 0.0)
    for b, x, t, off in zip(sizes, field.loss_decrease, true.loss_decrease, offs, strict=True):
        yield missed(f"mean field, B = {b:.0e}", x, t, off, 2e-3)
    yield missed("scalar law, B = 1000", scalar[1], true.loss_decrease[1], -0.562, 5e-3)
