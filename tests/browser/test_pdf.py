"""The whole book as a PDF."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pypdf
import pytest
import yaml

from tools.browser import ROOT, SITE


def titles() -> list[str]:
    """Of all pages, in the order of the contents."""

    def files(entry: dict[str, Any]) -> list[str]:
        below = [*entry.get("parts", []), *entry.get("chapters", []), *entry.get("sections", [])]
        own = [name for name in (entry.get("root"), entry.get("file")) if name]
        return own + [name for part in below for name in files(part)]

    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    found = []
    for name in files(contents):
        article = (SITE / f"{name}.html").read_text("utf-8").partition('<article class="bd-article">')[2]
        heading = re.search(r"<h1>(.*?)<a", article, re.DOTALL)
        assert heading is not None
        found.append(html.unescape(re.sub(r"<[^>]*>", "", heading[1])).strip())
    return found


@pytest.fixture(scope="module")
def book(browser: Any, address: str, tmp_path_factory: pytest.TempPathFactory) -> pypdf.PdfReader:
    from tools import pdf

    path: Path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    pdf.print_book(browser, path)
    return pypdf.PdfReader(path)


def test_every_page_of_the_book_is_in_the_outline(book: pypdf.PdfReader) -> None:
    chapters = [entry for entry in book.outline if not isinstance(entry, list)]
    assert [entry.title for entry in chapters] == titles()
    starts = [book.get_destination_page_number(entry) for entry in chapters]
    assert starts == sorted(set(starts))
    assert len(book.pages) > 100


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


def test_equations_and_figures_are_printed(book: pypdf.PdfReader) -> None:
    words = "".join(page.extract_text() for page in book.pages[:150])
    assert "(11280.2)" in words
    assert "optimal learning rate" in words  # on an axis of a figure
