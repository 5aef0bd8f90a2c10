"""Checks of the chapter on measuring the noise scale: bias, coverage, readings of logs, other norms."""

import numpy as np

from lrbs import SGD, LocalModel, SignSGD, exact
from lrbs.checks.evidence import Rows, check, holds, missed, stated
from lrbs.checks.problems import dense_model, unequal_signals
from lrbs.laws.averaging import ema_noise_factor
from lrbs.laws.sign import mean_field_sign
from lrbs.laws.update_rms import momentum_norm, signal_seen_by_rms
from lrbs.noise_scale.batch_sizes import noise_scale_from_batch_sizes
from lrbs.noise_scale.estimate import NoiseScaleEstimate, spread
from lrbs.noise_scale.gradients import noise_scale_from_workers
from lrbs.noise_scale.logs import noise_scale_from_momentum, noise_scale_from_update_rms
from lrbs.noise_scale.norms import L1, Euclidean, Nuclear, sign_alignment_floor
from lrbs.noise_scale.running import RunningNoiseScale, two_batch_moments
from lrbs.noise_scale.samples import noise_scale_from_samples
from lrbs.operators import Diagonal
from lrbs.simulate import draw_gradients


@check("Monte Carlo")
def moments_are_unbiased() -> Rows:
    """Both estimates of tr(Sigma) and |g|^2, from very few gradients, averaged over many trials."""
    model = dense_model(6, seed=80)
    trace, square = model.covariance.trace(), model.squared_gradient
    samples = draw_gradients(model, 1, (4000, 5), 81)
    singles = [noise_scale_from_samples(few).trace for few in samples]
    norm = Euclidean()
    squares = [norm.scale(few.mean(axis=0), norm.square(few - few.mean(axis=0)) / 4, 5)[1] for few in samples]
    parts = draw_gradients(model, 4, (4000, 3), 82)  # three small batches make the big one
    small, big = np.linalg.norm(parts[:, 0], axis=-1), np.linalg.norm(parts.mean(axis=1), axis=-1)
    from_two = two_batch_moments(small, big, 4, 12)
    in_sums = two_batch_moments(4 * small, 12 * big, 4, 12, reduction="sum")
    taken_for_means = two_batch_moments(4 * small, 12 * big, 4, 12)
    yield "5 samples: tr Σ", trace, singles
    yield "5 samples: ‖g‖²", square, squares
    yield "B = 4, 12: tr Σ", trace, from_two[0]
    yield "B = 4, 12: ‖g‖²", square, from_two[1]
    yield "sums, said to be: ‖g‖²", in_sums[1].mean(), from_two[1].mean()
    yield holds("sums taken for means: tr Σ < 0", taken_for_means[0].mean() < 0)


def unit_model(trace: float) -> LocalModel:
    """Thirty coordinates alike, |g| = 1."""
    return LocalModel(np.full(30, 1 / np.sqrt(30)), np.full(30, trace / 30), np.ones(30))


def estimates(true: float, signal: float, parts: int, trials: int, seed: int) -> list[NoiseScaleEstimate]:
    """Estimates from normal parts: tr(Sigma) known to a tenth, |g|^2 = 1 to 1/signal, correlation -1/2."""
    rng = np.random.default_rng(seed)
    scatter = np.sqrt(parts) * np.array([[0.1 * true, 0.0], [-0.5 / signal, np.sqrt(0.75) / signal]])
    pairs = np.array([true, 1.0]) + rng.standard_normal((trials, parts, 2)) @ scatter.T
    return [spread(trial, "samples") for trial in pairs]


def coverage(sample: list[NoiseScaleEstimate], true: float) -> tuple[float, float]:
    """Share of the 95 % intervals that hold the truth: Fieller's, and estimate ± 1.96 standard errors."""
    resolved = [one for one in sample if one.squared_gradient > 0]
    inside = [low <= true <= high for low, high in (one.interval() for one in sample)]
    near = [abs(one.point_estimate - true) <= 1.96 * one.simple_noise_scale_se for one in resolved]
    return float(np.mean(inside)), sum(near) / len(sample)


