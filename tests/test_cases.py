"""Inputs that people met in public, with numbers of our own: the right value, or a refusal that is true."""

import numpy as np
import pytest

import lrbs
from lrbs.laws import fit_saturation, power_saturation
from lrbs.noise_scale import noise_scale_from_batch_sizes

SIZES = np.array([32, 64, 128, 256, 512, 1024, 2048.0])


# ------------------------------------------------------------------------------------------ 1: curves
NO_RISE = "must rise with batch_size; a constant is not contradicted"
NO_SCATTER = "must rise with batch_size; that of these 7 points is (0.0003|1) throughout, without scatter"
NO_LEVEL = "must level off; a power of the batch size"
FALLS = r"must rise with batch_size; that of these 7 points falls, power -0\.{}.* no saturation to fit"
AGAIN = "must not fall again; that of these 7 points peaks near B = 3"
AT_FIRST = "must not fall at first; that of these 7 points is lowest near B = 2"
TOO_SHARP = r"exponent is not resolved .*lrbs.laws.fit_saturation\(\.\.\., exponent=1\)"
CURVES = {
    "scatter": np.array([1.2e-3, 2.1e-3, 2.5e-3, 2.6e-3, 2.4e-3, 2.6e-3, 3e-3]),
    "again": np.array([1e-3, 2e-3, 3e-3, 3.3e-3, 3e-3, 2.5e-3, 2e-3]),
    "at first": np.array([2e-3, 1.5e-3, 1e-3, 0.9e-3, 1e-3, 1.3e-3, 2.1e-3]),
    "falls": 1e-3 * (SIZES / 32) ** -0.26 * np.array([1.05, 0.93, 1.02, 1.04, 0.95, 1.03, 0.98]),
    "falls, then level": np.array([4e-3, 3e-3, 2e-3, 1.5e-3, 1.4e-3, 1.5e-3, 1.45e-3]),
    "flat": 3e-4 * np.array([1.05, 0.93, 1.02, 1.04, 0.95, 1.03, 0.98]),
    "constant": np.full(7, 3e-4),
    "one": np.ones(7),  # no logarithm of which has a last bit
    "power": 1e-4 * np.sqrt(SIZES),
}


@pytest.mark.parametrize(
    ("curve", "free", "fixed"),
    [
        ("scatter", TOO_SHARP, NO_LEVEL),
        ("again", AGAIN, AGAIN),
        ("at first", AT_FIRST, AT_FIRST),
        ("falls", FALLS.format(26), FALLS.format(26)),
        ("falls, then level", FALLS.format(25), FALLS.format(25)),
        ("flat", NO_RISE, NO_RISE),
        ("constant", NO_SCATTER, NO_SCATTER),
        ("one", NO_SCATTER, NO_SCATTER),
        ("power", NO_LEVEL, NO_LEVEL),
    ],
)
def test_curves_that_show_no_noise_scale_are_refused_with_the_cause(curve, free, fixed):
    """Whatever the last bits."""
    for nudge in (0.0, 1e-15, -1e-13):
        learning_rate = CURVES[curve] * (1 + nudge * np.arange(7))
        with pytest.raises(ValueError, match=free):
            lrbs.fit_power_saturation(SIZES, learning_rate)
        with pytest.raises(ValueError, match=fixed):
            fit_saturation(SIZES, learning_rate, exponent=0.5)


def test_what_a_fixed_exponent_resolves_has_an_interval():
    fit = fit_saturation(SIZES, CURVES["scatter"])
    low, high = fit.interval()["noise_scale"]
    assert (low, fit.noise_scale, high) == pytest.approx((17.9, 36.5, 61.9), rel=0.01)


def test_no_number_without_its_error_at_eight_per_cent_of_scatter(rng):
    """Of 40 curves with scale 300: a refusal, or an interval that holds it as often as it says."""
    held, refused = [], 0
    for _ in range(40):
        curve = power_saturation(SIZES, 1e-3, 300.0) * np.exp(0.08 * rng.standard_normal(7))
        try:
            low, high = lrbs.fit_power_saturation(SIZES, curve).interval()["noise_scale"]
        except ValueError:
            refused += 1
        else:
            held.append(low <= 300 <= high)
    assert 10 < refused < 30
    assert np.mean(held) >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(held))


