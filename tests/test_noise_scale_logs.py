"""The noise scale from what is logged: two batch sizes, norms of momentum, update RMS; running averages."""

import numpy as np
import pytest

from lrbs.laws.update_rms import (
    expected_update_rms,
    momentum_norm,
    signal_from_momentum_ratio,
    signal_from_update_rms,
)
from lrbs.noise_scale import (
    RunningNoiseScale,
    noise_scale_from_momentum,
    noise_scale_from_samples,
    noise_scale_from_two_batches,
    noise_scale_from_update_rms,
    noise_scale_from_workers,
    two_batch_moments,
)


def test_two_batches_invert_the_expected_squares():
    """E|g_B|^2 = |g|^2 + tr(Sigma)/B, put in and taken out."""
    trace, square = 300.0, 2.0
    small, big = np.sqrt(square + trace / 16), np.sqrt(square + trace / 256)
    found = two_batch_moments(small, big, 16, 256)
    assert found == pytest.approx((trace, square))
    sums = two_batch_moments(16 * small, 256 * big, 16, 256, reduction="sum")
    assert sums == pytest.approx((trace, square))


def test_a_norm_of_zero_is_a_norm():
    """Nothing but noise of which a large batch has none; and no noise, no gradient."""
    assert two_batch_moments(0.5, 0.0, 1, 2) == pytest.approx((0.5, -0.25))
    assert two_batch_moments(0.0, 0.0, 1, 2) == (0, 0)


def test_the_shortest_log_that_is_read():
    """Nine memories: three stretches of three."""
    m = np.full(174, momentum_norm(2.0, 6.0, 0.9))
    estimate = noise_scale_from_momentum(m, np.full(174, np.sqrt(40.0)), 0.9, 10)
    assert estimate.trace == pytest.approx(360)
    assert estimate.freedom == 2


def test_two_batches_are_the_workers_when_one_is_the_mean_of_the_other(rng):
    """Root mean square over workers and norm of their mean hold the same as the workers do."""
    steps = 1 + rng.standard_normal((20, 6, 10))
    small = np.sqrt(np.mean(np.sum(steps**2, axis=-1), axis=1))
    big = np.linalg.norm(steps.mean(axis=1), axis=-1)
    two, workers = noise_scale_from_two_batches(small, big, 8, 48), noise_scale_from_workers(steps, 8)
    assert two.trace == pytest.approx(workers.trace)
    assert two.squared_gradient == pytest.approx(workers.squared_gradient)
    np.testing.assert_allclose(two.covariance, workers.covariance)
    assert two.freedom == pytest.approx(workers.freedom)


@pytest.mark.parametrize("decay", [1.0, 0.9, 0.5])
def test_running_averages_by_their_weights(decay, rng):
    pairs = np.array([5.0, 1.0]) + rng.standard_normal((25, 2))
    running = RunningNoiseScale(decay, unit="tokens")
    for pair in pairs:
        running.add(*pair)
    weights = decay ** np.arange(24, -1, -1.0)
    weights /= weights.sum()
    mean = weights @ pairs
    shares = np.sum(weights**2)
    # Reliability weights: the unbiased covariance, times the variance of a weighted mean.
    covariance = (pairs - mean).T @ np.diag(weights) @ (pairs - mean) / (1 - shares) * shares
    estimate = running.estimate
    np.testing.assert_allclose([estimate.trace, estimate.squared_gradient], mean)
    np.testing.assert_allclose(estimate.covariance, covariance)
    np.testing.assert_allclose(estimate.covariance, np.cov(pairs.T, aweights=weights) * shares)
    assert estimate.freedom == pytest.approx(1 / shares - 1)
    assert (running.steps, estimate.unit) == (25, "tokens")


def test_two_steps_have_a_spread():
    running = RunningNoiseScale()
    running.add(3.0, 1.0)
    running.add(5.0, 1.0)
    assert (running.estimate.trace, running.estimate.trace_se) == pytest.approx((4, 1))


def test_running_averages_are_stable():
    """A scatter of one on a level of a billion: running sums of squares would lose it."""
    running, far = RunningNoiseScale(0.99), RunningNoiseScale(0.99)
    for step in range(500):
        running.add(step % 2, 1.0)
        far.add(1e9 + step % 2, 1.0)
    np.testing.assert_allclose(far.estimate.covariance, running.estimate.covariance, rtol=1e-5, atol=1e-12)


def test_momentum_is_11267_13_on_mean_squares(rng):
    m, g = 1 + 0.2 * rng.random(400), 3 + 0.2 * rng.random(400)
    estimate = noise_scale_from_momentum(m, g, 0.9, 64)
    signal = signal_from_momentum_ratio(np.sqrt(np.mean(m**2) / np.mean(g**2)), 0.9)
    assert estimate.point_estimate == pytest.approx(64 / signal)
    # |mu|^2 and |sigma|^2 themselves: their sum is the mean square of a gradient.
    assert estimate.squared_gradient + estimate.trace / 64 == pytest.approx(np.mean(g**2))


