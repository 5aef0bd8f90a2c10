"""One number of the book against the same number found in another way, and words for how far off it is."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

# Two numbers that should be equal and carry no random error may differ by rounding alone.
ROUNDING = 1e-9
# A right formula is more than this many standard errors off once in 16,000 comparisons.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class Comparison:
    """One number of the book against the same number found in another way.

    Attributes
    ----------
    quantity : str, what is compared, in words or short symbols
    formula : float, what the equation, or the book, says
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
            text = small(abs(self.difference))
        else:
            text = small(self.relative, relative=True)
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
    return re.sub(r"(?<=e[-+])0", "", f"{value:.{digits}g}")


def small(value: float, relative: bool = False) -> str:
    """A difference, with rounding errors shown as such: their digits change from machine to machine."""
    if value < ROUNDING:
        return "rounding"
    if relative and value < 1e-5:
        return "< 0.001 %"
    if relative:
        return f"{100 * value:.0f} %" if value >= 1 else f"{100 * value:.2g} %"
    return _digits(value, 2)


def _off(value: float, absolute: bool) -> str:
    """How far a law is off: with a sign, and as a factor where a percentage would be long."""
    if abs(value) < ROUNDING:  # the digits of rounding depend on the processor
        value = 0.0
    if absolute:
        return f"{value:+.2g}"
    return f"{100 * value:+.2g} %" if abs(value) < 0.995 else f"a factor {_digits(1 + value, 3)}"
