"""The catalogue: each line names a function and a chapter that exist, and docstrings name the equations."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrbs.equations import Formula, load, resolve

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
ID = re.compile(r"(?<![\w.])(?:\d{5}|lrbs)\.[a-z]?[\w-]+")
FUNCTIONS = sorted({formula.function for formula in load().values()})


@pytest.mark.parametrize("path", FUNCTIONS)
def test_every_function_exists(path: str) -> None:
    assert callable(resolve(path))


@pytest.mark.parametrize("path", FUNCTIONS)
def test_docstrings_name_their_equations(path: str) -> None:
    """Each equation that repeats no other stands in the docstring of its function."""
    told = set(ID.findall(inspect.getdoc(resolve(path)) or ""))
    ids = {id for id, formula in load().items() if formula.function == path and not formula.repeats}
    assert ids <= told | ranges(inspect.getdoc(resolve(path)) or ""), f"add Source: to {path}"


def ranges(text: str) -> set[str]:
    """Ids within ranges such as 11280.4-6."""
    found = re.findall(r"(\d{5})\.(\d+)-(\d+)", text)
    return {f"{article}.{n}" for article, low, high in found for n in range(int(low), int(high) + 1)}


def test_repeated_equations_are_known() -> None:
    formulas = load()
    for formula in formulas.values():
        assert formula.repeats in {"", *formulas}
        assert (CHAPTERS / f"{formula.chapter}.ipynb").exists()


def test_what_does_not_exist_is_told() -> None:
    with pytest.raises(LookupError, match=r"lrbs\.step has no nothing"):
        resolve("lrbs.step.nothing")
    with pytest.raises(LookupError, match="there is no module nowhere"):
        resolve("nowhere.at.all")


def test_catalogue_is_read_only_and_complete() -> None:
    assert isinstance(load()["11260.3"], Formula)
    with pytest.raises(TypeError):
        load()["11260.3"] = load()["11260.1"]  # type: ignore[index]


def test_command_lists_the_catalogue() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "lrbs", "formulas", "--json"], capture_output=True, text=True, check=True
    )
    entries = json.loads(run.stdout)
    assert [entry["id"] for entry in entries] == list(load())
    assert {"id", "function", "chapter", "check"} <= set(entries[0])
