"""Several steps of SGD on a quadratic, against dense matrices and against the law of one step."""

import numpy as np
import pytest

import lrbs
from lrbs.checks.problems import dense_model


@pytest.fixture
def model(rng: np.random.Generator) -> lrbs.LocalModel:
    """Dense, with a Hessian that curves downwards along some directions."""
    base = dense_model(6, seed=3)
    hessian = base.hessian.dense() - 0.4 * np.eye(6)
    assert np.linalg.eigvalsh(hessian)[0] < 0
    return lrbs.LocalModel(base.gradient, base.covariance.dense(), hessian)


def dense_recursion(model, rule, size, rate, steps, primed):
    """Mean and covariance of (w, m) by matrices of 2N rows."""
    N, beta = model.size, rule.momentum
    H, g = model.hessian.dense(), model.gradient
    eye, noise = np.eye(N), model.covariance.dense() / size
    average = np.hstack([(1 - beta) * H, beta * eye])  # the next m of (w, m)
    move = np.vstack([np.hstack([eye, 0 * eye]) - rate * average, average])
    push = (1 - beta) * np.vstack([-rate * eye, eye])  # what a gradient does to (w, m)
    mean, covariance = np.zeros(2 * N), np.zeros((2 * N, 2 * N))
    if primed:
        mean[N:], covariance[N:, N:] = g, rule.noise_factor * noise
    for _ in range(steps):
        mean = move @ mean + push @ g
        covariance = move @ covariance @ move.T + push @ noise @ push.T
    w, C = mean[:N], covariance[:N, :N]
    return g @ w + w @ H @ w / 2 + np.trace(H @ C) / 2


@pytest.mark.parametrize("primed", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_against_dense_matrices(model, momentum, primed):
    rule, sizes, rates = lrbs.SGD(momentum), np.array([2.0, 50.0]), np.array([[0.05], [0.3], [0.9]])
    found = lrbs.laws.loss_after_steps(model, rule, sizes, rates, [0, 1, 2, 9], primed=primed)
    assert found.shape == (4, 3, 2)
    for k, steps in enumerate([0, 1, 2, 9]):
        for i, rate in enumerate(rates[:, 0]):
            for j, size in enumerate(sizes):
                expected = dense_recursion(model, rule, size, rate, steps, primed)
                assert found[k, i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_one_step_from_a_primed_average_is_the_law_of_one_step(model, momentum):
    rule, rates = lrbs.SGD(momentum), np.array([0.01, 0.1, 1.0])
    found = lrbs.laws.loss_after_steps(model, rule, 8, rates, 1, primed=True)
    np.testing.assert_allclose(found, lrbs.expected_step(model, rule, 8).loss_change(rates), rtol=1e-10)


def test_without_noise_many_steps_reach_the_minimum():
    model = dense_model(5, seed=1)
    H, g = model.hessian.dense(), model.gradient
    found = lrbs.laws.loss_after_steps(model, lrbs.SGD(0.5), 1e12, 0.2, 20_000)
    assert found == pytest.approx(-g @ np.linalg.solve(H, g) / 2, rel=1e-6)


def test_what_overflows_is_nan():
    model = lrbs.LocalModel([1.0], [1.0], [1.0])
    found = lrbs.laws.loss_after_steps(model, lrbs.SGD(), 4, [0.5, 50.0], 1000)
    assert np.isfinite(found[0]) and np.isnan(found[1])


def test_errors(model):
    with pytest.raises(TypeError, match="rule must be SGD"):
        lrbs.laws.loss_after_steps(model, lrbs.SignSGD(), 8, 0.1, 1)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        lrbs.laws.loss_after_steps(model, lrbs.SGD(), 0, 0.1, 1)
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        lrbs.laws.loss_after_steps(model, lrbs.SGD(), 8, -0.1, 1)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        lrbs.laws.loss_after_steps(model, lrbs.SGD(), 8, 0.1, [1, -1])
