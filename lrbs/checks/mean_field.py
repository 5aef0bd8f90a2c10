"""Checks of the pages on the mean field and the surge: SignSGD's law, its surge, the loss's hyperbola."""

import numpy as np
from scipy.optimize import brentq

from lrbs.approximations import ERF_SLOPE, exact, mean_field, scalar_mean_field
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import losing_model, lowest, minimised_loss, surging_model
from lrbs.checks.runs import sign_run_lengths
from lrbs.laws.curves import (
    implied_noise_scale,
    normalised_batch_size,
    power_saturation,
    preconditioned_limits,
)
from lrbs.laws.erf_route import erf_route_sign
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.surge import exact_peak_batch_size, peak_beta_from_loss_scale, peak_from_loss_scale
from lrbs.model import LocalModel
from lrbs.normal import sign_mean
from lrbs.rules import SGD, Adam, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.simulate import simulated_step
from lrbs.step import expected_step
from lrbs.tradeoff import fit_tradeoff, hyperbola
from lrbs.validation import Array


@check("approximation", where="small B; one ratio σ/|g|")
def sign_learning_rate_against_minimised_loss() -> Rows:
    """The scalar law beside the best learning rate of simulated losses: surge and all."""
    model = surging_model()
    law = ScalarLaw.of_sign(model)
    for share in (0.03, 0.3, 3.0):
        batch_size = share * law.noise_scale
        found, error = minimised_loss(model, SignSGD(), batch_size, samples=2000, seed=2)
        true = float(expected_step(model, SignSGD(), batch_size, exact).optimal_lr)
        yield f"exact moments, B = {share} B_simple", true, (found, error)
    sizes = law.noise_scale * np.geomspace(1e-4, 1e3, 400)
    curve = expected_step(model, SignSGD(), sizes, exact).optimal_lr
    ratio = law.optimal_lr(sizes) / curve - 1
    yield stated("law, largest overshoot", 0.253, ratio.max(), 0.005)
    yield stated("law, largest undershoot", -0.013, ratio.min(), 0.01)
    yield stated("height of the exact surge", 1.23, curve.max() / curve[-1], 0.02)
    yield stated("height of the law's surge", 1.23, law.peak_lr / law.limit_lr, 0.02)
    return np.abs(ratio).max()


@check("limit", where="of the exact curve, B = B_simple/100, off-diagonal sum 3.75 times the trace")
def square_root_slope() -> Rows:
    """Slope 1/2 of learning rate against batch size, for the law and for the exact curve; where it ends."""
    model = surging_model()
    law = ScalarLaw.of_sign(model)
    sizes = law.noise_scale * np.array([1e-7, 1e-6, 0.01])
    root, curve = law.small_batch_lr(sizes[2]), law.optimal_lr(sizes)
    truth = expected_step(model, SignSGD(), sizes, exact).optimal_lr
    yield stated("slope of the law", 0.5, np.log10(curve[1] / curve[0]), 1e-4)
    yield stated("slope of the exact curve", 0.5, np.log10(truth[1] / truth[0]), 1e-4)
    yield missed("square root at B_simple/100, of the law", root, curve[2], 0.042, 0.002)
    yield missed("... of the exact curve", root, truth[2], 0.285, 0.002)


@check("approximation", where="its batch size, β* = 0.52, one ratio, normal noise; β* itself exact")
def surge_peak() -> Rows:
    """beta* and its batch size against a search along the curve; which Hessians have a peak at all."""
    law = ScalarLaw.of_sign(surging_model())
    found, height = lowest(lambda log: -law.optimal_lr(np.exp(log)), 0.0, 9.0)
    top = float(np.exp(found))
    yield near("β* of the curve", law.peak_beta, normalised_batch_size(top, 64.0), tolerance=1e-5)
    yield near("its batch size", law.peak_batch_size, top, tolerance=1e-5)
    yield "its height", law.peak_lr, -height
    # A peak inside the range if and only if the off-diagonal sum exceeds the trace.
    rng = np.random.default_rng(3)
    sizes = np.geomspace(1e-3, 1e9, 400)
    wrong = surging = 0
    for _ in range(200):
        size = int(rng.integers(2, 12))
        root = rng.standard_normal((size, size)) + rng.uniform(0, 2)
        each = ScalarLaw.of_sign(LocalModel(np.ones(size), np.ones(size), root.T @ root))
        peaked = bool(each.optimal_lr(sizes).argmax() < len(sizes) - 1)
        wrong += peaked != each.has_surge
        surging += each.has_surge
    yield holds("a surge or none, as said, for 200 random Hessians", wrong == 0)
    yield stated("200 random Hessians: share with a surge", 0.695, surging / 200, 0.01)
    true_peak = float(exact_peak_batch_size(64.0, law.peak_beta))
    yield missed("batch size of the exact peak", law.peak_batch_size, true_peak, -0.256, 0.005)


