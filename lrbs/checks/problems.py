"""Points of training that the checks share: small, with nothing special about them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from lrbs import LocalModel, SoftSignSGD, UpdateRule, searched_lr
from lrbs.laws.adam_curves import adam_law
from lrbs.laws.flatness import generalisation_gap
from lrbs.laws.muon import muon_hessian
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.moments import Method
from lrbs.operators import Diagonal
from lrbs.simulate import draw_gradients
from lrbs.validation import Array

if TYPE_CHECKING:
    from lrbs.lab import Dataset, TanhNetwork

SHAPE = (40, 20)
# Means of batch gradients in units of their deviation, from nearly pure noise to nearly none.
SIGNALS = np.geomspace(1e-2, 1e2, 81)
RATIOS = np.geomspace(1e-4, 1e2, 60_001)  # mean over deviation: |g| sqrt(B) / sigma


def dense_model(size: int = 8, seed: int = 0) -> LocalModel:
    """A model with dense covariance and Hessian; the Hessian has a common part, so that signs matter."""
    rng = np.random.default_rng(seed)
    covariance_root, hessian_root = rng.standard_normal((2, size, size))
    hessian = hessian_root @ hessian_root.T / size + np.ones((size, size))
    return LocalModel(rng.standard_normal(size), covariance_root @ covariance_root.T, hessian)


def quadratic_loss(model: LocalModel, offsets: Array) -> Array:
    """The quadratic loss itself, at offsets (..., N) from the model's point, where it is 0."""
    products = np.asarray(model.hessian @ offsets.reshape(-1, model.size).T).T.reshape(offsets.shape)
    return np.asarray(offsets @ model.gradient + np.sum(offsets * products, axis=-1) / 2)


def minimised_loss(
    model: LocalModel, rule: UpdateRule, batch_size: float, samples: int, seed: int
) -> tuple[float, float]:
    """Best learning rate by a search over the simulated loss, and its standard error."""
    updates = rule(draw_gradients(model, batch_size, (samples, rule.horizon), seed))
    return searched_lr(lambda offsets: quadratic_loss(model, offsets), updates)


def lowest(
    function: Callable[[float], Any], low: float, high: float, precision: float = 1e-9
) -> tuple[float, float]:
    """Where a function of a number is lowest between two ends, by a search, and what it is there."""
    found = minimize_scalar(
        lambda x: float(function(x)), bounds=(low, high), method="bounded", options={"xatol": precision}
    )
    return float(found.x), float(found.fun)


def small_network() -> tuple[TanhNetwork, Array, Dataset]:
    """A network on digits with few weights, so that its Hessian and covariance are small matrices."""
    from lrbs.lab import TanhNetwork, digits, train  # a room that no other problem enters

    data, _ = digits()
    network = TanhNetwork(inputs=64, hidden=2, classes=10)
    start = network.initial_weights(0)
    return network, train(network, start, data, learning_rate=0.1, batch_size=32, steps=50, rng=1), data


