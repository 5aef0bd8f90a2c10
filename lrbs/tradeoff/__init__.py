"""Steps against examples: what a larger batch saves in time, and what it costs in data."""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.tradeoff.conversions import *
    from lrbs.tradeoff.fit import *
    from lrbs.tradeoff.law import *
    from lrbs.tradeoff.varying import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
