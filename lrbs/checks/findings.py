"""What running the equations showed: errors in the sources, and how far each law can be trusted.

Each module of checks may hold a list ``ERRATA`` and a list ``VALIDITY`` of these; the appendices of the book
are made from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Erratum", "Validity"]


@dataclass(frozen=True)
class Erratum:
    """Something in a source that running it contradicts.

    Attributes
    ----------
    where : str
        Id of the equation, or article and place.
    kind : str
        "misprint" (what was meant is clear), "overstatement" (right within limits that are not named) or
        "wrong claim".
    says : str
        What the source says, in our words.
    finds : str
        What the run finds.
    check : str
        Name of the check that shows it.
    """

    where: str
    kind: Literal["misprint", "overstatement", "wrong claim"]
    says: str
    finds: str
    check: str


@dataclass(frozen=True)
class Validity:
    """How far a law can be trusted.

    Attributes
    ----------
    law : str
        Its name, in words.
    ids : tuple of str
        Equations that state it.
    assumptions : str
    status : str
        Such as "Exact on a quadratic", "Mean field", "Heuristic".
    error : str
        Its measured error, in words. A name of a check in braces stands for that check's error, with
        a format if need be: ``"at most {sign_mean_against_erf:.3f}"``.
    breaks : str
        Name of the check that shows a case where the law breaks.
    """

    law: str
    ids: tuple[str, ...]
    assumptions: str
    status: str
    error: str
    breaks: str

    @property
    def measured(self) -> str:
        """`error` with the numbers that the checks find now."""
        return re.sub(r"(?<=\d)%", " %", self.error.format_map(_Errors()))


class _Errors(dict[str, float]):
    """Measured error of each check, by its name."""

    def __missing__(self, name: str) -> float:
        from lrbs.checks import find  # which imports the modules that use this one

        return find(name)().error
