"""Checks of the chapter on schedules: beginning, end and batch of a run, and what it takes by the clock."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import brentq

from lrbs import SGD, LocalModel, SignSGD, expected_step, laws, measured_step
from lrbs.checks.evidence import Rows, check, missed, near, stated
from lrbs.checks.problems import dense_model, lowest, minimised_loss, quadratic_loss
from lrbs.checks.runs import sgd_to_target, slow_runs
from lrbs.noise_scale import noise_scale_from_workers, noise_scales
from lrbs.simulate import draw_gradients
from lrbs.tradeoff import fit_tradeoff, frugal_batch_size, steps, tradeoff_product
from lrbs.validation import Array


# ------------------------------------------------------------------------------------ the beginning
@check("Monte Carlo")
def first_step_on_digits() -> Rows:
    """Lengths of real first steps of a network, at three batch sizes and under the linear rule."""
    from lrbs.lab import TanhNetwork, batch_gradients, digits, local_model

    data = digits(centred=True)[0].take(np.arange(300))
    network = TanhNetwork(64, 8, 10)
    start = network.initial_weights(1)
    model = local_model(network, start, data, dense=False)
    squares = {}
    for batch_size in (4, 32, 256):
        gradients = batch_gradients(network, start, data, batch_size, 300, rng=2)
        squares[batch_size] = laws.update_length(0.1, gradients) ** 2
        formula = float(laws.rms_update_length(model, batch_size, 0.1)) ** 2
        yield f"squared length, η = 0.1, B = {batch_size}", formula, squares[batch_size]
    moved = start - 0.1 * gradients[0]
    yield "one step", laws.update_length(0.1, gradients[0]), np.linalg.norm(moved - start)
    rate = float(laws.linear_rule(0.1, 64))
    growth = float(laws.rms_update_length(model, 256, rate) / laws.rms_update_length(model, 4, 0.1))
    yield stated("linear rule, batch x 64: length times", 20.2, growth, 0.05)


@check("identity")
def warmup_values() -> Rows:
    """Against interpolation between (0, 0), (T, target) and what follows."""
    places = np.array([0.0, 1.0, 37.0, 100.0, 250.0])
    expected = np.interp(places, [0, 100, 1000], [0, 0.3, 0.3])
    for t, value in zip(places, expected, strict=True):
        yield near(f"t = {t:g} of 100", laws.linear_warmup(t, 100, 0.3), value, absolute=True)


@check(
    "approximation",
    where="as an estimate, pure noise, t = T = 100; as a bound on the mean it holds, reached one way",
)
def warmup_displacement_bound() -> Rows:
    """Sums of the schedule, and paths of gradients of length 1: all one way, and all ways."""
    total = 100
    rates = laws.linear_warmup(np.arange(total + 1), total, 1.0)
    sums = {first: float(rates[first : first + total].sum()) for first in (0, 1)}
    bound = float(laws.warmup_displacement(total, total, 1.0, 1.0))
    rng = np.random.default_rng(3)
    ways = rng.standard_normal((400, total, 40))
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    path = np.cumsum(rates[:total, None] * ways, axis=1)
    squares = np.sum(path**2, axis=-1)
    exact = np.cumsum(rates[:total] ** 2)
    slope = np.log(exact[total - 1] / exact[19]) / 2 / np.log(total / 20)
    over = [float(laws.warmup_weight(t, total, first=1) / (t**2 / (2 * total))) for t in (1, 10)]
    yield "sum from s = 0, t = T = 100", laws.warmup_weight(total, total), sums[0]
    yield "sum from s = 1", laws.warmup_weight(total, total, first=1), sums[1]
    yield near("one way: bound t²/(2T)", bound, sums[0], tolerance=0.011)
    yield stated("from s = 1, t = 1: times the bound", 2.0, over[0], 1e-9)
    yield stated("from s = 1, t = 10: times the bound", 1.1, over[1], 1e-9)
    yield "all ways: squared distance", exact[-1], squares[:, -1]
    yield stated("all ways: distance", 5.73, np.sqrt(exact[-1]), 1e-3)
    yield stated("all ways: slope from t = 20 to 100", 1.52, slope, 0.003)
    yield missed("bound, all ways", bound, np.sqrt(exact[-1]), 7.73, 0.01)


@check("approximation", where="against the sum from s = 0, as the source counts")
def warmup_as_long_as_one_step() -> Rows:
    """The T at which the bound is one step, by a root; the exact sums say 3 or 1."""
    root = brentq(lambda T: float(laws.warmup_displacement(T, T, 1.0, 1.0)) - 1, 0.1, 50)
    from_0, from_1 = (brentq(lambda T, k=k: float(laws.warmup_weight(T, T, k)) - 1, 0.5, 50) for k in (0, 1))
    T = float(laws.matching_warmup())
    yield "T from t²/(2T)", T, root
    yield missed("T from the sum, s from 0", T, from_0, -1 / 3)
    yield missed("T from the sum, s from 1", T, from_1, 1.0)
    yield stated("full steps in a warm-up of 1000", 500.0, 1000 / T, 1e-9)
    return abs(T / from_0 - 1)


# ------------------------------------------------------------------------------------------ the end
@check("identity")
def cosine_values() -> Rows:
    """Against the squared cosine of half the angle, and its mean along the run."""
    t = np.array([0.0, 250.0, 500.0, 900.0, 1000.0])
    other = 0.01 + 0.09 * np.cos(np.pi * t / 2000) ** 2
    fine = laws.cosine((np.arange(10_000) + 0.5) / 10, 1000, 0.1, 0.01)
    for a, b in zip(t, other, strict=True):
        yield f"t = {a:g} of 1000", laws.cosine(a, 1000, 0.1, 0.01), b
    yield "mean over the run", 0.055, fine.mean()


@check(
    "published number",
    where="variances apart after 20 steps at r = 1.05; 1 to 3 % where r - 1 is a hundredth of ηλ",
)
def growing_batch_against_decay() -> Rows:
    """One eta/B at every step, by growing B or by shrinking eta: the second freezes, its sum is finite."""
    quadratic = laws.Quadratic(curvature=[1.0], variance=[1.0])
    batches, slow = (laws.growing_batch_size(np.arange(400), 1.0, r) for r in (1.05, 1.001))
    growth, decay, *slowly = (
        laws.sgd_cloud(quadratic, [1.0], learning_rate=rate, batch_size=size, steps=400)
        for sizes in (batches, slow)
        for rate, size in ((0.1, sizes), (0.1 / sizes, 1.0))
    )
    ahead = [cloud.variance[-1, 0] for cloud in slowly]
    yield "B_50, from B_0 = 1", 1.05**50, batches[50]
    yield stated("shrinking η: bias left", 0.116, decay.mean[-1, 0], 0.005)
    yield stated("shrinking η: variance left", 0.0115, decay.variance[-1, 0], 0.005)
    yield near("growing B: bias left", 0.0, growth.mean[-1, 0], tolerance=1e-9, absolute=True)
    yield near("growing B: variance left", 0.0, growth.variance[-1, 0], tolerance=1e-9, absolute=True)
    yield stated("r = 1.001, variance by B over by η", 1.0, ahead[0] / ahead[1], 0.03)
    return abs(growth.variance[20, 0] / decay.variance[20, 0] - 1)


@check("quadrature")
def noise_aware_lr_along_a_run() -> Rows:
    """Along a descent on a quadratic: the law's learning rate against a minimisation of the expected loss."""
    quadratic = laws.Quadratic(curvature=np.geomspace(1, 10, 12), variance=np.full(12, 0.5))
    path = laws.sgd_cloud(quadratic, np.ones(12), learning_rate=0.1, batch_size=1, steps=6).mean[[0, 2, 6]]
    models = [quadratic.at(point) for point in path]
    scales = noise_scales(models)
    rates = laws.noise_aware_lr(8.0, [model.max_lr for model in models], scales)
    for place, point, rate in zip((0, 2, 6), path, rates, strict=True):

        def loss(eta: float, point: Array = point) -> float:
            cloud = laws.sgd_cloud(quadratic, point, learning_rate=eta, batch_size=8, steps=1)
            return float(cloud.expected_loss(quadratic)[-1])

        found, _ = lowest(loss, 1e-4, 2.0, 1e-10)
        yield near(f"η* after {place} steps", rate, found, tolerance=1e-5)
    yield stated("B_noise at the end over that at first", 717.0, scales[-1] / scales[0], 0.05)


