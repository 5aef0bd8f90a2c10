"""What readers type into the search, and the page that shall come first: ``search_words.toml``.

Sphinx's search knows words of the text and passes over bare numbers. A page is given what readers ask for as
entries of an index, which its search ranks before words. They are given when all pages are written: Sphinx
forgets such entries of pages that it need not read again.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

WORDS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def spellings(asked: str) -> set[str]:
    """As keyboards have it: with either apostrophe, or none."""
    return {asked.replace("'", mark) for mark in ("'", "\N{RIGHT SINGLE QUOTATION MARK}", "")}


def add_entries(app: Sphinx) -> Iterable[tuple[str, dict[str, Any], str]]:
    """For the index that is written next; no pages."""
    if indexer := getattr(app.builder, "indexer", None):
        for page, asked in WORDS.items():
            if (name := f"chapters/{page}") in app.env.found_docs:  # a single page can be built alone
                texts = sorted(text for each in asked for text in spellings(each))
                indexer._index_entries[name] = [(text, "", "main") for text in texts]
    return ()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-collect-pages", add_entries)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
