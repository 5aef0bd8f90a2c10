"""A still of a figure, drawn with matplotlib in the book's style."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbs.labels import as_mathtext, number_text
from lrbs.show.palette import COLOURS, in_turn
from lrbs.show.recording import Recording
from lrbs.show.style import DASHES, use_style
from lrbs.validation import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D")
LEGEND_WIDTH = 58  # letters in a row of the legend, a sign counting as 8
LINE = 0.3  # inches
KEPT: dict[str, Any] = {}  # what sets mathematics, as on axes: it is quick with all that it has set before


def looks(recording: Recording) -> list[tuple[str, int]]:
    """Hue of each series, and the number that chooses its dash or marker."""
    result, drawn = [], Counter[str]()  # lines and points are counted apart
    free = cycle(in_turn({series.colour for series in recording.series}))
    for series in recording.series:
        if series.kind in ("rule", "readout"):
            result.append((series.colour or "grey", 0))
        else:
            result.append((series.colour or next(free), drawn[series.kind]))
            drawn[series.kind] += 1
    return result


def draw(recording: Recording, figure: Figure, position: tuple[int, ...]) -> None:
    """Draw what the figure shows at one position of its sliders.

    Margins follow from the texts rather than from a layout engine, which takes as long as the drawing.
    """
    limits = {"x": recording.limits("x"), "y": recording.limits("y")}
    ticks = {"x": recording.x.ticks(*limits["x"]), "y": recording.y.ticks(*limits["y"])}
    longest = max(len(series.name) + 8 * (series.kind == "readout") for series in recording.series)
    columns = max(1, min(3, LEGEND_WIDTH // (longest + 8)))
    rows = -(-len(recording.series) // columns)
    width, height = figure.get_size_inches()[0], 3.8 + LINE * rows
    figure.set_size_inches(width, height)
    left, bottom = 0.25 + 0.115 * max((len(text) for _, text in ticks["y"]), default=0), 0.72
    right, top = width - 0.2, 3.35
    figure.set_layout_engine("none")
    axes = figure.add_axes(
        (left / width, bottom / height, (right - left) / width, (top - bottom) / height),
        xscale="log" if recording.x.log else "linear",
        yscale="log" if recording.y.log else "linear",
        xlim=limits["x"],
        ylim=limits["y"],
    )
    for series, (colour, number) in zip(recording.series, looks(recording), strict=True):
        _draw_series(axes, series.kind, as_mathtext(series.name), series.at(position), colour, number)
    for letter, line in (("x", axes.xaxis), ("y", axes.yaxis)):
        line.set_ticks([value for value, _ in ticks[letter]], [text for _, text in ticks[letter]])
        line.minorticks_off()
    axes.set_xlabel(as_mathtext(recording.x.label), loc="right")
    figure.text(0.1 / width, (top + 0.1) / height, as_mathtext(recording.y.label))
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="upper left", ncols=columns, borderaxespad=0.2)


def _draw_series(
    axes: Axes, kind: str, name: str, at: dict[str, Array], colour_name: str, number: int
) -> None:
    dash, marker, colour = DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)], COLOURS[colour_name]
    if kind == "line":
        axes.plot(at["x"], at["y"], color=colour, linestyle=dash, label=name)
    elif kind == "points":
        if "low" in at:
            axes.vlines(at["x"], at["low"], at["high"], color=colour, linewidth=1.2)
        axes.plot(at["x"], at["y"], color=colour, linestyle="none", marker=marker, label=name, zorder=3)
    elif kind == "band":
        low, high = at["low"], at["high"]
        axes.fill_between(
            at["x"], low, high, facecolor=(colour, 0.2), edgecolor=colour, linewidth=0.6, label=name
        )
    elif kind == "rule":
        across = axes.axvline if "x" in at else axes.axhline
        across(next(iter(at.values()))[0], color=colour, linestyle=(0, (2, 2)), linewidth=1.4, label=name)
    else:
        axes.plot([], [], linestyle="none", label=f"{name}: {number_text(at['value'][0])}")


def png(
    paint: Callable[[Figure], object],
    size: tuple[float, float] | None = None,
    keep: bool = True,
    places: list[Any] | None = None,
) -> bytes:
    """What `paint` draws on an empty figure in the book's style, as a PNG.

    A picture to keep is reduced to 128 colours, which lines and letters never notice: a third of the
    weight. One that is gone at the next move of a slider is written in a hurry instead.

    `places` takes where the axes stand. Handed to the next picture of a figure it spares that one the
    search for margins, which takes as long as the drawing, unless a text then runs out of the picture.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    places = [] if places is None else places
    with matplotlib.rc_context():
        use_style()
        figure = Figure(figsize=size)
        paint(figure)
        canvas: Any = FigureCanvasAgg(figure)
        renderer = canvas.get_renderer()
        renderer.mathtext_parser = KEPT.setdefault("mathtext", renderer.mathtext_parser)
        if len(places) != len(figure.axes) or not _fits(figure, places):
            canvas.draw()
        places[:] = [axes.get_position(original=True) for axes in figure.axes]
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    if keep:
        image.quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    else:
        few = image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _fits(figure: Figure, places: list[Any]) -> bool:
    """Draw with the axes at `places`; False, with the layout engine back, if that touches the rim."""
    canvas: Any = figure.canvas
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    for axes, place in zip(figure.axes, places, strict=True):
        axes.set_position(place)
        axes.set_in_layout(True)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    rim = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    figure.set_layout_engine(engine)
    return bool((rim == pixels[0, 0]).all())