def independent_model(size: int = 6, seed: int = 0) -> LocalModel:
    """Independent coordinates of unequal noise, on a dense Hessian whose common part makes SignSGD surge."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, size))
    hessian = 0.1 * root @ root.T / size + np.ones((size, size))
    return LocalModel(rng.uniform(0.5, 1.5, size), rng.uniform(2, 8, size), hessian)


def soft_moments(method: Method, a: Array, b: float) -> tuple[Array, Array]:
    """Mean and mean square of the soft sign of normal noise of unit variance, coordinate by coordinate."""
    moments = method(SoftSignSGD(epsilon=b), a, Diagonal(np.ones_like(a)))
    return moments.mean, moments.mean**2 + moments.covariance.diagonal()


def matrix_gradient(spread: float, shape: tuple[int, int] = SHAPE, seed: int = 0) -> Array:
    """A gradient with log-normal singular values: logarithms at normal quantiles, times `spread`."""
    rows, columns = shape
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((rows, columns)))[0]
    right = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    values = np.exp(spread * ndtri((np.arange(columns) + 0.5) / columns))
    return np.asarray((left * values) @ right.T)


def isotropic_model(gradient: Array, max_lr: float = 1.0) -> LocalModel:
    """Noise of one variance in every entry, B_simple = 1, and the Hessian of 11285.thessian."""
    variance = np.sum(gradient**2) / gradient.size
    return LocalModel(gradient.reshape(-1), np.full(gradient.size, variance), muon_hessian(gradient, max_lr))


def unequal_signals(spread: float, level: float, size: int = 20_000) -> tuple[Array, Array]:
    """Means and deviations whose ratio is log-normal; noise and signal unrelated."""
    rng = np.random.default_rng(73)
    deviation = np.exp(spread * rng.standard_normal(size))
    mean = math.sqrt(level * np.mean(deviation**2)) * np.ones(size)
    return mean, deviation


# --------------------------------------------------------------------------------- points of training
def noise_along_curvature(correlated: float = 1.0, size: int = 100, rank: int = 5) -> LocalModel:
    """Noise whose covariance is the Hessian, with its correlations scaled by a factor in [0, 1].

    Near the optimum of a likelihood the two agree; here both have few large directions.
    """
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((size, rank)) / np.sqrt(rank)
    hessian = directions @ directions.T + 0.01 * np.eye(size)
    gradient = 0.1 * hessian @ rng.standard_normal(size)
    variances = np.diag(np.diag(hessian))
    return LocalModel(gradient, correlated * hessian + (1 - correlated) * variances, hessian)


def two_coordinates(correlation: float) -> LocalModel:
    """Two coordinates that share curvature and, more or less, noise; one has the weaker signal."""
    return LocalModel([0.3, 1.0], [[1.0, correlation], [correlation, 1.0]], [[1.0, 0.95], [0.95, 1.0]])


def equal_partners(correlation: float, size: int = 64) -> LocalModel:
    """Many coordinates with one ratio of noise to signal and one correlation between any two."""
    matrix = correlation * np.ones((size, size)) + (1 - correlation) * np.eye(size)
    return LocalModel(np.full(size, 0.1), matrix, np.ones((size, size)) + 0.3 * np.eye(size))


def log_normal_deviations(spread: float, size: int = 2001) -> Array:
    """Deviations at the middles of `size` equal shares of a log-normal distribution of median 1."""
    return np.asarray(np.exp(spread * ndtri((np.arange(size) + 0.5) / size)))


def equal_signal_model(size: int = 6, spread: float = 0.0, diagonal: bool = False) -> LocalModel:
    """Independent coordinates; sigma_i/|g_i| is one for all at spread 0, else log-normal."""
    rng = np.random.default_rng(40)
    root, normal = rng.standard_normal((size, size)), rng.standard_normal((2, size))
    gradient = rng.choice([-1.0, 1.0], size) * np.exp(0.7 * normal[0])
    deviation = np.abs(gradient) * 7 * np.exp(spread * normal[1])
    dense = root @ root.T / size + 0.5 * np.outer(np.sign(gradient), np.sign(gradient))
    return LocalModel(gradient, deviation**2, np.diag(dense).copy() if diagonal else dense)


def unit_law(beta1: float) -> ScalarLaw:
    """Adam's law for a diagonal Hessian, in units of B_simple and of its limits at infinite batch size."""
    return adam_law(LocalModel([1.0], [1.0], [1.0]), beta1)


def models_of_one_trace() -> dict[str, LocalModel]:
    """One gradient and one ratio for all coordinates, three Hessians of one trace; s = sign(g).

    Dense with a common part, s^T H s = 2.7 tr H; its diagonal alone, s^T H s = tr H; and one in which signs
    pull apart, s^T H s = tr H / 4.
    """
    dense, diagonal = equal_signal_model(), equal_signal_model(diagonal=True)
    s, trace = np.sign(dense.gradient), diagonal.hessian.trace()
    # A multiple of I - a s s^T / N, for which s^T H s / tr H = (1 - a) / (1 - a / N).
    a = 0.75 / (1 - 0.25 / s.size)
    opposed = (np.eye(s.size) - a * np.outer(s, s) / s.size) * trace / (s.size - a)
    return {
        "dense": dense,
        "diagonal": diagonal,
        "sᵀHs = tr H / 4": LocalModel(dense.gradient, dense.covariance, opposed),
    }


