"""What readers type into the search, and the page that shall come first: ``search_words.toml``.

Sphinx's search knows words of the text and passes over bare numbers. A page is given what readers ask for as
entries of an index, which its search ranks before words.
"""

import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

WORDS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def spellings(asked: str) -> set[str]:
    """As keyboards have it: with either apostrophe, or none."""
    return {asked.replace("'", mark) for mark in ("'", "\N{RIGHT SINGLE QUOTATION MARK}", "")}


def add_entries(app: Sphinx, doctree: nodes.document) -> None:
    asked = WORDS.get(app.env.docname.removeprefix("chapters/"), [])
    entries = [("single", text, "", "main", None) for each in asked for text in sorted(spellings(each))]
    doctree += addnodes.index(entries=entries)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", add_entries)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
