"""Gradients of the workers of a step, and what is added up over gradients of any kind. One pass over each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lrbs.noise_scale.estimate import NoiseScaleEstimate, jackknife, spread
from lrbs.noise_scale.norms import Euclidean, Norm
from lrbs.validation import Array, NotFinite, positive, real_array

__all__ = ["noise_scale_from_workers"]

Reduction = Literal["mean", "sum"]
EUCLIDEAN = Euclidean()
ONE = np.ones(())
SKIP = "skip_nonfinite=True leaves such steps out and counts them"


@dataclass(frozen=True)
class _Moments:
    """Number, samples, mean and summed quadratic form of gradients, put together without large differences.

    A gradient of b samples has covariance Sigma/b: weighted by b, squares of deviations are Sigma's.
    """

    count: int
    samples: float
    mean: Array
    second: Array
    norm: Norm

    @classmethod
    def of(cls, rows: Array, sizes: Array, norm: Norm) -> _Moments:
        mean = sizes @ rows / sizes.sum()
        deviations = (rows - mean) * np.sqrt(sizes)[:, None]
        return cls(len(rows), float(sizes.sum()), mean, norm.square(deviations), norm)

    def with_(self, other: _Moments) -> _Moments:
        samples, between = self.samples + other.samples, other.mean - self.mean
        mean = self.mean + between * (other.samples / samples)
        gap = self.norm.square(between[None]) * (self.samples * other.samples / samples)
        return _Moments(self.count + other.count, samples, mean, self.second + other.second + gap, self.norm)

    def without(self, other: _Moments) -> _Moments:
        samples = self.samples - other.samples
        mean = self.mean + (self.mean - other.mean) * (other.samples / samples)
        gap = self.norm.square((mean - other.mean)[None]) * (samples * other.samples / self.samples)
        return _Moments(self.count - other.count, samples, mean, self.second - other.second - gap, self.norm)

    def scale(self) -> Array:
        return np.array(self.norm.scale(self.mean, self.second / (self.count - 1), self.samples))


def noise_scale_from_workers(
    gradients: ArrayLike | Iterable[ArrayLike | Iterable[ArrayLike]],
    local_batch_size: ArrayLike,
    *,
    norm: Norm = EUCLIDEAN,
    reduction: Reduction = "mean",
    unit: str = "samples",
    skip_nonfinite: bool = False,
) -> NoiseScaleEstimate:
    """Noise scale from the gradients that data-parallel workers hold before they are averaged.

    Micro-batches of gradient accumulation serve as well.

    Parameters
    ----------
    gradients : array_like, shape (W, N) or (steps, W, N), or iterator
        Each worker's gradient over its own samples, before any clipping, for one step or for several at
        (nearly) the same weights. An iterator is a stream of steps, each (W, N) or an iterator of W
        gradients, read once. A gradient may be a list of the arrays of its parameters; tensors of PyTorch
        serve as they are.
    local_batch_size : float or array_like, shape (W,) for one step, (steps,) or (steps, W) for several
        b, samples of each worker; in `unit`. Where workers hold unequal numbers of tokens, give them all.
    norm : Norm, optional
        Euclidean for B_simple; L1 or Nuclear for sign and spectral descent.
    reduction : {"mean", "sum"}, optional
        Whether a worker's loss is the mean over its samples or their sum.
    unit : str, optional, what `local_batch_size` counts
    skip_nonfinite : bool, optional
        Leave out steps with inf or nan, as after an overflow, and count them in `skipped`.

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
    tr(Sigma)/(W b). The source (10542.d49) prints neither factor. For unequal b the mean is weighted by b,
    tr(Sigma) is the sum of b |g_w - mean|^2 over W - 1, and W b is the sum: unbiased again.
    """
    sizes = positive(local_batch_size, "local_batch_size", (0, 1, 2))
    steps = gradients
    if not isinstance(gradients, Iterator):
        array = real_array(laid_out(gradients), "gradients", ndim=(2, 3), finite=False)
        least = 2 if array.ndim == 3 else 3
        if array.shape[-2] < least:
            raise ValueError(f"gradients must come from at least {least} workers; got shape {array.shape}")
        if array.ndim == 2:
            whole, left_out = leave_out(array, norm, len(array), sizes, reduction)
            return jackknife(whole, left_out, unit)
        steps = array
        if sizes.ndim and len(sizes) not in {1, len(array)}:
            raise ValueError(
                f"local_batch_size must be for {len(array)} steps, (steps,) or (steps, workers); "
                f"got shape {sizes.shape}"
            )
    pairs, skipped = [], 0
    for number, step in enumerate(steps):  # type: ignore[arg-type]
        if sizes.ndim and number >= len(sizes) > 1:
            raise ValueError(f"local_batch_size must be for every step; got {len(sizes)}, and more steps")
        own = sizes[min(number, len(sizes) - 1)] if sizes.ndim else sizes
        try:
            pairs.append(_moments(step, norm, own, reduction).scale())
        except NotFinite as error:
            if not skip_nonfinite:
                raise ValueError(f"step {number}: {error}; {SKIP}") from None
            skipped += 1
            deque(step if isinstance(step, Iterator) else (), maxlen=0)  # the rest of a stream
    if len(pairs) < 2:
        raise ValueError(f"gradients of several steps must be of 2 or more; got {len(pairs)}")
    return spread(np.array(pairs), unit, skipped)


def batch_mean(batch_size: ArrayLike, reduction: Reduction) -> Array:
    """What turns the gradient of a batch's loss into that of the mean over its samples."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction must be "mean" or "sum"; got {reduction!r}')
    return np.ones(()) if reduction == "mean" else 1 / np.asarray(batch_size, dtype=np.float64)


