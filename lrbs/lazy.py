"""Names of a package that load their module when they are first asked for."""

import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["room"]


def room(package: str, file: str, *apart: str) -> tuple[list[str], Callable[[str], Any]]:
    """`__all__` and `__getattr__` of a package: what its modules have in theirs, read without loading.

    Names of modules `apart` are to be had from those alone.
    """
    where: dict[str, str] = {}
    for path in Path(file).parent.glob("[!_]*.py"):
        listed = re.search(r"^__all__ = (\[[^]]*\])", path.read_text(encoding="utf-8"), re.MULTILINE)
        if listed and path.stem not in apart:
            where |= dict.fromkeys(ast.literal_eval(listed[1]), path.stem)

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"{package} has no {name!r}; it has {', '.join(sorted(where))}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return sorted(where), load
