"""Live figures: each slider is moved by the keyboard, and what is then drawn is what lrbs computed.

The numbers are taken from the chapter's notebook, where nbval compares them with those of a new run.
"""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat
import numpy as np
import pytest
from playwright.sync_api import expect

from lrbs.show.recording import unpacked
from tools.browser import ROOT, SITE

from .conftest import Visit, names

PIXEL = 0.06  # places are written with one decimal
DIGITS = 5.1e-4  # and numbers in tables with four digits
OFFSETS = ((-4.5, 0), (-4, -4), (0, -5), (0, -5.5))  # from a point to where its marker begins
FIGURE = re.compile(r'<figure class="lrbs-live" id="([^"]+)"')
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
UNFOLD = """(figure) => {
  for (let box = figure.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
}"""
PATHS = """(figure) => {
  const course = (path) => [path.getAttribute("class"), path.getAttribute("d")];
  const groups = [...figure.querySelectorAll("svg[role=img] g[data-series]")];
  return Object.fromEntries(
    groups.map((group) => [group.dataset.series, Object.fromEntries([...group.children].map(course))]));
}"""
ROWS = "table => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.innerText))"

FIGURES = [(name, figure) for name in names() for figure in FIGURE.findall((SITE / name).read_text("utf-8"))]


class Drawn:
    """A live figure on a page, beside the numbers that its notebook has for it."""

    def __init__(self, visit: Visit, figure: str) -> None:
        self.element = visit.page.locator(f"#{figure}")
        self.element.evaluate(UNFOLD)
        self.data = stored(visit.name, figure)
        self.controls = self.data["controls"]
        self.position = [control["start"] for control in self.controls]
        self.series = {series["name"]: series for series in self.data["series"]}
        self.arrays = {
            name: {role: unpacked(text, tuple(shape)) for role, (shape, text) in series["arrays"].items()}
            for name, series in self.series.items()
        }

    def at(self, name: str) -> dict[str, np.ndarray]:
        """The numbers of a series at the present position."""
        return {
            role: array[tuple(min(i, n - 1) for i, n in zip(self.position, array.shape[:-1], strict=True))]
            for role, array in self.arrays[name].items()
        }

    def move(self, control: int, to: int) -> None:
        """Move a slider, or choose an option, by keys alone."""
        element = self.element.locator(".lrbs-controls input, .lrbs-controls select").nth(control)
        element.focus()
        forwards = "ArrowRight" if self.controls[control]["kind"] == "slider" else "ArrowDown"
        element.press("Home")
        for _ in range(to):
            element.press(forwards)
        self.position[control] = to
        if self.controls[control]["kind"] == "slider":
            expect(element).to_have_attribute("aria-valuetext", self.controls[control]["names"][to])
        told = re.compile(re.escape(self.controls[control]["names"][to]))
        expect(self.element.locator("svg[role=img]")).to_have_attribute("aria-label", told)

    def paths(self) -> dict[str, dict[str, str]]:
        """What is drawn: by series and class, the course of each path."""
        found: dict[str, dict[str, str]] = self.element.evaluate(PATHS)
        return found

    def readouts(self) -> str:
        return str(self.element.locator(".lrbs-readouts").inner_text())

    def scales(self) -> tuple[Any, Any]:
        """From numbers to places on the page, by the frame that is drawn."""
        frame = self.element.locator(".lrbs-frame").get_attribute("d")
        left, top, bottom, right = map(float, NUMBER.findall(frame))

        def scale(letter: str, start: float, end: float) -> Any:
            axis = self.data["axes"][letter]
            flat = np.log if axis["log"] else np.asarray
            low, high = flat(axis["limits"])
            return lambda values: np.clip(
                start + (flat(values) - low) / (high - low) * (end - start), -9999, 9999
            )

        return scale("x", left, right), scale("y", bottom, top)

    def check(self) -> None:
        """Everything that is drawn is where the numbers say."""
        to_x, to_y = self.scales()
        drawn = self.paths()
        assert set(drawn) == {name for name, series in self.series.items() if series["kind"] != "readout"}
        for name, paths in drawn.items():
            at, series = self.at(name), self.series[name]
            if series["kind"] == "line":
                expected = points(to_x(at["x"]), to_y(at["y"]))
            elif series["kind"] == "band":
                there, back = points(to_x(at["x"]), to_y(at["low"])), points(to_x(at["x"]), to_y(at["high"]))
                expected = np.concatenate([there, back[::-1]])
            elif series["kind"] == "points":
                inside = np.all([within(self.data["axes"][letter], at[letter]) for letter in "xy"], axis=0)
                expected = (
                    points(to_x(at["x"][inside]), to_y(at["y"][inside])) + OFFSETS[series["number"] % 4]
                )
                starts = re.findall(r"M(\S+) ([^a-zA-Z]+)", paths["lrbs-points"])
                found = np.array(starts, dtype=float).reshape(-1, 2)
                np.testing.assert_allclose(found, expected, atol=PIXEL, err_msg=name)
                if "low" in at:  # error bars end where the axis does
                    ends = np.clip([at["low"][inside], at["high"][inside]], *self.data["axes"]["y"]["limits"])
                    bars = np.array(NUMBER.findall(paths["lrbs-bars"]), dtype=float).reshape(-1, 3)
                    np.testing.assert_allclose(bars[:, 1:].T, to_y(ends), atol=PIXEL, err_msg=name)
                continue
            else:  # a rule, through one number
                role = next(iter(at))
                places = NUMBER.findall(paths["lrbs-rule"])
                expected = (to_x if role == "x" else to_y)(at[role])
                np.testing.assert_allclose(float(places[0 if role == "x" else 1]), expected, atol=PIXEL)
                continue
            found = np.array(NUMBER.findall(paths[f"lrbs-{series['kind']}"]), dtype=float).reshape(-1, 2)
            np.testing.assert_allclose(found, expected, atol=PIXEL, err_msg=name)


