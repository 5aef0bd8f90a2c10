"""Rules as they run: gradient after gradient, with what they remember kept between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lrbs.lab.layout import Layout
from lrbs.rules import Adam, UpdateRule, ratio
from lrbs.validation import Array, real_array

__all__ = ["Layerwise", "running"]

Update = Callable[[Array], Array]


def running(rule: UpdateRule) -> Update:
    """The rule from a fresh start: a function from the next gradients to the updates after them.

    Parameters
    ----------
    rule : UpdateRule
        With momentum, Adam, or :class:`Layerwise`; its averages start from zero.

    Returns
    -------
    callable
        ``update(gradient)``, (..., N) to (..., N). The leading axes are replicas, the same at every call.
        After t calls the result is that of ``rule`` on the history of the t gradients.

    Raises
    ------
    NotImplementedError
        For a rule of another kind.

    Examples
    --------
    >>> import lrbs
    >>> update = running(lrbs.SGD(momentum=0.5))
    >>> update(np.array([1.0])), update(np.array([1.0]))
    (array([0.5]), array([0.75]))
    """
    if isinstance(rule, Layerwise):
        return _layerwise(rule)
    if isinstance(rule, Adam):
        return _adam(rule)
    momentum = getattr(rule, "momentum", None)
    if momentum is None:
        raise NotImplementedError(
            f"running has no form for {type(rule).__name__}; it knows rules with momentum"
        )
    return _momentum(replace(rule, momentum=0.0), momentum)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Layerwise:
    """A rule of its own for each array of a network's weights, all at one learning rate.

    Parameters
    ----------
    network : Network
    rules : mapping from str to UpdateRule
        By the names of ``network.shapes``. Arrays without a rule stay as they are. A bias is a matrix of
        one column to :class:`lrbs.Muon`, which then normalises it.

    Raises
    ------
    ValueError
        If a name is not one of the network's, or there is no rule at all.
    """

    network: Layout
    rules: Mapping[str, UpdateRule]

    def __post_init__(self) -> None:
        if not self.rules or not set(self.rules) <= set(self.network.shapes):
            raise ValueError(
                f"rules must be for some of {', '.join(self.network.shapes)}; "
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

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients, (..., steps, N) to (..., N)."""
        history = real_array(gradients, "gradients")
        return self._each(self.rules, history, history.shape[:-2])

    def _each(self, rules: Mapping[str, Update], vectors: Array, replicas: tuple[int, ...]) -> Array:
        """The update of all arrays, each by its own function of its own part of the vectors."""
        update = np.zeros((*replicas, self.network.size))
        for name, rule in rules.items():
            part = self.network.slices[name]
            update[..., part] = rule(vectors[..., part])
        return update


def _layerwise(rule: Layerwise) -> Update:
    updates = {name: running(part) for name, part in rule.rules.items()}

    return lambda gradient: rule._each(updates, gradient, gradient.shape[:-1])


def _momentum(memoryless: UpdateRule, momentum: float) -> Update:
    m = np.zeros(())

    def update(gradient: Array) -> Array:
        nonlocal m
        m = momentum * m + (1 - momentum) * gradient
        return memoryless(m[..., None, :])

    return update


def _adam(rule: Adam) -> Update:
    m, v, steps = np.zeros(()), np.zeros(()), 0

    def update(gradient: Array) -> Array:
        nonlocal m, v, steps
        steps += 1
        m = rule.beta1 * m + (1 - rule.beta1) * gradient
        v = rule.beta2 * v + (1 - rule.beta2) * gradient**2
        first, second = m / (1 - rule.beta1**steps), v / (1 - rule.beta2**steps)
        return ratio(first, np.sqrt(second) + rule.epsilon)

    return update
