"""Small networks with exact derivatives, in NumPy alone.

All weights of a network are one vector of N numbers. Every method takes leading replica axes on it,
(..., N), and data either shared, (n, inputs), or one set per replica, (..., n, inputs): many networks
are then one computation. Replica axes broadcast in NumPy's way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab import backprop
from lrbs.lab.backprop import Layer
from lrbs.lab.data import Dataset
from lrbs.validation import Array, count, real_array

__all__ = ["LossAlong", "Network", "SoftmaxRegression", "TanhNetwork"]

# Numbers in the largest array of activations that one pass over many directions holds: 8 MB.
_BLOCK = 2**20


class LossAlong(NamedTuple):
    """A loss with its first two derivatives along a direction, each shaped like the replicas."""

    loss: Array
    slope: Array
    curvature: Array


class Network:
    """Layers of weights and biases with tanh between them; softmax and cross-entropy at the end.

    The loss is a mean over samples, in nats. A subclass says how wide the layers are.
    """

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs, of units in each hidden layer, of classes."""
        raise NotImplementedError

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each array of weights by its name: W1 (outputs, inputs), b1 (outputs,), W2, ..."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.widths), start=1):
            shapes |= {f"W{layer}": (outputs, inputs), f"b{layer}": (outputs,)}
        return shapes

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Where each array lies in the weight vector: ``weights[..., network.slices["W1"]]``."""
        stops = np.cumsum([prod(shape) for shape in self.shapes.values()]).tolist()
        return {name: slice(*ends) for name, ends in zip(self.shapes, pairwise([0, *stops]), strict=True)}

    @cached_property
    def size(self) -> int:
        """Number of weights and biases, N."""
        return sum(prod(shape) for shape in self.shapes.values())

    def unpack(self, weights: ArrayLike) -> dict[str, Array]:
        """The arrays W1, b1, W2, ... of a weight vector, as views.

        Parameters
        ----------
        weights : array_like, shape (..., N)

        Returns
        -------
        dict
            Arrays of shape (..., outputs, inputs) and (..., outputs).
        """
        vectors = self._vectors(weights, "weights")
        return {
            name: vectors[..., self.slices[name]].reshape(*vectors.shape[:-1], *shape)
            for name, shape in self.shapes.items()
        }

    def initial_weights(self, rng: int | np.random.Generator, replicas: tuple[int, ...] = ()) -> Array:
        """Random weights to start from: biases zero, weights normal with variance 1/inputs.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            Seed or generator.
        replicas : tuple of int, optional
            Shape of the replica axes.

        Returns
        -------
        ndarray, shape (*replicas, N)
        """
        rng = np.random.default_rng(rng)
        weights = np.zeros((*replicas, self.size))
        for name, shape in self.shapes.items():
            if len(shape) == 2:
                part = weights[..., self.slices[name]]
                part[...] = rng.standard_normal(part.shape) / np.sqrt(shape[1])
        return weights

    def loss(self, weights: ArrayLike, data: Dataset) -> Array:
        """Mean cross-entropy of the samples.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        ndarray, shape (...)
        """
        columns, targets = self._sides(data)
        _, logits = backprop.forward(self._layers(weights), columns)
        return -np.sum(targets * backprop.log_softmax(logits), axis=(-2, -1)) / len(data)

    def accuracy(self, weights: ArrayLike, data: Dataset) -> Array:
        """Share of the samples whose likeliest class is the right one, shape (...)."""
        columns, _ = self._sides(data)
        _, logits = backprop.forward(self._layers(weights), columns)
        return np.mean(np.argmax(logits, axis=-2) == data.labels, axis=-1)

    def gradient(self, weights: ArrayLike, data: Dataset) -> Array:
        """Gradient of the loss.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        ndarray, shape (..., N)
        """
        return _packed(backprop.gradient(self._layers(weights), *self._sides(data))) / len(data)

    def per_sample_gradients(self, weights: ArrayLike, data: Dataset) -> Array:
        """Gradient of each sample's own loss; their mean is :meth:`gradient`.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        ndarray, shape (..., n, N)
        """
        return _packed(backprop.per_sample_gradients(self._layers(weights), *self._sides(data)))

    def hessian_vector_product(self, weights: ArrayLike, data: Dataset, vectors: ArrayLike) -> Array:
        """Hessian of the loss times vectors, exact up to rounding.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset
        vectors : array_like, shape (..., N) or (..., N, k)
            As many axes as `weights`, or one more at the end for k vectors at once.

        Returns
        -------
        ndarray
            Shaped like the vectors, up to broadcasting of the replica axes.
        """
        ndim = np.ndim(weights)
        if np.ndim(vectors) not in (ndim, ndim + 1):
            raise ValueError(
                f"vectors must have the {ndim} axes of weights, or one more at the end for several vectors; "
                f"got shape {np.shape(vectors)}"
            )
        layers, (columns, targets) = self._layers(weights), self._sides(data)
        several = np.ndim(vectors) == ndim + 1
        # Several vectors are replicas of one network, taken in blocks that bound the memory.
        rows = np.moveaxis(vectors, -1, 0) if several else np.asarray(vectors)[None]
        directions = self._vectors(rows, "vectors")
        block = max(1, _BLOCK // (directions[0].size // self.size * len(data) * max(self.widths[1:])))
        products = [
            _packed(backprop.tangent_of_gradient(layers, self._layers(part, "vectors"), columns, targets))
            for part in np.split(directions, range(block, len(directions), block))
        ]
        product = np.concatenate(products) / len(data)
        return np.moveaxis(product, 0, -1) if several else product[0]

    def hessian(self, weights: ArrayLike, data: Dataset) -> Array:
        """The whole Hessian, by its products with the unit vectors; symmetrised of its rounding errors.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        ndarray, shape (..., N, N)
        """
        units = np.broadcast_to(np.eye(self.size), (*np.shape(weights), self.size))
        hessian = self.hessian_vector_product(weights, data, units)
        return (hessian + backprop.transposed(hessian)) / 2

    def loss_along(self, weights: ArrayLike, data: Dataset, directions: ArrayLike) -> LossAlong:
        """The loss at `weights` and its first two derivatives along `directions`, exact, in one pass.

        Parameters
        ----------
        weights, directions : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        LossAlong
            loss, slope v^T g and curvature v^T H v for the direction v, each of shape (...).
        """
        layers, along = self._layers(weights), self._layers(directions, "directions")
        sums = backprop.derivatives_along(layers, along, *self._sides(data))
        return LossAlong(*(total / len(data) for total in sums))

    def _vectors(self, value: ArrayLike, name: str) -> Array:
        array = real_array(value, name)
        if array.ndim == 0 or array.shape[-1] != self.size:
            raise ValueError(f"{name} must have shape (..., {self.size}), N last; got {array.shape}")
        return array

    def _layers(self, value: ArrayLike, name: str = "weights") -> list[Layer]:
        parts = list(self.unpack(self._vectors(value, name)).values())
        return [(W, b[..., None]) for W, b in zip(parts[::2], parts[1::2], strict=True)]

    def _sides(self, data: Dataset) -> tuple[Array, Array]:
        """Features and targets, one column per sample."""
        inputs, classes = self.widths[0], self.widths[-1]
        if data.features.shape[-1] != inputs:
            raise ValueError(f"data must have {inputs} features per sample; got {data.features.shape[-1]}")
        if data.labels.max() >= classes:
            raise ValueError(f"data must have labels below {classes}; got {data.labels.max()}")
        targets = (data.labels[..., None, :] == np.arange(classes)[:, None]).astype(np.float64)
        return backprop.transposed(data.features), targets


@dataclass(frozen=True)
class SoftmaxRegression(Network):
    """Multinomial logistic regression: one layer, N = classes (inputs + 1). Its loss is convex."""

    inputs: int
    classes: int

    def __post_init__(self) -> None:
        _check_widths(self)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.inputs, self.classes)


@dataclass(frozen=True)
class TanhNetwork(Network):
    """One hidden layer of tanh units: N = hidden (inputs + 1) + classes (hidden + 1).

    >>> TanhNetwork(inputs=64, hidden=16, classes=10).size
    1210
    """

    inputs: int
    hidden: int
    classes: int

    def __post_init__(self) -> None:
        _check_widths(self)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.inputs, self.hidden, self.classes)


def _check_widths(network: Network) -> None:
    for name, value in vars(network).items():
        count(value, name)


def _packed(parts: list[Layer]) -> Array:
    """One vector of the arrays of all layers, replica axes first."""
    flat = []
    for W, b in parts:
        flat += [W.reshape(*W.shape[:-2], -1), b]
    return np.concatenate(flat, axis=-1)
