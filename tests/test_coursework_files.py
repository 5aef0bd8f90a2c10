"""Rosters, zips, releases, leaks, reports and the command line of coursework."""

import ast
import csv
import io
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import lrbs
from lrbs.__main__ import main
from lrbs.coursework import batch, gradescope, leaks, release, submissions
from lrbs.coursework.assignment import load
from lrbs.coursework.mark import Marked, Unreadable, code_of, named_student
from lrbs.coursework.master import MasterError, as_text, read_master
from lrbs.coursework.page import histogram, picture
from lrbs.coursework.report import safe
from lrbs.coursework.sandbox import Limits, Sandbox
from lrbs.coursework.submissions import RosterError, collect, owner, read_roster
from tests.coursework_fixtures import FULL, replaced, with_cell, written
from tools import archive

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(lrbs.__file__).parent
MASTER = ROOT / "assignments" / "1-one-step.ipynb"
needs_masters = pytest.mark.skipif(
    not MASTER.exists(), reason="no masters here: the archive of the book has none"
)
KEY = "0123456789abcdef0123"


def coursework(*arguments: str | Path) -> int:
    return main(["coursework", *map(str, arguments)])


def solved(student: str = "ada", edit: Any = lambda notebook: notebook) -> bytes:
    return written(edit, read_master(MASTER).solved_notebook(), student)


# ---------------------------------------------------------------------------------------------- the package
def test_nothing_else_of_lrbs_imports_coursework_but_the_command_line_when_asked() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "coursework" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            )
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if "coursework" in f"{module} {' '.join(names)}":
                assert path.name == "__main__.py"
    code = "import sys, lrbs.__main__ as m; m.main(['formulas']); sys.exit('lrbs.coursework' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_files_are_short_and_import_numpy_and_the_standard_library_alone() -> None:
    for path in (PACKAGE / "coursework").glob("*.py"):
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                top = module.partition(".")[0]
                assert top in ("lrbs", "numpy") or top in sys.stdlib_module_names, (path, module)


# ------------------------------------------------------------------------------------------ rosters and files
def roster_of(*students: str, **columns: str) -> dict[str, dict[str, str]]:
    empty = dict.fromkeys(submissions.COLUMNS, "")
    return {student: empty | {"student": student} | columns for student in students}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name\nAda\n", "a column 'student'"),
        ("student\nada\nADA\n", "stands there twice"),
        ("student\n../../etc\n", "an id has letters"),
        ("student\n\n", "no students"),
        ("student\nyour id\n", "STUDENT must be"),
    ],
)
def test_rosters_that_cannot_be_used_say_why(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(text)
    with pytest.raises(RosterError, match=error):
        read_roster(path)


def test_owners_are_found_by_what_platforms_write() -> None:
    people = roster_of("ada", "adam", "ab.1")
    people["ada"] |= {"canvas": "123", "moodle": "Participant 77"}
    people["adam"] |= {"canvas": "456"}
    named = {
        "lovelaceada_123_9999_ab.1.ipynb": "ada",  # Canvas's number, not the student's name of the file
        "lovelaceada_LATE_123_9999_x.ipynb": "ada",
        "smithadam_456_1_1-one-step-2.ipynb": "adam",
        "Ada Lovelace_77_assignsubmission_file_/x.ipynb": "ada",
        "adam/1-one-step.ipynb": "adam",
        "adam/ada.ipynb": "adam",  # the folder is the platform's
        "1-one-step ab.1 (2).ipynb": "ab.1",
        "../../ada.ipynb": "ada",
        "ada-adam.ipynb": "adam",
        "nobody.ipynb": None,
        "xadax.ipynb": None,
    }
    assert {name: owner(name, people) for name in named} == named


def test_zips_are_read_without_being_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../../ada.ipynb", b"{}")
        packed.writestr("bomb.ipynb", b"\0" * (100 << 20))
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("__MACOSX/._ada.ipynb", b"x")
        packed.writestr("notes.txt", b"x")
    monkeypatch.chdir(tmp_path)
    found, notes = collect(archive, roster_of("ada", "bomb", "link"))
    assert sorted(found) == ["ada", "bomb"]
    assert found["ada"][0].read() == b"{}"
    with pytest.raises(Unreadable, match="larger than 20 MB"):
        found["bomb"][0].read()
    assert notes == ["link.ipynb: not a plain file, so it was not opened"]
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]


