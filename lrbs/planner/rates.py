"""The learning rate by each rule, whether the rule applies, and the range to try that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lrbs.laws.adam_curves import adam_law
from lrbs.laws.batch_change import sde_decay
from lrbs.laws.corner import corner_law
from lrbs.laws.curves import normalised_batch_size
from lrbs.laws.momentum import effective_batch_size
from lrbs.laws.scaling import linear_rule, square_root_rule
from lrbs.laws.sgd import saturation
from lrbs.model import LocalModel
from lrbs.planner.evidence import EXPONENT, MARGIN, REACH, Runs, forty_steps, transformer
from lrbs.planner.request import Request
from lrbs.sweeps.prediction import RateRange
from lrbs.sweeps.prediction import rate_range as rates_of_sweeps
from lrbs.validation import Array

__all__ = ["OTHERS", "Rule", "rate_range", "rules"]

Law = Callable[[float, Array], Array]  # a curve in the batch size, at each of several noise scales
OTHERS = "for another optimiser"
POINTS = 129  # noise scales between the ends of an interval


@dataclass(frozen=True)
class Rule:
    """What one rule says of the new batch size.

    Attributes
    ----------
    name : str
    learning_rate : float or None
        None where it takes a noise scale and none is known.
    low, high : float
        Over the interval of the noise scale, or over all noise scales if none is known; nan where the rule
        has no answer.
    applies : bool or None
        None where that cannot be told from what was given.
    assumption, because : str
        What the rule assumes, and why it applies here or does not.
    basis : str
        "proven", "measured here", "literature" or "assumed".
    """

    name: str
    learning_rate: float | None
    low: float
    high: float
    applies: bool | None
    assumption: str
    because: str
    basis: str


def rules(request: Request, new: float) -> list[Rule]:
    """Every rule at a new batch size, those that do not apply as well."""
    found = [
        _linear(request, new),
        _square_root(request, new),
        *_one_step(request, new),
        *_runs(request, new),
    ]
    if request.family == "adam":
        found += [_corner(request, new), _sweeps(request, new)]
    return found


def rate_range(request: Request, new: float) -> tuple[float, float, str]:
    """Lowest and highest learning rate to try, and in words where they are from."""
    known = request.noise_scale is not None
    law = _saturation if request.family == "gradient" else normalised_batch_size
    width = f"a bend within a factor of {REACH:g} of the noise scale" if known else "any noise scale"
    one_step = _widened(_over(request, new, law, REACH))
    why = f"{'SGD' if request.family == 'gradient' else 'the sign law'}, {width}"
    if request.family == "adam" and request.fixed != "steps":
        at_equal_examples, reason = _at_equal_examples(request, new)
        if request.fixed == "examples":
            return *at_equal_examples, reason
        one_step = _hull(one_step, at_equal_examples)
        why = f"{why}; and {reason} for equally many examples"
    runs = [rule for rule in _runs(request, new) if rule.applies is not False]
    for rule in runs:
        one_step = _hull(one_step, (rule.low, rule.high))
    if runs:
        why += f"; and what runs of this book did ({', '.join(rule.name for rule in runs)})"
    return *one_step, f"{why}, and {100 * (MARGIN - 1):.0f} % beyond for what best rates scatter"


def _at_equal_examples(request: Request, new: float) -> tuple[tuple[float, float], str]:
    """What the sweeps did, as far as a corner near the noise scale allows it.

    Where that corner lies is assumed. So it rules out nothing that best rates scatter about the centre of the
    sweeps, and where it lies beyond all that they did, the range reaches to it.
    """
    sweeps, reason = _from_sweeps_of(request, new), "what the public sweeps did"
    centre, lowest, highest = (float(rate) for rate in sweeps)
    if request.noise_scale is None:
        return (lowest, highest), reason
    corner = _widened(_over(request, new, _corner_of, REACH))
    low, high = max(corner[0], lowest), min(corner[1], highest)
    near = f"a corner within a factor of {REACH:g} of the noise scale"
    if low > high:
        reason += f", and on to {near}, which contradicts them: the runs decide"
    else:
        reason += f", {'which fits' if (low, high) == (lowest, highest) else 'narrowed by'} {near}"
    inner = max(centre / MARGIN, lowest), min(centre * MARGIN, highest)
    return (min(low, high, inner[0]), max(low, high, inner[1])), reason


# ---------------------------------------------------------------------------------------- the rules
def _linear(request: Request, new: float) -> Rule:
    rate = float(linear_rule(request.learning_rate, new / request.batch_size)) * _in_sums(request, new)
    applies, because = _limit_holds(request, new, _saturation, rate, "gradient")
    return Rule(
        "linear", rate, rate, rate, applies, "SGD, far below the noise scale", because, "proven, one step"
    )


def _square_root(request: Request, new: float) -> Rule:
    rate = float(square_root_rule(request.learning_rate, new / request.batch_size)) * _in_sums(request, new)
    applies, because = _limit_holds(request, new, normalised_batch_size, rate, "sign")
    if request.family == "adam":
        because += "; as an SDE it goes with its own betas and epsilon" + _no_betas(request, new)
        if applies and request.fixed == "examples":
            applies, because = None, f"{because}; the public sweeps rise faster below their corners"
    assumption = "signs, far below the noise scale; Adam's SDE (arXiv 2205.10287)"
    return Rule("square root", rate, rate, rate, applies, assumption, because, "literature")


def _no_betas(request: Request, new: float) -> str:
    for name in ("beta1", "beta2"):
        if getattr(request, name) is not None:
            try:
                sde_decay(getattr(request, name), new / request.batch_size)
            except ValueError:
                return f", and has no {name} for so large a step"
    return ""


def _one_step(request: Request, new: float) -> list[Rule]:
    """Laws of one step in the noise scale."""
    memory = request.momentum
    gradient, adam = request.family == "gradient", request.family == "adam"
    no_signs = "the update of SGD is no sign"
    sgd = (gradient, "SGD's law of one step" if gradient else OTHERS)
    if gradient:
        sign = (False, no_signs)
    elif adam and request.fixed == "examples":
        sign = (False, "at equal examples a corner describes the public sweeps better")
    else:
        sign = (True, "signs and Adam without memory" if adam else "a sign, in this basis or another")
    late = (False, "in runs here momentum moved best rates far less at small batches")
    adams = (False, "falls where runs here and the public sweeps rise" if adam else OTHERS)
    laws: list[tuple[str, Law, tuple[bool, str], str, str]] = [
        ("SGD's saturation", _saturation, sgd, "one step, B_simple for B_noise", "proven, one step"),
        (
            "saturation with momentum",
            lambda B, scale: _saturation(float(effective_batch_size(B, memory)), scale),
            late if gradient else (False, OTHERS),
            "one step, momentum as a larger batch",
            "proven, one step",
        ),
        (
            "sign law",
            normalised_batch_size,
            sign,
            "mean field, one ratio of signal to noise",
            "measured here",
        ),
        (
            "sign law with momentum",
            lambda B, scale: normalised_batch_size(effective_batch_size(B, memory), scale),
            (False, no_signs) if gradient else late,
            "one step, momentum as a larger batch",
            "measured here",
        ),
        (
            "Adam's law of one step",
            lambda B, scale: _adam_of(B, scale, memory),
            adams,
            "parameters that are strangers, full averages",
            "measured here",
        ),
    ]
    if memory == 0:
        laws = [law for law in laws if "momentum" not in law[0] and "Adam" not in law[0]]
    return [_from_law(request, new, *law) for law in laws]


def _from_law(
    request: Request, new: float, name: str, law: Law, verdict: tuple[bool, str], assumption: str, basis: str
) -> Rule:
    applies: bool | None
    applies, because = verdict
    if applies and request.noise_scale is None:
        applies, because = None, f"{because}; the noise scale is not known"
    return Rule(name, _at(request, new, law), *_over(request, new, law), applies, assumption, because, basis)


def _runs(request: Request, new: float) -> list[Rule]:
    found = (_forty_steps(request, new), _transformer(request, new))
    return [rule for rule in found if rule is not None]


def _forty_steps(request: Request, new: float) -> Rule:
    applies, because = (True, "same kind of rule, same B / B_simple, but another network")
    if request.fixed != "steps":
        applies, because = False, f"they hold steps fixed, not {request.fixed}"
    assumption = "40 steps of a small network, placed by B / B_simple"
    return _placed(request, new, forty_steps(request.family), "forty steps", assumption, applies, because)


def _transformer(request: Request, new: float) -> Rule | None:
    runs = transformer(request.family, request.fixed)
    if runs is None:
        return None
    applies, because = True, f"whole runs at equal {request.fixed}, but small ones"
    if request.family == "adam" and request.fixed == "examples":
        applies, because = False, "the public sweeps are the nearer witness"
    assumption = "a transformer of 16 thousand weights, placed by B / B_simple"
    return _placed(request, new, runs, "small transformer", assumption, applies, because)


def _placed(
    request: Request, new: float, runs: Runs, name: str, assumption: str, applies: bool | None, because: str
) -> Rule:
    """Runs of this book, placed by the noise scale: as much of its interval as they cover."""
    unit, scale = request.learning_rate * _in_sums(request, new), request.noise_scale
    grid = _grid(request, new, 1.0, bends=runs.at(request.batch_size, new))
    factors, errors = runs.factor(request.batch_size, new, grid)
    covered = np.isfinite(factors)
    ends = [unit * factors[covered] * np.exp(side * errors[covered]) for side in (-2, 2)]
    low, high = (float(ends[0].min()), float(ends[1].max())) if covered.any() else (np.nan, np.nan)
    rate = None
    if scale is not None:
        found = unit * float(runs.factor(request.batch_size, new, scale.value)[0])
        rate = None if np.isnan(found) else found
    if not covered.any():
        applies, because = False, "a batch lies outside those that were run"
    elif applies and scale is None:
        applies, because = None, "where they lie takes the noise scale, which is not known"
    return Rule(name, rate, low, high, applies, assumption, because, "measured here")


def _corner(request: Request, new: float) -> Rule:
    law = (request.fixed != "steps", "where the corner lies, nobody has measured: a guess to be tried")
    assumption = f"the sweeps' corner within a factor of {REACH:g} of the noise scale"
    found = _from_law(request, new, "corner at B_simple", _corner_of, law, assumption, "assumed")
    low, high = _over(request, new, _corner_of, REACH)
    return Rule(
        found.name, found.learning_rate, low, high, found.applies, assumption, found.because, "assumed"
    )


def _sweeps(request: Request, new: float) -> Rule:
    centre, low, high = (float(rate) for rate in _from_sweeps_of(request, new))
    applies, because = {
        "examples": (True, "AdamW, equal examples; their recipe is one among many"),
        "loss": (None, "they hold examples fixed; the nearest evidence there is"),
        "steps": (False, "they hold examples fixed, not steps"),
    }[request.fixed]
    if applies and request.unit == "samples" and request.sequence_length is None:
        applies, because = None, "how many tokens a sample has was not said: taken for 2048"
    known = ", placed by size and tokens" if request.parameters is not None else ""
    assumption = f"ten sweeps of language models{known}, betas kept, cosine to the end"
    return Rule("public sweeps", centre, low, high, applies, assumption, because, "literature")


# ------------------------------------------------------------------------------------------- helpers
def _saturation(batch_size: float, noise_scale: Array) -> Array:
    return saturation(batch_size, 1.0, noise_scale)


def _corner_of(batch_size: float, corner: Array) -> Array:
    return corner_law(batch_size, 1.0, corner, EXPONENT)


def _adam_of(batch_size: float, noise_scale: Array, beta1: float) -> Array:
    """Adam's closed law where curvature along signs is the trace: one parameter, in units of the scale."""
    return adam_law(LocalModel([1.0], [1.0], [1.0]), beta1).optimal_lr(batch_size / noise_scale)


