"""What running the equations showed: errors in the sources, and how far each law can be trusted.

They stand in ``errata.toml`` and ``validity.toml`` beside this file; the appendices of the book are made from
them. In their texts ``{check:.1%}`` stands for the error that a check measures now, and
``{check[row]:.3g}`` for what its row of that name finds: a figure of the book as this run has it, how far a
law is off (with ``:x`` the law as a multiple of the truth), or else the reference. Mathematics stands between
dollar signs.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from lrbs.checks.comparison import Miss
from lrbs.checks.evidence import Evidence
from lrbs.checks.lookup import find
from lrbs.labels import power_of_ten

__all__ = ["Erratum", "Validity", "errata", "validity"]

FIGURE = re.compile(r"\{([a-z]\w+)(?:\[([^:{}][^{}]*?)\])?:(\.\d\w?%?|x)\}")


@dataclass(frozen=True)
class Erratum:
    """Something in a source that running it contradicts, or that wants a word beside it.

    Attributes
    ----------
    where : str
        Id of the equation if it is not right as printed; else where in the article the sentence stands.
    hand : str
        Whose it is: "author" of the articles, or of the "annotations" of article 10542 or the "questions and
        answers" on it, which others have added.
    kind : str
        "misprint" (what was meant is clear), "overstatement" (right within limits that are not named),
        "wrong claim", or "note": nothing wrong, but something to know.
    quotation : str
        The words of the source, in Chinese or as a formula; empty if the source was not at hand.
    says : str
        What they say in English; without a quotation, what the source says, in our words.
    finds : str
    sure : str, how sure that is, and of what
    check : str, name of the check that shows it
    """

    where: str
    hand: Literal["author", "annotations", "questions and answers"]
    kind: Literal["misprint", "overstatement", "wrong claim", "note"]
    quotation: str
    says: str
    finds: str
    sure: str
    check: str

    @property
    def found(self) -> str:
        """`finds` with the numbers that the checks find now."""
        return with_figures(self.finds)

    @property
    def ids(self) -> tuple[str, ...]:
        """Equations that it speaks of."""
        return tuple(re.findall(r"\b\d{5}\.\w+", self.where))

    @property
    def of_an_equation(self) -> bool:
        """Whether an equation itself is not right as printed, and not a sentence beside it."""
        return self.where in self.ids

    @property
    def anchor(self) -> str:
        """Where it stands on the page of errata."""
        return "erratum_" + re.sub(r"\W+", "_", self.where).strip("_")


@dataclass(frozen=True)
class Validity:
    """How far a law can be trusted.

    Attributes
    ----------
    law : str
    ids : tuple of str
    assumptions : str
    status : str
        Such as "Exact on a quadratic", "Mean field", "Heuristic".
    error : str
        Its measured error, in words, with figures of checks.
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
        return with_figures(self.error)


@cache
def errata() -> tuple[Erratum, ...]:
    """Every error found in the sources by running them, by article and number."""

    def place(erratum: Erratum) -> list[str | int]:  # 10542.d6 before 10542.d22
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", erratum.where)]

    found = (Erratum(**{"quotation": ""} | fields) for fields in _tables("errata.toml", "erratum"))
    return tuple(sorted(found, key=place))


@cache
def validity() -> tuple[Validity, ...]:
    """How far each law can be trusted, chapter by chapter."""
    return tuple(Validity(**fields) for fields in _tables("validity.toml", "law"))


def _tables(file: str, name: str) -> list[dict[str, Any]]:
    """The tables of a file beside this one, each text on one line and each list a tuple."""
    tables = tomllib.loads((files(__package__) / file).read_text(encoding="utf-8"))[name]

    def tidy(value: Any) -> Any:
        return " ".join(value.split()) if isinstance(value, str) else tuple(value)

    return [{key: tidy(value) for key, value in table.items()} for table in tables]


def with_figures(text: str) -> str:
    """A text with the figures that its checks find now."""

    def figure(found: re.Match[str]) -> str:
        check, row, spec = found.groups()
        evidence = evidence_of(check)
        if not row:
            number = format(evidence.error, spec)
        elif spec == "x":
            number = np.format_float_positional(ratio(evidence, row), 2, fractional=False, trim="-")
        else:
            number = format(measured(evidence, row), spec)
        number = re.sub(r"e([-+]\d+)", lambda power: f"×{power_of_ten(int(power[1]))}", number)
        return re.sub(r"(?<=\d)%", " %", number)

    return FIGURE.sub(figure, text)


def measured(evidence: Evidence, quantity: str) -> float:
    """What a row finds: how far a law is off, without its sign, or else the reference."""
    row = evidence[quantity]
    return abs(row.off_by) if isinstance(row, Miss) else row.reference


def ratio(evidence: Evidence, quantity: str) -> float:
    """Formula over reference in a row."""
    row = evidence[quantity]
    return row.formula / row.reference


@cache
def evidence_of(check: str) -> Evidence:
    """A check, run once however many texts speak of it."""
    return find(check)()
