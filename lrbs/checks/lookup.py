"""Checks by their names, which the catalogue, the errata and the map of validity hold as strings."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from lrbs.checks.evidence import Check

__all__ = ["every", "find"]

FOLDER = Path(__file__).parent
NOT_CHECKS = ("comparison", "evidence", "findings", "lookup", "problems", "runs")


def find(name: str) -> Check:
    """The check of a name, with or without that of its module; no module loads but the one that holds it.

    Parameters
    ----------
    name : str
        Such as ``"muon.two_sided"`` or ``"two_sided"``.

    Returns
    -------
    callable
        Without arguments, to :class:`lrbs.checks.Evidence`.

    Raises
    ------
    LookupError
        If there is none.
    """
    module_name, _, function = name.rpartition(".")
    for path in FOLDER.glob(f"{module_name or '*'}.py"):
        if path.stem not in NOT_CHECKS and f"\ndef {function}() -> Rows:" in path.read_text(encoding="utf-8"):
            return _checks(import_module(f"lrbs.checks.{path.stem}"))[function]
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
    own = {name: x for name, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__}
    return {name: x for name, x in own.items() if inspect.isfunction(x) and hasattr(x, "__wrapped__")}


def _modules() -> Iterator[ModuleType]:
    for info in iter_modules([str(FOLDER)]):
        if info.name not in NOT_CHECKS:
            yield import_module(f"lrbs.checks.{info.name}")