def test_a_zip_that_lies_or_is_none_is_refused_alone(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("ada.ipynb", b"{}" * 100)
    data = bytearray(archive.read_bytes())
    data[60] ^= 255  # within the file: its checksum no longer holds
    archive.write_bytes(data)
    found, _ = collect(archive, roster_of("ada"))
    with pytest.raises(Unreadable, match="cannot be taken out"):
        found["ada"][0].read()
    archive.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="no zip"):
        collect(archive, roster_of("ada"))
    with pytest.raises(ValueError, match="there are no submissions"):
        collect(tmp_path / "nothing", roster_of("ada"))


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.ipynb").write_text("{}")
    (tmp_path / "in" / "ada.ipynb").symlink_to(tmp_path / "secret.ipynb")
    found, notes = collect(tmp_path / "in", roster_of("ada"))
    assert not found and notes == ["ada.ipynb: not a plain file, so it was not opened"]


def test_late_and_second_submissions_are_told_apart(tmp_path: Path) -> None:
    for name, hour in (("ada-1", 8), ("ada-2", 12), ("bob", 9), ("x_LATE_5_1_y", 9)):
        path = tmp_path / f"{name}.ipynb"
        path.write_text("{}")
        moment = datetime(2026, 12, 1, hour).timestamp()
        os.utime(path, (moment, moment))
    people = roster_of("ada", "bob") | roster_of("eve", canvas="5")
    found, _ = collect(tmp_path, people, datetime(2026, 12, 1, 10))
    assert [(s.file, s.late) for s in found["ada"]] == [("ada-2.ipynb", True), ("ada-1.ipynb", False)]
    assert [s.late for s in found["bob"]] == [False]
    assert [s.late for s in found["eve"]] == [True]


def test_the_student_that_a_notebook_names() -> None:
    assert named_student(['STUDENT = "your id"', "x = 1\nSTUDENT = 'Ab 1'"]) == "ab 1"
    assert named_student(['STUDENT = "your id"']) == ""
    assert named_student(["print(STUDENT)"]) == ""


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b'"text"', b'{"cells": 3}', b'{"worksheets": []}', b"[" * 10**5]
)
def test_what_is_no_notebook_says_so(data: bytes) -> None:
    with pytest.raises(Unreadable, match="no notebook"):
        code_of(data)


# ---------------------------------------------------------------------------------------------------- masters
@needs_masters
@pytest.mark.parametrize("tags", [[], ["given", "stub"], ["solutoin"]])
def test_cells_need_exactly_one_tag(tmp_path: Path, tags: list[str]) -> None:
    content = json.loads(MASTER.read_text("utf-8"))
    content["cells"][7]["metadata"]["tags"] = tags
    path = tmp_path / MASTER.name
    path.write_text(json.dumps(content))
    with pytest.raises(MasterError, match="cell 8 must have exactly one tag"):
        read_master(path)


@needs_masters
@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("`sgd_lr(g", "`another(g", "does not ask for `sgd_lr`"),
        ("def sgd_lr(g, S, H, B):\\n", "def other(g, S, H, B):\\n", "has no solution of q2"),
        ("### Rubric of q7", "### Rubric of q6", "has no rubric of q7"),
        ("(4 points)", "(5 points)", "does not state"),
    ],
)
def test_a_master_asks_and_answers_what_its_assignment_does(
    tmp_path: Path, old: str, new: str, error: str
) -> None:
    path = tmp_path / MASTER.name
    text = MASTER.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(MasterError, match=error):
        release.check_master(path, load("1-one-step"))


