"""What the tests share: the same random numbers in every run, and a few random matrices."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

from lrbs.lab import Dataset, TanhNetwork, train

# The same examples on every machine; nothing is kept between runs.
settings.register_profile("book", derandomize=True, deadline=None, database=None, max_examples=40)
settings.load_profile("book")

Matrices = Callable[[int], np.ndarray]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_250_301)


@pytest.fixture(scope="session")
def data() -> Dataset:
    """Forty samples of three classes, four features each."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    return Dataset(rng.standard_normal((40, 4)) + labels[:, None], labels)


@pytest.fixture(scope="session")
def weights(data: Dataset) -> np.ndarray:
    """Of ``TanhNetwork(4, 3, 3)``, a little trained on them."""
    network = TanhNetwork(4, 3, 3)
    start = network.initial_weights(1)
    return train(network, start, data, learning_rate=0.2, batch_size=8, steps=30, rng=2)


@pytest.fixture
def symmetric(rng: np.random.Generator) -> Matrices:
    """Maker of random symmetric matrices, with eigenvalues of both signs."""

    def make(size: int) -> np.ndarray:
        matrix = rng.standard_normal((size, size))
        return matrix + matrix.T

    return make


@pytest.fixture
def definite(rng: np.random.Generator) -> Matrices:
    """Maker of random positive definite matrices, far from diagonal."""

    def make(size: int) -> np.ndarray:
        matrix = rng.standard_normal((size, size))
        return matrix @ matrix.T / size + 0.1 * np.eye(size)

    return make


@pytest.fixture
def assert_within() -> Callable[..., None]:
    """Whether random estimates are within so many standard errors of their expectation."""

    def check(estimate: object, expected: object, standard_error: object, limit: float = 4.0) -> None:
        deviations = np.abs(np.subtract(estimate, expected)) / np.asarray(standard_error)
        assert np.max(deviations) <= limit, f"{np.max(deviations):.2f} standard errors, {limit} allowed"

    return check
