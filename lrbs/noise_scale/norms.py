"""In which norm noise is held against signal: Euclidean for SGD, l1 for signs, nuclear for Muon.

A norm says what to add up over gradients and what to make of it. The noise scales of sign and spectral
descent are those of Naganuma et al. (arXiv 2602.03001), in the norms dual to the ones in which these rules
descend most steeply. That both sums are squared, and how layers are put together, follows the code that the
authors published with the paper. What a sign keeps at such a batch size (lrbs.noise-l1-floor) is our reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, count, positive

__all__ = ["L1", "Euclidean", "Norm", "Nuclear", "sign_alignment_floor"]

# The largest value of (1 - (1 + x^2)^(-1/2)) / x, golden ratio^(-5/2), reached at the root of that ratio.
_FLOOR_SLOPE = ((1 + 5**0.5) / 2) ** -2.5


class Norm(Protocol):
    """A way to hold noise against signal."""

    def square(self, rows: Array) -> Array:
        """Sum over rows of a quadratic form of each: what the noise is made from.

        Parameters
        ----------
        rows : ndarray, shape (k, N), gradients, or what they deviate by

        Returns
        -------
        ndarray
        """

    def scale(self, mean: Array, second: Array, count: float) -> tuple[float, float]:
        """Numerator and denominator of the noise scale.

        Parameters
        ----------
        mean : ndarray, shape (N,), of the gradients
        second : ndarray
            What `square` gives for deviations of single gradients, on average.
        count : float
            Number of gradients in the mean: inf if both are exact.

        Returns
        -------
        noise, signal : float
        """


@dataclass(frozen=True)
class Euclidean(Norm):
    """tr(Sigma) / |g|^2, B_simple, for SGD: both parts unbiased at any number of gradients.

    What the square of the mean has too much is the noise that is left in the mean.

    Source: lrbs.noise-samples.
    """

    def square(self, rows: Array) -> Array:
        # Sum of squares, shape ().
        return np.asarray(np.sum(rows**2))

    def scale(self, mean: Array, second: Array, count: float) -> tuple[float, float]:
        # tr(Sigma) and |g|^2.
        return float(second), float(mean @ mean) - float(second) / count


@dataclass(frozen=True)
class L1(Norm):
    """(sum sigma_i / sum |g_i|)^2, for sign descent.

    Plugged in as it is: noise makes every |g_i| longer, and no unbiased estimate of it exists. So it takes
    many more gradients than its own value, or it comes out far too small. Source: lrbs.noise-l1.

    Examples
    --------
    >>> mean, variances = np.array([1.0, 1.0]), np.array([4.0, 16.0])
    >>> trace, squared_gradient = L1().scale(mean, variances, np.inf)
    >>> trace / squared_gradient
    9.0
    """

    def square(self, rows: Array) -> Array:
        # Sum of squares of each coordinate, shape (N,).
        return np.asarray(np.sum(rows**2, axis=0))

    def scale(self, mean: Array, second: Array, count: float) -> tuple[float, float]:
        # Squares of the summed deviations and of the summed |g_i|.
        return float(np.sum(np.sqrt(second)) ** 2), float(np.sum(np.abs(mean)) ** 2)


def sign_alignment_floor(batch_size: ArrayLike, l1_scale: float) -> Array:
    """Least share of the noiseless alignment |g|_1 that SignSGD keeps, by the mean field.

    Parameters
    ----------
    batch_size : array_like
    l1_scale : float, (sum sigma_i / sum |g_i|)^2

    Returns
    -------
    ndarray
        1 - 0.3003 sqrt(l1_scale/B), a floor for any spread of the ratios sigma_i/|g_i|, touched if they are
        equal at B = 0.618 l1_scale. Bounding the number of wrong signs gives 2 in place of 0.3003. Source:
        lrbs.noise-l1-floor.

    Raises
    ------
    ValueError
        If `batch_size` or `l1_scale` is not positive.
    """
    ratio = float(positive(l1_scale, "l1_scale", ndim=0)) / positive(batch_size, "batch_size")
    return np.asarray(1 - _FLOOR_SLOPE * np.sqrt(ratio))


@dataclass(frozen=True)
class Nuclear(Norm):
    """(sum over layers of tr E[D^T D]^(1/2) over the sum of nuclear norms |G|_*)^2, for Muon.

    Products are taken along the shorter side of each matrix. Biased as :class:`L1` is.

    Source: lrbs.noise-nuclear.

    Parameters
    ----------
    shapes : iterable of tuple of int
        Shape of each array in the gradient vector, in order; ``network.shapes.values()`` for a network of
        ``lrbs.lab``. Those that are not matrices are left out.

    Raises
    ------
    ValueError
        If there is no matrix among the shapes; later, if the sizes do not add up to those of a gradient.
    """

    shapes: tuple[tuple[int, ...], ...]

    def __init__(self, shapes: Iterable[tuple[int, ...]]) -> None:
        every = tuple(tuple(count(side, "shapes") for side in shape) for shape in shapes)
        if not any(len(shape) == 2 for shape in every):
            raise ValueError(f"shapes must hold at least one matrix; got {every}")
        object.__setattr__(self, "shapes", every)

    def square(self, rows: Array) -> Array:
        # Sum of D D^T of each layer, laid end to end.
        layers = self._layers(rows)
        return np.concatenate([np.tensordot(D, D, axes=([0, 2], [0, 2])).ravel() for D in layers])

    def scale(self, mean: Array, second: Array, count: float) -> tuple[float, float]:
        # Squares of the summed traces of roots and of the summed nuclear norms.
        noise, signal, start = 0.0, 0.0, 0
        for (G,) in self._layers(mean[None]):
            stop = start + len(G) ** 2
            gram = second[start:stop].reshape(len(G), len(G))
            # Singular values of a positive matrix are its eigenvalues, and rounding leaves them positive.
            noise += float(np.sum(np.sqrt(np.linalg.svd(gram, compute_uv=False))))
            signal += float(np.linalg.norm(G, "nuc"))
            start = stop
        return noise**2, signal**2

    def _layers(self, rows: Array) -> list[Array]:
        """Each matrix of the rows, (k, short side, long side)."""
        sizes = [prod(shape) for shape in self.shapes]
        if rows.shape[1] != sum(sizes):
            raise ValueError(
                f"shapes must add up to gradients of size {rows.shape[1]}; they make {sum(sizes)}"
            )
        parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
        layers = [(part, shape) for part, shape in zip(parts, self.shapes, strict=True) if len(shape) == 2]
        matrices = [part.reshape(-1, *shape) for part, shape in layers]
        return [D if D.shape[1] <= D.shape[2] else D.swapaxes(1, 2) for D in matrices]