# ------------------------------------------------------------------------------------------ 2 to 4: runs
@pytest.mark.parametrize("sizes", [[64] * 4, [64, 64, 65, 64]])
@pytest.mark.parametrize("error", [None, 0.02])
def test_one_batch_size_is_no_curve(sizes, error):
    with pytest.raises(ValueError, match="several sizes for a curve; got 4 runs at one, 64"):
        lrbs.fit_tradeoff(sizes, [1150, 1120, 1160, 1130], relative_error=error)


def stopped(seed, scatter=0.04, repeats=1):
    """Runs with a corner at 300, the longest stopped at 2500 steps."""
    sizes = np.repeat([16, 32, 64, 128, 256, 512, 1024.0], repeats)
    rng = np.random.default_rng(seed)
    steps = 200 * (1 + 300 / sizes) * np.exp(scatter * rng.standard_normal(sizes.size))
    return sizes, np.minimum(steps, 2500), steps < 2500


@pytest.mark.parametrize("error", [None, 0.04])
def test_a_run_stopped_at_its_budget_counts_as_at_least_so_many(error):
    sizes, steps, arrived = stopped(1)
    as_if = lrbs.fit_tradeoff(sizes, steps).critical_batch_size
    left_out = lrbs.fit_tradeoff(sizes[arrived], steps[arrived], relative_error=error)
    fit = lrbs.fit_tradeoff(sizes, steps, relative_error=error, arrived=arrived)
    assert as_if == pytest.approx(223, abs=1)
    assert fit.critical_batch_size == pytest.approx(308, abs=2)
    assert fit.critical_batch_size_se == pytest.approx(left_out.critical_batch_size_se, rel=0.05)
    assert np.isnan(fit.residuals).tolist() == (~arrived).tolist()
    assert fit.scatter == pytest.approx(left_out.scatter, rel=0.1)


def test_runs_that_did_not_arrive_do_not_bias_the_fit():
    """Stopped at the middle of their scatter, where leaving out those that had bad luck biases: 200 fits."""
    logs, naive, inside = [], [], []
    for seed in range(200):
        sizes, steps, arrived = stopped(seed, scatter=0.2, repeats=4)
        fit = lrbs.fit_tradeoff(sizes, steps, arrived=arrived)
        logs.append(np.log(fit.critical_batch_size / 300))
        naive.append(np.log(lrbs.fit_tradeoff(sizes[arrived], steps[arrived]).critical_batch_size / 300))
        low, high = fit.interval()["critical_batch_size"]
        inside.append(low <= 300 <= high)
    assert abs(np.mean(logs)) < 4 * np.std(logs) / np.sqrt(200)
    assert np.mean(naive) < -4 * np.std(naive) / np.sqrt(200)
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)


def test_a_run_that_never_arrived_is_named():
    sizes, steps, arrived = stopped(1)
    never = np.where(arrived, steps, np.inf)
    with pytest.raises(ValueError, match=r"the first inf at \[0\]; for a run that never .* False in arrived"):
        lrbs.fit_tradeoff(sizes, never)
    for wrong in (arrived[:3], arrived.astype(float)):
        with pytest.raises(ValueError, match="arrived must be 7 times True or False; got"):
            lrbs.fit_tradeoff(sizes, steps, arrived=wrong)
    with pytest.raises(ValueError, match="3 or more runs that arrived for 2 unknowns; got 2"):
        lrbs.fit_tradeoff(sizes, steps, arrived=np.arange(7) > 4)


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([13000, 3250, 1625, 813], "all examples B S agree within 0.062 %, as budgets do"),
        ([13000, 3290, 1630, 816], "all examples B S agree"),
        ([13000] * 4, "all steps agree within 0 %, as budgets do"),
    ],
)
def test_budgets_are_not_runs_to_one_loss(steps, what):
    with pytest.raises(ValueError, match=f"{what}.* final losses alone give no critical batch size"):
        lrbs.fit_tradeoff([131072, 524288, 1048576, 2097152], steps)


