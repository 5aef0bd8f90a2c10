"""The noise scale from gradients: unbiased, honest about its errors, refusing what it cannot tell."""

import tracemalloc

import numpy as np
import pytest

from lrbs import LocalModel
from lrbs.noise_scale import (
    L1,
    NoiseScaleEstimate,
    Nuclear,
    noise_scale_from_batch_sizes,
    noise_scale_from_samples,
    noise_scale_from_two_batches,
    noise_scale_from_workers,
    noise_scales,
    sign_alignment_floor,
)
from lrbs.simulate import draw_gradients

EACH_NORM = pytest.mark.parametrize(
    "norm", [None, L1(), Nuclear([(3, 2), (2,), (1, 2)])], ids=["euclidean", "l1", "nuclear"]
)


def chosen(norm):
    return {} if norm is None else {"norm": norm}


def test_is_the_corrected_formula(rng):
    """b tr(S) over |mean|^2 - tr(S)/W, for one step."""
    gradients = rng.standard_normal((6, 10)) + 1
    mean = gradients.mean(axis=0)
    spread = np.trace(np.cov(gradients, rowvar=False))
    estimate = noise_scale_from_workers(gradients, 32)
    assert estimate.trace == pytest.approx(32 * spread)
    assert estimate.squared_gradient == pytest.approx(mean @ mean - spread / 6)
    assert estimate.point_estimate == pytest.approx(32 * spread / (mean @ mean - spread / 6))


def test_several_steps_average_numerator_and_denominator_apart(rng):
    gradients = rng.standard_normal((5, 4, 10)) + 1
    singles = [noise_scale_from_workers(step, 8) for step in gradients]
    estimate = noise_scale_from_workers(gradients, 8)
    assert estimate.trace == pytest.approx(np.mean([one.trace for one in singles]))
    assert estimate.squared_gradient == pytest.approx(np.mean([one.squared_gradient for one in singles]))
    spread = np.std([one.trace for one in singles], ddof=1) / np.sqrt(5)
    assert estimate.trace_se == pytest.approx(spread)
    assert estimate.freedom == 4


def test_is_unbiased_and_its_errors_are_right(definite, rng, assert_within):
    model = LocalModel(rng.standard_normal(6) / 3, definite(6) * 3, np.ones(6))
    gradients = draw_gradients(model, 4, (3000, 8), 0)
    estimate = noise_scale_from_workers(gradients, 4)
    assert_within(estimate.trace, model.covariance.trace(), estimate.trace_se)
    assert_within(estimate.squared_gradient, model.squared_gradient, estimate.squared_gradient_se)
    assert_within(estimate.point_estimate, model.simple_noise_scale, estimate.simple_noise_scale_se)
    groups = [noise_scale_from_workers(part, 4) for part in gradients.reshape(30, 100, 8, 6)]
    scatter = np.std([group.point_estimate for group in groups], ddof=1)
    claimed = np.mean([group.simple_noise_scale_se for group in groups])
    assert 0.7 < claimed / scatter < 1.4


def test_jackknife_of_a_single_step():
    """Its claimed errors against the scatter over many steps."""
    model = LocalModel(np.full(40, 0.5), np.full(40, 1.0), np.ones(40))
    steps = draw_gradients(model, 1, (400, 10), 1)
    estimates = [noise_scale_from_workers(step, 1) for step in steps]
    for value, error in (("trace", "trace_se"), ("squared_gradient", "squared_gradient_se")):
        scatter = np.std([getattr(one, value) for one in estimates], ddof=1)
        claimed = np.sqrt(np.mean([getattr(one, error) ** 2 for one in estimates]))
        assert 0.8 < claimed / scatter < 1.3


@EACH_NORM
def test_leaving_out_is_starting_again_without(norm, rng):
    """The jackknife by its definition: estimates from the data that are left, made from scratch."""
    gradients = 1 + rng.standard_normal((20, 10))
    estimate = noise_scale_from_samples(gradients, groups=5, **chosen(norm))
    rest = [
        noise_scale_from_samples(gradients[np.arange(20) % 5 != left_out], groups=5, **chosen(norm))
        for left_out in range(5)
    ]
    pairs = np.array([[one.trace, one.squared_gradient] for one in rest])
    expected = 4 / 5 * (pairs - pairs.mean(axis=0)).T @ (pairs - pairs.mean(axis=0))
    np.testing.assert_allclose(estimate.covariance, expected)
    assert estimate.freedom == 4


