"""Training and real batch gradients, against loops and in standard errors."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import Dataset, TanhNetwork, batch_gradients, local_model, sample_batches, train

NETWORK = TanhNetwork(4, 3, 3)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=20)
    return Dataset(rng.standard_normal((20, 4)) + labels[:, None], labels)


@pytest.fixture
def weights():
    return NETWORK.initial_weights(1)


def test_training_is_sgd(data, weights):
    path = train(NETWORK, weights, data, learning_rate=0.3, batch_size=5, steps=[0, 2, 7], rng=2)
    rng = np.random.default_rng(2)
    expected = [weights]
    for _ in range(7):
        batch = data.take(sample_batches(data, 5, (), rng))
        expected.append(expected[-1] - 0.3 * NETWORK.gradient(expected[-1], batch))
    np.testing.assert_allclose(path, [expected[0], expected[2], expected[7]], rtol=1e-12)
    last = train(NETWORK, weights, data, learning_rate=0.3, batch_size=5, steps=7, rng=2)
    np.testing.assert_array_equal(last, path[-1])


@pytest.mark.parametrize("rule", [lrbs.Adam(0.8, 0.9), lrbs.SignSGD(0.5), lrbs.Muon((9, 3), 0.7)])
def test_any_rule_trains(data, weights, rule):
    path = train(NETWORK, weights, data, rule=rule, learning_rate=0.02, batch_size=5, steps=[1, 6], rng=2)
    rng, current, gradients, expected = np.random.default_rng(2), weights, [], []
    for _ in range(6):
        batch = data.take(sample_batches(data, 5, (), rng))
        gradients.append(NETWORK.gradient(current, batch))
        current = current - 0.02 * rule(np.array(gradients))
        expected.append(current)
    np.testing.assert_allclose(path, [expected[0], expected[5]], rtol=1e-9)


def test_a_replica_that_overflows_is_nan_and_alone(data, weights):
    rates = np.array([0.1, 1e308])
    both = train(NETWORK, weights, data, learning_rate=rates, batch_size=3, steps=[0, 4], rng=3, streams=())
    alone = train(NETWORK, weights, data, learning_rate=0.1, batch_size=3, steps=4, rng=3)
    np.testing.assert_allclose(both[1, 0], alone, rtol=1e-12)
    assert np.isnan(both[1, 1]).all() and np.isfinite(both[0]).all()


def test_training_leaves_the_start_alone_and_lowers_the_loss(data, weights):
    before = weights.copy()
    after = train(NETWORK, weights, data, learning_rate=0.3, batch_size=10, steps=200, rng=0)
    np.testing.assert_array_equal(weights, before)
    assert NETWORK.loss(after, data) < 0.5 * NETWORK.loss(weights, data)


def test_replicas_on_common_batches_equal_a_loop(data, weights):
    rates = np.array([0.1, 0.5])
    settings = {"batch_size": 3, "steps": 5, "rng": 4}
    together = train(NETWORK, weights, data, learning_rate=rates, streams=(), **settings)
    alone = [train(NETWORK, weights, data, learning_rate=rate, **settings) for rate in rates]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_streams_say_which_replicas_share_batches(data, weights):
    start = np.broadcast_to(weights, (3, NETWORK.size))
    rates = np.full((2, 1), 0.2)
    settings = {"learning_rate": rates, "batch_size": 2, "steps": [4], "rng": 5}
    by_seed = train(NETWORK, start, data, streams=(3,), **settings)
    assert by_seed.shape == (1, 2, 3, NETWORK.size)
    np.testing.assert_array_equal(by_seed[0, 0], by_seed[0, 1])
    assert (by_seed[0, 0, 0] != by_seed[0, 0, 1]).any()
    own = train(NETWORK, start, data, **settings)[0]
    assert (own[0] != own[1]).any()


def test_errors_of_training(data, weights):
    settings = {"batch_size": 2, "steps": 3, "rng": 0}
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        train(NETWORK, weights, data, learning_rate=0.0, **settings)
    with pytest.raises(ValueError, match="learning_rate must broadcast with the replicas"):
        train(NETWORK, np.stack([weights] * 3), data, learning_rate=[0.1, 0.2], **settings)
    with pytest.raises(ValueError, match="streams must broadcast to the replica axes"):
        train(NETWORK, weights, data, learning_rate=0.1, streams=(2,), **settings)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        train(NETWORK, weights, data, learning_rate=0.1, **settings | {"steps": [1, -1]})
    with pytest.raises(ValueError, match="steps must be an integer"):
        train(NETWORK, weights, data, learning_rate=0.1, **settings | {"steps": 1.5})
    with pytest.raises(ValueError, match="steps must hold at least one"):
        train(NETWORK, weights, data, learning_rate=0.1, **settings | {"steps": []})


def test_the_local_model_is_that_of_the_population(data, weights):
    model = local_model(NETWORK, weights, data)
    gradients = NETWORK.per_sample_gradients(weights, data)
    np.testing.assert_allclose(model.gradient, NETWORK.gradient(weights, data), atol=1e-15)
    sigma = np.cov(gradients, rowvar=False, bias=True)
    np.testing.assert_allclose(model.covariance.dense(), sigma, atol=1e-15)
    hessian, g = NETWORK.hessian(weights, data), model.gradient
    assert model.noise_scale == pytest.approx(np.trace(sigma @ hessian) / (g @ hessian @ g))
    assert model.simple_noise_scale == pytest.approx(np.trace(sigma) / (g @ g))
    # The unbiased estimate from the same gradients is larger by n/(n-1).
    estimate = lrbs.LocalModel.from_samples(gradients, hessian)
    assert estimate.noise_scale == pytest.approx(model.noise_scale * 20 / 19)
    products = local_model(NETWORK, weights, data, dense=False)
    assert products.noise_scale == pytest.approx(model.noise_scale, rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_batch_gradients_have_mean_g_and_covariance_sigma_over_b(data, weights, batch_size):
    count = 20_000
    gradients = batch_gradients(NETWORK, weights, data, batch_size, count, rng=6)
    assert gradients.shape == (count, NETWORK.size)
    model = local_model(NETWORK, weights, data)
    # In the eigenbasis of the noise, so that correlations count too.
    values, basis = np.linalg.eigh(model.noise(batch_size).dense())
    kept = values > 1e-12 * values.max()
    scores = (gradients - model.gradient) @ basis[:, kept] / np.sqrt(values[kept])
    assert np.abs(scores.mean(axis=0)).max() < 4 / np.sqrt(count)
    products = scores[:, :, None] * scores[:, None, :]
    error = products.mean(axis=0) - np.eye(kept.sum())
    # Several hundred entries are looked at: 4.5 standard errors for the largest.
    assert np.abs(error / (products.std(axis=0) / np.sqrt(count))).max() < 4.5


def test_both_ways_to_batch_gradients_agree(data, weights, monkeypatch):
    fast = batch_gradients(NETWORK, weights, data, 6, (5, 4), rng=7)
    assert fast.shape == (5, 4, NETWORK.size)
    monkeypatch.setattr("lrbs.lab.noise._SAMPLES", 0)
    direct = batch_gradients(NETWORK, weights, data, 6, (5, 4), rng=7)
    np.testing.assert_allclose(fast, direct, atol=1e-15)
    monkeypatch.setattr("lrbs.lab.noise._CHUNK", 1000)
    assert batch_gradients(NETWORK, weights, data, 6, 9, rng=7).shape == (9, NETWORK.size)
    one = data.take(sample_batches(data, 6, (1,), 7)[0])
    np.testing.assert_allclose(fast[0, 0], NETWORK.gradient(weights, one), atol=1e-15)


def test_errors_of_batch_gradients(data, weights):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        batch_gradients(NETWORK, weights, data, 0, 3, rng=0)
    with pytest.raises(ValueError, match="batches must be at least 1"):
        batch_gradients(NETWORK, weights, data, 2, 0, rng=0)
    with pytest.raises(ValueError, match="weights must be 1-D"):
        batch_gradients(NETWORK, weights[None], data, 2, 3, rng=0)
