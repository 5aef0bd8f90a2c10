"""The planner: its rules against laws written out, its range against limits, its refusals, how it prints."""

import html.parser
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrbs
from lrbs.__main__ import main
from lrbs.checks.forty_steps import experiment
from lrbs.laws import decay_for_time_scale, ema_weights, half_life, memory_steps, sde_decay
from lrbs.planner import evidence
from lrbs.planner.request import FAMILIES, FIXED
from lrbs.sweeps import CANDIDATES, HELD_FIXED, best_rates, fit_law, noise_scale_at, step_law

CHAPTER = Path(__file__).parent.parent / "chapters" / "forty-steps.ipynb"
RUN = {"batch_size": 256, "learning_rate": 3e-4}
NOISE = {"noise_scale": 900, "noise_scale_interval": (700, 1200)}
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "warmup": 2000}
KEYS = {
    *("batch_size", "range", "rules", "steps", "examples", "efficiency", "beta1", "beta2", "epsilon"),
    *("weight_decay", "warmup", "notes"),
}


def target(optimizer="adamw", to=2048, **more):
    return lrbs.plan(optimizer, **{**RUN, "to": to, **more}).targets[0]


def rule(made, name):
    return next(each for each in made.rules if each.name == name)


def setting(made, name):
    return next(each for each in made.settings if each.name == name)


# ---------------------------------------------------------------------------------- the rules, by hand
@pytest.mark.parametrize("to", [2048, 512, 32])
def test_each_rule_is_its_law(to):
    k, old, new = to / 256, 1 + 900 / 256, 1 + 900 / to
    sign = (old / new) ** 0.5
    c = 1 / 19  # (1 - 0.9) / (1 + 0.9)
    adam = {B: (1 + 900 / B) ** -0.5 / (c + (1 - c) / (1 + 900 / B)) for B in (256, to)}
    made = target(to=to, beta1=0.9, **NOISE)
    assert rule(made, "linear").learning_rate == pytest.approx(3e-4 * k)
    assert rule(made, "square root").learning_rate == pytest.approx(3e-4 * math.sqrt(k))
    assert rule(made, "SGD's saturation").learning_rate == pytest.approx(3e-4 * sign**2)
    assert rule(made, "sign law").learning_rate == pytest.approx(3e-4 * sign)
    slow = ((1 + 900 * c / 256) / (1 + 900 * c / to)) ** 0.5
    assert rule(made, "sign law with momentum").learning_rate == pytest.approx(3e-4 * slow)
    assert rule(made, "saturation with momentum").learning_rate == pytest.approx(3e-4 * slow**2)
    assert rule(made, "Adam's law of one step").learning_rate == pytest.approx(3e-4 * adam[to] / adam[256])
    ends = [3e-4 * ((1 + s / 256) / (1 + s / to)) ** 0.5 for s in (700, 1200)]
    assert (rule(made, "sign law").low, rule(made, "sign law").high) == pytest.approx(sorted(ends))


def test_each_rule_says_what_it_assumes_and_whether_it_applies():
    for optimizer in FAMILIES:
        made = target(optimizer, beta1=0.9, **NOISE)
        assert len({each.name for each in made.rules}) == len(made.rules) >= 8
        assert all(each.assumption and each.because and each.basis for each in made.rules)
        assert {each.applies for each in made.rules} <= {True, False, None}
        assert any(each.applies for each in made.rules)
    assert rule(target("sgd", **NOISE), "SGD's saturation").applies
    assert rule(target("sgd"), "SGD's saturation").applies is None  # without a noise scale
    assert not rule(target("adamw", **NOISE), "SGD's saturation").applies
    assert rule(target("adamw"), "public sweeps").applies
    far_below = rule(target("adamw", noise_scale=1e6), "square root")
    assert far_below.applies is None and "the public sweeps rise faster" in far_below.because
    assert rule(target("adamw", noise_scale=1e6, fixed="steps"), "square root").applies
    assert not rule(target("adamw", fixed="steps"), "public sweeps").applies
    assert all(each.name != "public sweeps" for each in target("muon").rules)


