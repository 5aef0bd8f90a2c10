"""Figures that are drawn anew in a kernel, each time that a slider moves."""

from __future__ import annotations

import base64
import html
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lrbs.labels import as_html, as_mathtext
from lrbs.show.controls import Control, Slider
from lrbs.show.picture import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDTH = 680  # pixels of a picture in a notebook
IN_A_KERNEL = "A still; it has sliders in JupyterLab (<code>make lab</code>), once its cell is run."


def image(picture: bytes, alt: str, attributes: str = "") -> str:
    """A PNG as an HTML element that carries it."""
    data = base64.b64encode(picture).decode("ascii")
    return f'<img alt="{html.escape(alt)}"{attributes} src="data:image/png;base64,{data}">'


def still(attributes: str, picture: bytes, alt: str, caption: str, how: str, more: str = "") -> str:
    """A figure as HTML that carries its picture, for where nothing can be moved; `how` says where it can."""
    return (
        f"<figure {attributes}>{image(picture, alt)}"
        f'<figcaption>{as_html(caption)} <span class="lrbs-how">{how}</span></figcaption>{more}</figure>'
    )


def check_controls(sliders: Mapping[str, Control]) -> dict[str, Control]:
    """The sliders, which must be one or more of `Slider` and `Choice`."""
    wrong = [name for name, control in sliders.items() if not isinstance(control, Control)]
    if wrong or not sliders:
        raise ValueError(
            f"sliders must map each parameter to a Slider or a Choice; got {sorted(wrong) or 'none'}"
        )
    return dict(sliders)


def widget(
    controls: Mapping[str, Control],
    picture_at: Callable[[tuple[int, ...]], bytes],
    first: bytes,
    caption: str,
    alt: str,
) -> Any:
    """Sliders over a picture, live for as long as the kernel is: an ipywidgets.VBox."""
    import ipywidgets

    width, height = struct.unpack(">II", first[16:24])  # of the PNG, for the page not to jump as it moves
    kept = f' width="{WIDTH}" height="{WIDTH * height // width}" decoding="sync" style="max-width: 100%"'
    shown = ipywidgets.HTML(image(first, alt, kept))
    below = ipywidgets.HTML(as_html(caption))
    moving = [
        (ipywidgets.SelectionSlider if isinstance(control, Slider) else ipywidgets.Dropdown)(
            description=as_mathtext(control.label),
            options=[(name, index) for index, name in enumerate(control.names)],
            value=control.position,
            style={"description_width": "14em"},
            layout={"width": f"min(100%, {WIDTH}px)"},
        )
        for control in controls.values()
    ]

    def redraw(_: object) -> None:
        try:
            shown.value = image(picture_at(tuple(each.value for each in moving)), alt, kept)
            below.value = as_html(caption)
        except Exception as error:  # a callback has no cell to print in: say it where the reader looks
            below.value = f"<pre>{html.escape(f'{type(error).__name__}: {error}')}</pre>"

    for each in moving:
        each.observe(redraw, names="value")
    return ipywidgets.VBox([*moving, shown, below])


def bundle(text: str, page: str, picture: bytes, view: Any) -> dict[str, Any]:
    """What a cell puts out: JupyterLab takes the widget, a page the HTML, others the picture or the text."""
    return {
        "text/plain": text,
        "text/html": page,
        "image/png": picture,
        WIDGET: view._repr_mimebundle_()[WIDGET],
    }


@dataclass(frozen=True)
class Interactive:
    """A figure with sliders in a kernel, a still elsewhere: what :func:`interact` returns.

    Attributes
    ----------
    draw, sliders, caption, alt, size : object, what :func:`interact` was given
    picture : bytes, the still, PNG
    places : list, of the axes, as drawn last
    """

    draw: Callable[..., object]
    sliders: dict[str, Control]
    caption: str
    alt: str
    size: tuple[float, float] | None
    picture: bytes = field(repr=False)
    places: list[Any] = field(default_factory=list, repr=False, compare=False)  # of the axes, as drawn last

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
        values = {n: c.values[i] for (n, c), i in zip(self.sliders.items(), position, strict=True)}

        def paint(figure: Figure) -> None:
            self.draw(figure, **values)

        return png(paint, self.size, keep, self.places)

    def __repr__(self) -> str:
        moves = ", ".join(f"{c.label} {c.names[c.position]}" for c in self.sliders.values())
        return f"Figure with sliders ({moves}): {self.alt}"

    def widget(self) -> Any:
        """The figure with its sliders, for a kernel: an ipywidgets.VBox.

        Returns
        -------
        ipywidgets.VBox
        """
        return widget(self.sliders, self.picture_at, self.picture, self.caption, self.alt)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        page = still('class="lrbs-still"', self.picture, self.alt, self.caption, IN_A_KERNEL)
        return bundle(repr(self), page, self.picture, self.widget())


def interact(
    draw: Callable[..., object],
    sliders: Mapping[str, Control],
    *,
    caption: str,
    alt: str,
    size: tuple[float, float] | None = None,
) -> Interactive:
    """A figure that a kernel draws anew when a slider moves, for what cannot be computed beforehand.

    Parameters
    ----------
    draw : function
        Called as ``draw(figure, **values)`` with an empty matplotlib figure and a value of each slider.
        Its randomness must be seeded, so that the first picture is the same at every run. Aim at less
        than 0.1 s.
    sliders : mapping from str to Slider or Choice, by the name of the parameter of `draw`
    caption : str, what happens when one moves the sliders
    alt : str
        What the picture shows, for those who do not see it.
    size : pair of float, optional
        Width and height in inches; the style's unless told.

    Returns
    -------
    Interactive
        In a notebook: sliders over the picture. On the built page, where no kernel is: the picture, the
        caption and a line that says how to run it.

    Examples
    --------
    >>> def draw(figure, power):
    ...     axes = figure.subplots()
    ...     axes.plot([0, 1, 2], [0, 1, 2**power])
    >>> sliders = {"power": Slider("power", [1, 2, 3])}
    >>> interact(draw, sliders, caption="Steeper.", alt="a bent line")
    Figure with sliders (power 2): a bent line
    """
    controls = check_controls(sliders)
    start = tuple(control.position for control in controls.values())
    figure = Interactive(draw, controls, caption, alt, size, b"")
    object.__setattr__(figure, "picture", figure.picture_at(start, keep=True))
    return figure