@check("Monte Carlo")
def coverage_of_the_interval() -> Rows:
    """How often the 95 % interval holds the truth, from clear signals to hardly any; and a symmetric one."""
    trials = 1500
    error = np.sqrt(0.95 * 0.05 / trials)
    for signal, figure in ((10.0, 0.92), (2.0, 0.85), (0.5, 0.445)):
        held, symmetric = coverage(estimates(100.0, signal, 10, trials, 83), 100.0)
        yield f"‖g‖² at {signal:g} errors", 0.95, (held, error)
        yield stated(f"±1.96 s.e. at {signal:g} errors", figure, symmetric, 0.05)


@check("approximation", where="coverage over 0.95, single steps", absolute=True)
def coverage_where_noise_dominates() -> Rows:
    """One step of 16 workers, B_simple 1.25 and 125 times the batch: the jackknife covers too much."""
    over = 0.0
    for true, figure in ((160.0, 0.97), (16000.0, 0.99)):
        steps = draw_gradients(unit_model(true), 8, (500, 16), 84)
        held, _ = coverage([noise_scale_from_workers(step, 8) for step in steps], true)
        yield stated(f"covered, B_simple/(W b) = {true / 128:g}", figure, held, 0.02)
        over = held - 0.95
    return over


@check("Monte Carlo")
def errors_of_one_pass() -> Rows:
    """Claimed errors of a stream against the scatter of many: with a clear gradient, and with none."""
    rng = np.random.default_rng(95)
    for name, length, factor in (("clear", 3.0, 1.0), ("no", 0.0, (8 / 3) ** 0.5)):
        gradient = np.full(40, length / np.sqrt(40))
        streams = gradient + rng.standard_normal((400, 100, 40)) * np.linspace(0.5, 1.5, 40)
        found = [noise_scale_from_samples(stream) for stream in streams]
        for part, symbol, expected in (("trace", "tr Σ", 1.0), ("squared_gradient", "‖g‖²", factor)):
            scatter = np.std([getattr(one, part) for one in found], ddof=1)
            claimed = np.sqrt(np.mean([getattr(one, f"{part}_se") ** 2 for one in found]))
            # A deviation from 400 numbers is known to one part in sqrt(800); the claim, a little better.
            yield f"{symbol}, {name} gradient", expected, (claimed / scatter, 0.04 * expected)


@check("Monte Carlo")
def line_through_batch_sizes() -> Rows:
    """Five batch sizes, twelve gradients each: both numbers, coverage, and how often a line is doubted."""
    model, sizes = unit_model(300.0), np.array([8, 32, 128, 512, 2048])
    squares = [np.sum(draw_gradients(model, B, (500, 12), 96 + k) ** 2, axis=-1) for k, B in enumerate(sizes)]
    norms = np.sqrt(np.stack(squares, axis=-1))
    found = [noise_scale_from_batch_sizes(trial.ravel(), np.tile(sizes, 12)) for trial in norms]
    yield "tr Σ", 300.0, [one.trace for one in found]
    yield "‖g‖²", 1.0, [one.squared_gradient for one in found]
    yield "95 % intervals that hold it", 0.95, (coverage(found, 300.0)[0], 0.01)
    yield "p below 0.05, a straight line", 0.05, (np.mean([one.p_value < 0.05 for one in found]), 0.01)
    bent = [noise_scale_from_batch_sizes(trial.ravel() ** 1.5, np.tile(sizes, 12)) for trial in norms[:50]]
    yield holds("a bent one is doubted", all(one.p_value < 0.01 for one in bent))


