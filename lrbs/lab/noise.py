"""The gradient noise of a real network: batches of it, and the local model that describes it.

The data set is the population and batches are drawn from it with replacement. So the covariance Sigma of
one sample's gradient is a known number, the mean over all n samples with the factor 1/n, not an estimate
with 1/(n-1); the gradient of a batch has covariance Sigma/B and no error of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.model import LocalModel
from lrbs.operators import DiagonalPlusLowRank
from lrbs.validation import Array, count, vector

__all__ = ["batch_gradients", "local_model"]

# Numbers of 8 bytes: at most 256 MB of per-sample gradients, and 32 MB in the work on a part of the batches.
_SAMPLES = 2**25
_CHUNK = 2**22
# Adding up rows one by one is faster than a product of dense matrices when so few of them are drawn.
_SPARSE = 16


def local_model(network: Network, weights: ArrayLike, data: Dataset, *, dense: bool = True) -> LocalModel:
    """Gradient, noise covariance and Hessian of the loss over a data set, all exact.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset
        The population: its n samples, equally likely.
    dense : bool, optional
        Form the Hessian (N x N) or only its products with vectors. Memory is then n x N numbers.

    Returns
    -------
    LocalModel
        With the population covariance, factor 1/n; its :meth:`~lrbs.LocalModel.part` is the model of one
        layer. :meth:`lrbs.LocalModel.from_samples`, which takes the
        same gradients for a sample from something larger, has 1/(n-1).

    Raises
    ------
    ValueError
        If `weights` is not a finite vector.
    """
    point = vector(weights, "weights", network.size)
    samples = network.per_sample_gradients(point, data)
    gradient = samples.mean(axis=0)
    samples -= gradient
    covariance = DiagonalPlusLowRank(None, samples.T, np.full(len(data), 1 / len(data)))
    if dense:
        return LocalModel(gradient, covariance, network.hessian(point, data))
    return LocalModel(gradient, covariance, lambda v: network.hessian_vector_product(point, data, v))


def batch_gradients(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    batch_size: int,
    batches: int | tuple[int, ...],
    rng: int | np.random.Generator,
) -> Array:
    """Gradients of real batches at fixed weights, drawn with replacement.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset
    batch_size : int
    batches : int or tuple of int
        Their number, or a shape: ``(runs, steps)`` for rules with memory.
    rng : int or numpy.random.Generator

    Returns
    -------
    ndarray, shape (*batches, N)

    Raises
    ------
    ValueError
        If `batch_size` or a number of batches is no integer of at least 1, or `weights` does not fit.
    """
    shape = tuple(count(number, "batches") for number in np.atleast_1d(batches))
    total = prod(shape)
    generator = np.random.default_rng(rng)
    draw = gradient_source(network, weights, data, batch_size)
    rows = max(1, _CHUNK // max(len(data), batch_size * max(network.widths)))
    gradients = np.empty((total, network.size))
    for start in range(0, total, rows):
        part = gradients[start : start + rows]
        part[...] = draw(len(part), generator)
    return gradients.reshape(*shape, network.size)


def gradient_source(
    network: Network, weights: ArrayLike, data: Dataset, batch_size: int
) -> Callable[[int, np.random.Generator], Array]:
    """A function that draws a number of batch gradients at fixed weights, each with replacement."""
    point = vector(weights, "weights", network.size)
    n, size = len(data), count(batch_size, "batch_size")
    if n * network.size > _SAMPLES:
        return lambda number, generator: network.gradient(
            point, data.take(sample_batches(data, size, (number,), generator))
        )
    # The gradient of a batch is a mean of sample gradients: how often each sample was drawn says it all.
    samples = network.per_sample_gradients(point, data)

    def draw(number: int, generator: np.random.Generator) -> Array:
        places = sample_batches(data, size, (number,), generator)
        if size < n / _SPARSE:
            ends = np.arange(0, places.size + 1, size)
            shares = np.full(places.size, 1 / size)
            return np.asarray(csr_array((shares, places.reshape(-1), ends), shape=(number, n)) @ samples)
        drawn = np.bincount((places + n * np.arange(number)[:, None]).reshape(-1), minlength=n * number)
        return np.asarray(drawn.reshape(-1, n) / size @ samples)

    return draw