@pytest.mark.parametrize(("power", "word"), [(1.5, "a U"), (0.6, "an arch"), (1.0, None)])
def test_residuals_with_a_shape_are_told(power, word, rng):
    curve = 200 * (1 + (300 / SIZES) ** power) * np.exp(0.02 * rng.standard_normal(7))
    for error in (None, 0.02):
        fit = lrbs.fit_tradeoff(SIZES, curve, relative_error=error)
        assert ("hyperbola" in str(fit)) == bool(fit.warnings) == (word is not None)
        assert word is None or word in fit.warnings[0]
    assert "critical_batch_size" in str(fit)


def test_false_alarms_of_the_shape(rng):
    """One in a hundred, by construction."""
    curves = 200 * (1 + 300 / SIZES) * np.exp(0.04 * rng.standard_normal((300, 7)))
    warned = [bool(lrbs.fit_tradeoff(SIZES, curve).warnings) for curve in curves]
    assert np.sum(warned) <= 300 * 0.01 + 4 * np.sqrt(300 * 0.01)


# ------------------------------------------------------------------------------------------ 5: overflow
LOG = np.random.default_rng(4).uniform(1, 1.2, 400)


def with_bad(log, *places):
    """A log with an overflow at these places."""
    bad = log.copy()
    bad[list(places)] = np.inf, np.nan
    return bad


def test_one_step_that_overflowed_is_skipped_and_counted():
    running = lrbs.RunningNoiseScale(0.98, skip_nonfinite=True)
    for small, big in [(1.2, 1.0), (np.inf, 1.0), (1.3, np.nan), (1.1, 1.0)]:
        running.add(*lrbs.two_batch_moments(small, big, 32, 256, skip_nonfinite=True))
    assert (running.steps, running.skipped, running.estimate.skipped) == (2, 2, 2)
    assert "2 left out" in str(running)
    with pytest.raises(
        ValueError, match=r"small_norm must be finite.*skip_nonfinite=True leaves such steps out"
    ):
        lrbs.two_batch_moments(np.inf, 1.0, 32, 256)
    with pytest.raises(ValueError, match=r"trace must be finite.*skip_nonfinite=True"):
        lrbs.RunningNoiseScale(0.98).add(np.nan, 1.0)


@pytest.mark.parametrize(
    "estimate",
    [
        lambda log, **skip: lrbs.noise_scale_from_two_batches(1.2 * log, LOG, 32, 256, **skip),
        lambda log, **skip: lrbs.noise_scale_from_two_batches(1.2 * LOG, log, 32, 256, **skip),
        lambda log, **skip: lrbs.noise_scale_from_momentum(0.5 * log, LOG, 0.9, 64, **skip),
        lambda log, **skip: lrbs.noise_scale_from_momentum(0.5 * LOG, log, 0.9, 64, **skip),
        lambda log, **skip: lrbs.noise_scale_from_update_rms(0.4 * log, 0.9, 64, **skip),
        lambda log, **skip: noise_scale_from_batch_sizes(
            np.stack([1.4 * LOG, 1.2 * log, LOG], axis=1), [8, 32, 256], **skip
        ),
        lambda log, **skip: lrbs.noise_scale_from_workers(
            np.stack([log, LOG, 2 - LOG])[:, :, None].transpose(1, 0, 2), 32, **skip
        ),
    ],
)
def test_a_log_with_an_overflow(estimate):
    """Two steps of 400 go, and the estimate moves by little; unasked, the entry is named."""
    whole, without = estimate(LOG), estimate(with_bad(LOG, 7, 200), skip_nonfinite=True)
    assert (whole.skipped, without.skipped) == (0, 2)
    assert without.trace == pytest.approx(whole.trace, rel=0.1)
    assert "; 2 left out" in str(without)
    with pytest.raises(ValueError, match=r"(inf at \[7\b|step 7: .*inf at \[).*skip_nonfinite=True"):
        estimate(with_bad(LOG, 7, 200))


