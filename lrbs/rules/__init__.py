"""The update rules: how gradients become a step. What is made of them stands in :mod:`lrbs.approximations`.

Each rule is a frozen dataclass with `init` and `update`. Calling it on a history of batch gradients gives the
update vector phi after the last of them, with w <- w - eta * phi.
"""

from lrbs.rules.adam import Adam, AdamState, adamw_step
from lrbs.rules.base import Rule, UpdateRule
from lrbs.rules.composed import Averaged, Layerwise
from lrbs.rules.momentum import SGD, Lion, Preconditioned, SignSGD, SoftSignSGD, softsign
from lrbs.rules.muon import Muon, msign

__all__ = [
    "SGD",
    "Adam",
    "AdamState",
    "Averaged",
    "Layerwise",
    "Lion",
    "Muon",
    "Preconditioned",
    "Rule",
    "SignSGD",
    "SoftSignSGD",
    "UpdateRule",
    "adamw_step",
    "msign",
    "softsign",
]
