"""What checks return: verdicts that can be negative, and tables that print the same everywhere."""

import dataclasses
import html.parser
from dataclasses import replace

import numpy as np
import pytest

import lrbs
from lrbs import checks
from lrbs.checks import Comparison, Evidence
from lrbs.checks.comparison import Miss
from lrbs.checks.evidence import against_sample, holds, missed, stated

NAN = float("nan")


@pytest.mark.parametrize(
    ("comparison", "passed", "verdict"),
    [
        (Comparison("rounding", 1.0, 1.0 + 1e-12), True, "rounding ok"),
        (Comparison("equal", 0.0, 0.0), True, "rounding ok"),
        (Comparison("a millionth", 1.0, 1.0 + 1e-6), False, "< 0.001 % FAILS"),
        (Comparison("relative", 1.04, 1.0, tolerance=0.05), True, "4 % ok"),
        (Comparison("relative", 1.06, 1.0, tolerance=0.05), False, "6 % FAILS"),
        (Comparison("of the larger", 104.0, 100.0, tolerance=0.0385), True, "4 % ok"),
        (Comparison("negative", -104.0, -100.0, tolerance=0.05), True, "4 % ok"),
        (Comparison("small but relative", 1e-8, 2e-8), False, "50 % FAILS"),
        (Comparison("absolute", 1e-8, 2e-8, tolerance=1e-7, absolute=True), True, "1e-8 ok"),
        (Comparison("absolute", 100.0, 100.5, tolerance=0.4, absolute=True), False, "0.5 FAILS"),
        (Comparison("against zero", 0.3, 0.0, tolerance=0.5, absolute=True), True, "0.3 ok"),
        (Comparison("standard errors", 1.0, 1.39, standard_error=0.1), True, "3.9 s.e. ok"),
        (Comparison("standard errors", 1.0, 1.41, standard_error=0.1), False, "4.1 s.e. FAILS"),
        (Comparison("fewer", 1.0, 1.39, standard_error=0.1, tolerance=3), False, "3.9 s.e. FAILS"),
        (Comparison("none", 1.0, 1.01, standard_error=0.1, tolerance=0), False, "0.1 s.e. FAILS"),
        (Comparison("no spread", 1.0, 1.0, standard_error=0.0), True, "0.0 s.e. ok"),
        (Comparison("no spread", 1.0, 2.0, standard_error=0.0), False, "inf s.e. FAILS"),
        (Comparison("nan", NAN, 1.0), False, "nan % FAILS"),
        (Comparison("nan", 1.0, NAN, standard_error=0.1), False, "nan s.e. FAILS"),
        (Comparison("nan", 1.0, 1.1, standard_error=NAN), False, "nan s.e. FAILS"),
    ],
    ids=lambda value: value.quantity if isinstance(value, Comparison) else "",
)
def test_verdicts(comparison, passed, verdict):
    assert comparison.passed is passed
    assert comparison.verdict == verdict
    numpy = dataclasses.replace(
        comparison, formula=np.float64(comparison.formula), reference=np.asarray(comparison.reference)
    )
    assert numpy.passed is passed


def test_differences():
    comparison = Comparison("q", 1.5, 2.0)
    assert comparison.difference == -0.5
    assert comparison.relative == 0.25
    assert Comparison("q", -1.0, 0.0).relative == 1.0


def test_a_sample_as_a_reference(rng):
    sample = rng.standard_normal(100) + 3
    comparison = against_sample("mean", 3.0, sample)
    assert comparison.reference == pytest.approx(sample.mean())
    assert comparison.standard_error == pytest.approx(sample.std(ddof=1) / 10)
    assert stated("figure", 0.5, np.float64(0.51), 0.05).passed
    assert not stated("figure", 0.5, np.float64(0.6), 0.05).passed


