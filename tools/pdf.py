"""Print the whole built book into one PDF, _build/book.pdf, with outline and working references.

    python -m tools.pdf

The articles of all pages, in the order of the contents, are put on one page, where every link between
chapters becomes a link within it; Chromium prints that page. Needs a built site and Chromium.
"""

import sys
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser

from tools.browser import ROOT, SITE, chromium

FIRST = SITE / "chapters" / "index.html"
WHOLE = FIRST.with_name("whole-book.html")  # no file: as if beside the chapters, to find styles and scripts
PDF = ROOT / "_build" / "book.pdf"
SCALE = 0.85  # of the letters on screen
PAPER_WIDTH = round(680 / SCALE)  # pixels between the margins
PATIENCE = 300_000  # milliseconds: thousands of formulas are set

# Formulas that are wider than the paper are made smaller.
FIT_FORMULAS = """() => {
  for (const formula of document.querySelectorAll("mjx-container[display=true]")) {
    const ratio = formula.clientWidth / formula.scrollWidth;
    if (ratio < 1) formula.style.fontSize = `${Math.floor(ratio * 118)}%`;
  }
}"""
FOOTER = """<div style="width: 100%; font: 8px sans-serif; text-align: center">
<span class="pageNumber"></span></div>"""


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def pages() -> list[Path]:
    """All pages in the order of the contents: each names the next in its head."""

    def head(path: Path) -> BeautifulSoup:
        return BeautifulSoup(path.read_text("utf-8").partition("<body")[0], "html.parser")

    found = [FIRST]
    while (following := head(found[-1]).find("link", rel="next")) is not None:
        found.append((found[-1].parent / str(following["href"])).resolve())
    return found


def article_of(path: Path) -> Tag:
    article = soup(path).find("article", class_="bd-article")
    if not isinstance(article, Tag):
        raise ValueError(f"there must be an article on {path}")
    return article


def anchors(article: Tag) -> set[str]:
    return {str(element["id"]) for element in article.find_all(id=True)}


def place(path: Path, articles: dict[Path, Tag], repeated: set[str]) -> None:
    """Give the article of a page anchors that are unique in the whole book, and links that stay within it."""

    def name(page: Path, anchor: str) -> str:
        return f"{page.stem}.{anchor}" if anchor in repeated or not anchor else anchor

    article = articles[path]
    for element in article.find_all(id=True):
        element["id"] = name(path, str(element["id"]))
    for link in article.find_all("a", href=True):
        parts = urlsplit(str(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / parts.path).resolve() if parts.path else path
        if target in articles:
            link["href"] = "#" + name(target, parts.fragment)
        else:  # files of the site, which the PDF does not hold
            link.unwrap()
    # What a click opens is open on paper.
    for folded in article.select(".dropdown, .toggle"):
        kept = (name for name in folded.get_attribute_list("class") if name not in ("dropdown", "toggle"))
        folded["class"] = " ".join(map(str, kept))
    for check in article.select("details.lrbs-check"):
        check["open"] = ""
    article["id"] = name(path, "")


@cache
def whole() -> str:
    """The book as one page of HTML: the head and the scripts of its first page, and the articles of all."""
    articles = {path: article_of(path) for path in pages()}
    times = Counter(anchor for article in articles.values() for anchor in anchors(article))
    repeated = {anchor for anchor, count in times.items() if count > 1}
    for path in articles:
        place(path, articles, repeated)
    first = soup(FIRST)
    policy = first.find("meta", {"http-equiv": "Content-Security-Policy"})
    if isinstance(policy, Tag):
        policy.decompose()
    for navigation in first.find_all("link", rel=["next", "prev", "search"]):
        navigation.decompose()
    body = first.body
    if body is None:
        raise ValueError(f"there must be a body on {FIRST}")
    body.clear()
    within = body
    for name, classes in (
        ("main", "bd-main lrbs-whole"),
        ("div", "bd-content"),
        ("div", "bd-article-container"),
    ):
        inner = first.new_tag(name, attrs={"class": classes})
        within.append(inner)
        within = inner
    within.extend(articles.values())
    return str(first)


def print_book(browser: Browser, path: Path) -> None:
    """Write the PDF."""
    page = browser.new_page(viewport={"width": PAPER_WIDTH, "height": 1000})
    try:
        page.set_default_timeout(PATIENCE)
        page.emulate_media(media="print", color_scheme="light")
        page.route(WHOLE.as_uri(), lambda route: route.fulfill(body=whole(), content_type="text/html"))
        page.goto(WHOLE.as_uri(), wait_until="load")
        page.evaluate("() => MathJax.startup.promise")
        page.wait_for_function("() => document.fonts.status === 'loaded'")
        page.evaluate(FIT_FORMULAS)
        page.pdf(
            path=path,
            format="A4",
            scale=SCALE,
            margin={"top": "18mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
            outline=True,
            tagged=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
        )
    finally:
        page.close()


if __name__ == "__main__":
    if not FIRST.exists():
        sys.exit("there is no built site: run make book first")
    with chromium() as browser:
        print_book(browser, PDF)
    print(f"{PDF.relative_to(ROOT)}, {PDF.stat().st_size / 1e6:.1f} MB")
