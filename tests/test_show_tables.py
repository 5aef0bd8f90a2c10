"""Tables of results: the same numbers as HTML and as text, and a changed one is noticed."""

import subprocess
import sys

import pytest

from lrbs.show import table
from tools.outputs import differences

ROWS = [("SGD", "0.46 ± 0.03", "512"), ("SignSGD", "1.2 ± 0.1", "4")]
MADE = table(ROWS, ["", "slope", "B_noise"], "Slopes, ± s.e.")


def test_text_is_aligned() -> None:
    assert repr(MADE).splitlines() == [
        "Slopes, ± s.e.",
        "               slope  B_noise",
        "SGD      0.46 ± 0.03      512",
        "SignSGD    1.2 ± 0.1        4",
    ]


def test_html_has_caption_heads_and_an_anchor() -> None:
    page = MADE._repr_html_()
    assert page.startswith(f'<table class="lrbs-table" id="{MADE.name}"><caption>Slopes, ± s.e.</caption>')
    assert '<th scope="col"><i>B</i><sub>noise</sub></th>' in page
    assert '<tr><th scope="row">SGD</th><td>0.46 ± 0.03</td><td>512</td></tr>' in page
    assert "<td>&lt;.001</td>" in table([("p", "<.001")], ["", "p"], "A test.")._repr_html_()


def test_anchor_follows_words_and_not_results() -> None:
    other = [("SGD", "0.44 ± 0.02", "512"), ROWS[1]]
    assert table(other, ["", "slope", "B_noise"], "Slopes, ± s.e.").name == MADE.name
    assert table(ROWS, ["", "slope", "B"], "Slopes, ± s.e.").name != MADE.name


@pytest.mark.parametrize("form", [repr, lambda made: made._repr_html_()], ids=["text", "HTML"])
def test_stored_tables_are_compared_as_numbers_in_a_text(form) -> None:
    def changed(row: tuple[str, str, str]) -> list[str]:
        return differences(form(MADE), form(table([row, ROWS[1]], MADE.columns, MADE.caption)))

    assert changed(("SGD", "0.44 ± 0.03", "512")) == []
    assert changed(("SGD", "0.52 ± 0.03", "512"))
    assert changed(("SGD", "0.46 ± 0.03", "511"))
    assert changed(("SGDM", "0.46 ± 0.03", "512"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "one or more; got none"),
        ([("SGD", "1")], r"must have 3 cells.*got \('SGD', '1'\)"),
        ([("SGD", 0.46, "512")], r"must be text.*got 0\.46"),
    ],
)
def test_mistakes_are_named(rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        table(rows, MADE.columns, MADE.caption)


def test_a_table_needs_no_notebook() -> None:
    code = "import sys, lrbs; t = lrbs.show.table([('a', '1')], ['', 'n'], 'N.'); print(t)\n"
    code += "assert 'IPython' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "N.\n   n\na  1\n"
