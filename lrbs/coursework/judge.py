"""What an answer to a question is worth: the same for the student's own check and for the marker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lrbs.coursework.question import ALMOST, Outcome, Parameters, Question, shape_of

SLIP_CREDIT, ALMOST_CREDIT = 0.25, 0.5
BROKEN = (TypeError, ValueError, OverflowError, IndexError, KeyError, AttributeError, ArithmeticError)


class CallFailed(Exception):
    """A function of the notebook raised, hung or gave what is no value."""


def mark_value(question: Question, value: Any, parameters: Parameters) -> Outcome:
    """The worth of a variable."""
    if value is None or value is Ellipsis:
        return Outcome("missing", hint=f"`{question.ask}` still has no value.")
    if question.written:
        if not isinstance(value, str):
            return Outcome("keep working", hint=f"`{question.ask}` must be a text; it is {shape_of(value)}.")
        words = len(value.split())
        if words == 0:
            return Outcome("missing", hint=f"`{question.ask}` is empty.")
        short = words < question.least_words
        return Outcome("handed in", hint=f"Only {words} words: is that all?" if short else "")
    if question.inspect is not None:
        return _inspected(question, value, parameters)
    assert question.expected is not None
    right = question.expected(parameters)
    cases = ({"inputs": [], "expected": right, "got": value},)
    if question.same(value, right):
        return Outcome("correct", 1.0, cases=cases)
    for slip in question.slips:
        if question.same(value, slip.formula(parameters)):
            return Outcome("keep working", SLIP_CREDIT, slip.hint, slip.name, cases)
    if question.same(value, right, ALMOST):
        return Outcome("almost", ALMOST_CREDIT, "Close, but not within the tolerance.", cases=cases)
    hint = "Not yet." if shape_of(value) == shape_of(right) else _wrong_shape(question, value, right)
    if isinstance(value, float) and not np.isfinite(value):
        hint = f"`{question.ask}` is {value}: a number that exists was needed."
    return Outcome("keep working", 0.0, hint, cases=cases)


def _wrong_shape(question: Question, value: Any, right: Any) -> str:
    return f"`{question.ask}` is {shape_of(value)}; {shape_of(right)} was asked for."


def _inspected(question: Question, value: Any, parameters: Parameters) -> Outcome:
    assert question.inspect is not None
    try:
        findings = question.inspect(value, parameters)
    except BROKEN:
        form = f"`{question.ask}` is not of the form that was asked for; it is {shape_of(value)}."
        return Outcome("keep working", hint=form)
    missing = [finding.hint for finding in findings if not finding.holds]
    share = 1 - len(missing) / len(findings)
    verdict = "correct" if not missing else "almost" if share >= 0.5 else "keep working"
    cases = tuple({"check": f.hint, "holds": f.holds} for f in findings)
    return Outcome(verdict, share, " ".join(missing), cases=cases)


def mark_function(
    question: Question, call: Callable[..., Any], parameters: Parameters, rng: np.random.Generator
) -> Outcome:
    """The worth of a function: the share of its calls and properties that are right.

    `call` raises :class:`CallFailed` where the function fails; after a ``Killed`` no further call is made.
    """
    assert question.expected is not None
    cases: list[dict[str, Any]] = []
    failure = ""
    for inputs in question.cases(rng, parameters):
        case: dict[str, Any] = {"inputs": inputs, "expected": question.expected(parameters, *inputs)}
        try:
            case["got"] = call(*inputs) if failure != "Killed" else None
        except CallFailed as error:
            failure = str(error)
        case["right"] = "got" in case and question.same(case["got"], case["expected"])
        cases.append(case)
    held = []
    for prop in question.properties:
        try:
            held.append(failure != "Killed" and bool(prop.holds(call, parameters)))
        except (CallFailed, *BROKEN):
            held.append(False)
        cases.append({"property": prop.hint, "right": held[-1]})
    share = sum(case["right"] for case in cases) / len(cases)
    if share == 1:
        return Outcome("correct", 1.0, cases=tuple(cases))
    hints = [prop.hint for prop, holds in zip(question.properties, held, strict=True) if not holds]
    calls = [case for case in cases if "inputs" in case]
    wrong = [case for case in calls if not case["right"]]
    if wrong and len(wrong) == len(calls):
        for slip in question.slips:
            if all(
                "got" in c and question.same(c["got"], slip.formula(parameters, *c["inputs"])) for c in calls
            ):
                credit = max(share, SLIP_CREDIT)
                return Outcome("keep working", credit, slip.hint, slip.name, tuple(cases))
    if failure == "NotImplementedError" and share == 0:
        return Outcome("missing", hint=f"`{question.ask}` is still to be written.")
    if failure:
        hints.insert(0, f"`{question.ask}` fails: {failure}.")
    elif wrong and share == 0:
        got, right = wrong[0]["got"], wrong[0]["expected"]
        if got is None:
            hints = [f"`{question.ask}` returns nothing."]
        elif shape_of(got) != shape_of(right):  # without its shape, which could carry the inputs out
            hints = [f"`{question.ask}` must return {shape_of(right)}."]
        else:
            hints = ["Not yet."]
    elif wrong:
        hints.insert(0, f"Right for {len(calls) - len(wrong)} of {len(calls)} inputs.")
    verdict = "almost" if share >= 0.5 else "keep working"
    return Outcome(verdict, share, " ".join(hints), cases=tuple(cases))
