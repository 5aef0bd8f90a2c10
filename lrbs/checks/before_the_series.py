"""Checks of the chapter before the series: what the two scaling rules keep, and what they do not ask."""

import numpy as np

from lrbs import SGD, Adam, LocalModel, Preconditioned, expected_step, laws, optimal_lr, scalar_mean_field
from lrbs.checks.evidence import Rows, check, missed, near, stated
from lrbs.checks.problems import (
    batch_means,
    dense_model,
    fisher_model,
    minimised_loss,
    quadratic_loss,
    skewed,
    trained_networks,
)
from lrbs.operators import Dense
from lrbs.simulate import draw_gradients


# ---------------------------------------------------------------------------------- one increment
@check("Monte Carlo")
def square_root_rule_keeps_increments() -> Rows:
    """Covariance of sampled increments before and after the batch grows 16-fold, under either rule."""
    model = dense_model(size=3)
    eta, growth = 0.1, 16
    before = laws.increment_covariance(model, 4, eta).dense()
    for name, rate, size, factor in (
        ("before", eta, 4, 1),
        ("batch x 16, square root", float(laws.square_root_rule(eta, growth)), 4 * growth, 1),
        ("batch x 16, linear", float(laws.linear_rule(eta, growth)), 4 * growth, growth),
    ):
        noise = rate * (batch_means(model, size, 5000, seed=1) - model.gradient)
        yield f"variance, {name}", factor * before[0, 0], noise[:, 0] ** 2
        yield f"covariance, {name}", factor * before[0, 1], noise[:, 0] * noise[:, 1]


@check("Monte Carlo", news=True)
def gradient_variance_under_square_root() -> Rows:
    """The square-root rule keeps the variance of the increment; that of the gradient falls as 1/B."""
    model = dense_model(size=3)
    eta, growth = 0.1, 16
    gradient_ratio = model.noise(4 * growth).trace() / model.noise(4).trace()
    after = float(laws.square_root_rule(eta, growth))
    traces = [laws.increment_covariance(model, 4 * k, e).trace() for k, e in ((growth, after), (1, eta))]
    gradients = batch_means(model, 4 * growth, 5000, seed=2) - model.gradient
    yield "increment: variance after/before", 1.0, traces[0] / traces[1]
    yield "gradient: variance after/before", 1 / growth, gradient_ratio
    yield "the same, sampled", 1 / growth, np.sum(gradients**2, axis=1) / model.noise(4).trace()


@check("Monte Carlo")
def increment_signal_to_noise() -> Rows:
    """Sampled increments at two batch sizes and two learning rates: the rate makes no difference."""
    model = dense_model(size=4)
    for batch_size in (5, 80):
        for eta in (0.01, 1.0):
            steps = -eta * draw_gradients(model, batch_size, (20, 2000), 3, skewed)
            noise = steps.var(axis=1, ddof=1).sum(axis=-1)
            signal = np.sum(steps.mean(axis=1) ** 2, axis=-1) - noise / 2000  # the mean has noise of its own
            ratio = float(laws.signal_to_noise(model, batch_size))
            yield f"B = {batch_size}, η = {eta:g}", ratio, np.sqrt(signal / noise)


@check("Monte Carlo")
def increment_noise_strength() -> Rows:
    """For independent increments x, y of mean zero, E (x.y)^2 = ||C||_F^2."""
    model = dense_model(size=4)
    for eta, batch_size in ((0.1, 4), (0.4, 64)):
        noise = eta * (draw_gradients(model, batch_size, (2, 40_000), 4) - model.gradient)
        square = laws.noise_strength(model, batch_size, eta) ** 2
        name = f"squared norm, η = {eta}, B = {batch_size}"
        yield name, square, np.sum(noise[0] * noise[1], axis=1) ** 2