@needs_masters
def test_pages_of_students_are_current() -> None:
    masters = sorted((ROOT / "assignments").glob("*.ipynb"))
    assert len(masters) == 5
    assert release.write_pages(masters, ROOT / "chapters" / "coursework", check=True) == []


# --------------------------------------------------------------------------------------- releases and leaks
@needs_masters
def test_a_release_has_no_secret_and_five_planted_leaks_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "release"
    assert coursework("release", MASTER, "--to", place) == 0
    masters = ["--masters", ROOT / "assignments"]
    key = tmp_path / "key.txt"
    key.write_text(KEY)
    assert coursework("leaks", place, *masters, "--key", key) == 0
    secret = next(line for line in read_master(MASTER).secrets() if line.startswith("noise_scale = "))
    html = secret.replace("noise_scale", "<span>noise_scale</span>").replace("@", "<b>@</b>")
    planted: dict[str, str | bytes] = {
        "page.html": f"<p>{html}</p>",
        "_sources/page.txt": f"text\n    {secret}\n",
        "searchindex.js": json.dumps({"titles": [secret]}),
    }
    for name, text in planted.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    wheel = next(place.glob("*.whl"))
    shutil.copy(wheel, tmp_path / "site" / wheel.name)
    with zipfile.ZipFile(tmp_path / "site" / wheel.name, "a") as packed:
        packed.writestr("lrbs/answers.py", secret)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.writestr("a/master.ipynb", MASTER.read_bytes())
    with zipfile.ZipFile(tmp_path / "site" / "book.zip", "w") as packed:
        packed.writestr("all.zip", inner.getvalue())
    (tmp_path / "site" / "notes.md").write_text(f"the key is {KEY}")
    capsys.readouterr()
    assert coursework("leaks", tmp_path / "site", *masters, "--key", key) == 1
    said = capsys.readouterr().out
    for where in (
        "page.html",
        "page.txt",
        "searchindex.js",
        f"{wheel.name}/lrbs/answers.py",
        "all.zip/a/master",
    ):
        assert where in said
    assert "notes.md: the key" in said


@needs_masters
def test_what_the_book_publishes_has_no_secret() -> None:
    masters = [read_master(path) for path in sorted((ROOT / "assignments").glob("*.ipynb"))]
    places = [ROOT / name for name in archive.FOLDERS if (ROOT / name).exists()]
    assert "assignments" not in archive.FOLDERS
    assert list(leaks.leaks(places, leaks.secrets_of(masters))) == []


@needs_masters
def test_the_wheel_of_a_release_installs_and_checks(tmp_path: Path) -> None:
    place = tmp_path / "release"
    release.write_release(MASTER, place)
    wheel = next(place.glob("*.whl"))
    again = tmp_path / "again"
    release.write_release(MASTER, again)
    assert (again / wheel.name).read_bytes() == wheel.read_bytes()
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*command, "--target", tmp_path / "site", wheel], check=True, capture_output=True)
    code = "import lrbs; from lrbs.coursework import Task; print(lrbs.__file__); "
    code += "Task('1-one-step', 'ada').check('q3', 1)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    said = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert str(tmp_path) in said and "q3 (batch_for_share): keep working." in said
    with zipfile.ZipFile(wheel) as packed:
        assert not any(name.endswith(".ipynb") for name in packed.namelist())


# ----------------------------------------------------------------------------------------------- a whole term
PRIVATE = """
from lrbs.coursework.assignment import Assignment
from lrbs.coursework.question import Question, Slip

ASSIGNMENT = Assignment(
    name="1-one-step", title="Private", minutes=5, draw=lambda rng: {"a": float(rng.integers(2, 90))},
    questions=(
        Question("q1", "double", 3, "Twice", expected=lambda p: 2 * p.a,
                 slips=(Slip("half", lambda p: p.a / 2, "The other way."),)),
        Question("q2", "add", 2, "A sum", expected=lambda p, x, y: x + y,
                 inputs=lambda rng: (float(rng.random()), float(rng.random()))),
    ),
)
"""


