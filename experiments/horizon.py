"""From one step to a run: the best level rate of AdamW over some steps from one checkpoint.

Weights start where a run of another batch size has left them. The averages of AdamW first see gradients of
the batch size in question, without a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments import text
from experiments.one_step import shaped, train
from experiments.optimizers import optimizers
from experiments.records import RESULTS, Table, head
from experiments.runs import batches, gradients, held_out_loss

MOMENT = 512
SEEDS = (10, 11, 12, 13)  # of batches
BATCH_SIZES = (4, 16, 64, 256, 1024)
STEPS = (1, 4, 16, 64, 256)
LONGEST = 2**14  # sequences
LOG2_RATES = tuple(range(-12, -3))
PRIMED = 32  # gradients
COLUMNS = ("batch_size", "steps", "log2_rate", "seed", "loss")
TABLE = "horizon.csv"


@dataclass(frozen=True)
class Task:
    """A batch size and a rate."""

    batch_size: int
    log2_rate: int
    point: bytes


def moments(batch_size: int) -> list[int]:
    """Numbers of steps after which the loss is told."""
    return [steps for steps in STEPS if steps * batch_size <= LONGEST]


def walk(task: Task) -> list[dict[str, Any]]:
    """Held-out losses after each number of steps."""
    torch.set_num_threads(1)
    start = np.tile(np.frombuffer(task.point), (len(SEEDS), 1))
    weights = {name: w.clone().requires_grad_() for name, w in shaped(start).items()}
    (adam,) = optimizers("AdamW", weights)
    rows = []
    for step, windows in enumerate(batches(task.batch_size, SEEDS), start=1 - PRIMED):
        gradients(weights, windows)
        adam.param_groups[0]["lr"] = 2.0**task.log2_rate if step > 0 else 0.0
        adam.step()
        if step in moments(task.batch_size):
            for seed, value in zip(SEEDS, held_out_loss(weights), strict=True):
                value = value if math.isfinite(value) else math.inf
                names = {"batch_size": task.batch_size, "log2_rate": task.log2_rate}
                rows.append(names | {"steps": step, "seed": seed, "loss": f"{value:.6f}"})
        if step == moments(task.batch_size)[-1]:
            break
    return rows


def main(
    executor: Executor, results: Path = RESULTS, show: Callable[[str, int, int], None] = lambda *_: None
) -> None:
    """Do what is not there yet."""
    table = Table(results / TABLE, head("experiments.horizon", text.digest(), SEEDS), COLUMNS)
    wanted = [(size, rate) for size in BATCH_SIZES for rate in LOG2_RATES]

    def group(row: dict[str, str]) -> tuple[int, int]:
        return int(row["batch_size"]), int(row["log2_rate"])

    # A kill may have cut the last group.
    counts = [group(row) for row in table.rows]
    done = {key for key in wanted if counts.count(key) == len(SEEDS) * len(moments(key[0]))}
    table.rows = [row for row in table.rows if group(row) in done]
    if len(done) < len(wanted):
        point = executor.submit(train, [MOMENT]).result()[MOMENT][0].tobytes()
        futures = [executor.submit(walk, Task(*key, point)) for key in wanted if key not in done]
        for count, future in enumerate(as_completed(futures), start=len(done) + 1):
            table.add(future.result())
            show("horizon", count, len(wanted))
    table.close(lambda row: tuple(int(row[key]) for key in COLUMNS[:4]))
