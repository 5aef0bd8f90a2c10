"""Figures that move without a kernel: all their positions are computed beforehand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbs.labels import as_html
from lrbs.show.controls import Axis, Control
from lrbs.show.picture import draw, looks, png
from lrbs.show.recording import Recording, packed, record
from lrbs.show.widget import bundle, check_controls, still, widget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CHARACTERS = 300_000


@dataclass(frozen=True)
class LiveFigure:
    """A figure whose sliders move curves, with or without a kernel: what :func:`explore` returns.

    Attributes
    ----------
    recording : Recording, what is drawn at each position
    caption, alt : str
    """

    recording: Recording
    caption: str
    alt: str

    def picture_at(self, position: tuple[int, ...], keep: bool = False) -> bytes:
        """PNG of the figure at one position of the sliders.

        Parameters
        ----------
        position : tuple of int, place of each slider on its grid
        keep : bool, reduced to 128 colours, to be stored

        Returns
        -------
        bytes
        """

        def paint(figure: Figure) -> None:
            draw(self.recording, figure, position)

        return png(paint, keep=keep)

    @property
    def data(self) -> str:
        """All positions as JSON, for the script of the page; the same at every run."""
        recording = self.recording
        axes = {}
        for letter, axis in (("x", recording.x), ("y", recording.y)):
            ends = recording.limits(letter)
            axes[letter] = {"label": axis.label, "log": axis.log, "limits": ends, "ticks": axis.ticks(*ends)}
        series = [
            {
                "name": each.name,
                "kind": each.kind,
                "colour": colour,
                "number": number,
                "arrays": {role: [array.shape, packed(array)] for role, array in each.arrays.items()},
            }
            for each, (colour, number) in zip(recording.series, looks(recording), strict=True)
        ]
        controls = [
            {"label": c.label, "names": c.names, "start": c.position, "kind": type(c).__name__.lower()}
            for c in recording.controls.values()
        ]
        whole = {"alt": self.alt, "controls": controls, "axes": axes, "series": series}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))

    @property
    def name(self) -> str:
        """Id of the figure on its page: a hash of its words, for its numbers differ by machine."""
        recording = self.recording
        labels = [recording.x.label, recording.y.label, *(series.name for series in recording.series)]
        for control in recording.controls.values():
            labels += [control.label, *control.names]
        words = json.dumps([self.caption, self.alt, labels])
        return "live-" + hashlib.sha256(words.encode()).hexdigest()[:10]

    def __repr__(self) -> str:
        curves = ", ".join(series.name for series in self.recording.series)
        return f"Live figure ({self.recording.words(self.recording.start)}) of {curves}: {self.alt}"

    def widget(self) -> Any:
        """The figure with its sliders, for a kernel.

        Returns
        -------
        ipywidgets.VBox
        """
        picture = self.picture_at(self.recording.start)
        return widget(self.recording.controls, self.picture_at, picture, self.caption, self.alt)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        data, picture = self.data, self.picture_at(self.recording.start, keep=True)
        inert = data.replace("<", "\\u003c")  # so that no text can end the element that holds it
        how = (
            f"A still, at {as_html(self.recording.words(self.recording.start))}; it moves on the pages "
            "of the book and, once its cell is run, in JupyterLab."
        )
        script = f'<script type="application/json">{inert}</script>'
        page = still(f'class="lrbs-live" id="{self.name}"', picture, self.alt, self.caption, how, script)
        return bundle(repr(self), page, picture, self.widget())


def explore(
    curves: Callable[..., Mapping[str, Any]],
    sliders: Mapping[str, Control],
    *,
    x: Axis,
    y: Axis,
    caption: str,
    alt: str,
) -> LiveFigure:
    """A figure whose sliders work on the built page, with no kernel and no network.

    Parameters
    ----------
    curves : function
        Called with a value of each slider, as keyword arguments, at every combination of their values.
        Returns a mapping from the name of a series to `(x, y)` for a line, or to a `Line`, `Points`,
        `Band`, `Rule` or `Readout`. The same names and lengths each time; nan is not drawn.
    sliders : mapping from str to Slider or Choice, by the name of the parameter of `curves`
    x, y : Axis, they stay where they are when curves move
    caption : str, what happens when one moves the sliders
    alt : str
        What the figure shows, for those who do not see it.

    Returns
    -------
    LiveFigure
        On the built page: sliders, curves, and the numbers as a table one click away. In a notebook with
        a kernel: the same in widgets. Elsewhere: a still.

    Raises
    ------
    ValueError
        If the series differ from one position to another, do not fit their axes, or are too many
        numbers for a page (300 kB, some 75 000 numbers; what does not depend on a slider counts once).

    Examples
    --------
    >>> import numpy as np
    >>> import lrbs
    >>> from lrbs.show import Axis, Slider, explore
    >>> batch_size = np.geomspace(1, 1e5, 40)
    >>> def curves(noise_scale):
    ...     rate = lrbs.saturation(batch_size, 1.0, noise_scale)
    ...     return {"SGD": (batch_size, rate)}
    >>> explore(
    ...     curves,
    ...     {"noise_scale": Slider("noise scale", np.geomspace(1, 1e4, 17), 100)},
    ...     x=Axis("batch size", log=True),
    ...     y=Axis("learning rate", log=True),
    ...     caption="A larger noise scale moves the bend to the right.",
    ...     alt="A curve that rises with the batch size, then levels off.",
    ... )
    Live figure (noise scale 100) of SGD: A curve that rises with the batch size, then levels off.
    """
    figure = LiveFigure(record(curves, check_controls(sliders), x, y), caption, alt)
    size = len(figure.data)
    if size > MOST_CHARACTERS:
        raise ValueError(
            f"the figure must fit into {MOST_CHARACTERS // 1000} kB; it takes {size // 1000} kB: "
            "give sliders fewer values or curves fewer points"
        )
    return figure