@check("Monte Carlo")
def noise_cost_against_loss() -> Rows:
    """Twice the loss after noisy steps minus that after the mean step, per unit of learning rate."""
    general = dense_model()
    alike = LocalModel(general.gradient, general.covariance, np.full(general.size, 2.5))
    for name, model in (("H dense", general), ("H = 2.5 I", alike)):
        for eta, batch_size in ((0.02, 2.0), (0.1, 20.0)):
            noise = draw_gradients(model, batch_size, (20_000,), 5) - model.gradient
            pair = np.stack([model.gradient + noise, model.gradient - noise])  # what is odd in it cancels
            noisy = quadratic_loss(model, -eta * pair).mean(axis=0)
            extra = noisy - quadratic_loss(model, -eta * model.gradient)
            cost = float(laws.noise_cost(model, batch_size, eta))
            yield f"{name}, η = {eta}, B = {batch_size:g}", cost, 2 / eta * extra
    sum_of_variances = 0.1 * 2.5 / 20 * float(general.covariance.diagonal().sum())
    yield "ηλ/B sum σ²", laws.noise_cost(alike, 20, 0.1), sum_of_variances


# ------------------------------------------------------------------------------ from steps to paths
@check("identity")
def step_split_into_signal_and_noise() -> Rows:
    """The step written with gradient and noise apart, against the rule applied to the batch gradient."""
    model = dense_model(size=3)
    batch = batch_means(model, 5, 2, seed=6)
    weights = np.array([1.0, -2.0, 0.5])
    split = laws.sgd_step(weights, model.gradient, batch - model.gradient, 0.2)
    whole = weights - 0.2 * SGD()(batch[:, None, :])
    for i in range(3):
        yield f"w_{i + 1} after a step", split[0, i], whole[0, i]


@check("Monte Carlo")
def gaussian_step_moments() -> Rows:
    """Steps with normal z, and steps on skewed samples, against -eta g and eta^2 Sigma/B."""
    model = dense_model(size=3)
    eta, batch_size = 0.2, 6
    root = laws.diffusion_coefficient(model.covariance.dense(), batch_size, eta)
    z = np.random.default_rng(7).standard_normal((30_000, 3))
    normal = laws.sde_step(np.zeros(3), model.gradient, root, eta, z)
    real = -eta * batch_means(model, batch_size, 30_000, seed=8)
    covariance = laws.increment_covariance(model, batch_size, eta).dense()
    for name, step in (("normal", normal), ("real", real)):
        noise = step + eta * model.gradient
        yield f"{name}: mean", -eta * model.gradient[0], step[:, 0]
        yield f"{name}: variance", covariance[1, 1], noise[:, 1] ** 2
        yield f"{name}: covariance", covariance[0, 2], noise[:, 0] * noise[:, 2]


@check("approximation", where="variance at t = 1, ηλ = 0.2")
def sde_against_sgd() -> Rows:
    """The equation in short steps against its closed form; SGD at one eta/B nears it in proportion to eta."""
    quadratic = laws.Quadratic(curvature=[2.0, 0.5], variance=[3.0, 1.0])
    start, ratio, time = np.array([1.0, 1.0]), 0.02, 1.0
    root = laws.diffusion_coefficient(quadratic.variance, 1, ratio)
    slope = quadratic.curvature.__mul__
    path = laws.sde_runs(slope, root, start, time_step=0.01, steps=100, runs=4000, rng=9)[-1]
    exact = laws.sde_cloud(quadratic, start, learning_rate=ratio, batch_size=1, time=[time])
    yield "equation: mean at t = 1", exact.mean[0, 0], path[:, 0]
    yield "equation: variance at t = 1", exact.variance[0, 0], (path[:, 0] - exact.mean[0, 0]) ** 2
    law, variances = exact.variance[0, 0], {}
    for eta in (0.01, 0.02, 0.1):
        size, steps = eta / ratio, round(time / eta)
        cloud = laws.sgd_cloud(quadratic, start, learning_rate=eta, batch_size=size, steps=steps)
        variances[eta] = float(cloud.variance[-1, 0])
    for eta, off in ((0.01, -0.0107), (0.1, -0.106)):
        yield missed(f"variance of SGD, ηλ = {2 * eta:g}", law, variances[eta], off, 1e-3)
    small, twice = (abs(law / variances[eta] - 1) for eta in (0.01, 0.02))
    yield stated("order of the error in η", 1.0, np.log2(twice / small), 0.02)


