"""One submission: its notebook is read, run in a sandbox, and asked question by question."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lrbs.coursework.assignment import PRACTICE, Assignment, student_name
from lrbs.coursework.judge import CallFailed, mark_function, mark_value
from lrbs.coursework.process import Reply
from lrbs.coursework.question import Outcome, Parameters, Question
from lrbs.coursework.sandbox import Limits, Sandbox
from lrbs.coursework.session import Session

NOTEBOOK_BYTES = 20 << 20
CELLS = 1000
STUDENT = re.compile(r"""(?m)^[ \t]*STUDENT\s*=\s*["']([^"'\n]{1,80})["']""")
PLAIN_ERRORS = {
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)
}


class Unreadable(ValueError):
    """A submission that is no notebook; says why."""


@dataclass(frozen=True)
class Marked:
    """What came of one submission.

    Attributes
    ----------
    outcomes : dict
        An :class:`Outcome` for each question, by its name.
    answers : dict
        Written answers and pictures, for people to mark.
    notes : list of str
        For the student: cells that failed, a wrong id.
    named : str
        The id that the notebook gives, if it is another's.
    """

    outcomes: dict[str, Outcome]
    answers: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    named: str = ""


def code_of(data: bytes) -> list[str]:
    """Sources of the code cells of a notebook, of format 3 or 4, with ids or without.

    Raises
    ------
    Unreadable
        If it is too large, no JSON, or no notebook.
    """
    if len(data) > NOTEBOOK_BYTES:
        raise Unreadable(f"the file is larger than {NOTEBOOK_BYTES >> 20} MB: clear its outputs")
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Unreadable("the file is no notebook: it is not JSON") from None
    if not isinstance(content, dict):
        raise Unreadable("the file is no notebook")
    sheets = content.get("worksheets")  # of format 3
    cells = content.get("cells")
    if not isinstance(cells, list) and isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        cells = sheets[0].get("cells")
    if not isinstance(cells, list):
        raise Unreadable("the file is no notebook: it has no cells")
    if len(cells) > CELLS:
        raise Unreadable(f"the notebook has more than {CELLS} cells")
    sources = []
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            source = "".join(map(str, source)) if isinstance(source, list) else str(source)
            # A lone surrogate is legal in JSON and in no file that Python runs.
            sources.append(source.encode("utf-8", "replace").decode())
    return sources


def named_student(sources: Sequence[str]) -> str:
    """The id that a notebook gives last, or an empty text."""
    names = STUDENT.findall("\n".join(sources))
    try:
        return student_name(names[-1]) if names else ""
    except ValueError:
        return ""


def plain_error(reply: Reply) -> str:
    """What failed, in words that carry nothing of what the function was given."""
    if reply.error == "TimeUp":
        return "it takes too long"
    if reply.error in PLAIN_ERRORS or reply.error == "Killed":
        return reply.error
    return "an error"


def mark_notebook(
    data: bytes, assignment: Assignment, student: str, key: str, sandbox: Sandbox, limits: Limits
) -> Marked:
    """Run a notebook, and mark it by the names that it defines.

    Parameters
    ----------
    data : bytes
        The file as it was handed in.
    assignment : Assignment
    student : str
        Whose it is by the roster; the id in the notebook decides nothing.
    key : str
        Hidden inputs of functions are drawn from it.
    sandbox : Sandbox
    limits : Limits

    Raises
    ------
    Unreadable
        If it is no notebook.
    """
    sources = code_of(data)
    own = student_name(student)
    named = named_student(sources)
    parameters = assignment.parameters(own)
    known = {own: vars(parameters)}
    if named and named != own:
        known[named] = vars(assignment.parameters(named))
    marked = Marked({}, named=named if named != own else "")
    if marked.named:
        marked.notes.append(
            f"The notebook says STUDENT = {named!r}; its numbers are not yours ({own}), and answers that "
            "come from them are wrong."
        )
    with Session(sandbox, limits, sources, known) as session:
        for number, reply in session.run().items():
            marked.notes.append(_cell_note(number, reply))
        # Variables first: what functions are called with cannot reach them.
        for question in sorted(assignment.questions, key=lambda q: q.inputs is not None):
            marked.outcomes[question.name] = _outcome(question, session, assignment, parameters, key, marked)
    marked.outcomes.update({q.name: marked.outcomes.pop(q.name) for q in assignment.questions})
    return marked


def _cell_note(number: int, reply: Reply) -> str:
    if reply.error == "Killed":
        return f"Code cell {number} {reply.text}; the others were run without it."
    line = f", line {reply.line}" if reply.line else ""
    return f"Code cell {number}{line}: {reply.error}: {reply.text}"


def _outcome(
    question: Question,
    session: Session,
    assignment: Assignment,
    parameters: Parameters,
    key: str,
    marked: Marked,
) -> Outcome:
    reply = session.value(question.ask) if question.inputs is None else Reply()
    if question.inputs is None:
        if reply.absent:
            return Outcome("missing", hint=f"There is no `{question.ask}`.")
        if reply.error:
            return Outcome("keep working", hint=_value_hint(question, reply))
        if question.written or (question.inspect is not None and isinstance(reply.value, dict)):
            marked.answers[question.name] = reply.value
        outcome = mark_value(question, reply.value, parameters)
        # Another's answer may come near a slip by chance.
        return replace(outcome, share=0.0, slip="") if marked.named and outcome.share < 1 else outcome
    calls = _Calls(question, session)
    outcome = mark_function(question, calls, parameters, assignment.inputs_rng(question, key))
    if calls.absent:
        return Outcome("missing", hint=f"There is no function `{question.ask}`.")
    if outcome.verdict in ("keep working", "almost") and not calls.killed:
        practice = mark_function(question, calls, parameters, assignment.inputs_rng(question, PRACTICE))
        if practice.verdict == "correct":
            why = "It passes the check of the notebook and fails with other inputs of the same kind."
            return replace(outcome, hint=f"{why} {outcome.hint}")
    return outcome


def _value_hint(question: Question, reply: Reply) -> str:
    if reply.error in ("TimeUp", "Killed"):
        return f"`{question.ask}` cannot be read: it does not come to an end."
    if reply.error == "TooLarge":
        return f"`{question.ask}` is too large."
    return f"`{question.ask}` is not of a type that can be marked: numbers, arrays or a text."


@dataclass
class _Calls:
    """A function of the notebook; raises CallFailed where it fails."""

    question: Question
    session: Session
    absent: bool = False
    killed: bool = False

    def __call__(self, *inputs: Any) -> Any:
        if self.absent or self.killed:
            raise CallFailed("Killed")
        reply = self.session.call(self.question.ask, inputs)
        self.absent = reply.absent
        self.killed = reply.error == "Killed"
        if reply.error or reply.absent:
            raise CallFailed(plain_error(reply))
        return reply.value