# ------------------------------------------------------------------------------------------ the batch
@check("Monte Carlo")
def noise_scale_along_training() -> Rows:
    """B_noise of a network at three moments of its training, against the curvature of real batches."""
    from lrbs.lab import SoftmaxRegression, batch_gradients, digits, local_model, train

    network, data = SoftmaxRegression(64, 10), digits(centred=True)[0].take(np.arange(150))
    start, moments = network.initial_weights(4), (0, 30, 300)
    path = train(network, start, data, learning_rate=0.5, batch_size=32, steps=moments, rng=5)
    models = [local_model(network, point, data, dense=False) for point in path]
    scales = noise_scales(models)
    for moment, point, model, scale in zip(moments, path, models, scales, strict=True):
        gradients = batch_gradients(network, point, data, 8, 200, rng=6)
        seen = measured_step(gradients, SGD(), model.hessian, model.gradient)
        unit = 8 / model.gradient_curvature
        found = seen.curvature * unit - 8, seen.curvature_se * unit
        yield f"B_noise after {moment} steps", scale, found
    squares = np.array([model.squared_gradient for model in models])
    yield stated("B_noise, last over first", 39.0, scales[-1] / scales[0], 0.1)
    yield stated("|g|², first over last", 220.0, squares[0] / squares[-1], 0.1)


