"""lrbs: how the learning rate should follow the batch size, formula by formula.

A point of training is a :class:`LocalModel`; an optimiser is an update rule; :func:`expected_step` gives
the learning rate and the progress of one step under an approximation passed as a function, and
:func:`simulated_step` and :func:`measured_step` give the same without any.

The rooms are modules that load when they are first asked for: ``lrbs.laws`` (closed laws),
``lrbs.noise_scale`` (estimators), ``lrbs.tradeoff`` (steps against examples), ``lrbs.sweeps`` (public sweeps
of language models), ``lrbs.lab`` (small real networks), ``lrbs.checks`` (a run for each equation that can
contradict it) and ``lrbs.show`` (figures).
:func:`plan` says what to do with a run whose batch size changes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrbs.approximations import exact, mean_field, scalar_mean_field
from lrbs.model import LocalModel
from lrbs.rules import SGD, Adam, Averaged, Lion, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.simulate import MeasuredStep, measured_step, searched_lr, simulated_step, step_from_updates
from lrbs.step import Step, expected_step, loss_decrease, optimal_lr, quadratic_loss_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lrbs import checks, lab, laws, noise_scale, show, sweeps, tradeoff
    from lrbs.equations import Formula
    from lrbs.laws import ScalarLaw, fit_power_saturation, saturation
    from lrbs.noise_scale import (
        NoiseScaleEstimate,
        RunningNoiseScale,
        noise_scale_from_batch_sizes,
        noise_scale_from_momentum,
        noise_scale_from_samples,
        noise_scale_from_two_batches,
        noise_scale_from_update_rms,
        noise_scale_from_workers,
        two_batch_moments,
    )
    from lrbs.planner import plan
    from lrbs.tradeoff import fit_tradeoff

    formulas: Mapping[str, Formula]

__version__ = "0.7.0"

__all__ = [
    "SGD",
    "Adam",
    "Averaged",
    "Lion",
    "LocalModel",
    "MeasuredStep",
    "Muon",
    "NoiseScaleEstimate",
    "Preconditioned",
    "RunningNoiseScale",
    "ScalarLaw",
    "SignSGD",
    "SoftSignSGD",
    "Step",
    "UpdateRule",
    "checks",
    "exact",
    "expected_step",
    "fit_power_saturation",
    "fit_tradeoff",
    "formulas",
    "lab",
    "laws",
    "loss_decrease",
    "mean_field",
    "measured_step",
    "noise_scale",
    "noise_scale_from_batch_sizes",
    "noise_scale_from_momentum",
    "noise_scale_from_samples",
    "noise_scale_from_two_batches",
    "noise_scale_from_update_rms",
    "noise_scale_from_workers",
    "optimal_lr",
    "plan",
    "quadratic_loss_change",
    "saturation",
    "scalar_mean_field",
    "searched_lr",
    "show",
    "simulated_step",
    "step_from_updates",
    "sweeps",
    "tradeoff",
    "two_batch_moments",
]

# Where the names come from that load their room when they are first asked for.
_ROOMS = ("checks", "lab", "laws", "noise_scale", "show", "sweeps", "tradeoff")
_LATER = {
    "ScalarLaw": "laws",
    "fit_power_saturation": "laws",
    "fit_tradeoff": "tradeoff",
    "plan": "planner",
    "saturation": "laws",
} | {name: "noise_scale" for name in __all__ if "oise" in name or name.startswith("two_batch")}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"lrbs.{name}")
    if name in _LATER:
        return getattr(import_module(f"lrbs.{_LATER[name]}"), name)
    if name == "formulas":
        from lrbs.equations import load

        return load()
    raise AttributeError(
        f"module 'lrbs' has no attribute {name!r}; laws are in lrbs.laws, {', '.join(_ROOMS)}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