@EACH_NORM
@pytest.mark.parametrize("groups", [None, 3, 16, 500])
def test_a_stream_is_the_array(norm, groups, rng):
    gradients = 1 + rng.standard_normal((101, 10))
    whole = noise_scale_from_samples(gradients, groups=groups, **chosen(norm))
    pieces = [gradients[:1], gradients[:0], gradients[1:]]  # one waits while nothing comes
    for stream in (iter(gradients), iter(np.array_split(gradients, 7)), iter(pieces)):
        streamed = noise_scale_from_samples(stream, groups=groups, **chosen(norm))
        assert streamed.trace == pytest.approx(whole.trace)
        assert streamed.squared_gradient == pytest.approx(whole.squared_gradient)
        np.testing.assert_allclose(streamed.covariance, whole.covariance, rtol=1e-8)


@EACH_NORM
def test_a_stream_of_steps_is_the_array(norm, rng):
    steps = 1 + rng.standard_normal((6, 4, 10))
    whole = noise_scale_from_workers(steps, 8, **chosen(norm))
    for stream in (iter(steps), (iter(step) for step in steps)):
        streamed = noise_scale_from_workers(stream, 8, **chosen(norm))
        assert streamed.trace == pytest.approx(whole.trace)
        np.testing.assert_allclose(streamed.covariance, whole.covariance)


@pytest.mark.parametrize(("groups", "limit"), [(None, 4), (8, 25)])
def test_a_stream_is_read_once_and_let_go(groups, limit, rng):
    """Of 2000 gradients no more than a pair, or the groups and a few, are alive at a time."""
    alive, most = set(), 0

    class Told(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def stream():
        nonlocal most
        for _ in range(2000):
            gradient = rng.standard_normal(50).view(Told)
            alive.add(id(gradient))
            most = max(most, len(alive))
            yield gradient
            del gradient

    noise_scale_from_samples(stream(), groups=groups)
    assert most < limit


def test_memory_is_that_of_a_few_gradients(rng):
    """Between two gradients of a stream only their sum is kept."""
    size = 100_000
    held = []

    def stream():
        for _ in range(40):
            held.append(tracemalloc.get_traced_memory()[0])
            yield rng.standard_normal(size)

    tracemalloc.start()
    try:
        noise_scale_from_samples(stream())
    finally:
        tracemalloc.stop()
    in_gradients = (np.array(held[4:]) - held[0]) / (8 * size)
    assert in_gradients.max() < 1.1


def test_errors_of_one_pass_by_their_definition(rng):
    gradients = 0.3 + rng.standard_normal((31, 6))
    estimate = noise_scale_from_samples(gradients)
    parts, weights = [], []
    for k in range(2, 30, 2):
        adds = []
        for seen in (k, k + 1):
            mean = gradients[:seen].mean(axis=0)
            apart = gradients[seen] - mean
            adds.append([apart @ apart * seen / (seen + 1), 2 * apart @ mean * seen / (k + 1)])
        parts.append(np.cov(np.array(adds), rowvar=False) / 31)
        weights.append(k**3)
    expected = np.average(parts, axis=0, weights=weights)
    np.testing.assert_allclose(estimate.covariance, expected, rtol=1e-10)
    assert estimate.freedom == pytest.approx(np.sum(weights) ** 2 / np.sum(np.square(weights)))
    jackknifed = noise_scale_from_samples(gradients, groups=31)
    assert estimate.trace == pytest.approx(jackknifed.trace)
    assert estimate.squared_gradient == pytest.approx(jackknifed.squared_gradient)


@pytest.mark.parametrize(
    ("trace", "least", "most"), [(4.0, 0.93, 0.985), (60.0, 0.94, 1.0), (2000.0, 0.95, 1.0)]
)
def test_interval_of_one_pass_covers(trace, least, most):
    """From a clear gradient to one that is lost in the noise, where it is on the safe side."""
    gradient = np.full(30, 1 / np.sqrt(30))
    model = LocalModel(gradient, np.full(30, trace / 30), np.ones(30))
    streams = draw_gradients(model, 1, (800, 80), 2)
    intervals = [noise_scale_from_samples(stream).interval() for stream in streams]
    assert least <= np.mean([low <= trace <= high for low, high in intervals]) <= most


def test_a_large_common_part_does_not_drown_the_noise(rng):
    """|g| a hundred million times the noise: sums of squares would keep no digit of tr(Sigma)."""
    noise = rng.standard_normal((200, 5))
    trace = noise_scale_from_samples(noise).trace
    far = noise_scale_from_samples(iter(1e8 + noise))
    assert far.trace == pytest.approx(trace, rel=1e-6)
    assert far.trace_se == pytest.approx(noise_scale_from_samples(noise).trace_se, rel=1e-6)


def test_sums_and_units(rng):
    """Summed losses, gradients b times longer, with the right word the same; tokens, L times the samples."""
    gradients = 1 + rng.standard_normal((10, 4, 6))
    means = noise_scale_from_workers(gradients, 8)
    sums = noise_scale_from_workers(8 * gradients, 8, reduction="sum")
    assert (sums.trace, sums.squared_gradient) == pytest.approx((means.trace, means.squared_gradient))
    np.testing.assert_allclose(sums.covariance, means.covariance)
    tokens = means.converted("tokens", 512)
    in_tokens = noise_scale_from_workers(gradients, 8 * 512, unit="tokens")
    assert tokens.point_estimate == pytest.approx(512 * means.point_estimate)
    assert tokens.simple_noise_scale_se == pytest.approx(512 * means.simple_noise_scale_se)
    assert tokens.trace == pytest.approx(in_tokens.trace)
    np.testing.assert_allclose(tokens.covariance, in_tokens.covariance)
    np.testing.assert_allclose(tokens.interval(), 512 * np.array(means.interval()))
    assert "tokens" in str(tokens) and str(tokens) == str(in_tokens)


def test_a_negative_square_is_reported_not_clipped():
    gradients = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1]])
    estimate = noise_scale_from_workers(gradients, 5)
    assert estimate.squared_gradient < 0
    assert estimate.trace > 0
    assert not estimate.resolved
    for number in ("simple_noise_scale", "point_estimate"):
        with pytest.raises(ValueError, match="not resolved with this much data"):
            getattr(estimate, number)
    assert str(estimate) == "noise scale not resolved with this much data"


