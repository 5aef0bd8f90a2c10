"""The checks: for every equation a run that can contradict it.

One module for each chapter; a check is a function without arguments that returns
:class:`~lrbs.checks.evidence.Evidence` and is named by the ``check`` of a formula::

    lrbs.checks.run("11260.3")
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import NamedTuple

from lrbs.checks.evidence import Claim, Comparison, Evidence, Miss, Stated
from lrbs.checks.findings import Erratum, Validity
from lrbs.equations import load

__all__ = [
    "Comparison",
    "Erratum",
    "Evidence",
    "Survey",
    "Validity",
    "errata",
    "every",
    "find",
    "run",
    "survey",
    "validity",
]


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
    """The check of a name, with or without that of its module; LookupError if there is none."""
    module_name, _, name = name.rpartition(".")
    for module in [import_module(f"{__name__}.{module_name}")] if module_name else _modules():
        if name in (checks := _checks(module)):
            return checks[name]
    raise LookupError(f"no check is named {name!r}")


def every() -> dict[str, Callable[[], Evidence]]:
    """Every check by its name, whether an equation names it or not, in the order of their modules."""
    return {name: check for module in _modules() for name, check in _checks(module).items()}


class Survey(NamedTuple):
    """What the checks compare with what: how many checks, how many comparisons, and of what kind."""

    checks: int
    comparisons: int
    random: int
    """Of a formula with a simulation, in standard errors."""
    deterministic: int
    """Of a formula with a quadrature, linear algebra, a limit or an independent evaluation."""
    misses: int
    """Of a law with the truth that it misses, by as much as the book says."""
    stated: int
    """Of a figure that the book states with this run."""
    claims: int
    """Something that holds or not, and has no size."""

    @classmethod
    def of(cls, evidence: Iterable[Evidence]) -> Survey:
        """Of checks that were run already."""
        found = list(evidence)
        rows = [row for one in found for row in one.comparisons]
        kinds = {kind: sum(isinstance(row, kind) for row in rows) for kind in (Miss, Stated, Claim)}
        random = sum(row.standard_error is not None and not isinstance(row, Miss) for row in rows)
        rest = len(rows) - random - sum(kinds.values())
        return cls(len(found), len(rows), random, rest, *kinds.values())


def survey() -> Survey:
    """Run every check, a matter of ten to twenty seconds, and count what is compared with what."""
    return Survey.of(check() for check in every().values())


def errata() -> list[Erratum]:
    """Every error found in the sources by running them, by article and number."""

    def place(erratum: Erratum) -> list[str | int]:  # 10542.d6 before 10542.d22
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", erratum.where)]

    return sorted((each for module in _modules() for each in getattr(module, "ERRATA", ())), key=place)


def validity() -> list[Validity]:
    """How far each law can be trusted, in the order of the modules of checks."""
    return [each for module in _modules() for each in getattr(module, "VALIDITY", ())]


def _checks(module: ModuleType) -> dict[str, Callable[[], Evidence]]:
    """The checks of a module, which yield rows."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and hasattr(function, "__wrapped__")
    }


def _modules() -> Iterator[ModuleType]:
    for info in iter_modules(__path__):
        if info.name not in ("evidence", "findings"):
            yield import_module(f"{__name__}.{info.name}")
