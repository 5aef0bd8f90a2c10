"""Addresses that once were pages lead on, with whatever stands behind their #: links of others stay good.

The site's own address leads to its first page in the same way.
"""

import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

MOVED = {  # from the name that a page had to the one that begins with what it said
    "chapters/api-rooms": "chapters/api",
    "chapters/ema": "chapters/momentum",
}
PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <script>location.replace("{address}" + location.hash)</script>
    <meta http-equiv="refresh" content="0; url={address}" />
    <link rel="canonical" href="{address}" />
    <link rel="icon" href="{root}_static/favicon.svg" />
    <title>{title}</title>
  </head>
  <body><main><h1><a href="{address}">{title}</a></h1></main></body>
</html>
"""


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write a page for each address that leads on to a page of this book."""
    if exception or app.builder.format != "html":
        return
    for old, new in {"index": app.config.root_doc, **MOVED}.items():
        if new in app.env.titles:  # some pages can be built alone
            title = app.config.html_title if old == "index" else app.env.titles[new].astext()
            address = os.path.relpath(f"{new}.html", Path(old).parent)
            root = "../" * old.count("/")
            page = PAGE.format(address=address, root=root, title=title)
            Path(app.outdir, f"{old}.html").write_text(page, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", write, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
