"""Inputs that people met in public, with numbers of our own: each gives the right value, or a true refusal."""

import numpy as np
import pytest

import lrbs
from lrbs.laws import fit_saturation, power_saturation
from lrbs.noise_scale import noise_scale_from_batch_sizes

SIZES = np.array([32, 64, 128, 256, 512, 1024, 2048.0])


# ------------------------------------------------------------------------------------------ 1: curves
NO_RISE = "must rise with batch_size; a constant is not contradicted"
NO_LEVEL = "must level off; a power of the batch size"
FALLS = "must not fall again; that of these 7 points peaks near B = 3"
TOO_SHARP = r"exponent is not resolved .* fit_saturation\(\.\.\., exponent=1\)"
CURVES = {
    "scatter": np.array([1.2e-3, 2.1e-3, 2.5e-3, 2.6e-3, 2.4e-3, 2.6e-3, 3e-3]),
    "falls": np.array([1e-3, 2e-3, 3e-3, 3.3e-3, 3e-3, 2.5e-3, 2e-3]),
    "constant": np.full(7, 3e-4),
    "power": 1e-4 * np.sqrt(SIZES),
}


@pytest.mark.parametrize(
    ("curve", "free", "fixed"),
    [
        ("scatter", TOO_SHARP, NO_LEVEL),
        ("falls", FALLS, FALLS),
        ("constant", NO_RISE, NO_RISE),
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
    """Of 40 curves with scale 300: refused, or an interval; those that hold it, within four standard errors."""
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
    """Everywhere the same: norms; their squares in their place contradict the model, or miss by far."""
    rng, g = np.random.default_rng(0), np.full(2000, 0.05)
    small, big = (
        np.linalg.norm(g + rng.standard_normal((200, 2000)) / np.sqrt(n), axis=1) for n in (32, 256)
    )
    low, high = lrbs.noise_scale_from_two_batches(small, big, 32, 256).interval()
    assert low < 400 < high and high / low < 1.1


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


@pytest.mark.parametrize("mistake", ["sums", "all-reduce by sum", "divided losses", "batch size", "clipped"])
def test_mistakes_contradict_the_model(mistake, rng):
    small, big, parts = two_sizes(rng)
    calls = {
        "sums": lambda: lrbs.noise_scale_from_two_batches(8 * small, 64 * big, 8, 64),
        "all-reduce by sum": lambda: lrbs.noise_scale_from_two_batches(small, 8 * big, 8, 64),
        "divided losses": lambda: lrbs.noise_scale_from_two_batches(small / 8, big, 8, 64),
        "batch size": lambda: lrbs.noise_scale_from_two_batches(small, big, 8, 16),
        # Batches dealt out without replacement from few samples: their gradients repel each other.
        "clipped": lambda: lrbs.noise_scale_from_workers(parts - parts.mean(axis=1, keepdims=True), 8),
    }
    estimate = calls[mistake]()
    assert estimate.contradiction and not estimate.resolved
    with pytest.raises(ValueError, match="more steps will not mend that. Are the parts independent draws"):
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
