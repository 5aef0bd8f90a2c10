"""Equation numbers are their labels: ``$$ ... $$ (11260.3)`` is shown, and cited, as (11260.3).

Sphinx counts labelled equations from one on every page. Here a label is the number that the equation
has in the articles, so that a reader finds it there, in the code and in the formula index by the same id.
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain


class EquationIds(MathDomain):
    """Sphinx's domain of equations, with the label in the place of the running number."""

    def note_equation(self, docname: str, labelid: str, location: Any = None) -> None:
        super().note_equation(docname, labelid, location)
        self.data["objects"][labelid] = (docname, labelid)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_domain(EquationIds, override=True)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
