"""Every link and every anchor within the site leads somewhere. `make links` tries those that leave it."""

from __future__ import annotations

import functools
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools.browser import SITE

from .conftest import names


class Page(HTMLParser):
    """What can be linked to on a page, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
            elif name in ("href", "src", "action"):
                self.links.add(value or "")


@functools.cache
def page(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


@pytest.mark.parametrize("name", names())
def test_links_and_anchors_resolve(name: str) -> None:
    here = (SITE / name).resolve()

    def resolves(link: str) -> bool:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return True
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if not target.is_file() or not target.is_relative_to(SITE.resolve()):
            return False
        return not parts.fragment or unquote(parts.fragment) in page(target).anchors

    assert [link for link in page(here).links if not resolves(link)] == []
