"""The best learning rate of one step of a PyTorch optimiser, from the updates that it would make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrbs.simulate import MeasuredStep

__all__ = ["Probe", "ProbedRate"]


@dataclass(frozen=True)
class ProbedRate:
    """What one step of an optimiser would do to the loss.

    Attributes
    ----------
    optimizer : str
        Name of its class.
    learning_rate : float
        The present one, of its group with the highest.
    step : MeasuredStep
        Alignment and curvature of its updates, with errors: `step.optimal_lr`, `step.optimal_lr_se`.
    pairs : int
        Independent pairs of batches that they come from.
    """

    optimizer: str
    learning_rate: float
    step: MeasuredStep
    pairs: int

    def __str__(self) -> str:
        now = f"{self.optimizer}: learning rate {self.learning_rate:.3g}"
        if not self.step.curvature > 0:
            return f"{now}; no best one, the loss curves downwards along the updates"
        best, error = float(self.step.optimal_lr), float(self.step.optimal_lr_se)
        if best <= 0:
            return (
                f"{now}; no best one, the updates raise the loss of other batches ({best:.3g} ± {error:.2g})"
            )
        return f"{now}; best for one step {best:.3g} ± {error:.2g} ({self.pairs} pairs of batches)"


class Probe(tuple[ProbedRate, ...]):
    """A :class:`ProbedRate` for each optimiser; prints one line for each.

    Parameters
    ----------
    iterable : iterable of ProbedRate
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def probed(optimizers: Sequence[Any], loss: Callable[[Any], Any], batches: Iterable[Any]) -> Probe:
    """As :meth:`lrbs.torch.NoiseMonitor.probe`, which see."""
    weights = [[p for group in o.param_groups for p in group["params"]] for o in optimizers]
    every = [p for part in weights for p in part if p.requires_grad]
    pairs: list[list[tuple[float, float]]] = [[] for _ in optimizers]
    items = iter(batches)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        for first, second in zip(items, items, strict=False):
            gradients = _gradients(loss(first), every)
            updates = [_update(o, dict(zip(every, gradients, strict=True))) for o in optimizers]
            with_graph = _gradients(loss(second), every, create_graph=True)
            for found, update in zip(pairs, updates, strict=True):
                phi = [update.get(p) for p in every]
                slope = _dot(phi, with_graph)
                curvature = _dot(phi, _gradients(slope, every, retain_graph=True))
                found.append((slope.item(), curvature.item()))
            del with_graph, slope  # a graph refers to itself through its weights
    if not np.isfinite(pairs).all():
        raise ValueError("loss must be finite on all batches, with both derivatives; got nan or inf")
    if len(pairs[0]) < 2:
        raise ValueError(f"batches must make at least 2 pairs, 4 batches; got {len(pairs[0])} pairs")
    return Probe(
        ProbedRate(type(o).__name__, _rate(o), _measured(np.array(found)), len(found))
        for o, found in zip(optimizers, pairs, strict=True)
    )


def _gradients(value: Any, weights: Sequence[Any], **options: bool) -> tuple[Any, ...]:
    return torch.autograd.grad(value, weights, materialize_grads=True, allow_unused=True, **options)


def _update(optimizer: Any, gradients: dict[Any, Any]) -> dict[Any, Any]:
    """phi of w <- w - eta * phi after these gradients, by a copy of the optimiser that steps from w = 0.

    From its own memory; weights of zero do not decay. Nothing is known here of what the optimiser computes.
    """
    copies: dict[int, Any] = {}
    with torch.no_grad():
        twin = deepcopy(optimizer, copies)
        rate = _rate(optimizer)
        for group in twin.param_groups:
            group["lr"] = float(group["lr"]) / rate if rate else 1.0
        moved = {p: copies[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for p, copy in moved.items():
            copy.zero_()
            copy.grad = gradients[p].to(copy.dtype).clone() if p in gradients else None
        twin.step()
        return {p: -copy.detach() for p, copy in moved.items()}


def _rate(optimizer: Any) -> float:
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    products = [(a * b).sum() for a, b in zip(left, right, strict=True) if a is not None]
    return torch.stack([product.to(products[0].device) for product in products]).sum()


def _measured(pairs: np.ndarray) -> MeasuredStep:
    covariance = np.cov(pairs, rowvar=False) / len(pairs)
    errors = np.sqrt(np.diag(covariance))
    alignment, curvature = pairs.mean(axis=0)
    return MeasuredStep(alignment, curvature, errors[0], errors[1], covariance[0, 1])
