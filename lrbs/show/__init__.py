"""How the book draws: one style for all figures. Needs matplotlib, which comes with ``lrbs[book]``."""

from lrbs.show.style import COLOURS, use_style

__all__ = ["COLOURS", "use_style"]
