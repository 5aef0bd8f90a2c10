"""Sweeps of language models, public ones and a small one of our own: best learning rates, laws, forecasts."""

from typing import TYPE_CHECKING

from lrbs.lazy import names_of

if TYPE_CHECKING:
    from lrbs.sweeps.fits import *
    from lrbs.sweeps.prediction import *
    from lrbs.sweeps.table import *
    from lrbs.sweeps.transformer import *

__all__, __getattr__ = names_of(
    "lrbs.sweeps",
    {
        "fits": ("CANDIDATES", "Candidate", "LawFit", "fit_law", "power_of_size_and_tokens", "resampled"),
        "prediction": ("RateRange", "rate_range"),
        "table": ("RunsToLoss", "Sweep", "step_law", "steps_to_loss"),
        "transformer": (
            "HELD_FIXED",
            "TABLES",
            "WALK",
            "BestRates",
            "best_rates",
            "noise_scale_midway",
            "one_step",
            "recorded",
            "tuned_rates",
        ),
    },
)
