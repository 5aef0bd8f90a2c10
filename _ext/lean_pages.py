"""What Jupyter Book and its theme put on pages and this book leaves out.

- sphinx-thebe, which would fetch itself from another host;
- launch buttons, as long as `_config.yml` names no public repository to launch from;
- the button that prints, written as a script in the page;
- FontAwesome's script, 1.5 MB for the icons that its fonts have already, and the preloading of those fonts,
  which browsers refuse on pages opened as files;
- labels that say something else than what they stand on.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

CHANGES = {
    r'\s*<script src="[^"]*/fontawesome/[^"]*"></script>': "",
    r'\s*<link rel="preload" as="font"[^>]*>': "",
    r'\s*<meta name="viewport"[^>]*>(?=.*<meta name="viewport")': "",  # said three times
    # Labels, for those who hear the page: the words that are seen, or some where there are none.
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    r'title="Search" aria-label="Search"(?=[^<]*<i [^<]*</i>\s*<span class="search-button__d)': "",
    r'<summary>(?=<span class="toctree-toggle")': '<summary aria-label="Its pages">',
    r'(?<=class="citation" )(id="[^"]*") role="doc-biblioentry"': r'\1 role="listitem"',
}
FRONT = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <meta http-equiv="refresh" content="0; url={page}" />
    <title>{title}</title>
  </head>
  <body><main><h1><a href="{page}">{title}</a></h1></main></body>
</html>
"""


def without_thebe(app: Sphinx) -> None:
    """Forget what sphinx-thebe, which Jupyter Book always loads, has asked to be called for."""
    for listeners in app.events.listeners.values():
        listeners[:] = [each for each in listeners if each.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [each for each in app.registry.css_files if each[0] != "sphinx-thebe.css"]


def without_dead_buttons(app: Sphinx, config: Config) -> None:
    """No launch buttons without a repository to launch from."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options["launch_buttons"] = {}


def without_print_button(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Only the buttons that are links."""
    for group in context.get("header_buttons", []):
        if "buttons" in group:
            group["buttons"] = [button for button in group["buttons"] if button["type"] == "link"]


def tidy(app: Sphinx, exception: Exception | None) -> None:
    """Take out of the finished pages what no option takes out."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    (folder / "index.html").write_text(
        FRONT.format(page=f"{app.config.root_doc}.html", title=app.config.html_title), "utf-8"
    )
    for template in (folder / "_static").glob("*-macros.html"):
        template.unlink()
    for scripts in (folder / "_static" / "vendor" / "fontawesome").glob("*/js"):
        shutil.rmtree(scripts)
    for path in folder.rglob("*.html"):
        page = path.read_text("utf-8")
        for pattern, replacement in CHANGES.items():
            page = re.sub(pattern, replacement, page, flags=re.DOTALL)
        path.write_text(page, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    without_thebe(app)
    app.connect("config-inited", without_dead_buttons)
    app.connect("html-page-context", without_print_button, priority=900)
    app.connect("build-finished", tidy, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
