"""Runs on a network whose batch follows the noise scale."""

import numpy as np
import pytest

from lrbs.lab import SoftmaxRegression, digits
from lrbs.lab.adaptive import adaptive_run
from lrbs.lab.noise import local_model
from lrbs.laws.schedules import noise_aware_lr


@pytest.fixture(scope="session")
def problem():
    network = SoftmaxRegression(64, 10)
    return network, network.initial_weights(0), digits(centred=True)[0].take(np.arange(80))


def test_ends_at_the_target_and_counts_samples(problem):
    run = adaptive_run(*problem, batch_size=lambda scale: 0.5 * scale, target_loss=1.0, rng=0, every=1)
    assert run.loss[-1] <= 1.0 < run.loss[-2]
    assert run.steps == len(run.loss) - 1
    assert run.examples == run.batch_size.sum()
    np.testing.assert_array_equal(run.batch_size, np.maximum(1, np.round(0.5 * run.noise_scale)))


def test_first_learning_rate_is_that_of_the_law(problem):
    network, weights, data = problem
    run = adaptive_run(*problem, batch_size=lambda scale: 7, target_loss=2.0, rng=0)
    model = local_model(network, weights, data)
    assert run.noise_scale[0] == pytest.approx(model.noise_scale)
    assert run.learning_rate[0] == pytest.approx(float(noise_aware_lr(7, model.max_lr, model.noise_scale)))


def test_exact_gradients_do_not_depend_on_the_seed(problem):
    runs = [
        adaptive_run(*problem, batch_size=lambda scale: np.inf, target_loss=1.0, rng=seed) for seed in (0, 1)
    ]
    np.testing.assert_array_equal(runs[0].loss, runs[1].loss)
    assert runs[0].examples == 0


def test_measures_the_noise_scale_now_and_then(problem):
    run = adaptive_run(*problem, batch_size=lambda scale: 4, target_loss=1.0, rng=0, every=3)
    assert run.steps > 4
    np.testing.assert_array_equal(run.noise_scale[:3], run.noise_scale[0])
    assert run.noise_scale[3] != run.noise_scale[0]


def test_gives_up(problem):
    with pytest.raises(RuntimeError, match="not reached in 3 steps"):
        adaptive_run(*problem, batch_size=lambda scale: 4, target_loss=1e-3, rng=0, max_steps=3)
    with pytest.raises(ValueError, match="target_loss must be positive"):
        adaptive_run(*problem, batch_size=lambda scale: 4, target_loss=0, rng=0)
