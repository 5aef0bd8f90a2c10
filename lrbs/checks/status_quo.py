"""Checks of the page on the status quo: SGD's law, the noise scales, steps against examples."""

import numpy as np
from scipy.optimize import brentq

from lrbs.approximations import exact, mean_field
from lrbs.checks.evidence import Rows, check, missed, near, stated
from lrbs.checks.problems import dense_model, minimised_loss, quadratic_loss
from lrbs.checks.runs import run_lengths
from lrbs.laws.sgd import linear, saturation
from lrbs.model import LocalModel
from lrbs.rules import SGD, Adam, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.simulate import draw_gradients, searched_lr, simulated_step
from lrbs.step import expected_step, quadratic_loss_change
from lrbs.tradeoff import examples, hyperbola, steps
from lrbs.validation import Array


@check("Monte Carlo")
def batch_gradient_moments() -> Rows:
    """Batches drawn from a finite set of skewed per-sample gradients."""
    rng = np.random.default_rng(1)
    population = rng.exponential(size=(500, 3)) @ rng.standard_normal((3, 3))
    model = LocalModel(population.mean(axis=0), np.cov(population.T, ddof=0), np.ones(3))
    for batch_size in (1, 8, 64):
        batches = population[rng.integers(len(population), size=(8000, batch_size))].mean(axis=1)
        noise, covariance = batches - model.gradient, model.noise(batch_size).dense()
        yield f"mean, B = {batch_size}", model.gradient[0], batches[:, 0]
        yield f"variance, B = {batch_size}", covariance[0, 0], noise[:, 0] ** 2
        yield f"covariance, B = {batch_size}", covariance[0, 1], noise[:, 0] * noise[:, 1]


@check("Monte Carlo")
def sgd_noise_scale() -> Rows:
    """Against dense algebra, and half of the limit at B = B_noise by searching the simulated loss."""
    model = dense_model()
    g, sigma, H = model.gradient, model.covariance.dense(), model.hessian.dense()
    found, error = minimised_loss(model, SGD(), model.noise_scale, samples=40_000, seed=2)
    yield "B_noise", model.noise_scale, np.trace(sigma @ H) / (g @ H @ g)
    yield "η_max", model.max_lr, g @ g / (g @ H @ g)
    yield "η* at B = B_noise", model.max_lr / 2, (found, error)


@check("identity")
def simple_noise_scale_from_samples() -> Rows:
    """Low-rank from per-sample gradients, more parameters than samples, against the full matrix."""
    rng = np.random.default_rng(3)
    samples = rng.standard_normal((40, 300)) * np.geomspace(0.1, 3, 300) + 0.5
    model = LocalModel.from_samples(samples, np.ones(300))
    covariance = np.cov(samples, rowvar=False)
    mean = samples.mean(axis=0)
    yield "B_simple, N = 300, n = 40", model.simple_noise_scale, np.trace(covariance) / (mean @ mean)


@check("approximation", where="Σ = H, the worst of 200 gradients; curvatures over three decades")
def simple_against_full_noise_scale() -> Rows:
    """B_simple / B_noise: 1 for an isotropic Hessian, and how far from it for others."""
    rng = np.random.default_rng(4)
    size = 50
    ratios: dict[str, list[float]] = {"H and Σ unrelated": [], "Σ = H": []}
    for _ in range(200):
        spectrum = np.geomspace(1, 1e3, size)
        rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
        H = (rotation * spectrum) @ rotation.T
        g = rng.standard_normal(size)
        for name, covariance in (("H and Σ unrelated", spectrum), ("Σ = H", H)):
            model = LocalModel(g, covariance, H)
            ratios[name].append(model.simple_noise_scale / model.noise_scale)
    isotropic = LocalModel(g, spectrum, np.full(size, 2.5))
    unrelated, aligned = (np.array(values) for values in ratios.values())
    yield "H = 2.5 I: B_simple/B_noise", 1.0, isotropic.simple_noise_scale / isotropic.noise_scale
    yield stated("unrelated: median", 1.0, np.median(unrelated), 0.02)
    yield stated("unrelated: 90 % below", 1.41, np.quantile(unrelated, 0.9), 0.02)
    yield stated("Σ = H: median", 0.279, np.median(aligned), 0.02)
    yield stated("Σ = H: least of 200", 0.11, aligned.min(), 0.02)
    return np.abs(aligned - 1).max()