def test_momentum_reads_what_the_law_puts_in():
    m = np.full(200, momentum_norm(2.0, 6.0, 0.8))
    estimate = noise_scale_from_momentum(m, np.full(200, np.sqrt(40.0)), 0.8, 10, unit="tokens")
    assert estimate.trace == pytest.approx(360)
    assert estimate.squared_gradient == pytest.approx(4)
    assert estimate.unit == "tokens"
    np.testing.assert_allclose(estimate.covariance, 0, atol=1e-20)


def test_update_rms_is_11267_9_on_the_mean_square(rng):
    rms = 0.4 + 0.05 * rng.random(400)
    level = np.sqrt(np.mean(rms**2))
    for beta2 in (None, 0.95):
        estimate = noise_scale_from_update_rms(rms, 0.9, 64, beta2=beta2)
        assert estimate.point_estimate == pytest.approx(64 / signal_from_update_rms(level, 0.9, beta2))
        assert (estimate.trace, estimate.trace_se) == (64, 0)
    there = noise_scale_from_update_rms(np.full(400, expected_update_rms(0.25, 0.9)), 0.9, 64)
    assert there.point_estimate == pytest.approx(256)


def test_a_thinned_log_needs_fewer_numbers_and_has_wider_errors(rng):
    log = 0.4 + 0.01 * rng.standard_normal(4000)
    all_of_it = noise_scale_from_update_rms(log, 0.9, 64)
    thinned = noise_scale_from_update_rms(log[::16], 0.9, 64, every=16)
    assert 2 < thinned.squared_gradient_se / all_of_it.squared_gradient_se < 8  # chance alone: 4
    assert noise_scale_from_update_rms(log[:12], 0.9, 64, every=16).resolved  # 3 stretches of 64 steps
    with pytest.raises(ValueError, match="at least 12 numbers"):
        noise_scale_from_update_rms(log[:11], 0.9, 64, every=16)
    with pytest.raises(ValueError, match="every must be at least 1"):
        noise_scale_from_update_rms(log, 0.9, 64, every=0)


def test_an_rms_at_the_level_of_noise_is_not_resolved(rng):
    estimate = noise_scale_from_update_rms(0.2294 + 0.003 * rng.standard_normal(400), 0.9, 64)
    assert not estimate.resolved
    low, high = estimate.interval()
    assert 64 < low < np.inf == high
    assert f"above {float(f'{low:.3g}'):g} samples" in str(estimate)


def test_stretches_are_longer_than_the_memory(rng):
    """Norms that keep their level for twenty steps: leaving out single steps would claim far less error."""
    levels = np.repeat(1 + 0.3 * rng.random(60), 20)
    estimate = noise_scale_from_momentum(levels, np.full(1200, 3.0), 0.9, 64)
    squares = levels.reshape(60, 20).mean(axis=1) ** 2
    assert estimate.squared_gradient_se == pytest.approx(
        np.std(squares, ddof=1) / np.sqrt(60) / (1 - 1 / 19), rel=0.4
    )
    assert estimate.freedom == 19


# ------------------------------------------------------------------------------------------ coverage
TRIALS = 400


def covered(estimates, true):
    """Share of 95 % intervals that hold the truth, and how many end."""
    inside = [low <= true <= high for low, high in (one.interval() for one in estimates)]
    return np.mean(inside), np.mean([one.resolved for one in estimates])


def within_binomial_error(share, level=0.95, slack=0.0):
    error = np.sqrt(level * (1 - level) / TRIALS)
    return abs(share - level) <= 4 * error + slack


def gradients(true, shape, rng):
    """Coordinates with unequal noise, |g| = 1 and tr(Sigma) = true."""
    variance = 1 / np.arange(1, 31) ** 0.5
    deviation = np.sqrt(true * variance / variance.sum())
    return np.full(30, 30**-0.5) + deviation * rng.standard_normal((*shape, 30))


@pytest.mark.parametrize(("true", "resolved"), [(20, 1.0), (400, 0.7), (4000, 0.03)])
def test_intervals_of_workers_and_two_batches_cover(true, resolved, rng):
    """8 workers of 8 samples, 30 steps: from a clear signal to one below its error."""
    steps = gradients(true / 8, (TRIALS, 30, 8), rng)
    workers = [noise_scale_from_workers(trial, 8) for trial in steps]
    share, seen = covered(workers, true)
    assert within_binomial_error(share)
    assert seen == pytest.approx(resolved, abs=0.08)
    small, big = np.linalg.norm(steps[:, :, 0], axis=-1), np.linalg.norm(steps.mean(axis=2), axis=-1)
    two = [noise_scale_from_two_batches(*pair, 8, 64) for pair in zip(small, big, strict=True)]
    assert within_binomial_error(covered(two, true)[0])


@pytest.mark.parametrize(("true", "slack"), [(20, 0.0), (200, 0.02), (2000, 0.05)])
def test_intervals_of_samples_cover_or_more(true, slack, rng):
    """The jackknife counts the square of the noise twice: on the safe side where that is all there is."""
    estimates = [noise_scale_from_samples(trial) for trial in gradients(true, (TRIALS, 400), rng)]
    share, _ = covered(estimates, true)
    assert within_binomial_error(share, slack=slack)
    assert share > 0.93


