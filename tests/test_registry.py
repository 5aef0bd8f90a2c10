"""The registry: what it records, what it refuses."""

import json
import re

import pytest

import lrbs
from lrbs import registry


@pytest.fixture
def empty(monkeypatch):
    """A registry without entries, for the length of one test."""
    entries: dict[str, registry.Formula] = {}
    monkeypatch.setattr(registry, "_formulas", entries)
    return entries


def test_a_function_is_returned_unwrapped(empty):
    def area(side):
        return side**2

    assert (
        registry.formula("1.1", title="Area", tex="a^2", chapter="squares", check="by_counting")(area) is area
    )
    entry = empty["1.1"]
    assert entry.function is area
    assert entry.function_name == f"{__name__}.test_a_function_is_returned_unwrapped.<locals>.area"
    assert entry.as_dict() == {
        "id": "1.1",
        "title": "Area",
        "tex": "a^2",
        "function": entry.function_name,
        "chapter": "squares",
        "check": "lrbs.checks.by_counting",
        "repeats": "",
    }


def test_a_repetition_takes_what_it_does_not_say(empty):
    @registry.formula("2.1", repeats="1.1", chapter="cubes")
    @registry.formula("2.2", repeats="1.1", chapter="cubes", tex="x^2", check="by_weighing", title="Surface")
    @registry.formula("1.1", title="Area", tex="a^2", chapter="squares", check="by_counting")
    def area(side):
        return side**2

    same, other = empty["2.1"], empty["2.2"]
    assert (same.title, same.tex, same.check, same.chapter) == ("Area", "a^2", "by_counting", "cubes")
    assert (other.title, other.tex, other.check) == ("Surface", "x^2", "by_weighing")
    assert same.function is area
    assert same.repeats == other.repeats == "1.1"
    assert list(empty) == ["1.1", "2.2", "2.1"]


def test_under_a_property(empty):
    class Square:
        @property
        @registry.formula("1.1", title="Area", tex="a^2", chapter="squares", check="by_counting")
        def area(self):
            return 4

    assert Square().area == 4
    assert empty["1.1"].function_name.endswith("Square.area")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"id": "1.1", "title": "t", "tex": "x", "check": "c"},
            "formula '1.1' is registered already, for .*first",
        ),
        ({"id": "2.1", "repeats": "3.1"}, "formula '2.1' repeats '3.1', which is not registered"),
        ({"id": "2.1", "tex": "x", "check": "c"}, "formula '2.1' needs title"),
        ({"id": "2.1", "title": "t", "check": "c"}, "formula '2.1' needs tex"),
        ({"id": "2.1", "title": "t", "tex": "x"}, "formula '2.1' needs check"),
    ],
)
def test_bad_input(empty, fields, message):
    @registry.formula("1.1", title="t", tex="x", chapter="c", check="c")
    def first():
        pass

    with pytest.raises(ValueError, match=message):
        registry.formula(fields.pop("id"), chapter="c", **fields)(first)
    assert list(empty) == ["1.1"]


def test_the_public_mapping_is_read_only():
    with pytest.raises(TypeError):
        lrbs.formulas["1.1"] = None  # type: ignore[index]


def test_entries_are_complete():
    assert lrbs.formulas
    for id, entry in lrbs.formulas.items():
        assert entry.id == id
        assert re.fullmatch(r"(\d{5}|lrbs)\.[\w-]+", id)
        assert callable(entry.function)
        assert re.fullmatch(r"lrbs\.[\w.]+", entry.function_name)
        assert re.fullmatch(r"[a-z-]+", entry.chapter)
        assert re.fullmatch(r"[a-z_0-9]+", entry.check)
        assert entry.title[0].isupper() and not entry.title.endswith(".")
        assert entry.tex.count("{") == entry.tex.count("}")
        assert entry.repeats == "" or entry.repeats in lrbs.formulas
        json.dumps(entry.as_dict())


def test_a_repetition_is_the_same_function():
    for entry in lrbs.formulas.values():
        if entry.repeats:
            assert entry.function is lrbs.formulas[entry.repeats].function


STATUS_QUO = [
    *(f"11260.{n}" for n in range(1, 10)),
    "10542.1",
    *(f"10542.{n}" for n in range(6, 15)),
]


@pytest.mark.parametrize("id", STATUS_QUO)
def test_the_equations_of_the_first_chapter_are_registered(id):
    assert lrbs.formulas[id].chapter == "status-quo"
