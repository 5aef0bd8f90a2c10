"""The monitor for PyTorch against the NumPy laboratory, and training without it."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import lrbs
from lrbs.lab import local_model
from lrbs.laws.update_rms import root_mean_square
from tests.torch_fixtures import (
    NETWORK,
    batches_of,
    lab_gradients,
    mean_loss,
    monitor_of,
    optimizers_of,
    parameters_of,
    train,
    vector_of,
)

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Muon"])
@pytest.mark.parametrize("clip", [None, 1e-3])
def test_against_the_laboratory(data, name, clip) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of(name, parameters)
    monitor = monitor_of(optimizers)
    steps = batches_of(data, [8] * 4, 12)
    path = train(optimizers, parameters, steps, monitor, clip=clip)
    expected = lrbs.noise_scale_from_workers(lab_gradients(path, steps), 8)
    report = monitor.compute()
    assert (report.step, report.batch_size, report.skipped, report.single) == (12, 32, 0, 0)
    assert report.optimizer == name
    for found, true in (
        (report.long.trace, expected.trace),
        (report.long.squared_gradient, expected.squared_gradient),
        (report.long.covariance, expected.covariance),
    ):
        np.testing.assert_allclose(found, true, rtol=1e-5)


def test_some_gradients_are_set_to_none_and_some_to_zero(data) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("Muon", parameters)
    zeros = optimizers[1].zero_grad
    optimizers[1].zero_grad = lambda set_to_none: zeros(set_to_none=False)
    monitor = monitor_of(optimizers)
    steps = batches_of(data, [8] * 2, 12)
    expected = lrbs.noise_scale_from_workers(
        lab_gradients(train(optimizers, parameters, steps, monitor), steps), 8
    )
    assert monitor.compute().long.trace == pytest.approx(expected.trace, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_unequal_micro_batches_in_expectation(data, reduction) -> None:
    """The mean over all draws of what a step gives is tr(Sigma) and |g|^2: by the formula's linearity."""
    import torch

    sizes = np.array([3, 17, 40])
    w = NETWORK.initial_weights(3)
    model = local_model(NETWORK, w, data)
    trace, square = np.trace(model.covariance.dense()), model.gradient @ model.gradient
    share = np.full(3, 1 / 3) if reduction == "mean" else sizes / sizes.sum()
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    monitor = monitor_of(torch.optim.SGD([parameter], lr=0.0), reduction=reduction)
    # What |D_i|^2 and |sum D_i|^2 are on average, put where the monitor keeps them.
    parts = share**2 * (square + trace / sizes)
    whole = square + trace * np.sum(share**2 / sizes)
    for _ in range(2):
        monitor._parts = [(torch.tensor(p), float(b)) for p, b in zip(parts, sizes, strict=True)]
        monitor._whole = torch.tensor(whole)
        monitor.optimizers[0].step()
    long = monitor.compute().long
    assert long.trace == pytest.approx(trace, rel=1e-9)
    assert long.squared_gradient == pytest.approx(square, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_unequal_micro_batches_by_draws(data, reduction, assert_within) -> None:
    w = NETWORK.initial_weights(3)
    model = local_model(NETWORK, w, data)
    parameters = parameters_of(w)
    optimizers = optimizers_of("SGD", parameters, lr=0.0)
    monitor = monitor_of(optimizers, reduction=reduction)
    train(optimizers, parameters, batches_of(data, [2, 5, 14], 150), monitor, reduction=reduction)
    long = monitor.compute().long
    assert_within(long.trace, np.trace(model.covariance.dense()), long.trace_se)
    assert_within(long.squared_gradient, model.gradient @ model.gradient, long.squared_gradient_se)


@pytest.mark.parametrize("to_none", [True, False])
def test_mixed_precision_scales_and_skips(data, to_none) -> None:
    import torch

    steps = batches_of(data, [8, 8], 8)

    def run(amp):
        parameters = parameters_of(NETWORK.initial_weights(1), torch.float32)
        optimizers = optimizers_of("AdamW", parameters)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2, enabled=amp)
        monitor = monitor_of(optimizers, scaler=scaler)
        for number, step in enumerate(steps):
            for batch in step:
                loss = mean_loss(parameters, batch) / 2
                if number == 3:
                    if not amp:
                        continue
                    loss = loss * torch.inf
                scaler.scale(loss).backward()
                monitor.update(len(batch))
            if number == 3 and not amp:
                continue
            scaler.unscale_(optimizers[0])
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            scaler.step(optimizers[0])
            scaler.update()
            optimizers[0].zero_grad(set_to_none=to_none)
        return monitor.compute(), scaler.get_scale()

    (report, scale), (plain, _) = run(True), run(False)
    assert scale != 2.0**10 and report.skipped == 1 and plain.skipped == 0
    if to_none:  # else the step after the overflow is lost with it
        assert report.step == plain.step == 7
        np.testing.assert_allclose(report.long.trace, plain.long.trace, rtol=1e-4)
        np.testing.assert_allclose(report.long.squared_gradient, plain.long.squared_gradient, rtol=1e-4)
    assert np.isfinite(report.long.trace)


