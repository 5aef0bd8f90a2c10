"""A plan: for each new batch size a range, its reasons, what it costs, the runs that would settle it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.batch_change import memory_steps
from lrbs.noise_scale import NoiseScaleEstimate
from lrbs.planner import tables
from lrbs.planner.evidence import BEST_RATES
from lrbs.planner.rates import rate_range, rules
from lrbs.planner.request import NoiseScale, Request, from_log, noise_scale_of
from lrbs.planner.settings import Setting, length, other_settings, to_equal_loss
from lrbs.planner.target import Target, plain
from lrbs.sweeps.table import step_law
from lrbs.validation import positive

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, repr=False)
class Plan:
    """What :func:`lrbs.plan` returns; it prints as a table, in a notebook too.

    Attributes
    ----------
    request : Request
        The run as it is.
    targets : tuple of Target
        One for each new batch size.
    """

    request: Request
    targets: tuple[Target, ...]

    def as_list(self) -> list[dict[str, Any]]:
        """The plan as JSON has it.

        Returns
        -------
        list of dict
            One for each new batch size; `run` is the present one, its noise scale and unit with it.
        """
        run = plain(asdict(self.request))
        return [{**target.as_dict(), "run": run} for target in self.targets]

    def __str__(self) -> str:
        return tables.text(self.request, self.targets)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.html(self.request, self.targets)


def plan(
    optimizer: str | None = None,
    *,
    batch_size: float | None = None,
    to: float | Sequence[float],
    learning_rate: float | None = None,
    noise_scale: float | NoiseScaleEstimate | None = None,
    noise_scale_interval: Sequence[float] | None = None,
    update_rms: ArrayLike | None = None,
    momentum_norms: tuple[ArrayLike, ArrayLike] | None = None,
    log: str | Path | None = None,
    fixed: str = "examples",
    unit: str | None = None,
    sequence_length: float | None = None,
    reduction: str = "mean",
    betas: str = "keep",
    beta1: float | None = None,
    beta2: float | None = None,
    epsilon: float | None = None,
    weight_decay: float | None = None,
    warmup: float | None = None,
    ema: float | None = None,
    parameters: float | None = None,
    tokens: float | None = None,
) -> Plan:
    """What to do when the batch size of a run changes: a range of learning rates, reasons, other settings.

    Parameters
    ----------
    optimizer : {"sgd", "signsgd", "lion", "adam", "adamw", "muon"}
    batch_size : float
        Of the run that is: all that one step of the optimiser sees, micro-batch times accumulation steps
        times workers.
    to : float or sequence of float
        New batch sizes, larger or smaller.
    learning_rate : float
        Of the run that is; taken for the best one at that batch.
    noise_scale : float or NoiseScaleEstimate, optional
        B_simple, in `unit`; an estimate brings its own, and takes `sequence_length` from tokens to
        sequences. Without any source of it the range is wider, or that of the public sweeps.
    noise_scale_interval : (low, high), optional
        Of a noise scale that is a number.
    update_rms : array_like, optional
        Of Adam's updates, one number or one a step: the noise scale is read off it.
    momentum_norms : (|m|, |g|), optional
        Norms of the averaged and of the batch gradient, numbers or one a step: likewise, for any momentum.
    log : str or Path, optional
        Of the monitor, JSON lines: all that is not given here is taken from it.
    fixed : {"examples", "steps", "loss"}
        What the new run shares with the present one.
    unit : {"sequences", "samples", "tokens"}
        What batch sizes and noise scales count; sequences unless the log says otherwise.
    sequence_length : float, optional
        In tokens.
    reduction : {"mean", "sum"}
        Whether the loss is a mean over the batch or a sum.
    betas : {"keep", "half-life", "sde"}
        By which principle the decays of the optimiser's averages change.
    beta1, beta2, epsilon, weight_decay, warmup, ema : float, optional
        As they are; `beta1` is the momentum of SGD and Muon, `warmup` is in steps, `ema` is the decay of an
        average of weights.
    parameters, tokens : float, optional
        Size of a language model and the tokens that it is trained on: with both, the range of the public
        sweeps is narrower.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        For what is missing, negative or out of range; for a noise scale that is not resolved; for
        k (1 - beta) >= 1 with ``betas="sde"``.

    Examples
    --------
    >>> there = plan("sgd", batch_size=32, to=64, learning_rate=0.1, noise_scale=6400)
    >>> target = there.targets[0]
    >>> [round(rate, 2) for rate in target.range]
    [0.16, 0.25]
    """
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("optimizer", optimizer.lower() if isinstance(optimizer, str) else optimizer),
            ("batch_size", batch_size),
            ("learning_rate", learning_rate),
            ("unit", unit),
            ("sequence_length", sequence_length),
            ("beta1", beta1),
            ("beta2", beta2),
            ("epsilon", epsilon),
            ("weight_decay", weight_decay),
            ("warmup", warmup),
            ("ema", ema),
            ("parameters", parameters),
            ("tokens", tokens),
        )
        if value is not None
    }
    logged: NoiseScale | None = None
    other_source = any(source is not None for source in (noise_scale, update_rms, momentum_norms))
    if log is not None:
        given, logged = from_log(log, given, with_noise_scale=not other_source)
    read_rms = given.pop("update_rms", None)
    if not other_source:
        update_rms = read_rms
    for name in ("optimizer", "batch_size", "learning_rate"):
        if name not in given:
            raise ValueError(f"{name} is missing{'' if log is None else ', and the log does not hold it'}")
    request = Request(fixed=fixed, reduction=reduction, betas=betas, **given)
    scale = noise_scale_of(request, noise_scale, noise_scale_interval, update_rms, momentum_norms) or logged
    request = Request(**{**vars(request), "noise_scale": scale})
    sizes = np.atleast_1d(positive(to, "to")).tolist()
    if not sizes:
        raise ValueError("to must hold a batch size or more; got none")
    from_file = log is not None and learning_rate is None
    return Plan(request, tuple(_target(request, size, from_file) for size in sizes))


def _target(request: Request, new: float, from_file: bool) -> Target:
    low, high, reason = rate_range(request, new)
    settings = other_settings(request, new, (low, high))
    steps, examples = length(request, new)
    return Target(
        new,
        new / request.batch_size,
        (low, high),
        reason,
        rules(request, new),
        steps,
        examples,
        to_equal_loss(request, new)[2],
        _worth(request, new),
        settings,
        (low, math.sqrt(low * high), high),
        _trial_steps(settings),
        _notes(request, new, from_file),
    )


def _worth(request: Request, new: float) -> str:
    """By steps against examples: whether any batch in this direction can gain a factor of two."""
    size, scale = request.batch_size, request.noise_scale
    steps, examples, _ = to_equal_loss(request, new)
    price = f"to equal loss, steps {tables.times(steps)} and examples {tables.times(examples)}"
    if new == size:
        return "nothing changes"
    if scale is None:
        return f"open without a noise scale: {price}"
    up = new > size
    beyond, within = (
        (size >= scale.high, size <= scale.low) if up else (size <= scale.low, size >= scale.high)
    )
    gain = (
        "a larger batch, however large, halves the steps"
        if up
        else "a smaller batch, however small, halves the examples"
    )
    where = "above" if up else "below"
    if beyond:
        return f"leave the batch, if you can: it is {where} the noise scale, where no {gain[2:]}; {price}"
    if within:
        return f"yes, if {'time' if up else 'data or compute'} is dear: {price}"
    return f"open: the batch lies within the interval of the noise scale; {price}"


def _trial_steps(settings: Sequence[Setting]) -> float | None:
    """Past the warm-up, and two memories of the second average."""
    by_name = {setting.name: setting.value for setting in settings}
    warmup, beta2 = by_name.get("warm-up"), by_name.get("beta2")
    if warmup is None and beta2 is None:
        return None
    return math.ceil((warmup or 0) + 2 * (memory_steps(beta2) if beta2 is not None else 0))


def _notes(request: Request, new: float, from_file: bool) -> list[str]:
    scale = request.noise_scale
    now = tables.short(request.learning_rate)
    notes = [
        f"The range stands on {now} being the best rate at the present batch: what that is off by, the "
        "range is off by too."
    ]
    if from_file:
        notes.append("That rate is the highest in the log: a schedule moves it.")
    if scale is None and request.family == "adam" and request.fixed != "steps":
        notes.append(
            "Without a noise scale the range has all that the public sweeps did; one that agrees with them "
            "leaves it so or narrows it."
        )
    elif scale is None:
        notes.append("Without a noise scale no law of one step can narrow the range: it is wider for it.")
    elif not scale.has_interval:
        notes.append(
            f"The noise scale, {tables.short(scale.value)}, came without an interval and is taken as exact."
        )
    if scale is not None and "update RMS" in scale.source:
        notes.append("Read off the update RMS, which takes one ratio of signal to noise for all weights.")
    if scale is not None and "norms" in scale.source:
        notes.append(
            "Read off two norms: where the gradient turns within the memory of the average, as at large "
            "learning rates, it is too large."
        )
    if request.family in ("sign", "adam", "muon") and request.beta1 is None:
        notes.append(f"beta1 was not given; laws with memory take {request.momentum:g}.")
    if new < request.batch_size:
        notes.append(
            "Fewer devices do not ask for a smaller batch: gradient accumulation keeps the batch, and with "
            "it all settings."
        )
    if request.fixed != "loss":
        notes.append(
            "By the laws the smaller batch is always the thriftier; the public sweeps, at a fixed number of "
            "tokens, have a best batch all the same."
        )
    told = request.sequence_length is not None or request.unit == "tokens"
    if request.family == "adam" and request.fixed != "steps" and not told:
        notes.append(
            f"The public sweeps counted sequences of 2048 tokens, and {request.unit} are taken to be as "
            "long: sequence_length says otherwise."
        )
    if request.family == "adam" and request.fixed == "examples":
        low, high = (end(sweep.best_batch for sweep in step_law()) for end in (min, max))
        notes.append(
            f"In the public sweeps the loss of a run was lowest near the corner, at {low:.0f} to {high:.0f} "
            "sequences of 2048 tokens: beyond it a larger batch saves time and costs loss."
        )
    if request.betas == "sde":
        notes.append(
            "The SDE's betas go with its square-root rate and no other: try that one, also where the range "
            "does not hold it."
        )
    if request.optimizer == "muon":
        notes.append("Weights that Muon leaves to AdamW (embeddings, biases) want a plan of their own.")
        fall = BEST_RATES["muon"][0][-1] / BEST_RATES["muon"][0][-2]
        notes.append(
            f"In runs of this book Muon's best rate fell, x {fall:.2f}, from a batch near the noise scale to "
            "one of four times it, as no curve here does. Where the lowest trial is best, go on down."
        )
    if request.reduction == "sum":
        notes.append(
            "The loss is a sum: SGD's rate is divided by k besides, epsilon and coupled decay grow as k."
        )
    notes.append("Count schedules in examples, not in steps, the more so if the batch ramps.")
    return notes
