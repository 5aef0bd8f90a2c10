"""Public sweeps of language models: their best learning rates, laws fitted to them, what they predict."""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.sweeps.fits import *
    from lrbs.sweeps.prediction import *
    from lrbs.sweeps.table import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
