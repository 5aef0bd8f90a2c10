"""Averages over time against loops, random histories and long sums."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbs import SGD, Lion
from lrbs.laws.averaging import (
    averaged_covariance,
    averaged_mean,
    ema_gain,
    ema_lag,
    ema_noise_factor,
    ema_step,
    ema_weights,
)

decays = st.floats(0.0, 0.99)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_weights_are_those_of_the_recursion(rng, decay):
    history = rng.standard_normal((12, 3))
    average = np.zeros(3)
    for value in history:
        average = ema_step(average, value, decay)
    by_hand = sum((1 - decay) * decay ** (11 - s) * history[s] for s in range(12))
    np.testing.assert_allclose(average, by_hand, atol=1e-14)
    np.testing.assert_allclose(averaged_mean(history, ema_weights(decay, 12)), by_hand, atol=1e-14)


def test_nesterov_and_lion_weights_are_those_of_their_recursions(rng):
    history = rng.standard_normal(40)
    m = lion_m = 0.0
    for g in history:
        m = 0.9 * m + 0.1 * g
        nesterov = 0.9 * m + 0.1 * g
        lion = 0.8 * lion_m + 0.2 * g  # the average of before this step
        lion_m = 0.97 * lion_m + 0.03 * g
    assert SGD(0.9, nesterov=True).weights(40) @ history[::-1] == pytest.approx(nesterov)
    assert Lion(0.8, 0.97).weights(40) @ history[::-1] == pytest.approx(lion)
    assert Lion(0.8, 0.97).weights(1) == pytest.approx([0.2])
    assert Lion(0.8, 0.97).weights(2) == pytest.approx([0.2, 0.8 * 0.03])


def test_covariances_of_matrices_add_with_squared_weights(rng, definite):
    covariances = np.stack([definite(3) for _ in range(5)])
    weights = rng.standard_normal(5)
    by_hand = sum(weights[4 - s] ** 2 * covariances[s] for s in range(5))
    np.testing.assert_allclose(averaged_covariance(covariances, weights), by_hand)
    np.testing.assert_allclose(
        averaged_covariance(np.einsum("sii->si", covariances), weights), np.diag(by_hand)
    )


@given(decay=decays, steps=st.integers(1, 60))
def test_gain_and_noise_factor_are_sums_of_weights(decay, steps):
    weights = ema_weights(decay, steps)
    assert ema_gain(decay, steps) == pytest.approx(weights.sum())
    assert ema_noise_factor(decay, steps) == pytest.approx(weights @ weights)


@given(decay=decays)
def test_the_limit_of_many_steps(decay):
    assert ema_gain(decay) == 1
    assert ema_noise_factor(decay) == pytest.approx((1 - decay) / (1 + decay))
    assert ema_noise_factor(decay, math.inf) == pytest.approx(ema_noise_factor(decay, 20_000))


def test_the_average_of_a_straight_line_lags_behind_it():
    line = 3.0 + 0.5 * np.arange(2000)
    assert averaged_mean(line, ema_weights(0.9, 2000)) == pytest.approx(line[-1] - 0.5 * ema_lag(0.9))
    assert ema_lag(0.9) == pytest.approx(9)
    assert ema_lag(0.0) == 0


@pytest.mark.parametrize("decay", [-0.1, 1.0, math.nan])
def test_decay_must_be_a_fraction(decay):
    for function in (ema_gain, ema_noise_factor, ema_lag, lambda b: ema_weights(b, 3)):
        with pytest.raises(ValueError, match="decay must be"):
            function(decay)


@pytest.mark.parametrize("steps", [0, -1, 2.5, math.nan])
def test_steps_must_be_whole(steps):
    with pytest.raises(ValueError, match="steps must be a whole number from 1 on, or inf"):
        ema_gain(0.9, steps)
    with pytest.raises(ValueError, match="steps must be"):
        ema_weights(0.9, steps)


def test_history_and_weights_must_have_one_length():
    with pytest.raises(ValueError, match=r"means must have 3 steps, one per weight; got shape \(2,\)"):
        averaged_mean([1.0, 2.0], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"covariances must have 1 steps.*got shape \(\)"):
        averaged_covariance(1.0, [0.1])
