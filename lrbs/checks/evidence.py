"""What a check returns: numbers side by side, and a verdict that can be negative."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lrbs.checks.comparison import ROUNDING, Claim, Comparison, Miss, Stated, small
from lrbs.labels import as_html

Kind = Literal[
    "identity", "algebra only", "limit", "Monte Carlo", "quadrature", "published number", "approximation"
]
HELD_AGAINST: dict[Kind, str] = {
    "identity": "against the same, found in another way",
    "algebra only": "one form against another",
    "limit": "against the limit",
    "Monte Carlo": "against a simulation",
    "quadrature": "against a quadrature",
    "published number": "what is printed, against this run",
    "approximation": "against the truth",
}


def near(
    quantity: str,
    formula: ArrayLike,
    reference: ArrayLike,
    tolerance: float = ROUNDING,
    *,
    absolute: bool = False,
) -> Comparison:
    """A number found in two ways, neither of them random; `tolerance` is relative unless told."""
    said, found = float(np.asarray(formula)), float(np.asarray(reference))
    return Comparison(quantity, said, found, None, tolerance, absolute)


def against_sample(quantity: str, formula: ArrayLike, sample: ArrayLike) -> Comparison:
    """A formula for a mean, against independent draws of it."""
    draws = np.asarray(sample, dtype=np.float64)
    error = draws.std(ddof=1) / np.sqrt(draws.size)
    return Comparison(quantity, float(np.asarray(formula)), float(draws.mean()), float(error))


def stated(
    quantity: str, figure: float, measured: ArrayLike, tolerance: float, absolute: bool = False
) -> Comparison:
    """A figure that the book states, against what this run measures; `tolerance` is relative unless told."""
    return Stated(quantity, figure, float(np.asarray(measured)), tolerance=tolerance, absolute=absolute)


def holds(claim: str, true: bool | np.bool_) -> Comparison:
    """Something that holds or does not, and has no size."""
    return Claim(claim, 1.0, float(true))


def missed(
    quantity: str,
    law: ArrayLike,
    truth: ArrayLike | tuple[ArrayLike, ArrayLike | None],
    off: float,
    tolerance: float | None = None,
    *,
    absolute: bool = False,
) -> Miss:
    """A law against the truth, perhaps with its standard error, where the book says that it is `off`.

    `off` is a share of the truth, 0.4 for a law 40 % too large; see :class:`Miss`.
    """
    value, error = truth if isinstance(truth, tuple) else (truth, None)
    said, true = float(np.asarray(law)), float(np.asarray(value))
    se = None if error is None else float(np.asarray(error))
    return Miss(quantity, said, true, se, tolerance, absolute, off)


@dataclass(frozen=True)
class Evidence:
    """Outcome of a check.

    Attributes
    ----------
    kind : str
        "identity": an exact statement, found in another way. "algebra only": one form of a formula against
        another, the truth not asked. "limit", "quadrature", "Monte Carlo": against what it tends to, a
        number found numerically, a simulation. "published number": a figure of a source or of this book,
        against this run. "approximation": a formula that is not exact, against the truth.
    comparisons : sequence of Comparison
    error : float, optional
        Measured error of the formula, relative or `absolute`. Unless told, the largest of a law that
        misses; without one, the largest difference of the comparisons, figures of the book apart (for
        Monte Carlo that is noise, and counts in standard errors instead). For an approximation: its
        largest error over the range looked at, which a comparison holds to the figure that the book prints.
    where : str, where that error occurs, or the range looked at
    absolute : bool
        The error is a difference, not a share of something: it is printed without "%".
    folded : bool
        Show one line on a page, the table below it when that is opened.

    Raises
    ------
    ValueError
        If there is no comparison, or none with a standard error for "Monte Carlo".
    """

    kind: Kind
    comparisons: tuple[Comparison, ...]
    error: float = field(default=float("nan"))
    where: str = ""
    absolute: bool = False
    folded: bool = True

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons must not be empty: a check without one cannot fail")
        random = [c for c in self.comparisons if c.standard_error and not isinstance(c, Miss)]
        if self.kind == "Monte Carlo" and not random:
            raise ValueError(
                "comparisons must hold a standard error for a check of kind 'Monte Carlo'; one of a law that "
                "misses alone is an 'approximation'"
            )
        if np.isnan(self.error):
            plain = [c for c in self.comparisons if not isinstance(c, Stated | Claim)]
            errors = [
                abs(c.difference) if self.absolute else c.relative
                for c in self._misses or plain or self.comparisons
            ]
            object.__setattr__(self, "error", max(errors))

    def __getitem__(self, quantity: str) -> Comparison:
        """The comparison of that name."""
        for comparison in self.comparisons:
            if comparison.quantity == quantity:
                return comparison
        raise LookupError(
            f"no quantity is named {quantity!r}; there are {[c.quantity for c in self.comparisons]}"
        )

    @property
    def passed(self) -> bool:
        """Whether every comparison passes."""
        return all(comparison.passed for comparison in self.comparisons)

    def _table(self) -> list[list[tuple[str, str, str, str]]]:
        """Rows in blocks of one kind of comparison, each block below its heads."""
        blocks: dict[tuple[str, str, str], list[tuple[str, str, str, str]]] = {}
        for c in self.comparisons:
            blocks.setdefault(c.columns, []).append((c.quantity, *c.cells))
        return [[("", *heads), *rows] for heads, rows in blocks.items()]

    def __str__(self) -> str:
        rows = [row for block in self._table() for row in block if any(row)]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = []
        for name, *cells in rows:
            right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            lines.append("  ".join([name.ljust(widths[0]), *right]))
        return "\n".join(line.rstrip() for line in [*lines, self._summary()])

    __repr__ = __str__

    @property
    def measured(self) -> str:
        """The measured error in words: standard errors and resolution for Monte Carlo, else its size."""
        if self.kind == "Monte Carlo":
            random = [c for c in self.comparisons if c.standard_error and not isinstance(c, Miss)]
            deviation = max(abs(c.difference) / (c.standard_error or 1) for c in random)
            resolution = max((c.standard_error or 0) / (abs(c.reference) or 1) for c in random)
            size = small(resolution, relative=True)
            return f"off by {deviation:.1f} standard errors at most, of {size} or less"
        if self.kind == "algebra only":
            how = "to rounding" if self.error < ROUNDING else f"within {small(self.error, relative=True)}"
            return "; ".join(note for note in (f"forms agree {how}", self.where) if note)
        if self.error < ROUNDING:
            return "no error but rounding"
        notes = "; ".join(note for note in ("absolute" if self.absolute else "", self.where) if note)
        size = small(self.error, relative=not self.absolute)
        error = f"off by {size}" if self._misses else f"largest error {size}"
        return f"{error} ({notes})" if notes else error

    def _summary(self) -> str:
        line, verdict = f"{HELD_AGAINST[self.kind]}: {self.measured}", "passed" if self.passed else "FAILED"
        if self._misses and self.kind == "Monte Carlo":
            line += f"; a law beside it is off by {max(self._misses, key=lambda c: abs(c.off_by)).verdict}"
        elif self._misses and self.passed:
            verdict = "as stated"
        return f"{line}; {verdict}"

    @property
    def _misses(self) -> list[Miss]:
        """Laws that are held to how far off they are known to be."""
        return [c for c in self.comparisons if isinstance(c, Miss)]

    def _repr_html_(self) -> str:
        parts = []
        for number, (heads, *rows) in enumerate(self._table()):
            head = "<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>" if any(heads) else ""
            cells = ("".join(f"<td>{as_html(cell)}</td>" for cell in row) for row in rows)
            body = "".join(f"<tr>{row}</tr>" for row in cells)
            first = f"<tbody>{head}" if number else f"<thead>{head}</thead><tbody>"
            parts.append(f"{first}{body}</tbody>")
        line = as_html(self._summary())
        # Some windows show no mark at what can be opened, JupyterLab's among them: so a word says it.
        summary, table = f"<summary>{line} (table)</summary>", f"<table>{''.join(parts)}</table>"
        return f'<details class="lrbs-check"{"" if self.folded else " open"}>{summary}{table}</details>'


# What a check yields: the name of a quantity, what the formula says and what it is held against; that is a
# number, a number with its standard error, or independent draws of which the formula is the mean.
Row = tuple[str, Any, Any] | Comparison
Rows = Generator[Row, None, Any]
Check = Callable[[], Evidence]


def check(
    kind: Kind, *, where: str = "", absolute: bool = False, news: bool = False
) -> Callable[[Callable[[], Rows]], Check]:
    """Make a check of a function that yields rows; if it is news, its table stays open on a page.

    It may return the formula's measured error, where that occurs (a text), or both; see :class:`Evidence`.
    """

    def decorate(function: Callable[[], Rows]) -> Check:
        @wraps(function)
        def run() -> Evidence:
            rows, outcome = function(), None
            comparisons: list[Comparison] = []
            while True:
                try:
                    comparisons.append(compared(next(rows)))
                except StopIteration as end:
                    outcome = end.value
                    break
            error, place = float("nan"), where
            for part in outcome if isinstance(outcome, tuple) else (outcome,):
                if isinstance(part, str):
                    place = part
                elif part is not None:
                    error = float(part)
            return Evidence(kind, tuple(comparisons), error, place, absolute, folded=not news)

        return run

    return decorate


def compared(row: Row) -> Comparison:
    """A row as a comparison."""
    if isinstance(row, Comparison):
        return row
    quantity, formula, reference = row
    if isinstance(reference, tuple):
        value, error = (float(np.asarray(x)) for x in reference)
        return Comparison(quantity, float(np.asarray(formula)), value, error)
    if np.ndim(reference):
        return against_sample(quantity, formula, reference)
    return near(quantity, formula, reference)