def laid_out(gradients: Any) -> Any:
    """A list of gradients, each of them a vector; anything but a list as it is."""
    return [_one(item) for item in gradients] if isinstance(gradients, list | tuple) else gradients


def _one(item: Any) -> Any:
    """The arrays of the parameters end to end, for a gradient that comes as these; anything else as it is."""
    if isinstance(item, np.ndarray):  # nearly always, and this comes for each gradient
        return item
    named = isinstance(item, Mapping)
    parts = list(item.values()) if named else item
    if not isinstance(parts, list | tuple):
        return item
    shapes = {getattr(part, "shape", None) for part in parts}
    if None in shapes:
        return [_one(part) for part in parts] if any(hasattr(part, "__len__") for part in parts) else parts
    if not named and len(shapes) == 1 and parts[0].ndim == 1:
        return parts  # vectors of one length: several gradients
    return np.concatenate([real_array(part, "gradients", finite=False).ravel() for part in parts])


def gradient_blocks(gradients: ArrayLike | Iterable[ArrayLike], *, finite: bool = True) -> Iterator[Array]:
    """Gradients as blocks (k, N) of one N."""
    if not isinstance(gradients, Iterator):
        yield real_array(laid_out(gradients), "gradients", ndim=2, finite=finite)
        return
    size = None
    for item in gradients:
        vector = _one(item)
        if (
            isinstance(vector, list | tuple)
            and vector is item
            and len(item) > 1
            and hasattr(item[0], "shape")
        ):
            raise ValueError(
                f"gradients must not come as lists of {len(item)} vectors of one length: numpy.stack makes a "
                "block of that many gradients of them, numpy.concatenate one gradient"
            )
        block = real_array(vector, "gradients", ndim=(1, 2), finite=finite)
        block = block if block.ndim == 2 else block[None]
        if size not in (None, block.shape[1]):
            raise ValueError(f"gradients must have one size; got {size} and {block.shape[1]}")
        size = block.shape[1]
        yield block
        del item, vector, block  # or they would be held until the next is there


def _weighted_blocks(
    gradients: ArrayLike | Iterable[ArrayLike], sizes: Array, reduction: Reduction
) -> Iterator[tuple[Array, Array]]:
    """Blocks of gradients of means, each with the batch sizes of its rows."""
    seen = 0
    for block in gradient_blocks(gradients):
        stop = seen + len(block)
        if sizes.ndim > 1 or (sizes.ndim and stop > len(sizes)):
            raise ValueError(f"local_batch_size must be one a worker; got shape {sizes.shape}")
        own = sizes[seen:stop] if sizes.ndim else np.full(len(block), sizes)
        scale = batch_mean(own, reduction)
        yield (block * scale[:, None] if scale.ndim else block), own
        seen = stop
    if sizes.ndim and seen != len(sizes):
        raise ValueError(f"local_batch_size must be one a worker; got {len(sizes)} for {seen} workers")


def _moments(
    gradients: ArrayLike | Iterable[ArrayLike], norm: Norm, sizes: Array, reduction: Reduction
) -> _Moments:
    """Of all gradients of a step."""
    whole: _Moments | None = None
    for block, own in _weighted_blocks(gradients, sizes, reduction):
        if len(block):
            part = _Moments.of(block, own, norm)
            whole = part if whole is None else whole.with_(part)
    if whole is None or whole.count < 2:
        raise ValueError(f"gradients must be of at least 2 workers; got {whole.count if whole else 0}")
    return whole


def leave_out(
    gradients: ArrayLike | Iterable[ArrayLike],
    norm: Norm,
    groups: int,
    sizes: Array = ONE,
    reduction: Reduction = "mean",
) -> tuple[Array, Array]:
    """Numerator and denominator from all gradients, and without each of the groups."""
    parts: list[_Moments] = []
    seen = 0
    for block, own in _weighted_blocks(gradients, sizes, reduction):
        for place in range(min(groups, len(block))):
            rows = _Moments.of(block[place::groups], own[place::groups], norm)
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
