"""Public sweeps of language models: their best learning rates, laws fitted to them, what they predict."""

from typing import TYPE_CHECKING

from lrbs.lazy import names_of

if TYPE_CHECKING:
    from lrbs.sweeps.fits import *
    from lrbs.sweeps.prediction import *
    from lrbs.sweeps.table import *

__all__, __getattr__ = names_of(
    "lrbs.sweeps",
    {
        "fits": ("CANDIDATES", "Candidate", "LawFit", "fit_law", "power_of_size_and_tokens", "resampled"),
        "prediction": ("RateRange", "rate_range"),
        "table": ("RunsToLoss", "Sweep", "step_law", "steps_to_loss"),
    },
)
