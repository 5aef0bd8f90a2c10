"""Why an answer got what it got, for the teacher: hidden inputs included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrbs.coursework.batch import Marking, read_key
from lrbs.coursework.mark import mark_notebook
from lrbs.coursework.question import Outcome, Question
from lrbs.coursework.sandbox import Limits, Sandbox
from lrbs.coursework.submissions import collect, read_roster

LONGEST = 400  # characters of a value


def explain(marking: Marking, student: str, question: str, sandbox: Sandbox, limits: Limits) -> str:
    """Mark the submission that counts once more, and tell each call of one question."""
    roster = read_roster(Path(marking.roster))
    if student not in roster:
        raise ValueError(f"{student!r} is not on the roster {marking.roster}")
    task = marking.task
    asked = task.question(question)
    several = collect(Path(marking.submissions), roster)[0].get(student, [])
    if not several:
        raise ValueError(f"{student} handed nothing in")
    data = several[0].read()
    marked = mark_notebook(data, task, student, read_key(Path(marking.key)), sandbox, limits)
    lines = _told(asked, marked.outcomes[question])
    return "\n".join([f"{student}, {several[0].file}", *lines, *marked.notes])


def _told(question: Question, outcome: Outcome) -> list[str]:
    points = outcome.share * question.points
    lines = [f"{question.name} ({question.ask}): {outcome.verdict}, {points:g} of {question.points:g} points"]
    if outcome.hint:
        lines.append(f"hint: {outcome.hint}")
    if outcome.slip:
        lines.append(f"slip: {outcome.slip}")
    for number, case in enumerate(outcome.cases, 1):
        lines.append(f"{number}:")
        lines += [f"    {name}: {_short(value)}" for name, value in case.items()]
    return lines


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
