"""Curves computed beforehand at every position of the sliders, and their compact text form."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lrbs.show.controls import Axis, Control
from lrbs.show.series import Drawn, drawn
from lrbs.validation import Array


@dataclass(frozen=True)
class Recorded:
    """One series at all positions of the sliders.

    Each array is shaped (positions of slider 1, of slider 2, ..., numbers), with length 1 along a slider
    on which it does not depend.
    """

    name: str
    kind: str
    colour: str | None
    arrays: dict[str, Array]

    def at(self, position: tuple[int, ...]) -> dict[str, Array]:
        """The arrays at one position, by role."""
        return {
            role: array[tuple(min(i, n - 1) for i, n in zip(position, array.shape[:-1], strict=True))]
            for role, array in self.arrays.items()
        }


@dataclass(frozen=True)
class Recording:
    """All that a figure shows, at any position of its sliders."""

    controls: dict[str, Control]
    x: Axis
    y: Axis
    series: tuple[Recorded, ...]

    @property
    def start(self) -> tuple[int, ...]:
        """Position of the sliders at first."""
        return tuple(control.position for control in self.controls.values())

    def words(self, position: tuple[int, ...]) -> str:
        """A position as a reader sees it: "noise scale 100, optimiser SGD"."""
        pairs = zip(self.controls.values(), position, strict=True)
        return ", ".join(f"{control.label} {control.names[i]}" for control, i in pairs)

    def limits(self, letter: str) -> tuple[float, float]:
        """Ends of the axis "x" or "y": they hold whatever the position."""
        axis = self.x if letter == "x" else self.y
        roles = ("x",) if letter == "x" else ("y", "low", "high")
        parts = [s.arrays[role].ravel() for s in self.series for role in roles if role in s.arrays]
        numbers = np.concatenate([*parts, np.array([])])
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size == 0 and axis.limits is None:
            raise ValueError(f"nothing is drawn along {letter}: give {letter}=Axis(..., limits=(low, high))")
        return axis.room(numbers.min(initial=np.inf), numbers.max(initial=-np.inf))


def record(
    curves: Callable[..., Mapping[str, Any]], controls: Mapping[str, Control], x: Axis, y: Axis
) -> Recording:
    """Call `curves` at every position of the controls and keep what it returns."""
    names, shape = list(controls), tuple(len(control.values) for control in controls.values())
    calls: list[dict[str, Drawn]] = []
    for values in product(*(control.values for control in controls.values())):
        parameters = dict(zip(names, values, strict=True))
        calls.append({name: drawn(name, series) for name, series in curves(**parameters).items()})
        first, here = _layout(calls[0]), _layout(calls[-1])
        if first != here:
            raise ValueError(
                f"curves must return the same series at every position; got {here} at {parameters}, "
                f"{first} at the first (nan stands for what is not to be drawn)"
            )
    if not calls[0]:
        raise ValueError("curves must return one series or more; got none")
    series = []
    for name, head in calls[0].items():
        arrays = {
            role: np.array([call[name].arrays[role] for call in calls]).reshape(*shape, -1)
            for role in head.arrays
        }
        for role, array in arrays.items():
            axis = {"x": x, "value": None}.get(role, y)
            if axis is not None and axis.log:
                _refuse_what_has_no_logarithm(name, role, array)
            elif axis is not None:
                array = _without_rounding_errors(array)
            arrays[role] = _reduced(array)
        series.append(Recorded(name, head.kind, head.colour, arrays))
    return Recording(dict(controls), x, y, tuple(series))


def _layout(call: Mapping[str, Drawn]) -> dict[str, str]:
    """Kind and lengths of each series, in words."""
    return {
        name: " ".join([series.kind, *(f"{role}[{array.size}]" for role, array in series.arrays.items())])
        for name, series in call.items()
    }


def _refuse_what_has_no_logarithm(name: str, role: str, array: Array) -> None:
    if (array <= 0).any():
        raise ValueError(
            f"{role} of series {name!r} must be positive on a logarithmic axis; the smallest that came is "
            f"{np.nanmin(array):.6g} (nan stands for what is not to be drawn)"
        )


def _without_rounding_errors(array: Array) -> Array:
    """Numbers to nine places of the largest: what should be 0 is not 1e-17 here and -2e-17 elsewhere."""
    largest = np.abs(array[np.isfinite(array)]).max(initial=0)
    if largest == 0:
        return array
    return np.asarray(np.round(array, 8 - int(np.floor(np.log10(largest)))) + 0.0)


def _reduced(array: Array) -> Array:
    """`array` cut to length 1 along each slider on which it does not depend."""
    for axis in range(array.ndim - 1):
        first = array.take([0], axis)
        if np.array_equal(array, np.broadcast_to(first, array.shape), equal_nan=True):
            array = first
    return array


def packed(array: Array) -> str:
    """Numbers as base64, four characters each: the upper 24 bits of their single-precision form.

    Sign, 8 bits of exponent, 15 of fraction: a relative error of at most 2^-16, for magnitudes from
    1e-38 to 3e38; nan stays nan.
    """
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    if sizes.size and not (sizes.min() > 1e-37 and sizes.max() < 3e38):
        raise ValueError(
            f"numbers must be 0 or between 1e-37 and 3e38 in size; got {sizes.min():.3g} to {sizes.max():.3g}"
        )
    bits = np.ascontiguousarray(array, dtype=">f4").view(">u4").astype(np.uint64)
    upper = np.where(np.isnan(array), 0x7FC00000, bits + 0x80) >> 8
    octets = np.stack([upper >> 16, upper >> 8, upper], axis=-1) & 0xFF
    return base64.b64encode(octets.astype(np.uint8).tobytes()).decode("ascii")


def unpacked(text: str, shape: tuple[int, ...] = (-1,)) -> Array:
    """The numbers of :func:`packed`."""
    octets = np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(-1, 3)
    single = np.pad(octets, ((0, 0), (0, 1))).reshape(-1).view(">f4")
    return single.astype(np.float64).reshape(shape)