@pytest.mark.parametrize(("optimizer", "name"), [("sgd", "linear"), ("signsgd", "square root")])
def test_rules_for_small_batches_apply_to_small_batches_alone(optimizer, name):
    assert rule(target(optimizer, noise_scale=1e5), name).applies
    assert not rule(target(optimizer, noise_scale=300), name).applies
    assert rule(target(optimizer), name).applies is None


def test_runs_of_the_book_are_those_of_the_chapter():
    """To the last printed digit, and placed by the noise scale of the very point."""
    outputs = [o for c in json.loads(CHAPTER.read_text("utf-8"))["cells"] for o in c.get("outputs", ())]
    printed = next(
        text
        for output in outputs
        if "Best constant learning rate over"
        in (text := "".join(output.get("data", {}).get("text/plain", "")))
    )
    lines = [re.split(r"\s\s+", line.strip()) for line in printed.strip().splitlines()[1:]]
    assert lines[0] == ["B", "SGD", "SignSGD", "Adam", "Muon"]
    assert tuple(int(line[0]) for line in lines[1:]) == evidence.BATCH_SIZES
    for column, family in enumerate(("gradient", "sign", "adam", "muon"), 1):
        stored = [tuple(map(float, line[column].split("±"))) for line in lines[1:]]
        assert tuple(zip(*evidence.BEST_RATES[family], strict=True)) == tuple(stored), family
    assert experiment().model.simple_noise_scale == pytest.approx(evidence.NOISE_SCALE, abs=0.5)


def test_runs_of_the_book_are_found_where_they_were_run():
    here = {"batch_size": 16, "learning_rate": 1.0, "noise_scale": evidence.NOISE_SCALE, "fixed": "steps"}
    found = rule(lrbs.plan("adam", to=256, **here).targets[0], "forty steps")
    assert found.applies
    assert found.learning_rate == pytest.approx(0.094 / 0.027)
    assert rule(lrbs.plan("adam", to=2048, **here).targets[0], "forty steps").learning_rate is None


def test_the_transformer_is_found_where_it_was_run():
    """To the last printed digit, at its own noise scale, by what is held fixed; SGD has no rule there."""
    scale = noise_scale_at()
    for optimizer, recipe in (("adam", "AdamW"), ("muon", "Muon")):
        for fixed, runs in HELD_FIXED.items():
            rates = best_rates(recipe, **runs).learning_rate
            here = {"batch_size": 16, "learning_rate": 1.0, "noise_scale": scale, "fixed": fixed}
            made = lrbs.plan(optimizer, to=64, **here).targets[0]
            found = rule(made, "small transformer")
            assert found.learning_rate == pytest.approx(rates[2] / rates[1])
            assert found.applies == (optimizer == "muon" or fixed != "examples")
            assert found.low < found.learning_rate < found.high
            if found.applies:
                assert made.range[0] <= found.low and found.high <= made.range[1]
                assert "small transformer" in made.reason
    assert not any("transformer" in each.name for each in target("sgd").rules)


def test_runs_of_the_book_join_the_range_at_equal_steps():
    """Muon's fall from 256 to 1024 is below what the law has, and in the range where it was run."""
    here = {"batch_size": 256, "learning_rate": 1.0, "noise_scale": evidence.NOISE_SCALE}
    steps, examples = (
        lrbs.plan("muon", to=1024, fixed=fixed, **here).targets[0] for fixed in ("steps", "examples")
    )
    assert steps.range[0] < 0.252 / 0.36 < examples.range[0]
    assert "runs of this book" in steps.reason


