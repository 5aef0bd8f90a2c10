"""The command line of coursework: release, key, mark, merge, regrade, explain, gradescope, leaks."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import lrbs
from lrbs.coursework import gradescope, leaks, release
from lrbs.coursework.assignment import MODULES, student_name
from lrbs.coursework.batch import Marking, code_digest, mark_batch, read_key, write
from lrbs.coursework.explain import explain
from lrbs.coursework.master import read_master
from lrbs.coursework.report import finish
from lrbs.coursework.sandbox import Limits, NoSandbox, Sandbox, choose
from lrbs.coursework.submissions import read_roster

UNSAFE = (
    "warning: --unsafe runs each notebook without a sandbox, with your rights: it can read and delete your "
    "files, send them elsewhere, and write its own marks. Do this with notebooks that you would run yourself."
)
NO_SANDBOX = 3


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``coursework`` to those of lrbs."""
    parser = commands.add_parser("coursework", help="assignments: release, collect, mark")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", required=True)

    made = actions.add_parser("release", help="a student's notebook and the wheel that goes with it")
    made.add_argument("master", type=Path, nargs="+", help="masters, such as assignments/1-one-step.ipynb")
    made.add_argument("--to", type=Path, help="folder to publish")
    made.add_argument("--masters", default="", help="folder with questions of your own, NAME.py")
    made.add_argument("--roster", type=Path, help="needed with questions of your own")
    made.add_argument("--pages", type=Path, help="write the students' notebooks there, as pages of a book")
    made.add_argument("--check", action="store_true", help="only say whether those pages are current")

    key = actions.add_parser("key", help="a new key, from which hidden inputs are drawn")
    key.add_argument("file", type=Path)

    mark = actions.add_parser("mark", help="mark all submissions")
    mark.add_argument("assignment", help=f"one of {', '.join(MODULES)}, or of your own masters")
    mark.add_argument("submissions", type=Path, help="a folder, or the zip of Canvas or Moodle")
    mark.add_argument("--roster", type=Path, required=True, help="CSV with a column 'student'")
    mark.add_argument("--key", type=Path, required=True)
    mark.add_argument("--to", type=Path, required=True, help="folder of marks")
    mark.add_argument("--masters", default="")
    mark.add_argument("--due", default="", help="2026-12-01T18:00; later ones are told apart")
    _how(mark)

    again = actions.add_parser("regrade", help="mark again as before, and say what changed")
    again.add_argument("marks", type=Path)
    again.add_argument("--student", action="append", default=[])
    _how(again)

    merge = actions.add_parser("merge", help="take in the points of by-question/*.csv")
    merge.add_argument("marks", type=Path)

    why = actions.add_parser("explain", help="every call of one question: expected, and what came")
    why.add_argument("marks", type=Path)
    why.add_argument("student")
    why.add_argument("question")
    _how(why)

    scope = actions.add_parser("gradescope", help="the zip of an autograder")
    scope.add_argument("assignment")
    scope.add_argument("--key", type=Path, required=True)
    scope.add_argument("--roster", default="")
    scope.add_argument("--masters", default="")
    scope.add_argument("--to", type=Path, default=Path("autograder.zip"))

    leak = actions.add_parser("leaks", help="whether solutions, rubrics or the key stand anywhere public")
    leak.add_argument("places", type=Path, nargs="+", help="folders and files, such as _build/html")
    leak.add_argument("--masters", type=Path, default=Path("assignments"))
    leak.add_argument("--key", type=Path)


