"""What students get: the notebook without solutions, and the version of lrbs that marks it, as a wheel.

Marking with the wheel of the release gives the same marks whatever version of lrbs is installed by then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lrbs
from lrbs.coursework.assignment import Assignment, is_private, load
from lrbs.coursework.batch import code_digest, write
from lrbs.coursework.master import MasterError, as_text, read_master
from lrbs.coursework.session import encode_all
from lrbs.coursework.task import digest_of

FROZEN = "LRBS_FROZEN"  # set in a process that already runs the code of a release


def write_release(master: Path, folder: Path, masters: str = "", roster: Sequence[str] = ()) -> list[Path]:
    """Write a release of one assignment.

    Parameters
    ----------
    master : Path
    folder : Path
        Gets the notebook, the wheel, ``release.json`` and, for questions of one's own, a file with each
        student's numbers. Nothing in it is secret.
    masters : str, optional
        Folder of one's own masters.
    roster : sequence of str
        Ids; needed for questions of one's own, whose code students do not get.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    MasterError
        If the master does not hold what its assignment asks for.
    """
    read = read_master(master)
    task = load(read.name, masters)
    check_master(master, task)
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"{read.name}.ipynb"
    write(notebook, as_text(read.student_notebook()))
    wheel = write_wheel(folder)
    written = [notebook, wheel]
    if is_private(read.name, masters):
        if not roster:
            raise ValueError("questions of your own need --roster: students get their numbers, not the code")
        numbers = folder / f"{read.name}.json"
        write(numbers, json.dumps(_forms(task, roster)))
        written.append(numbers)
    about = {
        "assignment": read.name,
        "master": read.digest,
        "lrbs": lrbs.__version__,
        "code": code_digest(),
        "wheel": wheel.name,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }
    write(folder / "release.json", json.dumps(about, indent=1))
    return [*written, folder / "release.json"]


def check_master(path: Path, task: Assignment) -> None:
    """Whether a master asks and answers what its assignment does; MasterError says what is missing."""
    master = read_master(path)
    shown = "\n".join(cell.source for cell in master.cells if cell.tag in ("text", "given", "stub"))
    solved = "\n".join(cell.source for cell in master.cells if cell.tag == "solution")
    for question in task.questions:
        if f"`{question.ask}" not in shown or f'"{question.name}"' not in shown:
            raise MasterError(
                f"{path.name} does not ask for `{question.ask}`, or has no check of {question.name}"
            )
        if question.ask not in solved:
            raise MasterError(f"{path.name} has no solution of {question.name}, `{question.ask}`")
        if question.written and question.name not in master.rubrics:
            raise MasterError(f"{path.name} has no rubric of {question.name}")
        points = f"({question.points:g} point"
        if points not in shown:
            raise MasterError(f"{path.name} does not state {points}s) for {question.name}")


def _forms(task: Assignment, roster: Sequence[str]) -> dict[str, Any]:
    """What a student's notebook needs of questions that it may not have: numbers, and what is asked for."""
    questions = {}
    for question in task.questions:
        form = "a function" if question.inputs else "a text" if question.written else "a value"
        questions[question.name] = {"ask": question.ask, "form": form}
    numbers = {}
    for student in roster:
        own = vars(task.parameters(student))
        del own["student"]  # the file is public; a digest stands for the id
        numbers[digest_of(student)] = encode_all(own)
    return {"questions": questions, "parameters": numbers}


def write_pages(masters: Sequence[Path], folder: Path, check: bool = False) -> list[str]:
    """Write the students' notebooks as pages of a book, or say which are not current."""
    stale = []
    for path in masters:
        master = read_master(path)
        check_master(path, load(master.name))
        page, text = folder / path.name, as_text(master.student_notebook())
        if not page.is_file() or page.read_text("utf-8") != text:
            stale.append(page.name)
            if not check:
                folder.mkdir(parents=True, exist_ok=True)
                write(page, text)
    return stale


def write_wheel(folder: Path) -> Path:
    """The running lrbs as a wheel: the same bytes for the same code."""
    root, version = Path(lrbs.__file__).parent, lrbs.__version__
    about = f"lrbs-{version}.dist-info"
    files: dict[str, bytes] = {
        path.relative_to(root.parent).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: lrbs\nVersion: {version}\n"
        "Requires-Python: >=3.11\nRequires-Dist: numpy>=2.0\nRequires-Dist: scipy>=1.13\n"
    ).encode()
    files[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: lrbs\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{about}/RECORD"] = _record(files, about).encode()
    wheel = folder / f"lrbs-{version}-py3-none-any.whl"
    part = wheel.with_name(f".{wheel.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            packed.writestr(entry, data)
    part.replace(wheel)
    return wheel


def _record(files: Mapping[str, bytes], about: str) -> str:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join(lines) + f"{about}/RECORD,,\n"


def continue_with_release(release: Path, work: Path, arguments: Sequence[str]) -> None:
    """Go on in a process that runs the lrbs of a release, if this one does not; returns if it does.

    The wheel is unpacked below `work`, since a sandbox has to hide what it holds.
    """
    try:
        about = json.loads((release / "release.json").read_text("utf-8"))
        wheel = release / Path(about["wheel"]).name
        data = wheel.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{release} is no release: {error}") from None
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(f"{wheel} is not the wheel that was released: take it from where you published it")
    if code_digest() == about["code"]:
        return
    if os.environ.get(FROZEN):
        raise ValueError(f"{wheel} does not hold the code that {release / 'release.json'} names")
    place = work / f".lrbs-{about['sha256'][:16]}"
    if not place.is_dir():
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(place)
    environment = {**os.environ, FROZEN: about["sha256"], "PYTHONPATH": str(place.resolve())}
    command = [sys.executable, "-P", "-m", "lrbs", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)
