"""Checks of the chapter on public sweeps: the corner law, what ten sweeps say of it, and a model of a run."""

import numpy as np
from scipy.optimize import least_squares

from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import lowest
from lrbs.checks.runs import best_rate_of_sgd, best_rates, model_of_sgd, sgd_loss, slope
from lrbs.laws.corner import Run, corner_law
from lrbs.laws.curves import power_saturation
from lrbs.laws.sgd import saturation
from lrbs.sweeps import CANDIDATES, fit_law, power_of_size_and_tokens, step_law
from lrbs.validation import Array


# ------------------------------------------------------------------------------------------- the law
@check("limit")
def corner_between_known_laws() -> Rows:
    """The family at the numbers of the sign law and of SGD's saturation, and far from its corner."""
    for ratio in (0.03, 1.0, 7.0):
        signs, sgd = corner_law(ratio, 2.0, 1.0, 0.5, 2.0), corner_law(ratio, 2.0, 1.0, 1.0, 1.0)
        yield f"a = 1/2, k = 2: the sign law at {ratio:g} B_n", signs, power_saturation(ratio, 2.0, 1.0)
        yield f"a = k = 1: SGD's at {ratio:g} B_n", sgd, saturation(ratio, 2.0, 1.0)
    low, high = corner_law([1e-6, 1e-5], 2.0, 1.0, 0.7, 3.0)
    yield near("power of B far below", np.log10(high / low), 0.7, tolerance=1e-6)
    yield near("far beyond", corner_law(1e6, 2.0, 1.0, 0.7, 3.0), 2.0, tolerance=1e-6)
    yield near("k = 500 just below", corner_law(0.9, 2.0, 1.0, 0.7, 500.0), 2 * 0.9**0.7, tolerance=1e-6)


# ------------------------------------------------------------------------------------------ the sweeps
@check("published number", where="ten sweeps; errors by drawing sweeps are in the chapter")
def powers_of_size_and_tokens() -> Rows:
    """The corner, its level and the batch of the lowest loss of the ten sweeps, as powers of D and N."""
    sweeps = step_law()
    fit = fit_law(CANDIDATES["corner"], sweeps)
    best = [sweep.best_batch for sweep in sweeps]
    for name, values, of_tokens, of_size in (
        ("corner", fit.own, 0.71, -0.38),
        ("level", fit.limits, 0.24, -0.77),
        ("batch of lowest loss", best, 0.64, -0.28),
    ):
        _, by_tokens, by_size = power_of_size_and_tokens(values, sweeps)
        yield stated(f"{name}, power of D", of_tokens, by_tokens, 0.01, absolute=True)
        yield stated(f"{name}, power of N", of_size, by_size, 0.01, absolute=True)
    yield stated("exponent below the corner", 0.72, fit.shared["a"], 0.02, absolute=True)
    yield stated("corner over batch of lowest loss", 0.90, np.exp(np.mean(np.log(fit.own / best))), 0.02)


# ----------------------------------------------------------------------------------- a model of a run
TOKENS = 1e7


@check("approximation", where="SGD on a quadratic with power laws, a third to three times the best rate")
def loss_of_a_run_of_sgd() -> Rows:
    """The two terms against the exact mean loss of SGD, far below the largest stable rate."""
    run, worst = model_of_sgd(TOKENS), 0.0
    for B in (1.0, 10.0):
        for factor in (1 / 3, 1.0, 3.0):
            eta = factor * float(run.best_rate(B))
            law, exact = float(run.loss(B, eta)), sgd_loss(B, eta, TOKENS)
            yield near(f"B = {B:g}, {factor:.2g} of the best rate", law, exact, tolerance=0.05)
            worst = max(worst, abs(law / exact - 1))
    return worst


