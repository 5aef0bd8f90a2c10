"""Chains of updates at frozen weights: their moments against closed forms, and the plain way to make them."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import SoftmaxRegression, TanhNetwork, batch_gradients, local_model, stationary_updates

NETWORK = TanhNetwork(4, 3, 3)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_updates_are_those_of_the_rules_on_the_stream(data, weights, batch_size):
    """Batches of 1 are added up sparsely, batches of 64 are not: gradients are the same either way."""
    rules = [lrbs.SGD(), lrbs.Adam(beta1=0.5, beta2=0.8), lrbs.SignSGD(momentum=0.7)]
    found = stationary_updates(
        NETWORK, weights, data, rules, batch_size, runs=3, updates=4, every=2, burn_in=5, rng=7
    )
    rng = np.random.default_rng(7)
    steps = [rng.integers(40, size=(3, batch_size)) for _ in range(5 + 1 + 3 * 2)]
    stream = np.stack([NETWORK.gradient(weights, data.take(places)) for places in steps], axis=1)
    for rule, updates in zip(rules, found, strict=True):
        expected = [rule(stream[:, : 6 + 2 * kept]) for kept in range(4)]
        np.testing.assert_allclose(updates, np.stack(expected, axis=1), atol=1e-12)


def test_momentum_is_stationary_after_its_horizon(data, weights):
    """SGD with momentum has exact moments: mean g, and (1 - b)/(1 + b) of the noise."""
    model, rule, size = local_model(NETWORK, weights, data), lrbs.SGD(momentum=0.8), 4
    (updates,) = stationary_updates(
        NETWORK, weights, data, [rule], size, runs=400, updates=25, every=6, rng=1
    )
    step = lrbs.step_from_updates(updates, model.gradient, model.hessian)
    exact = lrbs.expected_step(model, rule, size, lrbs.exact)
    assert abs(step.alignment - exact.alignment) < 4 * step.alignment_se
    assert abs(step.curvature - exact.curvature) < 4 * step.curvature_se
    assert step.curvature_se < 0.05 * exact.curvature


def test_errors_know_that_updates_of_one_run_are_alike(data, weights):
    """Taken every step, 20 updates of one run say little more than one: the spread over runs shows it."""
    model, rules = local_model(NETWORK, weights, data), [lrbs.SGD(momentum=0.95)]
    pairs = []
    for seed in range(60):
        (updates,) = stationary_updates(NETWORK, weights, data, rules, 4, runs=16, updates=20, rng=seed)
        step = lrbs.step_from_updates(updates, model.gradient, model.hessian)
        pairs.append((float(step.alignment), float(step.alignment_se)))
    found, told = np.array(pairs).T
    assert np.sqrt(np.mean(told**2)) == pytest.approx(found.std(ddof=1), rel=0.3)


def test_the_fall_back_for_large_networks_draws_the_same(data, weights, monkeypatch):
    whole = batch_gradients(NETWORK, weights, data, 5, (3, 4), rng=3)
    monkeypatch.setattr("lrbs.lab.noise._SAMPLES", 1)
    np.testing.assert_allclose(batch_gradients(NETWORK, weights, data, 5, (3, 4), rng=3), whole, atol=1e-12)


def test_bad_input_is_refused(data, weights):
    with pytest.raises(ValueError, match="runs"):
        stationary_updates(NETWORK, weights, data, [lrbs.SGD()], 4, runs=0, updates=1, rng=0)
    with pytest.raises(ValueError, match="burn_in"):
        stationary_updates(NETWORK, weights, data, [lrbs.SGD()], 4, runs=2, updates=1, burn_in=-1, rng=0)
    with pytest.raises(ValueError, match="weights"):
        stationary_updates(SoftmaxRegression(4, 3), weights, data, [lrbs.SGD()], 4, runs=2, updates=1, rng=0)
