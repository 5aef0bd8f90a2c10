"""Best learning rates of ten public sweeps, derived from published losses; steps to a loss, as published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrbs.validation import Array

__all__ = ["RunsToLoss", "Sweep", "step_law", "steps_to_loss"]

TABLE = Path(__file__).with_name("step_law_rates.csv")
STEPS = Path(__file__).with_name("steps_to_loss.csv")


@dataclass(frozen=True, eq=False)
class Sweep:
    """Models of one size trained on equally many tokens: the best learning rate at each batch size.

    Attributes
    ----------
    parameters, tokens : float
        Model size N and tokens D.
    best_batch, best_batch_error : float
        Batch size of the lowest loss, in sequences of 2048 tokens; standard error of its logarithm.
    batch_size : ndarray, shape (n,)
        In sequences, rising.
    learning_rate, rate_error : ndarray, shape (n,)
        The best one, and the standard error of its logarithm.
    shapes : dict of ndarray, shape (n,)
        The best one by each shape of the loss that was fitted; `learning_rate` is their geometric mean.
    at_edge : ndarray of bool, shape (n,)
        The lowest loss lies at an end of the rates that were tried: the best one may lie beyond.
    loss, loss_error : ndarray, shape (n,)
        Lowest loss at each batch size and its standard error.
    excess : ndarray, shape (n, 5)
        Loss above that at `FACTORS` times the best rate; nan where no run was made.
    """

    parameters: float
    tokens: float
    best_batch: float
    best_batch_error: float
    batch_size: Array
    learning_rate: Array
    rate_error: Array
    shapes: dict[str, Array]
    at_edge: NDArray[np.bool_]
    loss: Array
    loss_error: Array
    excess: Array

    @property
    def name(self) -> str:
        """Such as "215M, 4B"."""
        return f"{self.parameters / 1e6:.0f}M, {self.tokens / 1e9:.3g}B"

    def pairs(self, factor: float = 2.0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of all pairs of batch sizes that lie a factor apart or more, in both directions.

        Without those whose best rate lies at an end of what was tried.

        Parameters
        ----------
        factor : float
            Positive.

        Returns
        -------
        old, new : ndarray of int, shape (pairs,)
            Places in `batch_size`.
        """
        apart = np.abs(np.log(self.batch_size[:, None] / self.batch_size)) >= np.log(factor)
        old, new = np.nonzero(apart & ~self.at_edge[:, None] & ~self.at_edge)
        return old, new

    def excess_at(self, index: NDArray[np.intp], learning_rate: Array) -> Array:
        """Loss lost by some rates at the batch sizes of these indices: a parabola bent as `excess` is nearby.

        Beyond the rates of `excess` the parabola goes on, which understates what runs that diverge lose.

        Parameters
        ----------
        index : ndarray of int, shape (n,)
            Places in `batch_size`.
        learning_rate : ndarray, shape (n,)

        Returns
        -------
        ndarray, shape (n,)
            In units of the loss.
        """
        x, known = np.log(learning_rate / self.learning_rate[index]), np.log(FACTORS)
        lost = np.empty(x.size)
        for k, (z, row) in enumerate(zip(x, self.excess[index], strict=True)):
            kept = np.isfinite(row) & (known != 0)
            lost[k] = z**2 * np.interp(z, known[kept], np.maximum(row[kept], 0.0) / known[kept] ** 2)
        return lost


FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


@cache
def step_law() -> tuple[Sweep, ...]:
    """The ten sweeps, by size and tokens.

    Derived from losses of Li et al. (2025, arXiv 2503.04715): AdamW, warm-up and cosine, sequences of 2048
    tokens, equal tokens at all batch sizes of a sweep. The head of the file says how, and of which table.

    Examples
    --------
    >>> [sweep.name for sweep in step_law()][:3]
    ['215M, 4B', '215M, 11.4B', '215M, 100B']
    """
    names, table = _read(TABLE)
    pairs, which = np.unique(table[:, :2], axis=0, return_inverse=True)
    sweeps = []
    for k in range(len(pairs)):  # NumPy 2.0 gives `which` a second axis
        t = dict(zip(names, table[which.ravel() == k].T, strict=True))
        tried = [t[f"excess_{f:g}"] if f != 1 else np.zeros(len(t["loss"])) for f in FACTORS]
        sweeps.append(
            Sweep(
                parameters=float(t["parameters"][0]),
                tokens=float(t["tokens"][0]),
                best_batch=float(t["best_batch"][0]),
                best_batch_error=float(t["best_batch_error"][0]),
                batch_size=t["batch_size"],
                learning_rate=t["learning_rate"],
                rate_error=t["rate_error"],
                shapes={name: t[name] for name in ("parabola", "wide", "cubic")},
                at_edge=t["at_edge"] > 0,
                loss=t["loss"],
                loss_error=t["loss_error"],
                excess=np.stack(tried, axis=1),
            )
        )
    return tuple(sweeps)


@dataclass(frozen=True, eq=False)
class RunsToLoss:
    """Runs of one model to one held-out loss, at many batch sizes.

    Attributes
    ----------
    parameters : float
        Model size.
    loss : float
        That was to be reached.
    batch_size : ndarray, shape (n,)
        In sequences of 512 tokens, rising.
    steps : ndarray, shape (n,)
        The fewest of the runs tried at this batch size.
    """

    parameters: float
    loss: float
    batch_size: Array
    steps: Array


@cache
def steps_to_loss() -> tuple[RunsToLoss, ...]:
    """Steps of five language models to a loss each, by size.

    As Zhang et al. (2024, arXiv 2410.21676) publish them: AdamW at a constant rate, weights averaged. The
    head of the file says where.

    Returns
    -------
    tuple of RunsToLoss
        For :func:`lrbs.fit_tradeoff`.

    Examples
    --------
    >>> import lrbs
    >>> smallest = steps_to_loss()[0]
    >>> round(lrbs.fit_tradeoff(smallest.batch_size, smallest.steps).critical_batch_size, -1)
    2240.0
    """
    _, table = _read(STEPS)
    models = [table[table[:, 0] == size] for size in np.unique(table[:, 0])]
    return tuple(RunsToLoss(float(t[0, 0]), float(t[0, 1]), t[:, 2], t[:, 3]) for t in models)


def _read(path: Path) -> tuple[list[str], Array]:
    """Names and columns of a table whose head is a comment."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return lines[0].split(","), np.loadtxt(lines[1:], delimiter=",")