def test_a_stream_of_steps_skips_what_is_left_of_a_bad_one(rng):
    steps = 1 + rng.standard_normal((6, 4, 10))
    bad = steps.copy()
    bad[2, 1, 3] = np.inf
    source = (gradient for step in bad for gradient in step)
    stream = ((next(source) for _ in range(4)) for _ in range(6))
    found = lrbs.noise_scale_from_workers(stream, 8, skip_nonfinite=True)
    without = lrbs.noise_scale_from_workers(np.delete(steps, 2, axis=0), 8)
    assert (found.trace, found.skipped) == (pytest.approx(without.trace), 1)


def test_a_bad_sample_is_named():
    gradients = np.ones((9, 4))
    gradients[5, 2] = np.nan
    for stream in (gradients, iter(gradients)):
        with pytest.raises(ValueError, match=r"gradient 5 must be finite; .* the first nan at \[2\]"):
            lrbs.noise_scale_from_samples(stream)


# ------------------------------------------------------------------------------------------ 6 and 7: norms
def test_norms_are_what_is_wanted():
    """Everywhere the same: norms. Squares in their place contradict the model."""
    rng, g = np.random.default_rng(0), np.full(2000, 0.05)
    small, big = (
        np.linalg.norm(g + rng.standard_normal((200, 2000)) / np.sqrt(n), axis=1) for n in (32, 256)
    )
    low, high = lrbs.noise_scale_from_two_batches(small, big, 32, 256).interval()
    assert low < 400 < high and high / low < 1.1
    assert lrbs.noise_scale_from_two_batches(small**2, big**2, 32, 256).contradiction


def five_sizes():
    rng, n = np.random.default_rng(3), 1000
    m, sizes = np.full(n, n**-0.5), np.array([8, 32, 128, 512, 2048])
    square = [
        [np.sum((m + np.sqrt(300 / n / s) * rng.standard_normal(n)) ** 2) for _ in range(12)] for s in sizes
    ]
    return np.sqrt(square), sizes  # (sizes, repeats)


@pytest.mark.parametrize("steps", [True, False])
def test_five_batch_sizes_are_one_line(steps):
    """True scale 300; by hand a weighted line gives 296, 291 to 302."""
    norms, sizes = five_sizes()
    if steps:
        found = noise_scale_from_batch_sizes(norms.T, sizes)
    else:
        found = noise_scale_from_batch_sizes(norms.ravel(), np.repeat(sizes, 12))
    assert found.point_estimate == pytest.approx(296, abs=1)
    assert found.interval() == pytest.approx((290, 302.5), abs=1.5)
    assert 0.05 < found.p_value < 0.95 and found.note == ""
    pair = lrbs.noise_scale_from_two_batches(norms[0], norms[1], 8, 32)
    assert pair.interval()[1] > 1000


# ------------------------------------------------------------------------------------------ 8: refusals
def test_no_number_where_the_estimate_refuses():
    estimate = lrbs.NoiseScaleEstimate(200.0, 0.1, np.diag([4.0, 0.2]) ** 2, freedom=50)
    assert str(estimate) == "noise scale not resolved: above 398 samples (95 %)"
    with pytest.raises(ValueError, match="use more steps or larger batches"):
        _ = estimate.simple_noise_scale
    assert estimate.point_estimate == pytest.approx(2000)


