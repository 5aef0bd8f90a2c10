"""The Sphinx extension that makes the reference of the package from plain docstrings."""

import html
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace

import pytest

import lrbs
from _ext.package_reference import ROOM, of_room, with_new_names

ROOT = Path(__file__).resolve().parent.parent
MODULE = '''"""Pairs |a| and eta* by 11260.3, (11260.2-3) and 11260.99, as in ``*a, |b|``::

    pair("11260.3", *rest)

Of |b| nothing.
"""
from functools import singledispatch
from typing import NamedTuple, Protocol


class Pair(NamedTuple):
    """Two numbers.

    Attributes
    ----------
    first, second : float
        Their *names*.
    """

    first: float
    second: float

    @property
    def sum(self):
        """In words: both. See 11260.3."""


class Rule(Protocol):
    """A rule."""


class Base:
    """What hides arguments."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


class Own(Base):
    """Of one size."""

    def __init__(self, size, name="own"):
        pass


@singledispatch
def pair(value, method=max):
    """A pair of anything."""


@pair.register
def _(value: int, method=max):
    pass
'''
PAGE = """# Package

$$ a = b $$ (11260.3)

$$ c = d $$ (11260.2)

```{eval-rst}
.. automodule:: pairs
   :members:
   :undoc-members:
   :exclude-members: first, second
   :member-order: bysource
```
"""


def text_of(page: str) -> str:
    body = page[page.index("<section") : page.rindex("</section>")]
    plain = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r'<a class="headerlink".*?</a>', "", body)))
    return re.sub(r"\s+", " ", plain)


def test_docstrings_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "pairs.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "index.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / '_ext')!r}, {str(tmp_path)!r}]\n"
        "extensions = ['myst_parser', 'sphinx.ext.napoleon', 'equation_ids', 'package_reference']\n"
        "myst_enable_extensions = ['dollarmath']\nmath_numfig = False\nadd_module_names = False\n"
        "autodoc_typehints = 'none'\nautodoc_preserve_defaults = True\n"
        "napoleon_use_param = False\nnapoleon_custom_sections = [['Attributes', 'params_style']]\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-W", "-q", tmp_path, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    text = text_of(page)
    assert "Pairs |a| and eta* by (11260.3), (11260.2)–(11260.3) and 11260.99, as in *a, |b|:" in text
    assert 'pair("11260.3", *rest) Of |b| nothing.' in text
    assert page.count('href="#equation-11260-3"') == 4  # its own number, two in the module, one in Pair
    assert "first, second (float) – Their names." in text
    assert "property sum In words: both. See (11260.3)." in text
    assert "class Rule A rule." in text
    assert "class Own(size, name='own') Of one size." in text
    assert text.count("pair(value") == 1 and "pair(value, method=max)" in text


# ---------------------------------------------------------------------------- the pages of the book
PAGES = sorted((ROOT / "chapters").glob("api*.md"))
ROOMS = [name for page in PAGES for name in ROOM.findall(page.read_text(encoding="utf-8"))]


def test_every_package_has_a_page_that_the_contents_list() -> None:
    packages = [f"lrbs.{info.name}" for info in iter_modules(lrbs.__path__) if info.ispkg]
    assert sorted(ROOMS) == ["lrbs", *packages]
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8").split()
    assert {f"chapters/{page.stem}" for page in PAGES} <= set(contents)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_shown(room: str) -> None:
    shown = set(re.findall(r"[\w.]+", of_room(room)))
    for name in importlib.import_module(room).__all__:
        found = getattr(importlib.import_module(room), name)
        assert {name, f"{room}.{name}"} & shown or inspect.ismodule(found) or found is lrbs.formulas


def test_a_new_name_outdates_its_page() -> None:
    now = {"lrbs.rules": of_room("lrbs.rules")}
    env = SimpleNamespace(
        metadata={"before": {"rooms": {"lrbs.rules": ""}}, "now": {"rooms": now}, "prose": {}}
    )
    assert with_new_names(None, env) == ["before"]
