"""How the weights and biases of a network lie in one vector."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.backprop import Layer
from lrbs.validation import Array, real_array

__all__ = ["Layout"]


class Layout:
    """Layer by layer, each with its matrix W (outputs, inputs) row by row and then its biases b."""

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

    def unpack(self, weights: ArrayLike, name: str = "weights") -> dict[str, Array]:
        """The arrays W1, b1, W2, ... of a weight vector, as views.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        name : str, optional, what errors call it

        Returns
        -------
        dict
            Arrays of shape (..., outputs, inputs) and (..., outputs).

        Raises
        ------
        ValueError
            If the last axis is not N long.
        """
        vectors = real_array(weights, name)
        if vectors.ndim == 0 or vectors.shape[-1] != self.size:
            raise ValueError(f"{name} must have shape (..., {self.size}), N last; got {vectors.shape}")
        return {
            part: vectors[..., self.slices[part]].reshape(*vectors.shape[:-1], *shape)
            for part, shape in self.shapes.items()
        }

    def layers(self, weights: ArrayLike, name: str = "weights") -> list[Layer]:
        """The arrays as pairs (W, b), biases with a last axis of length 1 for `lrbs.lab.backprop`.

        Parameters
        ----------
        weights : array_like, shape (..., N)
        name : str, optional, what errors call it

        Returns
        -------
        list of pairs of ndarray
        """
        parts = list(self.unpack(weights, name).values())
        return [(W, b[..., None]) for W, b in zip(parts[::2], parts[1::2], strict=True)]

    def initial_weights(self, rng: int | np.random.Generator, replicas: tuple[int, ...] = ()) -> Array:
        """Random weights to start from: biases zero, weights normal with variance 1/inputs.

        Parameters
        ----------
        rng : int or numpy.random.Generator
        replicas : tuple of int, optional, shape of the replica axes

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
