"""The recorded experiments: results are those of the scripts that are here, and a slice comes out again."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from experiments import records
from experiments.records import RESULTS, ROOT, Table, modules, read, source_digest

SCRIPTS = {"runs": "experiments.runs", "one_step": "experiments.one_step", "horizon": "experiments.horizon"}
AGAIN = "has changed since its results were recorded: make experiments"


# ------------------------------------------------------------------------------------ what is recorded
@pytest.mark.parametrize("name", SCRIPTS)
def test_results_are_those_of_the_script(name):
    told, rows = read(RESULTS / f"{name}.csv")
    assert rows and told["script"] == SCRIPTS[name]
    assert told["source"] == source_digest(SCRIPTS[name]), f"{SCRIPTS[name]} {AGAIN}"
    assert told.keys() == {"script", "source", "text", "seeds", "versions", "machine"}


@pytest.mark.torch
@pytest.mark.parametrize("name", SCRIPTS)
def test_results_are_those_of_the_text(name):
    from experiments import text

    assert read(RESULTS / f"{name}.csv")[0]["text"] == text.digest(), "SciPy's files are not the pinned ones"


def test_a_change_of_code_is_seen_and_one_of_a_comment_is_not(tmp_path, monkeypatch):
    for source, alike in (("x = 1  # a word\n", True), ('"""A."""\n\nx = 1\n', True), ("x = 2\n", False)):
        digests = []
        for content in ("x = 1\n", source):
            (tmp_path / "experiments").mkdir(exist_ok=True)
            (tmp_path / "experiments" / "part.py").write_text(content)
            (tmp_path / "experiments" / "whole.py").write_text("from experiments import part\n")
            monkeypatch.setattr(records, "ROOT", tmp_path)
            digests.append(source_digest("experiments.whole"))
        assert (digests[0] == digests[1]) == alike


def test_modules_are_found_through_others():
    found = modules("experiments.one_step")
    assert found[0] == "experiments/one_step.py"
    expected = {"experiments/text.py", "experiments/decoder.py", "lrbs/rules/adam.py", "lrbs/operators.py"}
    assert expected <= set(found) and "experiments/records.py" not in found


def test_nothing_else_imports_torch_or_the_experiments():
    allowed = ("experiments/", "lrbs/torch/", "tests/", "benchmarks/")
    for folder in ("lrbs", "tools", "_ext", "chapters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(allowed):
                assert not imported(path.read_text(encoding="utf-8")) & {"torch", "experiments"}, name
    cells = json.loads((ROOT / "chapters" / "transformer.ipynb").read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code" and cell["id"] != "needs":
            assert not imported("".join(cell["source"])) & {"torch", "experiments"}


def imported(source: str) -> set[str]:
    """First parts of the modules that are imported at the head of a module, or in a cell."""
    nodes = ast.parse(source).body
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


# ------------------------------------------------------------------------------------- after a kill
HEAD = {"source": "a", "text": "b", "seeds": "0 1"}


def test_a_table_goes_on_after_a_kill(tmp_path):
    path = tmp_path / "table.csv"
    table = Table(path, HEAD, ("cell", "seed"))
    table.add([{"cell": 1, "seed": seed} for seed in (0, 1)])
    table.add([{"cell": 2, "seed": seed} for seed in (0, 1)])
    path.write_text(path.read_text()[:-4])  # a line and a half less
    again = Table(path, HEAD, ("cell", "seed"))
    again.keep(lambda row: row["cell"], 2)
    assert [row["cell"] for row in again.rows] == ["1", "1"]
    again.add([{"cell": 0, "seed": seed} for seed in (0, 1)])
    again.close(lambda row: (int(row["cell"]), int(row["seed"])))
    assert read(path) == (HEAD, [{"cell": c, "seed": s} for c in "01" for s in "01"])


@pytest.mark.parametrize("key", HEAD)
def test_results_of_another_script_are_begun_anew(tmp_path, key):
    path = tmp_path / "table.csv"
    Table(path, HEAD, ("seed",)).add([{"seed": 0}])
    assert len(Table(path, HEAD, ("seed",)).rows) == 1
    assert Table(path, HEAD | {key: "other"}, ("seed",)).rows == []


# --------------------------------------------------------------------------------------- the laboratory
@pytest.mark.torch
def test_the_decoder_sees_no_future_and_keeps_seeds_apart():
    import torch

    from experiments.decoder import LENGTH, initial, loss

    windows = torch.randint(90, (2, 3, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    weights = initial([0, 1])
    changed = windows.clone()
    changed[1, 2, -1] += 1  # a symbol that is told, never read
    difference = (loss(weights, changed) - loss(weights, windows)).detach()
    assert difference[1, 2] != 0 and int((difference != 0).sum()) == 1
    one = {name: weight[1:] for name, weight in weights.items()}
    assert torch.allclose(loss(one, windows[1:]), loss(weights, windows)[1:], atol=1e-5)
    again = initial([1])
    assert all(torch.equal(again[name][0], weights[name][1]) for name in again)
    embedding, position = weights["embedding"].detach(), weights["position"].detach()
    moved = {name: weight.detach().clone() for name, weight in weights.items()}
    moved["position"] += 1.0
    assert not torch.allclose(loss(moved, windows), loss(weights, windows))
    assert embedding.shape[-1] == position.shape[-1]


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_muon_is_that_of_torch_and_of_the_book(shape):
    import torch

    from experiments.optimizers import Muon, orthogonal
    from lrbs.laws import newton_schulz

    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(*shape, generator=generator)
    assert orthogonal(matrix).numpy() == pytest.approx(newton_schulz(matrix.numpy()), abs=1e-4)
    ours, theirs = (torch.nn.Parameter(matrix.clone()) for _ in range(2))
    options = {"lr": 0.1, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    pair = [Muon([ours], lr=0.1), torch.optim.Muon([theirs], **options)]
    for _ in range(3):
        gradient = torch.randn(*shape, generator=generator)
        for weight, optimizer in zip((ours, theirs), pair, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (ours - matrix).detach()
    assert (ours - theirs).detach().norm() < 0.02 * moved.norm()  # theirs is in bfloat16


@pytest.mark.torch
def test_gradients_and_curvature_of_a_point(rng):
    from experiments.decoder import SIZE
    from experiments.one_step import Point, flat
    from experiments.runs import initial

    start = flat(initial([0]).values())[0].double().numpy()
    point = Point(0, start, probes=1)
    direction = rng.standard_normal(SIZE)
    direction /= np.linalg.norm(direction)
    up, mid, down = point.loss(start + np.outer([0.03, 0, -0.03], direction))
    assert (up - down) / 0.06 == pytest.approx(point.gradient @ direction, abs=2e-4)
    assert (up - 2 * mid + down) / 0.03**2 == pytest.approx(direction @ point.hessian(direction), abs=5e-3)
    batches = point.batch_gradients(400, 8, rng)
    trace = point.variances.sum()
    assert ((batches - point.gradient) ** 2).sum(1).mean() == pytest.approx(trace / 8, rel=0.1)


# -------------------------------------------------------------------------------- a slice, once more
def recorded(name: str, **wanted: object) -> np.ndarray:
    """Losses or values of the rows that say so."""
    rows = read(RESULTS / f"{name}.csv")[1]
    kept = [row for row in rows if all(row[key] == str(value) for key, value in wanted.items())]
    return np.array([float(row.get("loss") or row["value"]) for row in kept])


def agree(found: list[float], stored: np.ndarray) -> None:
    """Means over seeds within four standard errors."""
    assert len(found) == len(stored) == 4
    error = stored.std(ddof=1) / 2
    assert np.mean(found) == pytest.approx(stored.mean(), abs=4 * error)
    assert error < 0.1 * stored.mean()


@pytest.mark.torch
@pytest.mark.parametrize("recipe", ["AdamW", "Muon", "SGD"])
def test_a_run_comes_out_again(recipe):
    from experiments.runs import RECIPES, Task, run

    rate = RECIPES[recipe].start
    found = run(Task(recipe, 16, 1024, rate))
    stored = recorded("runs", recipe=recipe, batch_size=16, sequences=1024, log2_rate=rate)
    agree([float(row["loss"]) for row in found], stored)


@pytest.mark.torch
def test_a_step_and_a_walk_come_out_again():
    from experiments.horizon import MOMENT, Task, walk
    from experiments.one_step import Point, step_of, train

    found = train([64, MOMENT])
    point = Point(64, found[64][0], probes=1)
    for row in step_of(point, "SGD", 16):
        named = {key: row[key] for key in ("moment", "rule", "batch_size", "quantity")}
        (stored,) = recorded("one_step", **named)
        assert float(row["value"]) == pytest.approx(stored, abs=4 * float(row["error"]))
        assert float(row["error"]) < 0.3 * stored
    rows = walk(Task(16, -7, found[MOMENT][0].tobytes()))
    for steps in (1, 16, 256):
        losses = [float(row["loss"]) for row in rows if row["steps"] == steps]
        agree(losses, recorded("horizon", batch_size=16, steps=steps, log2_rate=-7))


def test_files_are_small():
    assert sum(path.stat().st_size for path in Path(RESULTS).glob("*.csv")) < 200_000
