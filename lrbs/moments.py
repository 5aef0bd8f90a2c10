"""Mean and covariance of an update, and the linear algebra that approximations of them share.

An approximation is a function ``(rule, gradient, noise) -> Moments``, where `noise` is the covariance
Sigma/B of one batch gradient; those of the book stand in :mod:`lrbs.approximations`. Whether coordinates are
independent is a property of the noise that is passed, not of the approximation: a diagonal `noise` means
independence, a structured one is honoured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, Operator
from lrbs.rules import UpdateRule
from lrbs.validation import Array

__all__ = ["Method", "Moments", "gram_covariance"]


@dataclass(frozen=True)
class Moments:
    """Mean E[phi], shape (N,), and covariance Cov[phi] of the update vector."""

    mean: Array
    covariance: Operator


Method = Callable[[UpdateRule, Array, Operator], Moments]


def no_form(method: str, rule: object) -> NoReturn:
    """Say that an approximation has no form for a rule, and what to do."""
    if isinstance(rule, type):
        raise TypeError(
            f"rule must be an instance such as {rule.__name__}(...); got the class {rule.__name__}"
        )
    raise NotImplementedError(
        f"{method} has no form for {type(rule).__name__}; use simulated_step or measured_step, or "
        f"register one: @{method}.register"
    )


def noise_to_signal(gradient: Array, noise: Operator, epsilon: float = 0.0) -> float:
    """B_simple/B = tr(noise) / (g^T g + N epsilon^2), as in 11260.7 and 11280.21."""
    signal = float(gradient @ gradient) + gradient.size * epsilon**2
    if signal == 0:
        raise ValueError("gradient is zero: the ratio of noise to signal has no value")
    return noise.trace() / signal


def inverse(scale: Array) -> Array:
    """1/scale, and 0 where a coordinate has neither gradient nor noise: it does not move."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale != 0)


def inverse_power(matrix: Array, power: float) -> Array:
    """A^(-power) of a positive semi-definite matrix; zero on its null space, as msign is."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > values.size * np.finfo(np.float64).eps * values[-1]
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** -power
    return np.asarray((vectors * powers) @ vectors.T)


def sandwiched(apply: Callable[[Array], Array], noise: Operator) -> Operator:
    """P noise P, for P given by its action on the rows of an array; low-rank noise stays low-rank."""
    if isinstance(noise, DiagonalPlusLowRank) and noise.diagonal_part is None:
        return DiagonalPlusLowRank(None, apply(noise.factors.T).T, noise.weights)
    product = apply(apply(noise.dense()).T)
    return Dense((product + product.T) / 2)


def gram_covariance(noise: Operator, shape: tuple[int, int], axis: int) -> Array:
    """E[X^T X] (axis 0) or E[X X^T] (axis 1) of noise matrices X of `shape`. Source: 11285.4."""
    rows, columns = shape
    if isinstance(noise, Diagonal):
        return np.diag(noise.values.reshape(shape).sum(axis=axis))
    if isinstance(noise, DiagonalPlusLowRank):
        factors = np.moveaxis(noise.factors.reshape(rows, columns, -1), axis, 0)
        total = np.einsum("ijr,r,ikr->jk", factors, noise.weights, factors, optimize=True)
        if noise.diagonal_part is not None:
            total = total + np.diag(noise.diagonal_part.reshape(shape).sum(axis=axis))
        return np.asarray(total)
    subscripts = "ijik->jk" if axis == 0 else "ijkj->ik"
    return np.asarray(np.einsum(subscripts, noise.dense().reshape(rows, columns, rows, columns)))
