"""Text that reads the same everywhere: numbers, equations and sources of the chapters are plain."""

import re
from pathlib import Path

import nbformat
import pytest

from lrbs import formulas
from lrbs.show import glue
from tools import prose

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
ROLES = re.compile(r"\{(?:glue[\w:]*|cite[\w:]*|eq|numref|ref|doc|py:\w+|math:\w+)\}`")  # that need Sphinx


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_chapter_needs_sphinx_to_be_read(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        texts = [cell.source] if cell.cell_type == "markdown" else []
        for output in cell.get("outputs", []):
            texts += [str(text) for text in output.get("data", {}).values()] + [output.get("text", "")]
        assert not [role for text in texts for role in ROLES.findall(text)]


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("*.md")), ids=lambda path: path.stem)
def test_pages_without_code_are_as_they_are_to_be(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert prose.settled(text, path.stem, {}) == text, "run make chapters"


def test_page_of_references_is_made_from_the_bibliography() -> None:
    assert (CHAPTERS / "references.md").read_text(encoding="utf-8") == prose.references()
    keys = re.findall(r'<a id="(\w+)"></a>', prose.references())
    assert sorted(keys) == sorted(prose.sources())
    assert keys.index("simsekli2019") < keys.index("smith2018") < keys.index("zhang2020")  # Ş is an S


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("at ?<!--k--> %", "0.0644", "at 0.0644<!--k--> %"),
        ("at 0.0644<!--k-->", "0.07", "at 0.07<!--k-->"),
        ("at .5<!--k-->", "-1,000.25", "at -1,000.25<!--k-->"),
        ("3e-4<!--k-->, 3e-4<!--k-->", "5", "5<!--k-->, 5<!--k-->"),
        ("1.4 to 1.9<!--k-->", "1.5 to 22", "1.5 to 22<!--k-->"),
        ("is 0.46 ± .03<!--k-->", "−0.4 ± .12", "is −0.4 ± .12<!--k-->"),
        ("| 25 % at small batches<!--k--> |", "24 % at small batches", "| 24 % at small batches<!--k--> |"),
        ("from 4<!--j--> to 5<!--k-->", "6", "from 4<!--j--> to 6<!--k-->"),
    ],
)
def test_numbers_follow_what_cells_computed(text: str, value: str, expected: str) -> None:
    values = {"k": value, "j": "4"}
    assert prose.with_numbers(text, values) == expected
    assert prose.with_numbers(expected, values) == expected


def test_a_sentence_whose_words_changed_is_to_be_read_again() -> None:
    with pytest.raises(ValueError, match="read its sentence again"):
        prose.with_numbers("it rises by 3<!--k--> %", {"k": "not at all"})
    with pytest.raises(ValueError, match="no cell gives 'k'"):
        prose.with_numbers("3<!--k-->", {"j": "3"})


def test_values_are_texts_that_the_chapter_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"value must be text.*got 0\.5 for half"):
        glue("half", 0.5)  # type: ignore[arg-type]
    output = nbformat.v4.new_output(
        "display_data",
        {"application/papermill.record/text/plain": "0.5"},
        metadata={"scrapbook": {"name": "half"}},
    )
    cell = nbformat.v4.new_code_cell('glue("half", "0.5")', outputs=[output])
    assert prose.glued(nbformat.v4.new_notebook(cells=[cell])) == {"half": "0.5"}


def test_links_to_equations_lead_to_their_chapter() -> None:
    id = "11260.3"
    away = prose.with_equations(f"By [({id})](), and [(not one)](x.md)", "muon")
    assert away == f"By [({id})]({formulas[id].chapter}.ipynb#id-11260-3), and [(not one)](x.md)"
    assert prose.with_equations(away, formulas[id].chapter).startswith(f"By [({id})](#id-11260-3)")
    assert formulas["lrbs.averaging"].link() == "[(lrbs.averaging)](momentum.ipynb#lrbs-averaging)"


def test_equations_show_their_numbers_where_labels_are_not_shown() -> None:
    numbered = "By\n\n$$\na=b\\tag{11260.3}\n$$ (11260.3)\n\nand $$c$$ too"
    assert prose.with_equations(numbered.replace(r"\tag{11260.3}", ""), "muon") == numbered
    assert prose.with_equations(numbered, "muon") == numbered


@pytest.mark.parametrize("shown", ["Li et al. 2024", "(2024)", "2024"])
def test_links_to_sources_read_as_names_and_years(shown: str) -> None:
    prose.check_sources(f"Li et al. [{shown}](references.md#li2024)")


@pytest.mark.parametrize("link", ["[here](references.md#li2024)", "[Li 2024](references.md#li2014)"])
def test_other_links_to_sources_are_refused(link: str) -> None:
    with pytest.raises(ValueError, match="references"):
        prose.check_sources(link.replace("here", "references"))


def test_labels_of_sources() -> None:
    labels = {key: prose.label(prose.sources()[key]) for key in prose.sources()}
    assert labels["su11280"] == "Su 2025, 11280"
    assert labels["keskar2017"] == "Keskar et al. 2017"
    assert labels["balles2018"] == "Balles and Hennig 2018"
    assert len(set(labels.values())) == len(labels)
