"""The update rules: how gradients become a step. What their averages are stands in :mod:`lrbs.moments`.

Each rule is a frozen dataclass. Calling it on a history of batch gradients gives the update vector phi
after the last of them, with w <- w - eta * phi.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lrbs.operators import Diagonal
from lrbs.registry import formula
from lrbs.validation import Array, count, fraction, non_negative, real_array, symmetric_matrix, vector

__all__ = [
    "SGD",
    "Adam",
    "Muon",
    "Preconditioned",
    "SignSGD",
    "SoftSignSGD",
    "UpdateRule",
    "msign",
    "softsign",
]

# A start-up of relative weight below this is forgotten.
FORGOTTEN = 1e-6


@runtime_checkable
class UpdateRule(Protocol):
    """What the rest of the package asks of a rule."""

    @property
    def noise_factor(self) -> float:
        """Fraction of the gradient noise that survives the rule's average over time."""

    @property
    def horizon(self) -> int:
        """Number of steps after which the start from zero is forgotten; 1 without memory."""

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients: (..., steps, N) to (..., N)."""


class _Momentum:
    """A rule that acts on m_t = momentum * m_{t-1} + (1 - momentum) * g_t, m_0 = 0 (11301.1)."""

    momentum: float

    def __post_init__(self) -> None:
        fraction(self.momentum, "momentum")

    @property
    def noise_factor(self) -> float:
        """(1 - momentum) / (1 + momentum), from 11301.7."""
        return (1 - self.momentum) / (1 + self.momentum)

    @property
    def horizon(self) -> int:
        """Steps until momentum**t is below one in a million."""
        return _horizon(self.momentum)

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients.

        Parameters
        ----------
        gradients : array_like, shape (..., steps, N)
            Batch gradients, oldest first.

        Returns
        -------
        ndarray, shape (..., N)
        """
        return self._act(_moving_average(_history(gradients), self.momentum))

    def _act(self, average: Array) -> Array:
        raise NotImplementedError


@formula(
    "11301.1",
    title="SGD with momentum",
    tex=r"\text{SGDM}:\quad\begin{aligned}m_t&=\beta_1m_{t-1}+(1-\beta_1)\,g_t,\\"
    r"w_t&=w_{t-1}-\eta_tm_t\end{aligned}",
    chapter="ema",
    check="recursion_against_weights",
)
@dataclass(frozen=True)
class SGD(_Momentum):
    """Stochastic gradient descent, phi = m.

    Parameters
    ----------
    momentum : float
        Coefficient beta_1 in [0, 1) of the normalised average of gradients; 0 for none.
    """

    momentum: float = 0.0

    def _act(self, average: Array) -> Array:
        return average


@formula(
    "10542.d39",
    title="Adam taken for a sign",
    tex=r"\varphi_{t,i}\approx\operatorname{sign}(m_{t,i})",
    chapter="ema",
    check="adam_is_not_the_sign_of_its_momentum",
)
@formula(
    "11301.9",
    title="SignSGD with momentum",
    tex=r"\text{SignSGDM}:\quad\begin{aligned}m_t&=\beta_1m_{t-1}+(1-\beta_1)\,g_t,\\"
    r"w_t&=w_{t-1}-\eta_t\operatorname{sign}(m_t)\end{aligned}",
    chapter="ema",
    check="recursion_against_weights",
)
@dataclass(frozen=True)
class SignSGD(_Momentum):
    """The sign of each coordinate, phi = sign(m), with sign(0) = 0. With momentum: Signum.

    Parameters
    ----------
    momentum : float
        As for :class:`SGD`.
    """

    momentum: float = 0.0

    def _act(self, average: Array) -> Array:
        return np.sign(average)


@dataclass(frozen=True)
class SoftSignSGD(_Momentum):
    """phi = m / sqrt(m^2 + epsilon^2), coordinate by coordinate: between sign (epsilon = 0) and SGD.

    Parameters
    ----------
    epsilon : float
        In units of the gradient, >= 0.
    momentum : float
        As for :class:`SGD`.
    """

    epsilon: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative(self.epsilon, "epsilon")

    def _act(self, average: Array) -> Array:
        return softsign(average, self.epsilon)


