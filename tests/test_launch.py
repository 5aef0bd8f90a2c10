"""One line of _config.yml, the address of the repository, switches on what needs one."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from tools import colab

ROOT = Path(__file__).resolve().parent.parent
URL = "https://github.com/owner/name"


def notebook() -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell("# A page", id="a"), nbformat.v4.new_code_cell("1 + 1", id="b")]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


@pytest.mark.parametrize("url", ["", URL])
def test_launch_buttons_are_there_with_an_address_alone(tmp_path: Path, url: str) -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert settings["repository"].keys() >= {"url", "branch"}
    settings["repository"]["url"] = url
    settings["sphinx"]["config"]["html_static_path"] = ["assets"]
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: page\n", encoding="utf-8")
    nbformat.write(colab.prepared(notebook(), url), tmp_path / "page.ipynb")
    for folder in ("_ext", "assets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "references.bib").touch()
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "-W", "-n", "--keep-going", "--quiet", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "_build" / "html" / "page.html").read_text(encoding="utf-8")
    binder = "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/page.ipynb"
    assert (binder in page) == bool(url)
    assert ("https://colab.research.google.com/github/owner/name/blob/main/page.ipynb" in page) == bool(url)
    assert ("launch-buttons" in page) == bool(url)
    assert "google.colab" not in page


def test_the_cell_for_colab_comes_and_goes() -> None:
    plain = notebook()
    ready = colab.prepared(plain, URL)
    assert [cell.cell_type for cell in ready.cells] == ["markdown", "code", "code"]
    assert f"%pip install --quiet git+{URL}" in ready.cells[1].source
    nbformat.validate(ready)
    ready.cells[1].execution_count = 1  # as it is stored
    assert colab.prepared(ready, URL) == ready
    assert colab.prepared(ready, "https://github.com/owner/other").cells[1].source != ready.cells[1].source
    assert colab.prepared(ready, "") == plain


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda path: path.stem)
def test_chapters_are_ready_for_the_address_that_is_set(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    assert colab.prepared(stored, colab.repository()) == stored, "run make chapters"
