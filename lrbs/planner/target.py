"""What there is to do at one new batch size."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lrbs.planner.rates import Rule
from lrbs.planner.settings import Cost, Setting

__all__ = ["Target", "plain"]


@dataclass(frozen=True)
class Target:
    """What there is to do at one new batch size.

    Attributes
    ----------
    batch_size : float
    growth : float
        New batch size over the present one.
    range : (float, float)
        Lowest and highest learning rate to try.
    reason : str
        Where the range is from.
    rules : list of Rule
        Each rule's answer, those that do not apply as well.
    steps, examples : Cost
        Of the new run over those of the present one.
    efficiency : Cost
        E_min/E, the share of the examples that a small batch would need for the same loss.
    worth : str
        Whether the change is worth it.
    settings : list of Setting
        All but the learning rate.
    trial_rates : tuple of float
        Of the three short runs.
    trial_steps : float or None
        Least length of each; None where no beta_2 and no warm-up was given.
    notes : list of str
    """

    batch_size: float
    growth: float
    range: tuple[float, float]
    reason: str
    rules: list[Rule]
    steps: Cost
    examples: Cost
    efficiency: Cost
    worth: str
    settings: list[Setting]
    trial_rates: tuple[float, float, float]
    trial_steps: float | None
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The target as plain numbers, lists and words.

        Returns
        -------
        dict
            None stands for what is not known.
        """
        names = {"beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"}
        names |= {"weight decay": "weight_decay", "warm-up": "warmup", "EMA of weights": "ema"}
        advised: dict[str, float | None] = dict.fromkeys(names.values())
        advised |= {names[each.name]: each.value for each in self.settings}
        whole: dict[str, Any] = plain(asdict(self) | advised)
        return whole


def plain(value: Any) -> Any:
    """For JSON: lists, and None for nan."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