@check("quadrature")
def searched_learning_rate() -> Rows:
    """A search over a loss that is not quadratic, against the root of its known slope."""
    rng = np.random.default_rng(16)
    updates = 1 + rng.standard_normal((4000, 3))
    slope_root = brentq(lambda eta: np.mean(updates * np.tanh(0.2 - eta * updates)), 1e-6, 1.0)
    found, _ = searched_lr(lambda x: np.log(np.cosh(0.2 + x) / np.cosh(0.2)).sum(axis=1), updates)
    blocks = updates.reshape(40, 100, 3)
    spread = [searched_lr(lambda x: x.sum(axis=1) + 2 * (x**2).sum(axis=1), block) for block in blocks]
    rates, errors = np.array(spread).T
    row = near("η* for log cosh", slope_root, found, tolerance=1e-5)
    yield row
    yield stated("claimed over true standard error", 1.0, errors.mean() / rates.std(ddof=1), 0.3)
    return row.relative


@check("Monte Carlo")
def optimal_learning_rate() -> Rows:
    """Alignment over curvature against a search over the simulated loss, for every kind of rule."""
    model = dense_model(size=6)
    rules: tuple[UpdateRule, ...] = (
        SGD(),
        SGD(0.9),
        SignSGD(),
        SoftSignSGD(0.5),
        Adam(0.5, 0.75),
        Muon((3, 2)),
        Preconditioned(np.linalg.inv(model.hessian.dense() + np.eye(6))),
    )
    for index, rule in enumerate(rules):
        found, error = minimised_loss(model, rule, 5.0, samples=4000, seed=10 + index)
        step = simulated_step(model, rule, 5.0, samples=4000, rng=20 + index)
        both = float(np.hypot(error, step.optimal_lr_se))
        memory = ", with memory" if rule.horizon > 1 else ""
        yield type(rule).__name__ + memory, step.optimal_lr, (found, both)


@check("limit", where="a loss that is not quadratic, η = 0.01; of third order in η, none on a quadratic")
def second_order_error() -> Rows:
    """None on a quadratic; of third order in eta on a loss that is not one."""
    model = dense_model()
    update = np.random.default_rng(5).standard_normal(model.size)
    direct = quadratic_loss(model, -0.3 * update)

    # A smooth loss whose gradient and Hessian at 0 are known: sum log cosh(x_i + 1).
    slope, bend = np.tanh(1.0), 1 / np.cosh(1.0) ** 2
    curved = LocalModel(np.full(3, slope), np.ones(3), np.full(3, bend))
    direction = np.array([1.0, 0.5, 2.0])
    rates = np.array([1e-2, 1e-3])
    true = np.log(np.cosh(1 - np.outer(rates, direction)) / np.cosh(1.0)).sum(axis=1)
    expanded = quadratic_loss_change(curved, direction, rates)
    gaps = np.abs(true - expanded)
    yield "quadratic loss", quadratic_loss_change(model, update, 0.3), direct
    yield stated("log cosh: order of the error", 3.0, np.log10(gaps[0] / gaps[1]), 0.01)
    yield missed("log cosh, η = 0.01", expanded[0], true[0], 0.0, 1e-3)


@check("Monte Carlo")
def expected_loss_against_simulation() -> Rows:
    """The parabola of expected loss, at learning rates below, at and beyond its minimum."""
    model = dense_model()
    for rule, method in ((SGD(), mean_field), (SignSGD(), exact)):
        step = expected_step(model, rule, 4.0, method)
        updates = rule(draw_gradients(model, 4.0, (20_000, 1), 6))
        for share in (0.5, 1.0, 2.5):
            eta = share * float(step.optimal_lr)
            sample = quadratic_loss(model, -eta * updates)
            yield f"{type(rule).__name__}, {share} η*", step.loss_change(eta), sample


