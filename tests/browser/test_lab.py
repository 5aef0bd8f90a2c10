"""In JupyterLab: every chapter reads as on the site, cells run, and figures follow their sliders."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import expect

from lrbs import formulas
from tools import execute, lab, prose
from tools.browser import ROOT

PATIENCE = 90_000  # milliseconds: a kernel starts, and imports what a chapter needs
RUN = 600_000  # milliseconds: a whole chapter
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
RUN_TO_THE_END = ("epsilon", "muon", "noise-scale")  # curves; figures that a kernel draws; real data
WARNING = ", ".join(
    [
        *(".text-yellow-600", ".text-red-500", ".text-red-600", ".text-red-700", ".bg-red-50"),  # of MyST
        *(".katex-error", ".katex [style*='#cc0000']"),
        *("[data-mime-type*='stderr']", "[data-mime-type*='error']"),
    ]
)
MARKUP = re.compile(r"\{[\w:+.-]+\}`|glue:|<!--|-->|\$\$|```|:::|\]\(|\bMyST\b")
TEXTS = """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].map((cell) => {
  const outside = (node) => !node.closest(".katex, .jp-InputArea-editor, pre, script");
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  let text = "";
  while (walker.nextNode()) if (outside(walker.currentNode.parentElement)) text += walker.currentNode.data;
  return text.replace(/\\s+/g, " ");
})"""  # what is read, without code and without formulas
FOLDED = "cells => cells.map((cell) => !!cell.querySelector('.jp-InputPlaceholder'))"
LINKS = """() => [...document.querySelectorAll(".jp-Notebook a.link")].map(
  (link) => [link.textContent, link.getAttribute("href")])"""


def test_cells_run_and_figures_follow_their_sliders(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    with lab.jupyterlab(tmp_path) as address:
        page.goto(address)
        lab.run_all_cells(page, PATIENCE)
        assert page.locator('.jp-Notebook [data-mime-type*="stderr"]').count() == 0
        live, drawn_on_the_spot = (page.locator(lab.FIGURE).nth(number) for number in range(2))
        drawn_on_the_spot.locator("img").wait_for()

        before = picture(live)
        live.locator(".noUi-handle").first.press("ArrowRight")
        expect(live.locator("img")).not_to_have_attribute("src", before)

        before = picture(drawn_on_the_spot)
        handle = drawn_on_the_spot.locator(".noUi-handle").last
        handle.hover()  # and so scrolled to, and at rest
        at = handle.bounding_box()
        page.mouse.down()
        page.mouse.move(at["x"] + 150, at["y"] + at["height"] / 2, steps=5)
        page.mouse.up()
        expect(drawn_on_the_spot.locator("img")).not_to_have_attribute("src", before)

        for figure in (live, drawn_on_the_spot):
            assert len(figure.locator("img").get_attribute("alt")) > 10
            assert "Error" not in figure.inner_text()
    context.close()


def picture(figure: Any) -> str:
    return str(figure.locator("img").get_attribute("src"))


@pytest.fixture(scope="module")
def place(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A window and the address of the chapters in JupyterLab, one for all tests."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "chapters", folder / "book")
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    with lab.served(folder) as address:
        yield page, address
    context.close()


@pytest.fixture(scope="module")
def chapter(request: pytest.FixtureRequest, place: tuple[Any, str]) -> Iterator[tuple[Any, Any]]:
    """One of them, open as it is stored: the page and the notebook."""
    page, address = place
    notebook = nbformat.read(request.param, as_version=4)
    lab.open_chapter(page, address, request.param.name, len(notebook.cells))
    yield page, notebook
    lab.stop_kernels(page)


def folded(cell: Any) -> bool:
    """Whether pages do not show its code, at least not at once."""
    return bool(execute.FOLDED.intersection(cell.metadata.get("tags", [])))


each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, indirect=True, ids=lambda path: path.stem)


@each_chapter
def test_text_is_whole(chapter: tuple[Any, Any]) -> None:
    """No warning, no markup, and every number; in what code wrote as well."""
    page, notebook = chapter
    assert page.locator(f".jp-Notebook :is({WARNING})").all_text_contents() == []
    texts = page.evaluate(TEXTS)
    assert [found for text in texts for found in MARKUP.findall(text)] == []
    values = prose.glued(notebook)
    for cell, text in zip(notebook.cells, texts, strict=True):
        if cell.cell_type == "markdown":
            named = re.findall(r"<!--([\w.-]+)-->", cell.source)
            assert [name for name in named if " ".join(values[name].split()) not in text] == []


@each_chapter
def test_references_say_where_they_lead(chapter: tuple[Any, Any]) -> None:
    page, notebook = chapter
    links = page.evaluate(LINKS)
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    shown = [words for words, href in links if "references.md" in href]
    assert len(shown) >= len(prose.SOURCE.findall(text))
    for words, href in links:
        if (number := re.fullmatch(r"\(([\w.-]+)\)", words)) and number[1] in formulas:
            anchor = formulas[number[1]].link().partition("#")[2].rstrip(")")
            assert href.endswith("#" + anchor), words
            assert not href.startswith("#") or page.locator(f".jp-Notebook [id='{anchor}']").count() == 1


@each_chapter
def test_what_pages_fold_is_folded(chapter: tuple[Any, Any]) -> None:
    page, notebook = chapter
    collapsed = page.locator(".jp-Notebook .jp-Cell").evaluate_all(FOLDED)
    assert collapsed == [folded(cell) for cell in notebook.cells]


@each_chapter
def test_every_picture_is_seen(chapter: tuple[Any, Any]) -> None:
    page, notebook = chapter
    pictures = page.locator(".jp-Notebook .jp-OutputArea-output img")
    wanted = sum(
        "image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert pictures.count() == wanted
    for width in pictures.evaluate_all("images => images.map((image) => image.clientWidth)"):
        assert width > 200


@pytest.mark.parametrize(
    ("link", "tab", "text"),
    [
        (r"^\(11260\.1\)$", "status-quo.ipynb", "#id-11260-1"),
        (r"^\(11280\.12\)$", "mean-field.ipynb", "#id-11280-12"),
        (r"^one step$", "one-step.ipynb", "h1"),
        (r"^2018$", "references.md", None),
    ],
    ids=["equation here", "equation elsewhere", "page", "source"],
)
def test_links_open_what_they_name(place: tuple[Any, str], link: str, tab: str, text: str | None) -> None:
    page, address = place
    name = "one-step" if tab == "mean-field.ipynb" else "status-quo"
    path = ROOT / "chapters" / f"{name}.ipynb"
    lab.open_chapter(page, address, path.name, len(nbformat.read(path, as_version=4).cells))
    page.locator(".jp-Notebook a.link").filter(has_text=re.compile(link)).first.click()
    page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current").get_by_text(tab).wait_for()
    if text:
        page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .myst {text}").first.wait_for()
    lab.stop_kernels(page)


@pytest.mark.parametrize(
    "chapter",
    [ROOT / "chapters" / f"{name}.ipynb" for name in RUN_TO_THE_END],
    indirect=True,
    ids=RUN_TO_THE_END,
)
def test_chapters_run_to_their_end(chapter: tuple[Any, Any]) -> None:
    page, notebook = chapter
    before = page.evaluate(TEXTS)
    lab.run_all_cells(page, RUN)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prompts = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt")
    wanted = ["" if folded(cell) else f"[{number}]:" for number, cell in enumerate(code, 1)]
    assert prompts.all_text_contents() == wanted
    assert page.locator(f".jp-Notebook :is({WARNING})").all_text_contents() == []
    after = page.evaluate(TEXTS)
    for cell, *text in zip(notebook.cells, before, after, strict=True):
        if cell.cell_type == "markdown":
            assert text[0] == text[1]