@pytest.mark.parametrize("signal", [0.5, 0.05])
def test_intervals_of_momentum_cover(signal, rng):
    """A log of 400 steps, ten memories of its average, at half and a twentieth of B_simple."""
    m, norms = np.zeros((TRIALS, 30)), []
    for step in range(500):
        batch = gradients(1 / signal, (TRIALS,), rng)
        m = 0.9 * m + 0.1 * batch
        if step >= 100:
            norms.append([np.linalg.norm(m, axis=1), np.linalg.norm(batch, axis=1)])
    logs = np.array(norms)
    estimates = [noise_scale_from_momentum(logs[:, 0, k], logs[:, 1, k], 0.9, 64) for k in range(TRIALS)]
    share, _ = covered(estimates, 64 / signal)
    assert within_binomial_error(share, slack=0.015)


# ------------------------------------------------------------------------------------------ refusals
def test_a_full_memory_says_that_more_steps_bring_nothing(rng):
    """Two memories of steps that do not resolve |g|^2; without forgetting more steps always help."""
    short, endless = RunningNoiseScale(decay=0.9), RunningNoiseScale()
    for step in range(20):
        assert step < 2 or step == 19 or "memory is full" not in short.estimate.note
        for running in (short, endless):
            running.add(1e4 + rng.standard_normal(), 0.1 + 5 * (-1) ** step)
    assert short.full and not endless.full
    assert not short.estimate.resolved
    assert "memory is full" in str(short) and "memory is full" not in str(endless)


def test_norms_the_wrong_way_round_or_of_a_sum(rng):
    """An average is shorter than what it averages; PyTorch's buffer, the sum, is never shorter."""
    gradients = 0.05 + rng.standard_normal((2000, 400))
    m, averages = np.zeros(400), []
    for g in gradients:
        m = 0.9 * m + 0.1 * g
        averages.append(np.linalg.norm(m))
    m, g = np.array(averages)[200:], np.linalg.norm(gradients, axis=1)[200:]
    low, high = noise_scale_from_momentum(m, g, 0.9, 8).interval()
    assert low < 8 / 0.05**2 < high
    for first, second in ((g, m), (10 * m, g), (g, g)):
        with pytest.raises(ValueError, match="in this order, and is the first of the average, 1 - momentum"):
            noise_scale_from_momentum(first, second, 0.9, 8)


def test_one_number_repeated_has_no_error_to_go_by():
    estimate = noise_scale_from_update_rms(np.full(400, 0.3), 0.9, 8)
    assert "one number at all steps" in str(estimate)
    level = np.sqrt(0.1 / 1.9)
    below = noise_scale_from_update_rms(level * (1 - np.linspace(0.1, 0.2, 400)), 0.9, 8)
    with pytest.raises(ValueError, match="without learning rate and weight decay"):
        below.simple_noise_scale  # noqa: B018


def test_refusals():
    steps = np.ones(400)
    for call, message in (
        (
            lambda: two_batch_moments(1.0, 1.0, 8, 8),
            "small_batch_size must be below big_batch_size; got 8 and 8",
        ),
        (lambda: two_batch_moments(-1.0, 1.0, 8, 64), "small_norm must not be negative; the smallest is -1"),
        (lambda: two_batch_moments(1.0, -1.0, 8, 64), "big_norm must not be negative"),
        (lambda: two_batch_moments(1.0, 1.0, 8, 64, reduction="none"), "reduction must be"),
        (lambda: noise_scale_from_two_batches([1.0, 2.0], [1.0], 8, 64), "of the same steps; got 2, 1"),
        (lambda: noise_scale_from_two_batches([1.0], [1.0], 8, 64), "2 steps or more; got 1"),
        (lambda: RunningNoiseScale(1.5), r"decay must be in \(0, 1\]; got 1.5"),
        (lambda: RunningNoiseScale(0.0), "decay must be positive"),
        (lambda: RunningNoiseScale().estimate, "2 steps or more; got 0"),
        (lambda: RunningNoiseScale().add(np.nan, 1.0), "trace must be finite"),
        (lambda: RunningNoiseScale().add(1.0, [1.0]), "squared_gradient must be a number"),
        (lambda: noise_scale_from_momentum(steps, steps[1:], 0.9, 8), "same steps; got 400, 399"),
        (lambda: noise_scale_from_momentum(steps[:170], 2 * steps[:170], 0.9, 8), "at least 174 numbers"),
        (
            lambda: noise_scale_from_momentum(2 * steps, steps, 0.9, 8),
            "in this order, and is the first of the average",
        ),
        (lambda: noise_scale_from_update_rms(steps, 0.9, 8), "rms must be below 1"),
        (lambda: noise_scale_from_update_rms(-steps, 0.9, 8), "update_rms must be positive"),
        (lambda: noise_scale_from_update_rms(steps / 2, 0.9, 0), "batch_size must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
