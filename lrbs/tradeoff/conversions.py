"""Definitions of the critical batch size, and how one turns into another.

All of them mark a point on the same curve S = S_min (1 + B_noise/B). The one that needs no further number is
B_noise = E_min/S_min itself, where steps and examples are both twice their least.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive

__all__ = [
    "batch_size_at_efficiency",
    "batch_size_at_overhead",
    "noise_scale_from_efficiency",
    "noise_scale_from_overhead",
]


def batch_size_at_efficiency(noise_scale: ArrayLike, efficiency: ArrayLike) -> Array:
    """Batch size whose runs use a given share of their examples well, e = E_min/E. Source: lrbs.efficiency.

    Parameters
    ----------
    noise_scale : array_like, B_noise = E_min/S_min, in samples
    efficiency : array_like
        Between 0 and 1. What is lost in examples is gained in steps: E_min/E + S_min/S = 1.

    Returns
    -------
    ndarray, in samples

    Raises
    ------
    ValueError
        If `noise_scale` is not positive, or `efficiency` not between 0 and 1.

    Examples
    --------
    >>> batch_size_at_efficiency(100, [0.5, 0.8])
    array([100.,  25.])
    """
    return plain(positive(noise_scale, "noise_scale") * (1 / _share(efficiency) - 1))


def noise_scale_from_efficiency(batch_size: ArrayLike, efficiency: ArrayLike) -> Array:
    """The inverse of :func:`batch_size_at_efficiency`.

    Parameters
    ----------
    batch_size : array_like, in samples
    efficiency : array_like, E_min/E there, between 0 and 1

    Returns
    -------
    ndarray, B_noise, in samples

    Raises
    ------
    ValueError
        If `batch_size` is not positive, or `efficiency` not between 0 and 1.
    """
    return plain(positive(batch_size, "batch_size") / (1 / _share(efficiency) - 1))


def batch_size_at_overhead(
    noise_scale: ArrayLike, reference_batch_size: ArrayLike, overhead: ArrayLike = 0.2
) -> Array:
    """Batch size at which steps lie a given part above the line of linear scaling from a reference.

    With 20 % this is the critical batch size of Zhang et al. (arXiv 2410.21676). It depends on where the
    line begins: a fifth of B_noise from a small reference, and more from a larger one.

    Parameters
    ----------
    noise_scale : array_like, B_noise = E_min/S_min, in samples
    reference_batch_size : array_like, B_0, in samples
    overhead : array_like
        x > 0: steps are 1 + x times those of linear scaling. So are the examples, against B_0.

    Returns
    -------
    ndarray
        In samples. Source: lrbs.overhead.

    Raises
    ------
    ValueError
        If `noise_scale`, `reference_batch_size` or `overhead` is not positive.

    Examples
    --------
    >>> batch_size_at_overhead(1000, reference_batch_size=[1, 256])
    array([201.2, 507.2])
    """
    x = positive(overhead, "overhead")
    start = positive(reference_batch_size, "reference_batch_size")
    return plain((1 + x) * start + x * positive(noise_scale, "noise_scale"))


def noise_scale_from_overhead(
    batch_size: ArrayLike, reference_batch_size: ArrayLike, overhead: ArrayLike = 0.2
) -> Array:
    """The inverse of :func:`batch_size_at_overhead`.

    Parameters
    ----------
    batch_size, reference_batch_size : array_like, where the overhead is x, and B_0; in samples
    overhead : array_like, x > 0

    Returns
    -------
    ndarray, B_noise, in samples

    Raises
    ------
    ValueError
        If an argument is not positive, or `batch_size` not above (1 + x) times the reference: no hyperbola
        has so much overhead there.
    """
    x = positive(overhead, "overhead")
    least = (1 + x) * positive(reference_batch_size, "reference_batch_size")
    B = positive(batch_size, "batch_size")
    if not (least < B).all():
        raise ValueError(
            f"batch_size must exceed (1 + overhead) reference_batch_size; got {np.min(B - least):.6g} above "
            "it at the least"
        )
    return plain((B - least) / x)


def _share(efficiency: ArrayLike) -> Array:
    share = positive(efficiency, "efficiency")
    if not (share < 1).all():
        raise ValueError(f"efficiency must be below 1, its limit for small batches; got {share.max():.6g}")
    return share
