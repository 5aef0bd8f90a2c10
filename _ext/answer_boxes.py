"""A field below an exercise, in which a reader checks a number on the page, without a kernel.

Answers and slips stand in chapters/answers.toml by the exercise's label, as expressions that are computed
when the book is built, so that they cannot go stale. They travel on the page as Base64: enough against a
glance, for the solution stands folded below. assets/answers.js shows the field and judges.
"""

import base64
import html
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import lrbs

FILE = Path("chapters", "answers.toml")
MATH = re.compile(r"\$([^$]+)\$")
ENTRY = {"ask", "python", "tolerance", "slips"}
SLIP = {"name", "python", "hint"}


@dataclass(frozen=True)
class Answer:
    """One field: its words, the right number, and wrong ones as (name, number, hint)."""

    ask: str
    value: float
    tolerance: float
    slips: list[tuple[str, float, str]]


def solve(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign, by halving."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(low) * function(middle) > 0 else (low, middle)
    return low


def ratio(rule: lrbs.UpdateRule) -> float:
    """How a rule's best learning rate grows from a hundredth of the noise scale to sixteen of them."""
    unit = lrbs.LocalModel([1.0], [1.0], [1.0])
    rates = lrbs.expected_step(unit, rule, [0.01, 0.16], lrbs.scalar_mean_field).optimal_lr
    return float(rates[1] / rates[0])


NAMES = {
    "lrbs": lrbs,
    "np": np,
    "sqrt": math.sqrt,
    "log": math.log,
    "erf": math.erf,
    "solve": solve,
    "ratio": ratio,
}


def read(path: Path) -> dict[str, list[Answer]]:
    """The answers of a file, computed.

    Raises
    ------
    ValueError
        If an entry has a key that is none, or lacks one, or its number is not finite; says which.
    """
    found = {}
    for label, entries in tomllib.loads(path.read_text("utf-8")).items():
        found[label] = [_answer(label, entry) for entry in entries]
    return found


def _answer(label: str, entry: dict[str, Any]) -> Answer:
    slips = entry.get("slips", [])
    if not {"ask", "python"} <= set(entry) <= ENTRY or any(set(slip) != SLIP for slip in slips):
        raise ValueError(f"{FILE}: {label} wants ask and python, slips name, python, hint; got {entry}")
    told = [(slip["name"], _number(label, slip["python"]), slip["hint"]) for slip in slips]
    return Answer(entry["ask"], _number(label, entry["python"]), entry.get("tolerance", 0.01), told)


def _number(label: str, expression: str) -> float:
    value = float(eval(expression, dict(NAMES)))
    if not math.isfinite(value) or value == 0:
        raise ValueError(f"{FILE}: {label} wants finite numbers that are not 0; got {value} = {expression}")
    return float(f"{value:.9g}")  # the same page on every processor


def typeset(text: str) -> str:
    """HTML of a text in which $...$ is mathematics."""
    return MATH.sub(
        r'<span class="math notranslate nohighlight">\\(\1\\)</span>', html.escape(text, quote=False)
    )


def form(label: str, number: int, answer: Answer) -> str:
    """The field of an answer, hidden until a script can judge what is typed into it."""
    name = f"answer-{label}-{number}"
    slips = [[slip, value, typeset(hint)] for slip, value, hint in answer.slips]
    data = base64.b64encode(json.dumps([answer.value, answer.tolerance, slips]).encode()).decode()
    return (
        f'<form class="lrbs-answer" data-answer="{data}" hidden>'
        f'<label for="{name}">{typeset(answer.ask)}</label> '
        f'<input id="{name}" type="text" autocomplete="off" autocapitalize="off" spellcheck="false">'
        f' <button type="submit">Check</button> <output for="{name}"></output></form>'
    )


def forms(label: str, answers: list[Answer]) -> str:
    """All fields of an exercise."""
    return "\n".join(form(label, number, answer) for number, answer in enumerate(answers, 1))


def exercises(doctree: nodes.document) -> Iterator[nodes.Element]:
    """Those of a page."""
    for node in doctree.findall(nodes.Element):
        if type(node).__name__ in ("exercise_node", "exercise_enumerable_node"):
            yield node


def append(app: Sphinx, doctree: nodes.document) -> None:
    """Put the fields at the end of each exercise that has answers."""
    env = app.env
    fields = env.metadata[env.docname].setdefault("answers", {})
    for exercise in exercises(doctree):
        label = exercise["label"]
        text = forms(label, app.lrbs_answers.get(label, []))  # type: ignore[attr-defined]
        fields[label] = text
        if text:
            exercise += nodes.raw("", text, format="html")


def changed(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Pages whose fields are no longer those of the file, or of lrbs."""
    answers = app.lrbs_answers  # type: ignore[attr-defined]
    return [
        page
        for page, told in env.metadata.items()
        if any(
            forms(label, answers.get(label, [])) != text for label, text in told.get("answers", {}).items()
        )
    ]


def unknown(app: Sphinx, env: BuildEnvironment) -> None:
    """Every label is that of an exercise."""
    known = {label for told in env.metadata.values() for label in told.get("answers", {})}
    lost = set(app.lrbs_answers) - known  # type: ignore[attr-defined]
    if lost:
        raise ValueError(f"{FILE} has answers to exercises that no page has: {', '.join(sorted(lost))}")


def load(app: Sphinx) -> None:
    """Compute all answers; a book without the file has none."""
    path = Path(app.srcdir) / FILE
    app.lrbs_answers = read(path) if path.exists() else {}  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", load)
    app.connect("doctree-read", append)
    app.connect("env-get-outdated", changed)
    app.connect("env-check-consistency", unknown)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
