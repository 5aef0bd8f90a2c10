"""Chromium without a window, and a server for the built site: for browser tests, benchmarks and the PDF."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # there is none inside a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program() -> str | None:
    """Where Chromium is: CHROMIUM of the environment, else what is installed, if anything."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that ends with the block."""
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        yield browser


@contextmanager
def launched(kind: BrowserType, **environment: str) -> Iterator[Browser]:
    """One that Playwright, which runs once in a process, starts with these variables added."""
    found = program()
    if found is None:
        raise FileNotFoundError(
            "there is no Chromium: install Debian's package chromium, or chromium-headless-shell, or say "
            "CHROMIUM=/where/it/is"
        )
    browser = kind.launch(executable_path=found, args=FLAGS, env={**os.environ, **environment})
    yield browser
    browser.close()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below a sub-path, as a plain web server gives them out, and nothing in the log."""

    subpath = "/"

    def translate_path(self, path: str) -> str:
        if not path.startswith(self.subpath):
            return os.path.join(self.directory, "nothing-is-outside-the-sub-path")
        return super().translate_path("/" + path.removeprefix(self.subpath))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, subpath: str = "/") -> Iterator[str]:
    """The address at which a folder is served for as long as the block lasts."""
    handler = functools.partial(type("Below", (Handler,), {"subpath": subpath}), directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{subpath}"
        server.shutdown()
