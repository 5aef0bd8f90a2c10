"""Gradescope: the zip of an autograder, and what it runs there.

The container there is Gradescope's and thrown away after each submission, so the notebook runs under a
user of its own that can read neither the key nor this code.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from lrbs.coursework.assignment import Assignment, load, student_name
from lrbs.coursework.batch import mark_student, write
from lrbs.coursework.release import write_wheel
from lrbs.coursework.sandbox import Limits, choose
from lrbs.coursework.submissions import notebooks, read_roster

SETUP = """#!/usr/bin/env bash
set -euo pipefail
apt-get update -qq && apt-get install -y -qq python3 python3-venv util-linux bubblewrap
python3 -m venv /opt/marker
/opt/marker/bin/pip install --quiet matplotlib /autograder/source/*.whl
chmod -R go-rwx /autograder/source
"""
RUN = """#!/usr/bin/env bash
set -euo pipefail
cd /autograder/source
exec /opt/marker/bin/python -I -c 'from lrbs.coursework.gradescope import main; main()'
"""
ROOT = Path("/autograder")


def write_zip(target: Path, name: str, key: str, masters: str = "", roster: str = "") -> None:
    """Write the zip that Gradescope asks for.

    It holds the key, so it goes to Gradescope and nowhere else; no master, no solution and no rubric.

    Parameters
    ----------
    target : Path
    name : str
        Of the assignment.
    key : str
    masters, roster : str, optional
        As for marking. Without a roster a student's id is what stands before the @ of the address.
    """
    load(name, masters)
    wheel = write_wheel(target.parent)
    files = {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.encode(),
        "marking.json": json.dumps({"assignment": name, "key": key}).encode(),
        wheel.name: wheel.read_bytes(),
    }
    private = Path(masters, f"{name}.py")
    if masters and private.is_file():
        files[f"masters/{name}.py"] = private.read_bytes()
    if roster:
        files["roster.csv"] = Path(roster).read_bytes()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file)
            executable = file in ("setup.sh", "run_autograder")
            entry.external_attr = (0o755 if executable else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, data)
    wheel.unlink()


def results(record: dict[str, Any], task: Assignment) -> dict[str, Any]:
    """A record in the form of Gradescope's results.json."""
    tests = []
    for name, result in record["questions"].items():
        said = "people mark this one" if result["points"] is None else result["hint"]
        test = {
            "name": f"{name}: {result['title']}",
            "max_score": result["of"],
            "output": f"{result['verdict']}. {said}".strip(),
            "output_format": "text",
        }
        # Without a score a test counts for nothing; people give it in a question of Gradescope's own.
        if result["points"] is not None:
            test["score"] = result["points"]
            tests.append(test)
        else:
            tests.append({key: value for key, value in test.items() if key != "max_score"})
    notes = [record["problem"], *record["notes"]]
    return {
        "score": round(sum(result["points"] or 0 for result in record["questions"].values()), 2),
        "output": "\n".join(note for note in notes if note),
        "visibility": "visible",
        "tests": tests,
    }


def main(root: Path = ROOT, limits: Limits | None = None) -> None:
    """Mark the one submission that Gradescope laid there, and write its results."""
    source = root / "source"
    about = json.loads((source / "marking.json").read_text("utf-8"))
    task = load(about["assignment"], str(source / "masters"))
    metadata = json.loads((root / "submission_metadata.json").read_text("utf-8"))
    user = metadata["users"][0]
    student = student_name(str(user.get("email", "")).partition("@")[0])
    row = {"student": student, "name": str(user.get("name", ""))}
    if (source / "roster.csv").is_file():
        roster = read_roster(source / "roster.csv")
        known = (str(user.get("email", "")).lower(), str(user.get("sid", "")).lower())
        for entry in roster.values():
            if entry["email"].lower() == known[0] or (
                known[1] and known[1] in (entry["sis"].lower(), entry["student"])
            ):
                row = {"student": entry["student"], "name": entry["name"]}
    # Whatever notebook lies there is this student's; the newest counts.
    several = [found for found, problem in notebooks(root / "submission") if not problem]
    several.sort(key=lambda found: (found.modified, found.file), reverse=True)
    limits = limits or Limits()
    sandbox = choose(limits)
    record = mark_student(row, several, task, about["key"], sandbox, limits, "")
    target = root / "results"
    target.mkdir(exist_ok=True)
    write(target / "results.json", json.dumps(results(record, task)))