@check(
    "approximation",
    where="samples at 2.2 S_min steps, against no difference to a fixed batch by lrbs.batch-power",
)
def adaptive_batch_against_fixed() -> Rows:
    """Whole runs of SGD: samples needed by each way to choose the batch, where all take the same steps."""
    S_min, _, path = sgd_to_target(lambda scale: np.inf, 1, 7)
    mean = path.mean()

    def samples(way: Callable[..., Array]) -> float:
        runs = (sgd_to_target(partial(way, k=k), 24, 8)[:2] for k in (0.3, 0.6, 1.2))
        places, values = np.array(sorted([np.log(S.mean()), np.log(E.mean())] for S, E in runs)).T
        return float(np.exp(np.interp(np.log(2.2 * S_min[0]), places, values)))

    fixed = samples(lambda scale, k: np.full_like(scale, k * mean))
    share = samples(lambda scale, k: laws.adaptive_batch_size(scale, 1e6, k)) / fixed
    root = samples(lambda scale, k: frugal_batch_size(scale, k**2 * mean)) / fixed
    capped = laws.adaptive_batch_size([10.0, 100.0, 1000.0], max_batch_size=64, fraction=0.5)
    yield "min(64, 0.5 x 100)", capped[1], 50.0
    yield "min(64, 0.5 x 1000)", capped[2], 64.0
    yield stated("share of B_noise: samples over fixed", 0.925, share, 0.03)
    yield stated("root of B_noise: samples over fixed", 0.875, root, 0.03)
    return abs(1 - share)


@check("limit")
def tradeoff_of_batch_powers() -> Rows:
    """Steps and samples counted along a run whose noise scale grows a hundredfold, by three rules."""
    profile = np.geomspace(20, 2000, 4001)
    for name, power, factor in (
        ("fixed", 0.0, 150.0),
        ("share of B_noise", 1.0, 0.5),
        ("root of B_noise", 0.5, 12.0),
    ):
        S, E = slow_runs(power, factor, profile)
        product = tradeoff_product(profile, power)
        yield near(f"{name}: product", product, (S - 1) * (E - 1), tolerance=0.02)
    integral = np.trapezoid(np.sqrt(profile)) ** 2 / (np.trapezoid(profile) * np.trapezoid(np.ones(4001)))
    yield near("mean root squared, over mean", product, integral, tolerance=1e-3)
    best, _ = lowest(lambda p: tradeoff_product(profile, p), 0, 1, 1e-8)
    yield stated("power of the least product", 0.5, best, 1e-5)


