"""The beginning of a chapter, open in JupyterLab: for browser tests and benchmarks."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = ROOT / "chapters" / "status-quo.ipynb"
CALL = "\ninteract("  # makes such a figure
FIGURE = ".jp-Notebook .jp-OutputArea-output .widget-vbox:has(.widget-html img)"
PATIENCE = 60  # seconds: JupyterLab starts


def beginning(chapter: Path = CHAPTER) -> Any:
    """A chapter down to its first figure that a kernel has to draw, ones that work without before it."""
    notebook = nbformat.read(chapter, as_version=4)
    last = next(n for n, cell in enumerate(notebook.cells) if CALL in cell.source)
    notebook.cells = notebook.cells[: last + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def chapters() -> list[Path]:
    """Those with a figure that a kernel has to draw."""
    every = {path: nbformat.read(path, as_version=4) for path in sorted(CHAPTER.parent.glob("*.ipynb"))}
    return [path for path, notebook in every.items() if any(CALL in cell.source for cell in notebook.cells)]


@contextmanager
def jupyterlab(folder: Path, chapter: Path = CHAPTER) -> Iterator[str]:
    """The address of that notebook for as long as the block lasts; `folder` takes it, settings and a log."""
    (folder / "book").mkdir()
    nbformat.write(beginning(chapter), folder / "book" / chapter.name)
    settings = folder / "settings" / "labconfig"
    settings.mkdir(parents=True)
    silent = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (settings / "page_config.json").write_text(json.dumps(silent), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", str(folder / "book"), "--no-browser", "--allow-root"]
    command += ["--log-level=ERROR", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token="]  # it listens to this machine alone, and not for long
    own = {"JUPYTER_CONFIG_DIR": str(settings.parent), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, folder / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/{chapter.name}?reset"
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the server answers."""
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def run_all_cells(page: Any) -> None:
    """By the menu, once the notebook is open."""
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