@check("Monte Carlo")
def sgd_curvature() -> Rows:
    """g^T H g + tr(Sigma H)/B for normal noise and for skewed noise of the same covariance."""
    model = dense_model()
    for name, draw in (
        ("normal", lambda rng, shape: rng.standard_normal(shape)),
        ("exponential", lambda rng, shape: rng.exponential(size=shape) - 1),
    ):
        for batch_size in (1.0, 30.0):
            formula = float(expected_step(model, SGD(), batch_size).curvature)
            run = simulated_step(model, SGD(), batch_size, samples=40_000, rng=7, draw=draw)
            yield f"{name} noise, B = {batch_size:g}", formula, (run.curvature, run.curvature_se)


@check("Monte Carlo")
def sgd_law_against_minimised_loss() -> Rows:
    """eta_max / (1 + B_noise/B) against a search over the simulated loss."""
    model = dense_model()
    for batch_size in model.noise_scale * np.array([0.03, 0.3, 3.0, 30.0]):
        found, error = minimised_loss(model, SGD(), batch_size, samples=20_000, seed=8)
        law = float(saturation(batch_size, model.max_lr, model.noise_scale))
        yield f"η* at B = {batch_size / model.noise_scale:g} B_noise", law, (found, error)


@check("Monte Carlo")
def sgd_loss_decrease() -> Rows:
    """Delta L_max / (1 + B_noise/B) against simulated steps at the law's learning rate."""
    model = dense_model()
    for batch_size in model.noise_scale * np.array([0.1, 1.0, 10.0]):
        eta = saturation(batch_size, model.max_lr, model.noise_scale)
        updates = SGD()(draw_gradients(model, batch_size, (40_000, 1), 9))
        law = float(saturation(batch_size, model.max_loss_decrease, model.noise_scale))
        sample = -quadratic_loss(model, -eta * updates)
        yield f"decrease at B = {batch_size / model.noise_scale:g} B_noise", law, sample


@check("limit", where="B = 0.1 B_noise; grows as B/B_noise")
def small_batch_slope() -> Rows:
    """Linear scaling overshoots the law by exactly 1 + B/B_noise; the log-log slope there is 1."""
    model = dense_model()
    sizes = model.noise_scale * np.array([1e-5, 1e-4, 0.1, 1.0])
    rates = expected_step(model, SGD(), sizes).optimal_lr
    law = linear(sizes, model.max_lr, model.noise_scale)
    yield stated("slope at B = 1e-4 B_noise", 1.0, np.log10(rates[1] / rates[0]), 1e-4)
    row = missed("linear rule at 0.1 B_noise", law[2], rates[2], 0.1)
    yield row
    yield missed("linear rule at B_noise", law[3], rates[3], 1.0)
    return row.relative


@check("Monte Carlo")
def steps_against_examples() -> Rows:
    """The hyperbola from simulated progress per step, and from whole runs of SGD."""
    model = dense_model()
    sizes = model.noise_scale * np.array([0.1, 1.0, 10.0])
    run = simulated_step(model, SGD(), sizes, samples=40_000, rng=11)
    total = 1000 * model.max_loss_decrease
    S = total / run.loss_decrease  # steps of the simulated progress that make up the total
    S_se = S * run.loss_decrease_se / run.loss_decrease
    law, E = (function(sizes, 1000, model.noise_scale) for function in (steps, examples))
    for b, said, s, se in zip(sizes, law, S, S_se, strict=True):
        yield f"steps at B = {b / model.noise_scale:g} B_noise", said, (s, se)
    least = 1000 * model.noise_scale
    yield "(S/Smin - 1)(E/Emin - 1)", 1.0, (law[1] / 1000 - 1) * (E[1] / least - 1)
    yield "E on the hyperbola", hyperbola(law, 1000, least)[0], E[0]
    small, large = run_lengths(np.array([2.0, 512.0]), noise_scale=32.0)
    ratio = small.mean() / large.mean()
    seen = (ratio - 1) / (1 / 2 - ratio / 512)  # the noise scale that these two lengths imply
    yield stated("B_noise = 32, seen by whole runs", 25.5, seen, 0.05)


FLUCTUATING = "entries of the preconditioner fluctuating by 0.2, its least eigenvalue 2"


