"""Make the chapters ready for Colab, which has all that they import but lrbs.

With the address of a public repository in _config.yml, each chapter gets a cell that installs lrbs from there
and does nothing anywhere else; pages do not show it. Without an address there is no such cell. Called by
make chapters, which then executes the chapters that changed.
"""

import copy
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools import whole

ROOT = Path(__file__).resolve().parent.parent
TAG = "colab"
CELL = """import sys

if "google.colab" in sys.modules:
    %pip install --quiet git+{url}"""


def repository() -> str:
    """Address of the public repository, or an empty text."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return str(settings.get("repository", {}).get("url") or "")


def prepared(notebook: Any, url: str) -> Any:
    """A copy of a notebook with the cell for Colab below its title, or without, if there is no address."""
    result = copy.deepcopy(notebook)
    result.cells = [cell for cell in result.cells if TAG not in cell.metadata.get("tags", [])]
    if url and any(cell.cell_type == "code" for cell in result.cells):
        old = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
        new = nbformat.v4.new_code_cell(CELL.format(url=url), id=TAG, metadata={"tags": [TAG, "remove-cell"]})
        result.cells[1:1] = old if [cell.source for cell in old] == [new.source] else [new]
    return result


def main() -> None:
    url = repository()
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if (changed := prepared(notebook, url)) != notebook:
            whole.write(path, nbformat.writes(changed) + "\n")
            print(f"{path.relative_to(ROOT)}: {'with' if url else 'without'} a cell for Colab")


if __name__ == "__main__":
    main()
