"""Small networks with exact derivatives, in NumPy alone.

All weights of a network are one vector of N numbers. Every method takes leading replica axes on it,
(..., N), and data either shared, (n, inputs), or one set per replica, (..., n, inputs): many networks
are then one computation. Replica axes broadcast in NumPy's way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab import backprop
from lrbs.lab.backprop import Layer
from lrbs.lab.data import Dataset
from lrbs.lab.layout import Layout
from lrbs.validation import Array, count, real_array

__all__ = ["LossAlong", "Network", "SoftmaxRegression", "TanhNetwork"]

# Numbers in the largest array of activations when there are many directions: 2 MB, near the cache.
_BLOCK = 2**18


class LossAlong(NamedTuple):
    """A loss with its first two derivatives along a direction.

    Attributes
    ----------
    loss, slope, curvature : ndarray, each shaped like the replicas
    """

    loss: Array
    slope: Array
    curvature: Array


class Network(Layout):
    """Layers of weights and biases with tanh between them; softmax and cross-entropy at the end.

    The loss is a mean over samples, in nats. A subclass says how wide the layers are.
    """

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
        layers, columns, targets = self._inputs(weights, data)
        _, logits = backprop.forward(layers, columns)
        _, total = backprop.softmax(logits, targets)
        return np.asarray(total / len(data))

    def accuracy(self, weights: ArrayLike, data: Dataset) -> Array:
        """Share of the samples whose likeliest class is the right one.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        data : Dataset

        Returns
        -------
        ndarray, shape (...)
        """
        layers, columns, _ = self._inputs(weights, data)
        _, logits = backprop.forward(layers, columns)
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
        return backprop.packed(backprop.gradient(*self._inputs(weights, data))) / len(data)

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
        return backprop.packed(backprop.per_sample_gradients(*self._inputs(weights, data)))

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

        Raises
        ------
        ValueError
            If `vectors` does not fit `weights`.
        """
        axes, directions = np.ndim(weights), real_array(vectors, "vectors")
        if directions.ndim not in (axes, axes + 1):
            raise ValueError(
                f"vectors must have the {axes} axes of weights, or one more at the end for several vectors; "
                f"got shape {directions.shape}"
            )
        layers, columns, targets = self._inputs(weights, data)
        # Several vectors are replicas of one network, taken in blocks that bound the memory.
        several = directions.ndim > axes
        directions = np.moveaxis(directions, -1, 0) if several else directions[None]
        block = max(1, self.block(data) // max(1, directions[0].size // self.size))
        parts = np.split(directions, range(block, len(directions), block))
        along = (self.layers(part, "vectors") for part in parts)
        tangents = (backprop.tangent_of_gradient(layers, each, columns, targets) for each in along)
        product = np.concatenate([backprop.packed(tangent) for tangent in tangents]) / len(data)
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
        weights : array_like, shape (..., N)
        data : Dataset
        directions : array_like, shape (..., N)

        Returns
        -------
        LossAlong
            loss, slope v^T g and curvature v^T H v for the direction v, each of shape (...).
        """
        along = self.layers(directions, "directions")
        replicas = np.shape(directions)[:-1]
        if np.ndim(weights) == 1 and replicas:  # one point, many directions
            weights = np.broadcast_to(weights, (*replicas, self.size))
        layers, columns, targets = self._inputs(weights, data)
        sums = backprop.derivatives_along(layers, along, columns, targets)
        return LossAlong(*(total / len(data) for total in sums))

    def block(self, data: Dataset) -> int:
        """How many replicas to take at a time on shared data: their activations then stay near the cache.

        Parameters
        ----------
        data : Dataset

        Returns
        -------
        int
        """
        return max(1, _BLOCK // (len(data) * max(self.widths[1:])))

    def _inputs(self, weights: ArrayLike, data: Dataset) -> tuple[list[Layer], Array, Array]:
        """Layers, and one column per sample of features and of targets."""
        inputs, classes = self.widths[0], self.widths[-1]
        if data.features.shape[-1] != inputs:
            raise ValueError(f"data must have {inputs} features per sample; got {data.features.shape[-1]}")
        if data.labels.max() >= classes:
            raise ValueError(f"data must have labels below {classes}; got {data.labels.max()}")
        layers = self.layers(weights)
        replicas, sets = np.shape(weights)[:-1], data.features.shape[:-2]
        try:
            np.broadcast_shapes(replicas, sets)
        except ValueError:
            raise ValueError(
                f"data must be shared or have axes that broadcast with the replicas, {replicas}; got {sets}"
            ) from None
        targets = (data.labels[..., None, :] == np.arange(classes)[:, None]).astype(np.float64)
        return layers, backprop.transposed(data.features), targets


@dataclass(frozen=True)
class SoftmaxRegression(Network):
    """Multinomial logistic regression: one layer, N = classes (inputs + 1). Its loss is convex.

    Parameters
    ----------
    inputs, classes : int, features of a sample, and labels

    Raises
    ------
    ValueError
        If one is no integer of at least 1.
    """

    inputs: int
    classes: int

    def __post_init__(self) -> None:
        _check_widths(self)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.inputs, self.classes)


@dataclass(frozen=True)
class TanhNetwork(Network):
    """Hidden layers of tanh units; with one of them N = hidden (inputs + 1) + classes (hidden + 1).

    Parameters
    ----------
    inputs : int
    hidden : int or tuple of int
        Units of the hidden layer, or of each of several.
    classes : int

    Raises
    ------
    ValueError
        If a width is no integer of at least 1, or there is no hidden layer.

    Examples
    --------
    >>> TanhNetwork(inputs=64, hidden=16, classes=10).size
    1210
    >>> list(TanhNetwork(inputs=64, hidden=(16, 16), classes=10).shapes)
    ['W1', 'b1', 'W2', 'b2', 'W3', 'b3']
    """

    inputs: int
    hidden: int | tuple[int, ...]
    classes: int

    def __post_init__(self) -> None:
        if isinstance(self.hidden, tuple) and not self.hidden:
            raise ValueError("hidden must name a layer or more; got ()")
        _check_widths(self)

    @property
    def widths(self) -> tuple[int, ...]:
        hidden = self.hidden if isinstance(self.hidden, tuple) else (self.hidden,)
        return (self.inputs, *hidden, self.classes)


def _check_widths(network: Network) -> None:
    for name, value in vars(network).items():
        for width in value if isinstance(value, tuple) else (value,):
            count(width, name)