@pytest.mark.parametrize(
    ("trace", "square", "freedom", "word"),
    [
        (-400.0, 2.0, np.inf, r"tr\(Sigma\) came out 40 standard errors below zero"),
        (400.0, -2.0, np.inf, r"\|g\|\^2 came out 20 standard errors below zero"),
        (400.0, -2.0, 9, r"\|g\|\^2 came out 20"),
        (400.0, -2.0, 2, None),  # three parts: chance does that
        (400.0, -0.3, np.inf, None),
        (-30.0, 2.0, np.inf, None),
    ],
)
def test_too_little_data_and_a_contradiction_are_told_apart(trace, square, freedom, word):
    estimate = lrbs.NoiseScaleEstimate(trace, square, np.diag([100.0, 0.01]), freedom=freedom)
    assert bool(estimate.contradiction) == ("contradicted" in str(estimate)) == (word is not None)
    for number in ("simple_noise_scale", "point_estimate"):
        with pytest.raises(ValueError, match=word or "more steps or larger batches") as error:
            getattr(estimate, number)
        assert ("more steps will not mend that" in str(error.value)) == (word is not None)


def two_sizes(rng, steps=60):
    """Norms at 8 and 64 of steps whose noise scale is 50."""
    parts = 0.1 + np.sqrt(50 / 8 / 100) * rng.standard_normal((steps, 8, 100))
    return np.linalg.norm(parts[:, 0], axis=-1), np.linalg.norm(parts.mean(axis=1), axis=-1), parts


@pytest.mark.parametrize(
    "mistake", ["sums", "all-reduce by sum", "divided losses", "batch size", "repelling parts"]
)
def test_mistakes_contradict_the_model(mistake, rng):
    small, big, parts = two_sizes(rng)
    calls = {
        "sums": lambda: lrbs.noise_scale_from_two_batches(8 * small, 64 * big, 8, 64),
        "all-reduce by sum": lambda: lrbs.noise_scale_from_two_batches(small, 8 * big, 8, 64),
        "divided losses": lambda: lrbs.noise_scale_from_two_batches(small / 8, big, 8, 64),
        "batch size": lambda: lrbs.noise_scale_from_two_batches(small, big, 8, 16),
        # Batches dealt out without replacement from few samples: their gradients repel each other.
        "repelling parts": lambda: lrbs.noise_scale_from_workers(
            parts - parts.mean(axis=1, keepdims=True), 8
        ),
    }
    estimate = calls[mistake]()
    assert estimate.contradiction and not estimate.resolved
    with pytest.raises(ValueError, match=r"will not mend that.* independent draws"):
        _ = estimate.simple_noise_scale


def test_chance_seldom_contradicts(rng):
    """Where there is no signal at all, and noise in one direction alone, its most skewed."""
    alarms = 0
    for _ in range(2000):
        parts = rng.standard_normal((10, 4, 1))
        alarms += bool(lrbs.noise_scale_from_workers(parts, 8).contradiction)
    assert alarms <= 2


def test_clipped_momenta_beside_norms_before_clipping_contradict(rng):
    """PyTorch's clip_grad_norm_ returns the norm before clipping; exp_avg holds clipped gradients."""
    m, log = np.zeros(50), []
    for _ in range(900):
        gradient = 0.02 + rng.standard_normal(50) / 2
        norm = np.linalg.norm(gradient)
        m = 0.9 * m + 0.1 * gradient * min(1, 1.5 / norm)
        log.append((np.linalg.norm(m), norm, min(norm, 1.5)))
    momenta, before, after = np.array(log[100:]).T
    mixed = lrbs.noise_scale_from_momentum(momenta, before, 0.9, 64)
    assert mixed.contradiction.startswith("contradicted: |g|^2")
    assert not lrbs.noise_scale_from_momentum(momenta, after, 0.9, 64).contradiction


# ------------------------------------------------------------------------------------------ unequal batches
def unequal(rng, steps=4000, workers=5, trace=60.0):
    """Gradients of |g| = 1 over unequal numbers of tokens, and these numbers."""
    sizes = rng.integers(2, 30, (steps, workers)).astype(float)
    noise = rng.standard_normal((steps, workers, 20)) * np.sqrt(trace / 20 / sizes)[..., None]
    return np.full(20, 20**-0.5) + noise, sizes


def both(estimate):
    """Distances from the truth in standard errors."""
    return [
        (estimate.trace - 60) / estimate.trace_se,
        (estimate.squared_gradient - 1) / estimate.squared_gradient_se,
    ]


