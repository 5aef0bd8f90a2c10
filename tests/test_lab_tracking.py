"""Runs under observation, against local models, the rules themselves and plain training."""

import numpy as np
import pytest

from lrbs import SGD, Adam
from lrbs.lab import SoftmaxRegression, TanhNetwork, digits, local_model
from lrbs.lab.tracking import follow, noise_path


@pytest.fixture(scope="session")
def problem():
    network = TanhNetwork(64, 4, 10)
    return network, network.initial_weights(0), digits(centred=True)[0].take(np.arange(60))


def test_noise_path_against_the_whole_model(problem, rng):
    network, start, data = problem
    points = np.stack([start, start + 0.3 * rng.standard_normal(start.size)])
    path = noise_path(network, points, data, directions=2000, rng=0)
    assert np.abs(path.noise_curvature_se / path.noise_curvature).max() < 0.05
    for k, point in enumerate(points):
        model = local_model(network, point, data)
        for name in ("simple_noise_scale", "max_lr", "max_loss_decrease"):
            assert getattr(path, name)[k] == pytest.approx(getattr(model, name))
        assert path.loss[k] == pytest.approx(float(network.loss(point, data)))
        assert abs(path.noise_scale[k] - model.noise_scale) < 4 * path.noise_scale_se[k]


def test_standard_errors_of_the_noise_scale_are_honest(problem):
    network, start, data = problem
    paths = [noise_path(network, start[None], data, directions=20, rng=seed) for seed in range(100)]
    found = np.array([path.noise_scale[0] for path in paths])
    claimed = np.mean([path.noise_scale_se[0] ** 2 for path in paths])
    assert found.var(ddof=1) == pytest.approx(claimed, rel=0.5)
    exact = local_model(network, start, data).noise_scale
    assert abs(found.mean() - exact) < 4 * found.std(ddof=1) / 10


def test_where_the_loss_curves_downwards_there_is_no_noise_scale():
    network = TanhNetwork(64, 4, 10)
    data = digits()[0].take(np.arange(10))
    rng = np.random.default_rng(1)
    for _ in range(200):
        point = 2 * rng.standard_normal(network.size)
        path = noise_path(network, point[None], data, directions=2, rng=0)
        if path.gradient_curvature[0] < 0:
            break
    assert path.gradient_curvature[0] < 0
    assert np.isnan([path.noise_scale[0], path.max_lr[0], path.max_loss_decrease[0]]).all()
    assert path.simple_noise_scale[0] > 0


@pytest.mark.parametrize("rule", [SGD(), SGD(momentum=0.8), Adam(0.9, 0.99)])
def test_log_against_the_rule_on_the_gradients(problem, rule):
    """The run again, with the rule applied to the whole history at every step."""
    network, start, data = problem
    log = follow(network, start, data, rule=rule, learning_rate=0.01, batch_size=6, moments=[0, 3, 7], rng=5)
    rng, w, gradients = np.random.default_rng(5), start.copy(), []
    beta = rule.beta1 if isinstance(rule, Adam) else rule.momentum
    for step in range(7):
        if step in (0, 3):
            np.testing.assert_allclose(log.weights[step // 3], w)
        halves = [network.gradient(w, data.take(places)) for places in rng.integers(len(data), size=(2, 3))]
        gradients.append(np.mean(halves, axis=0))
        update = rule(np.array(gradients))
        average = SGD(beta)(np.array(gradients)) / (1 - beta ** (step + 1))
        assert log.gradient_norms[step] == pytest.approx(np.linalg.norm(gradients[-1]))
        assert log.half_norms[step] == pytest.approx(np.sqrt(np.mean(np.sum(np.square(halves), axis=1))))
        assert log.momentum_norms[step] == pytest.approx(np.linalg.norm(average))
        assert log.update_rms[step] == pytest.approx(np.sqrt(np.mean(update**2)))
        w = w - 0.01 * update
    np.testing.assert_allclose(log.weights[-1], w)
    assert log.weights.shape == (3, network.size)
    assert len(log.update_rms) == 7


def test_refusals(problem):
    network, start, data = problem
    options = {"rule": SGD(), "learning_rate": 0.1, "batch_size": 4, "moments": [2], "rng": 0}
    for change, message in (
        ({"batch_size": 5}, "batch_size must be even, for two halves; got 5"),
        ({"batch_size": 0}, "batch_size must be at least 2"),
        ({"moments": [3, 2]}, "moments must be increasing integers"),
        ({"moments": [-1, 2]}, "moments must not be negative; got -1"),
        ({"moments": [0.5]}, "moments must be increasing integers"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            follow(network, start, data, **{**options, **change})
    with pytest.raises(ValueError, match="directions must be at least 2"):
        noise_path(network, start[None], data, directions=1, rng=0)


def test_divergence_is_told():
    network = SoftmaxRegression(64, 10)
    data = digits()[0].take(np.arange(20))
    with pytest.raises(FloatingPointError, match=r"diverged at step [0-9]+: learning_rate"):
        follow(
            network,
            np.zeros(network.size),
            data,
            rule=SGD(),
            learning_rate=1.7e308,
            batch_size=2,
            moments=[40],
            rng=0,
        )
