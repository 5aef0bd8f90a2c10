"""Coursework: assignments that are released, handed in and marked.

Students need :class:`Task`. Teachers need the command line, ``python -m lrbs coursework --help``.
Nothing else in lrbs imports this room.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import room

if TYPE_CHECKING:
    from lrbs.coursework.assignment import *
    from lrbs.coursework.question import *
    from lrbs.coursework.task import *

__all__, __getattr__, __dir__ = room(__name__, __file__)