def test_range_covers_the_runs_of_this_book():
    """The laws alone, of one step, with the doubt that the planner gives them; Muon is the exception."""
    missed = {}
    for family, optimizer in (("gradient", "sgd"), ("sign", "signsgd"), ("adam", "adam"), ("muon", "muon")):
        rates = dict(zip(evidence.BATCH_SIZES, evidence.BEST_RATES[family][0], strict=True))
        pairs = list(itertools.permutations(evidence.BATCH_SIZES, 2))
        inside = []
        for old, new in pairs:
            made = lrbs.plan(
                optimizer,
                batch_size=old,
                to=new,
                learning_rate=rates[old],
                noise_scale=evidence.NOISE_SCALE,
                fixed="examples" if optimizer != "adam" else "steps",  # the runs themselves are left out
            ).targets[0]
            inside.append(made.range[0] <= rates[new] <= made.range[1])
        missed[optimizer] = len(pairs) - sum(inside)
    assert missed["sgd"] == missed["adam"] == 0
    assert missed["signsgd"] <= 2
    assert missed["muon"] > 4  # it falls at the end, which no law here does


# ------------------------------------------------------------------------------------------ the range
@pytest.mark.parametrize("optimizer", FAMILIES)
@pytest.mark.parametrize("fixed", FIXED)
@pytest.mark.parametrize("noise", [{}, NOISE])
def test_down_is_up_turned_round(optimizer, fixed, noise):
    up = target(optimizer, fixed=fixed, **noise)
    down = target(optimizer, batch_size=2048, to=256, fixed=fixed, **noise)
    assert up.range[0] * down.range[1] == pytest.approx(3e-4**2)
    assert up.range[1] * down.range[0] == pytest.approx(3e-4**2)
    for there in up.rules:
        back = rule(down, there.name)
        assert back.applies is there.applies
        if there.learning_rate is not None:
            assert back.learning_rate * there.learning_rate == pytest.approx(3e-4**2)
    assert up.steps.low * down.steps.high == pytest.approx(1)
    assert up.examples.low * down.examples.high == pytest.approx(1)


@pytest.mark.parametrize("optimizer", FAMILIES)
@pytest.mark.parametrize("fixed", FIXED)
@pytest.mark.parametrize("to", [512, 2048, 64])
def test_range_widens_with_the_interval_up_to_none_at_all(optimizer, fixed, to):
    intervals = [(900, 900), (700, 1200), (300, 2700), (50, 20_000), (1e-2, 1e7)]
    ranges = [
        target(optimizer, to=to, fixed=fixed, noise_scale=900, noise_scale_interval=ends).range
        for ends in intervals
    ]
    ranges.append(target(optimizer, to=to, fixed=fixed).range)
    for (low, high), (lower, higher) in itertools.pairwise(ranges):
        assert lower <= low * (1 + 1e-6)
        assert high <= higher * (1 + 1e-6)
    assert all(low < high for low, high in ranges)


def test_without_a_noise_scale_the_range_is_wider_and_says_so():
    # Muon's runs differ from its law almost as much as the noise scale leaves open.
    for optimizer, share in (("sgd", 0.7), ("signsgd", 0.7), ("muon", 0.8)):
        known, unknown = target(optimizer, **NOISE), target(optimizer)
        assert known.range[1] / known.range[0] < share * unknown.range[1] / unknown.range[0]
    assert any("it is wider for it" in note for note in target("sgd").notes)
    assert any("leaves it so or narrows it" in note for note in target().notes)
    assert not any("Without a noise scale" in note for note in target(**NOISE).notes)


@pytest.mark.parametrize("fixed", ["examples", "loss"])
@pytest.mark.parametrize(
    ("batch_size", "to"), [(256, 64), (256, 300), (256, 2048), (256, 8192), (64, 32), (1024, 2048)]
)
def test_adamw_has_room_at_any_noise_scale_and_no_jumps(fixed, batch_size, to):
    """What is assumed of the corner narrows what sweeps did without a break, to no less than scatters."""
    more = {"batch_size": batch_size, "to": to, "fixed": fixed}
    scales, alone = np.geomspace(1, 1e6, 300), target(**more)
    made = [target(**more, noise_scale=scale) for scale in scales]
    ranges = np.log([each.range for each in made])
    assert (np.diff(ranges).ravel() > 2 * np.log(evidence.MARGIN) - 0.04).all()
    assert abs(np.diff(ranges, axis=0)).max() < 1.01 * np.diff(np.log(scales)).max()
    at_odds = ["contradicts" in each.reason for each in made]
    assert sum(at_odds) < 300 and (any(at_odds) or to in (64, 300))
    for each, odd in zip(made, at_odds, strict=True):
        wider = max(alone.range[0] / each.range[0], each.range[1] / alone.range[1])
        assert wider < 1 + 1e-9 or odd  # as the note says
        assert wider > 1 or not odd or fixed == "loss"  # on to a corner that contradicts the sweeps


