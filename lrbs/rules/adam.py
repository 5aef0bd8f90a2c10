"""Adam: an average of gradients over the root of an average of their squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.rules.base import Rule, checked_history, ratio, steps_to_forget
from lrbs.validation import Array, fraction, non_negative, vector


class AdamState(NamedTuple):
    """What Adam remembers.

    Attributes
    ----------
    first, second : ndarray, shape (..., N)
        Averages of the gradient and of its square, from zero, not corrected.
    steps : int, how many they hold
    """

    first: Array
    second: Array
    steps: int


@dataclass(frozen=True)
class Adam(Rule):
    """Adam: phi = m_hat / (sqrt(v_hat) + epsilon), both averages corrected for their start (11301.12).

    Parameters
    ----------
    beta1, beta2 : float
        In [0, 1), of the averages of the gradient and of its square.
    epsilon : float, in units of the gradient, >= 0

    Raises
    ------
    ValueError
        If `beta1` or `beta2` is not in [0, 1) or `epsilon` is negative.

    Notes
    -----
    ``torch.optim.Adam`` is this rule, epsilon outside the root of the corrected average included, at other
    defaults: betas (0.9, 0.999), eps 1e-8. Language models use beta2 = 0.95, as here. Its `weight_decay`
    adds to the gradient; that of ``torch.optim.AdamW`` shrinks the weights, as in
    :func:`lrbs.rules.adamw_step`.
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
        return steps_to_forget(max(self.beta1, self.beta2))

    def init(self, shape: tuple[int, ...]) -> AdamState:
        return AdamState(np.zeros(shape), np.zeros(shape), 0)

    def update(self, gradient: Array, state: AdamState) -> tuple[Array, AdamState]:
        state = self._remember(gradient, state)
        return self._act(state), state

    def __call__(self, gradients: ArrayLike) -> Array:
        # The fold, without the updates on the way.
        history = checked_history(gradients)
        state = self.init((*history.shape[:-2], history.shape[-1]))
        for step in range(history.shape[-2]):
            state = self._remember(history[..., step, :], state)
        return self._act(state)

    def _remember(self, gradient: Array, state: AdamState) -> AdamState:
        return AdamState(
            self.beta1 * state.first + (1 - self.beta1) * gradient,
            self.beta2 * state.second + (1 - self.beta2) * gradient**2,
            state.steps + 1,
        )

    def _act(self, state: AdamState) -> Array:
        first = state.first / (1 - self.beta1**state.steps)
        second = state.second / (1 - self.beta2**state.steps)
        return ratio(first, np.sqrt(second) + self.epsilon)


def adamw_step(
    weights: ArrayLike,
    gradient: ArrayLike,
    state: AdamState,
    learning_rate: float,
    rule: Adam | None = None,
    weight_decay: float = 0.0,
) -> tuple[Array, AdamState]:
    """Weights and memory after one step of Adam, with decoupled weight decay (AdamW) if there is any.

    Parameters
    ----------
    weights, gradient : array_like, shape (N,)
    state : AdamState
        From the step before, or ``rule.init((N,))``.
    learning_rate : float
    rule : Adam, optional
        Its coefficients; ``Adam()`` unless told.
    weight_decay : float
        lambda >= 0. It shrinks the weights by learning_rate * lambda, as in ``torch.optim.AdamW``, where
        the default is 0.01, and enters neither average.

    Returns
    -------
    weights : ndarray, shape (N,)
    state : AdamState
        Source: 11301.12, 11267.1. A coordinate that never had a gradient does not move, also at epsilon = 0.

    Raises
    ------
    ValueError
        If the shapes differ or the decay is negative.

    Examples
    --------
    >>> weights, state = adamw_step(
    ...     [1.0, 1.0], [0.3, -20.0], Adam().init((2,)), learning_rate=0.1
    ... )
    >>> weights  # the first step is a sign
    array([0.9, 1.1])
    """
    theta = vector(weights, "weights")
    phi, after = (rule or Adam()).update(vector(gradient, "gradient", theta.size), state)
    return theta - learning_rate * (phi + non_negative(weight_decay, "weight_decay") * theta), after
