"""The whole book as a PDF."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pypdf
import pytest
import yaml
from bs4 import BeautifulSoup

from tools.browser import ROOT, SITE

Outline = list[tuple[int, str]]  # levels and titles


def contents(entry: dict[str, Any]) -> list[str]:
    """Names of all pages in their order."""
    below = [*entry.get("parts", []), *entry.get("chapters", []), *entry.get("sections", [])]
    own = [name for name in (entry.get("root"), entry.get("file")) if name]
    return own + [name for part in below for name in contents(part)]


@cache
def headings() -> Outline:
    """Of all pages, in the order of the contents."""
    found = []
    for name in contents(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))):
        page = BeautifulSoup((SITE / f"{name}.html").read_text("utf-8"), "html.parser")
        for heading in page.select("article.bd-article :is(h1, h2, h3, h4, h5, h6)"):
            for link in heading.select(".headerlink"):
                link.decompose()
            found.append((int(heading.name[1]), heading.get_text().strip()))
    return found


def outline(entries: list[Any], level: int = 1) -> Outline:
    """What the PDF has instead."""
    found = []
    for entry in entries:
        found += outline(entry, level + 1) if isinstance(entry, list) else [(level, entry.title)]
    return found


@pytest.fixture(scope="module")
def book(
    request: pytest.FixtureRequest, address: str, tmp_path_factory: pytest.TempPathFactory
) -> pypdf.PdfReader:
    """The PDF as one of the browsers prints it."""
    from tools import pdf

    path: Path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    pdf.print_book(request.getfixturevalue(request.param), path)
    return pypdf.PdfReader(path)


in_either_font = pytest.mark.parametrize("book", ["browser", "browser_with_other_fonts"], indirect=True)
printed = pytest.mark.parametrize("book", ["browser"], indirect=True)


@in_either_font
def test_every_heading_of_the_book_is_in_the_outline(book: pypdf.PdfReader) -> None:
    assert outline(book.outline) == headings()
    chapters = [entry for entry in book.outline if not isinstance(entry, list)]
    starts = [book.get_destination_page_number(entry) for entry in chapters]
    assert starts == sorted(set(starts))
    assert len(book.pages) > 100


@printed
def test_references_stay_in_the_book(book: pypdf.PdfReader) -> None:
    inside, outside = 0, set()
    for page in book.pages:
        for annotation in page.get("/Annots", []):
            link = annotation.get_object()
            if "/Dest" in link:
                inside += 1
                name = link["/Dest"]
                assert not isinstance(name, str) or name in book.named_destinations
            elif "/URI" in link.get("/A", {}):
                outside.add(link["/A"]["/URI"])
    assert inside > 500
    assert {url for url in outside if not url.startswith(("https://", "http://"))} == set()
    assert {url for url in outside if "127.0.0.1" in url} == set()


@printed
def test_equations_and_figures_are_printed(book: pypdf.PdfReader) -> None:
    words = "".join(page.extract_text() for page in book.pages[:150])
    assert "(11280.2)" in words
    assert "optimal learning rate" in words  # on an axis of a figure


@printed
def test_quotations_in_chinese_are_printed(book: pypdf.PdfReader) -> None:
    """In the letters that the site brings."""
    fonts = [font for page in book.pages for font in page["/Resources"].get("/Font", {}).values()]
    assert any("NotoSansSC" in font.get("/BaseFont", "") for font in fonts)