def test_parts_that_are_alike_say_by_how_much():
    alike = NoiseScaleEstimate(1e-20, 2.0, np.diag([1e-44, 0.01]))
    assert alike.contradiction == "contradicted: the parts are alike (tr(Sigma)/|g|^2 is 5e-21)"
    assert NoiseScaleEstimate(0.0, 0.0, np.zeros((2, 2))).contradiction == ""


def test_reads_as_a_number_with_its_interval():
    estimate = NoiseScaleEstimate(400.0, 2.0, np.diag([100.0, 0.01]))
    assert estimate.simple_noise_scale == estimate.point_estimate == 200
    assert estimate.simple_noise_scale_se == pytest.approx(200 * np.hypot(10 / 400, 0.1 / 2))
    assert estimate.resolved
    assert str(estimate) == "noise scale 200 samples, 180 to 224 (95 %)"


def test_no_number_where_it_is_not_resolved():
    """A public case: 200 of 0.1 ± 0.2 is a ratio of 2000 and an interval without an end."""
    estimate = NoiseScaleEstimate(200.0, 0.1, np.diag([4.0, 0.2]) ** 2, freedom=50)
    assert str(estimate) == "noise scale not resolved: above 398 samples (95 %)"
    with pytest.raises(ValueError, match=r"not resolved: above 398 samples.* point_estimate is 2000"):
        _ = estimate.simple_noise_scale
    assert estimate.point_estimate == pytest.approx(2000)


# ------------------------------------------------------------------------------------------ intervals
def contradicted(estimate, scale, quantile):
    """The test that the interval inverts: is trace - scale |g|^2 further from 0 than its error allows?"""
    slopes = np.array([1.0, -scale])
    gap = slopes @ [estimate.trace, estimate.squared_gradient]
    return abs(gap) > quantile * np.sqrt(slopes @ estimate.covariance @ slopes)


