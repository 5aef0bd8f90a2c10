"""Closed curves in the batch size: the shapes that learning rates and loss decreases follow."""

from __future__ import annotations

from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive, real_array

__all__ = ["linear", "saturation"]


def saturation(batch_size: ArrayLike, limit: ArrayLike, noise_scale: ArrayLike) -> Array:
    """limit / (1 + noise_scale / B): rises in proportion to B, then levels off.

    The law of SGD's optimal learning rate and, with the same noise scale, of its loss decrease.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    limit : array_like, value at infinite batch size
    noise_scale : array_like
        B_noise > 0, in samples: where half of the limit is reached.

    Returns
    -------
    ndarray
        In units of `limit`. Exact for SGD on a quadratic loss. Source: 10542.10, 10542.13, 11260.4, 11260.8.

    Raises
    ------
    ValueError
        If `batch_size` or `noise_scale` is not positive.

    Examples
    --------
    >>> float(saturation(100, limit=0.5, noise_scale=100))
    0.25
    """
    ratio = positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size")
    return plain(real_array(limit, "limit") / (1 + ratio))


def linear(batch_size: ArrayLike, limit: ArrayLike, noise_scale: ArrayLike) -> Array:
    """limit * B / noise_scale: the small-batch limit of :func:`saturation`. Source: 11260.6.

    Parameters
    ----------
    batch_size, limit, noise_scale : array_like
        B in samples, value at infinite batch size, B_noise in samples; broadcast.

    Returns
    -------
    ndarray, too high by the factor 1 + B/B_noise

    Raises
    ------
    ValueError
        If `batch_size` or `noise_scale` is not positive.
    """
    ratio = positive(batch_size, "batch_size") / positive(noise_scale, "noise_scale")
    return plain(real_array(limit, "limit") * ratio)
