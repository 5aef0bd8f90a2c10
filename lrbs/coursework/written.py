"""Written answers: one page for each question with all of them and the rubric, and the points that
people gave.

People mark one question at a time, not one student at a time. Points and comments go into the CSV beside the
page; it is never overwritten, only lines for new students are added.
"""

from __future__ import annotations

import csv
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrbs.coursework.assignment import Assignment
from lrbs.coursework.batch import write
from lrbs.coursework.page import page, picture

FIELDS = ("student", "points", "comment")


class PointsError(ValueError):
    """A line of by-question/*.csv that cannot be used; says which."""


def write_pages(
    folder: Path, records: Sequence[dict[str, Any]], task: Assignment, rubrics: dict[str, str]
) -> None:
    """A page for each written question and each figure, and a CSV for each written question."""
    target = folder / "by-question"
    target.mkdir(exist_ok=True)
    for question in task.questions:
        answers = [(record, record["answers"].get(question.name)) for record in records]
        given = [(record, answer) for record, answer in answers if answer]
        if not question.written and not given:
            continue
        parts = [f"<p>{question.points:g} points. Asked for <code>{html.escape(question.ask)}</code>.</p>"]
        if question.name in rubrics:
            parts.append(f"<pre class=rubric>{html.escape(rubrics[question.name])}</pre>")
        for record, answer in given:
            title = html.escape(f"{record['student']} {record['name']}")
            shown = (
                f"<pre>{html.escape(answer.strip())}</pre>" if isinstance(answer, str) else picture(answer)
            )
            result = record["questions"][question.name]
            hint = f"<p class=hint>{html.escape(result['hint'])}</p>" if result["hint"] else ""
            parts.append(f"<section><h2>{title}</h2>{shown}{hint}</section>")
        title = f"{task.title}, {question.name}: {question.title}"
        write(target / f"{question.name}.html", page(title, "\n".join(parts)))
        if question.written:
            _add_lines(target / f"{question.name}.csv", [record["student"] for record, _ in given])


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _add_lines(path: Path, students: Sequence[str]) -> None:
    rows = _rows(path)
    there = {row.get("student") for row in rows}
    new = [student for student in students if student not in there]
    if path.is_file() and not new:
        return
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        writer.writerows({"student": student} for student in new)
    part.replace(path)


def merge(folder: Path, records: Sequence[dict[str, Any]], task: Assignment) -> int:
    """Put the points that people gave into the records; how many answers still wait for theirs.

    Raises
    ------
    PointsError
        If points are no number, or not between 0 and those of the question.
    """
    by_student = {record["student"]: record for record in records}
    for question in task.questions:
        path = folder / "by-question" / f"{question.name}.csv"
        if not question.written or not path.is_file():
            continue
        for number, row in enumerate(_rows(path), 2):
            where = f"{path}, line {number}"
            record = by_student.get((row.get("student") or "").strip().lower())
            if record is None:
                raise PointsError(f"{where}: {row.get('student')!r} is not on the roster")
            text = (row.get("points") or "").strip().replace(",", ".")
            if not text:
                continue
            try:
                points = float(text)
            except ValueError:
                raise PointsError(f"{where}: points must be a number; got {text!r}") from None
            if not 0 <= points <= question.points:
                raise PointsError(f"{where}: points must be from 0 to {question.points:g}; got {text}")
            result = record["questions"][question.name]
            result |= {"points": points, "comment": (row.get("comment") or "").strip()}
    waiting = 0
    for record in records:
        results = record["questions"].values()
        waiting += sum(result["points"] is None for result in results)
        record["points"] = round(sum(result["points"] or 0 for result in results), 2)
        record["of"] = task.points
        record["complete"] = all(result["points"] is not None for result in results)
    return waiting
