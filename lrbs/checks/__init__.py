"""The checks: for every equation a run that can contradict it.

One module for each chapter; a check is a function without arguments that returns
:class:`~lrbs.checks.evidence.Evidence` and is named by the ``check`` of a formula::

    lrbs.checks.run("11260.3")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from lrbs.checks.comparison import Claim, Comparison, Miss, Stated
from lrbs.checks.evidence import Evidence
from lrbs.checks.findings import Erratum, Validity, errata, validity
from lrbs.checks.lookup import every, find
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


def run(id: str, *, folded: bool | None = None) -> Evidence:
    """Run the check of an equation.

    Parameters
    ----------
    id : str
        Such as ``"11260.3"``.
    folded : bool, optional
        Show one line on a page, and the table when that is opened, or both; as the check has it unless told.

    Returns
    -------
    Evidence
        A table when printed, a line and a table when shown; ``.passed`` is the verdict, and
        ``evidence["quantity"]`` the comparison of that name.

    Raises
    ------
    ValueError
        If no equation has this id.
    """
    if id not in load():
        raise ValueError(f"id must be that of an equation, one of lrbs.formulas; got {id!r}")
    evidence = find(load()[id].check)()
    return evidence if folded is None else replace(evidence, folded=folded)


class Survey(NamedTuple):
    """How many checks there are, and comparisons of each kind in them.

    Attributes
    ----------
    checks, comparisons : int
    random : int, of a formula with a simulation, in standard errors
    deterministic : int
        Of a formula with a quadrature, linear algebra, a limit or an independent evaluation.
    misses : int, of a law with the truth that it misses, by as much as the book says
    stated : int, of a figure that the book states with this run
    claims : int, something that holds or not, and has no size
    """

    checks: int
    comparisons: int
    random: int
    deterministic: int
    misses: int
    stated: int
    claims: int

    @classmethod
    def of(cls, evidence: Iterable[Evidence]) -> Survey:
        """Of checks that were run already.

        Parameters
        ----------
        evidence : iterable of Evidence

        Returns
        -------
        Survey
        """
        found = list(evidence)
        rows = [row for one in found for row in one.comparisons]
        kinds = {kind: sum(isinstance(row, kind) for row in rows) for kind in (Miss, Stated, Claim)}
        random = sum(row.standard_error is not None and not isinstance(row, Miss) for row in rows)
        rest = len(rows) - random - sum(kinds.values())
        return cls(len(found), len(rows), random, rest, *kinds.values())


def survey() -> Survey:
    """Run every check, a matter of ten to twenty seconds, and count what is compared with what.

    Returns
    -------
    Survey
    """
    return Survey.of(check() for check in every().values())
