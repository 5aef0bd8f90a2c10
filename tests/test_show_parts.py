"""What figures are made of: sliders, axes, words, packed numbers; and every mistake is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbs.labels import as_html, as_mathtext, number_text
from lrbs.show import Axis, Choice, Line, Points, Rule, Slider, explore
from lrbs.show.picture import looks
from lrbs.show.recording import packed, unpacked


def figure(series, sliders=None, y=None):
    curves = series if callable(series) else lambda limit: series
    return explore(
        curves,
        {"limit": Choice("limit", {"low": 0.1, "high": 1.0})} if sliders is None else sliders,
        x=Axis("batch size", log=True),
        y=y or Axis("learning rate", log=True),
        caption="What happens.",
        alt="What is seen.",
    )


@settings(deadline=None)
@given(st.lists(st.floats(-1e30, 1e30).filter(lambda v: v == 0 or abs(v) > 1e-30), min_size=1))
def test_packing_keeps_sixteen_bits(values):
    text = packed(np.array(values))
    assert len(text) == 4 * len(values)
    np.testing.assert_allclose(unpacked(text), values, rtol=2.0**-16)


def test_packing_keeps_gaps_and_refuses_what_it_cannot_hold():
    assert np.isnan(unpacked(packed(np.array([np.nan, 1.0])))).tolist() == [True, False]
    for number in (1e-40, 1e39):
        with pytest.raises(ValueError, match="between 1e-37 and 3e38"):
            packed(np.array([1.0, number]))


def test_sliders():
    assert Slider("n", [1, 2, 3]).values == (1, 2, 3)
    assert all(isinstance(value, int) for value in Slider("n", range(3)).values)
    assert Slider("n", np.geomspace(1, 100, 5), start=9).position == 2
    assert Choice("c", ["a", "b"], start="b").position == 1
    assert Choice("c", {"a": 1.5, "b": 2.5}).values == (1.5, 2.5)


@pytest.mark.parametrize(
    ("axis", "low", "high", "texts"),
    [
        (Axis("x"), -1.0, 0.8, ["−1.0", "−0.5", "0.0", "0.5"]),
        (Axis("x"), 0, 120000, ["0", "20000", "40000", "60000", "80000", "100000", "120000"]),
        (Axis("x"), 0, 2e7, ["0", "5×10⁶", "10⁷", "1.5×10⁷", "2×10⁷"]),
        (Axis("x", log=True), 0.9, 1.2e5, ["10⁰", "10¹", "10²", "10³", "10⁴", "10⁵"]),
        (Axis("x", log=True), 0.01, 100, ["0.01", "0.1", "1", "10", "100"]),
        (Axis("x", log=True), 0.04, 1.5, ["0.05", "0.1", "0.2", "0.5", "1"]),
        (Axis("x", log=True), 2, 8, ["2", "3", "5"]),
        (Axis("x", log=True), 3.1, 4.3, ["3.2", "3.4", "3.6", "3.8", "4.0", "4.2"]),
    ],
)
def test_ticks(axis, low, high, texts):
    assert [text for _, text in axis.ticks(low, high)] == texts


def test_labels():
    assert number_text(1 / 3) == "0.333"
    assert number_text(-1234567) == "−1.23×10⁶"
    assert number_text(0.0) == "0"
    assert as_html("η at B < B_noise") == "<i>η</i> at <i>B</i> &lt; <i>B</i><sub>noise</sub>"
    assert as_mathtext("A price of $5") == r"A price of \$5"
    assert as_html("SGD, Adam") == "SGD, Adam"


def longer(limit):
    x = np.arange(1, 4 + (limit > 0.5))
    return {"s": (x, x)}


def other(limit):
    return {"s": Points([1], [1]) if limit > 0.5 else Line([1], [1])}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slider("s", [1, 1]), "increasing"),
        (lambda: Slider("s", [1]), "two or more"),
        (lambda: Slider("s", [1, 2], start=3), "between 1 and 2; got 3"),
        (lambda: Choice("c", ["a"]), "two or more"),
        (lambda: Choice("c", ["a", "b"], start="z"), "one of"),
        (lambda: Axis("x", limits=(2, 1)), "low < high"),
        (lambda: Axis("x", log=True, limits=(0, 1)), "0 < low"),
        (lambda: Rule(), "x or y, one of them"),
        (lambda: Rule(x=1, y=1), "x or y, one of them"),
        (lambda: figure(other), "same series at every position"),
        (lambda: figure({}), "one series or more"),
        (lambda: figure({}, sliders={}), "Slider or a Choice; got none"),
        (lambda: figure({}, sliders={"k": [1, 2]}), "got \\['k'\\]"),
        (lambda: figure({"s": (1, 2, 3)}), "must be \\(x, y\\)"),
        (lambda: figure({"s": [1, 2]}), "must be \\(x, y\\)"),
        (lambda: figure({"s": Line([1, 2], [1, 2, 3])}), "one length; got {'x': 2, 'y': 3}"),
        (lambda: figure({"s": Line([1, 2], [[1, 2]])}), "vector or a number"),
        (lambda: figure({"s": Line([1, 2], [1, np.inf])}), "not be infinite"),
        (lambda: figure({"s": Line([1, 2], [1, 0])}), "positive on a logarithmic axis"),
        (lambda: figure({"s": Line([1], [1], colour="pink")}), "got 'pink'"),
        (lambda: figure({"s": Rule(y=1)}), "nothing is drawn along x"),
        (lambda: figure(longer), "same series at every position"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make().data  # noqa: B018


def test_lines_and_points_are_counted_apart():
    """Or the fifth line is drawn like the first as soon as two kinds of points stand between them."""

    def curves(k):
        series = {"a": Line, "first": Points, "b": Line, "second": Points, "c": Line}
        return {name: kind([1, 2], [k, 1]) for name, kind in series.items()} | {"edge": Rule(x=1.0)}

    recording = explore(
        curves, {"k": Slider("k", [1, 2])}, x=Axis("x"), y=Axis("y"), caption="c", alt="a"
    ).recording
    assert [number for _, number in looks(recording)] == [0, 0, 1, 1, 2, 0]
