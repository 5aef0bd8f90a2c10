"""What a check returns: numbers side by side, and a verdict that can be negative."""

from __future__ import annotations

import html
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

Kind = Literal[
    "identity", "algebra only", "limit", "Monte Carlo", "quadrature", "published number", "approximation"
]

# Two numbers that should be equal and carry no random error may differ by rounding alone.
ROUNDING = 1e-9
# A right formula is more than this many standard errors off once in 16,000 comparisons.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class Comparison:
    """One number of the book against the same number found in another way.

    Attributes
    ----------
    quantity : str
        What is compared, in words or short symbols.
    formula : float
        What the equation, or the book, says.
    reference : float
        What simulation, linear algebra, quadrature or the literature says.
    standard_error : float, optional
        Of the reference, when it is random; the verdict then counts standard errors.
    tolerance : float, optional
        Largest accepted difference: in standard errors when there is one (4 unless told), else relative
        to the larger of the two numbers (1e-9 unless told).
    absolute : bool
        Take a tolerance without standard error as absolute.
    """

    quantity: str
    formula: float
    reference: float
    standard_error: float | None = None
    tolerance: float | None = None
    absolute: bool = False

    columns: ClassVar[tuple[str, str, str]] = ("formula", "reference", "difference")

    @property
    def difference(self) -> float:
        """Formula minus reference."""
        return float(self.formula - self.reference)

    @property
    def relative(self) -> float:
        """Size of the difference relative to the reference (absolute where the reference is 0)."""
        return abs(self.difference) / (1.0 if self.absolute else abs(self.reference) or 1.0)

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance; nan never is."""
        if self.standard_error is not None:
            limit = (STANDARD_ERRORS if self.tolerance is None else self.tolerance) * self.standard_error
        else:
            limit = ROUNDING if self.tolerance is None else self.tolerance
            if not self.absolute:
                limit *= max(abs(self.formula), abs(self.reference))
        return bool(abs(self.difference) <= limit)

    @property
    def verdict(self) -> str:
        """Difference in the unit that decides, and whether it passes."""
        if self.standard_error is not None:
            size = abs(self.difference)
            if size:  # without a difference there are none, whatever the standard error
                size = size / self.standard_error if self.standard_error else np.inf
            text = f"{size:.1f} s.e."
        elif self.absolute:
            text = _small(abs(self.difference))
        else:
            text = _small(self.relative, relative=True)
        return f"{text} {'ok' if self.passed else 'FAILS'}"

    @property
    def cells(self) -> tuple[str, str, str]:
        """What a table shows below `columns`."""
        return _shown(self.formula, self), _with_error(self.reference, self), self.verdict


class Stated(Comparison):
    """A figure that the book states, against what this run measures; see :func:`stated`."""

    columns = ("the book", "this run", "difference")


class Claim(Comparison):
    """Something that holds or does not; see :func:`holds`."""

    columns = ("", "", "")

    @property
    def cells(self) -> tuple[str, str, str]:
        """Only the verdict: a truth value is no number."""
        return "", "", self.verdict

    @property
    def verdict(self) -> str:
        """Whether it holds."""
        return "holds" if self.passed else "FAILS"


@dataclass(frozen=True)
class Miss(Comparison):
    """A law against the truth, where it is known to be off: by how much is what the book states.

    Attributes
    ----------
    off : float
        How far off the book says that the law is: its difference from the truth as a share of the truth,
        or itself if `absolute`. The comparison passes if this run finds the same, within `tolerance` of
        the ratio of law to truth (of the difference, if `absolute`) or 4 standard errors.
    """

    off: float = 0.0

    columns = ("law", "truth", "off by")

    @property
    def off_by(self) -> float:
        """How far off the law is: a share of the truth, positive if it is larger in size, or a difference."""
        return self.difference if self.absolute else self.difference / self.reference

    @property
    def passed(self) -> bool:
        """Whether the law is as far off as the book says."""
        if self.standard_error is not None:
            share = STANDARD_ERRORS * self.standard_error / abs(self.reference)
            return bool(abs(self.off_by - self.off) <= share * abs(1 + self.off_by))
        found, said = (x if self.absolute else 1 + x for x in (self.off_by, self.off))
        return bool(abs(found - said) <= (self.tolerance or ROUNDING) * max(abs(found), abs(said)))

    @property
    def verdict(self) -> str:
        """How far off the law is, and whether the book says so."""
        found, said = (_off(x, self.absolute) for x in (self.off_by, self.off))
        return f"{found}, as stated" if self.passed else f"{found}, not {said}: FAILS"


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
    quantity: str,
    figure: float,
    measured: ArrayLike,
    tolerance: float,
    absolute: bool = False,
) -> Comparison:
    """A figure that the book states, against what this run measures; `tolerance` is relative unless told."""
    return Stated(quantity, figure, float(np.asarray(measured)), tolerance=tolerance, absolute=absolute)


def holds(claim: str, true: bool | np.bool_) -> Comparison:
    """Something that holds or does not, and has no size."""
    return Claim(claim, 1.0, float(true))


def missed(
    quantity: str,
    law: ArrayLike,
    truth: ArrayLike,
    off: float,
    tolerance: float | None = None,
    *,
    standard_error: float | None = None,
    absolute: bool = False,
) -> Miss:
    """A law against the truth, where the book says that it is `off`; see :class:`Miss`."""
    said, true = float(np.asarray(law)), float(np.asarray(truth))
    return Miss(quantity, said, true, standard_error, tolerance, absolute, off)


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
    where : str
        Where that error occurs, or the range looked at.
    absolute : bool
        The error is a difference, not a share of something: it is printed without "%".
    """

    kind: Kind
    comparisons: tuple[Comparison, ...]
    error: float = field(default=float("nan"))
    where: str = ""
    absolute: bool = False

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons must not be empty: a check without one cannot fail")
        random = [c for c in self.comparisons if c.standard_error and not isinstance(c, Miss)]
        if self.kind == "Monte Carlo" and not random:
            raise ValueError("comparisons must hold a standard error for a check of kind 'Monte Carlo'")
        if np.isnan(self.error):
            misses = [c for c in self.comparisons if isinstance(c, Miss)]
            plain = [c for c in self.comparisons if not isinstance(c, Stated | Claim)]
            errors = [
                abs(c.difference) if self.absolute else c.relative
                for c in misses or plain or self.comparisons
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
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in [*lines, self._summary()])

    __repr__ = __str__

    @property
    def measured(self) -> str:
        """The measured error in words: standard errors and resolution for Monte Carlo, else its size."""
        if self.kind == "Monte Carlo":
            random = [c for c in self.comparisons if c.standard_error and not isinstance(c, Miss)]
            deviation = max(abs(c.difference) / (c.standard_error or 1) for c in random)
            resolution = max((c.standard_error or 0) / (abs(c.reference) or 1) for c in random)
            size = _small(resolution, relative=True)
            return f"off by {deviation:.1f} standard errors at most, of {size} or less"
        if self.kind == "algebra only":
            how = "to rounding" if self.error < ROUNDING else f"within {_small(self.error, relative=True)}"
            return "; ".join(note for note in (f"forms agree {how}", self.where) if note)
        if self.error < ROUNDING:
            return "no error but rounding"
        notes = "; ".join(note for note in ("absolute" if self.absolute else "", self.where) if note)
        size = _small(self.error, relative=not self.absolute)
        return f"largest error {size} ({notes})" if notes else f"largest error {size}"

    def _summary(self) -> str:
        return f"{self.kind}: {self.measured}; {'passed' if self.passed else 'FAILED'}"

    def _repr_html_(self) -> str:
        parts = []
        for number, (heads, *rows) in enumerate(self._table()):
            head = "<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>" if any(heads) else ""
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
            )
            parts.append(
                f"<tbody>{head}{body}</tbody>" if number else f"<thead>{head}</thead><tbody>{body}</tbody>"
            )
        caption = f"<caption>{html.escape(self._summary())}</caption>"
        return f'<table class="lrbs-check">{"".join(parts)}{caption}</table>'


