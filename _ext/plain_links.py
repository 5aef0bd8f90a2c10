"""Plain links of the chapters, which tools/prose.py keeps, become references that Sphinx follows and checks.

``[(11260.3)](status-quo.ipynb#id-11260-3)`` is read as ``{eq}`11260.3```, on every page and in tables that
code made; an anchor of the page of references, or one that code made on the page of errata, becomes a target.
An equation's ``\\tag`` is left out: here its label shows the number. The files stay readable without Sphinx.
"""

import re
from typing import Any

from sphinx.application import Sphinx

EQUATION = re.compile(r"\[\(([\w.-]+)\)\]\((?:[\w-]+\.ipynb)?#[\w-]+\)")
TAG = re.compile(r"\\{1,2}tag\{[\w.-]+\}")  # in the JSON of a notebook two backslashes
SOURCE = re.compile(r"\]\((?:references\.md|errata\.ipynb)(#\w+)\)")
ANCHOR = re.compile(r'^<a id="(\w+)"></a>', flags=re.MULTILINE)
MADE = re.compile(r'"<a id=\\"(\w+)\\"></a>\\n"')  # in the JSON of a notebook


def as_references(app: Sphinx, page: str, source: list[str]) -> None:
    """Read links to equations as references, and anchors as targets."""
    text = EQUATION.sub(r"{eq}`\1`", TAG.sub("", source[0]))
    text = ANCHOR.sub(r"(\1)=\n", SOURCE.sub(r"](\1)", text))
    source[0] = MADE.sub(r'"(\1)=\\n"', text)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", as_references)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
