"""Pages that show soon, on a slow phone too: little stands between a page and its first paint.

- The style sheets of a page, fourteen from theme and extensions, are one, without icons that no page shows;
- no script is waited for: scripts of figures run first, MathJax when it has come;
- pictures that cells carry in their HTML are files, and those that a live figure replaces wait to be seen;
- light or dark is chosen before anything is painted.
"""

import base64
import hashlib
import posixpath
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SHEET = re.compile(r'\s*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="((?:\.\./)*)([^"?:]+)[^>]*>')
IMPORT = re.compile(r'@import "([^"]+)";')
ADDRESS = re.compile(r"""url\((["']?)(?!data:|#)([^)"']+)\1\)""")
COMMENT = re.compile(r"/\*(?!!).*?\*/", re.DOTALL)  # licences begin with /*!
ICON = re.compile(r'((?:\.fa-[\w-]+::?before,?)+)\{content:"[^"]*"\}')
UNUSED = {"_static/sphinx-design.min.css": 'class="sd-'}  # where pages lack this
SCRIPTS = {
    r"<script(?= src=)": "<script defer",
    r'\s*<script[^>]* src="[^"]*/design-tabs\.js[^>]*></script>': "",  # of tabs, which no page has
    r'<script defer="defer"(?= src="[^"]*/mathjax/startup\.js)': "<script async",
    r'<script defer src="[^"]*/documentation_options\.js[^"]*"></script>': "<script>{options}</script>",
    r'\s*<link rel="preload" as="script"[^>]*>': "",
    r'dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto"': (
        'dataset.theme = ["light", "dark"].find((mode) => mode === localStorage.getItem("mode")) ?? '
        '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
    ),
}
PICTURE = re.compile(
    r'(<figure class="lrbs-live"[^>]*>)?<img (alt="[^"]*") src="data:image/png;base64,([^"]+)">'
)


def style(root: Path, name: str, icons: set[str]) -> str:
    """A style sheet with what it imports, as it reads from _static/."""
    text = COMMENT.sub("", (root / name).read_text("utf-8"))
    folder = posixpath.dirname(name)

    def imported(found: re.Match[str]) -> str:
        return style(root, posixpath.normpath(f"{folder}/{found[1]}"), icons)

    def moved(found: re.Match[str]) -> str:
        return f"url({posixpath.relpath(posixpath.join(folder, found[2]), '_static')})"

    def shown(found: re.Match[str]) -> str:
        return found[0] if icons.intersection(re.findall(r"fa-[\w-]+", found[1])) else ""

    return IMPORT.sub(imported, ADDRESS.sub(moved, ICON.sub(shown, text)))


def bundled(root: Path, names: Iterable[str], icons: set[str]) -> str:
    """The name of one style sheet, written for all of these."""
    text = "\n".join(style(root, name, icons) for name in names)
    name = f"_static/style-{hashlib.sha256(text.encode()).hexdigest()[:10]}.css"
    (root / name).write_text(text, "utf-8")
    return name


def with_one_sheet(page: str, root: Path, icons: set[str]) -> str:
    """A page with one style sheet."""
    found = SHEET.findall(page)
    if not found:
        return page
    names = [name for _, name in found if UNUSED.get(name, "") in page]
    link = f'\n    <link rel="stylesheet" href="{found[0][0]}{bundled(root, names, icons)}">'
    first = SHEET.search(page).start()  # type: ignore[union-attr]
    return page[:first] + link + SHEET.sub("", page[first:])


def with_files(page: str, root: Path, up: str) -> str:
    """A page whose pictures are files."""

    def written(found: re.Match[str]) -> str:
        figure, alt, data = found.groups()
        picture = base64.b64decode(data)
        name = f"_images/{hashlib.sha256(picture).hexdigest()[:16]}.png"
        (root / name).write_bytes(picture)
        width, height = struct.unpack(">II", picture[16:24])
        wait = ' loading="lazy"' if figure else ""  # a script puts the figure itself there
        return f'{figure or ""}<img {alt} width="{width}" height="{height}"{wait} src="{up}{name}">'

    return PICTURE.sub(written, page)


def quicken(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the finished pages."""
    if exception or app.builder.format != "html":
        return
    root = Path(app.outdir)
    # The page for addresses that lead nowhere has links from the root of the host.
    pages = (path for path in root.rglob("*.html") if path.name != "404.html")
    paths = {path: path.read_text("utf-8") for path in pages}
    scripts = "".join(path.read_text("utf-8") for path in root.glob("_static/**/*.js"))
    icons = set(re.findall(r"fa-[\w-]+", scripts + "".join(paths.values())))
    options = (root / "_static" / "documentation_options.js").read_text("utf-8")
    (root / "_images").mkdir(exist_ok=True)
    for path, page in paths.items():
        up = "../" * (len(path.relative_to(root).parts) - 1)
        page = with_files(with_one_sheet(page, root, icons), root, up)
        for pattern, replacement in SCRIPTS.items():
            page = re.sub(pattern, replacement.replace("{options}", options).replace("\\", r"\\"), page)
        path.write_text(page, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", quicken, priority=850)  # before the policy, which counts scripts
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
