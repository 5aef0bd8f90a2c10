"""What runs of this book did, and how far best rates scatter about their laws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive

__all__ = [
    "BATCH_SIZES",
    "BEST_RATES",
    "EXPONENT",
    "MARGIN",
    "NOISE_SCALE",
    "REACH",
    "SCATTER",
    "book_runs",
    "run_at",
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


def book_runs(
    family: str, batch_size: float, new_batch_size: float, noise_scale: ArrayLike
) -> tuple[Array, Array]:
    """Factor of the best rate between two batch sizes in the runs of this book, and its relative error.

    Batch sizes count in units of the noise scale, between those that were run along straight lines in the
    logarithms. nan where they were not run.
    """
    rates, errors = (np.array(values) for values in BEST_RATES[family])
    measured_at = np.log(np.array(BATCH_SIZES) / NOISE_SCALE)
    old, new = (np.log(B / positive(noise_scale, "noise_scale")) for B in (batch_size, new_batch_size))

    def between(values: Array) -> tuple[Array, Array]:
        at = [np.interp(x, measured_at, values, left=np.nan, right=np.nan) for x in (old, new)]
        return at[0], at[1]

    log_old, log_new = between(np.log(rates))
    return plain(np.exp(log_new - log_old)), plain(np.hypot(*between(errors / rates)))


def run_at(*batch_sizes: float) -> list[float]:
    """Noise scales at which one of these batch sizes is one of those that were run."""
    return [B * NOISE_SCALE / size for B in batch_sizes for size in BATCH_SIZES]
