"""What a monitor has to say: numbers, a line for a progress bar, an object for a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np

from lrbs.laws.averaging import ema_noise_factor
from lrbs.noise_scale import NoiseScaleEstimate, noise_scale_from_update_rms

__all__ = ["NoiseReport"]


@dataclass(frozen=True)
class NoiseReport:
    """State of a :class:`~lrbs.torch.NoiseMonitor` after a step.

    Attributes
    ----------
    step : int
        Optimiser steps taken while the monitor was there.
    batch_size : float
        Mean over the short memory, all ranks and micro-batches together; in `unit`. nan before a step.
    unit : str
    recent, long : NoiseScaleEstimate or None
        B_simple over the short and over the long memory; None before the second measured step.
    memories : tuple of float
        Their lengths in measured steps.
    every : int
        One step in so many was measured.
    skipped : int
        Steps that overflowed, were never taken, or had a backward pass without `update`.
    single : int
        Steps of one micro-batch on one rank, which tell nothing of the noise.
    update_rms : float or None
        Adam's, root mean square over the last looks, as many as the short memory has steps; else None.
    from_update_rms : NoiseScaleEstimate or None
        What it says of B_simple, once its log is long enough (:func:`lrbs.noise_scale_from_update_rms`).
    optimizer : str
        Name of its class; of several, the first.
    settings : mapping
        learning_rate, weight_decay, epsilon, betas or momentum of its group with the most weights.
    """

    step: int
    batch_size: float
    unit: str
    recent: NoiseScaleEstimate | None
    long: NoiseScaleEstimate | None
    memories: tuple[float, float]
    every: int
    skipped: int
    single: int
    update_rms: float | None
    from_update_rms: NoiseScaleEstimate | None
    optimizer: str
    settings: Mapping[str, Any]

    @property
    def lagging(self) -> bool:
        """Whether both memories contradict each other: their 95 % intervals have nothing in common."""
        if self.recent is None or self.long is None:
            return False
        (low, high), (long_low, long_high) = self.recent.interval(), self.long.interval()
        return low > long_high or high < long_low

    @property
    def noise_scale(self) -> NoiseScaleEstimate | None:
        """The estimate to use: that of the long memory, or of the short one where the long one lags."""
        return self.recent if self.lagging else self.long

    @property
    def line(self) -> str:
        """For a progress bar."""
        parts = [str(self.noise_scale or "noise scale: two measured steps needed")]
        if self.lagging:
            parts.append("drifting")
        if self.update_rms is not None:
            parts.append(f"update RMS {self.update_rms:.3f}")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, one object a line: ``python -m lrbs plan`` reads such a log.

        Returns
        -------
        dict
            Numbers, words and None alone.
        """
        used = self.noise_scale
        alone = f"{self.single} steps were of one micro-batch on one rank: split them" if self.single else ""
        return {
            "step": self.step,
            "batch_size": self.batch_size if isfinite(self.batch_size) else None,
            "unit": self.unit,
            "noise_scale": _plain(used),
            "contradiction": used.contradiction if used else "",
            "note": used.note if used else alone,
            "noise_scale_recent": _plain(self.recent),
            "noise_scale_long": _plain(self.long),
            "lagging": self.lagging,
            "noise_scale_from_update_rms": _plain(self.from_update_rms),
            "update_rms": self.update_rms,
            "skipped": self.skipped,
            "optimizer": self.optimizer,
            **{name: _finite(value) for name, value in self.settings.items()},
        }

    def __str__(self) -> str:
        rows = [
            (
                f"step {self.step}",
                f"{self.optimizer}, batches of {self.batch_size:g} {self.unit}"
                + (f", one step in {self.every} measured" if self.every > 1 else ""),
            ),
            *(
                (f"last {memory * self.every:g} steps", str(estimate or "two measured steps needed"))
                for memory, estimate in zip(self.memories, (self.recent, self.long), strict=True)
            ),
        ]
        if self.lagging:
            rows.append(("", "the two disagree: the noise scale drifts, the first is nearer"))
        if self.single:
            rows.append((f"{self.single} steps", "of one micro-batch on one rank: a noise scale needs two"))
        if self.skipped:
            rows.append((f"{self.skipped} steps", "left out: not finite, never taken, or without update"))
        if self.update_rms is not None:
            reading = f"; {self.from_update_rms}" if self.from_update_rms else ""
            rows.append(("update RMS", f"{self.update_rms:.4f}{reading}"))
        return "\n".join(f"{name:16}{text}" for name, text in rows)


def read_update_rms(
    log: list[float], betas: Sequence[float], memory: float, batch_size: float, unit: str, every: int
) -> tuple[float | None, NoiseScaleEstimate | None]:
    """Root mean square of Adam's updates over the short memory, and the reading from all of the log.

    The log has the update of every so many steps.
    """
    if not log:
        return None, None
    settled = log[ceil(3 / ema_noise_factor(betas[0]) / every) :]
    rms = float(np.sqrt(np.mean(np.square(log[-int(memory) :]))))
    try:
        return rms, noise_scale_from_update_rms(
            settled, betas[0], batch_size, beta2=betas[1], every=every, unit=unit
        )
    except ValueError:  # too short a log, or not Adam's stationary state
        return rms, None


def settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Of a parameter group, by the names of this package."""
    names = {"lr": "learning_rate", "weight_decay": "weight_decay", "eps": "epsilon"}
    found: dict[str, Any] = {ours: float(group[theirs]) for theirs, ours in names.items() if theirs in group}
    if "momentum" in group:
        found["momentum"] = float(group["momentum"])
    if "betas" in group:
        found["betas"] = [float(beta) for beta in group["betas"]]
    return found


def _finite(value: Any) -> Any:
    """JSON has no word for the others."""
    return None if isinstance(value, float) and not isfinite(value) else value


def _plain(estimate: NoiseScaleEstimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"estimate": None, "low": 0.0, "high": None, "resolved": False}
    low, high = estimate.interval()
    try:
        point: float | None = estimate.point_estimate
    except ValueError:
        point = None
    return {"estimate": point, "low": _finite(low), "high": _finite(high), "resolved": estimate.resolved}
