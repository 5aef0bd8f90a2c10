"""Adam, step by step; its mean field against its parts and limits."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from lrbs import Adam, SignSGD, mean_field
from lrbs.laws.adam import (
    mean_update,
    momentum_square,
    second_average,
    second_moment,
    square_from_mean,
    square_update,
)
from lrbs.operators import Diagonal
from lrbs.rules import adamw_step


# ------------------------------------------------------------------------------------------- steps
def test_the_rule_takes_the_same_steps(rng):
    history = rng.standard_normal((9, 4))
    rule = Adam(0.7, 0.9)
    weights, state = np.zeros(4), Adam().init((4,))
    for t, gradient in enumerate(history):
        moved, state = adamw_step(weights, gradient, state, 0.1, rule)
        np.testing.assert_allclose(weights - moved, 0.1 * rule(history[: t + 1]), rtol=1e-12)
        weights = moved
    assert state.steps == 9


def test_a_coordinate_without_gradient_does_not_move():
    weights, state = adamw_step([1.0, 2.0], [0.0, 3.0], Adam().init((2,)), 0.1)
    assert weights == pytest.approx([1.0, 1.9])
    assert state.second[0] == 0


def test_decay_is_decoupled_from_the_averages():
    _, with_decay = adamw_step([5.0], [1.0], Adam().init((1,)), 0.1, weight_decay=0.5)
    _, without = adamw_step([5.0], [1.0], Adam().init((1,)), 0.1)
    assert with_decay.first == without.first
    assert with_decay.second == without.second
    weights, _ = adamw_step([5.0], [0.0], Adam().init((1,)), 0.1, weight_decay=0.5)
    assert weights == pytest.approx([4.75])


# -------------------------------------------------------------------------------------- mean field
def test_mean_square_symbolically():
    """11301.16 and 11301.19 are one formula, and its limits are those of 11301.17 and RMSProp."""
    g, v, b = sp.symbols("g v b", positive=True)
    c = (1 - b) / (1 + b)
    mean = g / sp.sqrt(g**2 + v)
    square = (g**2 + c * v) / (g**2 + v)
    assert sp.simplify(square - (2 * b / (1 + b) * mean**2 + c)) == 0
    assert sp.simplify(square.subs(b, 0)) == 1
    assert sp.simplify(square.subs(b, 1) - mean**2) == 0
    values = {g: 0.7, v: 2.0, b: 0.9}
    assert square_update(0.7, 2.0, 0.9) == pytest.approx(float(square.subs(values)))
    assert square_from_mean(float(mean.subs(values)), 0.9) == pytest.approx(float(square.subs(values)))
    assert mean_update(0.7, second_average(0.7, 2.0)) == pytest.approx(float(mean.subs(values)))


@given(beta1=st.floats(0.0, 0.99), size=st.floats(0.1, 1e4))
def test_coordinates_agree_with_the_mean_field_of_the_rule(beta1, size):
    gradient, variance = np.array([0.5, -2.0, 0.0]), np.array([3.0, 0.0, 1.0]) / size
    moments = mean_field(Adam(beta1, 0.95), gradient, Diagonal(variance))
    np.testing.assert_allclose(mean_update(gradient, second_average(gradient, variance)), moments.mean)
    full = moments.covariance.dense() + np.outer(moments.mean, moments.mean)
    np.testing.assert_allclose(square_update(gradient, variance, beta1), np.diag(full))
    np.testing.assert_allclose(second_moment(moments.mean, beta1), full, atol=1e-14)


@given(momentum=st.floats(0.0, 0.99))
def test_sign_of_an_average_agrees_with_the_mean_field_of_the_rule(momentum):
    gradient, variance = np.array([0.5, -2.0]), np.array([3.0, 1.0])
    closed = mean_update(gradient, momentum_square(gradient, variance, momentum))
    np.testing.assert_allclose(closed, mean_field(SignSGD(momentum), gradient, Diagonal(variance)).mean)


def test_second_average_at_finite_time():
    assert second_average(3.0, 7.0) == pytest.approx(16)
    assert second_average(3.0, 7.0, beta2=0.9, steps=2) == pytest.approx(16 * 0.19)


def test_nothing_moves_where_nothing_is():
    assert square_update([0.0, 1.0], [0.0, 0.0], 0.9) == pytest.approx([0, 1])
    assert mean_update([0.0, -1.0], [0.0, 1.0]) == pytest.approx([0, -1])


@pytest.mark.parametrize(
    "function", [lambda v: square_update(1.0, v, 0.9), lambda v: momentum_square(1.0, v, 0.9)]
)
def test_negative_variance_is_refused(function):
    with pytest.raises(ValueError, match=r"variance must not be negative; .* -2"):
        function([1.0, -2.0])
    with pytest.raises(ValueError, match=r"square must not be negative; .* -1"):
        mean_update(1.0, -1.0)
