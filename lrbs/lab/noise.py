"""The gradient noise of a real network: batches of it, and the local model that describes it.

The data set is the population and batches are drawn from it with replacement. So the covariance Sigma of
one sample's gradient is a known number, the mean over all n samples with the factor 1/n, not an estimate
with 1/(n-1); the gradient of a batch has covariance Sigma/B and no error of its own.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.model import LocalModel
from lrbs.operators import DiagonalPlusLowRank
from lrbs.validation import Array, count, vector

__all__ = ["batch_gradients", "local_model"]

# Numbers of 8 bytes: at most 256 MB of per-sample gradients, and 32 MB in the work on a part of the batches.
_SAMPLES = 2**25
_CHUNK = 2**22


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
        With the population covariance, factor 1/n. :meth:`lrbs.LocalModel.from_samples`, which takes the
        same gradients for a sample from something larger, has 1/(n-1).
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
        Seed or generator.

    Returns
    -------
    ndarray, shape (*batches, N)
    """
    point = vector(weights, "weights", network.size)
    shape = tuple(count(number, "batches") for number in np.atleast_1d(batches))
    total = prod(shape)
    generator = np.random.default_rng(rng)
    n, size = len(data), count(batch_size, "batch_size")
    # The gradient of a batch is a mean of sample gradients: how often each sample was drawn says it all.
    samples = network.per_sample_gradients(point, data) if n * network.size <= _SAMPLES else None
    rows = max(1, _CHUNK // (n + size if samples is not None else size * (network.size + n)))
    gradients = np.empty((total, network.size))
    for start in range(0, total, rows):
        part = gradients[start : start + rows]
        places = sample_batches(data, size, (len(part),), generator)
        if samples is None:
            part[...] = network.gradient(point, data.take(places))
        else:
            row = np.arange(len(part))[:, None]
            drawn = np.bincount((places + n * row).reshape(-1), minlength=n * len(part))
            np.matmul(drawn.reshape(-1, n) / size, samples, out=part)
    return gradients.reshape(*shape, network.size)