def term(folder: Path, notebooks: dict[str, bytes], roster: str = "") -> list[str]:
    """Arguments that mark these notebooks; the folder gets all that they need."""
    (folder / "in").mkdir(parents=True)
    for name, data in notebooks.items():
        (folder / "in" / f"{name}.ipynb").write_bytes(data)
    (folder / "roster.csv").write_text(roster or "student\n" + "\n".join(notebooks))
    (folder / "key.txt").write_text(KEY)
    how = ["--roster", str(folder / "roster.csv"), "--key", str(folder / "key.txt")]
    return ["1-one-step", str(folder / "in"), *how, "--to", str(folder / "marks"), "--jobs", "2"]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@needs_masters
@pytest.mark.sandbox
def test_a_term_from_marking_to_regrading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    roster = "student,name,email,canvas,sis,moodle\n"
    roster += "ada,=cmd(),a@x.org,11,S1,5\nbob,Bob,b@x.org,12,S2,6\neve,Eve,,13,,7\n"
    slip = replaced("growth", "predicted_lr = 16 * p.tuned_lr")
    arguments = term(tmp_path, {"ada": solved("ada"), "bob": solved("bob", slip)}, roster)
    marks = tmp_path / "marks"
    assert coursework("mark", *arguments) == 0
    ada, bob, eve = (
        json.loads((marks / "students" / f"{s}.json").read_text()) for s in ("ada", "bob", "eve")
    )
    assert (ada["points"], bob["points"], eve["points"]) == (17, 15.5, 0)
    assert bob["questions"]["q4"]["slip"] == "linear"
    assert eve["problem"] == "Nothing was handed in."
    assert "people" not in (marks / "by-question" / "q7.csv").read_text()
    page = (marks / "by-question" / "q7.html").read_text()
    assert "he best learning rate grows with B" in page and "1 point: says that the linear rule" in page

    # People mark; what they gave stays when machine marks are made anew.
    lines = rows(marks / "by-question" / "q7.csv")
    assert lines == [["student", "points", "comment"], ["ada", "", ""], ["bob", "", ""]]
    (marks / "by-question" / "q7.csv").write_text(
        'student,points,comment\nada,"2,5",Good\nbob,1,"Why, though?"\n'
    )
    assert coursework("merge", marks) == 0
    assert coursework("regrade", marks, "--jobs", "2") == 0
    assert "0 marks changed" in capsys.readouterr().out
    canvas = rows(marks / "canvas.csv")
    assert canvas[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert canvas[1][0] == "Points Possible" and canvas[1][5] == "20"
    assert canvas[2] == ["'=cmd()", "11", "S1", "ada", "", "19.5"]
    moodle = rows(marks / "moodle.csv")
    assert moodle[0][0] == "Identifier" and moodle[2][:5] == ["Participant 6", "Bob", "b@x.org", "16.5", "20"]
    feedback = (marks / "feedback" / "bob.html").read_text()
    assert "Linear scaling holds far below the noise scale." in feedback and "Why, though?" in feedback
    summary = (marks / "summary.html").read_text()
    assert "<svg role=" in summary and "linear (1)" in summary and "2 of 3 handed in" in summary

    # A new answer changes one mark, and is told.
    (tmp_path / "in" / "bob.ipynb").write_bytes(solved("bob"))
    assert coursework("regrade", marks, "--student", "BOB") == 0
    assert "bob q4: 0.5 -> 2.0\n1 marks changed" in capsys.readouterr().out
    assert coursework("explain", marks, "bob", "q2") == 0
    said = capsys.readouterr().out
    assert said.count("expected:") == 4 and "correct, 4 of 4 points" in said

    # Wrong points, another version of lrbs, a lost key: refused with the reason.
    (marks / "by-question" / "q7.csv").write_text("student,points,comment\nada,4,\n")
    assert coursework("merge", marks) == 2
    assert "must be from 0 to 3" in capsys.readouterr().err
    (marks / "by-question" / "q7.csv").write_text("student,points,comment\nada,1,\n")
    marking = json.loads((marks / "marking.json").read_text())
    (marks / "marking.json").write_text(json.dumps(marking | {"code": "another", "lrbs": "0.1"}))
    assert coursework("regrade", marks) == 2
    assert "were made with lrbs 0.1" in capsys.readouterr().err
    (tmp_path / "key.txt").unlink()
    assert coursework("mark", *arguments[:-4], "--to", tmp_path / "new") == 2
    assert "python -m lrbs coursework key" in capsys.readouterr().err


@needs_masters
@pytest.mark.sandbox
def test_swapped_ids_lose_exactly_the_questions_with_numbers(tmp_path: Path) -> None:
    arguments = term(tmp_path, {"ada": solved("bob"), "bob": solved("ada")})
    assert coursework("mark", *arguments) == 0
    own = {q.name for q in load("1-one-step").questions if q.inputs is None and not q.written}
    for student in ("ada", "bob"):
        record = json.loads((tmp_path / "marks" / "students" / f"{student}.json").read_text())
        expected = {name: 0.0 if name in own else points for name, points in FULL.items()}
        assert {name: result["points"] for name, result in record["questions"].items()} == expected
        assert record["named"] == {"ada": "bob", "bob": "ada"}[student]
        assert any("its numbers are not yours" in note for note in record["notes"])


@needs_masters
@pytest.mark.sandbox
def test_a_release_freezes_the_version(tmp_path: Path) -> None:
    """Marks are those of the released lrbs, although the installed one has another tolerance by then."""
    later = tmp_path / "later"
    shutil.copytree(PACKAGE, later / "lrbs", ignore=shutil.ignore_patterns("__pycache__"))
    release.write_release(MASTER, tmp_path / "release")
    path = later / "lrbs" / "coursework" / "question.py"
    text = path.read_text()
    assert "tolerance: float = 0.01" in text
    path.write_text(text.replace("tolerance: float = 0.01", "tolerance: float = 1e-30"))
    almost = with_cell("noise_scale *= 1.005")
    arguments = term(tmp_path / "term", {"ada": solved("ada", almost)})
    environment = os.environ | {"PYTHONPATH": str(later)}

    def points(*further: str) -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "lrbs", "coursework", "mark", *arguments[:-4], *further]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        record = json.loads((Path(further[1]) / "students" / "ada.json").read_text())
        return {name: result["points"] for name, result in record["questions"].items()}

    assert points("--to", str(tmp_path / "new"))["q1"] == 0
    frozen = points("--to", str(tmp_path / "frozen"), "--release", str(tmp_path / "release"))
    assert frozen == FULL


