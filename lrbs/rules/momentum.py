"""Rules that act on one running average of the gradients: SGD, signs, fixed preconditioners.

The average is normalised: a constant gradient is its own average, and learning rates with and without
momentum compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lrbs.operators import Diagonal
from lrbs.rules.base import Rule, checked_history, ratio, steps_to_forget
from lrbs.validation import Array, count, fraction, non_negative, real_array, symmetric_matrix, vector


class Averaging(Rule):
    """A rule that acts on c_t = a m_{t-1} + (1 - a) g_t, where m_t = b m_{t-1} + (1 - b) g_t and m_0 = 0.

    Equal coefficients are heavy ball, a = b^2 is Nesterov's momentum, any others are Lion's.
    """

    @property
    def coefficients(self) -> tuple[float, float]:
        """The pair a, b."""
        raise NotImplementedError

    def act(self, average: Array) -> Array:
        """The update that the average makes.

        Parameters
        ----------
        average : ndarray, shape (..., N)

        Returns
        -------
        ndarray, shape (..., N)
        """
        raise NotImplementedError

    @property
    def noise_factor(self) -> float:
        """Sum of the squared weights of the gradients; (1 - b) / (1 + b) for heavy ball, from 11301.7."""
        a, b = self.coefficients
        return (1 - b) / (1 + b) if a == b else (1 - a) ** 2 + a**2 * (1 - b) / (1 + b)

    @property
    def horizon(self) -> int:
        """Steps until b**t is below one in a million."""
        a, b = self.coefficients
        return steps_to_forget(b if a else 0.0)

    def weights(self, steps: int) -> Array:
        """Weights of the gradients in the average, newest first, after so many steps from zero.

        Parameters
        ----------
        steps : int, length of the history

        Returns
        -------
        ndarray, shape (steps,)
            1 - a for the newest gradient, a (1 - b) b^(k-1) for the one k steps ago; for heavy ball
            (1 - b) b^k, which sum to 1 - b^steps. Source: 11301.3, 11267.2.

        Raises
        ------
        ValueError
            If `steps` is no integer of at least 1.

        Examples
        --------
        >>> SGD(momentum=0.5).weights(3)
        array([0.5  , 0.25 , 0.125])
        """
        a, b = self.coefficients
        weights = np.empty(count(steps, "steps"))
        weights[0] = 1 - a
        weights[1:] = a * (1 - b) * b ** np.arange(steps - 1, dtype=np.float64)
        return weights

    def init(self, shape: tuple[int, ...]) -> Array:
        return np.zeros(shape if self.horizon > 1 else ())

    def update(self, gradient: Array, state: Array) -> tuple[Array, Array]:
        a, b = self.coefficients
        if not a:  # no memory
            return self.act(gradient), state
        average = a * state + (1 - a) * gradient
        return self.act(average), average if a == b else b * state + (1 - b) * gradient

    def __call__(self, gradients: ArrayLike) -> Array:
        # One weighted sum: what the fold gives, sooner.
        history = checked_history(gradients)
        if self.horizon == 1:
            return self.act(history[..., -1, :])
        return self.act(np.einsum("t,...tn->...n", self.weights(history.shape[-2])[::-1], history))


class Momentum(Averaging):
    """Heavy ball or Nesterov's, by the fields `momentum` and `nesterov`."""

    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        fraction(self.momentum, "momentum")

    @property
    def coefficients(self) -> tuple[float, float]:
        return self.momentum ** (2 if self.nesterov else 1), self.momentum


@dataclass(frozen=True)
class SGD(Momentum):
    """Stochastic gradient descent, phi = m with m_t = momentum * m_{t-1} + (1 - momentum) * g_t (11301.1).

    Parameters
    ----------
    momentum : float
        beta in [0, 1), of the normalised average of gradients; 0 for none.
    nesterov : bool, act on momentum * m_t + (1 - momentum) * g_t

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).

    Notes
    -----
    ``torch.optim.SGD(lr=x, momentum=b)`` sums, buf = b * buf + g, with `nesterov` or without: it is this rule
    at learning rate x / (1 - b). ``dampening=b``, for heavy ball alone, makes it average, and x the learning
    rate here; but its buffer starts from the first gradient whole, and after t steps has b^t of it too much.
    """

    momentum: float = 0.0
    nesterov: bool = False

    def act(self, average: Array) -> Array:
        return average


@dataclass(frozen=True)
class SignSGD(Momentum):
    """The sign of each coordinate, phi = sign(m), with sign(0) = 0. With momentum: Signum (11301.9).

    Source: 10542.d39.

    Parameters
    ----------
    momentum : float, in [0, 1), of the normalised average
    nesterov : bool, act on momentum * m_t + (1 - momentum) * g_t

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).
    """

    momentum: float = 0.0
    nesterov: bool = False

    def act(self, average: Array) -> Array:
        return np.sign(average)


@dataclass(frozen=True)
class SoftSignSGD(Momentum):
    """phi = m / sqrt(m^2 + epsilon^2), coordinate by coordinate: between sign (epsilon = 0) and SGD.

    Parameters
    ----------
    epsilon : float, in units of the gradient, >= 0
    momentum : float, in [0, 1), of the normalised average
    nesterov : bool, act on momentum * m_t + (1 - momentum) * g_t

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1) or `epsilon` is negative.
    """

    epsilon: float
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative(self.epsilon, "epsilon")

    def act(self, average: Array) -> Array:
        return softsign(average, self.epsilon)


@dataclass(frozen=True)
class Lion(Averaging):
    """The sign of an average that weighs the newest gradient by its own coefficient.

    phi = sign(beta1 * m_{t-1} + (1 - beta1) * g_t), where m_t = beta2 * m_{t-1} + (1 - beta2) * g_t.
    Source: lrbs.lion; without the weight decay of the published optimiser.

    Parameters
    ----------
    beta1, beta2 : float, in [0, 1)

    Raises
    ------
    ValueError
        If `beta1` or `beta2` is not in [0, 1).
    """

    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        fraction(self.beta1, "beta1")
        fraction(self.beta2, "beta2")

    @property
    def coefficients(self) -> tuple[float, float]:
        return self.beta1, self.beta2

    def act(self, average: Array) -> Array:
        return np.sign(average)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Preconditioned(Momentum):
    """A fixed linear preconditioner, phi = P m: Newton (P = H^-1), natural gradient (P = F^-1).

    Parameters
    ----------
    operator : array_like, LinearOperator or callable
        P, symmetric: 1-D means diagonal, 2-D dense, a function is P times a vector.
    momentum : float, in [0, 1), of the normalised average
    nesterov : bool, act on momentum * m_t + (1 - momentum) * g_t

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1), or a matrix not symmetric.
    """

    operator: ArrayLike | LinearOperator | Callable[[Array], ArrayLike] = field(repr=False)
    momentum: float = 0.0
    nesterov: bool = False

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

    def act(self, average: Array) -> Array:
        return self.apply(average)

    def apply(self, vectors: Array) -> Array:
        """P times each of some vectors.

        Parameters
        ----------
        vectors : ndarray, shape (..., N)

        Returns
        -------
        ndarray, shape (..., N)

        Raises
        ------
        ValueError
            If `operator` acts on another number of parameters.
        """
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
    """x / sqrt(x^2 + epsilon^2), and 0 where both are 0. Source: 11280.20, 10563.1.

    Parameters
    ----------
    x, epsilon : array_like, in one unit, broadcast

    Returns
    -------
    ndarray
    """
    values = np.asarray(x, dtype=np.float64)
    return ratio(values, np.hypot(values, epsilon))
