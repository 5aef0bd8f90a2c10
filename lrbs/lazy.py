"""Names of a package that load their module when they are first asked for."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["names_of", "public_names"]


def public_names(folder: Path) -> dict[str, list[str]]:
    """`__all__` of each module in a folder, read without loading it."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("[!_]*.py")}
    found = {name: re.search(r"^__all__ = (\[[^]]*\])", text, re.MULTILINE) for name, text in texts.items()}
    return {name: ast.literal_eval(names[1]) for name, names in found.items() if names}


def names_of(package: str, modules: Mapping[str, Sequence[str]]) -> tuple[list[str], Callable[[str], Any]]:
    """`__all__` and `__getattr__` of a package whose names stand in these modules of it."""
    where = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"{package} has no {name!r}; it has {', '.join(sorted(where))}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return sorted(where), load
