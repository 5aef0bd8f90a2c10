"""Training many replicas of a network at once, by any rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, repeat

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.rules import SGD, UpdateRule
from lrbs.validation import Array, count, positive, real_array

__all__ = ["train"]


def train(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    rule: UpdateRule | None = None,
    batch_size: int,
    learning_rate: ArrayLike,
    steps: ArrayLike,
    rng: int | np.random.Generator,
    streams: tuple[int, ...] | None = None,
) -> Array:
    """Weights after so many steps of training, on batches drawn with replacement.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (..., N), where to start; leading axes are replicas
    data : Dataset
    rule : UpdateRule, optional
        What makes an update of the gradients; its averages, if it has any, start from zero. SGD unless
        told.
    batch_size : int
    learning_rate : array_like
        Positive. Its axes broadcast with the replica axes: ``rates[:, None]`` with weights (seeds, N)
        trains every seed at every rate.
    steps : int or array_like of int
        Number of steps; several numbers are moments of one and the same training, 0 its start.
    rng : int or numpy.random.Generator
    streams : tuple of int, optional
        Shape of the axes along which batches differ; it broadcasts to the replica axes. ``()`` gives all
        replicas the same batches, ``(seeds,)`` each entry of the last axis its own: learning rates compare
        better on common batches. Every replica has its own unless told.

    Returns
    -------
    ndarray, shape (*steps.shape, ..., N)
        A replica whose weights overflow is nan from then on; the others do not notice.

    Raises
    ------
    ValueError
        If a rate is not positive, a number of steps is negative, or shapes do not broadcast.

    Examples
    --------
    >>> from lrbs.lab import SoftmaxRegression, Dataset
    >>> data = Dataset(features=[[-1.0], [1.0]], labels=[0, 1])
    >>> network = SoftmaxRegression(inputs=1, classes=2)
    >>> start = network.initial_weights(0)
    >>> path = train(network, start, data, learning_rate=1.0, batch_size=2, steps=[0, 10], rng=0)
    >>> path.shape
    (2, 4)
    >>> bool(network.loss(path[1], data) < network.loss(path[0], data))
    True
    """
    moments = checked_moments(steps)
    rates, start = positive(learning_rate, "learning_rate"), real_array(weights, "weights")
    replicas = _broadcast("learning_rate", rates.shape, start.shape[:-1])
    own = replicas if streams is None else streams
    if _broadcast("streams", own, replicas) != replicas:
        raise ValueError(f"streams must broadcast to the replica axes, {replicas}; got {own}")
    start = np.broadcast_to(start, (*replicas, *start.shape[-1:]))
    generator = np.random.default_rng(rng)
    places = (sample_batches(data, batch_size, own, generator) for _ in range(int(moments.max())))
    batches = ([data.take(each)] for each in places)
    path = weights_along(network, start[None], SGD() if rule is None else rule, rates, batches)
    snapshots = np.empty((*moments.shape, *start.shape))
    for step, (current,) in enumerate(path):
        snapshots[moments == step] = current
    return snapshots


def weights_along(
    network: Network,
    start: Array,
    rule: UpdateRule,
    rates: Array,
    batches: Iterable[list[Dataset]],
    primed: int = 0,
    schedule: ArrayLike | None = None,
) -> Iterator[Array]:
    """Weights (blocks, ..., N) at the start and after each step: one array, changed in place.

    A step has a batch for each entry of the first axis, and its gradients are taken one after the other:
    they stay in the cache, which is faster than all at once. The rule sees all of them together; the
    first `primed` of the batches it sees at the start, without a step. A schedule has a factor of the
    rates for each step.
    """
    steps = iter(batches)

    def gradients(weights: Array, step: list[Dataset]) -> Array:
        return np.stack([network.gradient(w, batch) for w, batch in zip(weights, step, strict=True)])

    replicas = np.broadcast_shapes(start.shape[:-1], rates.shape)
    current = np.array(np.broadcast_to(start, (*replicas, start.shape[-1])))
    state = rule.init(current.shape)
    for step in islice(steps, primed):
        _, state = rule.update(np.broadcast_to(gradients(start, step), current.shape), state)
    yield current
    factors = repeat(1.0) if schedule is None else np.asarray(schedule)
    for step, factor in zip(steps, factors, strict=False):
        lost = np.isnan(current[..., 0])
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is nan, openly
            gradient = gradients(np.where(lost[..., None], 0.0, current), step)
            lost |= ~np.isfinite(gradient).all(axis=-1)
            gradient[lost] = 0
            update, state = rule.update(gradient, state)
            current -= (factor * rates)[..., None] * update
        lost |= ~np.isfinite(current).all(axis=-1)
        current[lost] = np.nan
        yield current


def checked_moments(steps: ArrayLike) -> np.ndarray:
    """Numbers of steps as an array of integers, one or more and none negative."""
    moments = np.asarray(steps)
    if not moments.size:
        raise ValueError("steps must hold at least one number of steps; got none")
    for moment in moments.reshape(-1):
        count(moment, "steps", least=0)
    return moments


def _broadcast(name: str, shape: tuple[int, ...], replicas: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(shape, replicas)
    except ValueError:
        raise ValueError(f"{name} must broadcast with the replicas, {replicas}; got shape {shape}") from None
