"""Give each chapter a first cell that says what is missing, where something is.

A downloaded chapter needs lrbs and what draws its figures; the cell names what installs them. On Colab it
installs them itself, from the address of the public repository in _config.yml; without one it only names them
there too, for the archive does not lie beside a chapter that Colab opens. Where nothing is missing it does
nothing, and pages do not show it. Called by make chapters, which then executes the chapters that changed.
"""

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools import whole

ROOT = Path(__file__).resolve().parent.parent
TAG = "needs"
NEEDS = {  # by what in the code of a chapter calls for them; NumPy and SciPy come with lrbs
    "lrbs": r"\blrbs\b",
    "matplotlib": r"\bmatplotlib\b|\b(?:explore|interact|use_style)\(",
    "ipywidgets": r"\b(?:explore|interact)\(",
}
ARCHIVE = "lrbs-book.zip"
WIDTH = 76 - len("needed = ")
CELL = """{first}from importlib.util import find_spec

needed = {needed}
missing = [needed[name] for name in needed if not find_spec(name)]
{install_or}if missing:  # pages of the book offer its archive, lrbs-book.zip
    raise ModuleNotFoundError(
        f"this chapter needs more: %pip install {{' '.join(missing)}}"
    )"""
INSTALL = """if missing and "google.colab" in sys.modules:
    %pip install --quiet {" ".join(missing)}
el"""


def repository() -> str:
    """Address of the public repository, or an empty text."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return str(settings.get("repository", {}).get("url") or "")


def needed(notebook: Any) -> list[str]:
    """What a chapter imports beyond NumPy and SciPy."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return [name for name, sign in NEEDS.items() if re.search(sign, code)]


def prepared(notebook: Any, url: str) -> Any:
    """A copy of a notebook with that cell below its title; without, if it has no code."""
    result = copy.deepcopy(notebook)
    result.cells = [cell for cell in result.cells if TAG not in cell.metadata.get("tags", [])]
    if names := needed(result):
        wanted = {"lrbs": f"git+{url}" if url else ARCHIVE} | {name: name for name in names if name != "lrbs"}
        pairs = [f'"{name}": "{source}"' for name, source in wanted.items()]
        in_one = f"{{{', '.join(pairs)}}}"  # as the formatter has it
        lines = "".join(f"    {pair},\n" for pair in pairs)
        source = CELL.format(
            first="import sys\n" if url else "",
            needed=in_one if len(in_one) <= WIDTH else f"{{\n{lines}}}",
            install_or=INSTALL if url else "",
        )
        old = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
        new = nbformat.v4.new_code_cell(source, id=TAG, metadata={"tags": [TAG, "remove-cell"]})
        result.cells[1:1] = old if [cell.source for cell in old] == [source] else [new]
    return result


def main() -> None:
    url = repository()
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if (changed := prepared(notebook, url)) != notebook:
            whole.write(path, nbformat.writes(changed) + "\n")
            print(f"{path.relative_to(ROOT)}: says what it needs")


if __name__ == "__main__":
    main()
