"""The two scaling rules and the noise of one increment: what they keep, units, and what is refused."""

import numpy as np
import pytest

from lrbs import LocalModel
from lrbs.laws import linear_rule, square_root_rule
from lrbs.laws.scaling import (
    effective_temperature,
    increment_covariance,
    noise_cost,
    noise_strength,
    rms_update_length,
    signal_to_noise,
    update_length,
)


@pytest.fixture
def model(definite, rng) -> LocalModel:
    return LocalModel(rng.standard_normal(5), definite(5), definite(5))


def test_rules_for_a_batch_sixteen_times_as_large():
    assert square_root_rule(0.1, 16) == pytest.approx(0.4)
    assert linear_rule(0.1, 16) == pytest.approx(1.6)
    np.testing.assert_allclose(linear_rule([0.1, 0.2], 0.5), [0.05, 0.1])


@pytest.mark.parametrize("growth", [0.25, 1.0, 7.0, 1000.0])
def test_each_rule_keeps_what_it_is_for(model, growth):
    before = increment_covariance(model, 8, 0.1).dense()
    eta = float(square_root_rule(0.1, growth))
    np.testing.assert_allclose(increment_covariance(model, 8 * growth, eta).dense(), before)
    assert effective_temperature(8 * growth, linear_rule(0.1, growth)) == pytest.approx(0.1 / 8)


def test_rules_are_inverted_by_shrinking_the_batch():
    for rule in (square_root_rule, linear_rule):
        assert rule(rule(0.3, 5.0), 1 / 5.0) == pytest.approx(0.3)


def test_increment_covariance_keeps_the_structure():
    model = LocalModel([1.0, 2.0], [4.0, 9.0], [1.0, 1.0])
    covariance = increment_covariance(model, 2, 0.1)
    assert type(covariance).__name__ == "Diagonal"
    np.testing.assert_allclose(covariance.diagonal(), [0.02, 0.045])
    assert noise_strength(model, 2, 0.1) == pytest.approx(np.hypot(0.02, 0.045))


def test_noise_strength_is_the_frobenius_norm(model):
    expected = 0.3**2 / 7 * np.linalg.norm(model.covariance.dense())
    assert noise_strength(model, 7, 0.3) == pytest.approx(expected)


def test_signal_equals_noise_at_b_simple(model):
    assert signal_to_noise(model, model.simple_noise_scale) == pytest.approx(1)
    np.testing.assert_allclose(signal_to_noise(model, [1.0, 100.0])[1] / signal_to_noise(model, 1.0), 10)


def test_noise_cost_equals_the_gain_at_twice_the_best_learning_rate(model):
    """Per unit of eta a step gains ||g||^2 - eta/2 g^T H g and loses half of the cost."""
    eta = 2 * model.max_lr / (1 + model.noise_scale / 6)
    gain = model.squared_gradient - eta / 2 * model.gradient_curvature - noise_cost(model, 6, eta) / 2
    assert gain == pytest.approx(0, abs=1e-12)
    dense = np.trace(model.covariance.dense() @ model.hessian.dense())
    assert noise_cost(model, 5, 0.2) == pytest.approx(0.2 / 5 * dense)


def test_noise_cost_for_equal_curvatures():
    model = LocalModel([1.0, 1.0], [4.0, 9.0], [2.5, 2.5])
    assert noise_cost(model, 2, 0.1) == pytest.approx(0.1 * 2.5 / 2 * 13)


def test_update_length():
    assert update_length(0.5, [3.0, 4.0]) == 2.5
    assert update_length(0.5, np.ones((7, 4))).shape == (7,)


def test_rms_length_from_signal_and_noise(model):
    g2, trace = model.gradient @ model.gradient, model.covariance.trace()
    assert rms_update_length(model, 4, 0.1) == pytest.approx(0.1 * np.sqrt(g2 + trace / 4))
    assert rms_update_length(model, 1e15, 0.1) == pytest.approx(update_length(0.1, model.gradient))


@pytest.mark.parametrize("rule", [square_root_rule, linear_rule])
@pytest.mark.parametrize("arguments", [(0.0, 2.0), (-1.0, 2.0), (0.1, 0.0), (np.nan, 2.0)])
def test_refusals(rule, arguments):
    with pytest.raises(ValueError, match=r"learning_rate|growth"):
        rule(*arguments)


def test_batch_sizes_must_be_positive(model):
    for function in (increment_covariance, noise_strength, noise_cost, rms_update_length):
        with pytest.raises(ValueError, match="batch_size must be positive"):
            function(model, 0, 0.1)
        with pytest.raises(ValueError, match="learning_rate must be positive"):
            function(model, 1, 0)