@check("Monte Carlo")
def running_averages() -> Rows:
    """Against explicit weights; the claimed error against scatter; and what a mean of ratios gives."""
    decay, true = 0.9, 50.0
    rng = np.random.default_rng(85)
    pairs = np.array([true, 1.0]) + rng.standard_normal((600, 60, 2)) * np.array([0.2 * true, 0.45])
    weights = decay ** np.arange(59, -1, -1.0)
    last = []
    for trial in pairs:
        running = RunningNoiseScale(decay)
        for pair in trial:
            running.add(*pair)
        last.append(running.estimate)
    by_hand = weights @ pairs[0] / weights.sum()
    centred = pairs[0] - by_hand
    effective = weights.sum() ** 2 / np.sum(weights**2)
    variance = (weights @ centred**2) / weights.sum() / (effective - 1)
    found = np.var([one.squared_gradient for one in last], ddof=1)
    claimed = np.mean([one.squared_gradient_se**2 for one in last])
    traces, squares = pairs[pairs[..., 1] > 0.2].T
    yield "tr Σ, by weights", last[0].trace, by_hand[0]
    yield "its variance, by weights", last[0].covariance[0, 0], variance[0]
    yield "steps that it counts for", effective - 1, last[0].freedom
    yield "‖g‖²", 1.0, [one.squared_gradient for one in last]
    yield stated("claimed over true variance", 1.0, claimed / found, 0.15)
    yield stated("mean of ratios over the ratio, ‖g‖² > 0.2", 1.19, (traces / squares).mean() / true, 0.05)


@check("Monte Carlo")
def readings_of_a_log() -> Rows:
    """Both readings of one simulated log whose coordinates differ in their ratio of signal to noise."""
    mean, deviation = unequal_signals(0.5, 0.1, size=200)
    signal, noise = float(mean @ mean), float(deviation @ deviation)
    rng, beta1, beta2, batch_size = np.random.default_rng(86), 0.9, 0.999, 32
    m, v = mean + deviation / 4 * rng.standard_normal(200), mean**2 + deviation**2
    log = []
    for _ in range(1500):
        gradient = mean + deviation * rng.standard_normal(200)
        m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2
        log.append([m @ m, gradient @ gradient, np.mean(m**2 / v)])
    norms = np.sqrt(np.array(log)).T
    by_norms = noise_scale_from_momentum(norms[0], norms[1], beta1, batch_size)
    by_rms = noise_scale_from_update_rms(norms[2], beta1, batch_size, beta2=beta2)
    seen = batch_size / signal_seen_by_rms((mean / deviation) ** 2)
    steady = np.full((2, 900), [[momentum_norm(3.0, 4.0, beta1)], [5.0]])
    exactly = noise_scale_from_momentum(steady[0], steady[1], beta1, batch_size)
    yield "two norms: tr Σ, exact", exactly.trace, 16.0 * batch_size
    yield "two norms: ‖g‖², exact", exactly.squared_gradient, 9.0
    yield "two norms: tr Σ", noise * batch_size, (by_norms.trace, by_norms.trace_se)
    yield "two norms: ‖g‖²", signal, (by_norms.squared_gradient, by_norms.squared_gradient_se)
    yield "update RMS: the average it sees", seen, (by_rms.simple_noise_scale, by_rms.simple_noise_scale_se)
    yield stated("that average over B_simple", 0.45, seen * signal / noise / batch_size, 0.05)
    yield "noise left in m", ema_noise_factor(beta1), 1 / 19


