"""Sweeps of language models, public ones and a small one of our own: best learning rates, laws, forecasts."""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.sweeps.fits import *
    from lrbs.sweeps.prediction import *
    from lrbs.sweeps.table import *
    from lrbs.sweeps.transformer import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
