"""The reference of the package, from docstrings that are written to be read in an editor.

They hold mathematics in plain text, |g| and eta*, which reStructuredText would take for markup; they cite
equations by bare ids; and they name things by where users find them, lrbs.LocalModel, not by where they are
defined.
"""

import importlib
import re
from inspect import signature
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc import FunctionDocumenter
from sphinx.util.inspect import stringify_signature

from lrbs import formulas

MARKUP = str.maketrans({"|": r"\|", "*": r"\*"})
EMPHASIS = re.compile(r"(?<![\w\\])\\\*(\w[\w ]*)\\\*(?!\w)")  # what was *one sample* before
LITERAL = re.compile(r"(``.*?``|:[\w:]+:`.*?`)")
ID = re.compile(r"\(?(?<![\w.])(\d{5}|lrbs)\.([a-z][\w-]*|\d+)(?:-(\d+))?(?![\w(]|\.\w)\)?")


def with_links(found: re.Match[str]) -> str:
    """The id of an equation, or the first and the last of a range, as references in brackets."""
    text, article, first, last = found[0], *found.groups()
    ids = [f"{article}.{number}" for number in (first, last) if number]
    if not all(id in formulas for id in ids):
        return text
    # Where a chapter says only that an equation repeats another, there is nothing to link to.
    link = "–".join(f"({id})" if formulas[id].repeats else f":eq:`{id}`" for id in ids)
    opening, closing = text.startswith("("), text.endswith(")")
    # Brackets of a longer remark, of which only one is seen here, stay.
    return link if opening == closing else f"{'(' * opening}{link}{')' * closing}"


def as_plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape what is not meant as markup and link the ids of equations, outside of code."""
    example, block = False, -1  # the indent of the line that announced a block of code
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        block = block if indent > block or not line else -1
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example and block < 0:
            block = indent if line.endswith("::") else -1
            pieces = LITERAL.split(line)
            pieces[::2] = [
                ID.sub(with_links, EMPHASIS.sub(r"*\1*", piece.translate(MARKUP))) for piece in pieces[::2]
            ]
            lines[number] = "".join(pieces)
    if what in ("property", "data", "attribute"):
        lines[:0] = ["..", ""]  # else napoleon takes the words before a colon in the first line for a type


class OneSignature(FunctionDocumenter):
    """A function that does one thing for each rule has one signature, not one for each rule."""

    def format_signature(self, **options: Any) -> str:
        return super().format_signature(**options).partition("\n")[0]


def as_called(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str | None, returned: str | None
) -> tuple[str, None] | None:
    """The arguments of a class's own __init__, where a base hides them; none for a protocol."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    if getattr(obj, "_is_protocol", False):
        return "", None
    own = signature(obj.__init__)
    own = own.replace(parameters=list(own.parameters.values())[1:])
    return stringify_signature(own, show_annotation=False, show_return_annotation=False), None


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
    app.setup_extension("sphinx.ext.autodoc")
    app.add_autodocumenter(OneSignature, override=True)
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)  # before napoleon reads them
    app.connect("autodoc-process-signature", as_called)
    app.connect("autodoc-skip-member", without_aliases)
    app.connect("missing-reference", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
