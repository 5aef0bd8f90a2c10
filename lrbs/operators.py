"""Symmetric operators that keep their structure.

The theory needs four things of a covariance or a Hessian: products with vectors, the diagonal, the
congruence D A D by a diagonal D, and the trace of a product of two of them. SciPy's ``LinearOperator``
gives the first; the classes here add the others without ever forming an N x N matrix that is not
there already.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lrbs.validation import Array, count, real_array, symmetric_matrix, vector

__all__ = [
    "Dense",
    "Diagonal",
    "DiagonalPlusLowRank",
    "MatrixFree",
    "Operator",
    "Probed",
    "as_operator",
    "trace_product",
]


class Operator(LinearOperator):
    """A real symmetric N x N operator with a diagonal and a congruence."""

    def __init__(self, size: int) -> None:
        super().__init__(np.dtype(np.float64), (size, size))

    @property
    def size(self) -> int:
        """Number of rows, N."""
        return int(self.shape[0])

    def diagonal(self) -> Array:
        """The diagonal, shape (N,)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no diagonal: give the matrix as an array, or let "
            "lrbs.operators.Probed estimate the diagonal from random probes"
        )

    def trace(self) -> float:
        """Sum of the diagonal."""
        return float(self.diagonal().sum())

    def scaled(self, factor: float) -> Operator:
        """The operator times a number."""
        raise NotImplementedError

    def congruence(self, scale: Array) -> Operator:
        """D A D for D = diag(scale)."""
        raise NotImplementedError

    def block(self, own: slice) -> Operator:
        """The operator between the coordinates of a slice, the others being zero."""
        raise NotImplementedError

    def dense(self) -> Array:
        """The matrix, shape (N, N). For small N."""
        return np.asarray(self @ np.eye(self.size))

    def traced_with(self, other: Operator) -> float:
        """tr(A B), where the structure of this operator says what is needed of the other."""
        raise NotImplementedError

    def _adjoint(self) -> Operator:
        return self


class Diagonal(Operator):
    """diag(values).

    Parameters
    ----------
    values : array_like, shape (N,)
    name : str, optional, what errors call them
    """

    def __init__(self, values: ArrayLike, name: str = "values") -> None:
        self.values = vector(values, name)
        super().__init__(self.values.size)

    def _matvec(self, x: Array) -> Array:
        return self.values * x.reshape(-1)

    def _matmat(self, X: Array) -> Array:
        return self.values[:, None] * X

    def diagonal(self) -> Array:
        return self.values

    def scaled(self, factor: float) -> Diagonal:
        return Diagonal(self.values * factor)

    def congruence(self, scale: Array) -> Diagonal:
        return Diagonal(scale * self.values * scale)

    def block(self, own: slice) -> Diagonal:
        return Diagonal(self.values[own])

    def traced_with(self, other: Operator) -> float:
        return float(self.values @ other.diagonal())

    def dense(self) -> Array:
        return np.diag(self.values)


class Dense(Operator):
    """A symmetric matrix, held whole.

    Parameters
    ----------
    matrix : array_like, shape (N, N)
    name : str, optional, what errors call it
    """

    def __init__(self, matrix: ArrayLike, name: str = "matrix") -> None:
        self.matrix = symmetric_matrix(matrix, name)
        super().__init__(self.matrix.shape[0])

    @classmethod
    def trusted(cls, matrix: Array) -> Dense:
        """Of a matrix that is symmetric by its making; it is not looked at again."""
        operator = cls.__new__(cls)
        operator.matrix = matrix
        Operator.__init__(operator, matrix.shape[0])
        return operator

    def _matmat(self, X: Array) -> Array:
        return self.matrix @ X

    def _matvec(self, x: Array) -> Array:
        return self.matrix @ x.reshape(-1)

    def diagonal(self) -> Array:
        return np.diagonal(self.matrix)

    def scaled(self, factor: float) -> Dense:
        return Dense.trusted(self.matrix * factor)

    def congruence(self, scale: Array) -> Dense:
        return Dense.trusted(scale[:, None] * self.matrix * scale)

    def block(self, own: slice) -> Dense:
        return Dense.trusted(self.matrix[own, own])

    def traced_with(self, other: Operator) -> float:
        if isinstance(other, Dense):
            return float(np.einsum("ij,ij->", self.matrix, other.matrix))
        return float(np.trace(np.asarray(other @ self.matrix)))

    def dense(self) -> Array:
        return self.matrix


class DiagonalPlusLowRank(Operator):
    """diag(diagonal) + factors diag(weights) factors^T.

    The form of a covariance known from n per-sample gradients: no diagonal part, the centred gradients
    as factors, weights 1/(n-1). It closes under scaling and congruence, and its memory is that of the
    factors.

    Parameters
    ----------
    diagonal : array_like, shape (N,), or None
        Diagonal part; None for none, in which case no diagonal of another operator is ever asked for.
    factors : array_like, shape (N, r)
    weights : array_like, shape (r,)
    """

    def __init__(self, diagonal: ArrayLike | None, factors: ArrayLike, weights: ArrayLike) -> None:
        self.factors = real_array(factors, "factors", ndim=2)
        self.weights = vector(weights, "weights", self.factors.shape[1])
        self.diagonal_part = None if diagonal is None else vector(diagonal, "diagonal", self.factors.shape[0])
        super().__init__(self.factors.shape[0])

    def _matmat(self, X: Array) -> Array:
        product = self.factors @ (self.weights[:, None] * (self.factors.T @ X))
        return product if self.diagonal_part is None else product + self.diagonal_part[:, None] * X

    def diagonal(self) -> Array:
        low_rank = np.einsum("ir,r,ir->i", self.factors, self.weights, self.factors)
        return low_rank if self.diagonal_part is None else low_rank + self.diagonal_part

    def scaled(self, factor: float) -> DiagonalPlusLowRank:
        part = None if self.diagonal_part is None else self.diagonal_part * factor
        return DiagonalPlusLowRank(part, self.factors, self.weights * factor)

    def congruence(self, scale: Array) -> DiagonalPlusLowRank:
        part = None if self.diagonal_part is None else scale * self.diagonal_part * scale
        return DiagonalPlusLowRank(part, scale[:, None] * self.factors, self.weights)

    def block(self, own: slice) -> DiagonalPlusLowRank:
        part = None if self.diagonal_part is None else self.diagonal_part[own]
        return DiagonalPlusLowRank(part, self.factors[own], self.weights)

    def traced_with(self, other: Operator) -> float:
        products = np.asarray(other @ self.factors)
        total = np.einsum("ir,ir->r", self.factors, products) @ self.weights
        return float(total if self.diagonal_part is None else total + self.diagonal_part @ other.diagonal())


