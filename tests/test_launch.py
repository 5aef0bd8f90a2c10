"""A chapter away from the book: it says what it needs; the address of the repository switches on buttons."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager

from tools import colab

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
URL = "https://github.com/owner/name"


def notebook() -> nbformat.NotebookNode:
    cells = [
        nbformat.v4.new_markdown_cell("# A page", id="a"),
        nbformat.v4.new_code_cell("import lrbs\nlrbs.Adam()", id="b"),
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


@pytest.mark.parametrize("url", ["", URL])
def test_launch_buttons_are_there_with_an_address_alone(tmp_path: Path, url: str) -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert settings["repository"].keys() >= {"url", "branch"}
    settings["repository"]["url"] = url
    settings["sphinx"]["config"]["html_static_path"] = ["assets"]
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: page\nchapters:\n- file: more\n", encoding="utf-8"
    )
    for page in ("page", "more"):
        nbformat.write(colab.prepared(notebook(), url), tmp_path / f"{page}.ipynb")
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


def test_the_cell_that_says_what_is_needed_comes_and_goes() -> None:
    plain = notebook()
    ready = colab.prepared(plain, URL)
    assert [cell.cell_type for cell in ready.cells] == ["markdown", "code", "code"]
    assert f'"lrbs": "git+{URL}"' in ready.cells[1].source
    assert "matplotlib" not in ready.cells[1].source
    nbformat.validate(ready)
    ready.cells[1].execution_count = 1  # as it is stored
    assert colab.prepared(ready, URL) == ready
    assert colab.prepared(ready, "https://github.com/owner/other").cells[1].source != ready.cells[1].source
    assert colab.prepared(ready, "").cells[1].source != ready.cells[1].source
    plain.cells[1].source = "1 + 1"
    assert colab.prepared(plain, URL) == plain


def run_alone(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run code of a notebook where nothing is installed, and nothing found but in these folders."""
    python = TransformerManager().transform_cell(code)
    start = f"import sys; sys.path[:0] = {[*map(str, folders)]}\n"
    command = [sys.executable, "-I", "-S", "-c", start + python]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("url", ["", URL])
def test_what_is_missing_is_said_in_one_sentence(url: str, tmp_path: Path) -> None:
    page = notebook()
    page.cells[1].source = "import lrbs\nlrbs.show.use_style()"
    cell = colab.prepared(page, url).cells[1].source
    lrbs = f"git+{URL}" if url else "lrbs-book.zip"
    for there, missing in ((), f"{lrbs} matplotlib"), (("lrbs",), "matplotlib"), (("matplotlib",), lrbs):
        folder = tmp_path / "-".join(["with", *there])
        for name in there:
            (folder / name).mkdir(parents=True, exist_ok=True)
        error = run_alone(cell, folder).stderr.strip().splitlines()[-1]
        assert error == f"ModuleNotFoundError: this chapter needs more: %pip install {missing}"
    for name in ("lrbs", "matplotlib"):
        (tmp_path / "all" / name).mkdir(parents=True)
    assert run_alone(cell, tmp_path / "all").returncode == 0


ON_COLAB = """import sys
sys.modules["google.colab"] = None
class Shell:
    def run_line_magic(self, name, line):
        print(name, line)
get_ipython = Shell
"""


def test_colab_installs_from_an_address_and_without_one_says_what_to_install() -> None:
    """The archive does not lie beside a chapter there: pip would fail, and the imports after it."""
    with_address = run_alone(ON_COLAB + colab.prepared(notebook(), URL).cells[1].source)
    assert with_address.stdout == 'pip install --quiet {" ".join(missing)}\n' and not with_address.stderr
    without = run_alone(ON_COLAB + colab.prepared(notebook(), "").cells[1].source)
    error = without.stderr.strip().splitlines()[-1]
    assert error == "ModuleNotFoundError: this chapter needs more: %pip install lrbs-book.zip"
    assert not without.stdout


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_import_what_they_say(path: Path) -> None:
    """What their first cell names, NumPy, SciPy, the standard library, and IPython, which runs them."""
    stored = nbformat.read(path, as_version=4)
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "IPython", *colab.needed(stored)}
    if path.stem == "formula-index":
        allowed.add("nbformat")  # it reads the chapters beside it
    imported = set()
    for cell in stored.cells:
        if cell.cell_type == "code" and colab.TAG not in cell.metadata.get("tags", []):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(str(node.module).partition(".")[0])
    assert imported <= allowed


RUN_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"no module named {{name}}", name=name)

sys.meta_path.insert(0, Nothing())
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for code in {codes}:
    result = shell.run_cell(code)
    assert result.success, code
"""
TOOLS_OF_THE_BOOK = {"myst_nb", "jupyter_book", "sphinx", "nbclient", "pybtex", "sympy", "sklearn", "pytest"}


def test_chapters_begin_without_the_tools_of_the_book() -> None:
    begins = []
    for path in CHAPTERS:
        cells = colab.prepared(nbformat.read(path, as_version=4), "").cells
        begins += [cell.source for cell in cells if cell.cell_type == "code"][:2]
    code = RUN_WITHOUT.format(missing=TOOLS_OF_THE_BOOK, codes=begins)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_are_ready_for_the_address_that_is_set(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    assert colab.prepared(stored, colab.repository()) == stored, "run make chapters"
