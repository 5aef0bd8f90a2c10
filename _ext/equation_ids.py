"""Equation numbers are their labels: ``$$ ... $$ (11260.3)`` is shown, and cited, as (11260.3).

Sphinx counts labelled equations from one on every page. Here a label is the number that the equation
has in the articles, so that a reader finds it there, in the code and in the formula index by the same id.

The number beside an equation links to the equation itself, and each reference carries the LaTeX of what it
refers to, which assets/previews.js shows.
"""

import html
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain

NUMBER = re.compile(r'(<span class="eqno">)(\([^<]*\))<a class="headerlink"([^>]*)>[^<]*</a>')
EQUATION = re.compile(
    r'<div class="math[^>]*id="(equation-[^"]+)">\s*<span class="eqno">.*?</span>\\\[(.*?)\\\]\s*</div>',
    re.DOTALL,
)
REFERENCE = re.compile(
    r'<a class="reference internal" href="([^"#]*)#(equation-[^"]+)"(?: data-tex="[^"]*")?>'
)


class EquationIds(MathDomain):
    """Sphinx's domain of equations, with the label in the place of the running number."""

    def note_equation(self, docname: str, labelid: str, location: Any = None) -> None:
        super().note_equation(docname, labelid, location)
        self.data["objects"][labelid] = (docname, labelid)


def link_numbers(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Make the number of an equation a link to it, in place of a sign that shows only under a pointer."""
    context["body"] = NUMBER.sub(r"\1<a\3>\2</a>", context.get("body", ""))


def carry_equations(app: Sphinx, exception: Exception | None) -> None:
    """Give each reference to an equation, on any page, the LaTeX of that equation."""
    if exception or app.builder.format != "html":
        return
    pages = {path: path.read_text("utf-8") for path in Path(app.outdir).rglob("*.html")}
    equations = {
        (path, anchor): html.escape(html.unescape(tex).strip())
        for path, page in pages.items()
        for anchor, tex in EQUATION.findall(page)
    }
    for path, page in pages.items():

        def with_equation(found: re.Match[str], path: Path = path) -> str:
            file, anchor = found.groups()
            tex = equations.get(((path.parent / file).resolve() if file else path, anchor), "")
            return f'<a class="reference internal" href="{file}#{anchor}" data-tex="{tex}">'

        path.write_text(REFERENCE.sub(with_equation, page), "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_domain(EquationIds, override=True)
    app.connect("html-page-context", link_numbers)
    app.connect("build-finished", carry_equations, priority=700)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
