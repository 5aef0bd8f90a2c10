"""Outputs are compared as numbers and words, by itself and through nbval: what should fail does."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from lrbs.show import Axis, Line, Points, Readout, Slider, explore
from lrbs.show.live import LiveFigure
from tools.outputs import NUMBER, Output, differences, stated_tolerance

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("loss 0.4600", "loss 0.4601"),  # a unit of the last digit
        ("loss 0.85", "loss 0.8501"),  # a trailing zero that is not printed
        ("ratio 1", "ratio 0.9999"),
        ("3.02±.09", "3.00±.08"),
        ("0.46 ± 0.03", "0.43 ± 0.03"),
        ("4.8 % ± 0.3 %", "4.6 % ± 0.3 %"),
        ("210 ± 14 steps", "199 ± 12 steps"),
        (r"'0.46\u202f±\u202f0.03'", r"'0.44\u202f±\u202f0.02'"),
        ("1.2 s.e. ok", "0.4 s.e. ok"),
        ("off by 1.6 standard errors", "off by 0.7 standard errors"),
        ("-0.0001", "0.0000"),
        ("−0.52", "−0.53"),
        ("2.31e-05", "2.32e-05"),
        ("  0.99  a", " 0.990 a"),  # columns are padded
        ("x = 9.99\n", "x = 10.0\n"),
    ],
)
def test_what_agrees(stored: str, new: str) -> None:
    assert differences(stored, new) == []
    assert Output(stored) == Output(new)
    assert (Output(stored) != Output(new)) is False  # nbval asks so


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("loss 0.4600", "loss 0.4602"),
        ("loss 0.85", "loss 0.8502"),
        ("ratio 1", "ratio 0.9998"),
        ("3.00±.08", "2.7±.08"),
        ("0.46 ± 0.03", "0.42 ± 0.03"),
        ("0.46 ± 0.03", "0.46 ± 0.05"),
        ("0.46 ± 0.03", "0.46"),
        ("210 ± 14 steps", "190 ± 12 steps"),
        (r"'0.46\u202f±\u202f0.03'", r"'0.42\u202f±\u202f0.03'"),
        ("1.2 s.e. ok", "2.3 s.e. ok"),
        ("0.52", "−0.52"),
        ("2.31e-05", "2.31e-04"),
        ("B = 512", "B = 511"),
        ("equation 11260.3", "equation 11260.4"),
        ("equation 10542.d6", "equation 10542.d7"),
        ("lrbs.foo", "lrbs.bar"),
        ("NumPy 2.4.6", "NumPy 2.4.7"),
        ("in 2024", "in 2025"),
        ("passed", "failed"),
        ("0.5", "nan"),
        ("one line", "one\nline"),
        ("0.1 0.2", "0.1"),
        ("a 0.1", "0.1 a"),
        ("<b>0.5</b>", "<i>0.5</i>"),
    ],
)
def test_what_differs(stored: str, new: str) -> None:
    assert differences(stored, new)
    assert Output(stored) != Output(new)
    assert (Output(stored) == Output(new)) is False


def test_a_stated_tolerance_is_relative_and_for_numbers_alone() -> None:
    assert Output("loss 2.000", 0.05) == Output("loss 2.099")
    assert Output("loss 2.000", 0.05) != Output("loss 2.101")
    assert Output("B = 200", 0.05) != Output("B = 201")


@pytest.mark.parametrize(
    "own",
    [{"tolerance": 0.1}, {"tolerance": 0.1, "why": "."}, {"tolerance": 2.0, "why": "It is chaotic " * 3}],
)
def test_a_tolerance_without_a_reason_is_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        stated_tolerance({"lrbs": own})
    assert stated_tolerance({"lrbs": {"tolerance": 0.1, "why": "Forty steps of signs."}}) == 0.1
    assert stated_tolerance({}) == 0.0


def stored_texts(path: Path) -> list[str]:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    texts = [
        text for output in outputs for mime, text in output.get("data", {}).items() if mime != "image/png"
    ]
    return texts + [output.text for output in outputs if "text" in output]


def test_every_number_and_word_of_a_chapter_counts() -> None:
    """Each number of the stored outputs moved by two units or two errors, each word changed by a letter."""
    rng = np.random.default_rng(0)
    changed = 0
    for text in stored_texts(ROOT / "chapters" / "independence.ipynb"):
        assert differences(text, text) == []
        if "lrbs-live" in text or "<img" in text:
            continue  # their numbers below; a picture may differ
        for match in NUMBER.finditer(text):
            if match["number"]:
                digits = len(match["number"].partition(".")[2].partition("e")[0])
                error = float(match["error"] or match["counts"] is not None)
                moved = float(match["number"].replace("−", "-")) + 2 * error + 2 * 10.0**-digits
                other = f"{moved:.{digits}f}{match[0][len(match['number']) :]}"
                assert differences(text, text[: match.start()] + other + text[match.end() :]), match[0]
                changed += 1
        letters = [place for place, letter in enumerate(text) if letter.isalpha()]
        for place in rng.permutation(letters)[:20]:
            assert differences(text, text[:place] + "#" + text[place + 1 :])
    assert changed > 100


# ---------------------------------------------------------------------------------------- live figures


def figure(top: float = 1.0, point: float = 1.0, log: bool = False, caption: str = "A curve.") -> LiveFigure:
    """Bends that grow with a slider; one number of one position is multiplied by `point`."""

    def curves(bend: float) -> dict[str, Any]:
        x = np.linspace(1.0, 9.0, 17)
        y = top * x / (x + bend)
        if bend > 2.0:
            y[5] *= point
        return {"law": Line(x, y), "runs": Points(x, y, error=0.05 * y), "largest": Readout(y.max())}

    x, y = Axis("batch size", limits=(1.0, 10.0)), Axis("rate", log=log, limits=(0.1, 2.0))
    return explore(curves, {"bend": Slider("bend", [1.0, 3.0])}, x=x, y=y, caption=caption, alt="It bends.")


def page(live: LiveFigure) -> str:
    """Its HTML, but for the picture."""
    return f'<figure id="{live.name}"><script type="application/json">{live.data}</script></figure>'


@pytest.mark.parametrize("log", [False, True])
def test_points_of_live_figures(log: bool) -> None:
    stored = page(figure(log=log))
    assert differences(stored, page(figure(top=1.0001, log=log))) == []
    one_moved = differences(stored, page(figure(point=1.01, log=log)))
    # That of the runs moved as well, within its error of 5 %.
    assert [line.split(";")[0] for line in one_moved] == ["y of 'law': 1 of 34 points"]
    assert differences(stored, page(figure(point=1.01, log=log)), tolerance=0.02) == []
    assert len(differences(stored, page(figure(point=1.1, log=log)))) > 1
    assert differences(stored, page(figure(point=float("nan"), log=log)))
    beyond = page(figure(point=100.0, log=log))
    assert differences(stored, beyond)
    (largest,) = differences(page(figure(point=90.0, log=log)), beyond)  # both are above the axis
    assert largest.startswith("value of 'largest'")
    assert differences(stored, stored.replace('"bend"', '"bent"'))
    assert differences(stored, stored.replace('"line"', '"band"'))
    assert differences(stored, stored.replace("[1.0,10.0]", "[1.0,10.1]"))


def test_numbers_of_figures_are_found_in_the_whole_html() -> None:
    stored, new = (str(figure(point=point)._repr_mimebundle_()["text/html"]) for point in (1.0, 1.01))
    assert differences(stored, new) == differences(page(figure()), page(figure(point=1.01))) != []


def test_id_of_a_figure_follows_its_words_and_not_its_numbers() -> None:
    assert figure().name == figure(top=1.1).name
    assert figure().name != figure(caption="A bend.").name


# ------------------------------------------------------------------------------------------ through nbval

FIGURE = """import numpy as np
from lrbs.show import Axis, Slider, explore
def curves(bend):
    x = np.linspace(1.0, 9.0, 17)
    return {"law": (x, x / (x + bend) + FACTOR * (x == 3.0))}
