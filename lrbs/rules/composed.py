"""Rules made of other rules: on any linear average of the gradients, and one for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from lrbs.operators import Operator
from lrbs.rules.base import Rule, UpdateRule, checked_history
from lrbs.validation import Array, vector


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Averaged(Rule):
    """A rule without memory that acts on a weighted average of the latest gradients.

    Parameters
    ----------
    rule : UpdateRule
        Without memory of its own: ``SGD()``, ``SignSGD()``, ``Muon(shape)``.
    weights : array_like, shape (steps,)
        Newest first, such as a window's equal ones. Under a shorter history those of older gradients are
        left out, as in a start from zero.

    Raises
    ------
    ValueError
        If the rule has a memory, or the weights sum to zero.

    Examples
    --------
    >>> from lrbs.rules import SGD
    >>> window = Averaged(SGD(), [0.25, 0.25, 0.25, 0.25])
    >>> window.noise_factor  # four batches, one gradient
    0.25
    """

    rule: UpdateRule
    weights: ArrayLike = field(repr=False)

    def __post_init__(self) -> None:
        if self.rule.horizon != 1:
            raise ValueError(f"rule must have no memory of its own; got {self.rule!r}")
        weights = vector(self.weights, "weights")
        if weights.sum() == 0:
            raise ValueError("weights must not sum to 0: such an average keeps nothing of the gradient")
        object.__setattr__(self, "weights", weights)

    @property
    def noise_factor(self) -> float:
        """sum w^2 / (sum w)^2: one over what it multiplies the batch by (lrbs.averaging)."""
        w = np.asarray(self.weights)
        return float(w @ w / w.sum() ** 2)

    @property
    def horizon(self) -> int:
        """Number of weights."""
        return int(np.size(self.weights))

    def as_one_gradient(self, gradient: Array, noise: Operator) -> tuple[UpdateRule, Array, Operator]:
        """The rule without memory, and the mean and covariance of what it acts on.

        Parameters
        ----------
        gradient : ndarray, shape (N,)
        noise : Operator, of one batch gradient

        Returns
        -------
        rule : UpdateRule
        gradient : ndarray, shape (N,)
        noise : Operator
        """
        w = np.asarray(self.weights)
        return self.rule, w.sum() * gradient, noise.scaled(float(w @ w))

    def init(self, shape: tuple[int, ...]) -> tuple[Array, ...]:
        return ()

    def update(self, gradient: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        latest = (gradient, *state[: self.horizon - 1])
        average = np.einsum("t,t...->...", np.asarray(self.weights)[: len(latest)], np.stack(latest))
        phi, _ = self.rule.update(average, self.rule.init(gradient.shape))
        return phi, latest

    def __call__(self, gradients: ArrayLike) -> Array:
        # One weighted sum: what the fold gives, sooner.
        latest = checked_history(gradients)[..., -self.horizon :, :]
        weights = np.asarray(self.weights)[: latest.shape[-2]][::-1]
        return self.rule(np.einsum("t,...tn->...n", weights, latest)[..., None, :])


class Layout(Protocol):
    """How arrays of weights lie in one vector; the networks of :mod:`lrbs.lab` are such."""

    @property
    def size(self) -> int:
        """Number of weights, N."""

    @property
    def slices(self) -> Mapping[str, slice]:
        """Where each array lies, by its name."""


@dataclass(frozen=True, eq=False)
class Layerwise(Rule):
    """A rule of its own for each array of a network's weights, all at one learning rate.

    Parameters
    ----------
    network : Layout
        Such as a network of :mod:`lrbs.lab`.
    rules : mapping from str to UpdateRule
        By the names of ``network.slices``. Arrays without a rule stay as they are. A bias is a matrix of
        one column to :class:`lrbs.Muon`, which then normalises it.

    Raises
    ------
    ValueError
        If a name is not one of the network's, or there is no rule at all.
    """

    network: Layout
    rules: Mapping[str, UpdateRule]

    def __post_init__(self) -> None:
        if not self.rules or not set(self.rules) <= set(self.network.slices):
            raise ValueError(
                f"rules must be for some of {', '.join(self.network.slices)}; "
                f"got {', '.join(self.rules) or 'none'}"
            )

    @property
    def noise_factor(self) -> float:
        """The one that all rules share.

        Raises
        ------
        ValueError
            If they do not.
        """
        first, *others = {rule.noise_factor for rule in self.rules.values()}
        if others:
            raise ValueError(f"rules must share one noise_factor; got {sorted([first, *others])}")
        return first

    @property
    def horizon(self) -> int:
        """Steps until every rule has forgotten its start."""
        return max(rule.horizon for rule in self.rules.values())

    def init(self, shape: tuple[int, ...]) -> dict[str, Any]:
        parts = {name: np.arange(self.network.size)[self.network.slices[name]].size for name in self.rules}
        return {name: rule.init((*shape[:-1], parts[name])) for name, rule in self.rules.items()}

    def update(self, gradient: Array, state: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
        phi, after = np.zeros(gradient.shape), {}
        for name, rule in self.rules.items():
            part = self.network.slices[name]
            phi[..., part], after[name] = rule.update(gradient[..., part], state[name])
        return phi, after
