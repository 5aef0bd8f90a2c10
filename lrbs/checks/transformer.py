"""Checks of the chapter on a small transformer: what is held fixed decides how a best rate rises."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from lrbs.checks.evidence import Rows, check, missed, near
from lrbs.checks.runs import best_rate_of_sgd, model_of_sgd, sgd_loss, slope
from lrbs.sweeps import one_step

TOKENS = 1e7
SIZES = np.array([0.5, 1.0, 2.0])  # far below the corner


def lowest_loss(batch_size: float, tokens: float) -> float:
    """Mean loss of SGD at its best constant rate."""
    return sgd_loss(batch_size, best_rate_of_sgd(batch_size, tokens), tokens)


@check("approximation", where="SGD on a quadratic with power laws, far below the corner")
def exponents_by_what_is_held_fixed() -> Rows:
    """Best rates of SGD by search, at equal steps, equal tokens and equal loss, against the three powers."""
    law = model_of_sgd(TOKENS).exponents
    target = lowest_loss(1.0, TOKENS)

    def tokens_to_target(B: float) -> float:
        found = brentq(
            lambda log: np.log(lowest_loss(B, np.exp(log)) / target), *np.log([1e6, 1e8]), xtol=1e-4
        )
        return float(np.exp(found))

    lengths = {
        "steps": [TOKENS * B for B in SIZES],
        "tokens": [TOKENS for B in SIZES],
        "loss": [tokens_to_target(B) for B in SIZES],
    }
    found = {
        held: slope(SIZES, [best_rate_of_sgd(B, D) for B, D in zip(SIZES, D_of, strict=True)])
        for held, D_of in lengths.items()
    }
    worst = 0.0
    for held, power in found.items():
        yield near(f"power of B at equal {held}", getattr(law, held), power, tolerance=0.03)
        worst = max(worst, abs(getattr(law, held) / power - 1))
    return worst


@check("approximation", where="16 thousand weights, 2048 steps; SignSGD at B = 4")
def mean_field_on_a_transformer() -> Rows:
    """Learning rates of the mean field with the covariance of real gradients, against recorded searches."""
    yield from _off_on_a_transformer("mean field", (-0.11, 0.00, -0.16, -0.04, -0.02, 0.09))


@check("approximation", where="16 thousand weights, 2048 steps; SignSGD at B = 4")
def strangers_on_a_transformer() -> Rows:
    """The same with the correlations of the noise left out."""
    yield from _off_on_a_transformer("mean field, diagonal", (1.65, 0.15, 2.55, 0.40, 0.18, 0.12))


def _off_on_a_transformer(law: str, offs: tuple[float, ...]) -> Rows:
    wanted = iter(offs)
    for rule in ("SGD", "SignSGD", "Adam"):
        for size in (4, 64):
            found = one_step()[2048, rule, size]
            yield missed(f"η* of {rule}, B = {size}", found[law][0], found["searched"], next(wanted))
