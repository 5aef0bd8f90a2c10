"""The first live figure of a page is whole, sliders and caption included, on the first screen or near it.

On a desk the screen is 900 pixels high. On a phone of 700 no page reaches that: title, question and picture
together take more. There the figure itself fits a screen, and ends within one screen and a half.
"""

from __future__ import annotations

import pytest

from tools.browser import SITE

from .conftest import Visit, names

DESK, PHONE = (1280, 900), (360, 1050)
SCREEN = 700  # of a phone
LATER = {"forty-steps": 1120}  # on a phone: an experiment to describe before its points
ELSEWHERE = ("you-have-a-run",)  # a page for looking up: its figure stands below the recipes

ENDS = """() => {
  const box = document.querySelector("figure.lrbs-live").getBoundingClientRect();
  const caption = document.querySelector("figure.lrbs-live figcaption").getBoundingClientRect();
  return [box.top + scrollY, caption.bottom + scrollY];
}"""

PAGES = [
    name
    for name in names()
    if 'class="lrbs-live"' in (SITE / name).read_text("utf-8")
    and not name.endswith(tuple(f"{n}.html" for n in ELSEWHERE))
]


@pytest.mark.parametrize("visit", PAGES, indirect=True)
def test_first_live_figure_is_whole(visit: Visit) -> None:
    page = visit.name.rpartition("/")[2].removesuffix(".html")
    visit.look(DESK[0], "light")
    _, end = visit.page.evaluate(ENDS)
    assert end <= DESK[1]
    visit.look(PHONE[0], "light")
    start, end = visit.page.evaluate(ENDS)
    assert end - start <= SCREEN
    assert end <= LATER.get(page, PHONE[1])
