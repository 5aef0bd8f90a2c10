"""For all tests, doctests and chapters, however pytest is called."""

import pytest
from nbval.plugin import IPyNbCell

from tools.outputs import Output, differences, stated_tolerance


def pytest_itemcollected(item: pytest.Item) -> None:
    """Cells of notebooks compare their outputs as tools.outputs does."""
    if isinstance(item, IPyNbCell):
        plain, tolerance = item.sanitize, stated_tolerance(item.cell.metadata)

        def sanitize(text: object) -> object:
            return Output(plain(text), tolerance) if isinstance(text, str) else text

        item.sanitize = sanitize


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Name the numbers and words that differ, rather than show two pages of HTML."""
    if op == "==" and isinstance(left, Output) and isinstance(right, Output):
        return differences(left, right, left.tolerance)
    return None
