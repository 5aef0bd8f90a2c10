"""The book holds together: chapters, their stored outputs, the catalogue, versions, licences."""

import re
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from fontTools.ttLib import TTFont
from packaging.requirements import Requirement

import lrbs
from lrbs import checks
from tools import execute, outputs, whole

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
EQUATION = re.compile(r"^\$\$\s*\n((?:(?!\$\$).)*)\n\$\$\s*\(([\w.-]+)\)\s*$", flags=re.MULTILINE | re.DOTALL)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def equations(path: Path) -> dict[str, str]:
    """Labelled equations of a chapter: id to LaTeX."""
    found = EQUATION.findall(prose(path))
    assert all(tex.endswith(rf"\tag{{{label}}}") for tex, label in found), "run make chapters"
    return {label: tex.removesuffix(rf"\tag{{{label}}}") for tex, label in found}


# ---------------------------------------------------------------------------- stored outputs


@each_notebook
def test_stored_outputs_are_those_of_the_present_code(path: Path) -> None:
    assert execute.is_current(read(path)), "stale: run make chapters, and commit what it stores"


@each_notebook
def test_every_cell_ran_once_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_cell_fails_or_warns(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text


def test_the_font_of_quotations_has_all_their_letters() -> None:
    letters = TTFont(ROOT / "assets" / "quotations.woff").getBestCmap()
    quoted = "".join(erratum.quotation for erratum in checks.errata())
    assert len(set(quoted)) > 200
    assert {letter for letter in quoted if ord(letter) not in letters} == set()


@each_notebook
def test_notebooks_are_stored_in_normal_form(path: Path) -> None:
    stored, normal = read(path), execute.normalised(read(path), path.stem)
    stored.metadata.lrbs = normal.metadata.lrbs  # the digest has a test of its own
    assert normal == stored, "run make chapters"


@each_notebook
def test_every_picture_has_a_text_for_those_who_do_not_see_it(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            if "text/html" in data:  # our own HTML, which carries its texts itself
                assert "<img" not in data["text/html"] or re.search(r'alt="[^"]{10}', data["text/html"])
            elif "image/png" in data:
                assert len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) >= 10, cell.source


@each_notebook
def test_live_figures_have_ids_of_their_own(path: Path) -> None:
    pages = [output.get("data", {}).get("text/html", "") for c in code_cells(path) for output in c.outputs]
    ids = re.findall(r'<figure class="lrbs-live" id="([^"]*)"', "".join(pages))
    assert len(ids) == len(set(ids))


@each_notebook
def test_a_tolerance_says_why(path: Path) -> None:
    for cell in code_cells(path):
        outputs.stated_tolerance(cell.metadata)


def test_live_widgets_are_stored_as_their_pictures() -> None:
    data = {execute.WIDGET: {"model_id": "random"}, "image/png": "picture", "text/plain": "words"}
    cell = nbformat.v4.new_code_cell("figure", outputs=[nbformat.v4.new_output("display_data", data)])
    stored = execute.normalised(nbformat.v4.new_notebook(cells=[cell]), "page").cells[0].outputs[0]
    assert set(stored.data) == {"image/png", "text/plain"}


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    whole.write(page, "old")
    write_text = Path.write_text

    def ended_half_way(path: Path, text: str, encoding: str) -> None:
        write_text(path, text[: len(text) // 2], encoding=encoding)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "write_text", ended_half_way)
        whole.write(page, "newer")
    assert page.read_text(encoding="utf-8") == "old"
    whole.write(page, "newest")
    assert page.read_text(encoding="utf-8") == "newest"
    assert list(tmp_path.iterdir()) == [page]


# ---------------------------------------------------------------------------- chapters and catalogue


def test_contents_name_every_page() -> None:
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    named = {contents["root"]}
    waiting = [page for part in contents["parts"] for page in part["chapters"]]
    while waiting:
        page = waiting.pop()
        named.add(page["file"])
        waiting += page.get("sections", [])
    found = (
        path.relative_to(ROOT) for kind in ("md", "ipynb") for path in (ROOT / "chapters").rglob(f"*.{kind}")
    )
    assert named == {
        path.with_suffix("").as_posix() for path in found if not path.parent.name.startswith(".")
    }


@pytest.mark.parametrize("id", lrbs.formulas)
def test_every_equation_has_a_check(id: str) -> None:
    assert callable(checks.find(lrbs.formulas[id].check))


@pytest.mark.parametrize("id", lrbs.formulas)
def test_every_equation_stands_in_its_chapter(id: str) -> None:
    formula = lrbs.formulas[id]
    path = ROOT / "chapters" / f"{formula.chapter}.ipynb"
    shown = equations(path)
    if (
        id not in shown
    ):  # one that repeats another is named, where the other is shown or anywhere else in the chapter
        assert formula.repeats, f"not shown in {formula.chapter}"
        assert re.search(rf"(?<![\w.]){re.escape(id)}(?!\w)", prose(path)), f"not named in {formula.chapter}"


@each_notebook
def test_every_numbered_equation_is_registered(path: Path) -> None:
    assert set(equations(path)) <= set(lrbs.formulas)


# ---------------------------------------------------------------------------- versions, pins, licences


def test_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert {str(citation["version"]), newest[1]} == {lrbs.__version__}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    pins = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("requirements*.txt"))
    pinned = re.findall(r"^([\w.-]+)==([\w.]+)", pins, re.MULTILINE)
    for line in wanted:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            assert any(
                name == requirement.name and version in requirement.specifier for name, version in pinned
            ), f"{line}: run make requirements"


def test_pytorch_is_pinned_apart() -> None:
    """It is several gigabytes on some machines: neither `make book` nor `make test` brings it."""
    assert not re.search(r"^(torch|nvidia|triton)", (ROOT / "requirements.txt").read_text("utf-8"), re.M)
    assert re.search(r"^torch==", (ROOT / "requirements-torch.txt").read_text("utf-8"), re.M)


def test_both_licences_are_named() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for words in ("BSD-3-Clause", "CC-BY-4.0", "Redistribution and use in source and binary forms"):
        assert words in licence
