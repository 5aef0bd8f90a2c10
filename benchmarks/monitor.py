"""What the monitor of PyTorch runs costs, as a share of a training step, and the probe in gradients.

    python -m benchmarks.monitor

Processor time on one thread, spent in the monitor and outside it in the same steps: two micro-batches and
AdamW. Aim from a million weights up, unless each step is asked for: less than 2 %.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lrbs.torch import NoiseMonitor


def transformer(width: int, layers: int) -> nn.Module:
    """Blocks of 12 width^2 weights, without dropout."""
    block = nn.TransformerEncoderLayer(width, width // 32, 4 * width, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(block, layers, enable_nested_tensor=False)


def perceptron(width: int, layers: int) -> nn.Module:
    """Few samples and many weights: the hardest case."""
    return nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(layers)))


class Stopwatch:
    """Processor time spent inside functions that it wraps, apart from those that they call of its own."""

    def __init__(self) -> None:
        self.inside = 0.0

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            before = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.inside += time.process_time() - before

        return call


class Watched(NoiseMonitor):
    """A monitor that knows how long it took: calls into it, by hooks too, are timed."""

    def __init__(self, optimizer: Any, **options: Any) -> None:
        self.watch = Stopwatch()
        for name in ("update", "_close", "_stepped"):
            setattr(self, name, self.watch.wrapped(getattr(self, name)))
        super().__init__(optimizer, **options)

    def _hook(self, number: int, weight: Any) -> Callable[[Any], None]:
        return self.watch.wrapped(super()._hook(number, weight))


def share(model: nn.Module, batch: Any, every: int | None, steps: int) -> float:
    """Time in the monitor over time outside it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    monitor = Watched(optimizer, every=every)

    def train(steps: int) -> None:
        for _ in range(steps):
            for micro_batch in batch.chunk(2):
                (model(micro_batch).square().mean() / 2).backward()
                monitor.update(len(micro_batch))
            optimizer.step()
            optimizer.zero_grad()
        monitor.watch.wrapped(monitor.compute)()

    train(2)
    monitor.watch.inside = 0.0
    whole = seconds(lambda: train(steps))
    monitor.remove()
    return monitor.watch.inside / (whole - monitor.watch.inside)


def pair(model: nn.Module, batch: Any) -> float:
    """What a pair of the probe's batches costs in gradients."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    monitor = NoiseMonitor(optimizer)

    def loss(x: Any) -> Any:
        return model(x).square().mean()

    loss(batch).backward()
    optimizer.step()
    weights, parts = list(model.parameters()), batch.chunk(2) * 4
    gradients = seconds(lambda: [torch.autograd.grad(loss(x), weights) for x in parts])
    return 2 * seconds(lambda: monitor.probe(loss, parts)) / gradients


def seconds(function: Callable[[], object]) -> float:
    before = time.process_time()
    function()
    return time.process_time() - before


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = torch.randn(32, 64, 480)
    for name, model, batch, steps in (
        ("transformer, 32 sequences of 64", transformer(160, 4), text[..., :160], 64),
        ("transformer, 32 sequences of 64", transformer(480, 4), text, 32),
        ("perceptron, 256 samples", perceptron(512, 4), torch.randn(256, 512), 256),
    ):
        number = sum(p.numel() for p in model.parameters()) / 1e6
        print(
            f"{name:34}{number:5.1f} million weights: monitor {share(model, batch, None, steps):5.1%} of a "
            f"step, {share(model, batch, 1, steps):5.1%} where it looks at each; probe "
            f"{pair(model, batch):4.1f} gradients a pair",
            flush=True,
        )
