"""What else moves with the batch: memories, epsilon, decay, warm-up; and what the move costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lrbs import tradeoff
from lrbs.laws.batch_change import decay_for_time_scale, half_life, memory_steps, sde_decay
from lrbs.laws.curves import normalised_batch_size
from lrbs.laws.scaling import square_root_rule
from lrbs.planner.request import Request

__all__ = ["Cost", "Setting", "length", "other_settings", "to_equal_loss"]


@dataclass(frozen=True)
class Setting:
    """A setting beside the learning rate.

    Attributes
    ----------
    name : str
    now, value : float or None
        Before and, as advised, after; None where it was not given.
    principle : str
        By which the advised value was found.
    basis : str
        "proven", "measured here", "literature" or "open".
    low, high : float or None
        Where the advised value hangs on the learning rate: over its range.
    others : mapping from str to float or None
        What other principles say; None where a principle has no answer.
    """

    name: str
    now: float | None
    value: float | None
    principle: str
    basis: str
    low: float | None = None
    high: float | None = None
    others: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Steps or examples at the new batch over those at the present one, or a share; with its interval."""

    value: float | None
    low: float
    high: float


def other_settings(request: Request, new: float, rates: tuple[float, float]) -> list[Setting]:
    """All settings beside the learning rate, given or not, for a range of rates."""
    growth = new / request.batch_size
    found = [_beta(request, name, growth) for name in _memories(request)]
    if request.family == "adam":
        found.append(_epsilon(request, new))
    found += [_weight_decay(request, growth, rates), _warmup(request, growth)]
    if request.ema is not None:
        kept = half_life(request.ema, growth)
        found.append(Setting("EMA of weights", request.ema, kept, "half-life in samples: d^k", "literature"))
    return found


def _memories(request: Request) -> tuple[str, ...]:
    return ("beta1", "beta2") if request.optimizer in ("adam", "adamw", "lion") else ("beta1",)


def _beta(request: Request, name: str, growth: float) -> Setting:
    now: float | None = getattr(request, name)
    principle, basis = {
        "keep": ("kept: it did better here upwards, as well downwards", "measured here"),
        "half-life": ("half-life in samples: beta^k", "literature"),
        "sde": ("SDE: 1 - beta times k", "literature"),
    }[request.betas]
    if now is None:
        return Setting(name, None, None, principle, basis)
    by: dict[str, float | None] = {"keep": now, "half-life": half_life(now, growth)}
    try:
        by["sde"] = sde_decay(now, growth)
    except ValueError as error:
        if request.betas == "sde":
            raise ValueError(f"{name}: {error}; betas may be half-life or keep") from None
        by["sde"] = None
    return Setting(name, now, by.pop(request.betas), principle, basis, others=by)


def _epsilon(request: Request, new: float) -> Setting:
    """Epsilon over the root of E[v] is kept; v falls as 1/B below the noise scale and not at all above it."""
    sums = new / request.batch_size if request.reduction == "sum" else 1.0
    if request.noise_scale is None or request.betas == "sde":
        factor = float(square_root_rule(1.0, request.batch_size / new))
        principle, basis = "SDE: epsilon / sqrt(k), if noise is most of v", "literature"
    else:
        old, there = (
            float(normalised_batch_size(B, request.noise_scale.value)) for B in (request.batch_size, new)
        )
        factor, principle, basis = old / there, "its ratio to the root of E[v] kept", "proven"
    value = None if request.epsilon is None else request.epsilon * factor * sums
    return Setting("epsilon", request.epsilon, value, principle, basis)


def _weight_decay(request: Request, growth: float, rates: tuple[float, float]) -> Setting:
    now = request.weight_decay
    if request.optimizer == "adam":
        factor = growth if request.reduction == "sum" else 1.0
        value = None if now is None else now * factor
        principle = "coupled, inside the gradient: Adam's step hides its time scale"
        return Setting("weight decay", now, value, principle, "open")
    principle, basis = "time scale of decay, 1 / (rate decay), in samples", "literature"
    if now is None:
        return Setting("weight decay", None, None, principle, basis)
    by_rate = [
        decay_for_time_scale(now, request.learning_rate, rate, growth)
        for rate in (rates[1], math.sqrt(rates[0] * rates[1]), rates[0])
    ]
    return Setting("weight decay", now, by_rate[1], principle, basis, by_rate[0], by_rate[2])


def _warmup(request: Request, growth: float) -> Setting:
    beta2 = request.beta2 if request.betas == "keep" else _advised_beta2(request, growth)
    memory = memory_steps(beta2) if beta2 and request.family == "adam" else None
    principle, now = "as many samples, but no fewer steps than the memory 2 / (1 - beta2)", request.warmup
    if now is None:
        return Setting("warm-up", None, None, principle, "open", low=memory)
    # A warm-up that is shorter than the memory already has shown that it will do.
    value = math.ceil(round(max(now / growth, min(now, memory or 0.0)), 9))
    return Setting("warm-up", now, value, principle, "open", low=memory)


def _advised_beta2(request: Request, growth: float) -> float | None:
    return None if request.beta2 is None else _beta(request, "beta2", growth).value


def to_equal_loss(request: Request, new: float) -> tuple[Cost, Cost, Cost]:
    """Steps and examples to one loss against the present batch, and the efficiency E_min/E at the new one."""
    k, scale = new / request.batch_size, request.noise_scale
    if scale is None:
        steps = Cost(None, min(1.0, 1 / k), max(1.0, 1 / k))
        return steps, Cost(None, min(1.0, k), max(1.0, k)), Cost(None, 0.0, 1.0)
    points = np.array([scale.value, scale.low, scale.high])
    ratios = [
        law(new, 1.0, points) / law(request.batch_size, 1.0, points)
        for law in (tradeoff.steps, tradeoff.examples)
    ]
    steps, examples, efficiency = (
        Cost(float(each[0]), float(each.min()), float(each.max()))
        for each in (*ratios, points / tradeoff.examples(new, 1.0, points))
    )
    return steps, examples, efficiency


def length(request: Request, new: float) -> tuple[Cost, Cost]:
    """Steps and examples of the new run against the present one, with what is fixed."""
    k = new / request.batch_size
    if request.fixed == "loss":
        return to_equal_loss(request, new)[:2]
    steps = 1.0 if request.fixed == "steps" else 1 / k
    return Cost(steps, steps, steps), Cost(k * steps, k * steps, k * steps)
