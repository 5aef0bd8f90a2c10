"""Every check of every equation runs and passes; the errors that the book prints are those measured."""

import pytest

import lrbs
from lrbs import checks
from lrbs.checks.evidence import Evidence

NAMES = sorted({formula.check for formula in lrbs.formulas.values()})


@pytest.mark.parametrize("name", NAMES)
def test_check_passes(name: str) -> None:
    evidence = checks.find(name)()
    assert isinstance(evidence, Evidence)
    assert evidence.passed, f"\n{evidence}"


def test_run_takes_an_id() -> None:
    assert checks.run("11260.1").kind == "limit"
    with pytest.raises(ValueError, match="got 'nothing'"):
        checks.run("nothing")


def test_names_of_checks_are_found_or_refused() -> None:
    with pytest.raises(LookupError, match="nothing"):
        checks.find("nothing")
