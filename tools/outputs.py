"""Compare what a cell puts out with what is stored: words as words, numbers as numbers.

Training by signs amplifies the last bit, and the last bit depends on the processor. So a number agrees with
the stored one

- within its printed error, where one is printed: ``0.46 ± 0.03``, ``0.46±.03``, and so within 1 where it
  counts errors itself: ``0.7 s.e.``;
- within a unit of its last digit;
- within the tolerance, relative, that the metadata of its cell states with a reason:
  ``{"lrbs": {"tolerance": 0.05, "why": "Forty steps of signs ..."}}``.

A number has a decimal point, an exponent or a printed error. All else is words and must be the same, but for
the number of blanks between: integers, ids of equations, versions. Points of live figures are compared too.
The conftest.py of the repository makes nbval compare outputs in this way.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

import lrbs
from lrbs.show.recording import unpacked

# Below half a pixel of a figure, and about what the fourth digit is worth in the table of its numbers.
FIGURE_TOLERANCE = 5e-4
# An error estimated from n runs is itself off by 1/sqrt(2(n - 1)): half, for three.
ERROR_TOLERANCE = 0.5

ARTICLES = "|".join(sorted({id.partition(".")[0] for id in lrbs.formulas}))
SIZE = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?"
NUMBER = re.compile(
    rf"(?P<word>(?<![\w.])(?:(?:{ARTICLES})\.\d+|\d+(?:\.\d+){{2,}}))"
    rf"|(?P<number>(?:(?<!\w)[-+−])?(?<![\w.])(?<![a-z]-){SIZE})(?:(?P<gap>[\s%]*±\s*)(?P<error>{SIZE}))?"
    r"(?P<counts>(?=\s(?:s\.e\.|standard error)))?"
)
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
FIGURE = re.compile(r'(?<=<script type="application/json">)\{"alt":.*?(?=</script>)')


class Output(str):
    """Text of an output, equal to another when a reader would call them the same."""

    tolerance: float

    def __new__(cls, text: str, tolerance: float = 0.0) -> "Output":
        output = super().__new__(cls, text)
        output.tolerance = tolerance
        return output

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and not differences(self, other, self.tolerance)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def stated_tolerance(metadata: Any) -> float:
    """The relative tolerance that a cell asks for, 0 if none; ValueError if it does not say why."""
    own = metadata.get("lrbs", {})
    if "tolerance" not in own:
        return 0.0
    tolerance, why = own["tolerance"], own.get("why", "")
    if not (isinstance(tolerance, float) and 0 < tolerance < 1):
        raise ValueError(f"tolerance must be a number between 0 and 1, relative; got {tolerance!r}")
    if not (isinstance(why, str) and len(why) >= 20):
        raise ValueError(f'a tolerance needs its reason, a sentence under "why"; got {why!r}')
    return tolerance


def differences(stored: str, new: str, tolerance: float = 0.0) -> list[str]:
    """How two outputs differ, one line each; nothing if they agree."""
    (stored, stored_figures), (new, new_figures) = _taken_apart(stored), _taken_apart(new)
    found = list(_in_text(stored, new, tolerance))
    if not found:  # then there are as many figures, of the same series
        for one, other in zip(stored_figures, new_figures, strict=True):
            found += _in_figure(one, other, tolerance or FIGURE_TOLERANCE)
    return found


def _taken_apart(text: str) -> tuple[str, list[Any]]:
    """Text without pictures, which differ by machine, and without the numbers of figures; those numbers."""
    figures = []

    def taken(match: re.Match[str]) -> str:
        data = json.loads(match[0])
        limits = {letter: axis.pop("limits") for letter, axis in data["axes"].items()}
        arrays = {}
        for series in data["series"]:
            packed = series["arrays"]
            arrays[series["name"]] = {role: unpacked(code, shape) for role, (shape, code) in packed.items()}
            series["arrays"] = {role: shape for role, (shape, _) in packed.items()}
        figures.append({"axes": data["axes"], "limits": limits, "arrays": arrays})
        return json.dumps(data, ensure_ascii=False, indent=0)

    return PICTURE.sub("(picture)", FIGURE.sub(taken, text)), figures


def _words(text: str) -> tuple[list[str], list[re.Match[str]]]:
    """Lines with a mark in the place of each number, blanks made one; the numbers."""
    text = text.replace(r"\u202f", "\u202f").replace(r"\xa0", "\xa0")  # as repr writes them
    numbers = [match for match in NUMBER.finditer(text) if match["number"]]
    marked = NUMBER.sub(lambda m: m["word"] or ("\0" if m["error"] is None else f"\0{m['gap']}\0"), text)
    return [re.sub(r"[ \t]+", " ", line).strip() for line in marked.splitlines()], numbers


def _in_text(stored: str, new: str, tolerance: float) -> Iterator[str]:
    (stored_lines, stored_numbers), (new_lines, new_numbers) = _words(stored), _words(new)
    if stored_lines != new_lines:
        if len(stored_lines) != len(new_lines):
            yield f"{len(stored_lines)} lines are stored, {len(new_lines)} came"
        for one, other in zip(stored_lines, new_lines, strict=False):
            if one != other:
                same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
                start = max(0, same - 40)
                yield f"stored: {_shown(one[start:])}"
                yield f"came:   {_shown(other[start:])}"
        return
    for number, new_number in zip(stored_numbers, new_numbers, strict=True):
        if (allowed := _allowed(number, new_number, tolerance)) is not None:
            line = number.string[: number.start()].rpartition("\n")[2]
            yield f"after {line[-60:].strip()!r}: {number[0]!r} is stored, {new_number[0]!r} came; {allowed}"


def _shown(line: str) -> str:
    return line.replace("\0", "#")[:200]


def _allowed(stored: re.Match[str], new: re.Match[str], tolerance: float) -> str | None:
    """What is allowed between two numbers, in words, if they differ by more."""
    if stored[0] == new[0]:
        return None
    if not any(re.search(r"[.eE±]", match[0]) for match in (stored, new)):
        return "integers are compared as words"
    one, other = _value(stored["number"]), _value(new["number"])
    # The finer unit of the two: "0.85" may stand for 0.8500 where trailing zeros are not printed.
    unit = min(_unit(stored["number"]), _unit(new["number"]))
    allowed = max(unit, tolerance * abs(one), 0.0 if stored["counts"] is None else 1.0)
    if stored["error"]:
        error, new_error = _value(stored["error"]), _value(new["error"])
        allowed = max(allowed, error)
        unit = min(_unit(stored["error"]), _unit(new["error"]))
        if not _close(error, new_error, max(unit, max(ERROR_TOLERANCE, tolerance) * error)):
            return f"the error may differ by {max(unit, ERROR_TOLERANCE * error):.2g}"
    return None if _close(one, other, allowed) else f"{allowed:.2g} is allowed"


def _close(stored: float, new: float, allowed: float) -> bool:
    return abs(stored - new) <= allowed * (1 + 1e-9) + 1e-12 * abs(stored)  # decimals are not exact in binary


def _value(number: str) -> float:
    return float(number.replace("−", "-"))


def _unit(number: str) -> float:
    """Worth of the last digit that is printed."""
    mantissa, _, exponent = number.lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


def _in_figure(stored: Any, new: Any, tolerance: float) -> Iterator[str]:
    """Points that differ by more than their error bar, if they have one, and by more than `tolerance`.

    That is relative to the number itself on a logarithmic axis and in words beside the figure; to the
    largest of the series on a linear axis, where a point may lie at 0. Beyond the axis nothing is drawn, and
    one point there, of a run that diverged, is like another.
    """
    for letter, axis in stored["axes"].items():
        ends, new_ends = (np.array(figure["limits"][letter]) for figure in (stored, new))
        scale = np.abs(ends) if axis["log"] else ends[1] - ends[0]
        if (np.abs(ends - new_ends) > tolerance * scale).any():
            yield f"limits of {letter}: {ends} are stored, {new_ends} came"
    for name in stored["arrays"]:
        arrays, others = (_seen(figure["arrays"][name], stored["limits"]) for figure in (stored, new))
        for role, array in arrays.items():
            other = others[role]
            relative = role == "value" or stored["axes"]["x" if role == "x" else "y"]["log"]
            allowed = tolerance * (np.abs(array) if relative else np.nanmax(np.abs(array), initial=0.0))
            if "error" in arrays and role != "x":
                share = 1.0 if role == "y" else ERROR_TOLERANCE
                allowed = np.maximum(allowed, share * arrays["error"])
            apart = ~(np.abs(array - other) <= allowed) & ~(np.isnan(array) & np.isnan(other))
            if apart.any():
                place = tuple(int(i) for i in np.argwhere(np.broadcast_to(apart, array.shape))[0])
                yield (
                    f"{role} of {name!r}: {np.count_nonzero(apart)} of {array.size} points; "
                    f"{array[place]:.6g} is stored, {other[place]:.6g} came at {place}"
                )


def _seen(arrays: dict[str, Any], limits: dict[str, list[float]]) -> dict[str, Any]:
    """The arrays of a series within the axes; points have an error bar in the place of its ends."""
    seen = dict(arrays)
    for role in arrays.keys() - {"value"}:
        low, high = limits["x" if role == "x" else "y"]
        seen[role] = np.clip(arrays[role], low, high)
    if {"y", "low", "high"} <= seen.keys():
        seen["error"] = (seen.pop("high") - seen.pop("low")) / 2
    return seen