@check("Monte Carlo")
def stationary_variance_simulated() -> Rows:
    """Long runs in three directions, up to near the limit of stability, and the recursion run to its end."""
    quadratic = laws.Quadratic(curvature=[2.0, 10.0, 18.0], variance=[3.0, 1.0, 2.0])
    exact = laws.settled_variance(quadratic, 4, 0.1)
    runs = laws.sgd_runs(
        quadratic, np.zeros(3), learning_rate=0.1, batch_size=4, steps=60, runs=8000, rng=10
    )[-1]
    recursion = laws.sgd_cloud(quadratic, np.ones(3), learning_rate=0.1, batch_size=4, steps=300).variance[-1]
    for i, x in enumerate(0.1 * quadratic.curvature):
        yield f"variance, ηλ = {x:g}", exact[i], runs[:, i] ** 2
    yield "the recursion's end, ηλ = 1.8", exact[2], recursion[2]
    yield stated("ηλ = 0.2, in print", 0.02083, exact[0], 3e-4)


@check("approximation", where="ηλ = 0.2; ηλ/2 in general")
def temperature_sets_the_cloud() -> Rows:
    """Variance proportional to eta/B: right at small eta lambda, too small by the share eta lambda/2."""
    quadratic = laws.Quadratic(curvature=[2.0], variance=[3.0])
    misses = []
    for eta, batch_size, off in ((0.005, 0.2, -0.005), (0.025, 1.0, -0.025), (0.1, 4.0, -0.1)):
        by_temperature = float(laws.effective_temperature(batch_size, eta)) * 3.0 / (2 * 2.0)
        settled = laws.settled_variance(quadratic, batch_size, eta)[0]
        misses.append(missed(f"variance, ηλ = {2 * eta:g}", by_temperature, settled, off))
    runs = laws.sgd_runs(quadratic, [0.0], learning_rate=0.1, batch_size=4, steps=60, runs=20_000, rng=11)[-1]
    yield stated("variance by temperature, in print", 0.01875, by_temperature, 1e-9)
    yield "that, corrected by 1/(1 - 0.1)", by_temperature / 0.9, runs[:, 0] ** 2
    yield from misses


@check("limit", where="variance at t = 1 along a direction of curvature 2")
def vanishing_learning_rate() -> Rows:
    """eta -> 0 at a fixed batch leaves an equation without noise; the noise stays if eta/B does."""
    quadratic = laws.Quadratic(curvature=[2.0], variance=[3.0])

    def variance(eta: float, batch_size: float) -> float:
        cloud = laws.sgd_cloud(
            quadratic, [1.0], learning_rate=eta, batch_size=batch_size, steps=round(1 / eta)
        )
        return float(cloud.variance[-1, 0])

    limit = float(
        laws.sde_cloud(quadratic, [1.0], learning_rate=0.025, batch_size=1, time=[1.0]).variance[0, 0]
    )
    slope = np.log2(variance(2e-3, 4) / variance(1e-3, 4))
    yield stated("B = 4: exponent of η in the variance at t = 1", 1.0, slope, 0.002)
    yield near("B = η/0.025, η = 0.001", limit, variance(1e-3, 1e-3 / 0.025), tolerance=0.002)


@check("Monte Carlo", news=True)
def rules_without_bound() -> Rows:
    """Either rule leaves the stable range: a step multiplies the mean by 1 - eta lambda, here by -2.2."""
    quadratic = laws.Quadratic(curvature=[2.0], variance=[3.0])
    for name, eta, size in (
        ("linear, batch x 16", float(laws.linear_rule(0.1, 16)), 64),
        ("square root, batch x 256", float(laws.square_root_rule(0.1, 256)), 1024),
    ):
        runs = laws.sgd_runs(quadratic, [1.0], learning_rate=eta, batch_size=size, steps=6, runs=2000, rng=12)
        losses = quadratic.loss(runs)
        yield stated(f"{name}: ηλ", 3.2, 2 * eta, 1e-9)
        cloud = laws.sgd_cloud(quadratic, [1.0], learning_rate=eta, batch_size=size, steps=6)
        yield f"{name}: loss after 6 steps", cloud.expected_loss(quadratic)[-1], losses[-1]
    growth = cloud.expected_loss(quadratic)
    yield stated("loss after 6 steps over loss before", 13_000, growth[-1] / growth[0], 0.03)


