"""The noise scale of a PyTorch training run, measured while it trains: ``pip install lrbs[torch]``.

The names load when they are first asked for, and PyTorch with them.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.torch.monitor import *
    from lrbs.torch.probe import *
    from lrbs.torch.report import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