# ------------------------------------------------------------------------------------------ other norms
@check("approximation", where="share of ‖g‖₁, normal noise, equal ratios, B near 0.6 of the scale")
def l1_scale_against_the_mean_field() -> Rows:
    """Equal ratios: all scales are one. Unequal ones: what a bound, the mean field and normal signs keep."""
    equal = L1().scale(np.array([1.0, -2.0]), np.array([9.0, 36.0]), np.inf)
    rng = np.random.default_rng(87)
    g = rng.standard_normal(400)
    sigma = 3 * np.exp(rng.standard_normal(400))
    scale = np.divide(*L1().scale(g, sigma**2, np.inf))
    B = np.geomspace(0.01, 1e4, 200) * scale
    kept = np.array([np.abs(g) @ np.abs(mean_field_sign(g, sigma / np.sqrt(b))) for b in B]) / np.abs(g).sum()
    needed = float(np.exp(np.interp(0.95, kept, np.log(B))))
    B_touch = 9.0 / ((1 + np.sqrt(5)) / 2)
    ratio = np.geomspace(0.1, 10, 400)  # sigma / (|g| sqrt(B)), one for all
    normal = np.array([exact(SignSGD(), np.ones(1), Diagonal([r**2])).mean[0] for r in ratio])
    short = sign_alignment_floor(ratio**-2, 1.0) - normal
    yield "equal ratios: σ²/g²", equal[0] / equal[1], 9.0
    yield holds("mean field on or above the floor", (kept >= sign_alignment_floor(B, scale)).all())
    yield "where they touch", sign_alignment_floor(B_touch, 9.0), mean_field_sign(1.0, 3.0 / np.sqrt(B_touch))
    yield stated("B for 95 % of ‖g‖₁, over B_l1", 11.7, needed / scale, 0.02)
    yield stated("normal signs below the floor by", 0.055, short.max(), 0.01)
    return short.max()


@check("limit")
def nuclear_scale_in_two_limits() -> Rows:
    """Matrices of one row have the Euclidean scale; diagonal ones the l1 scale of their diagonal."""
    rng = np.random.default_rng(88)
    rows = rng.standard_normal((50, 7)) * np.arange(1, 8)
    mean = rows.mean(axis=0)
    one_row = Nuclear([(1, 7)])
    by_row = one_row.scale(mean, one_row.square(rows - mean) / 50, np.inf)
    euclidean = Euclidean().scale(mean, Euclidean().square(rows - mean) / 50, np.inf)
    diagonal, full = rows[:, :5] + 1, np.zeros((50, 5, 8))
    full[:, np.arange(5), np.arange(5)] = diagonal
    g, flat, matrix = diagonal.mean(axis=0), full.reshape(50, 40), Nuclear([(5, 8), (3,)])
    flat = np.concatenate([flat, rng.standard_normal((50, 3))], axis=1)  # a bias, which does not count
    deviations = flat - flat.mean(axis=0)
    by_matrix = matrix.scale(flat.mean(axis=0), matrix.square(deviations) / 50, np.inf)
    by_l1 = L1().scale(g, L1().square(diagonal - g) / 50, np.inf)
    yield "one row: noise", by_row[0], euclidean[0]
    yield "one row: signal", by_row[1], euclidean[1]
    yield "diagonal: noise", by_matrix[0], by_l1[0]
    yield "diagonal: signal", by_matrix[1], by_l1[1]


@check("approximation", where="40 samples, true scale 400", news=True)
def l1_scale_from_few_samples() -> Rows:
    """Where it breaks: n samples of a point whose l1 scale is 400 cannot show more than about 1.6 n."""
    rng = np.random.default_rng(89)
    g, true = np.ones(300), 400.0
    for n, off in ((40, -0.854), (400, -0.344), (4000, -0.02)):
        samples = g + np.sqrt(true) * rng.standard_normal((n, 300))
        estimate = noise_scale_from_samples(samples, norm=L1())
        yield missed(f"{n} samples", estimate.simple_noise_scale, true, off, 0.05)


@check("approximation", where="worker momenta at 0.9", news=True)
def gradient_averages() -> Rows:
    """Where it breaks: gradients that remember. Averages of a momentum fed as gradients look too quiet."""
    model = LocalModel(np.full(20, 0.2), np.full(20, 4.0), np.ones(20))
    workers = draw_gradients(model, 8, (60, 4, 120), 90)
    averaged = SGD(0.9)(workers)
    read, true = noise_scale_from_workers(averaged, 8).simple_noise_scale, model.simple_noise_scale
    off = float(ema_noise_factor(0.9)) - 1
    yield missed("momentum taken for gradients", read, true, off, 0.2)