@check("quadrature")
def best_batch_at_a_price() -> Rows:
    """Minimum of (B + r)(1 + B_noise/B) found numerically."""
    for price, scale in ((10.0, 1000.0), (1000.0, 1000.0), (3e5, 40.0)):

        def cost(log_size: float, price: float = price, scale: float = scale) -> Array:
            return (np.exp(log_size) + price) * steps(np.exp(log_size), 1, scale)

        found, _ = lowest(cost, -3, 20)
        name = f"B at r = {price:g}, B_noise = {scale:g}"
        yield near(name, frugal_batch_size(scale, price), np.exp(found), tolerance=1e-5)


# --------------------------------------------------------------------------- measuring the noise scale
@check("Monte Carlo")
def tradeoff_fitted_to_runs() -> Rows:
    """Fits to runs with a known law and 5 % scatter: centre, claimed errors, coverage of the intervals."""
    rng = np.random.default_rng(9)
    sizes = np.geomspace(8, 8192, 11)
    truth = {"min_steps": 500.0, "min_examples": 128_000.0, "critical_batch_size": 256.0}
    curve = steps(sizes, 500, 256)
    fits = [fit_tradeoff(sizes, curve * np.exp(0.05 * rng.standard_normal(11))) for _ in range(150)]
    for name, value in truth.items():
        logs = np.log([getattr(fit, name) for fit in fits])
        yield f"ln {name}", np.log(value), logs
    inside = [low < 256 < high for low, high in (fit.interval()["critical_batch_size"] for fit in fits)]
    claimed = np.mean([(fit.critical_batch_size_se / fit.critical_batch_size) ** 2 for fit in fits])
    yield stated("claimed over true variance of ln B", 1.0, claimed / logs.var(ddof=1), 0.4)
    yield "runs inside their 95 % interval", 0.95, np.array(inside, dtype=float)


@check(
    "approximation",
    where="as the source prints it, without the factor b; with both corrections none but chance",
)
def noise_scale_of_workers() -> Rows:
    """16 workers of 32 samples, B_simple = 48.5: as printed, with the factor b, and without the bias."""
    W, b, size, true = 16, 32, 30, 48.5
    gradient = np.full(size, 1 / np.sqrt(size))
    model = LocalModel(gradient, np.linspace(0.5, 1.5, size) * true / size, np.ones(size))
    workers = draw_gradients(model, b, (1500, W), 10)
    means = workers.mean(axis=1)
    spread = np.sum(workers.var(axis=1, ddof=1), axis=-1)
    squares = np.sum(means**2, axis=-1)
    estimate = noise_scale_from_workers(workers, b)
    single = [noise_scale_from_workers(step, b) for step in workers[:100]]
    claimed = np.mean([one.squared_gradient_se**2 for one in single])
    found = np.var([one.squared_gradient for one in single], ddof=1)
    printed = spread.mean() / squares.mean()
    yield "both corrections", true, (estimate.simple_noise_scale, estimate.simple_noise_scale_se)
    yield missed("as printed", printed, true, -0.9716, 0.01)
    yield missed("with the factor b alone", b * printed, true, -0.086, 0.01)
    yield stated("one step: claimed over true variance", 1.0, claimed / found, 0.5)


@check("approximation", where="B_simple 1.8 times too small, B₀ = 2, B = 2000")
def search_at_a_small_batch() -> Rows:
    """A search at B_0 = 2 and B_noise predict eta* at other batches; B_simple in its place is worse."""
    model = dense_model()
    alike = LocalModel(model.gradient, model.covariance, np.full(model.size, 2.0))
    found, error = minimised_loss(alike, SGD(), 2.0, samples=20_000, seed=11)
    limit = float(laws.max_lr_from_search(2.0, found, alike.simple_noise_scale))
    yield "H = 2 I: η_max", alike.max_lr, (limit, limit * error / found)
    true = expected_step(model, SGD(), np.array([2.0, 20.0, 2000.0])).optimal_lr
    predicted = {}
    for name, scale in (("B_noise", model.noise_scale), ("B_simple", model.simple_noise_scale)):
        limit = float(laws.max_lr_from_search(2.0, true[0], scale))
        predicted[name] = laws.saturation(np.array([20.0, 2000.0]), limit, scale)
    yield "H dense, B_noise: η* at 2000", predicted["B_noise"][1], true[2]
    yield missed("H dense, B_simple: η* at 20", predicted["B_simple"][0], true[1], -0.238, 0.01)
    yield missed("H dense, B_simple: η* at 2000", predicted["B_simple"][1], true[2], -0.39, 0.01)


