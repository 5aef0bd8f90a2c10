"""For all tests, doctests and chapters, however pytest is called."""

import os
from collections import Counter
from functools import cache
from importlib.util import find_spec

import pytest
from _pytest.doctest import DoctestItem
from nbval.plugin import IPyNbCell

from tools.outputs import Output, differences, stated_tolerance

NO_TORCH = "no PyTorch; make torch installs it"
NO_SANDBOX = "no sandbox works here; install bubblewrap"
NBVAL_SKIP = "cells that students fill in; the masters of assignments ran"  # nbval gives no reason
# Modules that import PyTorch at their head: pytest imports all it looks into for doctests.
collect_ignore_glob = [] if find_spec("torch") else ["lrbs/torch/[!_]*.py"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Cells of notebooks keep their order, and compare their outputs as tools.outputs does."""
    if isinstance(item, IPyNbCell):
        item.add_marker(pytest.mark.random_order(disabled=True))
        plain = item.sanitize

        def sanitize(text: object) -> object:
            return (
                Output(plain(text), stated_tolerance(item.cell.metadata)) if isinstance(text, str) else text
            )

        item.sanitize = sanitize


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Name the numbers and words that differ, rather than show two pages of HTML."""
    if op == "==" and isinstance(left, Output) and isinstance(right, Output):
        return differences(left, right, left.tolerance)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out tests that need PyTorch or a sandbox where there is none, or fail them if it is required."""
    marked = item.get_closest_marker("torch") is not None
    if isinstance(item, DoctestItem):
        marked = any("torch" in example.source for example in item.dtest.examples)
    if marked and find_spec("torch") is None:
        if os.environ.get("TORCH_TESTS") == "required":
            pytest.fail(NO_TORCH, pytrace=False)
        pytest.skip(NO_TORCH)
    if item.get_closest_marker("sandbox") is not None and not sandbox_works():
        if os.environ.get("SANDBOX_TESTS") == "required":
            pytest.fail(NO_SANDBOX, pytrace=False)
        pytest.skip(NO_SANDBOX)


@cache
def sandbox_works() -> bool:
    """Whether notebooks of others can be run here, found by trying."""
    from lrbs.coursework.sandbox import Limits, NoSandbox, choose

    try:
        choose(Limits())
    except NoSandbox:
        return False
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    reasons[NBVAL_SKIP] = reasons.pop("Skipped", 0)
    for reason, number in (+reasons).items():
        terminalreporter.write_line(f"left out: {number} {'test' if number == 1 else 'tests'} ({reason})")
