"""Whole runs: held-out loss by optimiser, recipe, batch size, tokens and learning rate.

Rates are powers of two. Each search begins at the best rate of the run a quarter as long, and goes on until
the rate of the lowest mean loss has a neighbour on both sides; then a rate more on the lower flank.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from experiments import text
from experiments.decoder import LENGTH, Weights, initial, loss
from experiments.optimizers import optimizers
from experiments.records import RESULTS, Table, head

SEEDS = (0, 1, 2, 3)
BATCH_SIZES = (4, 16, 64, 256, 1024)  # sequences of LENGTH symbols
SEQUENCES = (2**10, 2**12, 2**14, 2**16)  # of a whole run
LEAST_STEPS = 16
HELD_OUT = 1024  # sequences that losses are told of, the same for all
AT_ONCE = 256  # sequences that fit the cache
COLUMNS = ("recipe", "batch_size", "sequences", "log2_rate", "seed", "loss")
TABLE = "runs.csv"


@dataclass(frozen=True)
class Recipe:
    """An optimiser with its settings, its longest run, and log2 of a rate to begin with."""

    optimizer: str
    start: int
    longest: int
    weight_decay: float = 0.1
    beta2: float = 0.95
    cosine: bool = True


RECIPES = {
    "AdamW": Recipe("AdamW", -7, 2**16),
    "Muon": Recipe("Muon", -6, 2**16),
    "SGD": Recipe("SGD", -1, 2**14),
    "AdamW, constant rate": Recipe("AdamW", -8, 2**14, cosine=False),
    "AdamW, no decay": Recipe("AdamW", -7, 2**14, weight_decay=0.0),
    "AdamW, beta2 0.999": Recipe("AdamW", -7, 2**14, beta2=0.999),
}


@dataclass(frozen=True)
class Task:
    """One batch size and rate of a recipe, all seeds."""

    recipe: str
    batch_size: int
    sequences: int
    log2_rate: int
    seeds: tuple[int, ...] = SEEDS


def factor(step: int, steps: int, cosine: bool) -> float:
    """Share of the peak rate: a tenth of the run to warm up, then a cosine to zero, or level."""
    warm = max(1, round(steps / 10))
    if step < warm:
        return (step + 1) / warm
    return (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2 if cosine else 1.0


def batches(size: int, seeds: Iterable[int]) -> Iterable[torch.Tensor]:
    """Without end; what a seed draws depends on it and on the size alone."""
    generators = [torch.Generator().manual_seed(1_000_003 * size + seed) for seed in seeds]
    source = text.training()
    while True:
        yield torch.stack([text.windows(source, (size,), LENGTH, g) for g in generators])


def gradients(weights: Weights, windows: torch.Tensor) -> None:
    """Of the mean loss of each seed's batch, into ``.grad``."""
    for weight in weights.values():
        weight.grad = None
    for part in windows.split(max(1, AT_ONCE // len(windows)), dim=1):
        (loss(weights, part).sum() / windows.shape[1]).backward()


@torch.no_grad()  # type: ignore[untyped-decorator]
def held_out_loss(weights: Weights) -> list[float]:
    """Of each seed, over the same sequences."""
    drawn = text.windows(text.held_out(), (HELD_OUT,), LENGTH, torch.Generator().manual_seed(0))
    seeds = len(weights["embedding"])
    parts = drawn.expand(seeds, -1, -1).split(AT_ONCE // seeds, dim=1)
    return torch.cat([loss(weights, part) for part in parts], dim=1).mean(1).tolist()


def run(task: Task) -> list[dict[str, Any]]:
    """Train, and tell the losses at the end; at a constant rate on the way too, at the shorter lengths."""
    torch.set_num_threads(1)
    recipe = RECIPES[task.recipe]
    weights = initial(task.seeds)
    trained_by = optimizers(recipe.optimizer, weights, recipe.weight_decay, recipe.beta2)
    steps = task.sequences // task.batch_size
    told = {task.sequences} if recipe.cosine else set(lengths(task.recipe, task.batch_size))
    # Warm-up of a constant rate is that of its shortest run, so that the runs are one.
    shortest = steps if recipe.cosine else min(told) // task.batch_size
    rows = []
    for step, windows in zip(range(steps), batches(task.batch_size, task.seeds), strict=False):
        gradients(weights, windows)
        rate = 2.0**task.log2_rate * factor(step, shortest, recipe.cosine)
        for optimizer in trained_by:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        done = (step + 1) * task.batch_size
        if done in told:
            for seed, value in zip(task.seeds, held_out_loss(weights), strict=True):
                value = value if math.isfinite(value) else math.inf
                rows.append(vars(task) | {"sequences": done, "seed": seed, "loss": f"{value:.5f}"})
    return rows


def lengths(recipe: str, batch_size: int) -> list[int]:
    """Of the runs at a batch size."""
    longest = RECIPES[recipe].longest
    return [n for n in SEQUENCES if n <= longest and n >= LEAST_STEPS * batch_size]


def next_task(recipe: str, batch_size: int, losses: dict[tuple[int, int], float]) -> Task | None:
    """What to run next at a batch size, from mean losses by sequences and rate; None where all is known."""
    start = RECIPES[recipe].start
    for sequences in lengths(recipe, batch_size):
        longest = sequences if RECIPES[recipe].cosine else lengths(recipe, batch_size)[-1]
        known = {rate: value for (n, rate), value in losses.items() if n == sequences}
        if not known:
            return Task(recipe, batch_size, longest, start)
        start = min(known, key=lambda rate: (known[rate], rate))
        for rate in (start + 1, start - 1, start - 2):
            if rate not in known:
                return Task(recipe, batch_size, longest, rate)
    return None


def main(
    executor: Executor, results: Path = RESULTS, show: Callable[[str, int, int], None] = lambda *_: None
) -> None:
    """Run what is not there yet. A kill costs the runs that were under way."""
    table = Table(results / TABLE, head("experiments.runs", text.digest(), SEEDS), COLUMNS)
    table.keep(lambda row: tuple(row[key] for key in COLUMNS[:4]), len(SEEDS))
    chains = [(recipe, size) for recipe in RECIPES for size in BATCH_SIZES]
    total = sum(4 * len(lengths(*chain)) for chain in chains)  # about: searches are as long as they are
    under_way: dict[Any, tuple[str, int]] = {}
    while True:
        found: dict[Any, dict[tuple[int, int], list[float]]] = {c: defaultdict(list) for c in chains}
        for row in table.rows:
            key = (int(row["sequences"]), int(row["log2_rate"]))
            found[row["recipe"], int(row["batch_size"])][key].append(float(row["loss"]))
        means = {
            chain: {key: sum(values) / len(values) for key, values in cells.items()}
            for chain, cells in found.items()
        }
        done = sum(len(cells) for cells in means.values())
        show("runs", done, max(total, done))
        tasks = [t for c in chains if c not in under_way.values() and (t := next_task(*c, means[c]))]
        tasks.sort(key=lambda t: (t.sequences, list(RECIPES).index(t.recipe), t.batch_size))
        for task in tasks[: 2 * _workers(executor) - len(under_way)]:
            under_way[executor.submit(run, task)] = (task.recipe, task.batch_size)
        if not under_way:
            break
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            under_way.pop(future)
            table.add(future.result())
    table.close(
        lambda r: (
            list(RECIPES).index(r["recipe"]),
            *(int(r[key]) for key in ("batch_size", "sequences", "log2_rate", "seed")),
        )
    )


def _workers(executor: Executor) -> int:
    return getattr(executor, "_max_workers", 1)