# -------------------------------------------------------------- what the noise is said to do
@check("Monte Carlo")
def sharpness_by_random_probes() -> Rows:
    """Trace of a network's Hessian against z^T H z for random signs z, from products with vectors alone."""
    from lrbs.lab import TanhNetwork, digits, train

    data, network = digits(centred=True)[0].take(np.arange(100)), TanhNetwork(64, 4, 10)
    start = network.initial_weights(0)
    weights = train(network, start, data, learning_rate=0.5, batch_size=20, steps=[0, 200], rng=13)
    signs = np.random.default_rng(14).choice((-1.0, 1.0), (network.size, 300))
    for name, point in zip(("at the start", "after 200 steps"), weights, strict=True):
        products = network.hessian_vector_product(point, data, signs)
        exact = laws.sharpness(Dense(network.hessian(point, data)))
        yield f"tr H {name}", exact, np.sum(signs * products, axis=0)


@check("Monte Carlo", where="first of every 25 steps with a training loss below 0.05")
def generalisation_gap_on_digits() -> Rows:
    """Networks trained on 200 digits at learning rate 1, compared where they fit their data equally well.

    At B = 4 the minima are flatter, as is said of them, and the gap is larger, which is not.
    """
    cold, warm, hot = (trained_networks(batch_size) for batch_size in (64, 16, 4))
    both = np.hypot(*(runs.gap.std(ddof=1) / np.sqrt(runs.gap.size) for runs in (cold, warm)))
    yield "gap at B = 16 by that at B = 64", cold.gap.mean(), (warm.gap.mean(), both)
    yield stated("gap at B = 64", 0.22, cold.gap.mean(), 0.1)
    yield stated("gap at B = 4", 0.31, hot.gap.mean(), 0.15)
    yield stated("tr H at B = 64", 3.0, cold.sharpness.mean(), 0.15)
    yield stated("tr H at B = 4", 1.3, hot.sharpness.mean(), 0.25)


# ------------------------------------------------------------------------- steps of second order
@check("Monte Carlo")
def newton_increments() -> Rows:
    """Sampled Newton steps, and their best learning rate by a search over the simulated loss."""
    model = dense_model(size=4, seed=1)
    inverse = np.linalg.inv(model.hessian.dense())
    rule = Preconditioned(inverse)
    covariance = laws.newton_covariance(model, 8, 0.3).dense()
    noise = -0.3 * (batch_means(model, 8, 10_000, seed=17) - model.gradient) @ inverse
    scale = laws.newton_noise_scale(model)
    yield "variance", covariance[0, 0], noise[:, 0] ** 2
    yield "covariance", covariance[0, 1], noise[:, 0] * noise[:, 1]
    yield near("limit of η*", 1.0, expected_step(model, rule, 1e12).optimal_lr, tolerance=1e-6)
    for share in (0.2, 1.0):
        found, error = minimised_loss(model, rule, share * scale, samples=10_000, seed=18)
        law = float(laws.saturation(share * scale, 1.0, scale))
        yield f"η* at B = {share:g} B_Newton", law, (found, error)


@check("Monte Carlo")
def natural_gradient_law() -> Rows:
    """With a Fisher matrix that is known, the law of a fixed preconditioner holds."""
    model, fisher = fisher_model()
    rule = Preconditioned(np.linalg.inv(fisher))
    batch = batch_means(model, 5, 1, seed=19)[0]
    step = laws.natural_gradient_step(np.ones(8), batch, fisher, 0.2)
    yield "w_1 after a step", step[0], (1 - 0.2 * rule(batch[None]))[0]
    for batch_size in (2.0, 20.0):
        found, error = minimised_loss(model, rule, batch_size, samples=10_000, seed=20)
        law = float(expected_step(model, rule, batch_size).optimal_lr)
        yield f"η* at B = {batch_size:g}", law, (found, error)