@pytest.mark.sandbox
def test_questions_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    masters = tmp_path / "masters"
    masters.mkdir()
    (masters / "1-one-step.py").write_text(PRIVATE)

    def cell(tag: str, text: str) -> dict[str, Any]:
        kind = "markdown" if tag == "text" else "code"
        return {"cell_type": kind, "metadata": {"tags": [tag]}, "source": text}

    start = "from lrbs.coursework import Task\ntask = Task('1-one-step', STUDENT)\np = task.parameters"
    cells = [
        cell("text", "Twice `p.a` in `double` (3 points), `add(x, y)` (2 points)"),
        cell("stub", 'STUDENT = "your id"'),
        cell("solution", "STUDENT = 'ada'"),
        cell("given", start),
        cell("solution", "double = 2 * p.a\ndef add(x, y):\n    return x + y"),
        cell("given", 'task.check("q1", double)\ntask.check("q2", add)'),
    ]
    (masters / "1-one-step.ipynb").write_text(
        json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5})
    )
    master = read_master(masters / "1-one-step.ipynb")
    notebook = as_text(master.solved_notebook()).encode()
    arguments = term(tmp_path / "term", {"ada": notebook})
    private = ["--masters", str(masters)]
    released = tmp_path / "release"
    roster = ["--roster", str(tmp_path / "term" / "roster.csv")]
    assert coursework("release", masters / "1-one-step.ipynb", "--to", released, *private) == 2
    assert "need --roster" in capsys.readouterr().err
    assert coursework("release", masters / "1-one-step.ipynb", "--to", released, *private, *roster) == 0
    assert coursework("leaks", released, *private) == 0
    monkeypatch.chdir(released)
    names: dict[str, Any] = {}
    capsys.readouterr()
    for source in code_of(notebook)[1:]:
        exec(source, names)
    assert capsys.readouterr().out.splitlines() == [
        "q1: received; marked later.",
        "q2: received; marked later.",
    ]
    assert coursework("mark", *arguments, *private) == 0
    record = json.loads((tmp_path / "term" / "marks" / "students" / "ada.json").read_text())
    assert [result["points"] for result in record["questions"].values()] == [3, 2]