def _in_sums(request: Request, new: float) -> float:
    """What a sum over the batch in place of a mean does to SGD's rate: it multiplies gradients by B."""
    sums = request.reduction == "sum" and request.family == "gradient"
    return request.batch_size / new if sums else 1.0


def _at(request: Request, new: float, law: Law) -> float | None:
    if request.noise_scale is None:
        return None
    scale = np.array([request.noise_scale.value])
    ratio = law(new, scale) / law(request.batch_size, scale)
    return float(ratio[0]) * request.learning_rate * _in_sums(request, new)


def _over(request: Request, new: float, law: Law, reach: float = 1.0) -> tuple[float, float]:
    """Lowest and highest rate by a law over the interval of the noise scale, or over all noise scales."""
    grid = _grid(request, new, reach, bends=(request.batch_size, new))  # where a corner may turn
    rates = law(new, grid) / law(request.batch_size, grid) * request.learning_rate * _in_sums(request, new)
    return float(rates.min()), float(rates.max())


def _grid(request: Request, new: float, reach: float, bends: Iterable[float]) -> Array:
    """Noise scales of the interval, or all of them if none is known, and those where a curve bends."""
    sizes = (request.batch_size, new)
    low, high = 1e-6 * min(sizes), 1e6 * max(sizes)
    if request.noise_scale is not None:
        low, high = request.noise_scale.low / reach, request.noise_scale.high * reach
    return np.concatenate([np.geomspace(low, high, POINTS), [b for b in bends if low < b < high]])


