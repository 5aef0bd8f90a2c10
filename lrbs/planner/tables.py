"""How a plan reads: as text of eighty columns, and as HTML."""

from __future__ import annotations

import html as markup
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from lrbs.planner.rates import OTHERS

if TYPE_CHECKING:
    from lrbs.planner.rates import Rule
    from lrbs.planner.request import Request
    from lrbs.planner.settings import Cost
    from lrbs.planner.target import Target

WIDTH = 80
APPLIES = {True: "yes", False: "no", None: "?"}
Table = tuple[Sequence[str], list[Sequence[str]]]  # head and rows


def short(number: float | None) -> str:
    """Two digits for what is tried, more for a whole number; without zeros in the exponent."""
    if number is None or math.isnan(number):
        return "-"
    if 100 <= number < 1e7:
        return f"{number:.0f}"
    return _plain_exponent(f"{number:.1e}" if number < 1e-3 else f"{number:.2g}")


def setting(number: float | None) -> str:
    """Four digits, for a decay such as 0.9936 needs them."""
    return "-" if number is None else _plain_exponent(f"{number:.4g}")


def _plain_exponent(text: str) -> str:
    return text.replace("e-0", "e-").replace("e+0", "e")


def times(cost: Cost) -> str:
    """A factor with its interval: "x 0.29 (0.26 to 0.33)"."""
    return "x " + _with_ends(cost, short)


def _percent(cost: Cost) -> str:
    if cost.value is None:
        return "not known without a noise scale"
    ends = f"{100 * cost.low:.0f} to {100 * cost.high:.0f} %"
    return f"{100 * cost.value:.0f} % ({ends}) of the examples well used"


def _with_ends(cost: Cost, form: Callable[[float], str]) -> str:
    ends = f"{form(cost.low)} to {form(cost.high)}"
    if cost.value is None:
        return ends
    return f"{cost.value:.3g}" if cost.low == cost.high else f"{form(cost.value)} ({ends})"


# ------------------------------------------------------------------------------------------ content
def _heading(request: Request, target: Target) -> str:
    sizes = f"{short(request.batch_size)} to {short(target.batch_size)} {request.unit}"
    return f"{request.optimizer}: batch {sizes} (x {target.growth:.3g}), equal {request.fixed}"


def _noise_scale(request: Request) -> str:
    scale = request.noise_scale
    if scale is None:
        return "not known"
    ends = f", {short(scale.low)} to {short(scale.high)}" if scale.has_interval else ""
    return f"{short(scale.value)}{ends} {request.unit} ({scale.source})"


def _answers(request: Request, target: Target) -> list[tuple[str, str]]:
    low, high = target.range
    now = request.learning_rate
    try_ = f"{short(low)} to {short(high)} (now {short(now)}: x {short(low / now)} to x {short(high / now)})"
    least = f", each of {target.trial_steps:.0f} steps or more" if target.trial_steps else ""
    return [
        ("learning rate", try_),
        ("from", target.reason),
        ("noise scale", _noise_scale(request)),
        ("run", f"steps {times(target.steps)}, examples {times(target.examples)}"),
        ("efficiency", _percent(target.efficiency)),
        ("worth it?", target.worth),
        (
            "to settle it",
            f"three short runs at {', '.join(short(rate) for rate in target.trial_rates)}{least}, and the "
            "present run beside them, compared at equal examples",
        ),
    ]


def _rate(rule: Rule) -> str:
    ends = f"{short(rule.low)} to {short(rule.high)}"
    if math.isnan(rule.low):
        return "-"
    if rule.learning_rate is None:
        return ends
    return short(rule.learning_rate) if rule.low == rule.high else f"{short(rule.learning_rate)} ({ends})"


def _rules(target: Target) -> Table:
    rows = [
        (rule.name, _rate(rule), APPLIES[rule.applies], f"{rule.because}. [{rule.basis}]", rule.assumption)
        for rule in target.rules
    ]
    return ("rule", "learning rate", "here?", "because [basis]", "assumes"), list(rows)


def _settings(target: Target) -> Table:
    rows = []
    for each in target.settings:
        value = setting(each.value)
        if each.low is not None and each.high is not None and each.low != each.high:
            value += f" ({short(each.low)} to {short(each.high)})"
        others = ", ".join(
            f"{name} {setting(v) if v is not None else 'impossible'}" for name, v in each.others.items()
        )
        words = f"{each.principle} [{each.basis}]" + (f"; {others}" if others else "")
        rows.append((each.name, setting(each.now), value, words))
    return ("setting", "now", "then", "principle [basis]"), list(rows)


# --------------------------------------------------------------------------------------------- text
def text(request: Request, targets: Iterable[Target]) -> str:
    """All targets, one below the other."""
    return "\n\n\n".join(_text(request, target) for target in targets)


def _text(request: Request, target: Target) -> str:
    head, rows = _settings(target)
    parts = [
        _heading(request, target),
        "\n".join(_columns(row, (15,)) for row in _answers(request, target)),
        "\n".join(_rule_lines(target)),
        "\n".join(_columns(row, (15, 8, 23)) for row in (head, *rows)),
        "\n".join(_hanging(f"- {note}", 2) for note in target.notes),
    ]
    return "\n\n".join(parts)


def _rule_lines(target: Target) -> list[str]:
    """Those that apply first; what holds for other optimisers is left out."""
    head, rows = _rules(target)
    lines = [_columns(head[:3], (26, 26))]
    order = ("yes", "?", "no")
    for row in sorted(rows, key=lambda row: order.index(row[2])):
        if OTHERS not in row[3]:
            lines += [_columns(row[:3], (26, 26)), _hanging(f"    {row[3]} Assumes: {row[4]}.", 4)]
    return lines


def _hanging(words: str, indent: int) -> str:
    return textwrap.fill(words, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    """A row whose last cell is wrapped in what the others leave."""
    lead = "".join(cell.ljust(width - 1) + " " for cell, width in zip(cells, widths, strict=False))
    return textwrap.fill(
        cells[-1], WIDTH, initial_indent=lead, subsequent_indent=" " * sum(widths), break_on_hyphens=False
    )


# --------------------------------------------------------------------------------------------- HTML
def html(request: Request, targets: Iterable[Target]) -> str:
    """The same as tables, of which those of rules and settings are folded."""
    return "".join(_html(request, target) for target in targets)


def _html(request: Request, target: Target) -> str:
    answers = "".join(_row(row, "td", head=True) for row in _answers(request, target))
    notes = "".join(f"<li>{markup.escape(note)}</li>" for note in target.notes)
    return (
        f"<table><caption>{markup.escape(_heading(request, target))}</caption>{answers}</table>"
        + _folded("each rule", _rules(target))
        + _folded("other settings", _settings(target))
        + f"<details><summary>notes</summary><ul>{notes}</ul></details>"
    )


def _folded(name: str, table: Table) -> str:
    head, rows = table
    body = "".join(_row(row, "td", head=True) for row in rows)
    return f"<details><summary>{name}</summary><table>{_row(head, 'th')}{body}</table></details>"


def _row(cells: Sequence[str], tag: str, head: bool = False) -> str:
    """`head`: the first cell names the row."""
    tags = ["th" if head and at == 0 else tag for at in range(len(cells))]
    inner = "".join(f"<{t}>{markup.escape(cell)}</{t}>" for t, cell in zip(tags, cells, strict=True))
    return f"<tr>{inner}</tr>"
