"""Gradients of the workers of a step, and what is added up over gradients of any kind. One pass over each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lrbs.noise_scale.estimate import NoiseScaleEstimate, jackknife, spread
from lrbs.noise_scale.norms import Euclidean, Norm
from lrbs.validation import Array, positive, real_array

__all__ = ["noise_scale_from_workers"]

Reduction = Literal["mean", "sum"]
EUCLIDEAN = Euclidean()


@dataclass(frozen=True)
class _Moments:
    """Number, mean and summed quadratic form of gradients, put together without large differences."""

    count: int
    mean: Array
    second: Array
    norm: Norm

    @classmethod
    def of(cls, rows: Array, norm: Norm) -> _Moments:
        mean = rows.mean(axis=0)
        return cls(len(rows), mean, norm.square(rows - mean), norm)

    def with_(self, other: _Moments) -> _Moments:
        count = self.count + other.count
        between = other.mean - self.mean
        mean = self.mean + between * (other.count / count)
        gap = self.norm.square(between[None]) * (self.count * other.count / count)
        return _Moments(count, mean, self.second + other.second + gap, self.norm)

    def without(self, other: _Moments) -> _Moments:
        count = self.count - other.count
        mean = self.mean + (self.mean - other.mean) * (other.count / count)
        gap = self.norm.square((mean - other.mean)[None]) * (count * other.count / self.count)
        return _Moments(count, mean, self.second - other.second - gap, self.norm)

    def scale(self) -> Array:
        return np.array(self.norm.scale(self.mean, self.second / (self.count - 1), self.count))


def noise_scale_from_workers(
    gradients: ArrayLike | Iterable[ArrayLike | Iterable[ArrayLike]],
    local_batch_size: float,
    *,
    norm: Norm = EUCLIDEAN,
    reduction: Reduction = "mean",
    unit: str = "samples",
) -> NoiseScaleEstimate:
    """Noise scale from the gradients that data-parallel workers hold before they are averaged.

    Micro-batches of gradient accumulation serve as well.

    Parameters
    ----------
    gradients : array_like, shape (W, N) or (steps, W, N), or iterator
        Each worker's gradient over its own samples, for one step or for several at (nearly) the same
        weights. An iterator is a stream of steps, each (W, N) or an iterator of W gradients, read once.
    local_batch_size : float
        b, samples of each worker; in `unit`.
    norm : Norm, optional
        Euclidean for B_simple; L1 or Nuclear for sign and spectral descent.
    reduction : {"mean", "sum"}, optional
        Whether a worker's loss is the mean over its samples or their sum.
    unit : str, optional
        What `local_batch_size` counts.

    Returns
    -------
    NoiseScaleEstimate
        Standard errors from the spread over steps, or for a single step from leaving out one worker at a
        time (jackknife; on the safe side where noise dominates).

    Raises
    ------
    ValueError
        Fewer than two workers (three for a single step), a stream of one step, wrong shapes, nan or inf.

    Notes
    -----
    Worker gradients are means over b samples, so their spread is Sigma/b; and |mean|^2 exceeds |g|^2 by
    tr(Sigma)/(W b). The source (10542.d49) prints neither factor.
    """
    size = float(positive(local_batch_size, "local_batch_size", ndim=0))
    factor = batch_mean(size, reduction)
    to_samples = np.array([size, 1.0]) * factor**2
    steps = gradients
    if not isinstance(gradients, Iterator):
        array = real_array(gradients, "gradients", ndim=(2, 3))  # type: ignore[arg-type]
        least = 2 if array.ndim == 3 else 3
        if array.shape[-2] < least:
            raise ValueError(f"gradients must come from at least {least} workers; got shape {array.shape}")
        if array.ndim == 2:
            whole, left_out = leave_out(array, norm, len(array))
            return jackknife(whole * to_samples, left_out * to_samples, unit)
        steps = array
    pairs = [_moments(step, norm).scale() * to_samples for step in steps]  # type: ignore[union-attr]
    if len(pairs) < 2:
        raise ValueError(f"gradients of several steps must be of 2 or more; got {len(pairs)}")
    return spread(np.array(pairs), unit)


def batch_mean(batch_size: float, reduction: Reduction) -> float:
    """What turns the gradient of a batch's loss into that of the mean over its samples."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction must be "mean" or "sum"; got {reduction!r}')
    return 1.0 if reduction == "mean" else 1 / batch_size


def gradient_blocks(gradients: ArrayLike | Iterable[ArrayLike]) -> Iterator[Array]:
    """Gradients as blocks (k, N) of one N."""
    if not isinstance(gradients, Iterator):
        yield real_array(gradients, "gradients", ndim=2)  # type: ignore[arg-type]
        return
    size = None
    for item in gradients:
        block = np.atleast_2d(real_array(item, "gradients", ndim=(1, 2)))
        if size not in (None, block.shape[1]):
            raise ValueError(f"gradients must have one size; got {size} and {block.shape[1]}")
        size = block.shape[1]
        yield block


def _moments(gradients: ArrayLike | Iterable[ArrayLike], norm: Norm) -> _Moments:
    """Of all gradients of a step."""
    whole: _Moments | None = None
    for block in gradient_blocks(gradients):
        if len(block):
            part = _Moments.of(block, norm)
            whole = part if whole is None else whole.with_(part)
    if whole is None or whole.count < 2:
        raise ValueError(f"gradients must be of at least 2 workers; got {whole.count if whole else 0}")
    return whole


def leave_out(gradients: ArrayLike | Iterable[ArrayLike], norm: Norm, groups: int) -> tuple[Array, Array]:
    """Numerator and denominator from all gradients, and without each of the groups."""
    parts: list[_Moments] = []
    seen = 0
    for block in gradient_blocks(gradients):
        for place in range(min(groups, len(block))):
            rows = _Moments.of(block[place::groups], norm)
            turn = (seen + place) % groups
            if turn < len(parts):
                parts[turn] = parts[turn].with_(rows)
            else:
                parts.append(rows)
        seen += len(block)
    if seen < 3:
        raise ValueError(f"gradients must be of at least 3 samples; got {seen}")
    whole = reduce(_Moments.with_, parts)
    return whole.scale(), np.array([whole.without(part).scale() for part in parts])
