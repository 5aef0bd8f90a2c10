"""How quick the built site is: weight and first paint of pages, and how soon figures follow their sliders.

    make benchmarks

Pages come from a server on this machine and are measured in Chromium, as they are sent and as a server that
compresses would send them. A redraw lasts from the move of a slider until the next picture is on the screen,
script time apart. Aims: 2.5 MB and 1 s a page; 50 ms a redraw, with a kernel 150 ms.
"""

import gzip
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tools import lab
from tools.browser import SITE, chromium, served

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
MOVE = """async (figure) => {
  const times = [];
  for (const control of figure.querySelectorAll(".lrbs-controls input, .lrbs-controls select")) {
    const last = control.max ? Number(control.max) : control.options.length - 1;
    for (let step = 0; step < 12; step++) {
      await new Promise(requestAnimationFrame);
      const start = performance.now();
      if (control.max) control.value = step % (last + 1);
      else control.selectedIndex = step % (last + 1);
      control.dispatchEvent(new Event("input"));
      figure.getBoundingClientRect();
      const scripted = performance.now() - start;
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push([scripted, performance.now() - start]);
    }
  }
  return times;
}"""
FOLLOW = """(figure, key) => new Promise((done) => {
  const picture = () => figure.querySelector("img").src;
  const [before, start] = [picture(), performance.now()];
  const look = () => (picture() === before ? requestAnimationFrame(look) : done(performance.now() - start));
  figure.querySelector(".noUi-handle").dispatchEvent(
    new KeyboardEvent("keydown", { key, keyCode: key === "ArrowLeft" ? 37 : 39, bubbles: true }));
  look();
})"""


def visit(browser: Any, address: str) -> tuple[Any, int, int, float]:
    """A page, opened without a cache: bytes sent, bytes compressed, milliseconds to the first paint."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    responses: list[Any] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(address, wait_until="networkidle")
    page.evaluate("() => globalThis.MathJax?.startup?.promise")
    page.wait_for_load_state("networkidle")
    bodies = [response.body() for response in responses]
    compressed = sum(min(len(body), len(gzip.compress(body, 6))) for body in bodies)
    return page, sum(map(len, bodies)), compressed, page.evaluate(PAINTED)


def measure_pages(browser: Any) -> None:
    names = ("MB", "MB gzip", "paint, ms", "figures", "script, ms", "redraw, ms", "worst, ms")
    print(f"{'page':20}" + "".join(f"{name:>12}" for name in names))
    with served(SITE) as address:
        for path in sorted((SITE / "chapters").glob("*.html")):
            page, size, compressed, first = visit(browser, f"{address}chapters/{path.name}")
            paints = [first]
            for _ in range(2):
                again, *_, later = visit(browser, f"{address}chapters/{path.name}")
                again.context.close()
                paints.append(later)
            line = (
                f"{path.stem:20}{size / 1e6:12.2f}{compressed / 1e6:12.2f}{statistics.median(paints):12.0f}"
            )
            figures = page.locator("figure.lrbs-live").all()
            times = [time for figure in figures for time in figure.evaluate(MOVE)]
            if times:
                script, redraw = (statistics.median(column) for column in zip(*times, strict=True))
                worst = max(time for _, time in times)
                line += f"{len(figures):12}{script:12.1f}{redraw:12.1f}{worst:12.1f}"
            print(line, flush=True)
            page.context.close()


def measure_kernel(browser: Any, chapter: Path) -> None:
    """Of a chapter's beginning, the first figure and the one that a kernel draws."""
    page = browser.new_context(viewport={"width": 1280, "height": 1600}).new_page()
    page.set_default_timeout(300_000)
    with tempfile.TemporaryDirectory() as folder, lab.jupyterlab(Path(folder), chapter) as address:
        page.goto(address)
        lab.run_all_cells(page, 300_000)
        figures = page.locator(lab.FIGURE).filter(has=page.locator(".noUi-handle"))
        for name, figure in (("without one, too", figures.first), ("in a kernel alone", figures.last)):
            figure.locator("img").wait_for()
            page.wait_for_timeout(1000)
            times = [figure.evaluate(FOLLOW, key) for key in 4 * ["ArrowRight", "ArrowLeft"]]
            print(f"{chapter.stem:20}{name:20}{statistics.median(times):12.0f}{max(times):12.0f}", flush=True)
    page.context.close()


if __name__ == "__main__":
    with chromium() as browser:
        measure_pages(browser)
        print(f"{'with a kernel':20}{'figure that moves':20}{'redraw, ms':>12}{'worst, ms':>12}")
        for chapter in lab.chapters():
            measure_kernel(browser, chapter)
