"""Formulas keep their punctuation, numbers their signs, and long names may break."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "_ext"))
from typography import typeset


def formula(tex: str) -> str:
    return rf'<span class="math notranslate nohighlight">\({tex}\)</span>'


def together(text: str) -> str:
    return f'<span class="lrbs-together">{text}</span>'


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (f"for {formula('x')}, then", f"for {together(formula('x') + ',')} then"),
        (f"so ({formula('x')}) is", f"so {together('(' + formula('x') + ')')} is"),
        (f"{formula('x')} and {formula('y')}.", f"{formula('x')} and {together(formula('y') + '.')}"),
        (
            f"{formula('a')} with {formula('c=')} <strong>0.505</strong>, or",
            f"{formula('a')} with {together(formula('c=') + '&nbsp;<strong>0.505</strong>,')} or",
        ),
        (f"{formula('c=')} what", f"{formula('c=')} what"),
        ("<strong>25</strong> % of 3 ± 1", "<strong>25</strong>&nbsp;% of 3&nbsp;±&nbsp;1"),
        ("<pre>25 % of 3 ± 1</pre> 5 %", "<pre>25 % of 3 ± 1</pre> 5&nbsp;%"),
        (
            '<span class="pre">lrbs.laws.a_b(c)</span>',
            '<span class="pre">lrbs.<wbr>laws.<wbr>a_<wbr>b(<wbr>c)</span>',
        ),
        (
            "<td>-52 %</td> of (-1, 2-3) at 3.0e-4",
            f"<td>−52&nbsp;%</td> of (−1, 2-3) at {together('3.0e-4')}",
        ),
        ('<img alt="from -1 to 1e-4"> 10-3', '<img alt="from -1 to 1e-4"> 10-3'),
        (f"{formula('x = 4 - 1e-4')} is", f"{formula('x = 4 - 1e-4')} is"),
        ("Adam's rate at B = 4", "Adam’s rate at B&nbsp;=&nbsp;4"),
        ("(4 points), × 2", "(4&nbsp;points), ×&nbsp;2"),
        ('<span class="pre">--batch-size</span>', f'<span class="pre">{together("--batch-")}size</span>'),
        ('<span class="pre">noise_scale</span>', '<span class="pre">noise_scale</span>'),
        ('<code><span class="pre">-1.5</span></code>', '<code><span class="pre">-1.5</span></code>'),
        ("<h2>lrbs.laws.sgd</h2>", "<h2>lrbs.<wbr>laws.<wbr>sgd</h2>"),
        ('Solution to<a href="#x"> Exercise</a>', 'Solution to <a href="#x">Exercise</a>'),
    ],
)
def test_line_breaks(page, expected):
    assert typeset(page) == expected
