"""The fields below exercises, typed into as a reader would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tools.browser import SITE

from .conftest import Visit

PAGE = "chapters/status-quo.html"
FIELD = "#answer-ex-half-way-1"
NARROW = """() => [...document.querySelectorAll(".lrbs-answer")].every((form) => {
  const { left, right } = form.getBoundingClientRect();
  return form.scrollWidth <= form.clientWidth && left >= 0 && right <= innerWidth;
})"""


@pytest.fixture(scope="module")
def visit(browser: Any, address: str) -> Iterator[Visit]:
    visit = Visit(browser, address, PAGE)
    yield visit
    visit.close()


def said(visit: Visit, text: str, field: str = FIELD) -> Any:
    """What the page says to a text; by keyboard alone."""
    box = visit.page.locator(field)
    box.focus()
    box.fill("")
    visit.page.keyboard.type(text)
    visit.page.keyboard.press("Enter")
    return visit.page.locator(f"form:has({field}) output")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("9", "Correct."),
        ("9,0", "Correct."),
        ("900 %", "Correct."),
        ("0.9e1", "Correct."),
        ("90·10⁻¹", "Correct."),
        ("81/9", "Correct."),
        ("9.3", "Almost."),
        ("0.111", "Not yet: upside down. A larger batch makes more progress."),
        ("1/9", "Not yet: upside down."),
        ("10", "Not yet: one over the rest."),
        ("3.7", "Not yet."),
        ("nine", "A number is asked for"),
        ("", "A number is asked for"),
        ("<img src=x onerror=alert(1)>", "A number is asked for"),
    ],
)
@pytest.mark.parametrize("width", [360, 1280])
def test_a_number_is_judged(visit: Visit, text: str, verdict: str, width: int) -> None:
    visit.look(width, "light")
    expect(said(visit, text)).to_contain_text(verdict)
    assert visit.page.evaluate(NARROW)


def test_a_new_number_takes_the_old_verdict_away(visit: Visit) -> None:
    verdict = said(visit, "9")
    visit.page.locator(FIELD).press("5")
    expect(verdict).to_be_empty()


def test_commas_may_group_thousands(browser: Any, address: str) -> None:
    visit = Visit(browser, address, "chapters/steps-and-examples.html")
    for text in ("1464", "1,464", "1,464.0"):
        expect(said(visit, text, "#answer-ex-sae-convert-1")).to_have_text("Correct.")
    assert visit.complaints == []
    visit.close()


def test_hints_are_set_with_their_mathematics_and_nothing_went_wrong(visit: Visit) -> None:
    verdict = said(visit, "9", "#answer-ex-half-way-2")
    expect(verdict).to_contain_text("the batch alone")
    expect(verdict.locator("mjx-container")).to_have_count(1)
    assert visit.complaints == []


def test_a_button_can_be_reached_by_tab_and_pressed(visit: Visit) -> None:
    visit.page.locator(FIELD).fill("9")
    visit.page.locator(FIELD).press("Tab")
    visit.page.keyboard.press("Space")
    expect(visit.page.locator(f"form:has({FIELD}) output")).to_have_text("Correct.")


def test_fields_work_in_a_page_opened_as_a_file_and_are_not_printed(browser: Any) -> None:
    visit = Visit(browser, f"file://{SITE}/", PAGE)
    expect(said(visit, "9")).to_have_text("Correct.")
    visit.page.emulate_media(media="print")
    expect(visit.page.locator(FIELD)).not_to_be_visible()
    visit.close()


def test_without_scripts_there_are_none(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + PAGE)
    expect(page.locator(FIELD)).to_have_count(1)
    expect(page.locator(FIELD)).not_to_be_visible()
    context.close()
