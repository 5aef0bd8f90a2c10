"""Steps and examples to one loss, as curves in the batch size; and the hyperbola that both lie on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive

__all__ = ["examples", "hyperbola", "steps"]


def steps(batch_size: ArrayLike, min_steps: ArrayLike, noise_scale: ArrayLike) -> Array:
    """Steps to a target loss at optimal learning rates, S = S_min (1 + B_noise/B). Source: 10542.14, 11260.9.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    min_steps : array_like
        S_min > 0: steps needed with exact gradients.
    noise_scale : array_like
        B_noise > 0, in samples, taken as constant along the run.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `batch_size`, `min_steps` or `noise_scale` is not positive.

    Examples
    --------
    >>> float(steps(100, min_steps=1000, noise_scale=100))
    2000.0
    """
    return plain(
        positive(min_steps, "min_steps")
        * (1 + positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size"))
    )


def examples(batch_size: ArrayLike, min_steps: ArrayLike, noise_scale: ArrayLike) -> Array:
    """Examples to a target loss, E = B S = S_min (B + B_noise); at least E_min = B_noise S_min.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    min_steps : array_like
        S_min > 0: steps needed with exact gradients.
    noise_scale : array_like, B_noise > 0, in samples

    Returns
    -------
    ndarray
        In samples. Source: 10542.14, 11260.9.

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    return plain(positive(batch_size, "batch_size") * steps(batch_size, min_steps, noise_scale))


def hyperbola(
    steps: ArrayLike, min_steps: ArrayLike, min_examples: ArrayLike, product: ArrayLike = 1.0
) -> Array:
    """Examples that go with a number of steps, E = E_min (1 + 1/(S/S_min - 1)). Source: 10542.14, 11260.9.

    Parameters
    ----------
    steps : array_like, S, all above `min_steps`
    min_steps, min_examples : array_like
        The two limits S_min and E_min, positive; E_min / S_min is the noise scale.
    product : array_like, optional
        Right side of the hyperbola: 1 for a fixed batch size, at best
        :func:`lrbs.tradeoff.tradeoff_product` with the power 1/2 for one that follows the noise scale.

    Returns
    -------
    ndarray, E, in samples

    Raises
    ------
    ValueError
        If some number of steps does not exceed `min_steps`: no batch is large enough.

    Examples
    --------
    >>> float(hyperbola(2000, min_steps=1000, min_examples=100_000))
    200000.0
    """
    S, S_min = positive(steps, "steps"), positive(min_steps, "min_steps")
    if not (S_min < S).all():
        raise ValueError(f"steps must exceed min_steps; got {np.min(S - S_min):.6g} above it at the least")
    excess = positive(product, "product") / (S / S_min - 1)
    return plain(positive(min_examples, "min_examples") * (1 + excess))
