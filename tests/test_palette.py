"""One palette: chapters name meanings, not hues, and the hues hold for all eyes, in light and in dark."""

import ast
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from lrbs.show.palette import COLOURS, PALETTE

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "chapters").rglob("*.ipynb"))
KEYWORDS = re.compile(r"(c|m[ef]c|color|colors|colour|colours|\w*(edge|face)color|ecolor)$")
LITERAL = re.compile(r"C\d|tab:.*|#[0-9a-fA-F]{3,8}|[bgrcmykw][-.:osD^v*x+]+")
SEES = {  # Machado, Oliveira and Fernandes (2009): what is left of linear red, green and blue
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)
PAGES = {"light": "#ffffff", "dark": "#121212"}  # the theme's
# Two families share a hue. Each family is told apart from the next in every figure that holds both.
FAMILIES = [
    {"exact", "mean field", "law", "older route", "linear", "square root", "here", "guide"},
    {"measured", "mean field", "strangers", "linear", "square root", "constant", "here", "guide"},
    {"SGD", "SGD with momentum", "SignSGD", "Adam", "Muon", "Lion", "guide"},
]


def sheet(scheme: str) -> dict[str, str]:
    """The hues on a page, by name."""
    parts = (ROOT / "assets" / "live.css").read_text("utf-8").split('html[data-theme="dark"]', 2)
    return dict(re.findall(r"--lrbs-(\w+): (#\w+);", parts[scheme == "dark"]))


def linear(colour: str) -> np.ndarray:
    s = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE 1976 L*, a*, b* under D65."""
    t = XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def faults(source: str) -> list[str]:
    """Colours of a cell that are no meanings."""
    source = re.sub(r"^( *)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LITERAL.fullmatch(node.value):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr) and ast.unparse(node)[2:].startswith("C{"):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and node.attr == "COLOURS":
            found.append("COLOURS")
        elif isinstance(node, ast.keyword) and KEYWORDS.match(node.arg or ""):
            value = node.value
            names = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            said = [each.value for each in names if isinstance(each, ast.Constant)]
            found += [
                f"{node.arg}={name!r}" for name in said if name not in {*PALETTE, "none", "white", None}
            ]
    return found


@pytest.mark.parametrize(
    "cell",
    ['plot(x, "C0")', 'plot(x, color="tab:red")', 'f(c="#123456")', 'Line(x, y, colour="blue")',
     'plot(x, "k--")', 'plot(x, color=f"C{k}")', 'plot(x, color=show.COLOURS["grey"])',
     'f(colour="pink" if a == "SGD" else "law")'],
)  # fmt: skip
def test_a_hue_is_found(cell):
    assert faults(cell)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_name_meanings(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert [fault for c in cells if c["cell_type"] == "code" for fault in faults("".join(c["source"]))] == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_live_figures_keep_the_palette(path):
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            page = "".join(output.get("data", {}).get("text/html", ""))
            if 'class="lrbs-live"' not in page:
                continue
            data = page.partition('<script type="application/json">')[2].partition("</script>")[0]
            drawn = [s for s in json.loads(data)["series"] if s["kind"] not in ("rule", "readout")]
            for each in drawn:
                assert each["colour"] == PALETTE.get(each["name"], each["colour"]), each["name"]
            for one, other in combinations(drawn, 2):
                if one["kind"] == other["kind"] == "line" and one["colour"] not in ("ink", "grey"):
                    assert one["colour"] != other["colour"] or alike(one, other), (one["name"], other["name"])


def alike(one, other):
    """Two curves of one meaning: those of "mean, exact" and "square, exact", or a rule with and without."""
    words = [set(re.findall(r"[\w±.]+", each["name"])) for each in (one, other)]
    return bool(words[0] & words[1])


@pytest.mark.parametrize("scheme", PAGES)
@pytest.mark.parametrize("eyes", SEES)
def test_hues_are_told_apart(scheme, eyes):
    seen = {hue: lab(SEES[eyes] @ linear(colour)) for hue, colour in sheet(scheme).items()}
    distances = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(seen, 2)}
    assert min(distances.values()) > 19, min(distances, key=distances.get)


@pytest.mark.parametrize("scheme", PAGES)
def test_hues_stand_out_from_the_page(scheme):
    def luminance(colour: str) -> float:
        return float(XYZ[1] @ linear(colour)) + 0.05

    page = luminance(PAGES[scheme])
    for hue, colour in sheet(scheme).items():
        contrast = max(page / luminance(colour), luminance(colour) / page)
        assert contrast >= 3, f"{hue}: {contrast:.2f}"


def test_meanings_that_meet_have_hues_of_their_own():
    for family in FAMILIES:
        hues = [PALETTE[meaning] for meaning in family]
        assert len(set(hues)) == len(hues), family
    assert set(PALETTE.values()) <= set(COLOURS)


def test_matplotlib_knows_the_meanings():
    from matplotlib.colors import to_hex

    from lrbs.show import use_style

    use_style()
    assert {to_hex(meaning).upper() for meaning in PALETTE} == {COLOURS[hue] for hue in PALETTE.values()}