@check("identity")
def progress_kept_by_caution() -> Rows:
    """Loss decrease at a share of eta*, simulated, for SGD and for a rule that is not linear."""
    model = dense_model()
    for rule in (SGD(), SignSGD()):
        updates = rule(draw_gradients(model, 4.0, (20_000, 1), 12))
        slope = (updates @ model.gradient).mean()
        bend = np.einsum("ri,ij,rj->r", updates, model.hessian.dense(), updates).mean()
        best = slope**2 / (2 * bend)
        for share in (0.5, 0.8):
            eta = float(laws.cautious_lr(slope / bend, share))
            decrease = -float(quadratic_loss(model, -eta * updates).mean())
            name = f"{type(rule).__name__}, α = {share}"
            yield name, laws.kept_progress(share), decrease / best
    yield stated("progress at α = 0.5", 0.75, laws.kept_progress(0.5), 1e-9)
    yield "as bold as 1.5 η*", 0.75, laws.kept_progress(1.5)


# ------------------------------------------------------------------------------------- by the clock
@check("identity")
def step_time_by_rounds() -> Rows:
    """Workers that add up in pairs need log2 W rounds until each has the sum: counted."""
    cluster = laws.Cluster(compute_time=3.0, communication_time=0.7, local_batch_size=32)
    for workers in (1, 8, 64):
        numbers = np.random.default_rng(13).standard_normal(workers)
        total, rounds = numbers.sum(), 0
        while not np.allclose(numbers, total):
            numbers = numbers + numbers[np.arange(workers) ^ (1 << rounds)]
            rounds += 1
        counted = 3.0 + rounds * 0.7 * np.log(2)
        yield f"W = {workers}: {rounds} rounds", cluster.step_time(32 * workers), counted


@check("quadrature")
def fastest_batch() -> Rows:
    """The Lambert function against a search over all batch sizes, with an inner minimum and without."""
    for ratio, scale in ((10.0, 100.0), (2.0, 30.0), (0.5, 200.0), (0.01, 10.0), (0.5, 3.0)):
        cluster = laws.Cluster(ratio, 1.0, 1.0)
        sizes = np.geomspace(1, 1e6, 4001)
        best = sizes[np.argmin(cluster.total_time(sizes, 1.0, scale))]
        formula = cluster.fastest_batch_size(scale)
        yield near(f"c₁/k = {ratio:g}, B_noise/b = {scale:g}", formula, best, tolerance=0.003)
    slow = laws.Cluster(0.01, 1.0, 1.0)
    _, inner = lowest(lambda x: slow.total_time(x, 1, 10.0), 5, 500, 1e-5)
    yield stated("c₁/k = 0.01: time of the inner minimum", 4.51, inner, 0.002)
    yield stated("c₁/k = 0.01: time of one worker", 0.11, slow.total_time(1, 1, 10.0), 1e-9)


@check("published number")
def efficiency_is_not_speed() -> Rows:
    """c_1/k = 10, B_noise/b = 100: a batch stopped at efficiency 0.9, and the fastest one."""
    cluster = laws.Cluster(10.0, 1.0, 1.0)
    stop = cluster.batch_size_at_efficiency(0.9)
    best = cluster.fastest_batch_size(100.0)
    yield stated("efficiency there", 0.9, cluster.efficiency(stop), 1e-9)
    yield stated("workers at efficiency 0.9", 3.04, stop, 0.002)
    yield stated("time there, in k S_min", 377.0, cluster.total_time(stop, 1, 100), 0.002)
    yield stated("fastest batch, in B_noise", 16.4, best / 100, 0.003)
    yield stated("its efficiency", 0.57, cluster.efficiency(best), 0.01)
    yield stated("its time, in k S_min", 18.5, cluster.total_time(best, 1, 100), 0.003)
