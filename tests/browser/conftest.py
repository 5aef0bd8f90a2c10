"""Chromium over the built site, one for all tests of this folder.

They are skipped where there is no Chromium or no built site. With BROWSER_TESTS=required, as in .ci/run,
they fail instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tools.browser import SITE, chromium, launched, served

from .fonts import configure

SUBPATH = "/some/where/"  # a site is often not at the top of its host
SETTLED = """() => Promise.race([
  new Promise((done) => setTimeout(done, 1000)),  // not longer, whatever goes on
  (async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
  })(),
])"""

REACHABLE = """() => [...document.querySelectorAll("pre, mjx-container")]
  .every((box) => box.scrollWidth <= box.clientWidth + 1 || box.tabIndex === 0)"""


def missing(what: str) -> NoReturn:
    """Skip, or fail where the tests must run."""
    if os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@cache
def names() -> list[str]:
    """Every page of the built site, by its address; not those that only lead on."""
    pages = (path for path in SITE.rglob("*.html") if 'http-equiv="refresh"' not in path.read_text("utf-8"))
    return sorted(path.relative_to(SITE).as_posix() for path in pages)


class ByPage(LoadScopeScheduling):
    """Tests of one page share a visit, so they go to one process, like those of a module."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        page = re.search(r"(chapters/.*|search)\.html", test)
        return page[1] if page else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByPage:
    config.option.loadscopereorder = False
    return ByPage(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first; figures last: their sliders move what the other tests see as it opens."""
    items.sort(key=lambda item: item.path.stem not in ("test_lab", "test_pdf", "test_fonts"))
    items.sort(key=lambda item: item.path.stem == "test_live_figures")


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the site is served."""
    if not (SITE / "index.html").exists():
        missing("there is no built site: run make book first")
    with served(SITE, SUBPATH) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium without a window."""
    try:
        with chromium() as browser:
            yield browser
    except FileNotFoundError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def browser_with_other_fonts(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Another one."""
    try:
        fonts = configure(tmp_path_factory.mktemp("fonts"))
    except FileNotFoundError as error:
        missing(str(error))
    with launched(browser.browser_type, FONTCONFIG_FILE=str(fonts)) as other:
        yield other


class Visit:
    """A page in the browser, and everything that went wrong on it."""

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self.address, self.name = address, name
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.last_look: tuple[int, str] | None = None
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("requestfailed", self.fail)
        self.page.on("request", self.follow)
        self.page.on("response", self.answer)
        self.page.goto(address + name, wait_until="load")
        self.page.evaluate("() => globalThis.MathJax?.startup?.promise")  # until mathematics is set

    def hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def follow(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"other host: {request.url[:200]}")

    def fail(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # by leaving the page
            self.complaints.append(f"failed: {request.url[:200]}")

    def answer(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")

    def look(self, width: int, scheme: str) -> None:
        """At this width, in this colour scheme; at once, if it was looked at so last."""
        if self.last_look == (width, scheme):
            return
        self.last_look = (width, scheme)
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": 900 if width > 600 else 844})
        self.page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        self.page.evaluate(SETTLED)  # figures have followed the width, colours the scheme
        self.page.wait_for_function(REACHABLE)  # boxes that scroll get a tab stop a little later

    def close(self) -> None:
        self.context.close()


@pytest.fixture(scope="session")
def visit(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Visit]:
    """One page, opened once for all the tests that name it."""
    visit = Visit(browser, address, request.param)
    yield visit
    visit.close()
