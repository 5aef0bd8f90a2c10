"""How soon pages show something, and a figure that moves, on a slow phone in a slow net.

    python -m benchmarks.slow_phone [page ...]

Chromium plays the phone: 360 pixels wide, a processor four times slower than this one, 1.6 Mbit/s with 150 ms
to each answer, from a server that compresses. Aims: the first paint within 2 s, a figure with its sliders
within 4 s.
"""

import functools
import gzip
import http.server
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.browser import SITE, Handler, chromium

PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
NET = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}
WATCH = """new MutationObserver((_, observer) => {
  if (!document.querySelector("figure.lrbs-live svg path")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (globalThis.moving = performance.now())));
}).observe(document, { childList: true, subtree: true });"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


class Compressing(Handler):
    """Text is sent as gzip."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSED or not path.exists():
            return super().do_GET()
        body = compressed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@functools.cache
def compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6)


@contextmanager
def served_compressed(folder: Path) -> Iterator[str]:
    handler = functools.partial(Compressing, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def visit(browser: Any, address: str, slower: float = 4) -> tuple[float, float]:
    """Milliseconds to the first paint, and to a figure that moves (nan where there is none)."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", NET)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.goto(address, wait_until="load", timeout=120_000)
    page.wait_for_timeout(500)
    times = page.evaluate(f"[{PAINTED}, globalThis.moving ?? null]")
    context.close()
    painted, moving = (float("nan") if time is None else float(time) for time in times)
    return painted, moving


def main() -> None:
    names = sys.argv[1:] or ["index", "status-quo", "momentum", "formula-index"]
    print(f"{'page':20}{'paint, ms':>12}{'figure, ms':>12}")
    with chromium() as browser, served_compressed(SITE) as address:
        for name in names:
            found = [visit(browser, f"{address}chapters/{name}.html") for _ in range(3)]
            painted, moving = map(statistics.median, zip(*found, strict=True))
            print(f"{name:20}{painted:12.0f}{moving:12.0f}", flush=True)


if __name__ == "__main__":
    main()
