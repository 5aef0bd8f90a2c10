"""Steps against examples: what a larger batch saves in time, and what it costs in data."""

from lrbs.tradeoff.conversions import (
    batch_size_at_efficiency,
    batch_size_at_overhead,
    noise_scale_from_efficiency,
    noise_scale_from_overhead,
)
from lrbs.tradeoff.fit import PredictedSteps, TradeoffFit, fit_tradeoff
from lrbs.tradeoff.law import examples, hyperbola, steps
from lrbs.tradeoff.varying import (
    RunLength,
    critical_average,
    exchange_rate,
    frugal_batch_size,
    noiseless_steps,
    run_length,
    tradeoff_product,
)

__all__ = [
    "PredictedSteps",
    "RunLength",
    "TradeoffFit",
    "batch_size_at_efficiency",
    "batch_size_at_overhead",
    "critical_average",
    "examples",
    "exchange_rate",
    "fit_tradeoff",
    "frugal_batch_size",
    "hyperbola",
    "noise_scale_from_efficiency",
    "noise_scale_from_overhead",
    "noiseless_steps",
    "run_length",
    "steps",
    "tradeoff_product",
]
