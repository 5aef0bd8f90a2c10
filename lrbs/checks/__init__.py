"""The checks: for every equation a run that can contradict it.

One module for each chapter; a check is a function without arguments that returns
:class:`~lrbs.checks.evidence.Evidence` and is named by the ``check`` of a formula::

    lrbs.checks.run("11260.3")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from lrbs.checks.evidence import Comparison, Evidence
from lrbs.checks.findings import Erratum, Validity
from lrbs.equations import load

__all__ = ["Comparison", "Erratum", "Evidence", "Validity", "errata", "find", "run", "validity"]


def run(id: str) -> Evidence:
    """Run the check of an equation.

    Parameters
    ----------
    id : str
        Such as ``"11260.3"``.

    Returns
    -------
    Evidence
        A table when printed or shown; ``.passed`` is the verdict.

    Raises
    ------
    ValueError
        If no equation has this id.
    """
    if id not in load():
        raise ValueError(f"id must be that of an equation, one of lrbs.formulas; got {id!r}")
    return find(load()[id].check)()


def find(name: str) -> Callable[[], Evidence]:
    """The check function of a name; LookupError if no module of checks has it."""
    for module in _modules():
        check = vars(module).get(name)
        if callable(check) and check.__module__ == module.__name__:
            return check
    raise LookupError(f"no check is named {name!r}")


def errata() -> list[Erratum]:
    """Every error found in the sources by running them, by article and number."""

    def place(erratum: Erratum) -> list[str | int]:  # 10542.d6 before 10542.d22
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", erratum.where)]

    return sorted((each for module in _modules() for each in getattr(module, "ERRATA", ())), key=place)


def validity() -> list[Validity]:
    """How far each law can be trusted, in the order of the modules of checks."""
    return [each for module in _modules() for each in getattr(module, "VALIDITY", ())]


def _modules() -> Iterator[ModuleType]:
    for info in iter_modules(__path__):
        if info.name != "evidence":
            yield import_module(f"{__name__}.{info.name}")
