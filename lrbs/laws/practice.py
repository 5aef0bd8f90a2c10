"""From the law to a run: the learning rate from one search, and a margin of safety."""

from __future__ import annotations

from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive, real_array

__all__ = ["cautious_lr", "kept_progress", "max_lr_from_search"]


def max_lr_from_search(batch_size: ArrayLike, found_lr: ArrayLike, noise_scale: ArrayLike) -> Array:
    """SGD's learning rate at infinite batch size from the best one found at a small batch.

    Parameters
    ----------
    batch_size : array_like, B_0 of the search, in samples
    found_lr : array_like, its result
    noise_scale : array_like
        B_noise; the source puts B_simple in its place. :func:`lrbs.saturation` gives the learning rate at
        other batch sizes.

    Returns
    -------
    ndarray
        Source: 10542.tgrid.

    Raises
    ------
    ValueError
        If `batch_size`, `found_lr` or `noise_scale` is not positive.
    """
    ratio = positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size")
    return plain(positive(found_lr, "found_lr") * (1 + ratio))


def cautious_lr(optimal_lr: ArrayLike, fraction: float) -> Array:
    """A share of the optimal learning rate. Source: 10542.d56.

    Parameters
    ----------
    optimal_lr : array_like, eta* > 0
    fraction : float
        alpha in (0, 1]; 10542.d56 advises 0.5 to 1. :func:`kept_progress` says what it costs.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `optimal_lr` is not positive, or `fraction` not in (0, 1].
    """
    share = float(positive(fraction, "fraction"))
    if share > 1:
        raise ValueError(f"fraction must be at most 1; got {share:g}")
    return plain(share * positive(optimal_lr, "optimal_lr"))


def kept_progress(fraction: ArrayLike) -> Array:
    """Share of the best loss decrease that learning rate `fraction` * eta* gives: x (2 - x).

    Parameters
    ----------
    fraction : array_like, x, of the optimal learning rate

    Returns
    -------
    ndarray
        On a quadratic, for any rule; negative beyond x = 2, where steps raise the loss. Source: 10542.d56
        with 11260.2.

    Examples
    --------
    >>> float(kept_progress(0.5))
    0.75
    """
    x = real_array(fraction, "fraction")
    return plain(x * (2 - x))
