"""What the sweeps say of a new batch size: every one of them is asked, and the range covers their answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.corner import corner_law
from lrbs.sweeps.fits import CANDIDATES, LawFit, design, fit_law, power_of_size_and_tokens, resampled
from lrbs.sweeps.table import Sweep, step_law
from lrbs.validation import Array, plain, positive

__all__ = ["RateRange", "rate_range"]

# The range covers the middle three quarters of the answers and, beyond them, what the rates scatter: of a
# normal variable 90 % lie within so many standard deviations.
MIDDLE = 0.75
NINETY_PERCENT = 1.645


class RateRange(NamedTuple):
    """A learning rate and the range to try around it, by :func:`rate_range`.

    Parameters
    ----------
    centre, low, high : ndarray
        Of one shape.
    """

    centre: Array
    low: Array
    high: Array


def rate_range(
    batch_size: ArrayLike,
    learning_rate: ArrayLike,
    new_batch_size: ArrayLike,
    *,
    parameters: float | None = None,
    tokens: float | None = None,
    sequence_length: float = 2048,
    sweeps: Sequence[Sweep] | None = None,
) -> RateRange:
    """AdamW's learning rate at a new batch size, for equally many examples, by the corners of the sweeps.

    Each sweep has a corner, up to which its best rate rises as B^a. It answers by what its rate does between
    the two batch sizes. The centre is the median answer; the range holds the middle three quarters of the
    answers, and goes further by what best rates scatter around their laws. It knows nothing of a noise scale.

    Parameters
    ----------
    batch_size, learning_rate, new_batch_size : array_like
        The batch that is, its best rate, and the batch to come, in sequences; broadcast.
    parameters, tokens : float, optional
        Model size N and length of the run D in tokens. With both, corners are moved to where powers of
        the two put them, and the range is narrower. Tried from 2e8 to 1e9 and from 4e9 to 1e11.
    sequence_length : float
        In tokens. What a corner counts is taken to be tokens; the sweeps had 2048 and nothing else.
    sweeps : sequence of Sweep, optional
        The ten of :func:`lrbs.sweeps.step_law` unless told; at least five.

    Returns
    -------
    RateRange
        In units of `learning_rate`. One recipe stands behind it, see the chapter on public sweeps.

    Raises
    ------
    ValueError
        If an argument is not positive, or one of `parameters` and `tokens` comes alone.

    Examples
    --------
    >>> rise = rate_range(64, 1e-3, [128, 1024])
    >>> bool((rise.low < rise.centre).all() and (rise.centre < rise.high).all())
    True
    """
    if (parameters is None) != (tokens is None):
        raise ValueError(
            f"parameters and tokens move the corners together; got parameters={parameters!r} and "
            f"tokens={tokens!r}: give both or neither"
        )
    unit = float(positive(sequence_length, "sequence_length")) / 2048
    old, new = (
        positive(size, name) * unit
        for size, name in ((batch_size, "batch_size"), (new_batch_size, "new_batch_size"))
    )
    known = tuple(step_law() if sweeps is None else sweeps)
    fit = _corners(known)
    corners = fit.own
    if parameters is not None and tokens is not None:
        corners = _moved(corners, known, float(positive(parameters, "parameters")),
                         float(positive(tokens, "tokens")))  # fmt: skip
    a = fit.shared["a"]
    there, here = (corner_law(B[..., None], 1.0, corners, a) for B in np.broadcast_arrays(new, old))
    answers = np.log(there / here)
    outside = (1 - MIDDLE) / 2
    centre, low, high = np.quantile(answers, [0.5, outside, 1 - outside], axis=-1, method="hazen")
    # Both rates, the one that is and the one to come, scatter around the law, and its exponent has an error.
    margin = NINETY_PERCENT * np.hypot(np.sqrt(2) * fit.scatter, centre / a * _exponent_error(known))
    rate = positive(learning_rate, "learning_rate")
    return RateRange(*(plain(rate * np.exp(log)) for log in (centre, low - margin, high + margin)))


@lru_cache(maxsize=16)
def _corners(sweeps: tuple[Sweep, ...]) -> LawFit:
    return fit_law(CANDIDATES["corner"], sweeps)


@lru_cache(maxsize=16)
def _exponent_error(sweeps: tuple[Sweep, ...]) -> float:
    """Standard error of the exponent below the corner, by drawing sweeps with replacement."""
    drawn = resampled(len(sweeps)) @ _corners(sweeps).profile
    return float(CANDIDATES["corner"].shared["a"][drawn.argmin(axis=1)].std())


def _moved(corners: Array, sweeps: Sequence[Sweep], parameters: float, tokens: float) -> Array:
    """Corners as they would lie at another size and length: the power law, and around it what it left.

    What a sweep was off is enlarged as if it had not been fitted, and as the distance of the new point asks.
    """
    X, at = design(sweeps), np.array([1.0, np.log(tokens / 1e9), np.log(parameters / 1e8)])
    terms = power_of_size_and_tokens(corners, sweeps)
    inverse = np.linalg.inv(X.T @ X)
    own = np.einsum("ki,ij,kj->k", X, inverse, X)
    off = (np.log(corners) - X @ terms) / np.sqrt(1 - own) * np.sqrt(1 + at @ inverse @ at)
    return np.exp(at @ terms + off)
