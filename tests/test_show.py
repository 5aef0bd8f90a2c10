"""Figures that move: what is stored are the function's own numbers, the same at every run."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

import lrbs
from lrbs.show import COLOURS, Axis, Band, Choice, Points, Readout, Rule, Slider, explore, interact, use_style
from lrbs.show.picture import png
from lrbs.show.recording import unpacked

PRECISION = 2.0**-16
BATCH_SIZE = np.geomspace(1, 1e5, 21)
NOISE_SCALE = np.geomspace(1, 1e4, 9)
LIMITS = {"low": 0.1, "high": 1.0}


def curves(noise_scale, limit):
    law = lrbs.saturation(BATCH_SIZE, limit, noise_scale)
    return {
        "law": (BATCH_SIZE, law),
        "half": Points([noise_scale], [limit / 2], error=[limit / 10]),
        "around": Band(BATCH_SIZE, law / 2, law * 2, colour="guide"),
        "limit": Rule(y=limit),
        "bend": Rule(x=noise_scale),
        "limit in words": Readout(limit),
    }


def figure(function=curves, **changes):
    settings = {
        "sliders": {
            "noise_scale": Slider("noise scale B_noise", NOISE_SCALE, start=100),
            "limit": Choice("limit", LIMITS),
        },
        "x": Axis("batch size B", log=True),
        "y": Axis("learning rate η", log=True),
        "caption": "The bend follows <the slider>.",
        "alt": "A rise & a bend.",
    }
    return explore(function, **settings | changes)


def stored(live):
    """What the script of the page reads, by its rules: arrays as functions of the position."""
    data = json.loads(live.data)
    arrays = {}
    for series in data["series"]:
        for role, (shape, text) in series["arrays"].items():
            arrays[series["name"], role] = unpacked(text, tuple(shape))

    def at(name, role, position):
        array = arrays[name, role]
        return array[tuple(min(i, n - 1) for i, n in zip(position, array.shape[:-1], strict=True))]

    return data, at


def test_the_page_holds_the_numbers_of_the_function():
    data, at = stored(figure())
    assert data["controls"][0]["start"] == 4
    for i, noise_scale in enumerate(NOISE_SCALE):
        for j, limit in enumerate(LIMITS.values()):
            law = lrbs.saturation(BATCH_SIZE, limit, noise_scale)
            for role, expected in (("x", BATCH_SIZE), ("y", law)):
                np.testing.assert_allclose(at("law", role, (i, j)), expected, rtol=PRECISION)
            np.testing.assert_allclose(at("around", "low", (i, j)), law / 2, rtol=PRECISION)
            np.testing.assert_allclose(at("around", "high", (i, j)), law * 2, rtol=PRECISION)
            np.testing.assert_allclose(at("half", "low", (i, j)), 0.4 * limit, rtol=PRECISION)
            np.testing.assert_allclose(at("half", "high", (i, j)), 0.6 * limit, rtol=PRECISION)
            np.testing.assert_allclose(at("bend", "x", (i, j)), noise_scale, rtol=PRECISION)
            np.testing.assert_allclose(at("limit in words", "value", (i, j)), limit, rtol=PRECISION)


def test_what_does_not_depend_on_a_slider_is_stored_once():
    shapes = {
        (s.name, role): array.shape for s in figure().recording.series for role, array in s.arrays.items()
    }
    assert shapes["law", "x"] == (1, 1, 21)
    assert shapes["law", "y"] == (9, 2, 21)
    assert shapes["bend", "x"] == (9, 1, 1)
    assert shapes["limit", "y"] == (1, 2, 1)


def test_axes_hold_all_positions():
    live = figure()
    for letter, roles in (("x", ["x"]), ("y", ["y", "low", "high"])):
        low, high = live.recording.limits(letter)
        for series in live.recording.series:
            for role in set(roles) & set(series.arrays):
                assert low <= series.arrays[role].min() <= series.arrays[role].max() <= high
    assert figure(y=Axis("y", log=True, limits=(0.01, 2))).recording.limits("y") == (0.01, 2)


def test_the_outputs_are_the_same_at_every_run():
    first, second = (figure()._repr_mimebundle_() for _ in range(2))
    for mime in ("text/plain", "text/html", "image/png"):
        assert first[mime] == second[mime]
    assert first["image/png"].startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in first


def test_the_page_runs_no_script_of_an_output_and_escapes_texts():
    page = figure(alt="</script> & so on")._repr_mimebundle_()["text/html"]
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json">']
    assert page.count("</script>") == 1
    assert 'alt="&lt;/script&gt; &amp; so on"' in page
    assert "The bend follows &lt;the slider&gt;." in page
    data = page[page.index('json">') + 6 : page.index("</script>")]
    assert json.loads(data)["alt"] == "</script> & so on"


def test_the_widget_moves_the_picture():
    live = figure()
    slider, choice, image, _ = live.widget().children
    start = image.value
    slider.value = 0
    assert image.value != start
    moved = image.value
    choice.value = 1
    assert image.value not in (start, moved)
    slider.value, choice.value = 4, 0
    assert image.value == start


def test_interact_shows_a_still_and_moves_in_a_kernel():
    def draw(figure, height):
        figure.subplots().plot([0, 1], [0, height])

    kind = interact(draw, {"height": Slider("height", [1, 2, 3])}, caption="Up.", alt="a line")
    bundle = kind._repr_mimebundle_()
    assert bundle["text/plain"] == "Figure with sliders (height 2): a line"
    assert base64.b64encode(bundle["image/png"]).decode() in bundle["text/html"]
    assert "make lab" in bundle["text/html"]
    slider, image, _ = kind.widget().children
    before = image.value
    slider.value = 2
    assert image.value != before


def test_a_figure_keeps_its_margins_until_a_text_runs_out_of_the_picture():
    def draw(figure, label):
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set_yticks([0, 1], ["0", label])

    labels = Choice("label", ["one", "1", "the number after the number nought"], start="one")
    kind = interact(draw, {"label": labels}, caption="Longer.", alt="a line")
    (first,) = kind.places

    assert png(lambda figure: draw(figure, "1"), keep=False) != kind.picture_at((1,))
    np.testing.assert_allclose(kind.places[0], first, rtol=1e-9)
    longest = png(lambda figure: draw(figure, labels.values[2]), keep=False)
    assert kind.picture_at((2,)) == longest
    assert kind.places[0].x0 > first.x0 + 0.2


def test_interact_shows_an_error_of_the_drawing_in_its_place():
    def draw(figure, height):
        figure.subplots().plot([0, 1 / (2 - height)])

    slider, _, below = (
        interact(draw, {"height": Slider("height", [1, 2], start=1)}, caption="Up.", alt="a line")
        .widget()
        .children
    )
    slider.value = 1
    assert "ZeroDivisionError" in below.value
    slider.value = 0
    assert below.value == "Up."


def test_drawing_leaves_the_reader_s_style_alone():
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 7.0}):
        figure()._repr_mimebundle_()
        assert matplotlib.rcParams["lines.linewidth"] == 7.0
        use_style()
        assert matplotlib.rcParams["lines.linewidth"] == 2


def test_page_and_pictures_share_their_colours():
    [sheet] = Path(__file__).parent.parent.glob("*/live.css")
    light = re.search(r"\.lrbs-still \{(.*?)\}", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert light is not None
    colours = dict(re.findall(r"--lrbs-(\w+): (#\w+);", light.group(1)))
    assert {name: colour.lower() for name, colour in COLOURS.items()} == colours


def test_a_figure_too_heavy_for_a_page_is_refused():
    def heavy(noise_scale, limit):
        x = np.linspace(1, 2, 5000)
        return {"s": (x, x + noise_scale + limit)}

    with pytest.raises(ValueError, match="must fit into 300 kB; it takes"):
        figure(heavy)


def test_rounding_errors_are_not_stored():
    linear = {"x": Axis("x"), "y": Axis("y")}
    sliders = {"k": Slider("k", [1, 2])}
    noise = figure(lambda k: {"line": ([0, 1], [-1e-17 * k, k])}, sliders=sliders, **linear)
    exact = figure(lambda k: {"line": ([0, 1], [0, k])}, sliders=sliders, **linear)
    assert noise.data == exact.data
