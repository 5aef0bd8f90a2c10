"""One look for every figure: the palette of the book on a light card.

Lines differ by dash as well as by colour, so that no figure rests on colour alone. The background is
solid because the same picture is shown on light pages, on dark pages and in an editor.
"""

from lrbs.show.palette import COLOURS, IN_TURN, PALETTE

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
PAPER = "#FFFFFF"


def use_style() -> None:
    """Draw all figures from here on in the book's style, whatever matplotlib was told before.

    Meanings of the palette become names of colours: ``ax.plot(x, y, color="square root")``. Figures fit a
    column of text: 6.4 by 4 inches, in letters that are ten pixels high on a phone 360 pixels wide.
    """
    import matplotlib
    from cycler import cycler

    matplotlib.colors.get_named_colors_mapping().update({name: COLOURS[hue] for name, hue in PALETTE.items()})
    ink, grey = COLOURS["ink"], COLOURS["grey"]
    lines = [COLOURS[hue] for hue in IN_TURN]
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
            "font.size": 14.4,
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
