"""Chapters, or the beginning of one, open in JupyterLab: for browser tests and benchmarks."""

import json
import os
import re
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
CALL = re.compile(r"^(?:show\.)?interact\(", re.MULTILINE)  # makes such a figure
FIGURE = ".jp-Notebook .jp-OutputArea-output .widget-vbox:has(.widget-html img)"
PATIENCE = 60  # seconds: JupyterLab starts
TEXT_IS_SET = """cells => {
  const texts = [...document.querySelectorAll(".jp-Notebook .jp-MarkdownCell")];
  return document.querySelectorAll(".jp-Notebook .jp-Cell").length === cells
    && texts.every((text) => text.querySelector(".myst")?.textContent.trim());
}"""
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
HAS_RUN = """idle => document.querySelector(idle)
  && [...document.querySelectorAll(".jp-Notebook .jp-InputPrompt")]
    .every((prompt) => prompt.textContent !== "[*]:")"""
STARTS = """() => {  // a short run shows its stars for a blink
  const prompts = () => [...document.querySelectorAll(".jp-Notebook .jp-InputPrompt")];
  window.hasStarted = false;
  const look = () => (window.hasStarted ||= prompts().some((prompt) => prompt.textContent === "[*]:"));
  const observer = new MutationObserver(() => look() && observer.disconnect());
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
OPEN = """async (name) => {
  for (const document of [...jupyterapp.shell.widgets("main")]) document.dispose();  // and asks nothing
  await jupyterapp.commands.execute("docmanager:open", { path: name });
}"""
STOP_KERNELS = """async () => {
  const headers = { "X-XSRFToken": document.cookie.match(/_xsrf=([^;]*)/)[1] };
  for (const { id } of await (await fetch("/api/sessions")).json())
    await fetch(`/api/sessions/${id}`, { method: "DELETE", headers });
}"""


def beginning(chapter: Path = CHAPTER) -> Any:
    """A chapter down to its first figure that a kernel has to draw, ones that work without before it."""
    notebook = nbformat.read(chapter, as_version=4)
    last = next(n for n, cell in enumerate(notebook.cells) if CALL.search(cell.source))
    notebook.cells = notebook.cells[: last + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def chapters() -> list[Path]:
    """Those with a figure that a kernel has to draw."""
    every = {path: nbformat.read(path, as_version=4) for path in sorted(CHAPTER.parent.glob("*.ipynb"))}
    return [
        path for path, notebook in every.items() if any(CALL.search(cell.source) for cell in notebook.cells)
    ]


@contextmanager
def jupyterlab(folder: Path, chapter: Path = CHAPTER) -> Iterator[str]:
    """The address of the beginning of a chapter, while the block lasts; `folder` takes all it needs."""
    (folder / "book").mkdir()
    nbformat.write(beginning(chapter), folder / "book" / chapter.name)
    with served(folder) as address:
        yield f"{address}{chapter.name}?reset"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Where JupyterLab opens what is in `folder`/book; the folder takes settings and a log as well.

    Cells are drawn whether they are in view or not.
    """
    settings = folder / "settings"
    silent = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    tracker = "lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    for name, content in (("labconfig/page_config.json", silent), (tracker, {"windowingMode": "none"})):
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / name).write_text(json.dumps(content), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", str(folder / "book"), "--no-browser", "--allow-root"]
    command += ["--log-level=ERROR", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token="]  # it listens to this machine alone, and not for long
    command += ["--expose-app-in-browser"]
    own = {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, folder / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/"
        finally:
            server.terminate()
            server.wait(timeout=30)


def open_chapter(page: Any, address: str, name: str, cells: int) -> None:
    """Open a notebook of so many cells in the place of what was open, and wait until all of its text is set.

    JupyterLab itself, which takes longer than a notebook, is loaded once for a window.
    """
    if page.url.startswith(address):
        page.evaluate(OPEN, name)
    else:
        page.goto(f"{address}{name}?reset")
    page.wait_for_function(TEXT_IS_SET, arg=cells)


def stop_kernels(page: Any) -> None:
    """Each notebook that is opened starts one."""
    page.evaluate(STOP_KERNELS)


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


def run_all_cells(page: Any, patience: int) -> None:
    """By the menu, once there is a kernel; return when the last has run, within so many milliseconds."""
    page.locator(".jp-NotebookPanel .jp-KernelName").get_by_text("Python").wait_for()
    page.locator(IDLE).wait_for()
    page.evaluate(STARTS)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function("window.hasStarted")
    page.wait_for_function(HAS_RUN, arg=IDLE, timeout=patience)