RANKS = """
import json, sys
import numpy as np, torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from lrbs.torch import NoiseMonitor

def main(rank, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows = np.load(f"{folder}/rows.npy")                # (steps, ranks, micro-batches, 6, 5)
    sizes = np.load(f"{folder}/sizes.npy")              # (ranks, micro-batches)
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(0.1)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    monitor = NoiseMonitor(optimizer, memories=(2, 1e12), reduction="sum", log=f"{folder}/log", log_every=4)
    for step in rows:
        for k, batch in enumerate(step[rank]):
            x = torch.tensor(batch[: sizes[rank, k]])
            loss = ((ddp(x) - 1) ** 2).sum() * 2 / sizes.sum()          # DDP means over two ranks
            if k == 0:
                with ddp.no_sync():
                    loss.backward()
            else:
                loss.backward()
            monitor.update(len(x))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
        optimizer.zero_grad()
    long = monitor.compute().long
    refused = ""
    if rank == 0:
        print(json.dumps([long.trace, long.squared_gradient]))
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor
    sharded = distribute_tensor(torch.zeros(4, 4), init_device_mesh("cpu", (2,)), [Shard(0)])
    try:
        NoiseMonitor(torch.optim.SGD([torch.nn.Parameter(sharded)], lr=0.1))
    except ValueError as error:
        if rank == 0:
            print(error)
    distributed.destroy_process_group()

if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(int(sys.argv[1]), sys.argv[2])
"""


def test_two_ranks(tmp_path, rng) -> None:
    """Unequal parts over two processes and two micro-batches each, against the gradients of all four."""
    (tmp_path / "ranks.py").write_text(RANKS, encoding="utf-8")
    sizes = np.array([[2, 6], [3, 5]])
    rows = rng.standard_normal((6, 2, 2, 6, 5)) + 0.5
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "sizes.npy", sizes)
    command = [sys.executable, str(tmp_path / "ranks.py")]
    both = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    found, refusal = said[0].splitlines()

    w, moments = np.full(5, 0.1), []
    for step in rows:
        parts = [x[:b] for x, b in zip(step.reshape(4, 6, 5), sizes.ravel(), strict=True)]
        gradients = np.array([2 * np.mean((x @ w - 1)[:, None] * x, axis=0) for x in parts])
        mean = sizes.ravel() @ gradients / sizes.sum()
        trace = sizes.ravel() @ np.sum((gradients - mean) ** 2, axis=1) / 3  # weighted, four parts less one
        moments.append((trace, mean @ mean - trace / sizes.sum()))
    np.testing.assert_allclose(json.loads(found), np.mean(moments, axis=0), rtol=1e-9)
    assert "sharded (DTensor" in refusal and "DistributedDataParallel" in refusal
    (line,) = (tmp_path / "log").read_text("utf-8").splitlines()  # one rank writes
    assert json.loads(line)["step"] == 4 and json.loads(line)["batch_size"] == sizes.sum()


def test_resumed_run_goes_on_as_if_nothing_had_happened(data, tmp_path) -> None:
    import torch

    steps = batches_of(data, [8, 8], 24)

    def run(cut):
        parameters = parameters_of(NETWORK.initial_weights(1))
        optimizers = optimizers_of("AdamW", parameters, lr=1e-3)
        monitor = monitor_of(optimizers, memories=(5, 100))
        train(optimizers, parameters, steps[:cut], monitor)
        torch.save(monitor.state_dict(), tmp_path / "monitor.pt")
        monitor.remove()
        other = monitor_of(optimizers, memories=(5, 100))
        other.load_state_dict(torch.load(tmp_path / "monitor.pt"))  # plain numbers: weights_only
        train(optimizers, parameters, steps[cut:], other)
        return other.compute().as_dict()

    assert run(12) == run(0) == run(24)


def test_training_is_the_same_with_monitor_and_probe(data) -> None:
    steps = batches_of(data, [8, 8], 6)

    def run(watched, name):
        parameters = parameters_of(NETWORK.initial_weights(1))
        optimizers = optimizers_of(name, parameters)
        monitor = monitor_of(optimizers) if watched else None
        train(optimizers, parameters, steps[:3], monitor)
        if monitor is not None:
            monitor.probe(lambda batch: mean_loss(parameters, batch), [step[0] for step in steps[:4]])
        train(optimizers, parameters, steps[3:], monitor)
        return vector_of(parameters)

    for name in ("SGD", "AdamW", "Muon"):
        np.testing.assert_array_equal(run(True, name), run(False, name))


