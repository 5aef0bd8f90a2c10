"""The pages in other fonts than this machine has: what fits in one may be too small in another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Visit, names
from .fonts import MONO, SANS
from .test_pages import LOOKED_UP, WIDTHS, faults


@pytest.fixture(scope="module")
def visit(request: pytest.FixtureRequest, browser_with_other_fonts: Any, address: str) -> Iterator[Visit]:
    visit = Visit(browser_with_other_fonts, address, request.param)
    yield visit
    visit.close()


@pytest.mark.parametrize("visit", ["chapters/formula-index.html"], indirect=True)
def test_other_fonts_are_used(visit: Visit) -> None:
    devtools = visit.context.new_cdp_session(visit.page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    for selector, family in (("article h1", SANS), ("article code .pre", MONO)):
        node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})
        fonts = devtools.send("CSS.getPlatformFontsForNode", node)["fonts"]
        assert [font["familyName"] for font in fonts] == [family]


@pytest.mark.parametrize("visit", ["chapters/errata.html"], indirect=True)
def test_quotations_in_chinese_are_set_without_a_font_for_them(visit: Visit) -> None:
    """In the letters that the site brings, but for dots and quotation marks."""
    visit.page.wait_for_function("() => document.fonts.status === 'loaded'")
    devtools = visit.context.new_cdp_session(visit.page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    quotations = devtools.send("DOM.querySelectorAll", {"nodeId": root, "selector": "[lang=zh]"})["nodeIds"]
    assert len(quotations) > 10
    for node in quotations:
        text = devtools.send("DOM.getOuterHTML", {"nodeId": node})["outerHTML"]
        fonts = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        own = sum(font["glyphCount"] for font in fonts if font["isCustomFont"])
        assert own == len(re.findall("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]", text)), text


# Lines are as high on a desk as on a phone, and narrow letters make nothing wider: the pages of tables alone,
# whose rows break elsewhere, are looked at in both.
@pytest.mark.parametrize(
    ("visit", "width"),
    [
        (name, width)
        for name in names()
        for width in WIDTHS
        if width == "phone" or Path(name).name.startswith(LOOKED_UP)
    ],
    indirect=["visit"],
    scope="module",
)
def test_targets_are_large_enough_and_nothing_is_wider_than_the_window(visit: Visit, width: str) -> None:
    rules = {"type": "rule", "values": ["target-size", "scrollable-region-focusable"]}
    assert faults(visit, WIDTHS[width], "light", rules) == []