figure = explore(curves, {"bend": Slider("bend", [1.0, 3.0])},
    x=Axis("batch size"), y=Axis("rate", limits=(0.1, 2.0)), caption="A curve.", alt="It bends.")
figure"""
GLUED = """from IPython.display import display
_ = display({"application/papermill.record/text/plain": "'RESULT'"}, raw=True)"""
WHY = {"lrbs": {"tolerance": 0.1, "why": "Forty steps of signs amplify the last bit."}}


def cell(source: str, mark: str, stored: str, new: str, metadata: Any = None) -> Any:
    """A cell that puts out what `source` does with `new` in the place of `mark`, stored as with `stored`."""
    old, source = source.replace(mark, stored), source.replace(mark, new)
    output: Any
    if source.startswith("print"):
        output = nbformat.v4.new_output("stream", name="stdout", text=stored + "\n")
    elif source.startswith("from"):
        data = {"application/papermill.record/text/plain": f"'{stored}'"}
        output = nbformat.v4.new_output("display_data", data)
    else:
        names: dict[str, Any] = {}
        exec(old, names)
        bundle = names["figure"]._repr_mimebundle_()
        data = {mime: bundle[mime] for mime in ("text/plain", "text/html")}
        output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    return nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1, metadata=metadata or {})


def printed(stored: str, new: str, metadata: Any = None) -> Any:
    return cell("print('RESULT')", "RESULT", stored, new, metadata)


def test_nbval_compares_so_and_can_fail(tmp_path: Path) -> None:
    agree = [
        printed("loss 0.460", "loss 0.461"),
        printed("0.46 ± 0.03", "0.44 ± 0.02"),
        printed("loss 2.00", "loss 2.15", WHY),
        cell(GLUED, "RESULT", "0.46", "0.47"),
        cell(FIGURE, "FACTOR", "0.0", "1e-5"),
    ]
    differ = [
        printed("loss 0.460", "loss 0.462"),
        printed("0.46 ± 0.03", "0.42 ± 0.03"),
        printed("loss 2.00", "loss 2.25", WHY),
        printed("loss 2.00", "loss 2.01", {"lrbs": {"tolerance": 0.1}}),
        printed("B = 512", "B = 511"),
        printed("passed", "failed"),
        cell(GLUED, "RESULT", "0.46", "0.48"),
        cell(FIGURE, "FACTOR", "0.0", "0.01"),
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=agree + differ, metadata=kernel), tmp_path / "page.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--nbval", "--nbval-current-env"]
    command += ["--rootdir", str(tmp_path), "-o", "addopts=", str(tmp_path / "page.ipynb")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    failed = re.findall(r"^FAILED .*::Cell (\d+)", done.stdout, flags=re.MULTILINE)
    assert [int(number) for number in failed] == list(range(len(agree), len(agree + differ))), done.stdout
    assert "'0.460' is stored, '0.462' came" in done.stdout
    assert "y of 'law': 2 of 34 points" in done.stdout