def test_update_rms_is_that_of_the_steps_taken(data) -> None:
    from torch.optim import AdamW

    for amsgrad in (False, True):
        parameters = parameters_of(NETWORK.initial_weights(1))
        optimizer = AdamW(parameters, lr=1e-2, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.0, amsgrad=amsgrad)
        monitor = monitor_of(optimizer)
        path = train([optimizer], parameters, batches_of(data, [8, 8], 40), monitor)
        path.append(vector_of(parameters))
        rms = [root_mean_square((before - after) / 1e-2) for before, after in pairwise(path)][::4]
        report = monitor.compute()
        np.testing.assert_allclose(list(monitor._rms), rms, rtol=1e-9)
        assert report.update_rms == pytest.approx(np.sqrt(np.mean(np.square(rms[-2:]))), rel=1e-9)
        assert report.from_update_rms is None  # 7 looks to settle, then 21 are needed


def test_reading_of_the_update_rms(rng) -> None:
    """Equal ratios of signal to noise everywhere: what the reading assumes."""
    import torch

    weights = torch.nn.Parameter(torch.zeros(3000, dtype=torch.float64))
    optimizer = torch.optim.Adam([weights], lr=0.0, betas=(0.5, 0.999))
    monitor = monitor_of(optimizer, memories=(20, 500))
    for _ in range(240):
        for _ in range(2):
            noise = torch.tensor(rng.standard_normal(3000) * np.sqrt(40 / 8))
            (weights @ (1 + noise) / 2).backward()
            monitor.update(8)
        optimizer.step()
        optimizer.zero_grad()
    report = monitor.compute()
    low, high = report.long.interval()
    assert low < 40 < high
    assert report.from_update_rms.point_estimate == pytest.approx(40, rel=0.05)
    assert "update RMS" in str(report) and "update RMS" in report.line