@needs_masters
@pytest.mark.sandbox
def test_assignment_1_as_a_private_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the teachers' page says: master and questions are copied, changed, and given with --masters."""
    masters = tmp_path / "private"
    masters.mkdir()
    questions = (PACKAGE / "coursework" / "one_step.py").read_text("utf-8")
    assert questions.count("rng.uniform(0.3, 2.0, 3)") == 1
    (masters / "1-one-step.py").write_text(
        questions.replace("rng.uniform(0.3, 2.0, 3)", "rng.uniform(2, 4, 3)")
    )
    shutil.copy(MASTER, masters)
    private = ["--masters", str(masters)]
    arguments = term(tmp_path / "term", {"ada": solved("ada"), "bob": solved("bob")})
    roster, released = ["--roster", str(tmp_path / "term" / "roster.csv")], tmp_path / "release"
    assert coursework("release", masters / MASTER.name, "--to", released, *private, *roster) == 0
    numbers = json.loads((released / "1-one-step.json").read_text())["parameters"]
    ours = load("1-one-step", str(masters)).parameters("ada")
    assert json.dumps(ours.g.tolist()) in json.dumps(list(numbers.values()))
    assert "ada" not in json.dumps(numbers) and abs(ours.g).min() >= 2
    assert coursework("leaks", released, *private) == 0
    capsys.readouterr()
    assert coursework("mark", *arguments, *private) == 0
    for student in ("ada", "bob"):
        record = json.loads((tmp_path / "term" / "marks" / "students" / f"{student}.json").read_text())
        assert {name: result["points"] for name, result in record["questions"].items()} == FULL


@needs_masters
@pytest.mark.sandbox
def test_gradescope_gets_a_zip_and_results(tmp_path: Path) -> None:
    root = tmp_path / "autograder"
    gradescope.write_zip(tmp_path / "autograder.zip", "1-one-step", KEY)
    with zipfile.ZipFile(tmp_path / "autograder.zip") as packed:
        names = packed.namelist()
        packed.extractall(root / "source")
    assert {"setup.sh", "run_autograder", "marking.json"} < set(names)
    assert not any("ipynb" in name or "assignments" in name for name in names)
    masters = [read_master(MASTER)]
    assert list(leaks.leaks([tmp_path / "autograder.zip"], leaks.secrets_of(masters))) == []
    (root / "submission").mkdir()
    (root / "submission" / "whatever.ipynb").write_bytes(solved("ada"))
    user = {"email": "Ada@x.org", "name": "Ada"}
    (root / "submission_metadata.json").write_text(json.dumps({"users": [user]}))
    gradescope.main(root, Limits())
    results = json.loads((root / "results" / "results.json").read_text())
    assert results["score"] == 17
    assert len(results["tests"]) == 7 and results["tests"][0]["score"] == 2
    assert "score" not in results["tests"][6]