@check("published number", where="existence of a surge")
def surge_needs_three_coordinates() -> Rows:
    """Size does not make a surge: N = 3 has one, N = 2 never; and Adam's needs no off-diagonal curvature."""
    three = ScalarLaw.of_sign(LocalModel(np.ones(3), np.ones(3), np.ones((3, 3)) + 0.01 * np.eye(3)))
    rng = np.random.default_rng(4)
    largest, beyond = 0.0, 0
    for _ in range(300):
        root = rng.standard_normal((2, 2)) * rng.uniform(0, 3, 2)
        hessian = root.T @ root
        gradient = rng.standard_normal(2)
        two = ScalarLaw.of_sign(LocalModel(gradient, np.ones(2), hessian + 1e-12 * np.eye(2)))
        largest = max(largest, two.signal_curvature / two.noise_curvature)
        beyond += two.has_surge
    sizes = np.geomspace(1e-3, 1e4, 500)
    adam = expected_step(LocalModel(np.ones(3), np.ones(3), np.ones(3)), Adam(0.9, 0.95), sizes)
    peak = sizes[adam.optimal_lr.argmax()]
    yield stated("N = 3, H = 1 1ᵀ + 0.01 I: β*", 0.711, three.peak_beta, 0.001)
    yield holds("N = 2: none of 300 Hessians surges", beyond == 0)
    yield stated("N = 2: the largest of 300", 2.0, largest, 0.02)
    yield stated("Adam (0.9), diagonal H: peak / B_simple", 0.0588, peak, 0.03)


@check("approximation", where="small batches, one ratio, normal noise")
def no_surge_on_its_own_hessian() -> Rows:
    """H = diag(|g|)/eta_max, as SignSGD takes for granted, and H = I/eta_max: square roots, and no surge."""
    g = surging_model().gradient
    sizes = np.array([1.0, 64.0, 1e4])
    for name, hessian in (("diag |g|", np.abs(g) / 0.2), ("I", np.full(g.size, 1 / 0.2))):
        law = ScalarLaw.of_sign(LocalModel(g, 64.0 * g**2, hessian))
        limit = 0.2 if name == "diag |g|" else 0.2 * float(np.abs(g).mean())
        formula = power_saturation(sizes, limit, 64.0)
        for b, f, v in zip(sizes, formula, law.optimal_lr(sizes), strict=True):
            yield f"H ~ {name}, B = {b:g}", f, v
    own = LocalModel(g, 64.0 * g**2, np.abs(g) / 0.2)
    many = 64.0 * np.geomspace(1e-4, 1e3, 141)
    curve = expected_step(own, SignSGD(), many, exact).optimal_lr
    yield holds("the exact curve only rises", (np.diff(curve) > -1e-15).all())
    yield missed("law at 1e-4 B_simple", power_saturation(many[0], 0.2, 64.0), curve[0], 0.2533, 1e-3)