def test_large_layers_are_sampled_in_all_columns() -> None:
    import torch

    from lrbs.torch.gradients import SAMPLED, update_square

    weights = torch.nn.Parameter(torch.zeros(2 * SAMPLED // 96 + 1, 96))
    optimizer = torch.optim.Adam([weights], lr=0.0, betas=(0.0, 0.5), eps=0.0)
    columns = torch.arange(96.0) % 3  # the stride would meet every third column alone
    weights.grad = torch.ones_like(weights)
    optimizer.step()
    weights.grad = columns.expand_as(weights).clone()
    optimizer.step()
    v = (0.5 * 0.5 + 0.5 * columns**2) / (1 - 0.5**2)
    (found,) = update_square(optimizer)
    assert float(found) == pytest.approx(float((columns**2 / v).mean()), rel=0.02)


def test_coordinates_that_never_had_a_gradient_do_not_count() -> None:
    import torch

    from lrbs.torch.gradients import update_square

    weights = torch.nn.Parameter(torch.zeros(10))
    optimizer = torch.optim.Adam([weights], lr=0.0)
    weights.grad = torch.tensor([3.0, -2.0] + [0.0] * 8)
    optimizer.step()
    assert float(update_square(optimizer)[0]) == pytest.approx(1.0, rel=1e-5)


def test_tied_weights_and_sparse_gradients() -> None:
    import torch

    torch.manual_seed(0)
    table = torch.nn.Embedding(7, 4, sparse=True).double()
    tied = torch.nn.Linear(4, 4, bias=False).double()
    optimizer = torch.optim.SGD([*table.parameters(), *tied.parameters()], lr=0.1)
    monitor = monitor_of(optimizer)
    expected = []
    for words in ([1, 2, 2], [3, 1, 1], [2, 2, 5], [6, 0, 1]):
        parts = []
        for word in words[:2]:
            value = tied(tied(table(torch.tensor([word, words[2]])))).square().sum() / 2
            alone = torch.autograd.grad(value, [table.weight, tied.weight], retain_graph=True)
            parts.append(2 * np.concatenate([g.to_dense().numpy().ravel() for g in alone]))
            monitor._arrived.clear()  # autograd.grad above is no micro-batch
            monitor._squares.clear()
            value.backward()
            monitor.update(2)
        expected.append(parts)
        optimizer.step()
        optimizer.zero_grad()
    true = lrbs.noise_scale_from_workers(np.array(expected), 2)
    assert monitor.compute().long.trace == pytest.approx(true.trace, rel=1e-9)


def test_half_precision_gradients(data) -> None:
    import torch

    parameters = parameters_of(NETWORK.initial_weights(1), torch.bfloat16)
    optimizers = optimizers_of("SGD", parameters, lr=0.0)
    monitor = monitor_of(optimizers)
    steps = batches_of(data, [8] * 2, 30)
    path = train(optimizers, parameters, steps, monitor)
    expected = lrbs.noise_scale_from_workers(lab_gradients(path, steps), 8)
    assert monitor.compute().long.trace == pytest.approx(expected.trace, rel=0.02)


def test_every_so_many_steps(data) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("AdamW", parameters)
    monitor = monitor_of(optimizers, every=3)
    steps = batches_of(data, [8] * 3, 12)
    path = train(optimizers, parameters, steps, monitor)
    expected = lrbs.noise_scale_from_workers(lab_gradients(path, steps)[::3], 8)
    report = monitor.compute()
    assert report.step == 12 and report.long.trace == pytest.approx(expected.trace, rel=1e-9)
    assert "one step in 3 measured\nlast 6 steps" in str(report)


@pytest.mark.parametrize(("shape", "every"), [((999, 1001), 1), ((1000, 1000), 8)])
def test_large_models_are_looked_at_now_and_then(shape, every) -> None:
    import torch

    weights = torch.nn.Parameter(torch.zeros(shape))
    monitor = monitor_of(torch.optim.SGD([weights], lr=0.0))
    assert monitor.every == every and monitor_of(torch.optim.SGD([weights], lr=0.0), every=2).every == 2


@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_that_were_never_set_to_zero_contradict_the_model(data, to_none) -> None:
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("SGD", parameters, lr=1e-4)
    steps = batches_of(data, [8] * 2, 40)
    monitor = monitor_of(optimizers)
    for optimizer in optimizers:
        optimizer.zero_grad, zero_grad = lambda set_to_none: None, optimizer.zero_grad
    train(optimizers, parameters, steps, monitor, to_none=to_none)
    assert "tr(Sigma)" in monitor.compute().noise_scale.contradiction
    optimizers[0].zero_grad = zero_grad
    optimizers[0].zero_grad()
    monitor.reset()
    train(optimizers, parameters, steps, monitor, to_none=to_none)
    assert not monitor.compute().noise_scale.contradiction


def test_what_cannot_be_measured_is_said(data) -> None:
    import torch

    from lrbs.torch import NoiseMonitor

    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of("SGD", parameters)
    monitor = monitor_of(optimizers)
    train(optimizers, parameters, batches_of(data, [8], 3), monitor)
    report = monitor.compute()
    assert report.noise_scale is None and report.single == 3
    assert "3 steps         of one micro-batch on one rank: a noise scale needs two" in str(report)
    assert report.line == "noise scale: two measured steps needed" and report.update_rms is None

    with pytest.raises(RuntimeError, match=r"call update after each backward\(\)"):
        monitor.update(8)
    mean_loss(parameters, data).backward()
    mean_loss(parameters, data).backward()
    with pytest.raises(RuntimeError, match="two gradients since the last update"):
        monitor.update(8)
    mean_loss(parameters, data).backward()
    with pytest.raises(ValueError, match="batch_size must be positive"):
        monitor.update(0)
    optimizers[0].step()  # a step that update was not told of is no step of one part
    assert monitor.compute().skipped == 1 and "1 steps         left out" in str(monitor)
    for options, message in (
        ({"reduction": "max"}, "reduction"),
        ({"memories": (50, 10)}, "memories"),
        ({"every": 0}, "every"),
    ):
        with pytest.raises(ValueError, match=message):
            NoiseMonitor(optimizers, **options)
    for mark, kind in (("_is_flat_param", "FSDP"), ("_fsdp_flattened", "FSDP"), ("ds_id", "ZeRO-3")):
        parameter = torch.nn.Parameter(torch.zeros(3))
        setattr(parameter, mark, True)
        with pytest.raises(ValueError, match=f"sharded.*{kind}"):
            NoiseMonitor(torch.optim.SGD([parameter], lr=0.1))


def test_nothing_imports_torch_unless_it_is_asked_for() -> None:
    code = (
        "import sys, lrbs\n"
        "for room in lrbs._ROOMS: getattr(lrbs, room)\n"
        "import lrbs.checks.lookup, lrbs.__main__, lrbs.torch\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "assert lrbs.torch.NoiseMonitor and torch is not lrbs.torch and torch.Tensor"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_torch_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom lrbs.torch import NoiseMonitor"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install lrbs[torch]" in done.stderr
