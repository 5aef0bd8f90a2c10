"""Errata and validity: every finding has a check that passes, and numbers that are measured."""

import pytest

from lrbs import formulas
from lrbs.checks import find, mean_field, older_route


@pytest.mark.parametrize("module", [mean_field, older_route])
def test_findings(module):
    for erratum in module.ERRATA:
        assert find(erratum.check)().passed
    for validity in module.VALIDITY:
        assert set(validity.ids) <= set(formulas)
        assert callable(find(validity.breaks))
        assert "{" not in validity.measured
