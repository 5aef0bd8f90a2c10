"""Closed laws in the batch size, a file an idea; all names can be had from here.

They stand on the core (model, rules, approximations, step); nothing there needs them.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.laws.adam import *
    from lrbs.laws.adam_curves import *
    from lrbs.laws.adam_finite import *
    from lrbs.laws.averaging import *
    from lrbs.laws.batch_change import *
    from lrbs.laws.clip import *
    from lrbs.laws.clock import *
    from lrbs.laws.corner import *
    from lrbs.laws.correlation import *
    from lrbs.laws.curves import *
    from lrbs.laws.erf_route import *
    from lrbs.laws.flatness import *
    from lrbs.laws.heavy_tails import *
    from lrbs.laws.momentum import *
    from lrbs.laws.muon import *
    from lrbs.laws.noises import *
    from lrbs.laws.practice import *
    from lrbs.laws.quadratic import *
    from lrbs.laws.scalar_law import *
    from lrbs.laws.scaling import *
    from lrbs.laws.schedules import *
    from lrbs.laws.sde import *
    from lrbs.laws.several_steps import *
    from lrbs.laws.sgd import *
    from lrbs.laws.sign import *
    from lrbs.laws.softsign import *
    from lrbs.laws.spectrum import *
    from lrbs.laws.spread import *
    from lrbs.laws.surge import *
    from lrbs.laws.update_rms import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
