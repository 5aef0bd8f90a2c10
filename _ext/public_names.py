"""References by public name: ``lrbs.LocalModel`` finds the page of ``lrbs.model.LocalModel``."""

import importlib
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> Any:
    """A link to where an object is defined, for a reference to where it is re-exported."""
    target = node.get("reftarget", "")
    package, _, rest = target.rpartition(".")
    if node.get("refdomain") != "py" or not package.startswith("lrbs"):
        return None
    try:
        found = getattr(importlib.import_module(package), rest)
        defined = f"{found.__module__}.{found.__qualname__}"
    except (ImportError, AttributeError):
        return None
    if defined == target:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", defined, node, text)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
