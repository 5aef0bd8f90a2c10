"""Every page, at the width of a desk and of a phone, in light and in dark."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from lrbs.show import use_style
from tools.browser import ROOT, SITE

from .conftest import Visit, names

WIDTHS = {"desktop": 1280, "phone": 360}
# In this order, and the tests of a page in that below, most find it as the one before left it.
MODES = [("desktop", "light"), ("desktop", "dark"), ("phone", "dark"), ("phone", "light")]
# Structure is the same in light and dark, colours are the same for all widths.
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# A target that axe cannot measure is "incomplete"; with other fonts it may be one that is too small.
# A formula is hundreds of elements without a letter that axe sees: past the first few a word stands for each,
# as large, so that its contrast is measured.
AXE = """async (rules) => {
  const formulas = [...document.querySelectorAll("mjx-container")].slice(3);
  const sizes = formulas.map((formula) => formula.getBoundingClientRect());
  const parts = formulas.map((formula) => [...formula.childNodes]);
  formulas.forEach((formula, i) => {
    const word = document.createElement("span");
    word.textContent = "xy";
    const { width, height } = sizes[i];
    word.style = `display: inline-block; overflow: clip; width: ${width}px; height: ${height}px`;
    formula.replaceChildren(word);
  });
  const BRIEF = { resultTypes: ["violations", "incomplete"], selectors: false };  // quicker
  const { violations, incomplete } = await axe.run(document, { runOnly: rules, ...BRIEF });
  formulas.forEach((formula, i) => formula.replaceChildren(...parts[i]));
  const found = [...violations, ...incomplete.filter(({ id }) => id === "target-size")];
  const seen = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ");
  return found.map(({ id, nodes }) => `${id}: ${seen(nodes)}`);
}"""
# Nobody finishes a page that goes on and on. In these one looks things up.
SCREENS = 18
LOOKED_UP = ("api", "errata", "formula-index", "references")
CUT = """() => [
  ...document.querySelectorAll("mjx-container"),
  ...[...document.querySelectorAll("a, p, td, th, figcaption, summary, .prev-next-info")]
    .filter((box) => ["hidden", "clip"].includes(getComputedStyle(box).overflowX))
    .filter((box) => box.checkVisibility({ visibilityProperty: true, opacityProperty: true })),
].filter((box) => box.clientWidth > 1 && box.scrollWidth > box.clientWidth + 1)
  .map((box) => `cut off: ${box.textContent}`)"""
STOPS = """() => [...document.querySelectorAll("mjx-container[tabindex]")]
  .filter((box) => box.querySelector("mjx-math").getBoundingClientRect().width <= box.clientWidth)
  .map((box) => `fits, and is a stop of the keyboard: ${box.textContent}`)"""
LETTERS = 10  # pixels, on a phone
STILLS = """() => [...document.querySelectorAll(".cell_output img")]
  .filter((image) => image.checkVisibility() && image.naturalWidth > 0)
  .map((image) => [image.alt.slice(0, 60), image.getBoundingClientRect().width / image.naturalWidth])"""
EQUATIONS = re.compile(r'<(?:div|span) class="math[ "]')
ENDS = """() => {
  const caption = document.querySelector("figure.lrbs-live figcaption").getBoundingClientRect();
  return [caption.top + scrollY, caption.bottom + scrollY];
}"""
# Pixels from the top to where a first figure ends: on a desk with its caption, on a phone without.
DESK_END, PHONE_END = 900, 700
ELSEWHERE = ("you-have-a-run",)  # a page for looking up: its figure stands below the recipes
WITH_A_FIGURE = [
    name
    for name in names()
    if Path(name).stem not in ELSEWHERE and 'class="lrbs-live"' in (SITE / name).read_text("utf-8")
]


def faults(visit: Visit, width: int, scheme: str, rules: dict[str, Any]) -> list[str]:
    """What is wider than the window, equations that have to scroll, what breaks these rules of axe."""
    visit.look(width, scheme)
    wide = visit.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    cut = visit.page.evaluate(CUT) + visit.page.evaluate(STOPS)
    if not visit.page.evaluate("() => 'axe' in globalThis"):
        visit.page.evaluate((ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
    found: list[str] = visit.page.evaluate(AXE, rules)
    return [f"{wide} pixels to the right of the window"] * (wide > 0) + cut + found


each_page = pytest.mark.parametrize("visit", names(), indirect=True)


@pytest.fixture(scope="module")
def text(visit: Visit) -> str:
    return (SITE / visit.name).read_text("utf-8")


@pytest.mark.parametrize(
    "visit", [name for name in names() if not Path(name).name.startswith(LOOKED_UP)], indirect=True
)
def test_a_page_as_it_opens_has_at_most_eighteen_screens(visit: Visit) -> None:
    visit.look(WIDTHS["desktop"], "light")
    height = visit.page.evaluate("() => document.documentElement.scrollHeight / innerHeight")
    assert height <= SCREENS, "split it, or fold what is for reference"


with_a_figure = pytest.mark.parametrize("visit", WITH_A_FIGURE, indirect=True)


@with_a_figure
def test_first_live_figure_is_on_the_first_screen(visit: Visit) -> None:
    """Whole, below title and question."""
    assert visit.page.locator("article details").first.evaluate("box => box.closest('.lrbs-live') !== null")
    visit.look(WIDTHS["desktop"], "light")
    _, end = visit.page.evaluate(ENDS)
    assert end <= DESK_END


@each_page
@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_accessible_and_no_wider_than_the_window(visit: Visit, mode: tuple[str, str]) -> None:
    width, scheme = mode
    rules = {"type": "tag", "values": STANDARD}
    if mode in (("desktop", "dark"), ("phone", "light")):
        rules = {"type": "rule", "values": ["color-contrast"]}
    assert faults(visit, WIDTHS[width], scheme, rules) == []


@with_a_figure
def test_first_live_figure_is_on_the_first_screen_of_a_phone(visit: Visit) -> None:
    """Its caption may follow."""
    visit.look(WIDTHS["phone"], "light")
    end, _ = visit.page.evaluate(ENDS)
    assert end <= PHONE_END


@each_page
def test_letters_of_stills_can_be_read_on_a_phone(visit: Visit) -> None:
    """Cells leave the size of letters to the style, which has two pixels for a point."""
    from matplotlib import rc_context, rcParams

    with rc_context():
        use_style()
        pixels = rcParams["font.size"] * rcParams["figure.dpi"] / 72
    visit.look(WIDTHS["phone"], "light")
    for text, shrunk in visit.page.evaluate(STILLS):
        assert pixels * shrunk >= LETTERS, f"{pixels * shrunk:.1f} px: {text}"


@each_page
def test_mathematics_is_set(visit: Visit, text: str) -> None:
    wanted, page = len(EQUATIONS.findall(text)), visit.page
    assert page.locator("mjx-container").count() >= wanted
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert "Math input error" not in page.inner_text("body")
    assert "glue:" not in page.inner_text("body")


@each_page
def test_figures_and_tables_are_numbered_in_the_order_of_the_page(visit: Visit) -> None:
    numbers = visit.page.eval_on_selector_all(
        ".caption-number", "all => all.map((each) => each.textContent.trim().split(/[ .]/))"
    )
    for kind in ("Figure", "Table"):
        found = [tuple(map(int, place)) for name, *place in numbers if name == kind]
        assert found == sorted(set(found))


@each_page
def test_every_picture_has_a_text(visit: Visit) -> None:
    pictures = visit.page.locator("img, svg[role=img]")
    for number in range(pictures.count()):
        picture = pictures.nth(number)
        assert picture.get_attribute("alt") or picture.get_attribute("aria-label"), picture.evaluate(
            "image => image.outerHTML.slice(0, 200)"
        )
        if picture.evaluate("image => image.localName") == "img":
            picture.scroll_into_view_if_needed()
            assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


@each_page
def test_policy_is_strict(visit: Visit, text: str) -> None:
    policies = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert len(policies) == 1
    rules = {rule.split()[0]: rule.split()[1:] for rule in html.unescape(policies[0]).split(";")}
    assert rules["default-src"] == ["'none'"]
    for name, sources in rules.items():
        assert not any(source.startswith(("http", "*", "'unsafe-eval'")) for source in sources), name
    assert all(source == "'self'" or source.startswith("'sha256-") for source in rules["script-src"])
    assert not re.search(r'\son[a-z]+="', text), "a script in an attribute"


@each_page
def test_nothing_went_wrong(visit: Visit) -> None:
    """No error or warning in the console, no request to another host, all found: in all of the above."""
    assert visit.complaints == []


def test_front_page_of_the_site_leads_to_the_book(browser: Any, address: str) -> None:
    visit = Visit(browser, address, "chapters/index.html")
    visit.page.goto(address)
    visit.page.wait_for_url("**/chapters/index.html")
    assert visit.complaints == []
    visit.close()