def _how(parser: argparse.ArgumentParser) -> None:
    usual = Limits()
    parser.add_argument("--release", type=Path, help="use the lrbs of this release, whatever is installed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="notebooks at a time")
    parser.add_argument("--seconds", type=float, default=usual.cell, help="for a cell")
    parser.add_argument("--call", type=float, default=usual.call, help="seconds for a call of a function")
    parser.add_argument("--total", type=float, default=usual.total, help="seconds for a notebook")
    parser.add_argument("--memory", type=int, default=usual.memory >> 20, help="MB for a notebook")
    parser.add_argument("--container", default="", help="a command that runs what follows it in a container")
    parser.add_argument("--unsafe", action="store_true", help="run notebooks without a sandbox")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Carry out a command; its exit status: 1 for a finding, 2 for wrong input, 3 without a sandbox."""
    actions = {
        "release": _release,
        "key": _key,
        "mark": _mark,
        "regrade": _regrade,
        "merge": _merge,
        "explain": _explain,
        "gradescope": _gradescope,
        "leaks": _leaks,
    }
    try:
        if getattr(options, "release", None):
            work = options.marks if "marks" in options else options.to
            work.mkdir(parents=True, exist_ok=True)
            release.continue_with_release(options.release, work, arguments)
        return actions[options.action](options)
    except NoSandbox as error:
        print(error, file=sys.stderr)
        return NO_SANDBOX
    except (ValueError, OSError) as error:
        print(f"lrbs coursework: {error}", file=sys.stderr)
        return 2


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(options.seconds, options.call, options.total, options.memory << 20)


def _sandbox(options: argparse.Namespace, limits: Limits) -> Sandbox:
    if options.unsafe:
        print(UNSAFE, file=sys.stderr)
    return choose(limits, shlex.split(options.container), options.unsafe)


def _release(options: argparse.Namespace) -> int:
    if options.pages:
        stale = release.write_pages(options.master, options.pages, options.check)
        for name in stale:
            print(f"{options.pages / name}: {'not current' if options.check else 'written'}")
        return int(options.check and bool(stale))
    if options.to is None or len(options.master) != 1:
        raise ValueError("release wants one master and --to FOLDER, or masters and --pages FOLDER")
    roster = list(read_roster(options.roster)) if options.roster else []
    for path in release.write_release(options.master[0], options.to, options.masters, roster):
        print(path)
    return 0


def _key(options: argparse.Namespace) -> int:
    with options.file.open("x", encoding="utf-8") as file:  # never over one that has marked something
        file.write(secrets.token_hex(16) + "\n")
    options.file.chmod(0o600)
    print(f"{options.file}: keep it where students cannot read it, and keep it: the same key, the same marks")
    return 0


def _mark(options: argparse.Namespace) -> int:
    due = datetime.fromisoformat(options.due) if options.due else None
    if due is not None and due.tzinfo is not None:  # files carry local times
        due = due.astimezone().replace(tzinfo=None)
    marking = Marking(
        options.assignment,
        str(options.submissions.resolve()),
        str(options.roster.resolve()),
        str(options.key.resolve()),
        masters=str(Path(options.masters).resolve()) if options.masters else "",
        due=due.isoformat() if due else "",
        lrbs=lrbs.__version__,
        code=code_digest(),
    )
    options.to.mkdir(parents=True, exist_ok=True)
    if (options.to / "marking.json").is_file():
        _same_code(Marking.of(options.to))
    read_key(options.key)
    return _batch(options, marking, options.to)


def _same_code(before: Marking) -> None:
    if before.code != code_digest():
        raise ValueError(
            f"these marks were made with lrbs {before.lrbs}, and this is {lrbs.__version__} or a changed "
            "copy: give --release with the folder that was released, or another folder of marks"
        )


def _batch(options: argparse.Namespace, marking: Marking, folder: Path, only: Sequence[str] = ()) -> int:
    limits = _limits(options)
    sandbox = _sandbox(options, limits)
    _ = marking.task, read_roster(Path(marking.roster))
    write(folder / "marking.json", json.dumps(asdict(marking), indent=1))
    notes = mark_batch(marking, folder, sandbox, limits, options.jobs, only)
    waiting = finish(folder, notes)
    for note in notes:
        print(f"not placed: {note}")
    print(f"{folder / 'summary.html'}; {waiting} written answers wait in {folder / 'by-question'}")
    return 0


def _points(folder: Path) -> dict[tuple[str, str], float | None]:
    found = {}
    for path in sorted((folder / "students").glob("*.json")):
        for name, result in json.loads(path.read_text("utf-8"))["questions"].items():
            found[path.stem, name] = result["points"]
    return found


def _regrade(options: argparse.Namespace) -> int:
    marking = Marking.of(options.marks)
    _same_code(marking)
    before = _points(options.marks)
    status = _batch(options, marking, options.marks, [student_name(name) for name in options.student])
    changes = 0
    for (student, question), points in _points(options.marks).items():
        old = before.get((student, question))
        if points != old:
            changes += 1
            print(f"{student} {question}: {old} -> {points}")
    print(f"{changes} marks changed")
    return status


def _merge(options: argparse.Namespace) -> int:
    waiting = finish(options.marks)
    print(f"{waiting} written answers wait for points")
    return 0


def _explain(options: argparse.Namespace) -> int:
    marking, limits = Marking.of(options.marks), _limits(options)
    _same_code(marking)
    sandbox = _sandbox(options, limits)
    print(explain(marking, student_name(options.student), options.question, sandbox, limits))
    return 0


def _gradescope(options: argparse.Namespace) -> int:
    gradescope.write_zip(
        options.to, options.assignment, read_key(options.key), options.masters, options.roster
    )
    print(f"{options.to}: it holds the key, so upload it to Gradescope and publish it nowhere")
    return 0


def _leaks(options: argparse.Namespace) -> int:
    masters = [read_master(path) for path in sorted(options.masters.glob("*.ipynb"))]
    if not masters:
        raise ValueError(f"there are no masters in {options.masters}")
    key = read_key(options.key) if options.key else ""
    found = list(leaks.leaks(options.places, leaks.secrets_of(masters, key)))
    for leak in found:
        print(leak)
    print(f"{len(found)} leaks")
    return int(bool(found))