def stored(page: str, figure: str) -> Any:
    """The numbers of a figure in the notebook of its page."""
    notebook = nbformat.read((ROOT / page).with_suffix(".ipynb"), as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/html", "")
            if f'id="{figure}"' in text:
                data = text.partition('<script type="application/json">')[2].partition("</script>")[0]
                return json.loads(data)
    raise AssertionError(f"{figure} is not in the notebook of {page}")


def points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Those that are drawn: nan is left out."""
    both = np.stack(np.broadcast_arrays(x, y), axis=-1)
    return both[~np.isnan(both).any(axis=-1)]


def within(axis: dict[str, Any], values: np.ndarray) -> np.ndarray:
    low, high = axis["limits"]
    return (values >= low) & (values <= high)


def as_number(text: str) -> float:
    """A number as tables write it: "−1.23×10⁻⁵"."""
    return float("nan") if text == "–" else float(text.translate(SUPERSCRIPTS).replace("×10", "e"))


@pytest.mark.parametrize(("visit", "figure"), FIGURES, indirect=["visit"], scope="session")
def test_sliders_move_what_is_drawn_to_what_was_computed(visit: Visit, figure: str) -> None:
    visit.look(1280, "light")
    drawn = Drawn(visit, figure)
    drawn.check()
    for number, control in enumerate(drawn.controls):
        start, last = control["start"], len(control["names"]) - 1
        seen = {json.dumps(drawn.paths()) + drawn.readouts()}
        for to in {0, last, last // 3}:
            drawn.move(number, to)
            drawn.check()
            seen.add(json.dumps(drawn.paths()) + drawn.readouts())
        assert len(seen) > 1, f"{control['label']} moves nothing"
        drawn.move(number, start)

    drawn.element.locator("summary").last.press("Enter")
    drawn.element.locator("table").first.wait_for()
    columns: list[list[float]] = []
    for table in drawn.element.locator("table").all():
        columns += np.array([[as_number(text) for text in row] for row in table.evaluate(ROWS)]).T.tolist()
    for name, series in drawn.series.items():
        if series["kind"] in ("line", "points", "band"):
            for role, numbers in drawn.at(name).items():
                assert any(
                    len(column) == len(numbers)
                    and np.allclose(column, numbers, rtol=DIGITS, atol=1e-300, equal_nan=True)
                    for column in columns
                ), f"{role} of {name} is in no column"
    assert visit.complaints == []
