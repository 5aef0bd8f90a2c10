"""What runs of this book did, and how far best rates scatter about their laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.sweeps.transformer import HELD_FIXED, best_rates, noise_scale_at
from lrbs.validation import Array, plain, positive

__all__ = [
    "BATCH_SIZES",
    "BEST_RATES",
    "EXPONENT",
    "MARGIN",
    "NOISE_SCALE",
    "REACH",
    "SCATTER",
    "Runs",
    "forty_steps",
    "transformer",
]

# Forty steps: best constant rates from one point of a network of 1210 weights, with standard errors over
# seeds, as the chapter prints them; and B_simple at that point. A test holds them to the chapter.
BATCH_SIZES = (4, 16, 64, 256, 1024)
NOISE_SCALE = 257.0
BEST_RATES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "gradient": ((0.34, 1.60, 5.99, 9.6, 10.6), (0.07, 0.07, 0.09, 0.1, 0.3)),
    "sign": ((0.016, 0.025, 0.036, 0.055, 0.051), (0.001, 0.001, 0.002, 0.004, 0.004)),
    "adam": ((0.014, 0.027, 0.045, 0.094, 0.159), (0.001, 0.003, 0.005, 0.009, 0.006)),
    "muon": ((0.09, 0.125, 0.23, 0.36, 0.252), (0.01, 0.008, 0.01, 0.01, 0.008)),
}

# Best rates of the public sweeps lie about their best law with a standard deviation of 10 %, and rise below
# its corner with this exponent; a test holds both to the fit. A ratio has two rates; of a normal variable
# 90 % lie within 1.645 standard deviations.
SCATTER, EXPONENT = 0.10, 0.72
MARGIN = float(np.exp(1.645 * np.sqrt(2) * SCATTER))

# How far from B_simple a curve may bend: in the runs above between 0.4 and some 4 times it, SGD's first and
# Adam's last. No public sweep comes with a noise scale.
REACH = 4.0

RECIPES = {"adam": "AdamW", "muon": "Muon"}  # of the small transformer


@dataclass(frozen=True, eq=False)
class Runs:
    """Best learning rates that were run, and where: batch sizes count in units of a noise scale.

    Attributes
    ----------
    batch_size, learning_rate, error : ndarray, shape (n,)
        Rising; the best rates and their relative standard errors.
    noise_scale : float
        B_simple of these runs, in the unit of their batch sizes.
    """

    batch_size: Array
    learning_rate: Array
    error: Array
    noise_scale: float

    def factor(self, batch_size: float, new_batch_size: float, noise_scale: ArrayLike) -> tuple[Array, Array]:
        """Factor of the best rate between two batch sizes, and its relative error.

        Between those that were run along straight lines in the logarithms; nan where they were not run.
        """
        measured_at = np.log(self.batch_size / self.noise_scale)
        old, new = (np.log(B / positive(noise_scale, "noise_scale")) for B in (batch_size, new_batch_size))

        def between(values: Array) -> tuple[Array, Array]:
            at = [np.interp(x, measured_at, values, left=np.nan, right=np.nan) for x in (old, new)]
            return at[0], at[1]

        log_old, log_new = between(np.log(self.learning_rate))
        return plain(np.exp(log_new - log_old)), plain(np.hypot(*between(self.error)))

    def at(self, *batch_sizes: float) -> list[float]:
        """Noise scales at which one of these batch sizes is one of those that were run."""
        return [B * self.noise_scale / size for B in batch_sizes for size in self.batch_size]


def forty_steps(family: str) -> Runs:
    """Of a family of optimisers, at equal steps."""
    rates, errors = (np.array(values) for values in BEST_RATES[family])
    return Runs(np.array(BATCH_SIZES), rates, errors / rates, NOISE_SCALE)


def transformer(family: str, fixed: str) -> Runs | None:
    """Of the small transformer, if the family was run there."""
    if family not in RECIPES:
        return None
    found = best_rates(RECIPES[family], **HELD_FIXED[fixed])
    return Runs(found.batch_size, found.learning_rate, found.learning_rate_error, noise_scale_at())
