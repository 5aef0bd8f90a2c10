"""What a figure draws: lines, points, rules, bands, and numbers read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs.show.palette import PALETTE
from lrbs.validation import Array


@dataclass(frozen=True)
class Line:
    """A curve; nan leaves a gap.

    Attributes
    ----------
    x, y : array_like, shape (n,)
    colour : str, optional, a meaning of the palette; that of its name, or one in turn, unless told
    """

    x: ArrayLike
    y: ArrayLike
    colour: str | None = None


@dataclass(frozen=True)
class Points:
    """Markers; nan leaves one out.

    Attributes
    ----------
    x, y : array_like, shape (n,)
    error : array_like, optional, bars of plus and minus so much
    colour : str, optional, a meaning of the palette; that of its name, or one in turn, unless told
    """

    x: ArrayLike
    y: ArrayLike
    error: ArrayLike | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Band:
    """The space between two curves over the same x.

    Attributes
    ----------
    x, low, high : array_like, shape (n,)
    colour : str, optional, a meaning of the palette; that of its name, or one in turn, unless told
    """

    x: ArrayLike
    low: ArrayLike
    high: ArrayLike
    colour: str | None = None


@dataclass(frozen=True)
class Rule:
    """A straight line across the figure, upright at `x` or level at `y`.

    Attributes
    ----------
    x, y : float, optional, one of them
    colour : str, a name of `PALETTE`

    Raises
    ------
    ValueError
        If both or neither of `x` and `y` are given.
    """

    x: float | None = None
    y: float | None = None
    colour: str = "guide"

    def __post_init__(self) -> None:
        if (self.x is None) == (self.y is None):
            raise ValueError(f"a Rule needs x or y, one of them; got x={self.x!r}, y={self.y!r}")


@dataclass(frozen=True)
class Readout:
    """A number that is shown in words beside the figure.

    Attributes
    ----------
    value : float
    """

    value: float


Series = Line | Points | Band | Rule | Readout


@dataclass(frozen=True)
class Drawn:
    """A series as arrays: by role ("x", "y", "low", "high" or "value"), one number each at least; its hue."""

    kind: str
    colour: str | None
    arrays: dict[str, Array]


def drawn(name: str, series: Series | tuple[ArrayLike, ArrayLike]) -> Drawn:
    """The arrays of one series, checked; a pair (x, y) is a line."""
    if isinstance(series, tuple):
        if len(series) != 2:
            raise ValueError(f"series {name!r} must be (x, y) or one of Line, Points, Band, Rule, Readout")
        series = Line(*series)
    if not isinstance(series, Series):
        raise ValueError(
            f"series {name!r} must be (x, y) or one of Line, Points, Band, Rule, Readout; got {series!r}"
        )
    roles = {key: value for key, value in vars(series).items() if key != "colour" and value is not None}
    if isinstance(series, Points) and series.error is not None:
        y, error = np.asarray(series.y, dtype=np.float64), np.asarray(roles.pop("error"), dtype=np.float64)
        roles |= {"low": y - error, "high": y + error}
    colour = "guide" if isinstance(series, Readout) else series.colour
    if colour is not None and colour not in PALETTE:
        raise ValueError(f"colour of series {name!r} must be one of {', '.join(PALETTE)}; got {colour!r}")
    arrays = {role: _numbers(name, role, value) for role, value in roles.items()}
    sizes = {role: array.size for role, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the arrays of series {name!r} must have one length; got {sizes}")
    return Drawn(type(series).__name__.lower(), PALETTE.get(colour or name), arrays)


def _numbers(name: str, role: str, value: Any) -> Array:
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{role} of series {name!r} must be a vector or a number; got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError(
            f"{role} of series {name!r} must not be infinite; use nan for what is not to be drawn"
        )
    return array
