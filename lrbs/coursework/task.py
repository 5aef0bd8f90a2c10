"""What students call in their notebooks: their numbers, and a check of an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lrbs.coursework.assignment import PRACTICE, load, student_name
from lrbs.coursework.child import decode, encode
from lrbs.coursework.judge import CallFailed, mark_function, mark_value
from lrbs.coursework.question import Outcome, Question

__all__ = ["Task"]


class Task:
    """An assignment in the hands of one student.

    Parameters
    ----------
    assignment : str
        Its name, such as ``"1-one-step"``.
    student : str
        The id under which the teacher has you; capitals do not matter.

    Attributes
    ----------
    parameters : SimpleNamespace
        Your numbers.

    Raises
    ------
    ValueError
        If there is no such assignment, or the id is missing.

    Examples
    --------
    >>> task = Task("1-one-step", "ada")
    >>> task.check("q3", 0.5)
    q3 (batch_for_share): keep working. Not yet.
    """

    def __init__(self, assignment: str, student: str) -> None:
        self.student = student_name(student)
        private = Path(f"{assignment}.json")
        self._forms: dict[str, Any] | None = None
        if private.is_file():
            release = json.loads(private.read_text("utf-8"))
            own = release["parameters"].get(digest_of(self.student))
            if own is None:
                raise ValueError(f"STUDENT = {student!r} is not on the list of {assignment}")
            self._forms = release["questions"]
            self.parameters = SimpleNamespace(**decode(own), student=self.student)
            return
        self._assignment = load(assignment)
        self.parameters = self._assignment.parameters(self.student)

    def check(self, question: str, answer: Any) -> None:
        """Print whether an answer is right, and if it is not, what may help.

        A function is called with inputs for practice. The marker calls it with others.

        Parameters
        ----------
        question : str
            Its name, such as ``"q1"``.
        answer : object
            Number, array, text, figure or function.

        Raises
        ------
        ValueError
            If there is no such question.
        """
        print(self._verdict(question, answer))

    def seal(self, prediction: Any) -> str:
        """A digest of a prediction, to be handed in before what it predicts is measured.

        Parameters
        ----------
        prediction : array_like
            Counts to six digits.

        Returns
        -------
        str
            Sixteen digits that depend on the student too.
        """
        return seal(self.student, prediction)

    def _verdict(self, name: str, answer: Any) -> str:
        if self._forms is not None:
            if name not in self._forms:
                raise ValueError(f"there is no question {name!r}; there are {', '.join(self._forms)}")
            form = self._forms[name]
            fits = callable(answer) == (form["form"] == "a function") and answer is not None
            return f"{name}: " + ("received; marked later." if fits else f"{form['form']} is asked for.")
        question = self._assignment.question(name)
        outcome = self.outcome(question, answer)
        return f"{name} ({question.ask}): {outcome.verdict}." + (f" {outcome.hint}" if outcome.hint else "")

    def outcome(self, question: Question, answer: Any) -> Outcome:
        """What an answer is worth; inputs of functions are those for practice.

        Parameters
        ----------
        question : Question
        answer : object

        Returns
        -------
        Outcome
        """
        if question.inputs is None:
            try:
                return mark_value(question, decode(encode(answer)), self.parameters)
            except TypeError as error:
                return Outcome(
                    "keep working", hint=f"`{question.ask}` must be numbers or a text; got {error}."
                )
        if not callable(answer):
            return Outcome("missing", hint=f"`{question.ask}` must be a function.")
        rng = self._assignment.inputs_rng(question, PRACTICE)
        return mark_function(question, _called(answer), self.parameters, rng)


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the marker sees it: values go through JSON, errors have a name."""

    def call(*inputs: Any) -> Any:
        try:
            return decode(encode(function(*decode(encode(list(inputs))))))
        except Exception as error:
            raise CallFailed(type(error).__name__) from error

    return call


def digest_of(student: str) -> str:
    """What stands for a student's id where it should not be read."""
    return hashlib.sha256(student_name(student).encode()).hexdigest()


def seal(student: str, prediction: Any) -> str:
    """First 16 digits of a digest of a prediction, rounded to six digits, and of whose it is."""
    text = json.dumps(_rounded(encode(prediction)), sort_keys=True)
    return hashlib.sha256(f"{student_name(student)}\0{text}".encode()).hexdigest()[:16]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return _rounded(value["array"] if "array" in value else value["dict"])
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{float(value):.6g}"
    return value
