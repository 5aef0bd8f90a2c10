"""A batch: every submission is marked, whatever one of them does; what came of each is a JSON file."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import lrbs
from lrbs.coursework.assignment import Assignment, load
from lrbs.coursework.mark import Marked, Unreadable, mark_notebook
from lrbs.coursework.question import Outcome
from lrbs.coursework.sandbox import Limits, Sandbox
from lrbs.coursework.submissions import Submission, collect, read_roster

ANSWER = 20_000  # characters of a written answer that are kept
LEAST_KEY = 16


def read_key(path: Path) -> str:
    """The teacher's key; a ValueError says how to make one."""
    try:
        key = path.read_text("utf-8").strip()
    except OSError:
        key = ""
    if len(key) < LEAST_KEY:
        raise ValueError(f"no key in {path}: make one with  python -m lrbs coursework key {path}")
    return key


def code_digest(folder: Path | None = None) -> str:
    """A digest of the code of lrbs, by which a version is known."""
    root = folder or Path(lrbs.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Marking:
    """Everything that a marking needs, so that it can be done again: ``marking.json`` of its folder."""

    assignment: str
    submissions: str
    roster: str
    key: str
    masters: str = ""
    due: str = ""
    lrbs: str = ""
    code: str = ""

    @classmethod
    def of(cls, folder: Path) -> Marking:
        """That of a folder of marks."""
        try:
            return cls(**json.loads((folder / "marking.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            raise ValueError(f"{folder} holds no marks: run  python -m lrbs coursework mark  first") from None

    @property
    def task(self) -> Assignment:
        """The assignment."""
        return load(self.assignment, self.masters)


def progress(done: Iterator[str], total: int, stream: TextIO | None = None) -> None:
    """A bar on the terminal, one piece for each student done; nothing where the output is a file."""
    stream = stream or sys.stderr
    shown = stream.isatty()
    for number, student in enumerate(done, 1):
        if shown:
            filled = 30 * number // total
            stream.write(f"\r[{'#' * filled}{' ' * (30 - filled)}] {number}/{total} {student[:24]:<24}")
            stream.flush()
    if shown:
        stream.write("\n")


def mark_batch(
    marking: Marking,
    folder: Path,
    sandbox: Sandbox,
    limits: Limits,
    jobs: int,
    only: Sequence[str] = (),
    stream: TextIO | None = None,
) -> list[str]:
    """Mark all submissions, or those of some students, into ``students/*.json`` of a folder.

    Returns what could not be placed, a line each. An error of the marker's own on one of them is
    recorded there, and stops nothing.
    """
    roster = read_roster(Path(marking.roster))
    due = datetime.fromisoformat(marking.due) if marking.due else None
    submissions, notes = collect(Path(marking.submissions), roster, due)
    key, task = read_key(Path(marking.key)), marking.task
    students = [student for student in roster if not only or student in only]
    target = folder / "students"
    target.mkdir(parents=True, exist_ok=True)

    def one(student: str) -> str:
        record = mark_student(
            roster[student], submissions.get(student, []), task, key, sandbox, limits, marking.lrbs
        )
        write(target / f"{student}.json", json.dumps(record, indent=1, ensure_ascii=False))
        return student

    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(one, student) for student in students]
        progress((future.result() for future in as_completed(pending)), len(pending), stream)
    return notes


def mark_student(
    row: dict[str, str],
    several: Sequence[Submission],
    task: Assignment,
    key: str,
    sandbox: Sandbox,
    limits: Limits,
    version: str,
    mark: Callable[..., Marked] = mark_notebook,
) -> dict[str, Any]:
    """The record of one student, with whatever happened to the submission that counts."""
    record: dict[str, Any] = {
        "student": row["student"],
        "name": row["name"],
        "assignment": task.name,
        "lrbs": version,
        "submission": None,
        "problem": "" if several else "Nothing was handed in.",
        "notes": [],
    }
    marked = Marked({})
    if several:
        counts = several[0]
        record["submission"] = {
            "file": counts.file,
            "modified": counts.modified.isoformat(" ", "seconds"),
            "late": counts.late,
            "others": [other.file for other in several[1:]],
        }
        try:
            data = counts.read()
            record["submission"]["sha256"] = hashlib.sha256(data).hexdigest()
            marked = mark(data, task, row["student"], key, sandbox, limits)
        except Unreadable as problem:
            record["problem"] = f"Not marked: {problem}."
        except Exception as error:  # ours, not the student's: the teacher has to see it
            record["problem"] = f"Not marked: the marker failed ({type(error).__name__}). Please report this."
            record["trace"] = traceback.format_exc()
    missing = Outcome("missing", hint="" if marked.outcomes else "Not marked.")
    record["questions"] = {}
    for question in task.questions:
        outcome = marked.outcomes.get(question.name, missing)
        record["questions"][question.name] = {
            "title": question.title,
            "of": question.points,
            "written": question.written,
            "verdict": outcome.verdict,
            "points": None if outcome.verdict == "handed in" else round(outcome.share * question.points, 2),
            "hint": outcome.hint,
            "slip": outcome.slip,
            "comment": "",
        }
    record["notes"] = marked.notes
    record["named"] = marked.named
    record["answers"] = {
        name: text[:ANSWER] if isinstance(text, str) else text for name, text in marked.answers.items()
    }
    return record


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8", errors="replace")
    part.replace(path)


def records(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder of marks, in the order of the roster."""
    marking = Marking.of(folder)
    found = []
    for student in read_roster(Path(marking.roster)):
        path = folder / "students" / f"{student}.json"
        if path.is_file():
            found.append(json.loads(path.read_text("utf-8")))
    return found
