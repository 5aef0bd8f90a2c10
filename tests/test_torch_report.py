"""What the monitor says: its log, its report, its bar, and the example that prints them."""

import json
import math
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import lrbs
from tests.torch_fixtures import NETWORK, batches_of, monitor_of, optimizers_of, parameters_of, train

pytestmark = pytest.mark.torch


def test_log_is_strict_json_that_says_what_the_report_says(data, tmp_path) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("AdamW", parameters)
    log = tmp_path / "noise.jsonl"
    monitor = monitor_of(optimizers, log=log, log_every=2, unit="sequences")
    train(optimizers, parameters, batches_of(data, [8, 8], 5), monitor)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in log.read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    last = lines[-1]
    assert last["unit"] == "sequences" and last["batch_size"] == 16
    assert (last["optimizer"], last["learning_rate"], last["betas"]) == ("AdamW", 0.05, [0.9, 0.95])
    assert (last["epsilon"], last["weight_decay"]) == (1e-8, 0.1) and "momentum" not in last
    assert set(last["noise_scale"]) == {"estimate", "low", "high", "resolved"}
    assert last["noise_scale"]["resolved"] is (last["noise_scale"]["high"] is not None)
    train(optimizers, parameters, batches_of(data, [8, 8], 1, seed=5), monitor)
    report = monitor.compute()
    again = json.loads(log.read_text("utf-8").splitlines()[-1])
    assert again == json.loads(json.dumps(report.as_dict()))


@pytest.mark.parametrize("factor", [0.0, math.nan])
def test_a_step_without_numbers_stops_neither_training_nor_log(tmp_path, factor) -> None:
    """A first gradient of zero gives Adam the update 0/0; one of nan spoils what comes after it."""
    import torch

    from lrbs.torch import NoiseMonitor

    log, weight = tmp_path / "noise.jsonl", torch.nn.Parameter(torch.ones(40))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    monitor = NoiseMonitor(optimizer, log=log, log_every=4)
    generator = torch.Generator().manual_seed(0)
    for step in range(12):
        for _ in range(2):
            samples = 1 + torch.randn(8, 40, generator=generator)
            ((samples @ weight).mean() / 2 * (1.0 if step else factor)).backward()
            monitor.update(8)
        optimizer.step()
        optimizer.zero_grad()
    last = json.loads(log.read_text("utf-8").splitlines()[-1], parse_constant=pytest.fail)
    assert last["step"] == 12
    assert (last["update_rms"] is None) == math.isnan(factor)


def test_steps_of_one_micro_batch_say_so_in_the_log(tmp_path) -> None:
    import torch

    from lrbs.torch import NoiseMonitor

    log, weight = tmp_path / "noise.jsonl", torch.nn.Parameter(torch.ones(40))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    monitor = NoiseMonitor(optimizer, log=log, log_every=2)
    for _ in range(4):
        (torch.randn(8, 40) @ weight).mean().backward()
        monitor.update(8)
        optimizer.step()
        optimizer.zero_grad()
    with pytest.raises(ValueError, match="not known at all; 4 steps were of one micro-batch on one rank"):
        lrbs.plan(to=512, log=log)


def test_unresolved_noise_has_no_end_in_json() -> None:
    from lrbs.noise_scale import NoiseScaleEstimate
    from lrbs.torch.report import _plain

    unclear = NoiseScaleEstimate(200.0, 0.1, np.diag([4.0, 0.2]) ** 2)
    assert _plain(unclear)["high"] is None and _plain(unclear)["estimate"] == 2000.0
    negative = NoiseScaleEstimate(200.0, -5.0, np.diag([4.0, 0.2]) ** 2)
    assert _plain(negative) == {"estimate": None, "low": None, "high": None, "resolved": False}
    assert _plain(None) == {"estimate": None, "low": 0.0, "high": None, "resolved": False}


def test_memories_that_disagree_are_reported() -> None:
    import torch

    weights = torch.nn.Parameter(torch.zeros(500))
    optimizer = torch.optim.SGD([weights], lr=0.0)
    monitor = monitor_of(optimizer, memories=(10, 1000))
    generator = torch.Generator().manual_seed(0)
    for deviation in [1.0] * 100 + [4.0] * 30:
        for _ in range(4):
            samples = 0.3 + deviation * torch.randn(8, 500, generator=generator)
            ((samples @ weights).mean() / 4).backward()
            monitor.update(8)
        optimizer.step()
        optimizer.zero_grad()
    report = monitor.compute()
    assert report.lagging and report.noise_scale is report.recent
    low, high = report.recent.interval(0.999)
    assert low < 16 / 0.09 < high
    assert "drifting" in report.line and "disagree" in str(report)
    monitor.reset()
    assert monitor.compute().noise_scale is None and monitor.compute().step == 0


def test_progress_with_tqdm_and_without(data, monkeypatch, capsys) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("SGD", parameters)
    monitor = monitor_of(optimizers)
    steps = batches_of(data, [8, 8], 6)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    for step in monitor.progress(steps, every=3):
        train(optimizers, parameters, [step], monitor)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["step 3", "step 6"]

    class Bar(list):
        said: ClassVar[list[str]] = []

        def set_postfix_str(self, text: str) -> None:
            self.said.append(text)

    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))
    for step in monitor.progress(steps, every=2):
        train(optimizers, parameters, [step], monitor)
    assert len(Bar.said) == 3 and all(text.startswith("noise scale") for text in Bar.said)
    assert not capsys.readouterr().err


# What the book shows, as it stands there.
def test_example_runs(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    example = Path(__file__).resolve().parent.parent / "examples" / "monitor_digits.py"
    runpy.run_path(str(example), run_name="__main__")
    said = capsys.readouterr().out
    assert "AdamW, batches of 64 samples" in said and "step   50  noise scale" in said
    assert "adamw: batch 64 to 512 samples (x 8), equal examples" in said
    assert (tmp_path / "noise.png").stat().st_size > 5_000
