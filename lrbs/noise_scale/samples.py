"""The estimator that sees gradients of single samples: one pass, one sum of gradients to hold."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from lrbs.noise_scale.estimate import NoiseScaleEstimate, jackknife
from lrbs.noise_scale.gradients import EUCLIDEAN, gradient_blocks, leave_out
from lrbs.noise_scale.norms import Euclidean, Norm
from lrbs.validation import Array, count, real_array

__all__ = ["noise_scale_from_samples"]

GROUPS = 16  # for norms whose errors need parts
PIECE = 2**17  # numbers
CLOSE = 1e-4  # below this share of its square, a deviation found by subtracting squares has lost digits


def noise_scale_from_samples(
    gradients: ArrayLike | Iterable[ArrayLike],
    *,
    norm: Norm = EUCLIDEAN,
    groups: int | None = None,
    unit: str = "samples",
) -> NoiseScaleEstimate:
    """Noise scale from gradients of single samples at one set of weights. Source: lrbs.noise-one-pass.

    Parameters
    ----------
    gradients : array_like, shape (n, N), or iterator
        Of independent samples. An iterator is a stream of gradients (N,) or of blocks (k, N), read once.
        Each may be a list of the arrays of its parameters; tensors of PyTorch serve as they are.
    norm : Norm, optional
        Euclidean for B_simple; :class:`~lrbs.noise_scale.norms.L1` or
        :class:`~lrbs.noise_scale.norms.Nuclear` for sign and spectral descent.
    groups : int, optional
        Errors by the jackknife instead: parts of the data, dealt out like cards, one of which is left out
        at a time. Kept are that many mean gradients, however long the stream. The other norms need it:
        16 unless told. Fewer samples than groups are left out one by one.
    unit : str, optional
        What one gradient is of: "samples", "sequences".

    Returns
    -------
    NoiseScaleEstimate
        Errors on the safe side where noise dominates. Whether losses are means or sums does not matter:
        single samples have no batch to be divided by, and a common factor cancels in the ratio.

    Raises
    ------
    ValueError
        Fewer than four samples (three with groups) or three groups, gradients of unequal size, nan or inf.

    Notes
    -----
    From a stream no more is kept than the sum up to now. Each gradient is held against the mean of those
    before it, which does not know it: half the squared difference of two such numbers in a row is the
    variance of what a sample adds to the estimates. Late pairs count more, by the cube of their place, for
    the noise that is left in the mean counts as if it were the gradient. Where nothing but noise is left the
    error of |g|^2 comes out 1.6 times too large, sqrt(8/3).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> stream = (1 + 5 * rng.standard_normal(40) for _ in range(1000))
    >>> print(noise_scale_from_samples(stream))
    noise scale 24.6 samples, 22.4 to 27.2 (95 %)
    """
    if groups is None and isinstance(norm, Euclidean):
        return _one_pass(gradient_blocks(gradients, finite=False), unit)
    parts = GROUPS if groups is None else count(groups, "groups", least=3)
    return jackknife(*leave_out(gradients, norm, parts), unit)


def _one_pass(blocks: Iterable[Array], unit: str) -> NoiseScaleEstimate:
    sums = _Sums()
    for block in blocks:
        gradient = None
        for gradient in block:
            sums.add(gradient)
        del block, gradient  # or they would be held until the next are there
    if sums.seen < 4:
        raise ValueError(f"gradients must be of at least 4 samples; got {sums.seen}")
    mean = sums.total
    mean /= sums.seen
    trace, square = EUCLIDEAN.scale(mean, np.asarray(sums.second / (sums.seen - 1)), sums.seen)
    covariance = np.array([sums.scatter[:2], sums.scatter[1:]]) / sums.weight / sums.seen
    return NoiseScaleEstimate(trace, square, covariance, unit, sums.weight**2 / sums.squares)


class _Sums:
    """The sum up to now, and numbers: what both estimates and their covariance are made of."""

    def __init__(self) -> None:
        self.seen, self.second = 0, 0.0
        self.total, self.length = np.zeros(0), 0.0  # the sum of all gradients, and its square
        self.waiting, self.scatter = (0.0, 0.0), (0.0, 0.0, 0.0)  # two variances, their covariance between
        self.weight = self.squares = 0.0  # of the pairs, and of the squares of their weights

    def add(self, gradient: Array) -> None:
        """Take in a gradient: two products and a sum, piece by piece, so that each piece is read once."""
        if not self.seen:
            self.total = np.zeros(gradient.size)
        square = product = 0.0
        for x, total in _pieces(gradient, self.total):
            square += x.dot(x)
            product += x.dot(total)
            total += x
        if not isfinite(square + product):
            real_array(gradient, f"gradient {self.seen}")
        square, product = float(square), float(product)
        k, length = self.seen, self.length
        self.seen, self.length = k + 1, length + 2 * product + square
        if not k:
            return
        # The square of the deviation from the mean before, and its product with that mean.
        apart, along = square - 2 * product / k + length / k**2, product / k - length / k**2
        if apart < CLOSE * square:
            apart, along = self._carefully(gradient, k)
        share = k / (k + 1)
        self.second += apart * share
        adds = apart * share, 2 * k * along  # whose means are tr(Sigma) and -2 tr(Sigma), for any k
        if k % 2 == 0:
            self.waiting = adds
        elif k > 2:
            # What each adds to tr(Sigma) and to |g|^2; half a squared difference is a variance.
            trace, square = self.waiting[0] - adds[0], (self.waiting[1] - adds[1]) / k
            weight, (tt, ts, ss) = float(k - 1) ** 3, self.scatter
            half = weight / 2
            self.scatter = tt + half * trace**2, ts + half * trace * square, ss + half * square**2
            self.weight, self.squares = self.weight + weight, self.squares + weight**2

    def _carefully(self, gradient: Array, k: int) -> tuple[float, float]:
        """The same two numbers from the deviation itself, where gradients are nearly equal."""
        apart = along = 0.0
        for x, total in _pieces(gradient, self.total):
            mean = (total - x) / k
            apart += float((x - mean) @ (x - mean))
            along += float((x - mean) @ mean)
        return apart, along


def _pieces(gradient: Array, total: Array) -> list[tuple[Array, Array]]:
    """Both in pieces that fit the processor's cache."""
    if gradient.size <= PIECE:
        return [(gradient, total)]
    parts = (slice(start, start + PIECE) for start in range(0, gradient.size, PIECE))
    return [(gradient[part], total[part]) for part in parts]