@check("approximation", where="B = 16, eight parameters")
def fisher_from_the_batch() -> Rows:
    """F from the very batch that it preconditions: the law of a fixed F fails at small batches."""
    model, fisher = fisher_model()
    rule = Preconditioned(np.linalg.inv(fisher))
    H = model.hessian.dense()
    for batch_size, off in ((16, 1.13), (32, 0.30), (128, 0.019)):
        samples = draw_gradients(model, 1.0, (160_000 // batch_size, batch_size), 21)
        own = np.einsum("rbi,rbj->rij", samples, samples) / batch_size
        phi = np.linalg.solve(own, samples.mean(axis=1)[..., None])[..., 0]
        measured = optimal_lr((phi @ model.gradient).mean(), np.einsum("ri,ij,rj->r", phi, H, phi).mean())
        law = expected_step(model, rule, batch_size).optimal_lr
        yield missed(f"η*, B = {batch_size}", law, measured, off, 0.1)


# ------------------------------------------------------------------------- errors in the sources
@check("Monte Carlo")
def sampling_without_replacement() -> Rows:
    """Variance of means of 300 out of 1000 numbers, with and without putting them back."""
    rng = np.random.default_rng(23)
    population = rng.exponential(size=1000)
    variance = population.var()
    without = rng.random((3000, 1000)).argpartition(300, axis=1)[:, :300]
    back = rng.integers(1000, size=(3000, 300))
    for name, places, factor in (("with", back, 1.0), ("without", without, (1000 - 300) / 999)):
        squares = (population[places].mean(axis=1) - population.mean()) ** 2
        yield f"{name} replacement: variance B/Σ", factor, squares * 300 / variance


@check(
    "approximation",
    where="slope 1/2 against that of the scalar law for one step at B = B_simple",
    absolute=True,
)
def learning_rate_exponents() -> Rows:
    """Local slopes d ln eta*/d ln B: alpha for the conjectured law, and Adam's, which turns negative."""
    model = LocalModel([1.0, 2.0], [3.0, 5.0], [1.0, 4.0])
    scale = model.simple_noise_scale

    def slope(ratio: float) -> float:
        sizes = ratio * scale * np.exp([-1e-4, 1e-4])
        rates = expected_step(model, Adam(beta1=0.9), sizes, scalar_mean_field).optimal_lr
        return float(np.diff(np.log(rates))[0] / 2e-4)

    small = 1e-6 * np.exp([-1e-4, 1e-4])
    conjecture = np.diff(np.log((1 + 1 / small) ** -0.75))[0] / 2e-4
    yield stated("(1 + B_noise/B)^-0.75: slope at small B", 0.75, conjecture, 1e-5)
    for ratio, figure in ((0.001, 0.48), (0.01, 0.35), (0.0588, 0.0), (0.1, -0.11), (1.0, -0.20)):
        yield stated(f"Adam, B = {ratio:g} B_simple", figure, slope(ratio), 0.006, absolute=True)
    yield missed("square root at B_simple: slope", 0.5, slope(1.0), 0.70, 0.01, absolute=True)


@check("Monte Carlo")
def no_normal_noise_needed() -> Rows:
    """SGD's best learning rate by a search over losses under normal and under skewed sample noise."""
    model = dense_model()
    rule = SGD()
    law = float(expected_step(model, rule, 4.0).optimal_lr)
    for name, updates in (
        ("normal", draw_gradients(model, 4.0, (20_000,), 24)),
        ("exponential", batch_means(model, 4, 20_000, seed=25)),
    ):
        slope = updates @ model.gradient
        bend = np.einsum("ri,ij,rj->r", updates, model.hessian.dense(), updates)
        yield f"{name}: curvature", expected_step(model, rule, 4.0).curvature, bend
        found = float(optimal_lr(slope.mean(), bend.mean()))
        error = float(np.std(slope - found * bend, ddof=1) / bend.mean() / np.sqrt(len(bend)))
        yield f"{name}: η*", law, (found, error)