def spread_model(spread: float, size: int = 20, own_curvature: float = 4.0) -> LocalModel:
    """Equal gradients, log-normal deviations (median 2, logarithmic spread `spread`), H = e e^T + c I.

    All entries of e are 1.
    """
    deviation = 2 * np.exp(spread * ndtri((np.arange(size) + 0.5) / size))
    hessian = np.ones((size, size)) + own_curvature * np.eye(size)
    return LocalModel(np.ones(size), deviation**2, hessian)


def surging_model(size: int = 16, own_curvature: float = 3.0, squared_ratio: float = 64.0) -> LocalModel:
    """One signal-to-noise ratio for all coordinates, and a Hessian s s^T + own_curvature I, s = sign(g).

    Gradients of either sign and of sizes up to 3, deviations kappa |g|, with kappa^2 = `squared_ratio` =
    B_simple. Its learning rate surges if size - 1 > own_curvature + 1.
    """
    gradient = np.geomspace(0.3, 3.0, size) * (-1.0) ** np.arange(size)
    signs = np.sign(gradient)
    hessian = np.outer(signs, signs) + own_curvature * np.eye(size)
    return LocalModel(gradient, squared_ratio * gradient**2, hessian)


def losing_model() -> LocalModel:
    """One clear coordinate that matters and a hundred noisy ones that spoil its step when they agree."""
    hessian = 0.001 * np.eye(101)
    hessian[0, 0] += 1.0
    hessian[1:, 1:] += 0.01
    return LocalModel(np.r_[1.0, np.full(100, 0.05)], np.r_[0.1, np.ones(100)] ** 2, hessian)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Exponential numbers of mean 0 and variance 1: nothing normal about one sample's noise."""
    return rng.exponential(size=shape) - 1


def batch_means(model: LocalModel, batch_size: int, runs: int, seed: int) -> Array:
    """Gradients of batches, each the mean of `batch_size` skewed sample gradients; shape (runs, N)."""
    return draw_gradients(model, 1.0, (runs, batch_size), seed, skewed).mean(axis=1)


class TrainedNetworks(NamedTuple):
    """Networks at one training loss, a number for each seed."""

    loss: Array
    gap: Array
    sharpness: Array


def trained_networks(
    batch_size: int, target_loss: float = 0.05, seeds: int = 8, learning_rate: float = 1.0
) -> TrainedNetworks:
    """Loss, gap and sharpness of small networks on 200 digits, where the training loss passes a target."""
    from lrbs.lab import TanhNetwork, digits, train

    training, test = digits(centred=True)
    few = training.take(np.arange(200))
    network = TanhNetwork(64, 8, 10)
    moments = np.arange(25, 601, 25)
    start, eta = network.initial_weights(15, (seeds,)), learning_rate
    weights = train(network, start, few, learning_rate=eta, batch_size=batch_size, steps=moments, rng=16)
    losses = network.loss(weights, few)
    if (losses.min(axis=0) > target_loss).any():
        raise ValueError(
            f"target_loss {target_loss:g} is not reached by every network in {moments[-1]} steps"
        )
    found = weights[np.argmax(losses <= target_loss, axis=0), np.arange(seeds)]
    loss = network.loss(found, few)
    signs = np.random.default_rng(17).choice((-1.0, 1.0), (*found.shape, 60))
    products = network.hessian_vector_product(found, few, signs)
    traces = np.sum(signs * products, axis=-2).mean(axis=-1)  # z^T H z over random signs z
    return TrainedNetworks(loss, generalisation_gap(network.loss(found, test), loss), traces)


def fisher_model() -> tuple[LocalModel, Array]:
    """A model whose Hessian is the Fisher matrix E[g_i g_i^T] of its sample gradients."""
    rng = np.random.default_rng(22)
    root = rng.standard_normal((8, 8))
    gradient = 0.1 * rng.standard_normal(8)
    covariance = root @ root.T / 8 + 0.5 * np.eye(8)
    fisher = covariance + np.outer(gradient, gradient)
    return LocalModel(gradient, covariance, fisher), fisher