def test_unequal_workers_are_unbiased(rng):
    gradients, sizes = unequal(rng)
    found = lrbs.noise_scale_from_workers(gradients, sizes)
    assert np.abs(both(found)).max() < 4
    as_one = lrbs.noise_scale_from_workers(gradients, sizes.mean())
    assert as_one.trace / 60 == pytest.approx(np.mean(1 / sizes) * sizes.mean(), rel=0.03)
    assert both(as_one)[0] > 20
    streamed = lrbs.noise_scale_from_workers(iter(gradients), sizes)
    by_worker = lrbs.noise_scale_from_workers((iter(step) for step in gradients), sizes)
    sums = lrbs.noise_scale_from_workers(gradients * sizes[..., None], sizes, reduction="sum")
    for other in (streamed, by_worker, sums):
        assert (other.trace, other.squared_gradient) == pytest.approx((found.trace, found.squared_gradient))
    of_step = sizes.mean(axis=1)
    alike = lrbs.noise_scale_from_workers(gradients, of_step)
    spreads = np.sum(gradients.var(axis=1, ddof=1), axis=-1)
    assert alike.trace == pytest.approx(np.mean(of_step * spreads))


def test_unequal_workers_of_one_step_by_hand(rng):
    """The sum of b |g_w - mean|^2 over W - 1, the mean weighted by b; the jackknife likewise."""
    gradients, sizes = (part[0] for part in unequal(rng, steps=1))

    def by_hand(g, b):
        mean = b @ g / b.sum()
        trace = b @ np.sum((g - mean) ** 2, axis=1) / (len(b) - 1)
        return np.array([trace, mean @ mean - trace / b.sum()])

    found = lrbs.noise_scale_from_workers(gradients, sizes)
    assert [found.trace, found.squared_gradient] == pytest.approx(by_hand(gradients, sizes))
    without = np.array([by_hand(np.delete(gradients, k, 0), np.delete(sizes, k)) for k in range(5)])
    np.testing.assert_allclose(found.covariance, 4 * np.cov(without, rowvar=False, bias=True))


