"""What every page owes its reader: numbers, the effort of exercises and of runs, an early first paint."""

import base64
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest

from tools import execute, prose

sys.path.insert(0, str(Path(__file__).parent.parent / "_ext"))
import moved_pages
import page_foot
import quick_pages

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
EXERCISE = re.compile(r"^`{3,}\{exercise\} (.*)\n:label: (\S+)$", re.MULTILINE)
EFFORT = re.compile(r" ★{1,3} \d+ min$")
HINT = ":::{admonition} Hint\n:class: dropdown tip\n"


def text(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


# ---------------------------------------------------------------------------- exercises


@each_notebook
def test_every_exercise_says_how_hard_and_how_long_it_is(path: Path) -> None:
    for title, label in EXERCISE.findall(text(path)):
        assert EFFORT.search(title), f"{label}: a title ends like 'Half-way ★★ 15 min'; this is {title!r}"
    assert text(path).count("{exercise}") == len(EXERCISE.findall(text(path)))


@each_notebook
def test_every_hint_is_folded_in_one_form(path: Path) -> None:
    open_hints = text(path).replace(HINT, "")
    assert not re.findall(
        r"(?i)^(?:\W*hints?\b(?!$).*|.*\*hint\b.*|:::.*\bhint\b.*)$", open_hints, re.MULTILINE
    )


@each_notebook
def test_every_exercise_that_is_not_open_has_a_solution(path: Path) -> None:
    solved = re.findall(r"\{solution\} (\S+)", text(path))
    asked = [label for title, label in EXERCISE.findall(text(path)) if not title.startswith("Open: ")]
    assert set(asked) <= set(solved)


CONF = """import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_parser", "sphinx_external_toc", "sphinx_exercise", "page_numbers"]
project = title = "A book"
html_theme = "basic"
numfig = True
numfig_secnum_depth = 1
"""
PAGE = """# {name}

## A section

```{{figure}} a.png
:name: fig-{name}
Drawn.
```

```{{raw}} html
<figure class="lrbs-live" id="live-{name}"><img alt="a picture"><figcaption>Live.</figcaption></figure>
```

```{{exercise}} Half-way ★★ 15 min
:label: ex-{name}
Ask.
```

```{{solution}} ex-{name}
Answer.
```
"""


CONTENTS = """format: jb-book
root: index
parts:
  - {numbered: 1, chapters: [{file: a, sections: [{file: b}]}]}
  - {numbered: 1, chapters: [{file: c}]}
  - {chapters: [{file: d}, {file: chapters/notation}]}
"""


def built(folder: Path) -> dict[str, str]:
    """HTML of its pages, by name."""
    command = [sys.executable, "-m", "sphinx", "-W", "-q", folder, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: (folder / "html" / f"{name}.html").read_text("utf-8") for name in "abcd"}


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Each is built once, in whatever order its tests come."""
    return cache(lambda kind: book_of(tmp_path_factory.mktemp("book"), kind))


@pytest.fixture(params=["anew", "again"])
def book(request: pytest.FixtureRequest, books: Callable[[str], dict[str, str]]) -> dict[str, str]:
    return books(request.param)


def book_of(folder: Path, kind: str) -> dict[str, str]:
    """Of two numbered parts, in the first of which a page has one below it, and one that is not numbered."""
    (folder / "conf.py").write_text(CONF.format(ext=str(ROOT / "_ext")), encoding="utf-8")
    (folder / "_toc.yml").write_text(CONTENTS, encoding="utf-8")
    (folder / "index.md").write_text("# A book\n", encoding="utf-8")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "chapters").mkdir()
    (folder / "chapters" / "notation.md").write_text("# Notation\n", encoding="utf-8")
    for name in "abcd":
        (folder / f"{name}.md").write_text(PAGE.format(name=name), encoding="utf-8")
    pages = built(folder)
    if kind == "again":
        (folder / "a.md").write_text(PAGE.format(name="a") + "\nMore.\n", encoding="utf-8")
        pages = built(folder)
    return pages


@pytest.mark.parametrize(("page", "number"), [("a", 1), ("b", 2), ("c", 3)])
def test_pages_figures_and_exercises_are_numbered_through(
    book: dict[str, str], page: str, number: int
) -> None:
    assert f'<h1><span class="section-number">{number}. </span>' in book[page]
    assert f"<title>{number}. {page} " in book[page] and "<h2>A section" in book[page]
    shown = re.findall(r'caption-number">([^<]*) <', book[page])
    assert shown == [f"Fig. {number}.1", f"Fig. {number}.2", f"Exercise {number}.1"]
    assert f'<a class="headerlink" href="#live-{page}" title="Link to this figure">' in book[page]
    assert f'<a class="headerlink" href="#ex-{page}" title="Link to this exercise">' in book[page]


def test_a_part_that_is_not_numbered_has_pages_without_numbers(book: dict[str, str]) -> None:
    assert "section-number" not in book["d"].partition("<h1>")[2].partition("</h1>")[0]


def test_stars_are_read_out_and_lead_to_the_legend(book: dict[str, str]) -> None:
    assert (
        '<a class="lrbs-effort" href="chapters/notation.html#exercises">'
        '<span role="img" aria-label="difficulty 2 of 3">★★☆</span> 15 min</a>'
    ) in book["a"]
    assert "★" not in re.findall(r"Solution to.*?</p>", book["a"], re.DOTALL)[0]
    assert "\n## Exercises\n" in (ROOT / "chapters" / "notation.md").read_text("utf-8")


# ---------------------------------------------------------------------------- what a run costs


@each_notebook
def test_every_chapter_says_what_a_run_of_it_costs(path: Path) -> None:
    if "*Reading: about" in text(path):
        cost = nbformat.read(path, as_version=4).metadata.lrbs.cost
        assert cost["seconds"] > 0 and cost["megabytes"] > 10
        assert re.search(
            r"\*Reading: about \d+ minutes\. Running: about [\d.]+ (s|minutes) .* (MB|GB)\. ", text(path)
        )


@pytest.mark.parametrize(
    ("seconds", "stored", "shown"),
    [
        (23.0, None, 20),
        (23.0, 20, 20),
        (29.0, 20, 20),
        (31.0, 20, 30),
        (14.0, 20, 20),
        (13.0, 20, 10),
        (0.2, 1, 1),
    ],
)
def test_costs_are_coarse_and_stay(seconds: float, stored: int | None, shown: int) -> None:
    before = None if stored is None else {"seconds": stored}
    assert execute.steady({"seconds": seconds}, before) == {"seconds": shown}


def test_costs_follow_the_time_of_reading() -> None:
    written = prose.with_cost("*Reading: about 25 minutes. You need.*", {"seconds": 20, "megabytes": 300})
    assert written == "*Reading: about 25 minutes. Running: about 20 s of a processor, 300 MB. You need.*"
    again = prose.with_cost(written, {"seconds": 300, "megabytes": 2000})
    assert again == "*Reading: about 25 minutes. Running: about 5 minutes of a processor, 2 GB. You need.*"
    assert prose.with_cost(again, None) == again


# ---------------------------------------------------------------------------- README, feet, old addresses


def test_numbers_of_the_readme_are_those_of_the_chapters() -> None:
    stored = (ROOT / "README.md").read_text("utf-8")
    assert prose.readme(stored) == stored, "run make chapters"
    first = stored.partition("\n## ")[0]
    assert len(re.findall(r"<!--\w+\.\w+-->", first)) >= 3
    wrong = re.sub(r"\d+(?=<!--index\.ix_one_step-->)", "99", stored)
    assert wrong != stored and prose.readme(wrong) == stored


def test_errors_are_reported_where_the_repository_is() -> None:
    link = page_foot.report("https://github.com/owner/name.git", "chapters/muon", "Muon & co")
    assert 'href="https://github.com/owner/name/issues/new?title=An+error+on+the+page+' in link
    assert "Muon+%26+co" in link and "chapters%2Fmuon" in link
    assert "href" not in page_foot.report("", "chapters/muon", "Muon")


def test_old_addresses_lead_to_pages() -> None:
    for old, new in moved_pages.MOVED.items():
        assert not list(ROOT.glob(f"{old}.*")) and list(ROOT.glob(f"{new}.*"))


# ---------------------------------------------------------------------------- pages that show soon


def test_style_sheets_become_one(tmp_path: Path) -> None:
    (tmp_path / "_static" / "styles").mkdir(parents=True)
    (tmp_path / "_static" / "basic.css").write_text("b { background: url('file.png') } /* told */")
    (tmp_path / "_static" / "styles" / "a.css").write_text(
        '/*! licence */ @import "../basic.css"; i { src: url(../fonts/f.woff2), url(data:x) }'
        '.fa-sun:before{content:"1"}.fa-moon:before{content:"2"}'
    )
    head = '<head><link rel="stylesheet" type="text/css" href="../_static/styles/a.css?v=1" />\n'
    head += '<link rel="icon" href="../i.svg"/></head>'
    page = quick_pages.with_one_sheet(head, tmp_path, {"fa-sun"})
    names = re.findall(r'<link rel="stylesheet" href="\.\./(_static/style-\w+\.css)">', page)
    assert len(names) == 1 and page.count("stylesheet") == 1 and "i.svg" in page
    style = (tmp_path / names[0]).read_text()
    assert "/*! licence */" in style and "told" not in style and "@import" not in style
    assert "url(file.png)" in style and "url(fonts/f.woff2), url(data:x)" in style
    assert ".fa-sun" in style and ".fa-moon" not in style
    assert quick_pages.with_one_sheet(page, tmp_path, {"fa-sun"}).strip() == page.strip()  # not built anew


def test_pictures_become_files(tmp_path: Path) -> None:
    (tmp_path / "_images").mkdir()
    picture = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (30).to_bytes(4, "big") + (20).to_bytes(4, "big") + b"rest"
    )
    data = base64.b64encode(picture).decode()
    page = f'<figure class="lrbs-live" id="live-1"><img alt="A." src="data:image/png;base64,{data}"></figure>'
    new = quick_pages.with_files(page, tmp_path, "../")
    found = re.search(
        r'<img alt="A." width="30" height="20" loading="lazy" src="\.\./(_images/\w+\.png)">', new
    )
    assert found and (tmp_path / found[1]).read_bytes() == picture
