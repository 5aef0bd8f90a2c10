"""A chapter is stale when what its outputs came from has changed, and not otherwise."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools import digests


def notebook(code: str = "1 + 1", result: str = "2", prose: str = "A sum.") -> Any:
    output = nbformat.v4.new_output("execute_result", {"text/plain": result}, execution_count=1)
    cell = nbformat.v4.new_code_cell(code, outputs=[output], execution_count=1, id="code")
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose, id="prose"), cell])


def test_digest_follows_code_and_outputs_but_not_prose() -> None:
    current = digests.digest(notebook(), [])
    assert digests.digest(notebook(prose="The sum."), []) == current
    assert digests.digest(notebook(code="1 + 2"), []) != current
    assert digests.digest(notebook(result="3"), []) != current


def test_digest_does_not_follow_imports_for_type_checkers() -> None:
    told = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import a\n    import b\nx = 1\n"
    assert digests.without_prose(told) == "from typing import TYPE_CHECKING\nx = 1"


def test_digest_does_not_follow_the_version() -> None:
    assert digests.without_prose('__version__ = "1.0"\nx = 1\n') == digests.without_prose(
        'x = 1\n__version__ = "2.0"\n'
    )


def test_digest_does_not_follow_comments_and_docstrings() -> None:
    bare = 'class A:\n    def f(self):\n        return "#"'
    told = '"""M."""\n\nclass A:  # c\n    """A.\n\n    B.\n    """\n\n    def f(self):\n        """F."""\n'
    told += '        # why\n        return "#"\n'
    assert digests.without_prose(told) == bare
    assert digests.without_prose(told.replace("return", "yield")) != bare


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository of two modules and the catalogue."""
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    (tmp_path / "lrbs").mkdir()
    (tmp_path / "lrbs" / "a.py").write_text("x = 1\n")
    (tmp_path / "lrbs" / "b.py").write_text("x = 1\n")
    (tmp_path / "lrbs" / "equations.py").write_text('FILE = "equations.toml"\n')
    (tmp_path / "lrbs" / "equations.toml").write_text('[page]\n"1.1" = { title = "T", check = "c" }\n')
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6  # via\nruff==1.0\n")
    return tmp_path


def test_digest_follows_the_files_that_were_loaded_alone(tree: Path) -> None:
    printed = json.dumps([str(tree / "lrbs" / "a.py"), str(tree / "lrbs" / "equations.py")])
    files = digests.loaded_files(printed)
    assert files == ["lrbs/a.py", "lrbs/equations.py", "lrbs/equations.toml"]
    current = digests.digest(notebook(), files)
    (tree / "lrbs" / "b.py").write_text("x = 2\n")
    assert digests.digest(notebook(), files) == current
    (tree / "lrbs" / "a.py").write_text("x = 2\n")
    assert digests.digest(notebook(), files) != current
    (tree / "lrbs" / "a.py").unlink()
    assert digests.digest(notebook(), files) != current


def test_titles_count_where_code_can_see_them(tree: Path) -> None:
    files = ["lrbs/equations.toml"]
    blind, seeing = notebook(code='run("1.1")  # a sum of formulas'), notebook(code="lrbs.formulas[id].title")
    before = [digests.digest(each, files) for each in (blind, seeing)]
    catalogue = tree / "lrbs" / "equations.toml"
    catalogue.write_text(catalogue.read_text().replace('"T"', '"U"'))
    after = [digests.digest(each, files) for each in (blind, seeing)]
    assert after[0] == before[0]
    assert after[1] != before[1]
    catalogue.write_text(catalogue.read_text().replace('"c"', '"d"'))
    assert digests.digest(blind, files) != before[0]
    unconcerned = digests.digest(notebook(), files)
    catalogue.write_text(catalogue.read_text().replace('"d"', '"e"'))
    assert digests.digest(notebook(), files) == unconcerned


def test_texts_of_errata_count_where_code_can_see_them(tree: Path) -> None:
    (tree / "lrbs" / "errata.toml").write_text('[[erratum]]\nfinds = "a"\n')
    blind, seeing = notebook("lrbs.checks.run(id)"), notebook("lrbs.checks.errata()")
    before = [digests.digest(each, ["lrbs/errata.toml"]) for each in (blind, seeing)]
    (tree / "lrbs" / "errata.toml").write_text('[[erratum]]\nfinds = "b"\n')
    after = [digests.digest(each, ["lrbs/errata.toml"]) for each in (blind, seeing)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_digest_follows_the_pins_of_what_computes(tree: Path) -> None:
    current = digests.digest(notebook(), [])
    (tree / "requirements.txt").write_text("numpy==2.4.6  # via\nruff==2.0\n")
    assert digests.digest(notebook(), []) == current
    (tree / "requirements.txt").write_text("numpy==2.4.7\n")
    assert digests.digest(notebook(), []) != current
