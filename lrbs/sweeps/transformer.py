"""Recorded runs of a small transformer: best learning rates, by what the runs have in common.

`make experiments` makes the tables; each says in its head what it came from.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lrbs.lab.tuning import TunedRate, jackknife_se, tuned_rate
from lrbs.noise_scale import two_batch_moments
from lrbs.validation import Array

__all__ = [
    "HELD_FIXED",
    "TABLES",
    "WALK",
    "BestRates",
    "best_rates",
    "noise_scale_at",
    "one_step",
    "recorded",
    "tuned_rates",
]

FOLDER = Path(__file__).with_name("recorded")
#: Files of the recorded tables, by name.
TABLES = {"runs": "runs.csv", "one_step": "one_step.csv", "horizon": "horizon.csv"}
#: The recipe of the table "horizon".
WALK = "AdamW from a checkpoint"
#: What runs are compared at, in the chapter and in plans: arguments of `best_rates`.
HELD_FIXED: dict[str, dict[str, Any]] = {
    "steps": {"steps": 256},
    "examples": {"sequences": 2**14},
    "loss": {"loss": 2.6},
}
POPULATION = 256  # sequences that stand for the text
MIDWAY = 512  # steps at a batch of 64: the checkpoint whose noise scale stands for whole runs


@dataclass(frozen=True, eq=False)
class BestRates:
    """Best learning rates of one recipe against the batch size, with what they are without each seed.

    Attributes
    ----------
    batch_size : ndarray, shape (n,)
        In sequences, rising.
    learning_rate, sequences : ndarray, shape (n,)
        The best rate, and how many sequences its run has seen.
    learning_rate_without, sequences_without : ndarray, shape (n, seeds)
        The same with one seed left out.
    """

    batch_size: Array
    learning_rate: Array
    sequences: Array
    learning_rate_without: Array
    sequences_without: Array

    @property
    def learning_rate_error(self) -> Array:
        """Standard error of the logarithm of each rate, over seeds."""
        return jackknife_se(np.log(self.learning_rate_without))

    @property
    def sequences_error(self) -> Array:
        """That of the logarithm of the sequences."""
        return jackknife_se(np.log(self.sequences_without))

    def power(self, low: float = 0.0, high: float = np.inf) -> tuple[float, float]:
        """Power of B with which the rate goes between two batch sizes, and its standard error over seeds.

        Parameters
        ----------
        low, high : float
            Both count.

        Returns
        -------
        power, error : float

        Raises
        ------
        ValueError
            Fewer than two batch sizes.
        """
        kept = (low <= self.batch_size) & (self.batch_size <= high)
        if kept.sum() < 2:
            raise ValueError(f"a power needs two batch sizes between {low} and {high}; got {self.batch_size}")
        x = np.log(self.batch_size[kept])
        rates = np.column_stack([self.learning_rate, self.learning_rate_without])[kept]
        own, *without = np.polyfit(x, np.log(rates), 1)[0]
        return float(own), float(jackknife_se(without))


@cache
def recorded(name: str) -> tuple[dict[str, str], ...]:
    """Rows of one of the recorded tables, as they stand there.

    Parameters
    ----------
    name : {"runs", "one_step", "horizon"}
        Whole runs; one step from checkpoints; some steps from one checkpoint.

    Returns
    -------
    tuple of dict

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in TABLES:
        raise ValueError(f"name must be one of {', '.join(TABLES)}; got {name!r}")
    with (FOLDER / TABLES[name]).open(encoding="utf-8") as file:
        return tuple(csv.DictReader(row for row in file if not row.startswith("# ")))