@pytest.mark.parametrize("optimizer", ["sgd", "signsgd", "adamw"])
@pytest.mark.parametrize("noise", [{}, NOISE])
def test_larger_batches_never_ask_for_smaller_rates_here(optimizer, noise):
    made = lrbs.plan(optimizer, **RUN, to=[32, 64, 512, 1024, 2048, 8192], **noise)
    ranges = np.array([each.range for each in made.targets])
    assert (np.diff(ranges, axis=0) > -1e-15).all()


def test_far_below_and_far_above_the_noise_scale():
    small = target("sgd", noise_scale=1e7)
    assert small.range == pytest.approx((24e-4 / evidence.MARGIN, 24e-4 * evidence.MARGIN), rel=1e-2)
    large = target("sgd", noise_scale=0.1)
    assert large.range == pytest.approx((3e-4 / evidence.MARGIN, 3e-4 * evidence.MARGIN), rel=1e-2)
    assert target("signsgd", noise_scale=1e7).range[1] == pytest.approx(
        3e-4 * math.sqrt(8) * evidence.MARGIN, rel=1e-2
    )
    assert "leave the batch" in large.worth
    assert small.worth.startswith("yes")
    assert "leave the batch" in target("sgd", to=32, noise_scale=1e7).worth
    assert target("sgd", to=32, noise_scale=0.1).worth.startswith("yes")


def test_leave_it_can_be_the_answer():
    """AdamW at equal examples, beyond the corners of all sweeps."""
    low, high = target(batch_size=4096, to=8192).range
    assert low < 3e-4 < high < 1.3 * 3e-4


def test_scatter_and_exponent_are_those_of_the_sweeps():
    fit = fit_law(CANDIDATES["corner"], step_law())
    assert fit.scatter == pytest.approx(evidence.SCATTER, abs=0.01)
    assert fit.shared["a"] == pytest.approx(evidence.EXPONENT, abs=0.01)


def test_size_and_tokens_narrow_the_range():
    low, high = target().range
    known = target(parameters=4e8, tokens=2e10).range
    assert known[1] / known[0] < 0.8 * high / low
    with pytest.raises(ValueError, match="parameters and tokens go together"):
        target(parameters=4e8)


def test_sweeps_count_tokens():
    kept = target().range
    assert target(sequence_length=2048).range == pytest.approx(kept)
    in_tokens = target(batch_size=256 * 2048, to=2048 * 2048, unit="tokens").range
    assert in_tokens == pytest.approx(kept)
    longer = target(batch_size=64, to=512, sequence_length=8192).range
    assert longer == pytest.approx(kept)


# ------------------------------------------------------------------------------- what the run costs
def test_samples_are_taken_for_sequences_and_told_so():
    """A sample may be an image: how many tokens it is stands in no sweep."""
    said = "samples are taken to be as long"
    made = target(unit="samples")
    assert rule(made, "public sweeps").applies is None
    assert any(said in note for note in made.notes)
    known = target(unit="samples", sequence_length=1024)
    assert rule(known, "public sweeps").applies is True
    assert not any(said in note for note in known.notes)
    assert not any("as long" in note for note in target("sgd", unit="samples").notes)