@pytest.mark.parametrize(("square", "freedom"), [(2.0, np.inf), (2.0, 9), (0.3, np.inf), (0.1, 4), (-0.2, 9)])
def test_the_interval_holds_what_the_estimates_do_not_contradict(square, freedom):
    from scipy.stats import t

    covariance = np.array([[100.0, -1.0], [-1.0, 0.04]])
    estimate = NoiseScaleEstimate(400.0, square, covariance, "samples", freedom)
    quantile = t(freedom).ppf(0.975)
    low, high = estimate.interval()
    for scale in np.geomspace(10, 1e6, 300):
        assert contradicted(estimate, scale, quantile) == (not low <= scale <= high)
    assert estimate.resolved == (square > quantile * 0.2)
    assert np.isfinite(high) == estimate.resolved
    narrow = estimate.interval(0.5)
    assert narrow[0] > low and (narrow[1] < high or np.isinf(high))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("freedom", [np.inf, 5])
def test_at_the_ends_of_the_interval_the_estimates_are_as_far_off_as_the_level_says(level, freedom):
    """|gap| is there just the quantile times its error; the two estimates are strongly correlated."""
    from scipy.stats import norm, t

    covariance = np.array([[1600.0, -3.0], [-3.0, 0.01]])
    estimate = NoiseScaleEstimate(400.0, 2.0, covariance, "samples", freedom)
    quantile = norm.ppf(0.5 + level / 2) if np.isinf(freedom) else t(freedom).ppf(0.5 + level / 2)
    low, high = estimate.interval(level)
    assert low < estimate.point_estimate < high
    for scale in (low, high):
        slopes = np.array([1.0, -scale])
        gap = slopes @ [400.0, 2.0]
        assert abs(gap) == pytest.approx(quantile * np.sqrt(slopes @ covariance @ slopes), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-4, 1e4])
@pytest.mark.parametrize("scale", [0.02, 200.0])
def test_neither_the_unit_of_the_gradient_nor_the_size_of_the_scale_matters(unit, scale):
    """Estimates in another unit give the same ratio, and the interval grows with the ratio."""
    shape = np.outer([scale, 1.0], [scale, 1.0]) * np.diag([1e-3, 2e-3])
    estimate = NoiseScaleEstimate(unit * scale, unit, unit**2 * shape)
    assert estimate.point_estimate == pytest.approx(scale)
    low, high = NoiseScaleEstimate(1.0, 1.0, np.diag([1e-3, 2e-3])).interval()
    np.testing.assert_allclose(estimate.interval(), [scale * low, scale * high])
    assert str(estimate).startswith(f"noise scale {scale:g} samples")
    lost = NoiseScaleEstimate(unit * scale, 0.01 * unit, unit**2 * shape)
    assert str(lost).startswith("noise scale not resolved: above ")


def test_parts_that_are_alike_are_no_measurement(rng):
    """Averaged over workers before, or of the same data: tr(Sigma) is what rounding leaves."""
    steps = np.repeat(1 + rng.standard_normal((20, 1, 50)), 4, axis=1)
    norms = np.linalg.norm(steps[:, 0], axis=1)
    single = norms.astype(np.float32) * (1 + 1e-7)
    for estimate in (
        noise_scale_from_workers(steps, 8),
        noise_scale_from_workers(steps / 3 + steps / 7, 8),
        noise_scale_from_two_batches(norms, norms, 8, 64),
        noise_scale_from_two_batches(norms, single, 16384, 65536, unit="tokens"),
        noise_scale_from_batch_sizes(np.stack([norms, norms * (1 + 1e-16), norms], axis=1), [8, 16, 64]),
    ):
        assert "the parts are alike" in estimate.contradiction and not estimate.resolved
        with pytest.raises(ValueError, match="taken before they are averaged over workers"):
            estimate.simple_noise_scale  # noqa: B018


def test_little_noise_is_not_none(rng):
    """One part in ten thousand of each number, which single samples resolve."""
    low, high = noise_scale_from_samples(1 + 1e-4 * rng.standard_normal((500, 100))).interval()
    assert low < 1e-8 < high < 1.1e-8


def test_no_noise_and_no_gradient():
    """The borders: a trace of zero is a noise scale of zero, a gradient of zero has none."""
    quiet = NoiseScaleEstimate(0.0, 2.0, np.diag([100.0, 0.01]))
    assert quiet.point_estimate == 0
    assert str(quiet) == "noise scale not resolved with this much data"
    still = NoiseScaleEstimate(400.0, 0.0, np.diag([100.0, 0.0]))
    assert still.interval() == (np.inf, np.inf)
    with pytest.raises(ValueError, match=r"the estimate of \|g\|\^2 is 0 with"):
        _ = still.point_estimate