@dataclass(frozen=True)
class Adam:
    """Adam: phi = m_hat / (sqrt(v_hat) + epsilon), both averages corrected for their start (11301.12).

    Parameters
    ----------
    beta1, beta2 : float
        Coefficients in [0, 1) of the averages of the gradient and of its square.
    epsilon : float
        In units of the gradient, >= 0.
    """

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        fraction(self.beta1, "beta1")
        fraction(self.beta2, "beta2")
        non_negative(self.epsilon, "epsilon")

    @property
    def noise_factor(self) -> float:
        """(1 - beta1) / (1 + beta1), from 11301.7."""
        return (1 - self.beta1) / (1 + self.beta1)

    @property
    def horizon(self) -> int:
        """Steps until the slower average has forgotten its start."""
        return _horizon(max(self.beta1, self.beta2))

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients, (..., steps, N) to (..., N)."""
        history = _history(gradients)
        steps = history.shape[-2]
        first = _moving_average(history, self.beta1) / (1 - self.beta1**steps)
        second = _moving_average(history**2, self.beta2) / (1 - self.beta2**steps)
        return ratio(first, np.sqrt(second) + self.epsilon)


@dataclass(frozen=True)
class Muon(_Momentum):
    """The orthogonal factor of the matrix of averaged gradients, phi = msign(M) = U V^T.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the weight matrix that the N parameters form, row by row.
    momentum : float
        As for :class:`SGD`.
    """

    shape: tuple[int, int]
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.shape, Sequence) or len(self.shape) != 2:
            raise ValueError(f"shape must be (rows, columns); got {self.shape!r}")
        for side in self.shape:
            count(side, "shape")

    def _act(self, average: Array) -> Array:
        return msign(self.as_matrix(average)).reshape(average.shape)

    def as_matrix(self, parameters: Array) -> Array:
        """View of (..., N) as (..., rows, columns)."""
        rows, columns = self.shape
        if parameters.shape[-1] != rows * columns:
            raise ValueError(
                f"shape {self.shape} needs {rows * columns} parameters; got vectors of {parameters.shape[-1]}"
            )
        return parameters.reshape(*parameters.shape[:-1], rows, columns)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Preconditioned(_Momentum):
    """A fixed linear preconditioner, phi = P m: Newton (P = H^-1), natural gradient (P = F^-1).

    Parameters
    ----------
    operator : array_like, LinearOperator or callable
        P, symmetric: 1-D means diagonal, 2-D dense, a function is P times a vector.
    momentum : float
        As for :class:`SGD`.
    """

    operator: ArrayLike | LinearOperator | Callable[[Array], ArrayLike] = field(repr=False)
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.operator):
            array = real_array(self.operator, "operator", ndim=(1, 2))
            if array.ndim == 2:
                symmetric_matrix(array, "operator")

    @property
    def diagonal(self) -> Array | None:
        """The diagonal of P if it was given as one."""
        if isinstance(self.operator, Diagonal):
            return self.operator.values
        if callable(self.operator):
            return None
        array = np.asarray(self.operator, dtype=np.float64)
        return array if array.ndim == 1 else None

    def _act(self, average: Array) -> Array:
        return self.apply(average)

    def apply(self, vectors: Array) -> Array:
        """P times each of the vectors (..., N)."""
        if callable(self.operator):
            rows = vectors.reshape(-1, vectors.shape[-1])
            size = vectors.shape[-1]
            products = [vector(self.operator(row), "result of operator", size) for row in rows]
            return np.stack(products).reshape(vectors.shape)
        matrix = np.asarray(self.operator, dtype=np.float64)
        if matrix.shape[-1] != vectors.shape[-1]:
            raise ValueError(f"operator must act on {vectors.shape[-1]} parameters; got shape {matrix.shape}")
        return vectors * matrix if matrix.ndim == 1 else vectors @ matrix


def softsign(x: ArrayLike, epsilon: ArrayLike) -> Array:
    """x / sqrt(x^2 + epsilon^2), and 0 where both are 0. Source: 11280.20, 10563.1."""
    values = np.asarray(x, dtype=np.float64)
    return ratio(values, np.hypot(values, epsilon))


@formula(
    "11285.tmsign",
    title="The sign of a matrix",
    tex=r"\operatorname{msign}(G)=G(G^\top G)^{-1/2}=UV^\top",
    chapter="muon",
    check="matrix_sign",
)
def msign(matrix: ArrayLike) -> Array:
    """Orthogonal factor U V^T of the singular value decomposition, over the non-zero singular values.

    Parameters
    ----------
    matrix : array_like, shape (..., n, m)

    Returns
    -------
    ndarray, shape (..., n, m)
        Of the matrix's rank: directions with singular values below max(n, m) * eps * the largest are
        left at zero, as sign(0) = 0. Source: 11285.tmsign.
    """
    array = np.asarray(matrix, dtype=np.float64)
    left, values, right = np.linalg.svd(array, full_matrices=False)
    cutoff = max(array.shape[-2:]) * np.finfo(np.float64).eps * values[..., :1]
    kept = (values > cutoff).astype(np.float64)
    return np.asarray((left * kept[..., None, :]) @ right)


def _history(gradients: ArrayLike) -> Array:
    history = real_array(gradients, "gradients")
    if history.ndim < 2 or history.shape[-2] == 0:
        raise ValueError(f"gradients must have shape (..., steps, N) with steps >= 1; got {history.shape}")
    return history


def _moving_average(history: Array, decay: float) -> Array:
    """(1 - decay) * sum_s decay^(t-s) x_s over the second last axis: the recursion of 11301.1 from zero."""
    steps = history.shape[-2]
    weights = (1 - decay) * decay ** np.arange(steps - 1, -1, -1, dtype=np.float64)
    return np.einsum("t,...tn->...n", weights, history)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient, with 0/0 = 0: a coordinate without gradient and noise does not move."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _horizon(decay: float) -> int:
    return 1 if decay == 0 else math.ceil(math.log(FORGOTTEN) / math.log(decay))