@cache
def tuned_rates() -> dict[tuple[str, int, int], TunedRate]:
    """The best rate by recipe, batch size and sequences, where it has a neighbour on both sides.

    What is left out has its lowest mean loss at an end of the rates that were run.

    Returns
    -------
    dict from (recipe, batch size, sequences) to TunedRate
        The recipe `WALK` holds the table "horizon": level rates from one checkpoint.
    """
    cells: dict[tuple[str, int, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in (*recorded("runs"), *recorded("horizon")):
        size = int(row["batch_size"])
        length = int(row["sequences"]) if "sequences" in row else size * int(row["steps"])
        losses = cells[row.get("recipe", WALK), size, length]
        losses[int(row["log2_rate"])].append(float(row["loss"]))
    found = {}
    for key, losses in cells.items():
        grid = sorted(losses)
        best = tuned_rate(2.0 ** np.array(grid), [losses[log2] for log2 in grid])
        if not best.at_edge:
            found[key] = best
    return found


def best_rates(
    recipe: str, *, steps: int | None = None, sequences: int | None = None, loss: float | None = None
) -> BestRates:
    """Best rates of the runs that have something in common.

    Parameters
    ----------
    recipe : str
        "AdamW", "Muon", "SGD", AdamW with a change, or `WALK`.
    steps, sequences : int, optional
        Length of the runs.
    loss : float, optional
        Held-out loss at their ends, in nats: read between runs of different lengths, each at its best rate,
        along straight lines in the logarithms of lengths and rates. Exactly one of the three is given.

    Returns
    -------
    BestRates
        Of the batch sizes where there are such runs.

    Raises
    ------
    ValueError
        If not exactly one of the three is given, or there are no such runs.
    """
    if (steps is None) + (sequences is None) + (loss is None) != 2:
        raise ValueError("give exactly one of steps, sequences and loss")
    groups: dict[int, list[tuple[int, TunedRate]]] = defaultdict(list)
    for (name, size, length), best in tuned_rates().items():
        if name == recipe:
            groups[size].append((length, best))
    rows = []
    for size, group in sorted(groups.items()):
        group.sort(key=lambda pair: pair[0])
        if loss is not None:
            rows += [(size, found) for found in _at_loss(group, loss)]
        else:
            wanted = sequences if steps is None else steps * size
            rows += [(size, _ends(length, best)) for length, best in group if length == wanted]
    if not rows:
        recipes = ", ".join(dict.fromkeys(name for name, *_ in tuned_rates()))
        raise ValueError(
            f"no such runs of {recipe!r} have a best rate within their grid; recipes are {recipes}"
        )
    ends = np.array([found for _, found in rows])
    rates, lengths = ends[:, 0], ends[:, 1]
    sizes = np.array([size for size, _ in rows], dtype=np.float64)
    return BestRates(sizes, rates[:, 0], lengths[:, 0], rates[:, 1:], lengths[:, 1:])


@cache
def one_step() -> dict[tuple[int, str, int], dict[str, tuple[float, float]]]:
    """What one step from a checkpoint asks for: best rates, searched, measured and by the laws.

    Returns
    -------
    dict from (steps before the checkpoint, rule, batch size) to dict
        From the name of a quantity to its value and standard error, 0 where it is exact for the sequences
        that stand for the text. What belongs to a checkpoint itself has the rule "" and the batch size 0.
    """
    found: dict[tuple[int, str, int], dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in recorded("one_step"):
        key = int(row["moment"]), row["rule"], int(row["batch_size"])
        found[key][row["quantity"]] = float(row["value"]), float(row["error"])
    return dict(found)


def noise_scale_at(moment: int = MIDWAY) -> float:
    """B_simple at a checkpoint, without bias from the sequences that stand for the text.

    Parameters
    ----------
    moment : int, optional
        Steps before the checkpoint; the middle one stands for whole runs.

    Returns
    -------
    float
        In sequences.

    Raises
    ------
    ValueError
        For steps without a checkpoint.
    """
    moments = sorted({moment for moment, *_ in one_step()})
    if moment not in moments:
        raise ValueError(f"moment must be one of {', '.join(map(str, moments))} steps; got {moment}")
    point = one_step()[moment, "", 0]
    squared, noise = point["squared gradient"][0], point["trace of noise"][0]
    trace, signal = two_batch_moments(np.sqrt(squared + noise), np.sqrt(squared), 1, POPULATION)
    return float(trace / signal)


def _ends(length: int, best: TunedRate) -> Array:
    """Rate and length, of all seeds and without each, (2, 1 + seeds)."""
    rates = np.append(best.learning_rate, best.learning_rate_without)
    return np.stack([rates, np.full(rates.shape, float(length))])


def _at_loss(group: Sequence[tuple[int, TunedRate]], loss: float) -> list[Array]:
    """The same where runs of rising length reach a loss, or nothing if some do not."""
    losses = np.array([np.append(best.value, best.value_without) for _, best in group])
    if not ((losses[-1] < loss) & (loss < losses[0])).all():
        return []
    logs = np.log([_ends(length, best) for length, best in group])  # (lengths, 2, 1 + seeds)
    seeds = range(losses.shape[1])
    return [np.exp([[np.interp(-loss, -losses[:, s], logs[:, i, s]) for s in seeds] for i in (0, 1)])]
