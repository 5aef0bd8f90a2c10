"""The networks' derivatives against complex steps, finite differences, closed forms and scikit-learn."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from lrbs.lab import Dataset, SoftmaxRegression, TanhNetwork

NETWORKS = [SoftmaxRegression(5, 3), TanhNetwork(5, 4, 3), TanhNetwork(5, (4, 3), 3)]


@pytest.fixture(params=NETWORKS, ids=lambda network: f"{len(network.widths) - 1} layers")
def network(request):
    return request.param


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return Dataset(rng.standard_normal((11, 5)), rng.integers(3, size=11))


@pytest.fixture
def weights(network):
    return network.initial_weights(1) + 0.3 * np.random.default_rng(2).standard_normal(network.size)


def plain_loss(network, weights, data):
    """The loss written sample by sample; takes complex weights too."""
    matrices = []
    start = 0
    for inputs, outputs in zip(network.widths, network.widths[1:], strict=False):
        matrix = weights[start : start + outputs * inputs].reshape(outputs, inputs)
        start += outputs * inputs
        matrices.append((matrix, weights[start : start + outputs]))
        start += outputs
    assert start == network.size
    total = 0
    for x, label in zip(data.features, data.labels, strict=True):
        for i, (matrix, biases) in enumerate(matrices):
            x = np.tanh(x) if i else x
            x = matrix @ x + biases
        total -= x[label] - np.log(np.sum(np.exp(x)))
    return total / len(data.labels)


def complex_step_gradient(network, weights, data):
    step = 1e-30
    units = np.eye(network.size)
    return np.array([plain_loss(network, weights + 1j * step * unit, data).imag for unit in units]) / step


def test_the_tanh_network_of_the_book_has_1210_weights():
    network = TanhNetwork(inputs=64, hidden=16, classes=10)
    assert network.size == 1210
    assert network.shapes == {"W1": (16, 64), "b1": (16,), "W2": (10, 16), "b2": (10,)}
    assert network.slices["W2"] == slice(1040, 1200)


def test_unpacking_gives_views_of_every_weight_once(network):
    weights = np.zeros((2, network.size))
    for array in network.unpack(weights).values():
        array += 1
    np.testing.assert_array_equal(weights, 1)


def test_initial_weights_have_the_stated_variance():
    network = TanhNetwork(50, 40, 10)
    parts = network.unpack(network.initial_weights(0, (20,)))
    assert parts["W1"].shape == (20, 40, 50)
    assert parts["W1"].var() == pytest.approx(1 / 50, rel=0.03)
    assert parts["W2"].var() == pytest.approx(1 / 40, rel=0.05)
    assert not parts["b1"].any() and not parts["b2"].any()


def test_loss_against_the_plain_sum_and_scikit_learn(network, weights, data):
    assert network.loss(weights, data) == pytest.approx(plain_loss(network, weights, data), rel=1e-13)
    x = data.features
    parts = network.unpack(weights)
    for i in range(1, len(network.widths)):
        x = (np.tanh(x) if i > 1 else x) @ parts[f"W{i}"].T + parts[f"b{i}"]
    assert network.loss(weights, data) == pytest.approx(log_loss(data.labels, softmax(x, axis=1)), rel=1e-10)
    assert network.accuracy(weights, data) == np.mean(x.argmax(axis=1) == data.labels)


def test_loss_of_huge_logits_does_not_overflow():
    network = SoftmaxRegression(1, 2)
    weights = np.array([1e4, -1e4, 0, 0])
    assert network.loss(weights, Dataset([[1.0]], [1])) == pytest.approx(2e4)
    expected = -log_softmax([1e4, -1e4])[0]
    assert network.loss(weights, Dataset([[1.0]], [0])) == expected


def test_gradient_against_the_complex_step(network, weights, data):
    np.testing.assert_allclose(
        network.gradient(weights, data), complex_step_gradient(network, weights, data), rtol=1e-12, atol=1e-15
    )


def test_per_sample_gradients_are_gradients_of_single_samples(network, weights, data):
    samples = network.per_sample_gradients(weights, data)
    assert samples.shape == (11, network.size)
    np.testing.assert_allclose(samples.mean(axis=0), network.gradient(weights, data), rtol=1e-12, atol=1e-16)
    third = Dataset(data.features[[3]], data.labels[[3]])
    expected = complex_step_gradient(network, weights, third)
    np.testing.assert_allclose(samples[3], expected, rtol=1e-12, atol=1e-15)


def test_hessian_vector_product_against_differences_of_the_gradient(network, weights, data):
    rng = np.random.default_rng(3)
    for vector in rng.standard_normal((3, network.size)):
        # The five-point stencil: its error is of order step^4.
        step = 1e-4
        far_behind, behind, ahead, far_ahead = (
            network.gradient(weights + i * step * vector, data) for i in (-2, -1, 1, 2)
        )
        difference = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * step)
        product = network.hessian_vector_product(weights, data, vector)
        np.testing.assert_allclose(product, difference, rtol=1e-9, atol=1e-10)


def test_hessian_products_are_symmetric_without_being_made_so(network, weights, data):
    products = network.hessian_vector_product(weights, data, np.eye(network.size))
    np.testing.assert_allclose(products, products.T, atol=1e-15)
    hessian = network.hessian(weights, data)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_allclose(hessian, products, atol=1e-15)


def test_hessian_of_softmax_regression_is_a_kronecker_product(data):
    network = SoftmaxRegression(5, 3)
    weights = network.initial_weights(4)
    W, b = network.unpack(weights).values()
    hessian = np.zeros((18, 18))
    for x, p in zip(data.features, softmax(data.features @ W.T + b, axis=1), strict=True):
        spread = np.diag(p) - np.outer(p, p)
        cross = np.kron(spread, x[:, None])
        hessian += np.block([[np.kron(spread, np.outer(x, x)), cross], [cross.T, spread]]) / len(data)
    np.testing.assert_allclose(network.hessian(weights, data), hessian, atol=1e-15)


def test_derivatives_along_a_direction(network, weights, data):
    direction = np.random.default_rng(5).standard_normal(network.size)
    along = network.loss_along(weights, data, direction)
    assert along.loss == pytest.approx(network.loss(weights, data), rel=1e-14)
    assert along.slope == pytest.approx(network.gradient(weights, data) @ direction, rel=1e-12)
    product = network.hessian_vector_product(weights, data, direction)
    assert along.curvature == pytest.approx(direction @ product, rel=1e-12)


@pytest.mark.parametrize("own_data", [False, True])
def test_replicas_equal_a_loop(network, data, own_data):
    replicas = (2, 3)
    rng = np.random.default_rng(6)
    weights = network.initial_weights(rng, replicas)
    vectors = rng.standard_normal((*replicas, network.size))
    several = rng.standard_normal((*replicas, network.size, 4))
    batches = data.take(rng.integers(len(data), size=(*replicas, 7))) if own_data else data
    methods = {
        "loss": (),
        "accuracy": (),
        "gradient": (),
        "per_sample_gradients": (),
        "hessian": (),
        "hessian_vector_product": (vectors,),
        "loss_along": (vectors,),
    }
    for name, arguments in methods.items():
        compare(network, name, weights, batches, arguments)
    compare(network, "hessian_vector_product", weights, batches, (several,))


def compare(network, name, weights, batches, arguments):
    together = getattr(network, name)(weights, batches, *arguments)
    for place in np.ndindex(weights.shape[:-1]):
        own = batches.features.ndim > 2
        batch = Dataset(batches.features[place], batches.labels[place]) if own else batches
        alone = getattr(network, name)(weights[place], batch, *(argument[place] for argument in arguments))
        picked = [part[place] for part in together] if isinstance(alone, tuple) else together[place]
        np.testing.assert_allclose(picked, alone, rtol=1e-12, atol=1e-15, err_msg=name)


def test_replica_axes_broadcast(network, data):
    weights = network.initial_weights(7, (4, 1))
    batches = data.take(np.random.default_rng(8).integers(len(data), size=(3, 6)))
    assert network.loss(weights, batches).shape == (4, 3)
    assert network.gradient(weights, batches).shape == (4, 3, network.size)
    one = Dataset(batches.features[2], batches.labels[2])
    expected = network.gradient(weights[1, 0], one)
    np.testing.assert_allclose(network.gradient(weights, batches)[1, 2], expected, rtol=1e-12, atol=1e-16)


def test_blocks_do_not_change_the_hessian(network, weights, data, monkeypatch):
    whole = network.hessian(weights, data)
    monkeypatch.setattr("lrbs.lab.networks._BLOCK", 100)
    np.testing.assert_allclose(network.hessian(weights, data), whole, rtol=1e-12, atol=1e-16)


def test_errors_name_the_argument(data):
    network = TanhNetwork(5, 4, 3)
    weights = network.initial_weights(0)
    with pytest.raises(ValueError, match=r"weights must have shape \(\.\.\., 39\)"):
        network.loss(weights[:-1], data)
    with pytest.raises(ValueError, match="weights must be finite"):
        network.gradient(weights * np.nan, data)
    with pytest.raises(ValueError, match="vectors must have the 1 axes"):
        network.hessian_vector_product(weights, data, np.zeros((2, 2, 39)))
    with pytest.raises(ValueError, match="vectors must have shape"):
        network.hessian_vector_product(weights, data, np.zeros(38))
    with pytest.raises(ValueError, match="directions must have shape"):
        network.loss_along(weights, data, np.zeros(38))
    with pytest.raises(ValueError, match="data must have 5 features"):
        network.loss(weights, Dataset(np.zeros((2, 4)), [0, 1]))
    with pytest.raises(ValueError, match="labels below 3; got 3"):
        network.loss(weights, Dataset(np.zeros((2, 5)), [0, 3]))
    with pytest.raises(ValueError, match="data must be shared or have axes"):
        network.loss(network.initial_weights(0, (2,)), data.take(np.zeros((3, 4), dtype=int)))
    with pytest.raises(ValueError, match="hidden must be at least 1"):
        TanhNetwork(5, 0, 3)
    with pytest.raises(ValueError, match="hidden must"):
        TanhNetwork(5, (), 3)
    with pytest.raises(ValueError, match="hidden"):
        TanhNetwork(5, (4, 0), 3)
    with pytest.raises(ValueError, match="classes must be an integer"):
        SoftmaxRegression(5, 3.0)


def test_loss_along_many_directions_from_one_point(network, weights, data):
    directions = np.random.default_rng(3).standard_normal((2, 4, network.size))
    found = network.loss_along(weights, data, directions)
    for place in np.ndindex(2, 4):
        one = network.loss_along(weights, data, directions[place])
        np.testing.assert_allclose([part[place] for part in found], one, rtol=1e-12)