@check("approximation", where="SGD on a quadratic with power laws, at the corner; below it 1 %")
def best_rate_of_a_run_of_sgd() -> Rows:
    """Best constant rates of SGD by search: the powers hold, the corner is not sharp but SGD's saturation."""
    run = model_of_sgd(TOKENS)
    sizes = np.array([0.5, 2.0, 8.0])
    rates = np.array([best_rate_of_sgd(B, TOKENS) for B in sizes])
    for B, rate in zip(sizes, rates, strict=True):
        yield near(f"best rate at B = {B:g}", run.best_rate(B), rate, tolerance=0.03)
    yield near("power of B below the corner", run.exponent, slope(sizes, rates), tolerance=0.02)
    fall = -np.log(best_rate_of_sgd(0.5, TOKENS / 10) / rates[0]) / np.log(0.1)
    yield near("power of D, downwards", run.tokens_exponent, fall, tolerance=0.03)
    at_corner = best_rate_of_sgd(run.corner, TOKENS)
    yield missed("at the corner", run.best_rate(run.corner), at_corner, 0.89, tolerance=0.02)
    for factor in (0.3, 1.0, 3.0):
        law = corner_law(factor * run.corner, run.max_rate, run.corner, 1.0, 1.0)
        rate = best_rate_of_sgd(factor * run.corner, TOKENS)
        yield near(f"SGD's saturation at {factor:g} of the corner", law, rate, tolerance=0.1)
    return float(run.best_rate(run.corner)) / at_corner - 1


def sharpness(sizes: Array, rates: Array) -> tuple[float, float]:
    """Exponent and sharpness of the corner law nearest to some best rates."""

    def gap(terms: Array) -> Array:
        limit, corner, exponent, k = np.exp(terms)
        return np.log(corner_law(sizes, limit, corner, exponent, k) / rates)

    start = np.log([rates.max(), np.sqrt(sizes[0] * sizes[-1]), 0.8, 2.0])
    bounds = ([-np.inf, -np.inf, np.log(0.2), np.log(0.3)], [np.inf, np.inf, np.log(2), np.log(50)])
    _, _, exponent, k = np.exp(least_squares(gap, start, bounds=bounds).x)
    return float(exponent), float(k)


@check("approximation", where="SGD on a quadratic with power laws")
def corner_of_a_run_of_sgd() -> Rows:
    """How sharp the corner of a run is: at a constant rate as SGD's saturation, under a cosine sharp."""
    sizes, rates = np.geomspace(20, 2560, 8), np.geomspace(0.02, 6, 81)
    found = {decay: best_rates(sizes, rates, 1e5, 30.0, decay=decay) for decay in (False, True)}
    constant, annealed = (sharpness(sizes, found[decay][0]) for decay in (False, True))
    yield stated("constant rate: power", 1.0, constant[0], 0.1)
    yield stated("constant rate: sharpness", 1.0, constant[1], 0.3)
    yield stated("cosine: power", 1.0, annealed[0], 0.05)
    yield holds("cosine: sharpness above 5", annealed[1] > 5)


@check("algebra only")
def best_batch_of_a_run() -> Rows:
    """The batch size of the lowest loss, and the best rate, against a search over the loss of the model."""
    for alpha, p, r, s in ((0.4, 1.0, 0.5, 0.85), (0.8, 0.7, 0.5, 1.4), (0.5, 2.0, 1.0, 1.1)):
        run = Run(1e9, 0.002, 0.3, 5.0, alpha, p, r, s)

        def loss(log_batch: float, run: Run = run) -> Array:
            return run.loss(np.exp(log_batch), run.best_rate(np.exp(log_batch)))

        near_corner = np.log(run.corner)
        found, _ = lowest(loss, near_corner - 3, near_corner + 6)
        yield near(f"s/r = {s / r:.2g}", run.best_batch_size, np.exp(found), tolerance=1e-4)
        B = run.corner / 50
        rates = np.geomspace(1e-7, run.max_rate, 200_001)
        searched = rates[run.loss(B, rates).argmin()]
        yield near("... best rate below the corner", run.best_rate(B), searched, tolerance=1e-4)
