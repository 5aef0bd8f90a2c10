"""What the site does beyond a page: ways around it, previews, downloads, life without a server."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tools import archive, pdf
from tools.browser import ROOT, SITE

from .conftest import SETTLED, Visit, names

SOME_CHAPTER = "chapters/mean-field.html"
FOCUS = """() => {
  const focused = document.activeElement;
  const look = ({ outlineStyle, outlineWidth, boxShadow }) => [outlineStyle, outlineWidth, boxShadow];
  const parts = [focused, ...focused.querySelectorAll("*")];
  const looks = () => parts.map((part) => look(getComputedStyle(part))).join();
  const before = looks();
  focused.blur();
  return [focused.outerHTML.slice(0, 200), before !== looks()];
}"""


@pytest.fixture
def open_page(browser: Any, address: str) -> Any:
    visits: list[Visit] = []

    def open_page(name: str, at: str = address) -> Visit:
        visits.append(Visit(browser, at, name))
        return visits[-1]

    yield open_page
    for visit in visits:
        visit.close()


def test_next_leads_through_every_page_and_back(open_page: Any) -> None:
    assert {path.relative_to(SITE).as_posix() for path in pdf.pages()} == {*names()} - {"search.html"}
    visit = open_page(SOME_CHAPTER)
    visit.page.locator("a.right-next").click()
    visit.page.wait_for_url(lambda url: not url.endswith(SOME_CHAPTER))
    visit.page.locator("a.left-prev").click()
    visit.page.wait_for_url("**/" + SOME_CHAPTER)
    assert visit.complaints == []


def test_contents_of_the_page_lead_to_its_sections(open_page: Any) -> None:
    page = open_page(SOME_CHAPTER).page
    link = page.locator(".bd-sidebar-secondary .page-toc a").last
    link.click()
    page.wait_for_url("**/*" + link.get_attribute("href"))
    section = page.locator(f"section{link.get_attribute('href')}")
    assert link.inner_text() in section.locator("h2, h3, h4").first.inner_text()
    expect(section).to_be_in_viewport()


def test_code_can_be_copied(open_page: Any) -> None:
    visit = open_page(SOME_CHAPTER)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = visit.page.locator(".cell_input .highlight:visible").first
    code.hover()
    code.locator("button.copybtn").click()
    visit.page.wait_for_function(
        "async wanted => (await navigator.clipboard.readText()).trim() === wanted.trim()",
        arg=code.locator("pre").inner_text(),
    )


@pytest.mark.parametrize("width", [360, 1280])
def test_the_reader_chooses_between_light_and_dark_and_is_remembered(open_page: Any, width: int) -> None:
    visit = open_page(SOME_CHAPTER)
    visit.look(width, "light")
    seen = set()
    for _ in ("auto", "light", "dark"):
        visit.page.locator("button.theme-switch-button:visible").click()
        chosen = visit.page.evaluate("() => ({...document.documentElement.dataset})")
        visit.page.reload()
        assert visit.page.evaluate("() => ({...document.documentElement.dataset})") == chosen
        seen.add((chosen["mode"], chosen["theme"]))
    assert seen == {("auto", "light"), ("light", "light"), ("dark", "dark")}


def test_the_menu_on_a_phone_can_be_opened_and_closed(open_page: Any) -> None:
    visit = open_page(SOME_CHAPTER)
    visit.look(360, "light")
    chapters = visit.page.locator(".bd-sidebar-primary nav.bd-links")
    expect(chapters).not_to_be_in_viewport()
    visit.page.locator("button.primary-toggle:visible").click()
    expect(chapters).to_be_in_viewport()
    expect(visit.page.locator(".bd-sidebar-primary a").first).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(chapters).not_to_be_in_viewport()


def test_what_has_the_focus_is_seen(open_page: Any) -> None:
    page = open_page(SOME_CHAPTER).page
    for _ in range(45):  # past the menus, the first figure and some formulas
        page.keyboard.press("Tab")
        page.evaluate(SETTLED)
        element, seen = page.evaluate(FOCUS)
        assert seen, f"looks the same with and without the focus: {element}"


@pytest.mark.parametrize("from_file", [False, True], ids=["served", "from a file"])
def test_search_finds_pages(open_page: Any, address: str, from_file: bool) -> None:
    visit = open_page(SOME_CHAPTER, f"file://{SITE}/" if from_file else address)
    visit.page.keyboard.press("Control+k")
    visit.page.keyboard.type("momentum")
    visit.page.keyboard.press("Enter")
    results = visit.page.locator("ul.search li a")
    results.first.wait_for()
    assert results.count() > 1
    links = results.evaluate_all("links => links.map((link) => link.href)")
    assert any("chapters/momentum" in link for link in links)
    assert visit.complaints == []


def test_pages_work_when_opened_as_files(open_page: Any) -> None:
    visit = open_page(SOME_CHAPTER, f"file://{SITE}/")
    assert visit.page.locator("mjx-container").count() > 10
    figure = visit.page.locator("figure.lrbs-live").first
    path = figure.locator("svg[role=img] .lrbs-line").first
    before = path.get_attribute("d")
    control = figure.locator("input, select").first
    control.focus()
    control.press("End")
    assert path.get_attribute("d") != before
    assert visit.complaints == []


def test_references_show_their_equations(open_page: Any) -> None:
    visit = open_page(SOME_CHAPTER)
    box = visit.page.locator("#lrbs-preview")
    link = visit.page.locator('p a[data-tex]:not([data-tex=""])').first
    assert not box.is_visible()
    link.focus()
    box.locator("mjx-container").wait_for()
    assert link.get_attribute("aria-describedby") == "lrbs-preview"
    visit.page.keyboard.press("Escape")
    assert not box.is_visible()
    link.hover()
    box.locator("mjx-container").wait_for()
    visit.page.mouse.move(5, 5)
    box.wait_for(state="hidden")
    link.blur()
    visit.look(360, "dark")
    link.focus()
    box.wait_for()
    assert visit.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert visit.complaints == []


def test_equations_link_to_themselves_by_their_ids(open_page: Any) -> None:
    visit = open_page(SOME_CHAPTER)
    number = visit.page.locator("#equation-11280-2 .eqno a")
    assert number.inner_text() == "(11280.2)"
    number.click()
    assert visit.page.url.endswith("#equation-11280-2")


def test_a_link_to_a_folded_equation_opens_it(open_page: Any) -> None:
    page = open_page("chapters/epsilon.html").page
    equation = page.locator("#equation-10563-9")
    assert page.locator(".toggle-hidden", has=equation).count() == 1
    page.evaluate("() => { location.hash = '#equation-10563-9'; }")
    expect(equation.locator("mjx-container")).to_be_in_viewport()
    assert page.locator(".toggle-hidden", has=equation).count() == 0
    page.reload()
    expect(equation.locator("mjx-container")).to_be_in_viewport()


def test_every_chapter_can_be_downloaded_as_it_is_in_the_repository(open_page: Any) -> None:
    for path in (ROOT / "chapters").glob("*.ipynb"):
        text = (SITE / "chapters" / f"{path.stem}.html").read_text("utf-8")
        assert f'href="../_sources/chapters/{path.name}"' in text
        assert json.loads((SITE / "_sources" / "chapters" / path.name).read_text("utf-8")) == json.loads(
            path.read_text("utf-8")
        )


def test_the_book_can_be_downloaded_to_read_and_run_offline(open_page: Any, tmp_path: Path) -> None:
    front = open_page("chapters/index.html").page
    front.get_by_label("Download this page").click()
    link = front.get_by_role("link", name="the book, .zip")
    link.evaluate("link => link.removeAttribute('target')")  # else the download belongs to another tab
    with front.expect_download() as download:
        link.click()
    with zipfile.ZipFile(download.value.path()) as packed:
        packed.extractall(tmp_path)
    book = tmp_path / "lrbs-book"
    visit = open_page(SOME_CHAPTER, f"file://{book / 'site'}/")
    assert visit.page.locator("mjx-container").count() > 10
    for name in names():
        visit.page.goto(visit.address + name)
    assert visit.complaints == []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    missing = [name for name in tracked if (ROOT / name).is_file() and not (book / name).exists()]
    assert {Path(name).parent.name for name in missing} <= {"assignments"}  # which hold solutions


def test_the_archive_is_the_same_each_time(tmp_path: Path) -> None:
    if not SITE.exists():
        pytest.skip("there is no built site: run make book first")
    archive.pack(tmp_path / "first.zip")
    archive.pack(tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
