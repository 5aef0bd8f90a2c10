"""What was handed in, and by whom. A folder or a platform's zip is read, and never unpacked."""

from __future__ import annotations

import csv
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from lrbs.coursework.assignment import student_name
from lrbs.coursework.mark import NOTEBOOK_BYTES, Unreadable

ID = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
COLUMNS = ("student", "name", "email", "canvas", "sis", "login", "section", "moodle")
CANVAS = re.compile(r"^[^_/]+(?P<late>_LATE)?_(?P<canvas>\d+)_\d+_")
MOODLE = re.compile(r"^[^/]*_(?P<moodle>\d+)_assignsubmission_")
ENTRIES = 20_000


class RosterError(ValueError):
    """A roster that cannot be used; says where and why."""


@dataclass(frozen=True)
class Submission:
    """A notebook as it was handed in; `read` gives its bytes, or raises Unreadable."""

    file: str
    modified: datetime
    late: bool
    read: Callable[[], bytes]


def read_roster(path: Path) -> dict[str, dict[str, str]]:
    """The students, by id.

    Parameters
    ----------
    path : Path
        A CSV with a column ``student`` and, if wanted, ``name``, ``email``, ``canvas`` (the number in
        the names of Canvas's files), ``sis``, ``login``, ``section``, ``moodle`` (the number in
        Moodle's).

    Raises
    ------
    RosterError
        If that column is missing, an id is not one, or stands there twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RosterError(f"the roster {path} cannot be read: {error}") from None
    students: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, 2):
        if not row.get("student"):
            raise RosterError(f"{path}, line {number}: a column 'student' with an id in every line is needed")
        try:
            student = student_name(row["student"])
        except ValueError as error:
            raise RosterError(f"{path}, line {number}: {error}") from None
        if not ID.fullmatch(student):
            raise RosterError(
                f"{path}, line {number}: an id has letters, digits and . _ @ + -; got {student!r}"
            )
        if student in students:
            raise RosterError(f"{path}, line {number}: {student} stands there twice")
        students[student] = {name: (row.get(name) or "").strip() for name in COLUMNS} | {"student": student}
    if not students:
        raise RosterError(f"the roster {path} has no students")
    return students


def collect(
    path: Path, roster: dict[str, dict[str, str]], due: datetime | None = None
) -> tuple[dict[str, list[Submission]], list[str]]:
    """Notebooks by student, the one that counts first; and what could not be placed.

    Parameters
    ----------
    path : Path
        A folder or a zip.
    roster : dict
    due : datetime, optional
        What was changed after it is late; so is what Canvas calls so.

    Returns
    -------
    submissions : dict
        Of each student who handed in; the last one counts.
    notes : list of str
    """
    submissions: dict[str, list[Submission]] = {}
    notes = []
    for found, problem in notebooks(path):
        student = None if problem else owner(found.file, roster)
        if student is None:
            unknown = "no student of the roster, or more than one, goes by this name"
            notes.append(f"{found.file}: {problem or unknown}")
            continue
        canvas = CANVAS.match(PurePosixPath(found.file).name)
        late = bool(canvas and canvas["late"]) or (due is not None and found.modified > due)
        submissions.setdefault(student, []).append(replace(found, late=late))
    for several in submissions.values():
        several.sort(key=lambda s: (s.modified, s.file), reverse=True)
    return submissions, notes


def notebooks(path: Path) -> Iterator[tuple[Submission, str]]:
    """All notebooks in a folder or a zip, each with a reason not to open it, or an empty text."""
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _in_zip(path)
    raise ValueError(f"there are no submissions at {path}: give a folder or a zip")


def owner(file: str, roster: dict[str, dict[str, str]]) -> str | None:
    """Whose a file is: by the number of Canvas or Moodle, else by the id in its folder, else in its name."""
    parts = [part for part in PurePosixPath(file).parts if part not in (".", "..", "/")]
    for pattern, column in ((CANVAS, "canvas"), (MOODLE, "moodle")):
        for part in parts:
            if match := pattern.match(part):
                number = match[column]
                owners = [s for s, row in roster.items() if row[column].split(" ")[-1] == number]
                if len(owners) == 1:
                    return owners[0]
    # The folder is the platform's word, the file's name the student's.
    for part in parts:
        if found := _named(part.lower(), roster):
            return found[0] if len(found) == 1 else None
    return None


def _named(text: str, roster: dict[str, dict[str, str]]) -> list[str]:
    """Students whose id, login or SIS id stands in a text, by the longest that does."""
    best: dict[str, int] = {}
    for student, row in roster.items():
        for known in {student, row["login"].lower(), row["sis"].lower()} - {""}:
            if re.search(rf"(?<![a-z0-9]){re.escape(known)}(?![a-z0-9])", text):
                best[student] = max(best.get(student, 0), len(known))
    longest = max(best.values(), default=0)
    return [student for student, length in best.items() if length == longest]


Found = tuple[Submission, str]


def _is_notebook(name: str) -> bool:
    path = PurePosixPath(name)
    ignored = any(
        part.startswith(".") or part == "__MACOSX" for part in path.parts if part not in (".", "..")
    )
    return path.suffix.lower() == ".ipynb" and not ignored


def _in_folder(folder: Path) -> Iterator[Found]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            shown = path.relative_to(folder).as_posix()
            if not _is_notebook(shown):
                continue
            status = path.lstat()
            problem = "" if stat.S_ISREG(status.st_mode) else "not a plain file, so it was not opened"
            modified = datetime.fromtimestamp(status.st_mtime)
            yield Submission(shown, modified, False, _reader(path)), problem


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with path.open("rb") as file:
                return _bounded(file.read(NOTEBOOK_BYTES + 1))
        except OSError as error:
            raise Unreadable(f"the file cannot be read: {error.strerror}") from None

    return read


def _in_zip(archive: Path) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(archive) as packed:
            entries: Sequence[zipfile.ZipInfo] = packed.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{archive} is no zip that can be read: {error}") from None
    if len(entries) > ENTRIES:
        raise ValueError(f"{archive} has {len(entries)} entries; at most {ENTRIES} are read")
    for entry in entries:
        if entry.is_dir() or not _is_notebook(entry.filename):
            continue
        mode = entry.external_attr >> 16
        problem = (
            "not a plain file, so it was not opened" if mode and stat.S_IFMT(mode) == stat.S_IFLNK else ""
        )
        try:
            modified = datetime(*entry.date_time)
        except ValueError:
            modified = datetime(1980, 1, 1)
        yield Submission(entry.filename, modified, False, _member(archive, entry)), problem


def _member(archive: Path, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            # Not by the size that the zip states, which a bomb may state wrongly.
            with zipfile.ZipFile(archive) as packed, packed.open(entry) as file:
                return _bounded(file.read(NOTEBOOK_BYTES + 1))
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            RuntimeError,
            NotImplementedError,
            EOFError,
        ) as error:
            raise Unreadable(f"the file cannot be taken out of the zip: {error}") from None

    return read


def _bounded(data: bytes) -> bytes:
    if len(data) > NOTEBOOK_BYTES:
        raise Unreadable(f"the file is larger than {NOTEBOOK_BYTES >> 20} MB: clear its outputs")
    return data