@pytest.mark.parametrize(
    ("miss", "passed", "verdict"),
    [
        (missed("too small", 0.38, 1.0, -0.62, 0.02), True, "-62 %, as stated"),
        (missed("too small", 0.38, 1.0, -0.5, 0.02), False, "-62 %, not -50 %: FAILS"),
        (missed("right after all", 1.0, 1.0, -0.62, 0.02), False, "+0 %, not -62 %: FAILS"),
        (missed("a factor", 189.0, 1.0, 188.0, 0.01), True, "a factor 189, as stated"),
        (missed("twice", 2.0, 1.0, 1.0), True, "a factor 2, as stated"),
        (missed("of the larger", 0.5, 1.0, -0.48, 0.05), True, "-50 %, as stated"),
        (missed("negative truth", -16.0, -2.0, 7.0, 0.01), True, "a factor 8, as stated"),
        (missed("absolute", 0.6, 0.5, 0.1, 1e-6, absolute=True), True, "+0.1, as stated"),
        (missed("absolute", 0.6, 0.5, 0.2, 1e-6, absolute=True), False, "+0.1, not +0.2: FAILS"),
        (missed("random", 1.2, (1.0, 0.02), 0.25), True, "+20 %, as stated"),
        (missed("random", 1.2, (1.0, 0.02), 0.35), False, "+20 %, not +35 %: FAILS"),
        (missed("nan", NAN, 1.0, 0.1, 0.1), False, "nan %, not +10 %: FAILS"),
    ],
    ids=lambda value: value.quantity if isinstance(value, Comparison) else "",
)
def test_a_law_that_misses_must_miss_by_as_much_as_the_book_says(miss, passed, verdict):
    assert isinstance(miss, Miss)
    assert miss.passed is passed
    assert miss.verdict.replace("a factor nan", "nan %") == verdict


def test_a_claim_holds_or_does_not_and_shows_no_number():
    assert holds("rises", True).passed and holds("rises", np.True_).verdict == "holds"
    assert not holds("rises", False).passed
    text = str(Evidence("identity", (Comparison("x", 2.0, 2.0), holds("y only rises", True))))
    assert text.splitlines()[2].split() == ["y", "only", "rises", "holds"]


def test_the_error_of_an_approximation_is_that_of_the_law_that_misses():
    agrees = Comparison("one form and another", 1.0, 1.0)
    law = missed("law", 0.38, 1.0, -0.62, 0.02)
    figure = stated("as in print", 0.5, 0.51, 0.05)
    assert Evidence("approximation", (agrees, law, figure)).error == pytest.approx(0.62)
    assert Evidence("identity", (agrees, figure)).error == 0  # a rounded figure is no error of the formula
    assert Evidence("published number", (figure,)).error == pytest.approx(0.01 / 0.51)
    algebra = Evidence("algebra only", (agrees,), where="of the law's own peak")
    assert algebra.measured == "forms agree to rounding; of the law's own peak"
    assert Evidence("algebra only", (GOOD,)).measured == "forms agree within 20 %"


GOOD, BAD = Comparison("slope", 1.0, 1.25, tolerance=0.3), Comparison("depth < 1 & more", 1.0, 2.0)
RANDOM = Comparison("mean", 2.0, 2.02, standard_error=0.01)


def test_evidence_is_as_good_as_its_worst_comparison():
    assert Evidence("limit", (GOOD,)).passed
    assert not Evidence("limit", (GOOD, BAD)).passed
    assert Evidence("limit", (GOOD, BAD)).error == 0.5
    assert Evidence("approximation", (GOOD,), error=0.07).error == 0.07


def test_evidence_must_be_able_to_fail():
    with pytest.raises(ValueError, match="comparisons must not be empty"):
        Evidence("limit", ())
    random_miss = missed("law", 1.2, (1.0, 0.01), 0.2)
    for rows in ((GOOD,), (GOOD, random_miss)):
        with pytest.raises(ValueError, match="comparisons must hold a standard error"):
            Evidence("Monte Carlo", rows)


def test_text_table():
    text = str(Evidence("approximation", (GOOD, BAD, RANDOM), error=0.0644, where="B near 3"))
    assert text.splitlines() == [
        "                  formula    reference   difference",
        "slope                   1         1.25      20 % ok",
        "depth < 1 & more        1            2   50 % FAILS",
        "mean                    2  2.02 ± 0.01  2.0 s.e. ok",
        "against the truth: largest error 6.4 % (B near 3); FAILED",
    ]
    assert repr(Evidence("limit", (GOOD,))) == str(Evidence("limit", (GOOD,)))
    assert str(Evidence("identity", (Comparison("x", 1.0, 1.0),))).endswith(": no error but rounding; passed")


