"""How long marking takes: against the bare run of the notebook, and a class of sixty.

python -m benchmarks.coursework
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lrbs.coursework.assignment import load
from lrbs.coursework.batch import Marking, mark_batch
from lrbs.coursework.mark import code_of, mark_notebook
from lrbs.coursework.master import as_text, read_master
from lrbs.coursework.sandbox import Limits, choose

ASSIGNMENTS = Path(__file__).resolve().parent.parent / "assignments"
STUDENTS = 60


def seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of some runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    if not ASSIGNMENTS.exists():
        print("left out: how long marking takes (no masters: the archive of the book has none)")
        return
    limits = Limits()
    sandbox = choose(limits)
    for path in sorted(ASSIGNMENTS.glob("*.ipynb")):
        notebook, task = as_text(read_master(path).solved_notebook()).encode(), load(path.stem)
        code = "\n".join(code_of(notebook))
        command = [sys.executable, "-c", code]
        bare = seconds(lambda c=command: subprocess.run(c, check=True, capture_output=True))  # type: ignore[misc]
        marked = seconds(
            lambda n=notebook, t=task: mark_notebook(n, t, "ada", "a key of the bench", sandbox, limits)  # type: ignore[misc]
        )
        print(f"{path.stem}: run {bare:.2f} s, marked {marked:.2f} s, ratio {marked / bare:.2f}")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        text = as_text(read_master(ASSIGNMENTS / "1-one-step.ipynb").solved_notebook())
        students = [f"s{number}" for number in range(STUDENTS)]
        for student in students:
            (folder / "in" / f"{student}.ipynb").write_text(
                text.replace('\\"ada\\"', f'\\"{student}\\"'), "utf-8"
            )
        (folder / "roster.csv").write_text("student\n" + "\n".join(students))
        (folder / "key.txt").write_text("a key of the bench")
        files = (str(folder / part) for part in ("in", "roster.csv", "key.txt"))
        begin = time.perf_counter()
        mark_batch(Marking("1-one-step", *files), folder / "marks", sandbox, limits, jobs=2)
        spent = time.perf_counter() - begin
        points = {
            sum(result["points"] or 0 for result in json.loads(path.read_text())["questions"].values())
            for path in (folder / "marks" / "students").iterdir()
        }
        print(
            f"{STUDENTS} submissions of assignment 1, two at a time: {spent:.0f} s; points {sorted(points)}"
        )


if __name__ == "__main__":
    main()
