"""Execute the chapters whose stored outputs are not current, and store the outputs in the notebooks.

    python -m tools.execute                          # every chapter that needs it
    python -m tools.execute --all                    # every chapter
    python -m tools.execute chapters/status-quo.ipynb

A notebook's outputs are current when its digest is (see tools/digests.py): a hash of what they came from (the
code of its cells and of what of lrbs they load, the pinned versions of what computes and draws) and of the
outputs themselves. Prose, in markdown cells, comments and docstrings, may change freely; a fresh clone
executes nothing, on any machine.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from tools import prose, whole
from tools.digests import LOADED, digest, loaded_files

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
WIDGET = "application/vnd.jupyter.widget-view+json"
TIMEOUT = 600  # seconds a cell
# Printed by a last cell, which is not stored: seconds of a processor, and megabytes at the most.
COST = """import os, resource, sys
unit = 1e6 if sys.platform == "darwin" else 1e3
print(sum(os.times()[:4]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)"""
STEADY = 1.5  # a cost within this factor of the stored one is the same
FOLDED = {
    "hide-input",
    "remove-input",
    "hide-cell",
    "remove-cell",
}  # tags of cells whose code pages do not show


def is_current(notebook: Any) -> bool:
    """Whether the stored outputs are those of the present code."""
    own = notebook.metadata.get("lrbs", {})
    return bool("loaded" in own and own["digest"] == digest(notebook, own["loaded"]))


def normalised(notebook: Any, page: str) -> Any:
    """The notebook of a page without what differs from run to run or from machine to machine.

    Its text holds the numbers that its cells computed, and code that the page folds is folded in JupyterLab.
    """
    values, own = prose.glued(notebook), notebook.metadata.get("lrbs", {})
    loaded, cost = own.get("loaded", []), own.get("cost")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
        }
    )
    for cell in notebook.cells:
        for editor_state in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(editor_state, None)
        cell.metadata.pop("jupyter", None)
        if cell.cell_type == "markdown":
            cell.source = prose.with_cost(prose.settled(cell.source, page, values), cost)
        elif FOLDED.intersection(cell.metadata.get("tags", [])):
            cell.metadata["jupyter"] = {"source_hidden": True}
        for output in cell.get("outputs", []):
            # A live widget is stored as the picture beside it: its own identity is a random number.
            if "image/png" in output.get("data", {}):
                output.data.pop(WIDGET, None)
    notebook.metadata["lrbs"] = {"digest": digest(notebook, loaded), "loaded": loaded}
    if cost:
        notebook.metadata["lrbs"]["cost"] = cost
    return notebook


def steady(new: dict[str, float], stored: dict[str, int] | None) -> dict[str, int]:
    """What a run costs, to one digit; what is stored, as long as it is about right."""
    return {
        name: stored[name]
        if stored and 1 / STEADY < value / stored[name] < STEADY
        else max(1, int(float(f"{value:.0e}")))
        for name, value in new.items()
    }


async def execute(path: Path) -> None:
    """Run one notebook from top to bottom and write it back, its outputs current."""
    notebook = nbformat.read(path, as_version=4)
    stored = notebook.metadata.get("lrbs", {}).get("cost")
    notebook.cells += [nbformat.v4.new_code_cell(LOADED), nbformat.v4.new_code_cell(COST)]
    client = nbclient.NotebookClient(
        notebook,
        extra_arguments=["--log-level=40"],
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        timeout=TIMEOUT,
    )
    await client.async_execute()
    seconds, megabytes = map(float, notebook.cells.pop().outputs[0].text.split())
    cost = steady({"seconds": seconds, "megabytes": megabytes}, stored)
    notebook.metadata["lrbs"] = {"loaded": loaded_files(notebook.cells.pop().outputs[0].text), "cost": cost}
    whole.write(path, nbformat.writes(normalised(notebook, path.stem)) + "\n")


async def execute_all(paths: Iterable[Path]) -> list[str]:
    """Run notebooks side by side, one a core; what went wrong in each that failed."""
    free = asyncio.Semaphore(os.cpu_count() or 1)

    async def attempt(path: Path) -> str | None:
        async with free:
            print(f"executing {path.relative_to(ROOT)}", flush=True)
            try:
                await execute(path)
            except (nbclient.exceptions.CellExecutionError, ValueError) as error:
                return f"{path.relative_to(ROOT)}\n{error}"
            return None

    return [failure for failure in await asyncio.gather(*map(attempt, paths)) if failure]


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the chapters whose outputs are not current.")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: all of chapters/)")
    parser.add_argument("--all", action="store_true", help="also those whose outputs are current")
    arguments = parser.parse_args()
    paths = [path.resolve() for path in arguments.paths] or sorted(CHAPTERS.glob("*.ipynb"))
    stale = [path for path in paths if arguments.all or not is_current(nbformat.read(path, as_version=4))]
    prose.settle_pages()
    failures = asyncio.run(execute_all(stale))
    prose.settle_readme()
    print("\n".join(failures), file=sys.stderr, end="")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
