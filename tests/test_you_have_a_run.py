"""The page You have a run: its lines of PyTorch as they stand, its command, what is printed from it."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import lrbs
from lrbs.__main__ import main

PAGE = Path(__file__).resolve().parent.parent / "chapters" / "you-have-a-run.ipynb"
CELLS = json.loads(PAGE.read_text(encoding="utf-8"))["cells"]
PROSE = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")


def block(language: str, holds: str) -> str:
    """The one block of a language that holds something."""
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)```", PROSE, re.DOTALL) if holds in text)
    return found


@pytest.mark.torch
def test_lines_of_pytorch_measure_what_is_known(capsys):
    """A linear model whose gradients have a known noise scale: the block of the page, pasted and run."""
    import torch

    torch.manual_seed(0)
    size, spread = 50, 1.0
    names = {
        "steps": 400,
        "accumulation": 8,
        "micro_batch": 4,
        "lrbs": lrbs,
        "model": torch.nn.Linear(size, 1, bias=False),
        # Gradient of a sample: its x times 2 y; with y = 1/2, x itself.
        "loss_function": lambda output, y: (output[:, 0] * 2 * y).mean(),
        "batches": iter(lambda: (0.2 + spread * torch.randn(4, size), torch.full((4,), 0.5)), None),
    }
    names["optimizer"] = torch.optim.SGD(names["model"].parameters(), lr=1e-9)
    exec(block("python", "accumulation):"), names)
    exact = spread**2 / 0.2**2
    found = lrbs.noise_scale_from_two_batches(names["small"], names["big"], 4, 32)
    low, high = found.interval(0.999)
    assert low < exact < high < 1.5 * exact
    assert str(found) in capsys.readouterr().out


@pytest.mark.torch
def test_lines_of_the_monitor_run_as_they_stand(monkeypatch, tmp_path, capsys) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5))
    inputs = torch.randn(100, 4, 8, 20)
    targets = inputs[..., :5].argmax(dim=-1)
    batches = [list(zip(*step, strict=True)) for step in zip(inputs, targets, strict=True)]
    names = {
        "clip_grad_norm_": torch.nn.utils.clip_grad_norm_,
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loader": batches,
        "loss_function": torch.nn.functional.cross_entropy,
        "test_batches": [
            (x.flatten(0, 1), y.flatten()) for x, y in zip(inputs[:8], targets[:8], strict=True)
        ],
    }
    for holds in ("NoiseMonitor", "monitor.probe"):
        exec(block("python", holds), names)
    said = capsys.readouterr().out
    assert "step 100        AdamW, batches of 32 sequences\nlast 50 steps" in said
    assert "AdamW: learning rate 0.003; best for one step" in said
    lines = [json.loads(line) for line in (tmp_path / "noise.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [50, 100] and lines[-1]["noise_scale"]["resolved"]


def test_command_of_the_page_gives_the_plan_of_the_page(capsys):
    words = shlex.split(block("text", "python -m lrbs plan").replace("\\\n", " "))
    assert words[:3] == ["python", "-m", "lrbs"]
    main(words[3:])
    printed = capsys.readouterr().out
    names: dict[str, object] = {"lrbs": lrbs}
    source = next("".join(cell["source"]) for cell in CELLS if cell["id"] == "plan")
    exec(source.removesuffix("plan"), names)
    assert printed == f"{names['plan']}\n"


def test_what_readers_search_for_is_said():
    for words in ("256 to 2048", "PyTorch", "eight decay", "`beta2`", "radient accumulation"):
        assert words in PROSE, words


def test_options_that_the_page_names_exist(capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    offered = capsys.readouterr().out
    for option in set(re.findall(r"(?<!!)--[a-z][a-z0-9-]+", PROSE)):
        assert option in offered, option


def test_schedule_in_examples_does_not_see_the_ramp():
    """A cosine over samples gives a sample the same rate, whatever batch brings it."""
    steady, ramp = np.full(64, 256), np.repeat([256, 1024], [32, 8])
    rates = [lrbs.laws.cosine(np.cumsum(sizes), sizes.sum(), max_lr=1.0) for sizes in (steady, ramp)]
    np.testing.assert_allclose(rates[0][35::4], rates[1][32:])
