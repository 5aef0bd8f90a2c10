"""Errata and validity: each finding has a check that passes, measured numbers, and a fair hearing."""

import re
from itertools import chain

import pytest

from lrbs import checks, formulas
from lrbs.checks import Comparison, Evidence, Validity, findings
from lrbs.checks.evidence import missed, stated

WITHOUT_SOURCE = ("10563", "11267", "11285")  # articles that were not at hand


@pytest.mark.parametrize("law", checks.validity(), ids=lambda law: law.law)
def test_a_law_says_how_far_it_can_be_trusted(law):
    assert law.ids and set(law.ids) <= set(formulas)
    assert callable(checks.find(law.breaks))
    assert not re.search(r"\{\w+[:[]", law.measured)
    assert findings.with_figures(law.assumptions) == law.assumptions


@pytest.mark.parametrize("erratum", checks.errata(), ids=lambda erratum: erratum.where)
def test_an_erratum_quotes_and_says_how_sure_it_is(erratum):
    assert callable(checks.find(erratum.check))
    assert bool(erratum.quotation) is not erratum.where.startswith(WITHOUT_SOURCE)
    for text in (erratum.says, erratum.finds, erratum.sure):
        assert text and text.count("$") % 2 == 0
        plain = re.sub(r"\$[^$]*\$", "x", text)
        assert not re.search(r"[_^\\|]|[α-ωΑ-Ω∞√·≈≤≥]", re.sub(r"\{[^{}]*\}|`[^`]*`", "x", plain)), plain
        assert text.endswith((".", ".)", "!"))
    assert "{check" not in erratum.found
    assert not findings.FIGURE.search(erratum.found)
    assert re.fullmatch(r"erratum_\w+", erratum.anchor)


def test_small_figures_are_written_with_a_power_of_ten():
    text = "{epsilon_is_a_gradient[ϵ = 10 g²: missing from 1]:.0e} short"
    assert findings.with_figures(text) == "5×10⁻⁵ short"


def test_errata_stand_in_the_order_of_their_numbers_and_at_one_place_each():
    errata = checks.errata()
    places = [erratum.where for erratum in errata]
    assert places.index("10542.d6, remark 4") < places.index("10542.d10") < places.index("10542.d49")
    assert len({erratum.anchor for erratum in errata}) == len(errata)


def test_an_erratum_of_an_equation_differs_from_one_beside_it():
    of_equations = {erratum.where for erratum in checks.errata() if erratum.of_an_equation}
    assert {"11280.9", "10563.18", "10542.d49"} <= of_equations
    beside = next(e for e in checks.errata() if e.where.endswith("after 11301.22"))
    assert beside.ids == ("11301.22",) and not beside.of_an_equation
    assert next(e for e in checks.errata() if "d1 to" in e.where).ids == ("10542.d1", "10542.d3")


def test_a_row_of_the_formula_index_leads_to_each_erratum_of_the_author():
    for erratum in checks.errata():
        assert erratum.hand != "author" or set(erratum.ids) & set(formulas), erratum.where


def test_the_articles_and_the_other_hands_are_told_apart():
    for erratum in checks.errata():
        derivation = re.match(r"10542\.d\d", erratum.where)
        assert (erratum.hand == "annotations") is bool(derivation)
        assert (erratum.hand == "questions and answers") is ("answers" in erratum.where)


def test_texts_take_their_figures_from_the_checks(monkeypatch):
    rows = (
        Comparison("a: b, E[m]", 1.0, 2.0),
        stated("in print", 0.25, 0.2499, 0.1),
        missed("law", 0.4, 1.0, -0.6),
    )
    monkeypatch.setattr(findings, "evidence_of", {"some_check": Evidence("approximation", rows)}.__getitem__)
    text = (
        r"$\frac{a}{b}$: {some_check:.0%}, {some_check[a: b, E[m]]:.1f}, {some_check[in print]:.3f}, "
        "{some_check[law]:.1%}, {some_check[law]:x}"
    )
    assert findings.with_figures(text) == r"$\frac{a}{b}$: 60 %, 2.0, 0.250, 60.0 %, 0.4"
    assert Validity("law", (), "", "", text, "").measured == findings.with_figures(text)
    with pytest.raises(LookupError, match=r"no quantity is named 'none'.*'in print'"):
        findings.with_figures("{some_check[none]:.1f}")


def test_texts_of_laws_are_sentences_for_a_page():
    laws = [(each.law, each.assumptions, each.status, each.error) for each in checks.validity()]
    for text in chain(*laws):
        assert not re.match("[a-z]{2}", text), text  # but one letter may be a symbol
        words = findings.FIGURE.sub("", text)
        assert not re.search(r"\b(beta|eta|sigma|mu|rho)(_|\*|\^|\b)|->|>=|<=|sqrt", words, re.I), text