def _limit_holds(request: Request, new: float, law: Law, rate: float, kind: str) -> tuple[bool | None, str]:
    """Whether a rule for small batches holds: it may miss its whole law by no more than rates scatter."""
    if (request.family == "gradient") != (kind == "gradient"):
        wrong = "signs do not grow with the gradient" if kind == "gradient" else "SGD's step is no sign"
        return False, wrong
    if request.noise_scale is None:
        return None, "holds far below the noise scale, which is not known"
    low, high = _over(request, new, law)
    off = max(rate / low, low / rate, rate / high, high / rate)
    if off <= MARGIN:
        return True, f"both batches are far below the noise scale: {100 * (off - 1):.0f} % off at most"
    return False, f"not far below the noise scale: off by a factor of {off:.2g}"


def _from_sweeps_of(request: Request, new: float) -> RateRange:
    """The sweeps count sequences of 2048 tokens; other lengths are taken at equal tokens."""
    length = request.sequence_length or 2048.0
    old, to = request.batch_size, new
    if request.unit == "tokens":
        old, to = old / length, to / length
    return rates_of_sweeps(
        old,
        request.learning_rate,
        to,
        parameters=request.parameters,
        tokens=request.tokens,
        sequence_length=length,
    )


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    return ends[0] / MARGIN, ends[1] * MARGIN


def _hull(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])