def under_fluctuation(model: LocalModel, H_hat: Array, strength: float) -> tuple[Array, Array]:
    """E[phi] and E[phi phi^T] of phi = H_B^-1 g_B, where H_B = H_hat + strength * (random symmetric matrix).

    The matrix is drawn by itself, each beside its opposite, so gradients need no drawing: their noise is
    larger than what is sought.
    """
    random = np.random.default_rng(14).standard_normal((100_000, model.size, model.size))
    random = strength * (random + random.transpose(0, 2, 1)) / 2
    inverse = np.linalg.inv(H_hat + np.concatenate([random, -random]))
    square = np.outer(model.gradient, model.gradient) + model.noise(10.0).dense()
    return inverse.mean(axis=0) @ model.gradient, (inverse @ square @ inverse).mean(axis=0)


def share(error: Array, whole: Array) -> float:
    """Length of an error as a share of that of the whole."""
    return float(np.linalg.norm(error) / np.linalg.norm(whole))


@check("approximation", where=f"E[φ], {FLUCTUATING}")
def mean_field_of_a_fluctuating_preconditioner() -> Rows:
    """Exact for a fixed preconditioner; for one that fluctuates an error of second order in its strength."""
    model = dense_model(size=4)
    H_hat = model.hessian.dense() + 2 * np.eye(4)
    moments = mean_field(Preconditioned(np.linalg.inv(H_hat)), model.gradient, model.noise(10.0))
    second = moments.covariance.dense() + np.outer(moments.mean, moments.mean)
    phi = np.linalg.solve(H_hat, draw_gradients(model, 10.0, (200_000,), 13).T).T
    yield "mean, no fluctuation", moments.mean[0], phi[:, 0]
    yield "second moment, none", second[0, 1], phi[:, 0] * phi[:, 1]
    for strength, of_mean, of_second in ((0.1, 0.0033, 0.0108), (0.2, 0.0136, 0.0451)):
        mean, square = under_fluctuation(model, H_hat, strength)
        error = share(mean - moments.mean, moments.mean)
        yield stated(f"error of E[φ], f = {strength}", of_mean, error, 0.03)
        yield stated(f"error of E[φ φᵀ], f = {strength}", of_second, share(square - second, second), 0.02)
    return error


@check("approximation")
def second_moment_of_a_fluctuating_preconditioner() -> Rows:
    """The check of the mean field's second moment: the same run, the error of E[phi phi^T]."""
    both = mean_field_of_a_fluctuating_preconditioner()
    yield from both.comparisons
    return both["error of E[φ φᵀ], f = 0.2"].reference, f"E[φ φᵀ], {FLUCTUATING}"


@check("approximation", where=f"{FLUCTUATING}; none for a fixed one")
def preconditioned_loss_decrease() -> Rows:
    """A fixed preconditioner: against simulation and of degree 0 in it; and one that fluctuates."""
    model = dense_model(size=5)
    H_hat = np.diag(np.arange(1.0, 6.0)) + 0.5
    rule = Preconditioned(np.linalg.inv(H_hat))
    formula = float(expected_step(model, rule, 6.0).loss_decrease)
    g, sigma, H, P = model.gradient, model.covariance.dense(), model.hessian.dense(), np.linalg.inv(H_hat)
    dense = 0.5 * (g @ P @ g) ** 2 / (g @ P @ H @ P @ g + np.trace(sigma @ P @ H @ P) / 6.0)
    scaled = float(expected_step(model, Preconditioned(7 * P), 6.0).loss_decrease)
    run = simulated_step(model, rule, 6.0, samples=40_000, rng=15)
    yield "simulated", formula, (run.loss_decrease, run.loss_decrease_se)
    yield "dense algebra", formula, dense
    yield "preconditioner times 7", formula, scaled
    model = dense_model(size=4)
    H_hat = model.hessian.dense() + 2 * np.eye(4)
    formula = float(expected_step(model, Preconditioned(np.linalg.inv(H_hat)), 10.0).loss_decrease)
    for strength, off in ((0.1, 0.0024), (0.2, 0.0101)):
        mean, square = under_fluctuation(model, H_hat, strength)
        true = 0.5 * (model.gradient @ mean) ** 2 / np.trace(square @ model.hessian.dense())
        yield missed(f"fluctuating, f = {strength}", formula, true, off, 5e-4)
