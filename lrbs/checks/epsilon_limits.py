"""Checks of the page on epsilon, its ends: where Adam turns into SGD, and what becomes of the surge."""

import numpy as np

from lrbs import SGD, Adam, LocalModel, SoftSignSGD, exact, expected_step, laws, mean_field, simulated_step
from lrbs.approximations import ERF_SLOPE, older_route
from lrbs.checks.evidence import Rows, check, holds, missed, near
from lrbs.checks.problems import independent_model, losing_model, soft_moments
from lrbs.normal import softsign_square
from lrbs.rules import softsign


@check("algebra only", where="of the scalar law's own peak, by a search")
def surge_fades_with_epsilon() -> Rows:
    """The condition and the peak against the largest value of the curve; necessary is not sufficient."""
    model = LocalModel(np.ones(5), np.full(5, 9.0), np.ones((5, 5)) + 0.2 * np.eye(5))
    fine = np.geomspace(1e-2, 1e5, 40_001)
    for epsilon in (0.0, 0.5, 0.9):
        law = laws.soft_law(model, epsilon)
        found = float(fine[law.optimal_lr(fine).argmax()])
        yield near(f"peak, ϵ = {epsilon:g}", law.peak_batch_size, found, tolerance=1e-3)
    # With |g| equal, nu^T H nu = 26/(1 + epsilon^2): twice the trace of 6 at epsilon = sqrt(7/6).
    yield "ratio 2 at ϵ = 1.0801", 2.0, laws.surge_ratio(model, float(np.sqrt(26 / 12 - 1)))
    yield holds("ϵ = 1.3: 10563.15 holds", laws.surge_ratio(model, 1.3) > 1)
    rising = (np.diff(laws.soft_law(model, 1.3).optimal_lr(fine)) > 0).all()
    yield holds("... but the law's curve only rises", rising)


@check("approximation", where="six unequal coordinates, B = 5")
def learning_rate_per_epsilon() -> Rows:
    """10563.16 against 10563.14 divided by epsilon, and term by term; and against exact moments."""
    model, batch_size = independent_model(), 5.0
    g, H = model.gradient, model.hessian.dense()
    for epsilon in (0.1, 1.0, 100.0):
        law = laws.soft_law(model, epsilon, noise_constant=ERF_SLOPE)
        divided = float(law.optimal_lr(batch_size) / epsilon)
        yield f"ϵ = {epsilon:g}", divided, laws.lr_per_epsilon(model, epsilon, batch_size)
    scaled = 1.0 * softsign(g, 1.0)
    beta2 = 1 / (1 + np.pi / 2 * laws.soft_noise_scale(model, 1.0) / 5.0)
    written = np.sqrt(beta2) * (scaled @ g) / (beta2 * scaled @ H @ scaled + (1 - beta2) * np.trace(H))
    yield "ϵ = 1, written out", written, laws.lr_per_epsilon(model, 1.0, 5.0)
    for epsilon, off in ((0.1, -0.038), (1.0, -0.129), (100.0, -0.069)):
        truth = float(expected_step(model, SoftSignSGD(epsilon), batch_size, exact).optimal_lr) / epsilon
        yield missed(
            f"exact, ϵ = {epsilon:g}", laws.lr_per_epsilon(model, epsilon, batch_size), truth, off, 5e-3
        )


@check("limit")
def limits_in_epsilon() -> Rows:
    """beta, epsilon u and epsilon^2 (1 - beta^2) at a large epsilon."""
    model, epsilon, batch_size = independent_model(), 1e4, 3.0
    law = laws.soft_law(model, epsilon, noise_constant=ERF_SLOPE)
    beta2 = 1 / (1 + law.noise_scale / batch_size)
    spread = float(np.mean(model.covariance.diagonal()))
    yield near("β, and its limit", 1.0, np.sqrt(beta2), tolerance=1e-6)
    scaled = epsilon * softsign(model.gradient, epsilon)[0] / model.gradient[0]
    limit, noise = np.pi * spread / (2 * batch_size), laws.rescaled_noise(model, epsilon, batch_size)
    yield near("ϵ u₁ / g₁", 1.0, scaled, tolerance=1e-6)
    yield near("ϵ² (1 - β²)", limit, noise, tolerance=1e-6)
    yield "... the limit itself", limit, laws.rescaled_noise(model, np.inf, batch_size)
    yield near("... from β", epsilon**2 * (1 - beta2), noise, tolerance=1e-6)