def test_steps_and_examples_by_what_is_fixed():
    steps = (1 + 900 / 2048) / (1 + 900 / 256)
    made = target(fixed="loss", **NOISE)
    assert made.steps.value == pytest.approx(steps)
    assert made.examples.value == pytest.approx(8 * steps)
    assert made.efficiency.value == pytest.approx(1 / (1 + 2048 / 900))
    ends = sorted((1 + s / 2048) / (1 + s / 256) for s in (700, 1200))
    assert (made.steps.low, made.steps.high) == pytest.approx(ends)
    made = target(fixed="steps")
    assert (made.steps.value, made.examples.value, made.efficiency.value) == (1, 8, None)
    made = target(fixed="examples")
    assert (made.steps.value, made.examples.value) == (1 / 8, 1)
    made = target(fixed="loss")
    assert (made.steps.value, made.steps.low, made.steps.high) == (None, 1 / 8, 1)
    assert (made.examples.low, made.examples.high) == (1, 8)


# ------------------------------------------------------------------------------------ other settings
def test_half_life_counts_samples():
    """What a sample weighs does not depend on the batch that it came in."""
    whole, four_at_once = ema_weights(0.95, 400), ema_weights(half_life(0.95, 4), 100)
    np.testing.assert_allclose(whole.reshape(100, 4).sum(axis=1), four_at_once, rtol=1e-12)
    assert half_life(half_life(0.95, 8), 1 / 8) == pytest.approx(0.95)
    assert half_life(0.0, 8) == 0


def test_sde_decay_is_the_half_life_to_first_order():
    for small in (1e-3, 1e-4):
        gap = sde_decay(1 - small, 8) - half_life(1 - small, 8)
        assert -gap == pytest.approx(28 * small**2, rel=0.05)  # 8 * 7 / 2
    with pytest.raises(ValueError, match=r"below 1 for the linear rule; got 20 \(1 - 0.95\) = 1"):
        sde_decay(0.95, 20)


def test_decay_keeps_its_time_scale_in_samples():
    assert decay_for_time_scale(0.1, 3e-4, 6e-4, 4) == pytest.approx(
        0.2
    )  # AdamW: twice, at a quarter of the steps
    assert decay_for_time_scale(5e-4, 0.1, 0.4, 4) == pytest.approx(5e-4)  # SGD, the linear rule: unchanged
    w, z = 1.0, 1.0
    for _ in range(400):
        w *= 1 - 3e-4 * 0.1
    for _ in range(100):
        z *= 1 - 6e-4 * decay_for_time_scale(0.1, 3e-4, 6e-4, 4)
    assert z == pytest.approx(w, rel=1e-5)


def test_settings_by_each_principle():
    made = target(**SETTINGS, **NOISE)
    beta2 = setting(made, "beta2")
    assert beta2.value == 0.95
    assert beta2.others == pytest.approx({"half-life": 0.95**8, "sde": 0.6})
    assert setting(target(betas="half-life", **SETTINGS), "beta1").value == pytest.approx(0.9**8)
    assert setting(target(betas="sde", **SETTINGS), "beta1").value == pytest.approx(0.2)
    v = (1 + 900 / 2048) / (1 + 900 / 256)  # of E[v], new over old
    assert setting(made, "epsilon").value == pytest.approx(1e-8 * math.sqrt(v))
    assert setting(target(**SETTINGS), "epsilon").value == pytest.approx(1e-8 / math.sqrt(8))
    decay = setting(made, "weight decay")
    assert (decay.low, decay.high) == pytest.approx([0.1 * 8 * 3e-4 / rate for rate in made.range[::-1]])
    assert decay.low < decay.value < decay.high
    assert setting(target("adam", **SETTINGS), "weight decay").value == 0.1  # coupled: no time scale
    assert setting(target(ema=0.999), "EMA of weights").value == pytest.approx(0.999**8)
    assert setting(target(to=4096, **SETTINGS), "beta1").others["sde"] is None  # 16 (1 - 0.9) > 1


