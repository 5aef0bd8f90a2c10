"""The answers behind the fields of exercises: right by the solutions, and apart from every slip."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from math import isclose, sqrt
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "_ext"))
from answer_boxes import Answer, form, read

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = read(ROOT / "chapters" / "answers.toml")
FIELDS = [(label, number) for label, answers in ANSWERS.items() for number in range(len(answers))]
SOLUTION = re.compile(r"^(`{3,})\{solution\} (\S+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
FRACTION = re.compile(r"(\d+)/(\d+)|\\frac(\d)(\d)")
NUMBER = re.compile(r"(\d[\d,]*\.?\d*)(?:e([-+]?\d+)|\\cdot10\^\{(-?\d+)\})?(?:\\,)?\s*(\\%|%)?")
# What a field asks with numbers of its own, or a solution says in words or in formulas.
OTHERWISE = {
    ("ex-bs-epoch", 0): 0.7007,
    ("ex-sch-cosine", 0): 0.5,
    ("ex-sch-price", 0): 1 / 8,
    ("ex-scaling", 0): 1 / 3,
    ("ex-mf-two", 0): 0.5,
    ("ex-mf-units", 0): 1 / 7,
    ("ex-or-slope", 0): 0.785398,
    ("ex-epsilon-unit", 0): 1000.0,
    ("ex-epsilon-unit", 1): 1.0,
    ("ex-epsilon-equal", 0): 2.0,
    ("ex-epsilon-adam", 0): 1.414214,
    ("ex-independence-meets", 0): 62 / 126,
    ("ex-independence-stable", 0): 1 / 3,
    ("ex-diagonal", 0): 64.0,
    ("ex-quintic", 0): 7.0,
    ("ex-ema-ten", 1): 11.0,
    ("ex-ema-sum", 0): 2.0,
    ("ex-rms-silent", 0): sqrt(1 / 38),
    ("ex-fs-weights", 0): 9 / 40 * (1 - 0.9**40),
    ("ex-sae-sum", 0): 1.0,
    ("ex-sae-sum", 1): 4.0,
    ("ex-ns-open", 0): 1 / 7,
    ("ex-ns-open", 1): 3 / 7,
    ("ex-ns-line", 0): 0.300283,
    ("ex-run-memory", 0): 1 / 3,
}


def solutions() -> dict[str, str]:
    """Text of each exercise's solution."""
    found = {}
    for path in (ROOT / "chapters").glob("*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                source = "".join(cell["source"])
                found |= {label: text for _, label, text in SOLUTION.findall(source)}
    return found


SOLUTIONS = solutions()


def numbers(text: str) -> Iterator[tuple[float, float]]:
    """Numbers of a text, and half a unit of the last digit of each; a fraction is exact."""
    for parts in FRACTION.findall(text):
        above, below = filter(None, parts)
        yield int(above) / int(below), 1e-8 * int(above) / int(below)
    for digits, power, also, percent in NUMBER.findall(re.sub(r"<!--.*?-->", "", text)):
        plain = digits.rstrip(",.").replace(",", "")
        unit = 10.0 ** (int(power or also or 0) - 2 * bool(percent))
        places = len(plain.partition(".")[2])
        yield float(plain) * unit, 0.5 * 10.0**-places * unit


@pytest.mark.parametrize(("label", "number"), FIELDS)
def test_answers_are_those_of_the_solutions(label: str, number: int) -> None:
    value = ANSWERS[label][number].value
    if (label, number) in OTHERWISE:
        assert isclose(value, OTHERWISE[label, number], rel_tol=1e-4)
    else:
        told = list(numbers(SOLUTIONS[label]))
        near = [(told, unit) for told, unit in told if abs(value - told) <= 1.001 * unit]
        assert any(unit < 0.06 * told or isclose(value, told, rel_tol=1e-8) for told, unit in near), (
            value,
            told,
        )


@pytest.mark.parametrize(("label", "number"), FIELDS)
def test_no_slip_is_near_the_answer_or_another_slip(label: str, number: int) -> None:
    answer = ANSWERS[label][number]
    for place, (name, value, hint) in enumerate(answer.slips):
        assert abs(value - answer.value) > 3 * answer.tolerance * abs(answer.value), name
        assert name and hint.endswith((".", "?"))
        for other, another, _ in answer.slips[:place]:
            assert abs(value - another) > answer.tolerance * abs(another), (name, other)
    assert 0 < answer.tolerance <= 0.03


def test_there_are_fields_for_most_numeric_exercises() -> None:
    assert len(ANSWERS) >= 27
    assert set(ANSWERS) <= set(SOLUTIONS)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ('ask = "a"', "wants ask and python"),
        ('ask = "a"\npython = "1"\nhints = 3', "wants ask and python"),
        ('ask = "a"\npython = "1"\nslips = [{name = "b", python = "2"}]', "wants ask and python"),
        ('ask = "a"\npython = "np.inf"', "wants finite numbers"),
        (
            'ask = "a"\npython = "1"\nslips = [{name = "b", python = "0", hint = "c."}]',
            "wants finite numbers",
        ),
    ],
)
def test_entries_that_are_wrong_say_so(tmp_path: Path, entry: str, error: str) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(f"[[ex-some]]\n{entry}\n")
    with pytest.raises(ValueError, match=f"ex-some {error}"):
        read(path)


def test_the_answer_does_not_stand_on_the_page_for_all_to_read() -> None:
    text = form("ex-some", 1, Answer("Which $x<1$?", 0.731, 0.01, [("upside down", 1.368, "Not $1/x$.")]))
    assert "0.731" not in text and "upside" not in text
    assert (
        r'<label for="answer-ex-some-1">Which <span class="math notranslate nohighlight">\(x&lt;1\)' in text
    )
    data = re.search('data-answer="([^"]+)"', text)
    assert data is not None
    hint = r'Not <span class="math notranslate nohighlight">\(1/x\)</span>.'
    assert json.loads(base64.b64decode(data[1])) == [0.731, 0.01, [["upside down", 1.368, hint]]]


def test_fields_follow_the_file_when_a_book_is_built(tmp_path: Path) -> None:
    def build() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "sphinx", "-W", "-q", tmp_path, tmp_path / "html"]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    def fields() -> list[float]:
        page = (tmp_path / "html" / "index.html").read_text("utf-8")
        return [
            json.loads(base64.b64decode(data))[0]
            for data in re.findall('id="ex-some".*data-answer="(.+?)"', page, re.S)
        ]

    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / '_ext')!r})\n"
        "extensions = ['myst_parser', 'sphinx_exercise', 'answer_boxes']\n"
    )
    (tmp_path / "index.md").write_text("# A page\n\n```{exercise} Some\n:label: ex-some\n\nHow many?\n```\n")
    answers = tmp_path / "chapters" / "answers.toml"
    answers.parent.mkdir()
    for number in (3, 4):  # the page itself does not change
        answers.write_text(f"[[ex-some]]\nask = 'A number'\npython = '{number} * sqrt(1)'\n")
        done = build()
        assert done.returncode == 0, done.stderr
        assert fields() == [number]
    answers.write_text("[[ex-another]]\nask = 'A number'\npython = '1'\n")
    done = build()
    assert done.returncode != 0 and "exercises that no page has: ex-another" in done.stderr
