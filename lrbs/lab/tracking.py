"""Training under observation: what a log has at every step, and the noise scales at some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.data import Dataset, sample_batches
from lrbs.lab.networks import Network
from lrbs.laws.update_rms import root_mean_square
from lrbs.rules import UpdateRule
from lrbs.validation import Array, count, positive, real_array, vector

__all__ = ["NoisePath", "RunLog", "follow", "noise_path"]


@dataclass(frozen=True, eq=False)
class NoisePath:
    """The noise at points of a run, over the whole data set: arrays of shape (points,).

    Attributes
    ----------
    loss : ndarray
    trace, squared_gradient : ndarray, tr(Sigma) and |g|^2, exact
    gradient_curvature : ndarray
        g^T H g, exact. Where it is not positive, B_noise and the learning rate are nan.
    noise_curvature, noise_curvature_se : ndarray
        tr(Sigma H) and its standard error from a sample of directions.
    """

    loss: Array
    trace: Array
    squared_gradient: Array
    gradient_curvature: Array
    noise_curvature: Array
    noise_curvature_se: Array

    @property
    def simple_noise_scale(self) -> Array:
        """B_simple, in samples."""
        return np.asarray(self.trace / self.squared_gradient)

    @property
    def noise_scale(self) -> Array:
        """B_noise, in samples."""
        return np.asarray(self.noise_curvature / self._bend)

    @property
    def noise_scale_se(self) -> Array:
        """Standard error of `noise_scale`."""
        return np.asarray(self.noise_curvature_se / self._bend)

    @property
    def max_lr(self) -> Array:
        """SGD's optimal learning rate with the exact gradient."""
        return np.asarray(self.squared_gradient / self._bend)

    @property
    def max_loss_decrease(self) -> Array:
        """What a step with the exact gradient takes off the loss, at `max_lr`."""
        return np.asarray(self.squared_gradient * self.max_lr / 2)

    @property
    def _bend(self) -> Array:
        return np.where(self.gradient_curvature > 0, self.gradient_curvature, np.nan)


def noise_path(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    directions: int = 100,
    rng: int | np.random.Generator,
) -> NoisePath:
    """Noise scales at points of a run, cheaply enough for many of them.

    The trace of Sigma H is the mean of v^T H v over the deviations v of the n per-sample gradients. Only
    some of them are looked at, drawn with probabilities in proportion to |v|^2, so that each counts the
    same: tr(Sigma) times the mean curvature along their directions.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (points, N)
    data : Dataset, the population
    directions : int, optional
        How many per-sample gradients to look at; the relative error is about one over the square root.
    rng : int or numpy.random.Generator

    Returns
    -------
    NoisePath
    """
    points = real_array(weights, "weights", ndim=2)
    generator, number = np.random.default_rng(rng), count(directions, "directions", least=2)
    rows = []
    for point in points:
        samples = network.per_sample_gradients(point, data)
        g = samples.mean(axis=0)
        deviations = samples - g
        squares = np.einsum("ij,ij->i", deviations, deviations)
        drawn = generator.choice(len(data), size=number, p=squares / squares.sum())
        units = deviations[drawn] / np.sqrt(squares[drawn, None])
        parts = np.split(units, range(network.block(data), number, network.block(data)))
        bends = np.concatenate([network.loss_along(point, data, part).curvature for part in parts])
        loss, _, gHg = network.loss_along(point, data, g)
        trace = squares.mean()
        spread = bends.std(ddof=1) / np.sqrt(number)
        rows.append((loss, trace, g @ g, gHg, trace * bends.mean(), trace * spread))
    return NoisePath(*np.array(rows, dtype=np.float64).T)


@dataclass(frozen=True, eq=False)
class RunLog:
    """What :func:`follow` writes down. Norms are of each step, shape (steps,).

    Attributes
    ----------
    gradient_norms : ndarray, |g|, of the batch gradient
    half_norms : ndarray
        The same of half the batch, root mean square of the two: with `gradient_norms` two batch sizes.
    momentum_norms : ndarray
        |m|, of the average of gradients with the rule's own memory, corrected for its start.
    update_rms : ndarray
        Root mean square of the update over coordinates, before the learning rate.
    moments : ndarray of int, shape (points,), numbers of steps after which weights were kept
    weights : ndarray, shape (points, N)
    """

    gradient_norms: Array
    half_norms: Array
    momentum_norms: Array
    update_rms: Array
    moments: Array
    weights: Array


def follow(
    network: Network,
    weights: ArrayLike,
    data: Dataset,
    *,
    rule: UpdateRule,
    batch_size: int,
    learning_rate: float,
    moments: ArrayLike,
    rng: int | np.random.Generator,
) -> RunLog:
    """Train one network and keep a log.

    Parameters
    ----------
    network : Network
    weights : array_like, shape (N,)
    data : Dataset, batches are drawn from it with replacement
    rule : UpdateRule, its averages start from zero
    learning_rate : float
    batch_size : int, even, for the two halves
    moments : array_like of int
        Increasing numbers of steps; the last is the length of the run.
    rng : int or numpy.random.Generator

    Returns
    -------
    RunLog

    Raises
    ------
    ValueError
        If `batch_size` is odd or moments do not increase.
    FloatingPointError
        If the run diverges.
    """
    w = vector(weights, "weights", network.size).copy()
    rate = float(positive(learning_rate, "learning_rate", ndim=0))
    half, odd = divmod(count(batch_size, "batch_size", least=2), 2)
    if odd:
        raise ValueError(f"batch_size must be even, for two halves; got {batch_size}")
    places = np.asarray(moments)
    if places.ndim != 1 or not places.size or places.dtype.kind not in "iu" or (np.diff(places) <= 0).any():
        raise ValueError(f"moments must be increasing integers; got {moments!r}")
    if places[0] < 0:
        raise ValueError(f"moments must not be negative; got {places[0]}")
    generator, state = np.random.default_rng(rng), rule.init(w.shape)
    memory = (1 - rule.noise_factor) / (1 + rule.noise_factor)  # beta_1, as any rule has it
    m = np.zeros(w.size)
    rows, kept = [], []
    for step in range(int(places[-1]) + 1):
        if step in places:
            kept.append(w.copy())
        if step == places[-1]:
            break
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            halves = half_gradients(network, w, data, half, generator)
        g = halves.mean(axis=0)
        if not np.isfinite(g).all():
            raise FloatingPointError(f"the run diverged at step {step}: learning_rate {rate:g} is too large")
        m = memory * m + (1 - memory) * g
        u, state = rule.update(g, state)
        w -= rate * u
        settled = np.linalg.norm(m) / (1 - memory ** (step + 1))
        of_halves = np.sqrt(np.mean(np.sum(halves**2, axis=1)))
        rows.append((np.linalg.norm(g), of_halves, settled, root_mean_square(u)))
    gradient, halved, momentum, rms = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return RunLog(gradient, halved, momentum, rms, places, np.array(kept))


def half_gradients(
    network: Network, weights: Array, data: Dataset, half: int, generator: np.random.Generator
) -> Array:
    """Gradients of the two halves of a batch, shape (2, N)."""
    batch = data.take(sample_batches(data, half, (2,), generator))
    return network.gradient(np.stack([weights, weights]), batch)
