"""Submissions of every kind, marked by root and by an ordinary user: exact marks, nothing left behind."""

import ctypes
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lrbs.coursework.assignment import MODULES, PRACTICE, load
from lrbs.coursework.mark import mark_notebook
from lrbs.coursework.master import read_master
from lrbs.coursework.process import _alive, _tree
from lrbs.coursework.question import Outcome
from lrbs.coursework.sandbox import Limits, choose
from tests.coursework_fixtures import FAIR, FULL, Edit, hostile, replaced, with_cell, written

ROOT = Path(__file__).resolve().parent.parent
MASTER = ROOT / "assignments" / "1-one-step.ipynb"
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not MASTER.exists(), reason="no masters here: the archive of the book has none"),
]

NOBODY = 65534
SET_CHILD_SUBREAPER = 36


def as_nobody() -> list[str]:
    """A command line under which what follows runs as an ordinary user, who may read this Python."""
    home = ["--perms", "0755", "--tmpfs", "/root"]
    for path in map(Path, dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT)))):
        if path.is_relative_to("/root"):  # whose folders are closed to others, and would be made so again
            for parent in reversed(path.parents[:-2]):
                home += ["--perms", "0755", "--dir", str(parent)]
            home += ["--ro-bind", str(path), str(path)]
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    return ["bwrap", "--dev-bind", "/", "/", *home, "--cap-add", "ALL", *user]


def test_what_is_left_behind_is_found() -> None:
    with adopting() as left:
        subprocess.run(["sh", "-c", "sleep 9.876 & sleep 0.2"], check=True)
    assert left == ["sleep 9.876 "]
    for process in _tree(os.getpid()):
        if Path(f"/proc/{process}/cmdline").read_text() == "sleep\0009.876\0":
            os.kill(process, 9)
            os.waitpid(process, 0)


@dataclass
class Batch:
    """One run of the marker, and the world before and after it."""

    folder: Path
    status: int
    said: str
    expected: dict[str, dict[str, float | None]]
    files_before: dict[str, str]
    files_after: dict[str, str]
    temporary: list[str]
    processes: list[str]
    connections: int

    def record(self, student: str) -> dict[str, Any]:
        return json.loads((self.folder / "marks" / "students" / f"{student}.json").read_text())


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.iterdir())
    }


