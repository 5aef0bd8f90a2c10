"""How the book draws: one style, figures that move. Needs matplotlib, which comes with ``lrbs[book]``."""

from lrbs.show.controls import Axis, Choice, Slider
from lrbs.show.fits import tradeoff
from lrbs.show.live import LiveFigure, explore
from lrbs.show.palette import COLOURS, PALETTE
from lrbs.show.progress_bar import progress
from lrbs.show.prose import glue
from lrbs.show.series import Band, Line, Points, Readout, Rule
from lrbs.show.style import use_style
from lrbs.show.tables import Table, table
from lrbs.show.widget import Interactive, interact

__all__ = [
    "COLOURS",
    "PALETTE",
    "Axis",
    "Band",
    "Choice",
    "Interactive",
    "Line",
    "LiveFigure",
    "Points",
    "Readout",
    "Rule",
    "Slider",
    "Table",
    "explore",
    "glue",
    "interact",
    "progress",
    "table",
    "tradeoff",
    "use_style",
]