@pytest.mark.parametrize(("to", "warmup", "expected"), [(2048, 2000, 250), (2048, 100, 40), (2048, 30, 30)])
def test_warmup_is_counted_in_samples_above_the_memory(to, warmup, expected):
    assert memory_steps(0.95) == pytest.approx(40)
    assert setting(target(to=to, **SETTINGS | {"warmup": warmup}), "warm-up").value == expected
    assert setting(target(to=32, **SETTINGS | {"warmup": warmup}), "warm-up").value == 8 * warmup


def test_sums_in_place_of_means():
    """By running SGD and Adam's epsilon on sums: the rate that does what the mean's does."""
    means, sums = (target("sgd", reduction=kind, **NOISE) for kind in ("mean", "sum"))
    assert sums.range == pytest.approx([rate / 8 for rate in means.range])
    # A step on the sum over a batch is one on its mean at a rate times the batch size.
    law = rule(means, "SGD's saturation").learning_rate
    assert rule(sums, "SGD's saturation").learning_rate * 2048 == pytest.approx(law * 256)
    assert rule(sums, "linear").learning_rate == pytest.approx(3e-4)  # nothing to change
    means, sums = (target("adamw", reduction=kind, **SETTINGS) for kind in ("mean", "sum"))
    assert sums.range == means.range
    assert setting(sums, "epsilon").value == pytest.approx(8 * setting(means, "epsilon").value)
    assert setting(target("adam", reduction="sum", **SETTINGS), "weight decay").value == pytest.approx(0.8)


def test_three_runs_settle_it():
    made = target(**SETTINGS, **NOISE)
    low, middle, high = made.trial_rates
    assert (low, high) == made.range
    assert middle == pytest.approx(math.sqrt(low * high))
    assert made.trial_steps == 250 + 2 * 40


# ----------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"to": -2048}, "to must be positive"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"learning_rate": -1e-3}, "learning_rate must be positive"),
        ({"learning_rate": None}, "learning_rate is missing"),
        ({"optimizer": "adagrad"}, "optimizer must be one of sgd"),
        ({"fixed": "time"}, "fixed must be one of"),
        ({"unit": "words"}, "unit must be one of"),
        ({"noise_scale": -5}, "noise_scale must be positive"),
        ({"noise_scale": 900, "noise_scale_interval": (1000, 1200)}, "must lie within its interval"),
        ({"noise_scale": 900, "noise_scale_interval": (700, math.inf)}, "must be finite"),
        ({"noise_scale_interval": (700, 1200)}, "goes with a number"),
        ({"noise_scale": 900, "update_rms": 0.3}, "give one source"),
        ({"update_rms": 1.2}, "must be below 1"),
        ({"update_rms": 0.2, "beta1": 0.9}, "not resolved: update_rms = 0.2 is not above"),
        ({"update_rms": 0.3, "optimizer": "sgd"}, "is read for Adam"),
        ({"momentum_norms": (1.0, 0.9), "beta1": 0.9}, "in this order"),
        ({"momentum_norms": (0.1, 1.0), "beta1": 0.9}, "not resolved"),
        ({"momentum_norms": (0.1, 1.0), "optimizer": "sgd"}, "need an average"),
        ({"momentum_norms": 0.3}, "must be a pair"),
        ({"to": []}, "a batch size or more; got none"),
        ({"log": "nowhere.jsonl"}, "there is no log nowhere.jsonl: the monitor writes a line every"),
        ({"betas": "sde", "beta2": 0.95, "to": 8192}, r"beta2: growth \(1 - decay\) must be below 1"),
        ({"beta1": 1.0}, r"beta1 must be in \[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"warmup": -1}, "warmup must not be negative"),
    ],
)
def test_what_is_impossible_is_refused(more, message):
    arguments = {"optimizer": "adamw", **RUN, "to": 2048, **more}
    with pytest.raises(ValueError, match=message):
        lrbs.plan(**arguments)


# ------------------------------------------------------------------------------------------ printing
COMMAND = ["plan", "--optimizer", "adamw", "--lr", "3e-4", "--batch", "256", "--to", "2048"]


