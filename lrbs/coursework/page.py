"""Pages that stand alone: one HTML file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import binascii
import html
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0;
border-bottom: 1px solid #ccc; vertical-align: top; } td.n { text-align: right; white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4; padding: .6rem; }
pre.rubric { background: #eaf3ea; } .hint { color: #444; } img { max-width: 100%; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PNG = b"\x89PNG\r\n\x1a\n"


def page(title: str, body: str) -> str:
    """An HTML page; `body` is HTML, `title` is text. No script runs on it, whatever an answer holds."""
    shown = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{shown}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{shown}</h1>\n{body}\n</body></html>\n"
    )


def picture(figure: Any) -> str:
    """The picture of a figure as a notebook reported it, if it is one."""
    try:
        data = base64.b64decode(figure["figure"]["png"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return "<p>(no picture)</p>"
    if not data.startswith(PNG):
        return "<p>(no picture)</p>"
    text = base64.b64encode(data).decode()
    return f'<img alt="The figure that was handed in" src="data:image/png;base64,{text}">'


def histogram(values: list[float], most: float) -> str:
    """A picture of the distribution of marks, in SVG, with ten bars."""
    if not values or most <= 0:
        return "<p>No marks yet.</p>"
    counts = [0] * 10
    for value in values:
        counts[min(9, max(0, int(10 * value / most)))] += 1
    highest = max(counts)
    bars = []
    for index, count in enumerate(counts):
        height = 120 * count / highest
        x = 30 + 40 * index
        bars.append(
            f'<rect x="{x}" y="{140 - height:.1f}" width="36" height="{height:.1f}" fill="#4477aa"/>'
            + (
                f'<text x="{x + 18}" y="{134 - height:.1f}" text-anchor="middle">{count}</text>'
                if count
                else ""
            )
        )
    ticks = "".join(
        f'<text x="{28 + 40 * k}" y="158" text-anchor="middle">{most * k / 10:g}</text>' for k in range(11)
    )
    told = ", ".join(
        f"{count} from {most * k / 10:g} to {most * (k + 1) / 10:g}"
        for k, count in enumerate(counts)
        if count
    )
    return (
        f'<svg role="img" aria-label="Students by points: {told}" viewBox="0 0 450 182" font-size="12">'
        f'{"".join(bars)}{ticks}<text x="228" y="177" text-anchor="middle">points</text></svg>'
    )
