"""The same two scalars by running the rule, on a path that shares nothing with the closed forms.

Gradients are drawn (or measured), fed to the rule as it would be run, and alignment and curvature are
averaged with their standard errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lrbs.model import LocalModel
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, Operator, as_operator
from lrbs.rules import UpdateRule
from lrbs.step import Step
from lrbs.validation import Array, count, plain, positive, real_array, vector

__all__ = [
    "MeasuredStep",
    "draw_gradients",
    "measured_step",
    "searched_lr",
    "simulated_step",
    "step_from_updates",
]

# Numbers drawn at a time: 2**15 doubles, 256 KiB, stay in the cache of a core while the rule acts on them.
CHUNK = 2**15

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Independent standard normal numbers."""
    return rng.standard_normal(shape)


@dataclass(frozen=True)
class MeasuredStep(Step):
    """A :class:`lrbs.Step` from a sample, with standard errors.

    Attributes
    ----------
    alignment, curvature : ndarray, means over the sample
    alignment_se, curvature_se : ndarray, standard errors of the two means
    covariance : ndarray
        Covariance of the two means: both come from the same updates.
    """

    alignment_se: Array
    curvature_se: Array
    covariance: Array

    @property
    def optimal_lr_se(self) -> Array:
        """Standard error of the optimal learning rate (delta method)."""
        return np.abs(self.optimal_lr) * self._relative(1, -1)

    @property
    def loss_decrease_se(self) -> Array:
        """Standard error of the loss decrease (delta method)."""
        return self.loss_decrease * self._relative(2, -1)

    def _relative(self, p: int, q: int) -> Array:
        """Relative standard error of alignment^p curvature^q."""
        a, c = self.alignment, self.curvature
        variance = (
            p**2 * (self.alignment_se / a) ** 2
            + q**2 * (self.curvature_se / c) ** 2
            + 2 * p * q * self.covariance / (a * c)
        )
        return plain(np.sqrt(np.maximum(variance, 0)))  # rounding alone can leave it below zero