@check("approximation", where="the scalar law at B = 1; the exact curve falls from B = 10 on")
def larger_batch_can_lose() -> Rows:
    """Loss decrease of SignSGD where ratios differ: it falls from B = 10 on, which the scalar law misses."""
    model = losing_model()
    sizes = np.array([1.0, 10.0, 100.0, 1e12])
    truth, field, scalar = (
        expected_step(model, SignSGD(), sizes, method).loss_decrease
        for method in (exact, mean_field, scalar_mean_field)
    )
    names = ("1", "10", "100", "∞")
    run = simulated_step(model, SignSGD(), 10.0, samples=4000, rng=5)
    yield "simulated, B = 10", truth[1], (run.loss_decrease, run.loss_decrease_se)
    yield "closed law, B = 10", ScalarLaw.of_sign(model).loss_decrease(10.0), scalar[1]
    for b, f, x in zip(names, (0.318, 0.362, 0.256, 0.178), truth, strict=True):
        yield stated(f"exact, B = {b}", f, x, 0.005)
    for name, values, offs in (
        ("mean field", field, (0.036, -0.03, -0.064, 0.0)),
        ("scalar law", scalar, (-0.79, -0.578, -0.315, 0.0)),
    ):
        for b, x, t, off in zip(names, values, truth, offs, strict=True):
            yield missed(f"{name}, B = {b}", x, t, off, 0.005)


@check("approximation", where="the scale, one ratio, normal noise; none of the limit")
def loss_scale_identities() -> Rows:
    """The two closed numbers against alignment and curvature of the scalar method, half and full."""
    model = surging_model()
    law = ScalarLaw.of_sign(model)
    sizes = np.array([law.loss_scale, 1e14])
    half, whole = expected_step(model, SignSGD(), sizes, scalar_mean_field).loss_decrease
    g, H = model.gradient, model.hessian.dense()
    off = (H * np.sign(np.outer(g, g))).sum() - np.trace(H)
    trace, total = float(np.trace(H)), float(np.abs(g).sum())
    by_hand = float(model.simple_noise_scale * trace / (trace + off))
    end = float(expected_step(model, SignSGD(), 1e14, exact).loss_decrease)
    half_way = brentq(
        lambda size: float(expected_step(model, SignSGD(), size, exact).loss_decrease) - end / 2, 1, 1e4
    )
    yield "limit, as printed", law.max_loss_decrease, 0.5 * total**2 / (trace + off)
    yield "limit, by the scalar method", law.max_loss_decrease, whole
    yield "scale, as printed", law.loss_scale, by_hand
    yield "half of the limit at the scale", law.max_loss_decrease / 2, half
    yield "law over B", law.max_loss_decrease / (1 + law.loss_scale / 5.0), law.loss_decrease(5.0)
    yield "limit, exactly", law.max_loss_decrease, end
    yield missed("scale, and half-way point of the exact curve", law.loss_scale, half_way, -0.302, 0.01)


