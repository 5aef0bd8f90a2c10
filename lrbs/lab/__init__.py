"""A laboratory of small real networks: exact derivatives, real batches, many replicas at once.

NumPy alone, except for the digits, which scikit-learn brings. The core of lrbs does not know of it.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.lab.arrival import *
    from lrbs.lab.data import *
    from lrbs.lab.networks import *
    from lrbs.lab.noise import *
    from lrbs.lab.search import *
    from lrbs.lab.stationary import *
    from lrbs.lab.survey import *
    from lrbs.lab.sweeping import *
    from lrbs.lab.training import *
    from lrbs.lab.tuning import *

__all__, __getattr__, __dir__ = room(
    __name__, __file__, "adaptive", "layout", "self_tuned", "tasks", "tracking"
)
