"""A student does an assignment in JupyterLab, from the files that a teacher released."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from lrbs.coursework.assignment import load
from lrbs.coursework.mark import mark_notebook
from lrbs.coursework.master import read_master
from lrbs.coursework.release import write_release
from lrbs.coursework.sandbox import Limits, choose
from tools import lab
from tools.browser import ROOT

PATIENCE = 90_000
MASTER = ROOT / "assignments" / "1-one-step.ipynb"
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not MASTER.exists(), reason="no masters here: the archive of the book has none"),
]


def answers(notebook: dict[str, Any]) -> dict[int, str]:
    """What a student who is right puts into each cell that waits for an answer, by the cell's number."""
    solutions = [cell.source for cell in read_master(MASTER).cells if cell.tag == "solution"]
    found = {}
    for number, cell in enumerate(notebook["cells"]):
        name = re.match(r"def \w+|\w+ =", "".join(cell["source"])) if cell["cell_type"] == "code" else None
        for solution in solutions:
            if name and re.search(rf"(?m)^{re.escape(name[0])}", solution):
                found[number] = solution.replace('"ada"', '"AB123"')
    return found


def write(page: Any, cell: int, text: str) -> None:
    """Into a cell, in the place of what it holds."""
    editor = page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_a_student_does_assignment_1(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = {path.suffix: path for path in write_release(MASTER, tmp_path / "book")}
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", site]
    subprocess.run([*command, released[".whl"]], check=True, capture_output=True)
    monkeypatch.setenv("PYTHONPATH", str(site))
    path = released[".ipynb"]
    given = answers(json.loads(path.read_text("utf-8")))
    assert len(given) == 8  # the id and seven questions
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with lab.served(tmp_path) as address:
        page.goto(f"{address}{path.name}?reset")
        for number, text in given.items():
            slips = text.startswith("growth =")
            write(page, number, "predicted_lr = 16 * p.tuned_lr" if slips else text)
        lab.run_all_cells(page, PATIENCE)
        said = page.locator(".jp-Notebook .jp-OutputArea-output")
        expect(said.get_by_text(": correct.")).to_have_count(5)
        expect(said.get_by_text("Linear scaling holds far below the noise scale.")).to_have_count(1)
        expect(said.get_by_text("q7 (diverged): handed in.")).to_have_count(1)

        write(page, *next(item for item in given.items() if item[1].startswith("growth =")))
        lab.run_all_cells(page, PATIENCE)
        expect(said.get_by_text(": correct.")).to_have_count(6)
        # JupyterLab also saves by itself, every two minutes: either saving holds the last answer.
        with page.expect_response(
            lambda response: response.request.method == "PUT" and path.name in response.url
        ) as saved:
            page.keyboard.press("Control+s")
        assert saved.value.ok
        lab.stop_kernels(page)
    context.close()
    limits = Limits()
    task = load("1-one-step")
    marked = mark_notebook(path.read_bytes(), task, "ab123", "the key of a course", choose(limits), limits)
    verdicts = [outcome.verdict for outcome in marked.outcomes.values()]
    assert verdicts == ["correct"] * 6 + ["handed in"]