def test_intervals_that_say_little():
    covariance = np.diag([100.0, 0.01])
    assert NoiseScaleEstimate(400.0, -2.0, covariance).interval() == (np.inf, np.inf)
    assert NoiseScaleEstimate(5.0, 2.0, covariance).interval() == (0.0, np.inf)
    assert NoiseScaleEstimate(-400.0, 2.0, covariance).interval() == (0.0, np.inf)
    weak = NoiseScaleEstimate(400.0, 0.1, covariance)
    bound = float(f"{weak.interval()[0]:.3g}")
    assert str(weak) == f"noise scale not resolved: above {bound:g} samples (95 %)"
    none = "noise scale not resolved with this much data"
    assert str(NoiseScaleEstimate(400.0, -0.2, covariance)) == none
    assert str(NoiseScaleEstimate(5.0, 2.0, covariance)) == none
    for level in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="level must be in"):
            weak.interval(level)
    with pytest.raises(ValueError, match="size must be positive"):
        weak.converted("tokens", 0)


# ------------------------------------------------------------------------------------------ other norms
def test_l1_and_nuclear_by_plain_algebra(rng):
    samples = 1 + rng.standard_normal((30, 10))
    mean, deviations = samples.mean(axis=0), samples - samples.mean(axis=0)
    by_l1 = noise_scale_from_samples(samples, norm=L1())
    assert by_l1.trace == pytest.approx(samples.std(axis=0, ddof=1).sum() ** 2)
    assert by_l1.squared_gradient == pytest.approx(np.abs(mean).sum() ** 2)
    layers = [(slice(0, 6), (3, 2)), (slice(8, 10), (1, 2))]  # two matrices, a bias between them
    noise = signal = 0.0
    for place, shape in layers:
        matrices = deviations[:, place].reshape(-1, *shape)
        short = matrices if shape[0] < shape[1] else matrices.transpose(0, 2, 1)
        noise += np.sqrt(np.linalg.eigvalsh(sum(D @ D.T for D in short) / 29)).sum()
        signal += np.linalg.svd(mean[place].reshape(shape), compute_uv=False).sum()
    by_nuclear = noise_scale_from_samples(samples, norm=Nuclear([(3, 2), (2,), (1, 2)]))
    assert by_nuclear.trace == pytest.approx(noise**2)
    assert by_nuclear.squared_gradient == pytest.approx(signal**2)
    square = deviations[:, :9].reshape(-1, 3, 3)  # neither side is shorter: rows are kept, columns summed
    noise = np.sqrt(np.linalg.eigvalsh(sum(D @ D.T for D in square) / 29)).sum()
    assert noise_scale_from_samples(samples[:, :9], norm=Nuclear([(3, 3)])).trace == pytest.approx(noise**2)


@EACH_NORM
def test_workers_give_the_scale_of_samples(norm, rng):
    """Means over b of the same population: the numerator comes b times smaller, and is brought back."""
    gradients = np.ones(10) + 3 * rng.standard_normal((4000, 10))
    single = noise_scale_from_samples(gradients, **chosen(norm))
    workers = noise_scale_from_workers(gradients.reshape(1000, 4, 10).mean(axis=1), 4, **chosen(norm))
    assert workers.trace == pytest.approx(single.trace, rel=0.1)
    assert workers.point_estimate == pytest.approx(single.point_estimate, rel=0.15)


def test_the_floor_is_the_best_line_below_the_mean_field(rng):
    """Its slope by a search over one coordinate; then any spread of ratios lies above it."""
    from scipy.optimize import minimize_scalar

    best = minimize_scalar(lambda x: -(1 - (1 + x**2) ** -0.5) / x, bounds=(0.1, 10), method="bounded")
    batch_size = np.array([0.3, 5.0, 80.0])
    expected = 1 + best.fun * np.sqrt(7.0 / batch_size)
    np.testing.assert_allclose(sign_alignment_floor(batch_size, 7.0), expected, rtol=1e-8)
    for spread in (0.0, 1.0, 3.0):
        g, sigma = rng.standard_normal(50), np.exp(spread * rng.standard_normal(50))
        scale = np.divide(*L1().scale(g, sigma**2, np.inf))
        for B in np.geomspace(0.01, 100, 9) * scale:
            kept = np.sum(g**2 / np.sqrt(g**2 + sigma**2 / B)) / np.abs(g).sum()
            assert kept >= sign_alignment_floor(B, scale)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        sign_alignment_floor(0.0, 7.0)
    with pytest.raises(ValueError, match="l1_scale must be a number"):
        sign_alignment_floor(1.0, [7.0, 8.0])


