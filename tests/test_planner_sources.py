"""Where the planner has its noise scale from: norms, the update RMS, an estimate, a log of the monitor."""

import json
import math

import numpy as np
import pytest

import lrbs

RUN = {"batch_size": 256, "learning_rate": 3e-4}
NOISE = {"noise_scale": 900, "noise_scale_interval": (700, 1200)}
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "warmup": 2000}


def target(**more):
    return lrbs.plan("adamw", **{**RUN, "to": 2048, **more}).targets[0]


def test_noise_scale_from_norms_and_from_the_update_rms():
    c, signal = 1 / 19, 0.3
    ratio = math.sqrt((signal + c) / (signal + 1))
    for more in ({"update_rms": ratio}, {"momentum_norms": (2 * ratio, 2.0)}):
        request = lrbs.plan("adam", **RUN, to=2048, beta1=0.9, **more).request
        assert request.noise_scale.value == pytest.approx(256 / signal)
        assert not request.noise_scale.has_interval
    rng = np.random.default_rng(0)
    many = ratio * (1 + 0.01 * rng.standard_normal(1000))
    request = lrbs.plan("muon", **RUN, to=2048, beta1=0.9, momentum_norms=(many, np.ones(1000))).request
    assert request.noise_scale.low < 256 / signal < request.noise_scale.high
    assert request.noise_scale.has_interval


def test_an_estimate_brings_its_unit():
    """Tokens are not taken for sequences."""
    known = lrbs.noise_scale.NoiseScaleEstimate(900.0, 1.0, np.diag([9.0, 1e-2]) ** 2, "sequences")
    in_tokens = known.converted("tokens", 2048)
    assert target(noise_scale=in_tokens, sequence_length=2048).range == pytest.approx(
        target(noise_scale=known, sequence_length=2048).range
    )
    with pytest.raises(ValueError, match="counts tokens and the plan sequences: give sequence_length"):
        target(noise_scale=in_tokens)


def test_an_interval_without_its_number_is_not_passed_over(tmp_path):
    log = write(tmp_path / "run.jsonl", LINE)
    with pytest.raises(ValueError, match="goes with a number as noise_scale"):
        lrbs.plan(to=2048, log=log, noise_scale_interval=(700, 1200))
    skipped = write(tmp_path / "skipped.jsonl", LINE | {"skipped": 70})
    assert "70 steps skipped" in str(lrbs.plan(to=2048, log=skipped))
    assert lrbs.plan("AdamW", **RUN, to=2048).request.optimizer == "adamw"


def test_an_estimate_brings_its_interval():
    estimate = lrbs.NoiseScaleEstimate(900.0, 1.0, np.diag([30.0, 0.1]) ** 2)
    scale = lrbs.plan("adamw", **RUN, to=2048, noise_scale=estimate).request.noise_scale
    assert (scale.low, scale.high) == estimate.interval()
    vague = lrbs.NoiseScaleEstimate(900.0, 1.0, np.diag([30.0, 0.9]) ** 2)
    with pytest.raises(ValueError, match="not resolved"):
        lrbs.plan("adamw", **RUN, to=2048, noise_scale=vague)


UNKNOWN = {"estimate": None, "low": 0.0, "high": None, "resolved": False}
LINE = {
    "step": 100,
    "batch_size": 256,
    "unit": "sequences",
    "noise_scale": {"estimate": 900, "low": 700, "high": 1200, "resolved": True},
    "update_rms": 0.3,
    "learning_rate": 1e-4,
    "optimizer": "AdamW",
    "betas": [0.9, 0.95],
    "epsilon": 1e-8,
    "weight_decay": 0.1,
}


def write(path, *lines):
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


