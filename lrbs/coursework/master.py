"""Masters: notebooks from which a student's notebook, the rubrics and the solutions come.

Each cell has one tag that says what it is: ``text`` and ``given`` go to students as they are, ``stub``
is where they begin, ``solution`` and ``rubric`` stay with the teacher. There are no markers inside
cells, so none can be misspelled; a cell without such a tag, or with two, is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TAGS = ("text", "given", "stub", "solution", "rubric")
SHOWN = ("text", "given", "stub")
RUBRIC = re.compile(r"^#+\s*Rubric of (q\d+)\s*$", re.MULTILINE)


class MasterError(ValueError):
    """A master that cannot be released; says which cell, and what to do."""


@dataclass(frozen=True)
class Cell:
    """A cell of a master."""

    kind: str
    tag: str
    source: str


@dataclass(frozen=True)
class Master:
    """A master as it was read.

    Attributes
    ----------
    name : str
        Of the file, without its suffix: that of the assignment.
    cells : tuple of Cell
    digest : str
        Of all that it holds; outputs do not count.
    """

    name: str
    cells: tuple[Cell, ...]

    @property
    def digest(self) -> str:
        text = json.dumps([[cell.kind, cell.tag, cell.source] for cell in self.cells])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def rubrics(self) -> dict[str, str]:
        """Text of the rubric of each written question, by its name."""
        found = {}
        for cell in self.cells:
            if cell.tag == "rubric":
                name = RUBRIC.search(cell.source)
                if name is None:
                    raise MasterError(
                        f"{self.name}: a rubric must begin with '### Rubric of q7', say; "
                        f"got {cell.source[:40]!r}"
                    )
                found[name[1]] = RUBRIC.sub("", cell.source).strip()
        return found

    def secrets(self) -> list[str]:
        """Lines of solutions and rubrics that no shown cell has."""
        shown = {
            line.strip() for cell in self.cells if cell.tag in SHOWN for line in cell.source.splitlines()
        }
        lines = [
            line.strip() for cell in self.cells if cell.tag not in SHOWN for line in cell.source.splitlines()
        ]
        return [line for line in dict.fromkeys(lines) if line not in shown and not RUBRIC.match(line)]

    def student_notebook(self) -> dict[str, Any]:
        """What students get: a notebook without solutions, rubrics and outputs."""
        cells: list[dict[str, Any]] = []
        for number, cell in enumerate(cell for cell in self.cells if cell.tag in SHOWN):
            # Pages are not run as tests: stubs have no answers.
            metadata = {"tags": ["nbval-skip"]} if cell.kind == "code" else {}
            made: dict[str, Any] = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": metadata}
            if cell.kind == "code":
                made |= {"execution_count": None, "outputs": []}
            cells.append(made | {"source": cell.source.splitlines(keepends=True)})
        return notebook(cells)

    def solved_notebook(self) -> dict[str, Any]:
        """The notebook of a student who took every solution; tests and teachers use it."""
        shown = [cell for cell in self.cells if cell.tag in (*SHOWN, "solution")]
        cells: list[dict[str, Any]] = [
            {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": {}, "source": cell.source}
            | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})
            for number, cell in enumerate(shown)
        ]
        return notebook(cells)


def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A notebook of these cells."""
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def as_text(made: Mapping[str, Any]) -> str:
    """A notebook as files hold it."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def read_master(path: Path) -> Master:
    """A master from its file.

    Raises
    ------
    MasterError
        If a cell has no tag of a master's, or two, or code where text is due.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        raw = [(c["cell_type"], c.get("metadata", {}).get("tags", []), c["source"]) for c in content["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MasterError(f"{path} is no notebook: {error}") from None
    cells = []
    for number, (kind, tags, source) in enumerate(raw, 1):
        own = [tag for tag in tags if tag in TAGS]
        text = source if isinstance(source, str) else "".join(source)
        if len(own) != 1:
            raise MasterError(
                f"{path.name}, cell {number} must have exactly one tag of {', '.join(TAGS)}; it has "
                f"{', '.join(tags) or 'none'}. It begins: {text[:60]!r}"
            )
        if (kind == "markdown") != (own[0] in ("text", "rubric")) and own[0] != "solution":
            raise MasterError(f"{path.name}, cell {number} is {kind} and tagged {own[0]}")
        cells.append(Cell(kind, own[0], text))
    return Master(path.stem, tuple(cells))
