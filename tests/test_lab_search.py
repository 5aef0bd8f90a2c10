"""The search for the best learning rate, against brute force and against its own spread."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from lrbs.lab import TanhNetwork, batch_gradients, best_learning_rate, local_model, moment_controls

NETWORK = TanhNetwork(4, 3, 3)


@pytest.mark.parametrize("batch_size", [2, 8, 64])
@pytest.mark.parametrize("count", [20, 300])
def test_the_minimum_is_that_of_the_average_loss(data, weights, batch_size, count):
    updates = batch_gradients(NETWORK, weights, data, batch_size, count, rng=3)
    found = best_learning_rate(NETWORK, weights, data, updates)

    def average(rate):
        return NETWORK.loss(weights - rate * updates, data).mean()

    brute = minimize_scalar(average, bracket=(0, found.optimal_lr), options={"xtol": 1e-9})
    # The search stops well inside its standard error.
    assert abs(found.optimal_lr - brute.x) < 0.15 * found.optimal_lr_se
    assert found.loss_decrease == pytest.approx(NETWORK.loss(weights, data) - brute.fun, rel=0.01)


def test_without_noise_the_minimum_is_exact(data, weights):
    gradient = NETWORK.gradient(weights, data)
    found = best_learning_rate(NETWORK, weights, data, np.stack([gradient] * 2))
    step = 1e-4
    rates = found.optimal_lr + step * np.array([-1, 0, 1])
    losses = NETWORK.loss(weights - rates[:, None] * gradient, data)
    slope, curvature = (losses[2] - losses[0]) / (2 * step), (losses @ [1, -2, 1]) / step**2
    assert abs(slope / curvature) < 1e-4 * found.optimal_lr
    assert found.optimal_lr_se == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("controlled", [False, True])
def test_standard_errors_are_the_spread_over_repetitions(data, weights, controlled):
    model = local_model(NETWORK, weights, data)
    found = []
    for seed in range(60):
        updates = batch_gradients(NETWORK, weights, data, 16, 100, rng=seed)
        controls = moment_controls(model, updates, 16) if controlled else None
        found.append(best_learning_rate(NETWORK, weights, data, updates, controls=controls))
    rates = np.array([step.optimal_lr for step in found])
    claimed = np.sqrt(np.mean([step.optimal_lr_se**2 for step in found]))
    # A standard deviation of 60 has a relative error of 9 %.
    assert rates.std(ddof=1) == pytest.approx(claimed, rel=0.3)
    decreases = np.array([step.loss_decrease for step in found])
    claimed = np.sqrt(np.mean([step.loss_decrease_se**2 for step in found]))
    assert decreases.std(ddof=1) == pytest.approx(claimed, rel=0.35)


def test_controls_sharpen_without_a_bias(data, weights):
    model = local_model(NETWORK, weights, data)
    updates = batch_gradients(NETWORK, weights, data, 16, 1000, rng=9)
    controls = moment_controls(model, updates, 16)
    errors = controls.std(axis=0) / np.sqrt(1000)
    assert np.abs(controls.mean(axis=0) / errors).max() < 4
    plain = best_learning_rate(NETWORK, weights, data, updates)
    sharp = best_learning_rate(NETWORK, weights, data, updates, controls=controls)
    assert sharp.optimal_lr_se < plain.optimal_lr_se / 3
    assert abs(sharp.optimal_lr - plain.optimal_lr) < 4 * plain.optimal_lr_se


def test_the_start_does_not_matter(data, weights):
    updates = batch_gradients(NETWORK, weights, data, 8, 100, rng=3)
    usual = best_learning_rate(NETWORK, weights, data, updates)
    for factor in (0.01, 5):
        other = best_learning_rate(NETWORK, weights, data, updates, start=factor * usual.optimal_lr)
        assert abs(other.optimal_lr - usual.optimal_lr) < 0.15 * usual.optimal_lr_se


def test_errors_name_the_argument(data, weights):
    updates = batch_gradients(NETWORK, weights, data, 8, 10, rng=3)
    with pytest.raises(ValueError, match="updates must have shape"):
        best_learning_rate(NETWORK, weights, data, updates[:1])
    with pytest.raises(ValueError, match="updates must have shape"):
        best_learning_rate(NETWORK, weights, data, updates[:, :-1])
    with pytest.raises(ValueError, match="controls must have 10 rows"):
        best_learning_rate(NETWORK, weights, data, updates, controls=np.zeros((9, 1)))
    with pytest.raises(ValueError, match="updates must lower the loss"):
        best_learning_rate(NETWORK, weights, data, -updates)
    with pytest.raises(ValueError, match="start must be positive"):
        best_learning_rate(NETWORK, weights, data, updates, start=-1.0)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        moment_controls(local_model(NETWORK, weights, data), updates, 0)
