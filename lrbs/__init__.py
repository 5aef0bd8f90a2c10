"""lrbs: how the learning rate should follow the batch size, formula by formula.

A point of training is a :class:`LocalModel`; an optimiser is an update rule; :func:`expected_step` gives
the learning rate and the progress of one step under an approximation passed as a function, and
:func:`simulated_step` and :func:`measured_step` give the same without any.
"""

from lrbs.laws import linear, saturation
from lrbs.model import LocalModel
from lrbs.moments import Moments, exact, mean_field, scalar_mean_field
from lrbs.registry import Formula, formula, formulas
from lrbs.rules import SGD, Adam, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.simulate import MeasuredStep, measured_step, simulated_step
from lrbs.step import Step, expected_step, loss_decrease, optimal_lr
from lrbs.tradeoff import examples, hyperbola, steps

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Formula",
    "LocalModel",
    "MeasuredStep",
    "Moments",
    "Muon",
    "Preconditioned",
    "SignSGD",
    "SoftSignSGD",
    "Step",
    "UpdateRule",
    "exact",
    "examples",
    "expected_step",
    "formula",
    "formulas",
    "hyperbola",
    "linear",
    "loss_decrease",
    "mean_field",
    "measured_step",
    "optimal_lr",
    "saturation",
    "scalar_mean_field",
    "simulated_step",
    "steps",
]