def test_rows_stand_below_heads_of_their_kind():
    rows = (GOOD, stated("in print", 0.5, 0.51, 0.05), missed("law", 0.5, 1.0, -0.5), GOOD)
    evidence = Evidence("approximation", rows)
    assert str(evidence).splitlines() == [
        "           formula  reference        difference",
        "slope            1       1.25           20 % ok",
        "slope            1       1.25           20 % ok",
        "          the book   this run        difference",
        "in print       0.5       0.51            2 % ok",
        "               law      truth            off by",
        "law            0.5          1  -50 %, as stated",
        "against the truth: off by 50 %; as stated",
    ]
    page = evidence._repr_html_()
    for head in ("formula", "the book", "off by"):
        assert page.count(f"<th>{head}</th>") == 1


def test_monte_carlo_counts_in_standard_errors():
    wide = Comparison("other", 1.0, 1.0, standard_error=0.02)
    evidence = Evidence("Monte Carlo", (RANDOM, wide, GOOD))
    assert evidence.measured == "off by 2.0 standard errors at most, of 2 % or less"


def test_a_law_that_misses_beside_a_formula_that_holds_is_named_in_the_line():
    rows = (RANDOM, missed("law", 0.38, 1.0, -0.62, 0.02), missed("other", 1.1, 1.0, 0.1))
    line = str(Evidence("Monte Carlo", rows)).splitlines()[-1]
    assert line.endswith("of 0.5 % or less; a law beside it is off by -62 %, as stated; passed")


def test_an_absolute_error_is_no_percentage():
    evidence = Evidence("approximation", (GOOD,), error=0.4225, where="B = 1", absolute=True)
    assert evidence.measured == "largest error 0.42 (absolute; B = 1)"
    evidence = Evidence("limit", (Comparison("slope", 2.0, 4.0), GOOD), absolute=True)
    assert evidence.error == 2.0  # the largest difference; relative it were a half
    assert evidence.measured == "largest error 2 (absolute)"


class Cells(html.parser.HTMLParser):
    """Collects the text of each cell; complains of tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        assert not {"id"} & {name for name, _ in attributes}  # nothing that could differ from run to run

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_table_says_the_same():
    evidence = Evidence("approximation", (GOOD, BAD, RANDOM), where="B_noise < 3")
    page = evidence._repr_html_()
    assert "<i>B</i><sub>noise</sub> &lt; 3" in page
    assert "&lt; 1 &amp; more" in page
    cells = Cells()
    cells.feed(page.replace("<i>B</i><sub>noise</sub>", "B_noise"))
    assert cells.open == []
    for cell in ("slope", "1.25", "20 % ok", "depth < 1 & more", "2.02 ± 0.01", "2.0 s.e. ok"):
        assert cell in cells.texts
    assert (
        cells.texts[0] == f"{str(evidence).splitlines()[-1]} (table)"
    )  # the line that is seen when the table is folded
    assert page.startswith('<details class="lrbs-check"><summary>')
    assert '<details class="lrbs-check" open>' in replace(evidence, folded=False)._repr_html_()
    assert page == evidence._repr_html_()


def test_tables_that_are_news_stay_open():
    assert " open>" in checks.find("opposed_noise")()._repr_html_()
    assert " open>" not in checks.run("11260.3")._repr_html_()
    assert " open>" in checks.run("11260.3", folded=False)._repr_html_()


def test_numbers_are_short():
    rows = [Comparison("q", value, value) for value in (0.0, 123456.789, 1e-7, -2.5e9, 3.14159265)]
    text = str(Evidence("identity", tuple(rows)))
    for shown in ("123500", "1e-7", "-2.5e+9", "3.142"):
        assert shown in text


def test_run_finds_the_check_of_an_equation():
    evidence = checks.run("11260.3")
    assert isinstance(evidence, Evidence)
    assert evidence.passed
    assert str(evidence) == str(checks.find(lrbs.formulas["11260.3"].check)())


def test_run_refuses_an_unknown_equation():
    with pytest.raises(ValueError, match=r"id must be that of an equation.*got '0\.0'"):
        checks.run("0.0")
    with pytest.raises(LookupError, match="no check is named 'Comparison'"):
        checks.find("Comparison")
    with pytest.raises(LookupError, match="no check is named 'nonsense'"):
        checks.find("nonsense")