class MatrixFree(Operator):
    """An operator known by its product with a vector alone, such as a Hessian-vector product.

    Parameters
    ----------
    product : callable
        Takes a vector (N,), returns a vector (N,). Must be linear and symmetric; that is not checked.
    size : int, number of rows, N
    diagonal : callable, optional
        Returns the diagonal (N,), where it is known in another way.
    """

    def __init__(
        self, product: Callable[[Array], ArrayLike], size: int, diagonal: Callable[[], Array] | None = None
    ) -> None:
        if not callable(product):
            raise ValueError(f"product must be a function of a vector; got {type(product).__name__}")
        self.product = product
        self._diagonal = diagonal
        super().__init__(count(size, "size"))

    def _matvec(self, x: Array) -> Array:
        return vector(self.product(x.reshape(-1)), "result of the operator's product", self.size)

    def diagonal(self) -> Array:
        return super().diagonal() if self._diagonal is None else self._diagonal()

    def scaled(self, factor: float) -> MatrixFree:
        return self._derived(lambda x: factor * self._matvec(x), factor)

    def congruence(self, scale: Array) -> MatrixFree:
        return self._derived(lambda x: scale * self._matvec(scale * x), scale**2)

    def block(self, own: slice) -> MatrixFree:
        def product(x: Array) -> Array:
            whole = np.zeros(self.size)
            whole[own] = x
            return self._matvec(whole)[own]

        diagonal = None if self._diagonal is None else lambda: self.diagonal()[own]
        return MatrixFree(product, len(range(self.size)[own]), diagonal)

    def _derived(self, product: Callable[[Array], Array], factor: float | Array) -> MatrixFree:
        """Another product, whose diagonal is the present one times `factor` if it is known at all."""
        diagonal = None if self._diagonal is None else lambda: factor * self.diagonal()
        return MatrixFree(product, self.size, diagonal)


class Probed(MatrixFree):
    """A matrix-free operator whose diagonal is estimated from random probes (Hutchinson, Bekas).

    An explicit opt-in: the diagonal, and every trace that needs it, carries a random error that
    falls with the square root of the number of probes.

    Parameters
    ----------
    product : callable, A times a vector, symmetric
    size : int, N
    probes : int
        Number of random sign vectors z; the diagonal is the mean of z * (A z).
    rng : int or numpy.random.Generator
    """

    def __init__(
        self, product: Callable[[Array], ArrayLike], size: int, probes: int, rng: int | np.random.Generator
    ) -> None:
        super().__init__(product, size, lambda: self._estimated_diagonal)
        self.probes = count(probes, "probes")
        self._rng = np.random.default_rng(rng)

    @cached_property
    def _estimated_diagonal(self) -> Array:
        total = np.zeros(self.size)
        for _ in range(self.probes):
            signs = self._rng.choice((-1.0, 1.0), self.size)
            total += signs * self._matvec(signs)
        return total / self.probes


def as_operator(value: Any, name: str, size: int) -> Operator:
    """`value` as an :class:`Operator` on vectors of `size` entries; errors call it by its `name`.

    A 1-D array is a diagonal, a 2-D array a symmetric matrix; a function is a matrix-vector product.

    Raises
    ------
    ValueError
        If the shape does not fit, an entry is not finite, or a matrix is not symmetric.
    """
    if not callable(value):  # operators are
        array = real_array(value, name, ndim=(1, 2))
        value = Diagonal(array, name) if array.ndim == 1 else Dense(array, name)
    if isinstance(value, LinearOperator) and value.shape != (size, size):
        raise ValueError(f"{name} must act on the gradient's {size} parameters; got shape {value.shape}")
    if isinstance(value, Operator):
        return value
    return MatrixFree(value.matvec if isinstance(value, LinearOperator) else value, size)


def trace_product(first: Operator, second: Operator) -> float:
    """tr(A B) of two symmetric operators of one shape, in the cheapest exact way that their structure allows.

    Raises
    ------
    NotImplementedError
        If both must be multiplied out and neither can: give one as an array or by its factors.
    """
    if first.shape != second.shape:
        raise ValueError(f"both operators must have one shape; got {first.shape} and {second.shape}")
    # The one with the simpler structure leads: it says what is needed of the other.
    for kind in (Diagonal, DiagonalPlusLowRank, Dense):
        for leader, other in ((first, second), (second, first)):
            if isinstance(leader, kind):
                return leader.traced_with(other)
    raise NotImplementedError(
        f"tr(A B) of {type(first).__name__} and {type(second).__name__} needs one of them as an array, "
        "a diagonal, or a low-rank form such as LocalModel.from_samples gives"
    )
