"""A question, and what an answer to it is worth.

One object serves the student's own check, the marker, Gradescope and the tests. It asks for a name of the
notebook: a variable, or a function that is called with inputs of the marker's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from lrbs.validation import Array

__all__ = ["Finding", "Property", "Question", "Slip"]

Inputs = tuple[Any, ...]
Parameters = SimpleNamespace  # the student's numbers, by name

ALMOST = 5.0  # times the tolerance
VERDICTS = ("missing", "keep working", "almost", "correct")


@dataclass(frozen=True)
class Slip:
    """A wrong formula that people take, and what to tell them.

    Attributes
    ----------
    name : str
    formula : callable
        With the arguments of the question's `expected`.
    hint : str
        Says what is wrong, and not what is right.
    """

    name: str
    formula: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Property:
    """What must hold for any right function.

    Attributes
    ----------
    holds : callable
        ``holds(call, parameters)`` is whether it does; an error counts as no.
    hint : str
        What to say where it does not.
    """

    holds: Callable[[Callable[..., Any], Parameters], bool]
    hint: str


@dataclass(frozen=True)
class Finding:
    """One check of a structured answer, a figure or a table.

    Attributes
    ----------
    holds : bool
    hint : str
        What to say if it does not.
    """

    holds: bool
    hint: str


@dataclass(frozen=True)
class Question:
    """What is asked, and what is right.

    Attributes
    ----------
    name : str
        ``"q1"``; what the student checks it by.
    ask : str
        The variable or function that the notebook defines.
    points : float
    title : str
    expected : callable, optional
        Right answer: of the parameters for a variable, of the parameters and the inputs for a function.
    inputs : callable, optional
        Makes the inputs of one call from a generator of random numbers; its absence makes `ask` a variable.
    tolerance : float
        Relative.
    slips : sequence of Slip
    properties : sequence of Property
    agree : callable, optional
        ``agree(got, expected, scale)`` in the place of the relative tolerance, which `scale` multiplies: for
        answers with a standard error.
    inspect : callable, optional
        Findings on a figure or a table, ``inspect(answer, parameters)``; in the place of `expected`.
    least_words : int
        Of a written answer, which people mark; more than 0 makes the question one.
    calls : int
        How many sets of inputs.
    """

    name: str
    ask: str
    points: float
    title: str
    expected: Callable[..., Any] | None = None
    inputs: Callable[[np.random.Generator], Inputs] | None = None
    tolerance: float = 0.01
    slips: Sequence[Slip] = ()
    properties: Sequence[Property] = ()
    agree: Callable[[Any, Any, float], bool] | None = None
    inspect: Callable[[Any, Parameters], Sequence[Finding]] | None = None
    least_words: int = 0
    calls: int = 4

    @property
    def written(self) -> bool:
        """Whether people mark it."""
        return self.least_words > 0

    def same(self, got: Any, expected: Any, scale: float = 1.0) -> bool:
        """Whether an answer is the expected one.

        Parameters
        ----------
        got, expected : object
        scale : float
            How many tolerances are allowed.

        Returns
        -------
        bool
        """
        try:
            if self.agree is not None:
                return bool(self.agree(got, expected, scale))
            return close(got, expected, scale * self.tolerance)
        except (TypeError, ValueError, OverflowError, IndexError, KeyError, AttributeError):
            return False

    def cases(self, rng: np.random.Generator, parameters: Parameters) -> list[Inputs]:
        """Inputs at which every slip is beyond three tolerances, so that it cannot pass for the answer.

        Parameters
        ----------
        rng : numpy.random.Generator
        parameters : SimpleNamespace

        Returns
        -------
        list of tuple

        Raises
        ------
        RuntimeError
            If a slip is near to the right answer for most inputs.
        """
        assert self.inputs is not None
        found: list[Inputs] = []
        for _ in range(1000):
            if len(found) == self.calls:
                return found
            inputs = self.inputs(rng)
            if self.distinct(parameters, inputs):
                found.append(inputs)
        raise RuntimeError(f"{self.name}: its slips are too near to the right answer for most inputs")

    def distinct(self, parameters: Parameters, inputs: Inputs = ()) -> bool:
        """Whether no slip is within three tolerances of the right answer.

        Parameters
        ----------
        parameters : SimpleNamespace
        inputs : tuple
            Of a function.

        Returns
        -------
        bool
        """
        if self.expected is None:
            return True
        right = self.expected(parameters, *inputs)
        return not any(self.same(slip.formula(parameters, *inputs), right, 3.0) for slip in self.slips)


@dataclass(frozen=True)
class Outcome:
    """What an answer is worth.

    Attributes
    ----------
    verdict : str
        One of ``missing``, ``keep working``, ``almost``, ``correct``; ``handed in`` if people mark it.
    share : float
        Of the points, in [0, 1].
    hint : str
        For the student: shows no hidden input.
    slip : str
        Name of the slip that was recognised.
    cases : list of dict
        For the teacher: each call with its inputs, what was expected and what came.
    """

    verdict: str
    share: float = 0.0
    hint: str = ""
    slip: str = ""
    cases: tuple[Mapping[str, Any], ...] = ()


def numbers(value: Any) -> Array:
    """A value as an array of floats, booleans and integers included; texts and ragged lists are refused."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError("numbers were needed")
    return array.astype(np.float64)


def close(got: Any, expected: Any, tolerance: float) -> bool:
    """Whether two values agree within a relative tolerance; nan and inf agree with themselves alone."""
    if isinstance(expected, (bool, str)):
        return type(got) is type(expected) and got == expected
    answer, right = numbers(got), numbers(expected)
    if right.ndim == 0 and answer.size == 1:  # an array of one number is that number
        answer = answer.reshape(())
    if answer.shape != right.shape:
        return False
    # An entry that should be 0 is measured by the largest one.
    finite = np.abs(right[np.isfinite(right)])
    floor = 1e-9 * finite.max(initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(answer - right) <= tolerance * np.abs(right) + floor
    alike = (np.isnan(answer) & np.isnan(right)) | (answer == right)
    return bool(np.all(np.where(np.isfinite(right), near, alike)))


def shape_of(value: Any) -> str:
    """What a value is, in a student's words."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, dict):
        return "a figure" if set(value) == {"figure"} else "a dictionary"
    try:
        array = numbers(value)
    except (TypeError, ValueError, OverflowError):
        return "something else"
    return "a number" if array.ndim == 0 else f"numbers of shape {array.shape}"
