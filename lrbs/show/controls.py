"""What a reader can move, and the axes of what then moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs.labels import number_text, power_of_ten
from lrbs.validation import vector


@dataclass(frozen=True)
class Slider:
    """A number to move over a grid.

    Parameters
    ----------
    label : str
        Quantity and unit, in plain text: "noise scale, samples".
    values : sequence of float
        The grid, increasing: `numpy.linspace` or, for scales, `numpy.geomspace`. The function that draws
        gets these very numbers.
    start : float, optional
        Where it stands at first: the value of the grid nearest to this one; the middle unless told.

    Raises
    ------
    ValueError
        If `values` are not two or more increasing numbers, or `start` is beyond them.
    """

    label: str
    values: Sequence[float]
    start: float | None = None

    def __init__(self, label: str, values: ArrayLike, start: float | None = None) -> None:
        grid = vector(values, "values")
        if grid.size < 2 or not (np.diff(grid) > 0).all():
            raise ValueError(f"values must be two or more increasing numbers; got {grid.tolist()}")
        if start is not None and not grid[0] <= start <= grid[-1]:
            raise ValueError(f"start must be between {grid[0]:.6g} and {grid[-1]:.6g}; got {start!r}")
        whole = bool((grid == np.round(grid)).all()) and np.issubdtype(np.asarray(values).dtype, np.integer)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "values", tuple(int(v) if whole else float(v) for v in grid))
        object.__setattr__(self, "start", start)

    @property
    def names(self) -> tuple[str, ...]:
        """How each value reads."""
        return tuple(number_text(value) for value in self.values)

    @property
    def position(self) -> int:
        """Index of the value at which it starts."""
        if self.start is None:
            return (len(self.values) - 1) // 2
        return int(np.abs(np.array(self.values) - self.start).argmin())


@dataclass(frozen=True)
class Choice:
    """One of a few things that are not numbers, such as an optimiser.

    Parameters
    ----------
    label : str, what is chosen
    options : mapping from str to anything, or sequence of str
        Name that the reader sees, and value that the function gets (the name itself for a sequence).
    start : str, optional
        Name of the option at first; the first unless told.

    Raises
    ------
    ValueError
        If there are fewer than two options, or `start` is not one of them.
    """

    label: str
    options: Mapping[str, Any] | Sequence[str]
    start: str | None = None

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError(f"options must be two or more; got {list(self.names)}")
        if self.start is not None and self.start not in self.names:
            raise ValueError(f"start must be one of {list(self.names)}; got {self.start!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """How each option reads."""
        return tuple(self.options)

    @property
    def values(self) -> tuple[Any, ...]:
        """What the function gets for each."""
        return tuple(self.options.values()) if isinstance(self.options, Mapping) else tuple(self.options)

    @property
    def position(self) -> int:
        """Index of the option at which it starts."""
        return 0 if self.start is None else self.names.index(self.start)


Control = Slider | Choice


@dataclass(frozen=True)
class Axis:
    """An axis that stays while curves move.

    Parameters
    ----------
    label : str, quantity and unit, in plain text
    log : bool, logarithmic
    limits : pair of float, optional
        Ends; what lies beyond is not drawn (the table still has it). Unless told: room for all that is
        drawn at any position of the sliders.

    Raises
    ------
    ValueError
        If `limits` is not (low, high) with low < high, and low > 0 where logarithmic.
    """

    label: str
    log: bool = False
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.limits is not None:
            low, high = vector(self.limits, "limits", size=2)
            if low >= high or (self.log and low <= 0):
                need = "0 < low < high on a logarithmic axis" if self.log else "low < high"
                raise ValueError(f"limits must be (low, high) with {need}; got {self.limits}")

    def room(self, low: float, high: float) -> tuple[float, float]:
        """The limits, or a little more than the range of the data.

        Parameters
        ----------
        low, high : float, range of what is drawn

        Returns
        -------
        low, high : float
        """
        if self.limits is not None:
            return (float(self.limits[0]), float(self.limits[1]))
        if self.log:
            factor = (high / low) ** 0.03 if high > low else 2.0
            ends = low / factor, high * factor
        else:
            span = 0.04 * (high - low) if high > low else (0.1 * abs(high) or 1.0)
            ends = low - span, high + span
        return float(f"{ends[0]:.5g}"), float(f"{ends[1]:.5g}")  # the same digits on every machine

    def ticks(self, low: float, high: float) -> list[tuple[float, str]]:
        """Round numbers between the limits and how they read.

        Parameters
        ----------
        low, high : float, range of what is drawn

        Returns
        -------
        list of (float, str)
        """
        if not self.log:
            return _linear_ticks(low, high)
        first, last = int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9))
        if last - first < 2:  # too few powers of ten: numbers between them, or as on a linear axis
            steps = (1, 2, 5) if high / low > 10 else (1, 2, 3, 5)
            marks = [float(f"{m}e{e}") for e in range(first - 1, last + 1) for m in steps]
            inside = [(v, number_text(v)) for v in marks if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
            return inside if len(inside) > 1 else _linear_ticks(low, high)
        plain = first >= -3 and last <= 4
        powers = [(float(f"1e{e}"), power_of_ten(e)) for e in range(first, last + 1)]
        return [(value, number_text(value) if plain else power) for value, power in powers]


def _linear_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten, four to eight of them."""
    raw = (high - low) / 7
    power = float(f"1e{int(np.floor(np.log10(raw)))}")
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    counts = range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)
    values = [float(f"{count * step:.10g}") for count in counts]
    if step < 1e-4 or max(map(abs, values)) >= 1e6:
        return [(value, number_text(value, 4)) for value in values]
    places = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return [(value, f"{value:.{places}f}".replace("-", "−")) for value in values]
