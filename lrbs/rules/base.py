"""What a rule is: two functions, as in the optimiser libraries of the field, and what follows from them."""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, real_array

# A start-up of relative weight below this is forgotten.
FORGOTTEN = 1e-6


@runtime_checkable
class UpdateRule(Protocol):
    """What the rest of the package asks of a rule, with w <- w - eta * phi.

    A rule of your own has these four, and :class:`Rule` as a base gives it the call. Approximations want a
    form registered: ``lrbs.mean_field.register``.
    """

    @property
    def noise_factor(self) -> float:
        """Fraction of the gradient noise that survives the rule's average over time."""

    @property
    def horizon(self) -> int:
        """Number of steps after which the start from zero is forgotten; 1 without memory."""

    def init(self, shape: tuple[int, ...]) -> Any:
        """What the rule remembers before the first gradient.

        Parameters
        ----------
        shape : tuple of int, (..., N), of the gradients

        Returns
        -------
        object
        """
        raise NotImplementedError

    def update(self, gradient: Array, state: Any) -> tuple[Array, Any]:
        """Take in a gradient.

        Parameters
        ----------
        gradient : ndarray, shape (..., N)
        state : object

        Returns
        -------
        phi : ndarray, shape (..., N)
            With w <- w - eta * phi.
        state : object
        """
        raise NotImplementedError

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients: (..., steps, N) to (..., N)."""


class Rule(UpdateRule):
    """Base of the rules: acting on a history is a fold of `update`."""

    def __init__(self) -> None:
        """Nothing to hold; that of a protocol would take anything."""

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients; refused without a step, or if an entry is not finite."""
        history = checked_history(gradients)
        state = self.init((*history.shape[:-2], history.shape[-1]))
        for step in range(history.shape[-2]):
            phi, state = self.update(history[..., step, :], state)
        return phi


def checked_history(gradients: ArrayLike) -> Array:
    """Gradients as an array (..., steps, N) of at least one step."""
    history = real_array(gradients, "gradients")
    if history.ndim < 2 or history.shape[-2] == 0:
        raise ValueError(f"gradients must have shape (..., steps, N) with steps >= 1; got {history.shape}")
    return history


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient, with 0/0 = 0: a coordinate without gradient and noise does not move."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def steps_to_forget(decay: float) -> int:
    """Steps until decay**t is below one in a million."""
    return 1 if decay == 0 else math.ceil(math.log(FORGOTTEN) / math.log(decay))