def test_a_log_says_what_is_not_said(tmp_path):
    log = write(
        tmp_path / "run.jsonl",
        LINE | {"noise_scale": UNKNOWN},
        LINE | {"learning_rate": 3e-4},
        LINE | {"step": 300},
    )
    by_log = lrbs.plan(to=2048, log=log, warmup=2000)
    by_hand = lrbs.plan("adamw", **RUN, to=2048, **SETTINGS, **NOISE)
    assert by_log.targets[0].range == by_hand.targets[0].range  # the highest rate, the last noise scale
    assert by_log.targets[0].settings == by_hand.targets[0].settings
    assert lrbs.plan(to=2048, log=log, learning_rate=1e-3).request.learning_rate == 1e-3
    assert "step 300" in str(by_log)
    with log.open("a") as stream:
        stream.write('{"step": 400, "noi')  # killed while writing
    assert lrbs.plan(to=2048, log=log).request == lrbs.plan(to=2048, log=log).request


def test_a_log_that_begins_again_is_that_of_the_last_run(tmp_path):
    """Appended to by a second run, which diverged from a higher rate before."""
    first, second = LINE | {"learning_rate": 1.0, "contradiction": "contradicted"}, LINE | {"step": 50}
    log = write(tmp_path / "run.jsonl", first, LINE | {"learning_rate": 1.0}, second)
    assert lrbs.plan(to=2048, log=log) == lrbs.plan(to=2048, log=write(tmp_path / "one.jsonl", second))


def test_a_log_that_begins_again_at_the_same_step(tmp_path):
    """Two short runs, of one line each."""
    second = LINE | {"learning_rate": 1e-5}
    log = write(tmp_path / "run.jsonl", LINE | {"learning_rate": 1e-3}, second)
    assert lrbs.plan(to=2048, log=log).request.learning_rate == 1e-5


def test_a_log_in_tokens(tmp_path):
    scale = {"estimate": 900 * 2048, "low": 700 * 2048, "high": 1200 * 2048, "resolved": True}
    log = write(
        tmp_path / "run.jsonl", LINE | {"unit": "tokens", "batch_size": 256 * 2048, "noise_scale": scale}
    )
    there = lrbs.plan(to=2048, log=log, unit="sequences", sequence_length=2048)
    assert there.request.batch_size == 256
    assert there.request.noise_scale.value == pytest.approx(900)
    with pytest.raises(ValueError, match="give sequence_length"):
        lrbs.plan(to=2048, log=log, unit="sequences")
    assert lrbs.plan(to=2048 * 2048, log=log).request.unit == "tokens"


def test_a_log_without_a_noise_scale_has_the_update_rms(tmp_path):
    log = write(tmp_path / "run.jsonl", LINE | {"noise_scale": None})
    assert "update RMS" in lrbs.plan(to=512, log=log).request.noise_scale.source
    log = write(tmp_path / "sgd.jsonl", LINE | {"noise_scale": None, "optimizer": "SGD", "betas": None})
    assert lrbs.plan(to=512, log=log).request.noise_scale is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [LINE | {"noise_scale": {"estimate": 5e3, "low": 400, "high": math.inf, "resolved": False}}],
            "above 400",
        ),
        ([LINE | {"noise_scale": {"estimate": 5e3, "low": 0.0, "high": None}}], "not known at all"),
        ([LINE | {"noise_scale": 900}], "must be an object"),
        (
            [LINE | {"noise_scale": UNKNOWN, "contradiction": "contradicted: the parts are alike"}],
            "the parts are alike, at step 100: more steps will not mend that. Are the parts independent",
        ),
        ([LINE | {"noise_scale": UNKNOWN, "note": "the memory is full: take"}], "at all; the memory is full"),
        ([LINE | {"betas": 0.9}], "betas in .* must be a list of two numbers; got 0.9"),
        ([LINE | {"batch_size": "many"}], "batch_size in .* must be a number; got 'many'"),
        ([LINE | {"step": "last"}], "step in .* must be a number"),
        ([LINE | {"noise_scale": UNKNOWN}], "let the monitor run on.*in place of the log"),
        ([[1, 2], LINE], "line 1: a list"),
        ([], "it is empty"),
        ([{"step": 1}], "optimizer is missing, and the log does not hold it"),
    ],
)
def test_logs_that_are_refused(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        lrbs.plan(to=2048, log=write(tmp_path / "run.jsonl", *lines))
