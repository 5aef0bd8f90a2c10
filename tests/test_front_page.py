"""The front page's figure: each sentence of its caption and of what is seen in it, held to the numbers."""

import json
import re
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from lrbs.checks.forty_steps import Experiment, experiment
from lrbs.lab import Dataset, TanhNetwork, local_model
from lrbs.rules import SGD, Layerwise, Muon, SignSGD
from lrbs.show.recording import unpacked
from lrbs.sweeps import HELD_FIXED, best_rates
from lrbs.validation import Array

PAGE = Path(__file__).resolve().parent.parent / "chapters" / "index.ipynb"
SIZES = [4, 16, 64, 256, 1024]
RECIPES = {"SGD with momentum": "SGD", "Adam": "AdamW", "Muon": "Muon"}  # of the transformer
RULES = ["SGD", "SGD with momentum", "SignSGD", "Adam", "Muon"]


class Figure:
    """The stored live figure, read as the script of the page reads it."""

    def __init__(self) -> None:
        cells = nbformat.read(PAGE, as_version=4).cells
        (html,) = (
            output.data["text/html"]
            for cell in cells
            for output in cell.get("outputs", [])
            if "lrbs-live" in output.get("data", {}).get("text/html", "")
        )
        found = re.search(r'<script type="application/json">(.*?)</script>', html)
        assert found is not None
        self.data: dict[str, Any] = json.loads(found[1])
        self.rules, sizes = (control["names"] for control in self.data["controls"])
        self.sizes = [int(size) for size in sizes]
        words = re.search(r'<figcaption>(.*?) <span class="lrbs-how"', html)
        assert words is not None
        text = re.sub(r"<[^>]*>", "", words[1]).replace("&#x27;", "'")
        (seen,) = (cell.source for cell in cells if cell.id == "what-is-seen")
        seen = seen.replace("$", "").replace(r"\sqrt n", "√n").replace("B=", "B = ")
        self.sentences = re.findall(r"[^.]+\.", f"{text} {seen}")

    def at(self, name: str, rule: str, size: int) -> dict[str, Any]:
        """The arrays of a series where the sliders stand, by role."""
        (series,) = (each for each in self.data["series"] if each["name"] == name)
        place = self.rules.index(rule), self.sizes.index(size)
        found = {}
        for role, (shape, text) in series["arrays"].items():
            array = unpacked(text, shape)
            found[role] = array[tuple(min(i, n - 1) for i, n in zip(place, array.shape[:-1], strict=True))]
        return found

    def curve(self, name: str, rule: str, size: int) -> dict[int, float]:
        at = self.at(name, rule, size)
        return {round(float(x)): float(y) for x, y in zip(at["x"], at["y"], strict=True)}

    def law(self, rule: str, size: int) -> dict[int, float]:
        return self.curve("one step, by the law", rule, size)

    def strangers(self, rule: str, size: int) -> dict[int, float]:
        return self.curve("one step, strangers", rule, size)

    def runs(self, rule: str, size: int) -> dict[int, float]:
        return self.curve("forty steps, run", rule, size)


@pytest.fixture(scope="session")
def figure() -> Figure:
    return Figure()


@cache
def one_step(rule: str, strangers: bool) -> Array:
    return experiment().one_step(rule, SIZES, strangers=strangers)


def lines_come_from_one_point(figure: Figure, rule: str, size: int) -> None:
    for curve, strangers in ((figure.law, False), (figure.strangers, True)):
        rates = one_step(rule, strangers)
        shown = [curve(rule, size)[each] for each in SIZES]
        np.testing.assert_allclose(shown, rates / rates[1], rtol=1e-3)


def points_have_two_errors_and_one_unit(figure: Figure, rule: str, size: int) -> None:
    at = figure.at("forty steps, run", rule, size)
    bars = at["high"] - at["y"]
    assert list(figure.runs(rule, size)) == SIZES
    assert at["y"][1] == 1 and bars[1] == 0  # in units of the rate there
    others = np.delete(bars / at["y"], 1)
    assert (others > 0.01).all() and (others < 0.7).all()