def simulated_step(
    model: LocalModel,
    rule: UpdateRule,
    batch_size: ArrayLike,
    *,
    samples: int = 10_000,
    rng: int | np.random.Generator,
    draw: Draw = normal,
    steps: int | None = None,
) -> MeasuredStep:
    """Alignment and curvature of one step by Monte Carlo.

    Parameters
    ----------
    model : LocalModel
        Its covariance must be diagonal, dense or low-rank: something that can be drawn from.
    rule : UpdateRule
    batch_size : array_like, positive, any shape
    samples : int
        Independent updates for each batch size, at least 2.
    rng : int or numpy.random.Generator
        Seed or generator. Each batch size draws its own numbers.
    draw : callable
        ``(rng, shape)`` to independent numbers of mean 0 and variance 1; normal unless told. With a
        structured covariance the noise is a linear mix of them.
    steps : int, optional
        Length of the history before the update; the rule's `horizon` unless told.

    Returns
    -------
    MeasuredStep
        Shaped like `batch_size`.

    Raises
    ------
    ValueError
        If a batch size is not positive, `samples` below 2 or `steps` below 1.
    NotImplementedError
        If nothing can be drawn from the covariance.
    """
    sizes = positive(batch_size, "batch_size")
    count(samples, "samples", least=2)
    history = rule.horizon if steps is None else count(steps, "steps")
    generator = np.random.default_rng(rng)
    mix, mixed = _root(model.covariance)
    rows = max(1, CHUNK // (history * max(mixed, model.size)))

    def updates(size: float) -> Iterator[Array]:
        for start in range(0, samples, rows):
            noise = mix(draw(generator, (min(rows, samples - start), history, mixed)), 1 / size)
            noise += model.gradient
            first = noise[:, 0]  # known to be finite: no need of the checks that a history meets
            yield rule(noise) if history > 1 else rule.update(first, rule.init(first.shape))[0]

    results = [_summary(updates(float(size)), model) for size in sizes.reshape(-1)]
    return _measured(results, sizes.shape)


def draw_gradients(
    model: LocalModel,
    batch_size: float,
    shape: tuple[int, ...],
    rng: int | np.random.Generator,
    draw: Draw = normal,
) -> Array:
    """Batch gradients (*shape, N) with the model's mean and covariance Sigma/B.

    They are made of independent numbers of mean 0 and variance 1 that ``draw(rng, shape)`` gives.
    """
    size = float(positive(batch_size, "batch_size", ndim=0))
    mix, mixed = _root(model.covariance)
    numbers = draw(np.random.default_rng(rng), (*shape, mixed))
    return model.gradient + mix(numbers, 1 / size)


def measured_step(
    gradients: ArrayLike,
    rule: UpdateRule,
    hessian: ArrayLike | LinearOperator | Callable[[Array], ArrayLike],
    gradient: ArrayLike | None = None,
) -> MeasuredStep:
    """Alignment and curvature of one step from real batch gradients, with no assumption on their noise.

    Parameters
    ----------
    gradients : array_like, shape (n_batches, N) or (n_runs, n_steps, N)
        Independent batch gradients, or independent histories of them, oldest first, for rules with
        memory.
    rule : UpdateRule
    hessian : array_like, LinearOperator or callable
        1-D means diagonal, 2-D dense, a function is H times a vector.
    gradient : array_like, shape (N,), optional
        Gradient of the expected loss. Without it each update is aligned with the mean gradient of the
        *other* runs: with its own, noise would align with itself.

    Returns
    -------
    MeasuredStep
        Scalars. The standard errors count the spread over runs, and without `gradient` not the (smaller)
        error of the mean gradient itself.

    Raises
    ------
    ValueError
        Fewer than two runs, wrong shapes, nan or inf.
    """
    history = real_array(gradients, "gradients", ndim=(2, 3))
    if history.ndim == 2:
        history = history[:, None, :]
    runs, steps, size = history.shape
    if runs < 2:
        raise ValueError(
            f"gradients must hold at least 2 independent runs (rows); got shape {np.shape(gradients)}"
        )
    if steps == 1 and rule.horizon > 1:
        raise ValueError(
            f"gradients must have shape (n_runs, n_steps, N) for {rule}, which remembers; "
            f"got shape {np.shape(gradients)}"
        )
    if gradient is None:
        means = history.mean(axis=1)
        reference = (means.sum(axis=0) - means) / (runs - 1)
    else:
        reference = np.broadcast_to(vector(gradient, "gradient", size), (runs, size))
    return step_from_updates(rule(history), reference, hessian)


def step_from_updates(
    updates: ArrayLike,
    gradient: ArrayLike,
    hessian: ArrayLike | LinearOperator | Callable[[Array], ArrayLike],
) -> MeasuredStep:
    """Alignment and curvature of one step as averages over updates, however they came about.

    Parameters
    ----------
    updates : array_like, shape (n_runs, N) or (n_runs, n_updates, N)
        Of independent runs, two or more; several updates of one run may depend on each other.
    gradient : array_like, shape (N,) or (n_runs, N)
        Of the expected loss; one for each run where they differ.
    hessian : array_like, LinearOperator or callable
        1-D means diagonal, 2-D dense, a function is H times a vector.

    Returns
    -------
    MeasuredStep
        Scalars; the standard errors come from the spread of the runs' own averages.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or shapes do not fit.
    """
    phi = real_array(updates, "updates", ndim=(2, 3))
    if phi.ndim == 2:
        phi = phi[:, None, :]
    runs, each, size = phi.shape
    if runs < 2 or each < 1:
        raise ValueError(f"updates must be of at least 2 independent runs; got shape {np.shape(updates)}")
    g = real_array(gradient, "gradient", ndim=(1, 2))
    if g.shape not in ((size,), (runs, size)):
        raise ValueError(f"gradient must have shape ({size},) or ({runs}, {size}); got {g.shape}")
    operator = as_operator(hessian, "hessian", size)
    alignment = np.einsum("rtn,rn->r", phi, np.broadcast_to(g, (runs, size))) / each
    curvature = _quadratic(phi.reshape(-1, size), operator).reshape(runs, each).mean(axis=1)
    return _measured([_mean_and_covariance(np.stack([alignment, curvature], axis=1))], ())


def searched_lr(loss_change: Callable[[Array], ArrayLike], updates: ArrayLike) -> tuple[float, float]:
    """Learning rate that minimises the average loss over given updates, found by search. Source: 10542.6.

    Neither alignment nor curvature is formed, and nothing is expanded: the loss may be any function.

    Parameters
    ----------
    loss_change : callable
        Maps displacements (n, N) of the parameters to the n losses there, less the loss at the start.
    updates : array_like, shape (n, N)
        Updates phi, n >= 2; the displacements are -learning_rate * updates.

    Returns
    -------
    learning_rate, standard_error : float
        The error is that of the sample of updates: the slope's over the second derivative.

    Raises
    ------
    ValueError
        If the average loss does not fall along the updates and rise again.
    """
    from scipy.optimize import minimize_scalar  # late, for a quick import of the package

    phi = real_array(updates, "updates", ndim=2)
    if len(phi) < 2:
        raise ValueError(f"updates must hold at least 2 rows; got shape {phi.shape}")

    def losses(eta: float) -> Array:
        return np.asarray(loss_change(-eta * phi), dtype=np.float64)

    scale = 1 / np.linalg.norm(phi, axis=1).mean()
    search = minimize_scalar(lambda eta: losses(eta).mean(), bracket=(0.0, 1e-4 * scale), tol=1e-9)
    eta = float(search.x)
    if not (search.success and eta > 0 and search.fun < 0):
        raise ValueError(f"loss_change must fall along -updates and rise again; its minimum is at {eta:.3g}")
    h = 1e-3 * eta
    up, middle, down = losses(eta + h), losses(eta), losses(eta - h)
    slope_error = (up - down).std(ddof=1) / (2 * h) / np.sqrt(len(phi))
    return eta, float(slope_error / ((up - 2 * middle + down).mean() / h**2))


def _summary(chunks: Iterator[Array], model: LocalModel) -> tuple[Array, Array]:
    pairs = [
        np.stack([np.einsum("rn,n->r", phi, model.gradient), _quadratic(phi, model.hessian)], axis=1)
        for phi in chunks
    ]
    return _mean_and_covariance(np.concatenate(pairs))


def _quadratic(vectors: Array, operator: Operator) -> Array:
    """v^T A v for each row v."""
    if isinstance(operator, Diagonal):
        return np.einsum("rn,n->r", vectors**2, operator.values)
    return plain(np.einsum("rn,nr->r", vectors, np.asarray(operator @ vectors.T)))


def _mean_and_covariance(pairs: Array) -> tuple[Array, Array]:
    """Mean of the rows, and the covariance of that mean."""
    return pairs.mean(axis=0), np.cov(pairs, rowvar=False) / len(pairs)


def _measured(results: list[tuple[Array, Array]], shape: tuple[int, ...]) -> MeasuredStep:
    means = np.array([mean for mean, _ in results]).reshape(-1, 2)
    V = np.array([covariance for _, covariance in results]).reshape(-1, 2, 2)
    columns = *means.T, np.sqrt(V[:, 0, 0]), np.sqrt(V[:, 1, 1]), V[:, 0, 1]
    return MeasuredStep(*(column.reshape(shape) for column in columns))


def _root(covariance: Operator) -> tuple[Callable[[Array, float], Array], int]:
    """A map from independent numbers (..., k) to noise (..., N) with a share of this covariance, and k.

    The numbers may be overwritten.
    """
    if isinstance(covariance, Diagonal):
        deviations = np.sqrt(covariance.values)
        return lambda z, share: np.multiply(z, deviations * np.sqrt(share), out=z), covariance.size
    if isinstance(covariance, DiagonalPlusLowRank) and covariance.diagonal_part is None:
        _refuse_negative(covariance.weights)
        columns = covariance.factors * np.sqrt(np.maximum(covariance.weights, 0))
        return lambda z, share: z @ (columns.T * np.sqrt(share)), columns.shape[1]
    if isinstance(covariance, (Dense, DiagonalPlusLowRank)):
        values, vectors = np.linalg.eigh(covariance.dense())
        _refuse_negative(values)
        # The symmetric root: eigenvectors are free to turn or flip, from one processor to the next.
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        return lambda z, share: z @ (root * np.sqrt(share)), covariance.size
    raise NotImplementedError(
        f"covariance of type {type(covariance).__name__} cannot be drawn from; give an array or use "
        "LocalModel.from_samples"
    )


def _refuse_negative(values: Array) -> None:
    """What is left below zero is rounding, and may be set to zero."""
    if values.min() < -1e-10 * np.abs(values).max():
        raise ValueError(f"covariance must have no negative eigenvalue; the smallest is {values.min():.6g}")
