"""The public docstrings, by numpydoc's validator: every argument, result and error has its line."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

import lrbs

PACKAGE = Path(lrbs.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ABSENT = {name for name in ("torch",) if find_spec(name) is None}
PACKAGES = {room.name for room in iter_modules(lrbs.__path__) if room.ispkg}
ROOMS = ["lrbs", *(f"lrbs.{name}" for name in sorted(PACKAGES - ABSENT))]
# What a reader would miss. On how sentences begin, and whether there is an example, numpydoc has views too.
CODES = {
    "GL03": "two blank lines: a page shows a gap",
    "GL06": "a section of an unknown name, which pages would show as prose",
    "GL07": "sections out of the usual order, in which readers look for them",
    "GL08": "no docstring",
    "SS01": "no summary, of which tables of names are made",
    "SS03": "a summary that is no sentence",
    "SS06": "a summary of two lines, of which tables show one",
    "PR01": "an argument that is not described",
    "PR02": "a description of an argument that is gone",
    "PR03": "arguments in another order than in the signature",
    "PR04": "an argument without a type: signatures on pages show none",
    "RT01": "something is returned, and not said what",
    "YD01": "something is yielded, and not said what",
}
ELSEWHERE = re.compile(r"\b(as|see) (there|above)\b|\bas for (:|the class)", re.I)
# Of lrbs.validation.
REFUSE = {"count", "fraction", "non_negative", "none_negative", "positive", "symmetric_matrix", "vector"}


class Described(Validator):
    """Fields of a class may stand among its attributes, and a protocol is not called."""

    def __init__(self, obj_name: str) -> None:
        super().__init__(get_doc_object(PUBLIC[obj_name]))

    @property
    def doc_all_parameters(self) -> dict[str, Any]:
        told = super().doc_all_parameters
        if inspect.isclass(self.obj):
            fields = self._doc_parameters(["Attributes"])
            told |= {name: fields[name] for name in self.signature_parameters if name in fields.keys() - told}
        return told

    @property
    def signature_parameters(self) -> tuple[str, ...]:
        return () if getattr(self.obj, "_is_protocol", False) else super().signature_parameters


def public() -> Iterator[tuple[str, Any]]:
    """Functions, classes and their public methods, each once, by where their docstrings stand."""
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isfunction(found):
                yield f"{found.__module__}.{found.__qualname__}", found
            if inspect.isclass(found):
                yield f"{found.__module__}.{found.__qualname__}", found
                for method in dir(found):
                    if not method.startswith("_"):
                        yield from documented(found, method)


def documented(cls: type, name: str) -> Iterator[tuple[str, Any]]:
    """A method or property of a class of this package, where it or the first of its bases describes it."""
    owners = [base for base in cls.__mro__ if name in vars(base) and base.__module__.startswith("lrbs.")]
    members = [(owner, getattr(owner, name)) for owner in owners]
    members = [pair for pair in members if inspect.isroutine(pair[1]) or isinstance(pair[1], property)]
    for owner, member in [pair for pair in members if pair[1].__doc__][:1] or members[:1]:
        yield f"{owner.__module__}.{owner.__qualname__}.{name}", member


def may_refuse(found: Any) -> bool:
    """Whether the code of a function, or of how a class is made, raises an error that bad input can cause."""
    if getattr(found, "_is_protocol", False):
        return False
    if inspect.isclass(found):
        made = [vars(found)[name] for name in ("__init__", "__post_init__") if name in vars(found)]
        return any(may_refuse(function) for function in made)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(found, "fget", found)))))
    except (OSError, TypeError):  # such as what a dataclass makes
        return False
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    raised = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return bool(calls & REFUSE) or any(error != "raise NotImplementedError" for error in raised)


PUBLIC = dict(sorted(public()))


@pytest.mark.parametrize("path", PUBLIC)
def test_sections(path: str) -> None:
    errors = dict(validate(path, validator_cls=Described)["errors"])
    assert not {f"{code}: {text}" for code, text in errors.items() if code in CODES}


@pytest.mark.parametrize("path", [path for path, found in PUBLIC.items() if may_refuse(found)])
def test_errors_are_told(path: str) -> None:
    """Of a function or class whose own code refuses something, by itself or through lrbs.validation."""
    assert Described(path).doc["Raises"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_docstring_sends_readers_elsewhere(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = re.sub(r"\s+", " ", ast.get_docstring(node) or "")
            assert not ELSEWHERE.search(text), text
