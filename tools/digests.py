"""What the outputs of a chapter came from, as a hash: its code, and the modules and data that it loaded.

The last execution of a chapter wrote down which files of lrbs it had loaded. Only these count, so that a
change in one room makes no other chapter stale.
"""

import ast
import hashlib
import io
import json
import re
import tokenize
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINS = ("numpy", "scipy", "matplotlib", "scikit-learn", "ipywidgets")
# Printed by a last cell, which is not stored.
LOADED = """import json, sys
ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "lrbs"]
print(json.dumps([module.__file__ for module in ours if module.__file__]))"""


def loaded_files(printed: str) -> list[str]:
    """Files of lrbs, named from the top of the repository, as `LOADED` printed, and data that they name."""
    modules = [Path(name).resolve().relative_to(ROOT) for name in json.loads(printed)]
    data = {
        data.relative_to(ROOT)
        for path in modules
        for data in (ROOT / path).parent.rglob("*")
        if data.suffix in (".toml", ".csv") and f'"{data.name}"' in (ROOT / path).read_text(encoding="utf-8")
    }
    return sorted(path.as_posix() for path in [*modules, *data])


def digest(notebook: Any, files: Iterable[str]) -> str:
    """Hash of the code cells, of their outputs, of these files and of the pins of what computes."""
    cells = [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    code = "\n".join(source for source, _ in cells)
    sources = [source(ROOT / name, code) for name in files]
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(rf"^(?:{'|'.join(PINS)})==[^#\n]*", requirements, flags=re.MULTILINE)
    return hashlib.sha256(json.dumps([cells, sources, pins], sort_keys=True).encode()).hexdigest()


def source(path: Path, code: str) -> Any:
    """What of a file outputs can come from."""
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return without_prose(text)
    if path.suffix == ".csv":
        return text
    data = tomllib.loads(text)
    if path.name == "equations.toml":
        return lines_seen(data, code)
    if path.stem in ("errata", "validity") and f"checks.{path.stem}(" not in code:
        return None
    return data


def lines_seen(catalogue: dict[str, Any], code: str) -> dict[str, Any]:
    """What code can see of the catalogue: checks of equations that it names, all but titles, or all."""
    lines = {id: line | {"chapter": page} for page, table in catalogue.items() for id, line in table.items()}
    if not re.search(r"lrbs\.formulas|import .*\bformulas\b", code):
        return {id: line["check"] for id, line in lines.items() if id in code}
    unseen = set() if ".title" in code else {"title"}
    return {id: {key: line[key] for key in line.keys() - unseen} for id, line in lines.items()}


@cache
def without_prose(source: str) -> str:
    """A module less what makes no output: comments, docstrings, imports for type checkers, the version."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        idle: ast.stmt | None = None
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            idle = node.body[0]
        elif (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING") or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        ):
            idle = node
        if idle is not None and idle.end_lineno is not None:
            lines[idle.lineno - 1 : idle.end_lineno] = [""] * (idle.end_lineno - idle.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())