@contextmanager
def adopting() -> Iterator[list[str]]:
    """Command lines of processes that what is started in the block leaves behind, known at its end.

    Orphans become children of this process, so that those of other tests and programs are not counted.
    """
    left: list[str] = []
    before = set(_tree(os.getpid()))
    prctl = ctypes.CDLL(None).prctl
    assert prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield left
    finally:
        for process in set(_tree(os.getpid())) - before:
            with suppress(OSError):  # of one that ended just now
                if _alive(process):
                    left.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")[-80:])
                else:
                    os.waitpid(process, os.WNOHANG)
        prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def marked(folder: Path, edits: dict[str, tuple[Edit, dict[str, Any]]], user: str, *limits: str) -> Batch:
    solved = read_master(MASTER).solved_notebook()
    submissions, temporary = folder / "submissions", folder / "tmp"
    for new in (submissions, temporary):
        new.mkdir()
    for student, (edit, _) in edits.items():
        (submissions / f"{student}.ipynb").write_bytes(written(edit, solved, student))
    if "huge" in edits:
        os.truncate(submissions / "huge.ipynb", 200 << 20)
    (folder / "roster.csv").write_text("student\n" + "\n".join(edits))
    (folder / "key.txt").write_text("0123456789abcdef0123")
    (folder / "marks").mkdir()
    if user == "nobody":
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    before = digests(submissions)
    command = [sys.executable, "-m", "lrbs", "coursework", "mark", "1-one-step", "submissions"]
    command += ["--roster", "roster.csv", "--key", "key.txt", "--to", "marks", "--jobs", "2", *limits]
    environment = os.environ | {
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with adopting() as left:
        done = subprocess.run(
            [*(as_nobody() if user == "nobody" else []), *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
    return Batch(
        folder,
        done.returncode,
        done.stdout + done.stderr,
        {student: points for student, (_, points) in edits.items()},
        before,
        digests(submissions),
        sorted(path.name for path in temporary.iterdir()),
        left,
        0,
    )


@pytest.fixture(params=["self", "nobody"])
def user(request: pytest.FixtureRequest) -> str:
    """Whoever runs the tests; and, where that is root, an ordinary user too."""
    if request.param == "nobody" and (os.geteuid() != 0 or shutil.which("bwrap") is None):
        pytest.skip("only root can become an ordinary user")
    return request.param


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that an ordinary user can reach; pytest closes its own to others whenever it starts."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def made(place: Path) -> Callable[[Callable[[Path, str], Batch], str], Batch]:
    """Each batch is marked once, in whatever order its tests come."""

    @cache
    def batch(make: Callable[[Path, str], Batch], user: str) -> Batch:
        folder = place / f"{make.__name__}-{user}"
        folder.mkdir()
        return make(folder, user)

    return batch


@pytest.fixture
def fair(made: Any, user: str) -> Batch:
    return made(fair_batch, user)


@pytest.fixture
def attacked(made: Any, user: str) -> Batch:
    return made(hostile_batch, user)


def fair_batch(folder: Path, user: str) -> Batch:
    return marked(folder, FAIR, user, "--memory", "900")


def hostile_batch(folder: Path, user: str) -> Batch:
    reached: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    data = server.accept()[0].recv(100)
                except TimeoutError:
                    continue
                if data:  # the probe of the unsafe case sends nothing
                    reached.append(data)

        thread = threading.Thread(target=listen)
        thread.start()
        edits = hostile(folder, server.getsockname()[1])
        limits = ("--seconds", "2", "--call", "2", "--total", "40", "--memory", "700")
        batch = marked(folder, edits, user, *limits)
        stop.set()
        thread.join()
    batch.connections = len(reached)
    return batch


@pytest.mark.parametrize("student", FAIR)
def test_fair_submissions_get_what_they_deserve(fair: Batch, student: str) -> None:
    record = fair.record(student)
    assert {name: result["points"] for name, result in record["questions"].items()} == fair.expected[
        student
    ], record
    assert record["problem"] == ""


@pytest.mark.parametrize("student", hostile(Path("/nowhere"), 0))
def test_attacks_get_what_they_deserve(attacked: Batch, student: str) -> None:
    record = attacked.record(student)
    points = {name: result["points"] for name, result in record["questions"].items()}
    assert points == attacked.expected[student], record
    assert "trace" not in record


def test_fair_submissions_leave_nothing_behind(fair: Batch) -> None:
    nothing_left(fair)


def test_attacks_leave_nothing_behind(attacked: Batch) -> None:
    nothing_left(attacked)


def nothing_left(batch: Batch) -> None:
    """The batch is complete, the submissions are as they were, and so are the files and processes around."""
    assert batch.status == 0, batch.said
    assert sorted(path.stem for path in (batch.folder / "marks" / "students").iterdir()) == sorted(
        batch.expected
    )
    assert batch.files_before == batch.files_after
    assert batch.temporary == []
    assert batch.processes == []
    assert batch.connections == 0
    entries = {"submissions", "tmp", "roster.csv", "key.txt", "marks"}
    assert {path.name for path in batch.folder.iterdir()} == entries


def test_pages_run_no_script_of_a_student(attacked: Batch) -> None:
    for path in (attacked.folder / "marks").rglob("*.html"):
        text = path.read_text()
        assert "<script" not in text and "onerror=alert(1)>" not in text
        assert "default-src 'none'" in text


def by_us(data: bytes, name: str = "1-one-step") -> dict[str, Outcome]:
    """Outcomes of Ada's notebook, marked by whoever runs the tests."""
    limits = Limits()
    return mark_notebook(data, load(name), "ada", "another key, secret", choose(limits), limits).outcomes


def test_a_function_that_learnt_the_practice_inputs_by_heart_is_told_why() -> None:
    task = load("1-one-step")
    question, parameters = task.question("q5"), task.parameters("ada")
    cases = question.cases(task.inputs_rng(question, PRACTICE), parameters)
    known = {float(case[0][0]): question.expected(parameters, *case) for case in cases}  # type: ignore[misc]
    source = f"known = {known!r}\ndef loss_change(g, S, H, B, rate):\n    return known.get(float(g[0]), 0.0)"
    data = written(replaced("loss_change", source), read_master(MASTER).solved_notebook(), "ada")
    outcome = by_us(data)["q5"]
    assert outcome.share == 0.2  # a step of no length changes nothing
    assert outcome.hint.startswith("It passes the check of the notebook and fails with other inputs")
    assert not any(
        str(value)[:6] in outcome.hint for case in outcome.cases for value in case.get("inputs", ())
    )


@pytest.mark.parametrize("name", MODULES)
def test_solutions_of_every_master_get_full_marks(name: str) -> None:
    data = written(lambda n: n, read_master(MASTER.with_name(f"{name}.ipynb")).solved_notebook(), "ada")
    verdicts = {q.name: "handed in" if q.written else "correct" for q in load(name).questions}
    assert {question: outcome.verdict for question, outcome in by_us(data, name).items()} == verdicts


def test_a_plot_loses_marks_for_missing_labels_alone() -> None:
    solved = read_master(MASTER.with_name("2-mean-field.ipynb")).solved_notebook()
    data = written(with_cell("fig.axes[0].set(xlabel='', ylabel='')"), solved, "ada")
    outcomes = by_us(data, "2-mean-field")
    assert outcomes["q8"].share == pytest.approx(3 / 5) and "label" in outcomes["q8"].hint
    assert {o.verdict for name, o in outcomes.items() if name != "q8"} <= {"correct", "handed in"}


def test_full_marks_are_what_the_assignment_has() -> None:
    task = load("1-one-step")
    assert {q.name: None if q.written else q.points for q in task.questions} == FULL
