"""Checks of the chapter on the noise scale along a run: the batch that should grow with it."""

import numpy as np
from scipy.optimize import minimize

from lrbs.checks.evidence import Rows, check, holds, near
from lrbs.checks.runs import slow_runs
from lrbs.tradeoff import exchange_rate, frugal_batch_size, run_length, steps, tradeoff_product
from lrbs.validation import Array

# Noise scales along a run that grow a hundredfold.
PROFILE = np.geomspace(20, 2000, 4001)


# ------------------------------------------------------------------------------------ varying batches
@check("limit")
def exchange_rate_by_differences() -> Rows:
    """Steps and samples counted along a run at half and twice a batch size, fixed and following the noise.

    The chord between the two has the slope of the curve at their geometric mean.
    """
    mean = float(PROFILE.mean())
    for size in (100.0, 600.0, 3000.0):
        (S, E), (T, F) = (slow_runs(0.0, size * factor, PROFILE) for factor in (0.5, 2.0))
        rate = float(exchange_rate(size, mean))
        yield near(f"fixed, B = {size:g}", rate, -mean * (F - E) / (T - S), tolerance=0.03)
    for price in (30.0, 600.0):
        (S, E), (T, F) = (slow_runs(0.5, float(np.sqrt(price)) * factor, PROFILE) for factor in (0.5, 2.0))
        yield near(f"B = √({price:g} B_noise)", price, -mean * (F - E) / (T - S), tolerance=0.03)


@check("quadrature")
def no_schedule_beats_the_root() -> Rows:
    """The cheapest schedule, searched for at three prices of a step; and a counted run with its product."""
    scales = PROFILE[::500]
    progress = np.linspace(2, 1, scales.size)
    least_steps, least_examples = progress.sum(), float(progress @ scales)

    def totals(logs: Array) -> tuple[float, float]:
        pieces = progress * steps(np.exp(logs), 1, scales)
        return float(pieces.sum()), float(np.exp(logs) @ pieces)

    gamma = tradeoff_product(scales, 0.5, progress)
    for price in (10.0, 300.0, 10_000.0):

        def cost(logs: Array, price: float = price) -> float:
            S, E = totals(logs)
            return float(np.log(E + price * S))

        found = minimize(cost, np.full(scales.size, 5.0), tol=1e-12)
        S, E = totals(found.x)
        product = (S / least_steps - 1) * (E / least_examples - 1)
        yield near(f"product at r = {price:g}", gamma, product, tolerance=1e-4)
        far = float(np.abs(np.exp(found.x) / frugal_batch_size(scales, price) - 1).max())
        # How far a search stays off, below that, depends on the processor.
        yield holds(f"batch sizes at r = {price:g} within 0.001 of the root", far < 1e-3)
    S, E = slow_runs(0.5, 12.0, PROFILE)
    counted = (S - 1) * (E - 1)
    yield near("counted run", tradeoff_product(PROFILE, 0.5), counted, tolerance=0.01)
    whole = run_length(12 * np.sqrt(PROFILE), PROFILE, 1 / PROFILE.size)
    yield near("its steps", whole.steps, S, tolerance=0.003)
    yield near("its examples", whole.examples / PROFILE.mean(), E, tolerance=0.003)
