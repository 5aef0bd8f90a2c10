"""The pages for teachers and students, followed word by word in an empty folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbclient
import nbformat
import pytest

from lrbs.coursework.master import read_master
from tests.coursework_fixtures import FAIR, FULL, hostile, written

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "chapters" / "coursework"
MASTERS = ROOT / "assignments"
needs_masters = pytest.mark.skipif(
    not MASTERS.exists(), reason="no masters here: the archive of the book has none"
)
CLASS = ("ada", "right", "slip", "partly", "crash", "magics", "loop", "dies", "patched", "nojson")


def commands() -> list[str]:
    """What the teacher's page tells to type, in its order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (PAGES / "teaching.md").read_text("utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


@needs_masters
@pytest.mark.sandbox
def test_a_teacher_follows_the_page(tmp_path: Path) -> None:
    assert [line.split()[4] for line in commands()] == [
        *("key", "release", "leaks", "mark", "merge", "explain", "regrade")
    ]
    shutil.copytree(MASTERS, tmp_path / "assignments")
    edits = FAIR | hostile(tmp_path / "nothing", 1) | {"ada": FAIR["right"]}
    (tmp_path / "roster.csv").write_text("student\n" + "\n".join(CLASS))
    solved = read_master(MASTERS / "1-one-step.ipynb").solved_notebook()
    with zipfile.ZipFile(tmp_path / "submissions.zip", "w") as packed:
        for student in CLASS:
            packed.writestr(f"{student}/1-one-step.ipynb", written(edits[student][0], solved, student))
    # As installed: away from the repository, lrbs alone is there.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "lrbs").symlink_to(ROOT / "lrbs")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    said = {}
    for line in commands():
        words = shlex.split(line)
        if words[4] == "merge":  # the teacher has written points by then
            (tmp_path / "marks" / "by-question" / "q7.csv").write_text(
                "student,points,comment\nada,2.5,Well put\n"
            )
        if words[4] == "mark":
            words += ["--seconds", "5"]
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        said[words[4]] = done.stdout
    for student in CLASS:
        record = json.loads((tmp_path / "marks" / "students" / f"{student}.json").read_text())
        points = {name: result["points"] for name, result in record["questions"].items()}
        assert points == edits[student][1] | ({"q7": 2.5} if student == "ada" else {}), record
    assert said["leaks"] == "0 leaks\n"
    assert said["explain"].count("expected:") == 4
    assert said["regrade"].endswith("0 marks changed\n")
    assert "Well put" in (tmp_path / "marks" / "feedback" / "ada.html").read_text()


@needs_masters
def test_a_student_follows_the_page(tmp_path: Path) -> None:
    """The page's notebook, with answers put below its questions, run as JupyterLab runs it."""
    notebook = nbformat.read(PAGES / "1-one-step.ipynb", as_version=4)
    answers = {
        cell.source for cell in read_master(MASTERS / "1-one-step.ipynb").cells if cell.tag == "solution"
    }
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        name = re.match(r"(def \w+|\w+ =)", cell.source)
        for answer in answers:
            if name and re.search(rf"(?m)^{re.escape(name[1])}", answer):
                cell.source = answer.replace('"ada"', '" AB123 "')
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    said = "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []))
    assert said.count(": correct.\n") == len(FULL) - 1
    assert "q7 (diverged): handed in." in said


def test_pages_tell_limits_and_credit_as_they_are() -> None:
    from lrbs.coursework.judge import ALMOST_CREDIT, SLIP_CREDIT
    from lrbs.coursework.question import ALMOST
    from lrbs.coursework.sandbox import Limits

    limits = Limits()
    assert (limits.cell, limits.call, limits.total) == (20, 10, 120)
    assert (ALMOST, ALMOST_CREDIT, SLIP_CREDIT) == (5, 0.5, 0.25)
    taking = (PAGES / "taking.md").read_text("utf-8")
    teaching = (PAGES / "teaching.md").read_text("utf-8")
    assert "A cell may take 20 seconds, a call of a function 10, the whole notebook two minutes" in taking
    assert "within five tolerances half of them" in teaching and "a quarter, with its hint" in teaching