def test_unequal_batches_of_two_sizes_are_unbiased(rng):
    """With all small norms the same as from the workers; from their root mean square; from one of them."""
    gradients, sizes = unequal(rng)
    total = sizes.sum(axis=1)
    big = np.linalg.norm(np.einsum("sw,swn->sn", sizes / total[:, None], gradients), axis=-1)
    small = np.linalg.norm(gradients, axis=-1)
    workers = lrbs.noise_scale_from_workers(gradients, sizes)
    every = lrbs.noise_scale_from_two_batches(small, big, sizes, total)
    assert (every.trace, every.squared_gradient) == pytest.approx((workers.trace, workers.squared_gradient))
    sums = lrbs.noise_scale_from_two_batches(small * sizes, big * total, sizes, total, reduction="sum")
    assert sums.trace == pytest.approx(workers.trace)
    rms = np.sqrt(np.mean(small**2, axis=1))
    assert np.abs(both(lrbs.noise_scale_from_two_batches(rms, big, sizes, total))).max() < 4
    first = lrbs.noise_scale_from_two_batches(small[:, 0], big, sizes[:, 0], total)
    assert np.abs(both(first)).max() < 4
    line = noise_scale_from_batch_sizes(
        np.stack([small[:, 0], big], axis=1), np.stack([sizes[:, 0], total], 1)
    )
    assert np.abs(both(line)).max() < 4
    for wrong, message in (
        (lambda: lrbs.noise_scale_from_two_batches(rms, big, sizes[:7], total), "must be for 4000 steps"),
        (lambda: lrbs.noise_scale_from_two_batches(rms, big, total, sizes[:, 0]), "must be below big_batch"),
        (
            lambda: lrbs.noise_scale_from_two_batches(rms, big, sizes, total, reduction="sum"),
            r"small_norms must be \(steps, workers\) for sums",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


def test_refusals_of_batch_sizes():
    norms = np.ones((6, 3))
    for call, message in (
        (lambda: noise_scale_from_batch_sizes(norms, [8, 8, 8]), "2 sizes or more: a line .* got 1"),
        (lambda: noise_scale_from_batch_sizes(norms, [8, 16]), r"shape \(3,\) or \(6, 3\); got \(2,\)"),
        (lambda: noise_scale_from_batch_sizes(norms[:1], [8, 16, 32]), "at least 2 steps; got 1"),
        (lambda: noise_scale_from_batch_sizes(norms[0], [8, 16, 32]), "at least 4 gradients; got 3"),
        (lambda: noise_scale_from_batch_sizes(-norms, [8, 16, 32]), "norms must not be negative"),
        (
            lambda: noise_scale_from_batch_sizes([[1, 2], [1, 2]], [[8, 16], [8, 8]]),
            "2 sizes or more in each",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    two = noise_scale_from_batch_sizes(np.sqrt([[4, 2], [4.1, 2.1], [4, 2.2]]), [8, 64])
    pair = lrbs.noise_scale_from_two_batches(np.sqrt([4, 4.1, 4]), np.sqrt([2, 2.1, 2.2]), 8, 64)
    assert np.isnan(two.p_value) and two.trace == pytest.approx(pair.trace)
    np.testing.assert_allclose(two.covariance, pair.covariance)


# ------------------------------------------------------------------------------------------ a late average
def test_two_memories_agree_where_nothing_moves(rng):
    """Beyond three standard errors about once in 400, and seldom more than that for lack of steps."""
    late = 0
    for _ in range(400):
        running = lrbs.RunningNoiseScale(0.98)
        for pair in np.array([50.0, 1.0]) + rng.standard_normal((200, 2)) * [10, 0.5]:
            running.add(*pair)
        late += "late" in str(running)
        assert abs(running.drift.value) < 6 * running.drift.standard_error
    assert late <= 6


def test_a_late_average_says_so(rng):
    """|g|^2 halves every 40 steps: the memory of 50 steps reads too low, and the short one less so."""
    running, still = lrbs.RunningNoiseScale(0.98), lrbs.RunningNoiseScale(0.98)
    for step in range(300):
        square = 2.0 ** (-step / 40)
        running.add(50 + 5 * rng.standard_normal(), square * (1 + 0.3 * rng.standard_normal()))
        still.add(50.0, 1.0)
    assert running.drift.value > 5 * running.drift.standard_error
    assert "; late: recent steps read" in str(running.estimate) == str(running)
    assert still.drift == (0, 0) and "late" not in str(still)
    exact = 50 / square
    assert running.estimate.point_estimate < 0.7 * exact


def test_the_error_of_the_drift_is_its_scatter(rng):
    drifts = []
    for _ in range(400):
        running = lrbs.RunningNoiseScale(0.95, short_decay=0.8)
        for pair in np.array([50.0, 1.0]) + rng.standard_normal((100, 2)) * [5, 0.1]:
            running.add(*pair)
        drifts.append(running.drift)
    values, errors = np.array(drifts).T
    assert abs(values.mean()) < 4 * values.std() / 20
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.15)
    with pytest.raises(ValueError, match=r"short_decay must not exceed decay, 0.9; got 0.95"):
        lrbs.RunningNoiseScale(0.9, short_decay=0.95)
    everything = lrbs.RunningNoiseScale()
    for pair in ([50.0, 1.0], [40.0, 2.0]):
        everything.add(*pair)
    assert np.isnan(everything.drift.value) and "late" not in str(everything)


# ------------------------------------------------------------------------------------------ tensors
def test_gradients_as_lists_of_parameters(rng):
    """As torch.autograd.grad gives them: the vectors end to end, in a stream, in a list, by name."""
    shapes = [(3, 2), (3,), (1, 3)]
    steps = [[[1 + rng.standard_normal(shape) for shape in shapes] for _ in range(4)] for _ in range(6)]
    flat = np.array(
        [[np.concatenate([part.ravel() for part in worker]) for worker in step] for step in steps]
    )
    expected = lrbs.noise_scale_from_workers(flat, 8)
    named = [[dict(zip("abc", worker, strict=True)) for worker in step] for step in steps]
    for gradients in (steps, iter(steps), (iter(step) for step in steps), named, iter(named)):
        found = lrbs.noise_scale_from_workers(gradients, 8)
        assert (found.trace, found.squared_gradient) == pytest.approx(
            (expected.trace, expected.squared_gradient)
        )
    one = lrbs.noise_scale_from_workers(steps[0], 8)
    assert one.trace == pytest.approx(lrbs.noise_scale_from_workers(flat[0], 8).trace)
    samples = [worker for step in steps for worker in step]
    whole = lrbs.noise_scale_from_samples(flat.reshape(24, 12))
    for gradients in (samples, iter(samples), iter([tuple(sample) for sample in samples])):
        assert lrbs.noise_scale_from_samples(gradients).trace == pytest.approx(whole.trace)
    with pytest.raises(ValueError, match=r"lists of 2 vectors of one length: numpy.stack makes a block"):
        lrbs.noise_scale_from_samples(iter([[np.ones(3), np.ones(3)]]))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32", "float64"])
def test_tensors_are_taken_as_they_are(kind):
    """Of any precision, wanting gradients, as parts or in lists: the numbers of the same in float64."""
    import torch

    torch.manual_seed(0)
    steps = (1 + torch.randn(6, 4, 10)).to(getattr(torch, kind)).requires_grad_()
    plain = steps.detach().double().numpy()
    expected = lrbs.noise_scale_from_workers(plain, 8)
    parts = [[[worker[:6].reshape(3, 2), worker[6:]] for worker in step] for step in steps]
    for gradients in (steps, iter(steps), [list(step) for step in steps], parts, iter(parts)):
        found = lrbs.noise_scale_from_workers(gradients, torch.tensor(8.0))
        assert found.trace == pytest.approx(expected.trace)
        np.testing.assert_allclose(found.covariance, expected.covariance)
    samples = lrbs.noise_scale_from_samples(plain.reshape(24, 10))
    for gradients in (steps.reshape(24, 10), iter(steps.reshape(24, 10)), list(steps.reshape(24, 10))):
        assert lrbs.noise_scale_from_samples(gradients).trace == pytest.approx(samples.trace)
    small, big = steps.norm(dim=2)[:, 0], steps.mean(dim=1).norm(dim=1)
    log = lrbs.noise_scale_from_two_batches(small, list(big), torch.tensor(8), 32)
    plainly = lrbs.noise_scale_from_two_batches(
        small.detach().double().numpy(), big.detach().double().numpy(), 8, 32
    )
    assert log.trace == plainly.trace
    running = lrbs.RunningNoiseScale()
    for pair in zip(small, big, strict=True):
        running.add(*lrbs.two_batch_moments(*pair, 8, 32))
    assert running.estimate.trace == pytest.approx(log.trace)


@pytest.mark.torch
def test_autograd_of_a_module_and_its_overflow():
    """Gradients of micro-batches as `torch.autograd.grad` returns them; complex ones are refused."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(5, 2).to(torch.bfloat16)
    inputs = torch.randn(8, 16, 5, dtype=torch.bfloat16)

    def worker(batch):
        return torch.autograd.grad((model(batch) ** 2).mean(), model.parameters())

    found = lrbs.noise_scale_from_workers([worker(batch) for batch in inputs], 16)
    flat = np.array([np.concatenate([p.double().numpy().ravel() for p in worker(batch)]) for batch in inputs])
    assert found.trace == pytest.approx(lrbs.noise_scale_from_workers(flat, 16).trace)
    with pytest.raises(ValueError, match="complex numbers"):
        lrbs.noise_scale_from_samples(torch.ones(5, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"nan or inf in 1 of 10 entries, the first inf at \[0, 1\]"):
        lrbs.noise_scale_from_samples(torch.tensor([[1, np.inf]] + [[1, 1.0]] * 4), groups=4)