def test_command_line_gives_json(capsys):
    main([*COMMAND[:-1], "512", "1024", "2048", "--noise-scale", "900", "--beta2", "0.95", "--json"])
    listed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # no nan, no inf
    assert [each["batch_size"] for each in listed] == [512, 1024, 2048]
    for each in listed:
        assert set(each) >= KEYS
        low, high = each["range"]
        assert 0 < low < high
        assert each["beta1"] is None
        assert each["beta2"] == 0.95
        assert (each["run"]["unit"], each["run"]["noise_scale"]["value"]) == ("sequences", 900)
    made = lrbs.plan("adamw", **RUN, to=[512, 1024, 2048], noise_scale=900, beta2=0.95)
    assert json.loads(json.dumps(made.as_list())) == listed


def test_json_has_null_where_there_is_no_answer(capsys):
    main([*COMMAND[:-1], "1000000", "--noise-scale", "10", "--json"])
    (found,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    runs = next(each for each in found["rules"] if each["name"] == "forty steps")
    assert runs["learning_rate"] is runs["low"] is runs["high"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        ["--noise-scale", "-1"],
        ["--betas", "sde", "--beta1", "0.8"],
        ["--update-rms", "1.3"],
        ["--update-rms", "0.1"],
        ["--momentum-norms", "0.1", "1"],
        ["--log", "/nowhere/run.jsonl"],
        ["--fixed", "time"],
    ],
)
def test_command_line_refuses_with_status_2(wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*COMMAND, *wrong])
    assert stop.value.code == 2
    streams = capsys.readouterr()
    assert "error: " in streams.err
    assert streams.out == ""


def test_as_a_module_with_status_2():
    command = [sys.executable, "-W", "error", "-m", "lrbs", *COMMAND, "--to", "-8"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "to must be positive" in result.stderr


@pytest.mark.parametrize("optimizer", FAMILIES)
@pytest.mark.parametrize("more", [{}, NOISE | SETTINGS, NOISE | SETTINGS | {"fixed": "loss", "ema": 0.9999}])
def test_text_fits_a_terminal(optimizer, more):
    made = lrbs.plan(optimizer, **RUN, to=[32, 123_456], **more)
    lines = str(made).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert repr(made) == str(made)
    for each in made.targets:
        assert not re.search(r"\bnan\b|\binf\b|None", str(made))
        assert each.reason.split(",")[0][:30] in " ".join(str(made).split())


def test_columns_do_not_run_into_each_other():
    """A weight decay with its range fills its column to the last sign."""
    said = str(lrbs.plan("adamw", **RUN, to=2048, weight_decay=0.013, noise_scale=900))
    assert "0.08745 (0.059 to 0.13) time scale" in said


class Balanced(html.parser.HTMLParser):
    """Every tag that opens closes; and the text between."""

    def __init__(self):
        super().__init__()
        self.open, self.words = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_html_says_the_same():
    made = lrbs.plan("adamw", **RUN, to=[512, 2048], **NOISE, **SETTINGS)
    parser = Balanced()
    parser.feed(made._repr_html_())
    assert parser.open == []
    words = " ".join(parser.words)
    for each in made.targets:
        assert all(found.name in words and found.because in words for found in each.rules)
        assert all(note in words for note in each.notes)
    assert "nan" not in words.split()


def test_a_step_of_the_range_is_what_was_promised():
    """A quadratic whose best rates are known: SGD's law is exact there, and the range must hold it."""
    model = lrbs.LocalModel([1.0, 0.5], [30.0, 60.0], [1.0, 1.0])
    best = lrbs.expected_step(model, lrbs.SGD(), [8, 128]).optimal_lr
    for old, new, rate, other in ((8, 128, *best), (128, 8, *best[::-1])):
        made = lrbs.plan(
            "sgd", batch_size=old, to=new, learning_rate=rate, noise_scale=model.simple_noise_scale
        )
        found = rule(made.targets[0], "SGD's saturation")
        assert found.learning_rate == pytest.approx(other)
        assert made.targets[0].range[0] < other < made.targets[0].range[1]
