"""Errata and validity: every finding has a check that passes, and numbers that are measured."""

import re
from itertools import chain

import pytest

from lrbs import checks, formulas
from lrbs.checks import errata, find, mean_field, older_route


@pytest.mark.parametrize("module", [mean_field, older_route])
def test_findings(module):
    for erratum in module.ERRATA:
        assert find(erratum.check)().passed
    for validity in module.VALIDITY:
        assert set(validity.ids) <= set(formulas)
        assert callable(find(validity.breaks))
        assert "{" not in validity.measured


def test_texts_are_sentences_for_a_page():
    laws = [(each.law, each.assumptions, each.status, each.error) for each in checks.validity()]
    errors = [(each.says, each.finds) for each in checks.errata()]
    for text in chain(*laws, *errors):
        assert not re.match("[a-z]{2}", text), text  # but one letter may be a symbol
        assert not re.search(r"\b(beta|eta|sigma|mu|rho)(_|\*|\^|\b)|->|>=|<=|sqrt", text, re.I), text


def test_errata_are_sentences_in_the_order_of_their_numbers():
    places = [erratum.where for erratum in errata()]
    assert places.index("10542.d6, remark") < places.index("10542.d10") < places.index("10542.d36")
    for erratum in errata():
        for text in (erratum.says, erratum.finds):
            # A first letter that is a symbol would read as another symbol if a page made it a capital.
            assert not text[0].islower(), erratum.where
            assert text.endswith((".", ".)")), erratum.where