def the_transformers_are_those_recorded(figure: Figure, rule: str, size: int) -> None:
    at = figure.at("transformer, runs", rule, size)
    if rule not in RECIPES:
        assert np.isnan(at["y"]).all()
        return
    found = best_rates(RECIPES[rule], **HELD_FIXED["examples"])
    assert at["x"].round().tolist() == found.batch_size.tolist() == SIZES
    np.testing.assert_allclose(at["y"], found.learning_rate / found.learning_rate[1], rtol=1e-3)
    bars = at["high"] - at["y"]
    assert bars[1] == 0 and (np.delete(bars, 1) > 0.01).all()


def sgd_stays_near_times_n(figure: Figure, rule: str, size: int) -> None:
    if rule.startswith("SGD"):
        for each, rate in figure.runs(rule, size).items():
            if each <= 64:
                assert 0.7 < rate / (each / 16) < 1.4


def others_rise_as_a_root_or_slower(figure: Figure, rule: str, size: int) -> None:
    runs = figure.runs(rule, size)
    last = runs[1024] / runs[256]
    if rule in ("SignSGD", "Adam", "Muon"):
        rise = np.log(runs[256] / runs[4]) / np.log(64)
        assert 0.2 < rise < 0.55
        assert last > 1.3 if rule == "Adam" else last < 1.1
    assert last > 2.2 if rule == "SGD with momentum" else last < 1.9


def the_law_misses_at_1024(figure: Figure, rule: str, size: int) -> None:
    ratio = figure.law(rule, size)[1024] / figure.runs(rule, size)[1024]
    if rule in ("SignSGD", "Muon"):
        assert 1.6 < ratio < 3
    elif rule == "SGD":
        assert ratio > 3.5
    else:
        assert ratio < 1 / 3.5


def strangers_lower_adams_rate(figure: Figure, rule: str, size: int) -> None:
    if rule == "Adam":
        rates = np.array(list(figure.strangers(rule, size).values()))
        assert (rates[1:] < 0.97 * rates[:-1]).all()


def the_transformer_rises_and_stays(figure: Figure, rule: str, size: int) -> None:
    if rule not in RECIPES:
        return
    rates = dict(zip(SIZES, figure.at("transformer, runs", rule, size)["y"], strict=True))
    rise = np.log(rates[256] / rates[4]) / np.log(64)
    if rule == "SGD with momentum":
        assert max(rates[each] for each in SIZES[1:]) < 1.25 and rates[4] < 0.5
    else:
        assert 0.45 < rise < 0.6 and rates[1024] < 1.1 * rates[256]
        assert (rise > 0.51) == (rule == "Muon")


SENTENCES = {
    "Lines: the best rate of one step": lines_come_from_one_point,
    "Points: the best constant rates of forty steps": points_have_two_errors_and_one_unit,
    "For three optimisers also those of a small transformer": the_transformers_are_those_recorded,
    "Up to B = 64 SGD's runs stay near times n": sgd_stays_near_times_n,
    "SignSGD's, Adam's and Muon's rise about as times √n or slower": others_rise_as_a_root_or_slower,
    "At B = 1024, with every curve set to 1 at 16, the law of one step": the_law_misses_at_1024,
    "Were parameters strangers": strangers_lower_adams_rate,
    "The transformer's runs rise about as times √n": the_transformer_rises_and_stays,
}


def test_each_sentence_of_the_caption_holds_at_every_position(figure: Figure) -> None:
    assert (figure.rules, figure.sizes) == (RULES, SIZES)
    assert len(figure.sentences) == len(SENTENCES)  # a new sentence wants a new test
    for sentence, (start, holds) in zip(figure.sentences, SENTENCES.items(), strict=True):
        assert sentence.strip().startswith(start)
        for rule, size in product(figure.rules, figure.sizes):
            holds(figure, rule, size)


def test_numbers_in_words_are_those_of_the_curves(figure: Figure) -> None:
    def value(name: str, rule: str, size: int) -> float:
        return float(figure.at(name, rule, size)["value"][0])

    for rule, size in product(RULES, SIZES):
        assert value("n", rule, size) == size / 16
        assert value("one step", rule, size) == figure.law(rule, size)[size]
        assert value("strangers", rule, size) == figure.strangers(rule, size)[size]
        assert value("forty steps", rule, size) == figure.runs(rule, size)[size]
        bars = figure.at("forty steps, run", rule, size)
        error = (bars["high"] - bars["low"])[SIZES.index(size)] / 2
        assert value("give or take", rule, size) == pytest.approx(error, abs=1e-3 * error + 1e-4)
        for name, power in (("times n", 1), ("times √n", 0.5), ("leave it", 0)):
            for each, rate in figure.curve(name, rule, size).items():
                assert rate == pytest.approx((each / 16) ** power, rel=1e-4)


