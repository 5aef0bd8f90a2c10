"""What Jupyter Book and its theme put on pages and this book leaves out.

- sphinx-thebe, which would fetch itself from another host;
- launch buttons, as long as `_config.yml` names no public repository to launch from;
- the button that prints, written as a script in the page; in its place is one for the whole book as a zip;
- FontAwesome's script, 1.5 MB for the icons that its fonts have already, and the preloading of those fonts,
  which browsers refuse on pages opened as files;
- labels that say something else than what they stand on;
- more than 128 colours in a picture, which lines and letters never notice: two thirds of its weight.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
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
}
ARCHIVE = "lrbs-book.zip"  # which tools/archive.py packs


def without_thebe(app: Sphinx) -> None:
    """Forget what sphinx-thebe, which Jupyter Book always loads, has asked to be called for."""
    for listeners in app.events.listeners.values():
        listeners[:] = [each for each in listeners if each.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [each for each in app.registry.css_files if each[0] != "sphinx-thebe.css"]


def without_dead_buttons(app: Sphinx, config: Config) -> None:
    """No launch buttons without a repository to launch from."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options["launch_buttons"] = {}


def download_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Links alone: the page as its source, and the whole book."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            whole = {
                "type": "link",
                "url": context["pathto"](ARCHIVE, 1),
                "text": "the book, .zip",
                "tooltip": "Download the whole book, to read and run offline",
                "icon": "fas fa-book",
                "label": "download-book-button",
            }
            group["buttons"] = [*(button for button in group["buttons"] if button["type"] == "link"), whole]


def tidy(app: Sphinx, exception: Exception | None) -> None:
    """Take out of the finished pages what no option takes out."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for template in (folder / "_static").glob("*-macros.html"):
        template.unlink()
    for scripts in (folder / "_static" / "vendor" / "fontawesome").glob("*/js"):
        shutil.rmtree(scripts)
    for picture in (folder / "_images").glob("*.png"):
        lighten(picture)
    for path in folder.rglob("*.html"):
        page = path.read_text("utf-8")
        for pattern, replacement in CHANGES.items():
            page = re.sub(pattern, replacement, page, flags=re.DOTALL)
        path.write_text(page, "utf-8")


def lighten(picture: Path) -> None:
    """Write a picture again with a palette, if it has none yet."""
    with Image.open(picture) as image:
        if image.mode != "P":
            light = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
            light.save(picture, "PNG", optimize=True)


def setup(app: Sphinx) -> dict[str, Any]:
    without_thebe(app)
    app.connect("config-inited", without_dead_buttons)
    app.connect("html-page-context", download_buttons, priority=900)
    app.connect("build-finished", tidy, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
