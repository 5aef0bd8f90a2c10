"""The site's search: what readers ask for comes first."""

import tomllib
from pathlib import Path
from urllib.parse import quote_plus

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ASKED = tomllib.loads((ROOT / "_ext" / "search_words.toml").read_text(encoding="utf-8"))
FIRST = "#search-results ul.search > li:first-child > a"


@pytest.mark.parametrize("page", ASKED)
def test_page_is_found_first(page, browser, address):
    tab = browser.new_page()
    for words in ASKED[page]:
        for asked in {words, words.replace("'", "’"), words.upper()}:
            tab.goto(f"{address}search.html?q={quote_plus(asked)}", wait_until="commit")
            tab.wait_for_selector(FIRST)
            tab.wait_for_function(
                "() => !document.querySelector('#search-progress')?.textContent.includes('...')"
            )
            found = tab.locator(FIRST).get_attribute("href")
            assert f"chapters/{page}.html" in found, f"{asked!r} leads to {found}"
    tab.close()
