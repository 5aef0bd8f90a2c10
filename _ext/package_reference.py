"""The reference of the package, from docstrings that are written to be read in an editor.

They hold mathematics in plain text, |g| and eta*, which reStructuredText would take for markup; they cite
equations by bare ids; and they name things by where users find them, lrbs.LocalModel, not by where they are
defined. A page names a package, in a block ``{room}``, and shows whatever is public in it.
"""

import importlib
import re
from importlib.util import find_spec
from inspect import signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc import FunctionDocumenter
from sphinx.ext.autodoc.mock import mock
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import stringify_signature

from lrbs import formulas
from lrbs.checks.lookup import every

# An optional extra, which the site is built without: stand-ins take its place.
ABSENT = [name for name in ("torch",) if find_spec(name) is None]
ROOM = re.compile(r"^```\{room\} (\S+)\n```$", re.MULTILINE)
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


def public_names(module: ModuleType, room: ModuleType) -> list[str]:
    """What a module defines of the names that it or its package exports, and its checks."""
    exported = {*getattr(module, "__all__", ()), *room.__all__}
    checks = {check.__name__ for check in every().values() if check.__module__ == module.__name__}
    data = {name for owner, name in ModuleAnalyzer.for_module(module.__name__).find_attr_docs() if not owner}
    return [
        name
        for name, found in vars(module).items()
        if name in checks
        or (name in exported and (name in data or getattr(found, "__module__", "") == module.__name__))
    ]


def of_room(path: str) -> str:
    """A section for each module of a package that has public names, but those of the packages in it."""
    room = importlib.import_module(path)
    paths = [f"{path}.{info.name}" for info in iter_modules(room.__path__) if not info.ispkg]
    with mock(ABSENT):
        modules = [importlib.import_module(each) for each in paths if not each.endswith("__main__")]
    shown = {module: names for module in modules if (names := public_names(module, room))}
    own = public_names(room, room)
    text = block(room, own)
    linked = {name for name in room.__all__ if hasattr(getattr(room, name), "__qualname__")}
    if others := sorted(linked.difference(own, *shown.values())):
        links = ", ".join(f"{{py:obj}}`{path}.{name}`" for name in others)
        text += f"From other rooms, and here too: {links}.\n\n"
    return text + "".join(f"## {module.__name__}\n\n{block(module, shown[module])}" for module in shown)


def block(module: ModuleType, names: list[str]) -> str:
    members = f"   :members: {', '.join(names)}\n" if names else ""
    return f"```{{eval-rst}}\n.. automodule:: {module.__name__}\n{members}```\n\n"


def with_rooms(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write out what a page shows of the packages that it names, and remember it."""
    names = ROOM.findall(source[0])
    app.env.metadata[docname]["rooms"] = {name: of_room(name) for name in names}
    source[0] = ROOM.sub(lambda found: of_room(found[1]), source[0])


def with_new_names(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Pages that were written before their package got the names that it has."""
    return [
        page
        for page, told in env.metadata.items()
        if any(of_room(room) != text for room, text in told.get("rooms", {}).items())
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", lambda app, config: config.autodoc_mock_imports.extend(ABSENT))
    app.add_autodocumenter(OneSignature, override=True)
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)  # before napoleon reads them
    app.connect("autodoc-process-signature", as_called)
    app.connect("autodoc-skip-member", without_aliases)
    app.connect("missing-reference", resolve)
    app.connect("source-read", with_rooms)
    app.connect("env-get-outdated", with_new_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
