"""Noise scales from gradients: estimates of tr(Sigma) and |g|^2, each with its error, and an interval for
their ratio B_simple.

Numerator and denominator are averaged apart and divided once: a mean of ratios is biased, and has no mean at
all where a denominator comes near zero.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.noise_scale.along import *
    from lrbs.noise_scale.batch_sizes import *
    from lrbs.noise_scale.estimate import *
    from lrbs.noise_scale.gradients import *
    from lrbs.noise_scale.logs import *
    from lrbs.noise_scale.norms import *
    from lrbs.noise_scale.running import *
    from lrbs.noise_scale.samples import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
