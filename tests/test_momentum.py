"""Momentum as a larger batch: multipliers symbolically, averaged rules against loops, many steps exactly."""

import math

import numpy as np
import pytest
import scipy.linalg
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import lrbs
from lrbs import SGD, Averaged, Lion, LocalModel, Muon, SignSGD, exact, mean_field, scalar_mean_field
from lrbs.laws.averaging import ema_weights
from lrbs.laws.momentum import (
    batch_multiplier,
    effective_batch_size,
    ema_batch_multiplier,
    lion_batch_multiplier,
    nesterov_batch_multiplier,
    sgdm_lr,
    stationary_variance,
)
from lrbs.operators import Diagonal

b, b1, b2 = sp.symbols("b b_1 b_2", positive=True)


def geometric(first, ratio):
    """Sum of squares of first, first * ratio, first * ratio^2, ..."""
    return first**2 / (1 - ratio**2)


def test_multipliers_symbolically():
    """1 / sum w^2 for weights that are geometric but for the newest."""
    heavy_ball = 1 / geometric(1 - b, b)
    assert sp.simplify(heavy_ball - (1 + b) / (1 - b)) == 0
    nesterov = 1 / ((b * (1 - b) + 1 - b) ** 2 + geometric(b**2 * (1 - b), b))
    assert sp.simplify(nesterov - (1 + b) / ((1 - b) * (1 + 2 * b - 2 * b**3))) == 0
    lion = 1 / ((1 - b1) ** 2 + geometric(b1 * (1 - b2), b2))
    assert ema_batch_multiplier(0.7) == pytest.approx(float(heavy_ball.subs(b, 0.7)))
    assert nesterov_batch_multiplier(0.7) == pytest.approx(float(nesterov.subs(b, 0.7)))
    assert lion_batch_multiplier(0.7, 0.95) == pytest.approx(float(lion.subs({b1: 0.7, b2: 0.95})))


def test_start_up_symbolically():
    t = sp.symbols("t", positive=True)
    gain, noise = 1 - b**t, (1 - b) ** 2 * (1 - b ** (2 * t)) / (1 - b**2)
    printed = (1 + b) / (1 - b) * (1 - b**t) / (1 + b**t)
    assert sp.simplify(gain**2 / noise - printed) == 0
    assert ema_batch_multiplier(0.9, 7) == pytest.approx(float(printed.subs({b: 0.9, t: 7})))


@given(momentum=st.floats(0.0, 0.95), steps=st.integers(1, 30))
def test_multipliers_of_weights(momentum, steps):
    assert batch_multiplier(ema_weights(momentum, steps)) == pytest.approx(
        ema_batch_multiplier(momentum, steps)
    )
    assert batch_multiplier(SGD(momentum, nesterov=True).weights(900)) == pytest.approx(
        nesterov_batch_multiplier(momentum)
    )
    assert batch_multiplier(Lion(momentum, 0.96).weights(900)) == pytest.approx(
        lion_batch_multiplier(momentum, 0.96)
    )
    scaled = batch_multiplier(7.5 * ema_weights(momentum, steps))
    assert scaled == pytest.approx(ema_batch_multiplier(momentum, steps))


def test_published_multipliers():
    assert ema_batch_multiplier(0.9) == pytest.approx(19)
    assert nesterov_batch_multiplier(0.9) == pytest.approx(14.16, abs=0.005)
    assert lion_batch_multiplier(0.9, 0.99) == pytest.approx(71.07, abs=0.005)


@pytest.mark.parametrize("rule", [SGD(), SignSGD(), Muon((2, 2))], ids=repr)
def test_averaged_rules_act_on_the_weighted_sum(rng, rule):
    history = rng.standard_normal((3, 9, 4))
    weights = rng.random(5)
    sums = sum(weights[k] * history[:, 8 - k] for k in range(5))
    if isinstance(rule, SGD):
        expected = sums
    elif isinstance(rule, SignSGD):
        expected = np.sign(sums)
    else:
        expected = np.stack([scipy.linalg.polar(x.reshape(2, 2))[0].ravel() for x in sums])
    np.testing.assert_allclose(Averaged(rule, weights)(history), expected, atol=1e-12)
    short = sum(weights[k] * history[:, 1 - k] for k in range(2))
    if isinstance(rule, SGD):
        np.testing.assert_allclose(Averaged(rule, weights)(history[:, :2]), short)


def test_the_sum_of_the_weights_does_not_count_as_noise():
    for weights in ([1.0, 1.0, 1.0, 1.0], [0.3, 0.3, 0.3, 0.3]):
        assert Averaged(SGD(), weights).noise_factor == pytest.approx(1 / 4)
    assert Averaged(SGD(), [6.0, 3.0]).noise_factor == pytest.approx(5 / 9)  # 4/9 + 1/9


