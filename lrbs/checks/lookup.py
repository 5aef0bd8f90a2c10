"""Checks by their names, which the catalogue, the errata and the map of validity hold as strings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from lrbs.checks.evidence import Check

__all__ = ["every", "find"]

NOT_CHECKS = ("comparison", "evidence", "findings", "lookup", "problems", "runs")


def find(name: str) -> Check:
    """The check of a name.

    Parameters
    ----------
    name : str
        With or without that of its module.

    Returns
    -------
    callable
        Without arguments, to Evidence.

    Raises
    ------
    LookupError
        If there is none.
    """
    module_name, _, name = name.rpartition(".")
    for module in [import_module(f"lrbs.checks.{module_name}")] if module_name else _modules():
        if name in (checks := _checks(module)):
            return checks[name]
    raise LookupError(f"no check is named {name!r}")


def every() -> dict[str, Check]:
    """Every check by its name, whether an equation names it or not, in the order of their modules.

    Returns
    -------
    dict
        Functions without arguments.
    """
    return {name: check for module in _modules() for name, check in _checks(module).items()}


def _checks(module: ModuleType) -> dict[str, Check]:
    """The checks of a module, which yield rows."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and hasattr(function, "__wrapped__")
    }


def _modules() -> Iterator[ModuleType]:
    for info in iter_modules([str(Path(__file__).parent)]):
        if info.name not in NOT_CHECKS:
            yield import_module(f"lrbs.checks.{info.name}")
