"""One palette for all figures: each meaning has one colour, in stills and in live figures alike.

The hues are those of Okabe and Ito (2008), moved apart until colour-blind eyes tell any two of them from each
other and until each stands out from the page by 3:1. A figure compares few things, of one family or two; so
families share hues, while no figure does. Lines differ by dash as well.
"""

from types import MappingProxyType

COLOURS = MappingProxyType(
    {
        "blue": "#0062B0",
        "vermilion": "#A93B00",
        "green": "#1FA071",
        "purple": "#6D356F",
        "orange": "#C08712",
        "sky": "#3D9BD6",
        "ink": "#24292F",
        "grey": "#6D7883",
    }
)
"""Hues by name, as on light pages; assets/live.css has them for dark ones."""

PALETTE = MappingProxyType(
    {
        # how a number was found
        "exact": "ink",
        "measured": "ink",
        "mean field": "blue",
        "law": "vermilion",  # one ratio for all coordinates, in closed form
        "strangers": "vermilion",  # coordinates as closed laws have them
        "older route": "sky",
        # rules of scaling
        "linear": "orange",
        "square root": "green",
        "constant": "sky",
        # optimisers
        "SGD": "orange",
        "SGD with momentum": "vermilion",
        "SignSGD": "green",
        "Adam": "blue",
        "Muon": "purple",
        "Lion": "sky",
        "SoftSign": "sky",
        "Newton": "vermilion",
        "momentum": "vermilion",
        "no momentum": "purple",
        # noise scales
        "B_noise": "vermilion",
        "B_simple": "sky",
        # what a step has
        "learning rate": "blue",
        "progress": "green",
        # marks
        "here": "purple",  # where the reader, or a slider, points
        "guide": "grey",  # limits, references, what stays in the background
    }
)
"""Hue of each meaning. `use_style` makes the meanings names of colours for matplotlib as well."""
IN_TURN = ("blue", "vermilion", "green", "purple", "orange", "sky")


def in_turn(taken: set[str | None]) -> tuple[str, ...]:
    """Hues for what has no meaning of its own, those first that are not taken."""
    return tuple(sorted(IN_TURN, key=lambda hue: hue in taken))