def test_everything_is_in_sight(figure: Figure) -> None:
    low, high = figure.data["axes"]["y"]["limits"]
    for rule, size in product(RULES, SIZES):
        at = figure.at("forty steps, run", rule, size)
        for curve in (figure.law, figure.strangers, figure.runs):
            assert all(low < rate < high for rate in curve(rule, size).values())
        assert low < at["low"].min() and at["high"].max() < high
        if rule in RECIPES:
            at = figure.at("transformer, runs", rule, size)
            assert low < at["low"].min() and at["high"].max() < high


def test_it_opens_where_all_answers_are_in_sight_and_apart(figure: Figure) -> None:
    """As the text for those who do not see it says: Adam at a batch sixteen times larger."""
    rule, size = (control["names"][control["start"]] for control in figure.data["controls"])
    assert (rule, size) == ("Adam", "256")
    law, strangers, runs = (curve("Adam", 256) for curve in (figure.law, figure.strangers, figure.runs))
    assert all(0.6 < runs[each] / (each / 16) ** 0.5 < 1.5 for each in SIZES)  # along the root
    level = [rate for each, rate in law.items() if each >= 16]
    assert max(level) / min(level) < 1.25  # nearly level
    assert strangers[256] < 0.7 < law[256] < 1.5 < runs[256] < 5


# ---------------------------------------------------------------------------------- the experiment


def small() -> Experiment:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    data = Dataset(rng.standard_normal((60, 4)) + labels[:, None], labels)
    network = TanhNetwork(4, 3, 3)
    weights = network.initial_weights(1)
    rules = {
        "SGD": SGD(),
        "SignSGD": SignSGD(),
        "Muon": Layerwise(network, {"W1": Muon(network.shapes["W1"])}),
    }
    return Experiment(network, weights, data, local_model(network, weights, data), rules, (4, 16))


def test_one_step_is_the_law_at_the_start() -> None:
    here = experiment()
    model = here.model
    sizes = np.array([3.0, 100.0])
    law = model.max_lr / (1 + model.noise_scale / sizes)
    np.testing.assert_allclose(here.one_step("SGD", sizes), law, rtol=1e-9)
    diagonal = model.covariance.diagonal()
    noise = diagonal @ np.diag(model.hessian.dense())
    signal = model.gradient @ (model.hessian @ model.gradient)
    alone = model.gradient @ model.gradient / (signal + noise / sizes)
    np.testing.assert_allclose(here.one_step("SGD", sizes, strangers=True), alone, rtol=1e-9)


def test_one_step_of_a_rule_for_each_layer_is_that_of_its_updates() -> None:
    """With one layer alone, and at a batch so large that each update is the sign of the gradient's matrix."""
    here = small()
    G = here.model.gradient[here.network.slices["W1"]].reshape(here.network.shapes["W1"])
    U, _, V = np.linalg.svd(G, full_matrices=False)
    step = np.zeros(here.network.size)
    step[here.network.slices["W1"]] = (U @ V).ravel()
    exact = step @ here.model.gradient / (step @ (here.model.hessian @ step))
    np.testing.assert_allclose(here.one_step("Muon", [10**9], strangers=True), exact, rtol=1e-3)


def test_trainings_are_the_same_whatever_else_is_trained() -> None:
    here = small()
    everything, one = here.trainings(3), here.trainings(3, names=["SignSGD"])
    assert everything.losses.shape == (3, 2, 13, 8)
    np.testing.assert_array_equal(one.losses[0], everything.losses[1])
    np.testing.assert_allclose(one.learning_rates[0, :, 6], here.one_step("SignSGD"))
    fewer = replace(here, batch_sizes=(16,)).trainings(3)
    np.testing.assert_allclose(fewer.losses[0, 0], everything.losses[0, 1], rtol=1e-9)
