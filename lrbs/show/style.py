"""One look for every figure: Okabe and Ito's colours, which colour-blind eyes tell apart, on a light card.

Lines differ by dash as well as by colour, so that no figure rests on colour alone. The background is
solid because the same picture is shown on light pages, on dark pages and in an editor.
"""

from types import MappingProxyType

# Okabe and Ito (2008), orange and sky blue darkened: every colour stands out from white by 3:1 or more.
COLOURS = MappingProxyType(
    {
        "blue": "#0072B2",
        "vermilion": "#D55E00",
        "green": "#009E73",
        "purple": "#CC79A7",
        "orange": "#A87400",
        "sky": "#3D9BD6",
        "ink": "#24292F",  # text and what was measured
        "grey": "#6E7781",  # what stays in the background: axes, limits, guides
    }
)
"""Colours of the book by name."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
PAPER = "#FFFFFF"


def use_style() -> None:
    """Draw all figures from here on in the book's style, whatever matplotlib was told before.

    Figures fit a column of text: 6.4 by 4 inches, in letters that can be read when a phone shows them at
    three quarters of their size.
    """
    import matplotlib
    from cycler import cycler

    ink, grey = COLOURS["ink"], COLOURS["grey"]
    lines = [COLOURS[name] for name in ("blue", "vermilion", "green", "purple", "orange", "sky")]
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(
        {
            "axes.edgecolor": grey,
            "axes.facecolor": PAPER,
            "axes.formatter.use_mathtext": True,
            "axes.grid": True,
            "axes.labelcolor": ink,
            "axes.prop_cycle": cycler(color=lines) + cycler(linestyle=DASHES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "errorbar.capsize": 3,
            "figure.constrained_layout.use": True,
            "figure.dpi": 144,
            "figure.facecolor": PAPER,
            "figure.figsize": (6.4, 4),
            "font.size": 12.5,
            "grid.alpha": 0.25,
            "grid.color": grey,
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "lines.markersize": 5,
            "savefig.facecolor": PAPER,
            "text.color": ink,
            "xtick.color": grey,
            "xtick.labelcolor": ink,
            "ytick.color": grey,
            "ytick.labelcolor": ink,
        }
    )