@check("limit", where="older route against SGD itself, B = 3")
def adam_turns_into_sgd() -> Rows:
    """Soft sign at a large epsilon is SGD; the older route ends at SGD with pi/2 times the noise."""
    model, batch_size, epsilon = independent_model(), 3.0, 1e4
    true_end = expected_step(model, SGD(), batch_size).optimal_lr
    reached = expected_step(model, SoftSignSGD(epsilon), batch_size, exact).optimal_lr / epsilon
    older = laws.lr_per_epsilon(model, epsilon, batch_size)
    field = laws.lr_per_epsilon(model, epsilon, batch_size, noise_constant=1.0)
    g, H = model.gradient, model.hessian.dense()
    spread = float(np.mean(model.covariance.diagonal()))
    written = (g @ g) / (g @ H @ g + np.pi * spread * np.trace(H) / (2 * batch_size))
    a, b = np.array([0.5]), 100.0
    route, exactly = soft_moments(older_route(mean_field), a, b)[1][0], softsign_square(a, np.ones(1), b)[0]
    without = laws.sgd_limit_lr(model, batch_size, noise_constant=1.0)
    yield near("exact soft sign: SGD", true_end, reached, tolerance=1e-5)
    yield near("older route: limit 10563.18", written, older, tolerance=1e-5)
    yield "the limit itself", written, laws.sgd_limit_lr(model, batch_size)
    yield "for infinite ϵ", written, laws.lr_per_epsilon(model, np.inf, batch_size)
    yield near("mean field: without π/2", without, field, tolerance=1e-5)
    yield missed("b² E[u²], b = 100, a = 0.5, older route", b**2 * route, b**2 * exactly, 0.457, 1e-3)
    yield missed("older route: SGD itself", older, true_end, -0.1021, 1e-3)
    return abs(older / true_end - 1)


@check("Monte Carlo")
def adam_turns_into_momentum() -> Rows:
    """Adam run with a large epsilon, against the learning rate of SGD with momentum."""
    model, batch_size, epsilon = independent_model(), np.array([0.5, 5.0]), 1e4
    rule = Adam(beta1=0.8, beta2=0.9, epsilon=epsilon)
    run = simulated_step(model, rule, batch_size, samples=4000, rng=52, steps=60)
    limit = laws.adam_limit_lr(model, batch_size, beta1=0.8)
    field = expected_step(model, rule, batch_size).optimal_lr / epsilon
    g, H = model.gradient, model.hessian.dense()
    noise = np.trace(model.covariance.dense() @ H) / batch_size
    written = (g @ g) / (g @ H @ g + noise / 9)
    for k, size in enumerate(batch_size):
        found = run.optimal_lr[k] / epsilon, run.optimal_lr_se[k] / epsilon
        yield f"B = {size:g}: simulated", limit[k], found
    for k, size in enumerate(batch_size):
        yield f"B = {size:g}: written out", written[k], limit[k]
    yield near("B = 0.5: mean field", limit[0], field[0], tolerance=1e-3)


@check("approximation", where="loss decrease at B = 1, ϵ = 0", news=True)
def soft_law_breaks() -> Rows:
    """Where ratios of noise to signal differ a hundredfold the scalar law of soft sign fails by a factor."""
    model = losing_model()
    for epsilon, off in ((0.0, -0.790), (1.0, -0.564), (30.0, -0.292)):
        truth = expected_step(model, SoftSignSGD(epsilon), 1.0, exact).loss_decrease
        scalar = laws.soft_law(model, epsilon).loss_decrease(1.0)
        yield missed(f"loss decrease, ϵ = {epsilon:g}", scalar, truth, off, 4e-3)