@pytest.mark.parametrize("method", [exact, mean_field, scalar_mean_field])
@pytest.mark.parametrize("rule", [SGD, SignSGD])
def test_averaging_by_hand_is_momentum(rng, definite, rule, method):
    model = LocalModel(rng.standard_normal(3), definite(3), definite(3))
    by_weights = Averaged(rule(), ema_weights(0.8, 300))
    assert by_weights.horizon == 300
    assert by_weights.noise_factor == pytest.approx(rule(momentum=0.8).noise_factor)
    found = lrbs.expected_step(model, by_weights, [1.0, 10.0], method)
    expected = lrbs.expected_step(model, rule(momentum=0.8), [1.0, 10.0], method)
    np.testing.assert_allclose(found.alignment, expected.alignment)
    np.testing.assert_allclose(found.curvature, expected.curvature)


def test_an_average_that_has_just_started_is_short():
    noise = Diagonal([4.0, 9.0])
    moments = mean_field(Averaged(SGD(), ema_weights(0.8, 3)), np.array([1.0, -2.0]), noise)
    gain, kept = 1 - 0.8**3, 0.2**2 * (1 + 0.8**2 + 0.8**4)
    np.testing.assert_allclose(moments.mean, [gain, -2 * gain])
    np.testing.assert_allclose(moments.covariance.diagonal(), [4 * kept, 9 * kept])


def test_momentum_is_a_larger_batch_for_all_rules_of_one_average(rng, definite):
    model = LocalModel(rng.standard_normal(4), definite(4), definite(4))
    sizes = np.geomspace(0.1, 100, 7)
    for plain, averaged in ((SGD(), SGD(0.9)), (SignSGD(), SignSGD(0.9)), (Muon((2, 2)), Muon((2, 2), 0.9))):
        at_larger = lrbs.expected_step(model, plain, effective_batch_size(sizes, 0.9))
        with_momentum = lrbs.expected_step(model, averaged, sizes)
        np.testing.assert_allclose(with_momentum.optimal_lr, at_larger.optimal_lr)
        np.testing.assert_allclose(with_momentum.loss_decrease, at_larger.loss_decrease)
    sgd = lrbs.expected_step(model, SGD(0.9), sizes).optimal_lr
    np.testing.assert_allclose(sgdm_lr(sizes, model.max_lr, model.noise_scale, 0.9), sgd)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("learning_rate", [0.05, 0.7, 1.9])
def test_stationary_variance_solves_the_lyapunov_equation(momentum, learning_rate):
    """(m, w) is a linear recursion: its covariance V obeys V = A V A^T + noise."""
    curvature, noise = 1.3, 0.6
    learning_rate /= curvature
    A = np.array(
        [
            [momentum, (1 - momentum) * curvature],
            [-learning_rate * momentum, 1 - learning_rate * (1 - momentum) * curvature],
        ]
    )
    kick = (1 - momentum) * np.array([1.0, -learning_rate])
    V = scipy.linalg.solve_discrete_lyapunov(A, noise * np.outer(kick, kick))
    assert stationary_variance(curvature, learning_rate, noise, momentum) == pytest.approx(V[1, 1])


def test_momentum_widens_the_range_of_stable_learning_rates():
    assert stationary_variance(1.0, 30.0, 1.0, 0.9) > 0
    with pytest.raises(ValueError, match=r"learning_rate must be below 2 / curvature.*got up to 30"):
        stationary_variance(1.0, 30.0, 1.0)
    with pytest.raises(ValueError, match="learning_rate must be below 38 / curvature"):
        stationary_variance(1.0, 38.1, 1.0, 0.9)


def test_refusals():
    with pytest.raises(ValueError, match="rule must have no memory of its own; got SGD"):
        Averaged(SGD(0.9), [0.5, 0.5])
    with pytest.raises(ValueError, match="weights must be 1-D"):
        Averaged(SGD(), [[0.5, 0.5]])
    with pytest.raises(ValueError, match="weights must not sum to 0"):
        batch_multiplier([1.0, -1.0])
    with pytest.raises(ValueError, match=r"gradients must have shape \(..., steps, N\)"):
        Averaged(SGD(), [1.0])(np.ones(3))
    with pytest.raises(ValueError, match="momentum must be in"):
        nesterov_batch_multiplier(1.0)
    with pytest.raises(ValueError, match="beta2"):
        lion_batch_multiplier(0.9, math.nan)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        effective_batch_size(0.0, 0.9)