def test_refusals_of_shapes():
    with pytest.raises(ValueError, match=r"shapes must hold at least one matrix; got \(\(3,\),\)"):
        Nuclear([(3,)])
    with pytest.raises(ValueError, match=r"shapes must add up to gradients of size 5; they make 6"):
        noise_scale_from_samples(np.ones((4, 5)), norm=Nuclear([(2, 3)]))


# ------------------------------------------------------------------------------------------ refusals
def test_the_least_data_that_are_taken(rng):
    """Two steps of two workers, one step of three, four samples, three with groups."""
    gradients = 1 + rng.standard_normal((2, 2, 5))
    trace = np.mean([np.trace(np.cov(step, rowvar=False)) for step in gradients])
    assert noise_scale_from_workers(gradients, 8).trace == pytest.approx(8 * trace)
    assert noise_scale_from_workers(iter(gradients), 8).trace == pytest.approx(8 * trace)
    samples = gradients.reshape(4, 5)
    for count, groups in ((4, None), (3, 3)):
        trace = np.trace(np.cov(samples[:count], rowvar=False))
        estimate = noise_scale_from_samples(samples[:count], groups=groups)
        assert estimate.trace == pytest.approx(trace)
    assert noise_scale_from_workers(samples[:3], 1).trace == pytest.approx(trace)


@pytest.mark.parametrize(
    ("gradients", "size", "message"),
    [
        (np.ones((2, 4)), 8, "at least 3 workers"),
        (np.ones((5, 1, 4)), 8, "at least 2 workers"),
        (np.ones((1, 5, 4)), 8, "2 or more"),
        (np.ones(4), 8, "must be 2-D or 3-D"),
        (np.full((3, 4), np.nan), 8, "finite"),
        (np.ones((3, 4)), 0, "local_batch_size must be positive"),
        (np.ones((3, 4)), [8, 8], r"local_batch_size must be one a worker; got shape \(2,\)"),
        (np.ones((3, 4)), [8, 8, 8, 8], "local_batch_size must be one a worker; got 4 for 3 workers"),
        (np.ones((2, 3, 4)), [8, 8, 8], r"local_batch_size must be for 2 steps.* got shape \(3,\)"),
        (np.ones((2, 3, 4)), np.ones((2, 2)), r"step 0|one a worker; got shape \(2,\)"),
        (iter(np.ones((3, 3, 4))), [8, 8], "local_batch_size must be for every step; got 2"),
        (iter(np.ones((1, 5, 4))), 8, "2 or more; got 1"),
        (iter([]), 8, "2 or more; got 0"),
        (iter([np.ones((1, 4)), np.ones((1, 4))]), 8, "at least 2 workers; got 1"),
        (iter([iter([])]), 8, "at least 2 workers; got 0"),
    ],
)
def test_refusals(gradients, size, message):
    with pytest.raises(ValueError, match=message):
        noise_scale_from_workers(gradients, size)


def test_refusals_of_samples_and_words():
    with pytest.raises(ValueError, match="at least 4 samples; got 3"):
        noise_scale_from_samples(np.ones((3, 4)))
    with pytest.raises(ValueError, match="at least 4 samples; got 0"):
        noise_scale_from_samples(iter([]))
    with pytest.raises(ValueError, match="at least 3 samples; got 2"):
        noise_scale_from_samples(np.ones((2, 4)), groups=3)
    with pytest.raises(ValueError, match="must have one size; got 4 and 5"):
        noise_scale_from_samples(iter([np.ones(4), np.ones(5)]))
    with pytest.raises(ValueError, match=r"gradient 1 must be finite; .* the first inf at \[0\]"):
        noise_scale_from_samples(iter([np.ones(4), np.full(4, np.inf)]))
    with pytest.raises(ValueError, match="groups must be at least 3; got 2"):
        noise_scale_from_samples(np.ones((9, 4)), groups=2)
    with pytest.raises(ValueError, match='reduction must be "mean" or "sum"; got \'none\''):
        noise_scale_from_workers(np.ones((3, 4)), 8, reduction="none")


def test_noise_scales_of_a_run():
    models = [LocalModel([g, g], [4.0, 8.0], [1.0, 3.0]) for g in (1.0, 0.5)]
    np.testing.assert_allclose(noise_scales(models), [7.0, 28.0])
