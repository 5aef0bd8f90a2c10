"""Names of a package that load their module when they are first asked for."""

import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["room"]


Room = tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]


def room(package: str, file: str, *apart: str) -> Room:
    """`__all__`, `__getattr__` and `__dir__` of a package, by what its modules have in their `__all__`.

    That is read without loading them. Names of modules `apart` are to be had from those alone.
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

    return sorted(where), load, lambda: sorted(where)
