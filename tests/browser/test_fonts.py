"""The pages and the PDF in other fonts than this machine has: what fits in one may be too small in another.

Debian's Chromium, left alone, sets pages in DejaVu, which is wide and high. URW's copies of Helvetica and
Courier, which come with Ghostscript, are narrow and low, and the pages of the PDF break elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pypdf
import pytest
from matplotlib.font_manager import findSystemFonts

from tools.browser import launched

from .conftest import Visit, missing, names
from .test_pages import LOOKED_UP, WIDTHS, faults
from .test_pdf import headings, outline

SANS, MONO = "Nimbus Sans", "Nimbus Mono PS"
# Chromium asks for Arial where a page says sans-serif. DejaVu has the signs that URW's fonts lack.
CONFIGURATION = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{urw}</dir>
  <dir>{dejavu}</dir>
  <cachedir>{cache}</cachedir>
  <match>
    <test name="family"><string>Arial</string></test>
    <edit name="family" mode="assign" binding="strong"><string>{sans}</string></edit>
  </match>
  <match>
    <test name="family"><string>monospace</string></test>
    <edit name="family" mode="assign" binding="strong"><string>{mono}</string></edit>
  </match>
</fontconfig>
"""


@pytest.fixture(scope="session")
def browser(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Another Chromium, with fonts of its own."""
    urw = next(
        (Path(found).parent for found in findSystemFonts() if Path(found).name == "NimbusSans-Regular.otf"),
        None,
    )
    if urw is None:
        missing("there are no other fonts to try: install Debian's package fonts-urw-base35")
    folder = tmp_path_factory.mktemp("fonts")
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    text = CONFIGURATION.format(urw=urw, dejavu=dejavu, cache=folder / "cache", sans=SANS, mono=MONO)
    (folder / "fonts.conf").write_text(text, encoding="utf-8")
    with launched(browser.browser_type, FONTCONFIG_FILE=str(folder / "fonts.conf")) as other:
        yield other


def test_other_fonts_are_used(browser: Any, address: str) -> None:
    visit = Visit(browser, address, "chapters/formula-index.html")
    devtools = visit.context.new_cdp_session(visit.page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    for selector, family in (("article h1", SANS), ("article code .pre", MONO)):
        node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})
        fonts = devtools.send("CSS.getPlatformFontsForNode", node)["fonts"]
        assert [font["familyName"] for font in fonts] == [family]
    visit.close()


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
)
def test_targets_are_large_enough_and_nothing_is_wider_than_the_window(visit: Visit, width: str) -> None:
    rules = {"type": "rule", "values": ["target-size", "scrollable-region-focusable"]}
    assert faults(visit, WIDTHS[width], "light", rules) == []


def test_every_heading_of_the_book_is_in_the_outline(browser: Any, address: str, tmp_path: Path) -> None:
    from tools import pdf

    pdf.print_book(browser, tmp_path / "book.pdf")
    assert outline(pypdf.PdfReader(tmp_path / "book.pdf").outline) == headings()
