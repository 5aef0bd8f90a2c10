"""The catalogue: every equation of the book, tied to one function and one check, as data.

It stands in ``equations.toml``, a line an equation; TeX stands in the chapter, labelled with the id. From it
come ``python -m lrbs formulas``, the formula index of the book, and the tests that fail on an equation
without a function, a function without a check, or an id that no chapter shows.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["Formula", "load", "resolve"]

CATALOGUE = Path(__file__).with_name("equations.toml")


@dataclass(frozen=True)
class Formula:
    """One equation: where it stands, what computes it and what checks it.

    Attributes
    ----------
    id : str
        Number of the article in its archive, a dot, number of the equation there: ``"11260.3"``.
        Ids that begin with ``"lrbs."`` are results of this book.
    title : str, what the equation gives, in words
    function : str
        Import path of the function that computes it, such as ``"lrbs.step.optimal_lr"``.
    chapter : str
        Stem of the notebook in ``chapters/`` that shows it.
    check : str
        The function that measures how right it is, named from :mod:`lrbs.checks` on:
        ``"status_quo.optimal_learning_rate"``.
    repeats : str
        Id of the equation that this one repeats in another article, or ``""``.
    """

    id: str
    title: str
    function: str
    chapter: str
    check: str
    repeats: str = ""

    def link(self, page: str = "") -> str:
        """The number of the equation as a link in Markdown to where it stands; `page` is the reader's."""
        anchor = self.id.replace(".", "-")
        anchor = f"id-{anchor}" if anchor[0].isdigit() else anchor  # as MyST makes them
        return f"[({self.id})]({'' if page == self.chapter else f'{self.chapter}.ipynb'}#{anchor})"

    def as_dict(self) -> dict[str, str]:
        """The entry as plain strings, for JSON."""
        return asdict(self) | {"check": f"lrbs.checks.{self.check}"}


@cache
def load() -> Mapping[str, Formula]:
    """Every equation by its id, in the order of the chapters; read-only."""
    chapters = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    found = {}
    for chapter, lines in chapters.items():
        for id, line in lines.items():
            found[id] = Formula(id=id, chapter=chapter, **line | {"function": f"lrbs.{line['function']}"})
    return MappingProxyType(found)


def resolve(path: str) -> Callable[..., Any]:
    """What stands at an import path, also a method or the getter of a property.

    Raises
    ------
    LookupError
        If nothing does.
    """
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            if not hasattr(found, name):
                raise LookupError(f"{'.'.join(parts[:cut])} has no {'.'.join(parts[cut:])}")
            found = getattr(found, name)
        return getattr(found, "fget", found)  # of a property
    raise LookupError(f"there is no module {path}")
