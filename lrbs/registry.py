"""The registry: every equation of the book, tied to one function and one check.

A function that implements an equation says so above its definition::

    @formula("11260.3", title="...", tex=r"...", chapter="status-quo", check="optimal_learning_rate")
    def optimal_lr(alignment, curvature): ...

From this come ``python -m lrbs formulas``, the formula index of the book, and the tests that fail on
an equation without a function, a function without a check, or an id that no chapter shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

__all__ = ["Formula", "formula", "formulas"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Formula:
    """One equation: where it stands, what it says, what computes it and what checks it.

    Attributes
    ----------
    id : str
        Number of the article in its archive, a dot, number of the equation there: ``"11260.3"``.
        Ids that begin with ``"lrbs."`` are results of this book.
    title : str
        What the equation gives, in words.
    tex : str
        The equation in LaTeX, as the chapter shows it.
    function : callable
        The function that computes it.
    chapter : str
        Stem of the notebook in ``chapters/`` that shows it.
    check : str
        Name of the function in :mod:`lrbs.checks` that measures how right it is.
    repeats : str
        Id of the equation that this one repeats in another article, or ``""``.
    """

    id: str
    title: str
    tex: str
    function: Callable[..., Any]
    chapter: str
    check: str
    repeats: str = ""

    @property
    def function_name(self) -> str:
        """Import path of the function, such as ``"lrbs.step.optimal_lr"``."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def link(self, page: str = "") -> str:
        """The number of the equation as a link in Markdown to where it stands; `page` is the reader's."""
        anchor = self.id.replace(".", "-")
        anchor = f"id-{anchor}" if anchor[0].isdigit() else anchor  # as MyST makes them
        return f"[({self.id})]({'' if page == self.chapter else f'{self.chapter}.ipynb'}#{anchor})"

    def as_dict(self) -> dict[str, str]:
        """The entry as plain strings, for JSON."""
        return {
            "id": self.id,
            "title": self.title,
            "tex": self.tex,
            "function": self.function_name,
            "chapter": self.chapter,
            "check": f"lrbs.checks.{self.check}",
            "repeats": self.repeats,
        }


_formulas: dict[str, Formula] = {}

formulas: Mapping[str, Formula] = MappingProxyType(_formulas)
"""Every registered equation by its id; read-only."""


def formula(
    id: str,
    *,
    title: str = "",
    tex: str = "",
    chapter: str,
    check: str = "",
    repeats: str = "",
) -> Callable[[F], F]:
    """Register the decorated function as the implementation of an equation.

    Parameters
    ----------
    id : str
        Id of the equation.
    title, tex, check : str
        See :class:`Formula`. May be left out when `repeats` is given: they are then taken from there.
    chapter : str
        Stem of the notebook that shows the equation.
    repeats : str
        Id of an equation, registered before or on the same function, that this one says again.

    Returns
    -------
    callable
        A decorator that returns the function itself, unwrapped.

    Raises
    ------
    ValueError
        If the id is taken, the repeated id is unknown, or a needed field is missing.
    """

    def register(function: F) -> F:
        if id in _formulas:
            raise ValueError(f"formula {id!r} is registered already, for {_formulas[id].function_name}")
        original = None
        if repeats:
            if repeats not in _formulas:
                raise ValueError(f"formula {id!r} repeats {repeats!r}, which is not registered (yet)")
            original = _formulas[repeats]
        fields = {
            "title": title or (original.title if original else ""),
            "tex": tex or (original.tex if original else ""),
            "check": check or (original.check if original else ""),
        }
        for name, value in fields.items():
            if not value:
                raise ValueError(f"formula {id!r} needs {name}")
        _formulas[id] = Formula(id=id, function=function, chapter=chapter, repeats=repeats, **fields)
        return function

    return register
