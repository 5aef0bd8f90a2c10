"""A figure comes before the code that draws it, and before folded code that only prepares it.

In the notebook a cell's code stands above its output, and imports above the code. On a page that leaves bars
of folded code between the question and its picture. There they follow the picture.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


def folded(node: nodes.Node) -> bool:
    """Whether this is a cell whose code is folded."""
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input"


def shows(cell: nodes.Element) -> bool:
    """Whether the cell has an output that is seen: a bar of progress that is done is empty."""
    outputs = (part for part in cell.findall(nodes.container) if part.get("nb_element") == "cell_code_output")
    return any(part.astext().strip() or any(part.findall(nodes.image)) for part in outputs)


class FiguresFirst(SphinxPostTransform):
    """After myst-nb has folded the code."""

    default_priority = 200
    formats = ("html",)

    def run(self, **options: Any) -> None:
        for cell in list(self.document.findall(folded)):
            if not isinstance(cell, nodes.Element) or not shows(cell):
                continue
            code, *outputs = cell.children
            cell.children = [*outputs, code]
            siblings = cell.parent
            first = last = siblings.index(cell)
            while first and folded(siblings[first - 1]) and not shows(siblings[first - 1]):
                first -= 1
            siblings.children[first : last + 1] = [cell, *siblings.children[first:last]]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(FiguresFirst)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
