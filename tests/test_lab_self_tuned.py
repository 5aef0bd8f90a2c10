"""SGD that follows its own estimate of the noise scale."""

import numpy as np
import pytest

from lrbs.lab import TanhNetwork, digits, local_model
from lrbs.lab.self_tuned import self_tuned_run
from lrbs.laws.schedules import noise_aware_lr


@pytest.fixture(scope="session")
def problem():
    network = TanhNetwork(64, 4, 10)
    return network, network.initial_weights(0), digits(centred=True)[0].take(np.arange(60))


def test_self_tuned_run_first_steps(problem):
    network, start, data = problem
    run = self_tuned_run(
        network, start, data, batch_size=lambda scale: 0.5 * scale, max_lr=0.5, target_loss=0.01, rng=3,
        start=40.0, max_steps=30,
    )  # fmt: skip
    assert not run.arrived
    assert run.steps == 30
    assert run.noise_scale[0] == run.noise_scale[2] == 40
    assert run.noise_scale[-1] != 40
    np.testing.assert_array_equal(run.batch_size, 2 * np.maximum(1, np.round(0.25 * run.noise_scale)))
    assert run.examples == run.batch_size.sum()


def test_self_tuned_run_takes_the_steps_of_the_law(problem):
    network, start, data = problem
    short = self_tuned_run(
        network,
        start,
        data,
        batch_size=lambda scale: 8,
        max_lr=0.5,
        target_loss=2.0,
        rng=3,
        start=24.0,
        every=1,
    )
    assert short.arrived
    rng, w = np.random.default_rng(3), start.copy()
    for step in range(short.steps):
        assert network.loss(w, data) > 2.0
        batch = data.take(rng.integers(len(data), size=(2, 4)).reshape(-1))
        rate = noise_aware_lr(8, 0.5, short.noise_scale[step])
        w = w - rate * network.gradient(w, batch)
    assert network.loss(w, data) <= 2.0


def test_estimate_on_the_way_is_right_where_nothing_moves(problem):
    """With a vanishing learning rate the running estimate is of one point; 400 steps, all weighed alike."""
    network, start, data = problem
    run = self_tuned_run(
        network, start, data, batch_size=lambda scale: 16, max_lr=1e-12, target_loss=0.01, rng=0, decay=1.0,
        max_steps=400,
    )  # fmt: skip
    exact = local_model(network, start, data, dense=False).simple_noise_scale
    assert run.noise_scale[-1] == pytest.approx(exact, rel=0.15)


def test_refusals(problem):
    options = {"batch_size": lambda scale: 4, "max_lr": 1.0, "target_loss": 0.1, "rng": 0}
    for change, message in (
        ({"target_loss": 0}, "target_loss must be positive"),
        ({"max_lr": -1}, "max_lr must be positive"),
        ({"start": 0}, "start must be positive"),
        ({"every": 0}, "every must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            self_tuned_run(*problem, **{**options, **change})
