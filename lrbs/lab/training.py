"""Mini-batch SGD on many replicas of a network at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.validation import Array, count, positive, real_array

__all__ = ["train"]


def train(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    steps: ArrayLike,
    rng: int | np.random.Generator,
    streams: tuple[int, ...] | None = None,
) -> Array:
    """Weights after so many steps of SGD, on batches drawn with replacement.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (..., N)
        Where to start; leading axes are replicas.
    data : Dataset
    learning_rate : array_like
        Positive. Its axes broadcast with the replica axes: ``rates[:, None]`` with weights (seeds, N)
        trains every seed at every rate.
    batch_size : int
    steps : int or array_like of int
        Number of steps; several numbers are moments of one and the same training, 0 its start.
    rng : int or numpy.random.Generator
        Seed or generator.
    streams : tuple of int, optional
        Shape of the axes along which batches differ; it broadcasts to the replica axes. ``()`` gives all
        replicas the same batches, ``(seeds,)`` each entry of the last axis its own: learning rates compare
        better on common batches. Every replica has its own unless told.

    Returns
    -------
    ndarray, shape (*steps.shape, ..., N)

    Raises
    ------
    ValueError
        If a rate is not positive, a number of steps is negative, or shapes do not broadcast.

    Examples
    --------
    >>> from lrbs.lab import SoftmaxRegression, Dataset
    >>> data = Dataset(features=[[-1.0], [1.0]], labels=[0, 1])
    >>> network = SoftmaxRegression(inputs=1, classes=2)
    >>> path = train(
    ...     network, network.initial_weights(0), data, learning_rate=1.0, batch_size=2, steps=[0, 10], rng=0
    ... )
    >>> path.shape
    (2, 4)
    >>> bool(network.loss(path[1], data) < network.loss(path[0], data))
    True
    """
    moments = np.asarray(steps)
    if not moments.size:
        raise ValueError("steps must hold at least one number of steps; got none")
    for moment in moments.reshape(-1):
        count(moment, "steps", least=0)
    rates, start = positive(learning_rate, "learning_rate"), real_array(weights, "weights")
    replicas = _broadcast("learning_rate", rates.shape, start.shape[:-1])
    own = replicas if streams is None else streams
    if _broadcast("streams", own, replicas) != replicas:
        raise ValueError(f"streams must broadcast to the replica axes, {replicas}; got {own}")
    current = np.broadcast_to(start, (*replicas, *start.shape[-1:])).copy()
    snapshots = np.empty((*moments.shape, *current.shape))
    generator = np.random.default_rng(rng)
    for step in range(moments.max() + 1):
        if step:
            batch = data.take(sample_batches(data, batch_size, own, generator))
            current -= rates[..., None] * network.gradient(current, batch)
        snapshots[moments == step] = current
    return snapshots


def _broadcast(name: str, shape: tuple[int, ...], replicas: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(shape, replicas)
    except ValueError:
        raise ValueError(f"{name} must broadcast with the replicas, {replicas}; got shape {shape}") from None
