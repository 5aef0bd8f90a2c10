"""Words on figures: numbers and symbols, for pages, pictures and widgets alike."""

import html
import re

import numpy as np

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# A letter with an index ("B_noise"), or a capital or Greek letter by itself. A and I are words,
# not symbols. The script of the page has the same rule.
SYMBOL = re.compile(r"(?<![^\W_])([^\W\d_])_([^\W_²³]+)|(?<![^\W_])([B-HJ-ZΑ-Ωα-ω])(?![^\W_])")


def power_of_ten(exponent: int) -> str:
    """10 to a power, in plain text."""
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def number_text(value: float, digits: int = 3) -> str:
    """A number as a reader wants it: rounded, plain where that is short, else with a power of ten.

    >>> [number_text(each) for each in (1584.893, -0.25, 1.5e-5, 1e6)]
    ['1585', '−0.25', '1.5×10⁻⁵', '10⁶']
    """
    if value <= 0:
        return "−" + number_text(-value, digits) if value else "0"
    if 1e-3 <= value < 1e5:
        places = max(0, digits - 1 - int(np.floor(np.log10(value))))
        text = f"{value:.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = power_of_ten(int(exponent))
    return power if mantissa == "1" else f"{mantissa}×{power}"


def as_mathtext(label: str) -> str:
    """A label for matplotlib, its symbols in mathematics.

    >>> as_mathtext("noise scale B_noise")
    'noise scale $B_{\\\\mathrm{noise}}$'
    """

    def symbol(match: re.Match[str]) -> str:
        letter, index, alone = match.groups()
        return f"${alone}$" if alone else f"${letter}_{{\\mathrm{{{index}}}}}$"

    return SYMBOL.sub(symbol, label.replace("$", r"\$"))


def as_html(label: str) -> str:
    """A label for a page, its symbols in italics; no label quotes anything.

    >>> as_html("noise scale B_noise")
    'noise scale <i>B</i><sub>noise</sub>'
    >>> as_html("SGD's B_noise² / B")
    'SGD’s <i>B</i><sub>noise</sub>² / <i>B</i>'
    """

    def symbol(match: re.Match[str]) -> str:
        letter, index, alone = match.groups()
        return f"<i>{alone}</i>" if alone else f"<i>{letter}</i><sub>{index}</sub>"

    return SYMBOL.sub(symbol, html.escape(label.replace("'", "’"), quote=False))
