"""What people read of a marking: a page for each student, columns for Canvas and Moodle, and a summary."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrbs.coursework.assignment import Assignment
from lrbs.coursework.batch import Marking, records, write
from lrbs.coursework.master import read_master
from lrbs.coursework.page import histogram, page
from lrbs.coursework.submissions import read_roster
from lrbs.coursework.written import merge, write_pages


def finish(folder: Path, notes: Sequence[str] = ()) -> int:
    """Write everything from the records; how many written answers still wait for points.

    Called after a marking and after people have marked: points in ``by-question/*.csv`` are kept.
    """
    marking, found = Marking.of(folder), records(folder)
    task, roster = marking.task, read_roster(Path(marking.roster))
    write_pages(folder, found, task, _rubrics(marking))
    waiting = merge(folder, found, task)
    for record in found:
        write(
            folder / "students" / f"{record['student']}.json",
            json.dumps(record, indent=1, ensure_ascii=False),
        )
    feedback = folder / "feedback"
    feedback.mkdir(exist_ok=True)
    for record in found:
        write(feedback / f"{record['student']}.html", feedback_page(record, task))
    _canvas(folder / "canvas.csv", found, roster, task)
    _moodle(folder / "moodle.csv", found, roster, task)
    kept = folder / "unplaced.txt"
    if notes or not kept.exists():
        write(kept, "".join(f"{note}\n" for note in notes))
    write(folder / "summary.html", summary_page(found, task, kept.read_text("utf-8").splitlines(), waiting))
    return waiting


def _rubrics(marking: Marking) -> dict[str, str]:
    """Of the master, if it is at hand: it need not be where marks are made."""
    for place in (marking.masters, "assignments"):
        path = Path(place, f"{marking.assignment}.ipynb")
        if place and path.is_file():
            return read_master(path).rubrics
    return {}


def feedback_page(record: dict[str, Any], task: Assignment) -> str:
    """What a student reads; it shows no hidden input."""
    escape = html.escape
    parts = [f"<p>{escape(record['student'])} {escape(record['name'])}</p>"]
    if record["problem"]:
        parts.append(f"<p><strong>{escape(record['problem'])}</strong></p>")
    complete = "" if record["complete"] else ", before written answers are marked"
    parts.append(f"<p><strong>{record['points']:g} of {record['of']:g} points</strong>{complete}.</p>")
    submission = record["submission"]
    if submission:
        others = "; also handed in: " + ", ".join(submission["others"]) if submission["others"] else ""
        late = ", late" if submission["late"] else ""
        text = f"Marked: {submission['file']}, of {submission['modified']}{late}{others}."
        parts.append(f"<p>{escape(text)}</p>")
    parts.append("<table><tr><th>Question</th><th>Points</th><th>Verdict</th></tr>")
    for name, result in record["questions"].items():
        points = "–" if result["points"] is None else f"{result['points']:g}"
        said = " ".join(text for text in (result["hint"], result["comment"]) if text)
        parts.append(
            f"<tr><td>{name}: {escape(result['title'])}</td><td class=n>{points} of {result['of']:g}</td>"
            f"<td>{escape(result['verdict'])}<br><span class=hint>{escape(said)}</span></td></tr>"
        )
    parts.append("</table>")
    if record["notes"]:
        notes = "".join(f"<li>{escape(note)}</li>" for note in record["notes"])
        parts.append(f"<h2>From the run</h2><ul>{notes}</ul>")
    parts.append(
        "<p class=hint>Functions were called with other inputs than those of the notebook's own checks. "
        f"Marked with lrbs {escape(record['lrbs'])}.</p>"
    )
    return page(f"{task.title}: feedback", "\n".join(parts))


def summary_page(
    found: Sequence[dict[str, Any]], task: Assignment, notes: Sequence[str], waiting: int
) -> str:
    """What the teacher reads first."""
    escape = html.escape
    handed_in = [record for record in found if record["submission"]]
    values = [record["points"] for record in handed_in]
    mean = f", mean {sum(values) / len(values):.1f} of {task.points:g} points" if values else ""
    parts = [
        f"<p>{len(handed_in)} of {len(found)} handed in{mean}. {waiting} written answers wait for points.</p>"
    ]
    parts.append(histogram(values, task.points))
    parts.append(
        "<h2>Questions</h2><table><tr><th>Question</th><th>Mean share</th><th>Frequent slips</th></tr>"
    )
    for question in task.questions:
        results = [record["questions"][question.name] for record in handed_in]
        marked = [result["points"] / question.points for result in results if result["points"] is not None]
        share = f"{100 * sum(marked) / len(marked):.0f} %" if marked else "–"
        slips: dict[str, int] = {}
        for result in results:
            if result["slip"]:
                slips[result["slip"]] = slips.get(result["slip"], 0) + 1
        told = ", ".join(f"{slip} ({count})" for slip, count in sorted(slips.items(), key=lambda s: -s[1]))
        title = escape(f"{question.name}: {question.title}")
        parts.append(f"<tr><td>{title}</td><td class=n>{share}</td><td>{escape(told)}</td></tr>")
    parts.append("</table><h2>Students</h2><table><tr><th>Student</th><th>Points</th><th>Look at</th></tr>")
    for record in found:
        look = [record["problem"]] if record["problem"] else []
        if record["submission"]:
            look += ["late"] * record["submission"]["late"]
            look += [f"{len(record['submission']['others'])} earlier"] * bool(record["submission"]["others"])
        look += [f"the notebook names {record['named']}"] * bool(record["named"])
        link = f'<a href="feedback/{escape(record["student"])}.html">{escape(record["student"])}</a>'
        parts.append(
            f"<tr><td>{link} {escape(record['name'])}</td><td class=n>{record['points']:g}</td>"
            f"<td>{escape('; '.join(look))}</td></tr>"
        )
    parts.append("</table>")
    if notes:
        listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f"<h2>Not placed</h2><ul>{listed}</ul>")
    return page(f"{task.title}: summary", "\n".join(parts))


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _canvas(path: Path, found: Sequence[dict[str, Any]], roster: dict[str, Any], task: Assignment) -> None:
    """The columns of Canvas's gradebook import; the assignment's column is to get its number there."""
    rows: list[list[object]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", task.title],
        ["Points Possible", "", "", "", "", f"{task.points:g}"],
    ]
    for record in found:
        row = roster[record["student"]]
        texts = [row["name"] or row["student"], row["canvas"], row["sis"], row["login"] or row["student"]]
        rows.append([*map(safe, [*texts, row["section"]]), f"{record['points']:g}"])
    _table(path, rows)


def _moodle(path: Path, found: Sequence[dict[str, Any]], roster: dict[str, Any], task: Assignment) -> None:
    """The columns of Moodle's grading worksheet."""
    rows: list[list[object]] = [
        ["Identifier", "Full name", "Email address", "Grade", "Maximum Grade", "Feedback comments"]
    ]
    for record in found:
        row = roster[record["student"]]
        number = row["moodle"].split(" ")[-1]
        comments = "; ".join(
            f"{name}: {result['verdict']}. {result['hint']} {result['comment']}".strip()
            for name, result in record["questions"].items()
        )
        texts = [f"Participant {number}" if number else "", row["name"] or row["student"], row["email"]]
        rows.append([*map(safe, texts), f"{record['points']:g}", f"{task.points:g}", safe(comments)])
    _table(path, rows)


def _table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="", errors="replace") as file:
        csv.writer(file).writerows(rows)
    part.replace(path)