# ------------------------------------------------------------------------------------------- the command line
def test_without_a_sandbox_marking_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = term(tmp_path, {"ada": b"{}"})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert coursework("mark", *arguments) == 3
    said = capsys.readouterr().err
    assert "apt-get install bubblewrap" in said and "--container" in said and "--unsafe" in said
    assert not (tmp_path / "marks" / "students").exists()


def test_a_sandbox_that_holds_nothing_back_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = term(tmp_path, {"ada": b"{}"})
    program = tmp_path / "bwrap"  # installed, starts, and lets everything through
    program.write_text('#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert coursework("mark", *arguments, "--container", f"{program} --") == 3
    assert "lets through" in capsys.readouterr().err


@needs_masters
@pytest.mark.sandbox
def test_a_container_command_is_used(tmp_path: Path) -> None:
    """Bubblewrap in the place of a container that works, with a Python of its own in the path."""
    arguments = term(tmp_path, {"ada": solved("ada")})
    prefix = sys.prefix  # perhaps below /tmp, so it is bound after that
    python = ["--setenv", "PATH", str(Path(sys.executable).parent), "--setenv", "MPLBACKEND", "agg"]
    root = ["--ro-bind", "/", "/", "--tmpfs", "/tmp", "--ro-bind", prefix, prefix]
    inside = ["--clearenv", *python, *root, "--dev", "/dev", "--proc", "/proc"]
    container = ["bwrap", "--unshare-all", "--die-with-parent", *inside, "--chdir", "/tmp", "--"]
    assert coursework("mark", *arguments, "--container", shlex.join(container)) == 0
    record = json.loads((tmp_path / "marks" / "students" / "ada.json").read_text())
    assert record["points"] == 17


@needs_masters
def test_unsafe_warns_and_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = term(tmp_path, {"ada": solved("ada")})
    assert coursework("mark", *arguments, "--unsafe") == 0
    assert "with your rights: it can read and delete your files" in capsys.readouterr().err
    record = json.loads((tmp_path / "marks" / "students" / "ada.json").read_text())
    assert record["points"] == 17


def test_a_key_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coursework("key", tmp_path / "key.txt") == 0
    key = (tmp_path / "key.txt").read_text()
    assert len(key.strip()) == 32 and stat.S_IMODE((tmp_path / "key.txt").stat().st_mode) == 0o600
    assert coursework("key", tmp_path / "key.txt") == 2
    assert (tmp_path / "key.txt").read_text() == key


def test_the_bar_is_for_terminals_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    batch.progress(iter(["ada", "bob"]), 2, terminal)
    batch.progress(iter(["ada", "bob"]), 2, file)
    assert "1/2 ada" in terminal.getvalue() and "] 2/2 bob" in terminal.getvalue()
    assert file.getvalue() == ""


def test_an_error_of_the_marker_is_recorded_and_stops_nothing() -> None:
    def broken(*_: Any) -> Marked:
        raise ZeroDivisionError

    row = {"student": "ada", "name": ""}
    several = [submissions.Submission("ada.ipynb", datetime(2026, 12, 1), False, lambda: b"{}")]
    record = batch.mark_student(
        row, several, load("1-one-step"), KEY, Sandbox("unsafe"), Limits(), "", broken
    )
    assert "the marker failed (ZeroDivisionError)" in record["problem"] and "trace" in record


def test_pages_take_no_picture_that_is_none_and_no_formula() -> None:
    assert picture({"figure": {"png": "PHN2Zz4="}}) == "<p>(no picture)</p>"
    assert picture(3) == "<p>(no picture)</p>"
    assert [safe(text) for text in ("=1", "+1", "-1", "@x", "ok")] == ["'=1", "'+1", "'-1", "'@x", "ok"]
    assert "2 from 0 to 2, 1 from 18 to 20" in histogram([0, 1, 20], 20)
