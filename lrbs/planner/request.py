"""What a plan is asked for: a run that is, batch sizes to come, and where the noise scale is from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.update_rms import signal_from_update_rms
from lrbs.noise_scale import NoiseScaleEstimate, noise_scale_from_momentum, noise_scale_from_update_rms
from lrbs.noise_scale.estimate import CAUSES
from lrbs.noise_scale.logs import signal_of_norms
from lrbs.validation import fraction, non_negative, positive, real_array

__all__ = ["NoiseScale", "Request", "from_log", "noise_scale_of"]

# By family: what an update is made of decides which laws can hold.
FAMILIES = {
    "sgd": "gradient",
    "signsgd": "sign",
    "lion": "sign",
    "adam": "adam",
    "adamw": "adam",
    "muon": "muon",
}
FIXED, UNITS, REDUCTIONS = ("examples", "steps", "loss"), ("sequences", "samples", "tokens"), ("mean", "sum")
BETAS = ("keep", "half-life", "sde")


@dataclass(frozen=True)
class NoiseScale:
    """B_simple with the ends of its interval, in the unit of the plan, and where it is from."""

    value: float
    low: float
    high: float
    source: str
    has_interval: bool = True

    def __post_init__(self) -> None:
        value, low, high = (
            float(positive(getattr(self, name), f"noise_scale ({name})", 0))
            for name in ("value", "low", "high")
        )
        if not low <= value <= high:
            raise ValueError(
                f"noise_scale must lie within its interval; got {value:g} and {low:g} to {high:g}"
            )

    def times(self, factor: float) -> NoiseScale:
        """The same in another unit."""
        return NoiseScale(
            self.value * factor, self.low * factor, self.high * factor, self.source, self.has_interval
        )


@dataclass(frozen=True)
class Request:
    """A run as it is, checked; :func:`lrbs.plan` says what each of them is."""

    optimizer: str
    batch_size: float
    learning_rate: float
    fixed: str = "examples"
    unit: str = "sequences"
    sequence_length: float | None = None
    reduction: str = "mean"
    betas: str = "keep"
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    ema: float | None = None
    parameters: float | None = None
    tokens: float | None = None
    noise_scale: NoiseScale | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("optimizer", tuple(FAMILIES)),
            ("fixed", FIXED),
            ("unit", UNITS),
            ("reduction", REDUCTIONS),
            ("betas", BETAS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}")
        if (self.parameters is None) != (self.tokens is None):
            raise ValueError(f"parameters and tokens go together; got {self.parameters} and {self.tokens}")
        for name in ("batch_size", "learning_rate", "sequence_length", "parameters", "tokens"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name, ndim=0)
        for name in ("beta1", "beta2", "ema"):
            if getattr(self, name) is not None:
                fraction(getattr(self, name), name)
        for name in ("epsilon", "weight_decay", "warmup"):
            if getattr(self, name) is not None:
                non_negative(getattr(self, name), name)

    @property
    def family(self) -> str:
        """gradient, sign, adam or muon."""
        return FAMILIES[self.optimizer]

    @property
    def momentum(self) -> float:
        """beta_1 as the laws with memory take it: 0.9 unless given, 0 for SGD."""
        return self.beta1 if self.beta1 is not None else (0.0 if self.family == "gradient" else 0.9)


def noise_scale_of(
    request: Request,
    noise_scale: float | NoiseScaleEstimate | None,
    interval: Sequence[float] | None,
    update_rms: ArrayLike | None,
    momentum_norms: tuple[ArrayLike, ArrayLike] | None,
) -> NoiseScale | None:
    """The noise scale from the one source that is given, or nothing if none is."""
    sources = {"noise_scale": noise_scale, "update_rms": update_rms, "momentum_norms": momentum_norms}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"give one source of the noise scale; got {' and '.join(given)}")
    if interval is not None and (noise_scale is None or isinstance(noise_scale, NoiseScaleEstimate)):
        raise ValueError("noise_scale_interval goes with a number as noise_scale; got none")
    if isinstance(noise_scale, NoiseScaleEstimate):
        factor = unit_factor(noise_scale.unit, request.unit, request.sequence_length)
        return _resolved(noise_scale, "an estimate").times(factor)
    if noise_scale is not None:
        value = float(positive(noise_scale, "noise_scale", 0))
        if interval is None:
            return NoiseScale(value, value, value, "given", has_interval=False)
        low, high = real_array(interval, "noise_scale_interval", 1).tolist()
        return NoiseScale(value, low, high, "given")
    if update_rms is not None:
        return _from_update_rms(request, update_rms)
    if momentum_norms is not None:
        return _from_norms(request, momentum_norms)
    return None


def _from_update_rms(request: Request, update_rms: ArrayLike) -> NoiseScale:
    if request.family != "adam":
        raise ValueError(f"update_rms is read for Adam and AdamW; got optimizer {request.optimizer!r}")
    values, beta1 = np.atleast_1d(real_array(update_rms, "update_rms")), request.momentum
    if values.size > 1:
        estimate = noise_scale_from_update_rms(values, beta1, request.batch_size, beta2=request.beta2)
        return _resolved(estimate, "the update RMS")
    signal = float(signal_from_update_rms(values[0], beta1, request.beta2))
    return _from_signal(request, signal, f"update_rms = {values[0]:g}", "the update RMS")


def _from_norms(request: Request, norms: Any) -> NoiseScale:
    if np.isscalar(norms) or len(norms) != 2:
        raise ValueError(f"momentum_norms must be a pair, |m| and |g|; got {norms!r}")
    momentum_norms, gradient_norms = norms
    m, g = (np.atleast_1d(positive(v, n)) for v, n in ((momentum_norms, "|m|"), (gradient_norms, "|g|")))
    if request.momentum == 0:
        raise ValueError("momentum_norms need an average over time: give beta1 above 0")
    if m.size > 1 or g.size > 1:
        estimate = noise_scale_from_momentum(m, g, request.momentum, request.batch_size)
        return _resolved(estimate, "the norms of momentum and gradient")
    signal = signal_of_norms(m[0], g[0], request.momentum)
    what = f"|m| / |g| = {m[0] / g[0]:.3g}"
    return _from_signal(request, signal, what, "the norms of momentum and gradient")


def _from_signal(request: Request, signal: float, what: str, source: str) -> NoiseScale:
    """B / B_simple turned round; a signal that is not there is no noise scale."""
    if signal <= 0:
        raise ValueError(
            f"the noise scale is not resolved: {what} is not above the level of pure noise at "
            f"beta1 = {request.momentum:g}. Average over more steps, or measure it from micro-batches"
        )
    scale = request.batch_size / signal
    return NoiseScale(scale, scale, scale, source, has_interval=False)


def _resolved(estimate: NoiseScaleEstimate, source: str) -> NoiseScale:
    return NoiseScale(estimate.simple_noise_scale, *estimate.interval(), source)


# ------------------------------------------------------------------------------------------- the log
def from_log(
    path: str | Path, given: Mapping[str, Any], *, with_noise_scale: bool = True
) -> tuple[dict[str, Any], NoiseScale | None]:
    """Parameters of a request from a log of JSON lines, below those that are given, and its noise scale.

    The last line that holds a key counts; for the learning rate, which a schedule moves, the highest does.
    Where steps go back another run begins, and those before it do not count. A last line that is cut off, as
    a run that is killed leaves it, is passed over.
    """
    found: dict[str, Any] = {}
    if not Path(path).exists():
        raise ValueError(
            f"there is no log {path}: the monitor writes a line every log_every steps, 50 if not told"
        )
    lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError(f"a {type(entry).__name__}")
        except ValueError as error:
            if number == len(lines) > 1:
                break
            raise ValueError(
                f"{path} must hold one JSON object a line; line {number}: {error}: take that line out"
            ) from None
        step = entry.get("step")
        if step is not None and _number(path, "step", step) <= found.get("step", -1):
            found = {}
        rates = [e["learning_rate"] for e in (found, entry) if e.get("learning_rate") is not None]
        found.update({name: value for name, value in entry.items() if value is not None})
        if rates:
            found["learning_rate"] = max(rates)
    if not found:
        raise ValueError(f"{path} must hold one JSON object a line; it is empty")
    for name in ("batch_size", "learning_rate", "momentum", "epsilon", "weight_decay", "update_rms"):
        if name in found:
            _number(path, name, found[name])
    if "betas" in found:
        betas = found.pop("betas")
        if not isinstance(betas, list) or len(betas) != 2:
            raise ValueError(f"betas in {path} must be a list of two numbers; got {betas!r}")
        found["beta1"], found["beta2"] = (_number(path, "betas", beta) for beta in betas)
    elif "momentum" in found:
        found["beta1"] = found["momentum"]
    if "optimizer" in found:
        found["optimizer"] = str(found["optimizer"]).lower()
    names = {field.name for field in fields(Request)} - {"betas", "noise_scale"}
    merged = {name: found[name] for name in names if name in found} | dict(given)
    scale = _logged_scale(path, found) if with_noise_scale else None
    factor = unit_factor(found.get("unit"), merged.get("unit"), merged.get("sequence_length"))
    if "batch_size" in found and "batch_size" not in given:
        merged["batch_size"] = found["batch_size"] * factor
    if scale is None and "update_rms" in found and FAMILIES.get(merged.get("optimizer", "")) == "adam":
        merged["update_rms"] = found["update_rms"]
    return merged, scale and scale.times(factor)


def _number(path: str | Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} in {path} must be a number; got {value!r}")
    return value


def _logged_scale(path: str | Path, found: Mapping[str, Any]) -> NoiseScale | None:
    logged, step = found.get("noise_scale"), found.get("step", "unknown")
    if logged is None:
        return None
    if not isinstance(logged, dict):
        raise ValueError(
            f"noise_scale in {path} must be an object with estimate, low, high, resolved; got {logged!r}"
        )
    ends = [logged.get(name) for name in ("estimate", "low", "high")]
    value, low, high = (np.nan if number is None else float(number) for number in ends)
    without = "A plan without it takes optimizer, batch and learning rate in place of the log"
    if found.get("contradiction"):
        raise ValueError(
            f"the noise scale in {path} is {found['contradiction']}, at step {step}: more steps will not "
            f"mend that. {CAUSES} {without}"
        )
    if not (logged.get("resolved", True) and np.isfinite([value, low, high]).all()):
        bound = f"known to be above {low:.3g}" if 0 < low < np.inf else "not known at all"
        more = found.get("note") or "let the monitor run on, or take larger batches"
        raise ValueError(
            f"the noise scale in {path} is not resolved at its last step, {step}: it is {bound}; {more}. "
            f"{without}"
        )
    drifts = ", where it drifts" if found.get("lagging") else ""
    skips = f", {found['skipped']} steps skipped" if found.get("skipped") else ""
    return NoiseScale(value, low, high, f"the log, step {step}{drifts}{skips}")


def unit_factor(logged: str | None, wanted: str | None, sequence_length: float | None) -> float:
    """What turns a count in the unit that was measured into one of the plan's; sequences are samples."""
    in_tokens = logged == "tokens"
    if logged is None or wanted is None or in_tokens == (wanted == "tokens"):
        return 1.0
    if sequence_length is None:
        raise ValueError(
            f"what was measured counts {logged} and the plan {wanted}: give sequence_length, in tokens"
        )
    length = float(positive(sequence_length, "sequence_length", 0))
    return 1 / length if in_tokens else length