def noise_of_the_line(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Noise for which the one line is exact, sigma being its scale: Student t, 2 degrees of freedom."""
    return np.asarray(rng.standard_t(2, shape) / 2**0.5)


@check("approximation", where="loss scale of the mean field against whole runs at 0.05 of η*")
def sign_steps_against_examples() -> Rows:
    """The hyperbola fitted to whole runs of SignSGD, and what it then says of the surge."""
    sizes = np.array([2.0, 8.0, 32.0, 128.0, 512.0])
    noise_scale, peak_beta = 64.0, np.sqrt(2 / 7)
    law = ScalarLaw(8 * 9.0, 72.0, 16.0, noise_scale)
    lengths = sign_run_lengths(sizes, safety=0.05).mean(axis=1)
    fit = fit_tradeoff(sizes, lengths)
    on_curve = hyperbola(lengths[2], fit.min_steps, fit.min_examples)
    seen, older = fit.critical_batch_size, ERF_SLOPE * noise_scale
    large_steps = fit_tradeoff(sizes, sign_run_lengths(sizes, safety=0.2).mean(axis=1)).critical_batch_size
    yield stated("loss scale seen by whole runs", 21.5, seen, 0.05)
    yield stated("by the mean field (11280.10)", 14.2, law.loss_scale, 0.005)
    yield stated("by the older route (10542.31)", 22.3, ERF_SLOPE * law.loss_scale, 0.005)
    yield stated("β* from the fit, older route", 0.52, peak_beta_from_loss_scale(seen, older), 0.05)
    yield stated("true β*", 0.535, peak_beta, 0.005)
    yield stated("surge from the fit, older route", 37.5, peak_from_loss_scale(seen, older), 0.1)
    yield stated("seen by runs of longer steps (0.2 η*)", 34.8, large_steps, 0.1)
    yield missed("loss scale, mean field", law.loss_scale, seen, -0.348, 0.05)
    yield missed("loss scale, older route", ERF_SLOPE * law.loss_scale, seen, 0.024, 0.05)
    yield missed("examples at B = 32, fitted hyperbola", on_curve, 32 * lengths[2], -0.12, 0.03)


def rules_for_collapse() -> dict[str, UpdateRule]:
    """One of each rule, for the 16 parameters of :func:`surging_model`."""
    return {
        "SGD": SGD(),
        "SignSGD": SignSGD(),
        "SoftSign": SoftSignSGD(1.0),
        "Adam": Adam(0.9, 0.95),
        "Muon": Muon((4, 4)),
        "Newton": Preconditioned(np.linalg.inv(surging_model().hessian.dense())),
    }


@check("approximation", where="SignSGD, one ratio, small batches; no bound where ratios differ")
def one_hyperbola() -> Rows:
    """The noise scale that each point of a curve implies: one number a rule, with the scalar step only."""
    model = surging_model()
    sizes = np.array([0.1, 10.0, 1000.0])
    for name, rule in rules_for_collapse().items():
        gains = expected_step(model, rule, [*sizes, 1e14], scalar_mean_field).loss_decrease
        implied = implied_noise_scale(sizes, gains[:3], gains[3])
        yield near(f"{name}: scale at B = 0.1 and 1000", implied[0], implied[2], tolerance=1e-6)
    limit, scale = preconditioned_limits(model, 1 / np.abs(model.gradient))
    law = ScalarLaw.of_sign(model)
    yield "G = diag |g|: limit of SignSGD", limit, law.max_loss_decrease
    yield "G = diag |g|: scale of SignSGD", scale, law.loss_scale
    # Without the scalar step the curve need not be a hyperbola at all.
    lost = implied_noise_scale(10.0, *expected_step(losing_model(), SignSGD(), [10.0, 1e12]).loss_decrease)
    yield stated("unequal ratios, mean field: B = 10", -4.93, lost, 0.01)
    many = 64.0 * np.geomspace(1e-6, 1e3, 91)
    truth = expected_step(model, SignSGD(), many, exact).loss_decrease
    curve = law.loss_decrease(many)
    place = int(np.abs(curve / truth - 1).argmax())
    yield missed(f"SignSGD, B = {many[place] / 64:.0e} B_simple", curve[place], truth[place], 0.5708, 1e-3)


@check("limit", where="B far below B_simple, normal noise", news=True)
def constant_pi_over_two() -> Rows:
    """What the constant between the two routes changes: learning rates and loss scales at small batches."""
    model = surging_model()
    law, older = ScalarLaw.of_sign(model), ScalarLaw.of_sign(model, ERF_SLOPE * model.simple_noise_scale)
    tiny = 1e-9 * law.noise_scale
    true = expected_step(model, SignSGD(), tiny, exact)
    rates = [float(law.optimal_lr(tiny) / other) for other in (older.optimal_lr(tiny), true.optimal_lr)]
    decreases = float(law.loss_decrease(tiny) / true.loss_decrease)
    yield stated("learning rates, mean field / older", 1.2533, rates[0], 1e-4)
    yield stated("learning rates, mean field / exact", 1.2533, rates[1], 1e-4)
    yield stated("loss decreases, mean field / exact", 1.5708, decreases, 1e-4)
    yield "mean, older route", erf_route_sign(1e-6, 1.0), sign_mean(1e-6, 1.0)
    yield missed("η*, mean field", law.optimal_lr(tiny), true.optimal_lr, 0.2533, 1e-4)
    yield missed("loss decrease, mean field", law.loss_decrease(tiny), true.loss_decrease, 0.5708, 1e-4)
