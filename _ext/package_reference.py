"""The reference of the package, from docstrings that are written to be read in an editor.

They hold mathematics in plain text, |g| and eta*, which reStructuredText would take for markup; and they
name things by where users find them, lrbs.LocalModel, not by where they are defined.
"""

import importlib
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

MARKUP = str.maketrans({"|": r"\|", "*": r"\*"})
EMPHASIS = re.compile(r"(?<![\w\\])\\\*(\w[\w ]*)\\\*(?!\w)")  # what was *one sample* before


def as_plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape what is not meant as markup, outside of examples."""
    example = False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[number] = EMPHASIS.sub(r"*\1*", line.translate(MARKUP))
    if what == "property" and lines:
        # Else the words before a colon are taken for the type of the property.
        lines[0] = lines[0].replace(": ", ", that is ", 1)


def without_aliases(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """The fields of a named tuple stand in its own docstring; "Alias for field number 0" says nothing."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> Any:
    """A link to where an object is defined, for a reference to where it is re-exported."""
    if node.get("refdomain") != "py":
        return None
    target = node.get("reftarget", "")
    path = (target if target.startswith("lrbs.") else f"lrbs.{target}").split(".")
    for cut in range(len(path) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(path[:cut]))
            for name in path[cut:]:
                found = getattr(found, name)
            found = getattr(found, "fget", found)  # of a property
            defined = f"{found.__module__}.{found.__qualname__}"
        except (ImportError, AttributeError):
            continue
        if defined != target:
            domain = env.get_domain("py")
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", defined, node, text)
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)  # before napoleon reads them
    app.connect("autodoc-skip-member", without_aliases)
    app.connect("missing-reference", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
