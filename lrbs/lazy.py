"""Names of a package that load their module when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def names_of(package: str, modules: Mapping[str, Sequence[str]]) -> tuple[list[str], Callable[[str], Any]]:
    """`__all__` and `__getattr__` of a package whose names stand in these modules of it."""
    where = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"{package} has no {name!r}; it has {', '.join(sorted(where))}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return sorted(where), load