# What a check yields: the name of a quantity, what the formula says and what it is held against; that is a
# number, a number with its standard error, or independent draws of which the formula is the mean.
Row = tuple[str, Any, Any] | Comparison
Rows = Generator[Row, None, Any]


def check(kind: Kind, *, where: str = "", absolute: bool = False) -> Callable[[Callable[[], Rows]], Check]:
    """Make a check of a function that yields rows.

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
            return Evidence(kind, tuple(comparisons), error, place, absolute)

        return run

    return decorate


Check = Callable[[], "Evidence"]


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


def _shown(value: float, comparison: Comparison) -> str:
    """A number of a comparison; what should vanish and is rounding, differs from machine to machine."""
    return "0" if comparison.absolute and abs(value) < ROUNDING else _digits(value)


def _with_error(value: float, comparison: Comparison) -> str:
    shown, error = _shown(value, comparison), comparison.standard_error
    return shown if error is None else f"{shown} ± {_digits(error, 1)}"


def _digits(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, without an exponent where that stays short."""
    if 1e-4 < abs(value) < 1e6:
        return np.format_float_positional(value, digits, fractional=False, trim="-")
    return f"{value:.{digits}g}"


def _small(value: float, relative: bool = False) -> str:
    """A difference, with rounding errors shown as such: their digits change from machine to machine."""
    if value < ROUNDING:
        return "rounding"
    if relative and value < 1e-5:
        return "< 0.001 %"
    if relative:
        return f"{100 * value:.0f} %" if value >= 1 else f"{100 * value:.2g} %"
    return f"{value:.2g}"


def _off(value: float, absolute: bool) -> str:
    """How far a law is off: with a sign, and as a factor where a percentage would be long."""
    if abs(value) < ROUNDING:  # the digits of rounding depend on the processor
        value = 0.0
    if absolute:
        return f"{value:+.2g}"
    return f"{100 * value:+.2g} %" if abs(value) < 0.995 else f"a factor {_digits(1 + value, 3)}"
