"""Checks of the page on independence, its other half: unequal noise, and noise with heavy tails."""

import numpy as np
from scipy.special import erf
from scipy.stats import laplace, norm, t, uniform

from lrbs import LocalModel, SignSGD, mean_field, scalar_mean_field
from lrbs.checks.evidence import Rows, check, missed, near, stated
from lrbs.checks.problems import log_normal_deviations
from lrbs.laws.heavy_tails import contaminated_sign_mean, sign_variance
from lrbs.laws.spread import fitted_noise_scale, mean_noise_scale, power_of_mean
from lrbs.operators import Diagonal
from lrbs.validation import Array


# ------------------------------------------------------------------------------------ unequal noise
@check("limit")
def noise_scales_as_power_means() -> Rows:
    """B_simple, and the two ends of the exact alignment of signs."""
    rng = np.random.default_rng(65)
    g, sigma = rng.uniform(0.2, 2, 40), np.exp(rng.standard_normal(40))
    model = LocalModel(g, sigma**2, np.ones(40))
    total = np.abs(g).sum()

    def alignment(size: float) -> float:
        return float(mean_field(SignSGD(), g, model.noise(size)).mean @ g / total)

    small, large, zero, nearly, power = (
        mean_noise_scale(g, sigma, p, q) for p, q in ((-1, 1), (2, 1), (0, 1), (1e-6, 1), (0.3, 1))
    )
    yield "p = 2, q = 2: B_simple", mean_noise_scale(g, sigma), model.simple_noise_scale
    yield near("p = -1, q = 1: small batches", small**-0.5, alignment(1e-9) / 1e-9**0.5, tolerance=1e-5)
    yield near("p = 2, q = 1: large batches", large / 2, (1 - alignment(1e7)) * 1e7, tolerance=1e-4)
    yield near("p = 0 as a limit", zero, nearly, tolerance=1e-5)
    yield stated("back to the power", 0.3, power_of_mean(g, sigma, power), 1e-6)


@check("approximation", where="the scalar form, spread 2, B = B_simple/100", news=True)
def spread_defeats_the_scalar_form() -> Rows:
    """The mean sign at B = 0.01 B_simple, deviations log-normal, as the spread grows."""
    z = np.linspace(-9, 9, 20_001)
    density = norm.pdf(z) * (z[1] - z[0])
    scalar = float(scalar_mean_field(SignSGD(), np.ones(1), Diagonal([100.0])).mean[0])
    for spread, of_field, of_scalar in (
        (0.0, 0.249, 0.249),
        (0.5, 0.237, -0.137),
        (1.0, 0.116, -0.661),
        (2.0, -0.004, -0.883),
    ):
        ratio = np.exp(-spread * z) * np.sqrt(0.01 * np.exp(2 * spread**2))
        truth, field = density @ erf(ratio / 2**0.5), density @ (ratio / np.hypot(ratio, 1))
        yield missed(f"spread {spread:g}: by coordinate", field, truth, of_field, 5e-3)
        yield missed(f"spread {spread:g}: scalar form", scalar, truth, of_scalar, 5e-3)


@check("approximation", where="alignment, spread 1, B over six decades")
def best_single_noise_scale() -> Rows:
    """The fit against a search; which power mean it is; the error that it leaves, and B_simple's."""
    left = 0.0
    for spread, power, fit_error, simple_error in ((0.5, -0.735, 0.072, 0.31), (1.0, -0.664, 0.236, 0.77)):
        sigma = log_normal_deviations(spread)
        g = np.ones_like(sigma)
        sizes = np.geomspace(1e-3, 1e3, 25)
        fit = fitted_noise_scale(g, sigma, sizes)
        target = np.array([mean_field(SignSGD(), g, Diagonal(sigma**2 / size)).mean.mean() for size in sizes])

        def logarithm(scale: float, target: Array = target, sizes: Array = sizes) -> Array:
            return np.asarray(-np.log1p(scale / sizes) / 2 - np.log(target))

        grid = np.geomspace(fit / 3, fit * 3, 4001)
        best = float(grid[np.argmin([np.sum(logarithm(scale) ** 2) for scale in grid])])
        worst = float(np.abs(np.expm1(logarithm(fit))).max())
        simple = float(np.abs(np.expm1(logarithm(mean_noise_scale(g, sigma)))).max())
        left = max(left, worst)
        yield near(f"spread {spread:g}: fit, searched", fit, best, tolerance=1e-3)
        yield stated(f"spread {spread:g}: its power", power, power_of_mean(g, sigma, fit), 1e-2)
        yield stated(f"spread {spread:g}: error left", fit_error, worst, 3e-2)
        yield stated(f"spread {spread:g}: with B_simple", simple_error, simple, 3e-2)
    return left


# -------------------------------------------------------------------------------------- heavy tails
@check("limit", where="slope at g = 1e-5 σ")
def central_density() -> Rows:
    """The slope of the mean sign at zero signal, five noises; uniform noise has the least."""
    noises = {
        "normal": (norm(), np.pi / 2),
        "Laplace": (laplace(scale=0.5**0.5), 0.5),
        "Student t, 3 d.o.f.": (t(3, scale=3**-0.5), np.pi**2 / 16),
        "uniform": (uniform(-(3**0.5), 12**0.5), 3.0),
    }
    for name, (noise, variance) in noises.items():
        apparent = float(sign_variance(noise.pdf(0.0)))
        slope = float(1 - 2 * noise.cdf(-1e-5)) / 1e-5
        yield f"{name}: σ²_sign / σ²", variance, apparent
        yield near(f"{name}: slope", apparent**-0.5, slope, tolerance=1e-4)


@check("Monte Carlo")
def rare_outliers() -> Rows:
    """Batches with one outlier in a hundred samples: exact sum against draws; both ends."""
    share, factor, signal = 0.01, 30.0, 0.1
    rng = np.random.default_rng(66)
    for size in (1, 30, 300):
        batches = 40_000 if size < 100 else 8000
        outliers = rng.binomial(size, share, batches)
        width = np.sqrt(size - outliers + outliers * factor**2) / size
        draws = np.sign(signal + width * rng.standard_normal(batches))
        yield f"B = {size}", contaminated_sign_mean(signal, 1.0, size, share, factor), draws
    variance = 1 - share + share * factor**2
    small = contaminated_sign_mean(1e-4, 1.0, 1, share, factor) / 1e-4
    large = contaminated_sign_mean(1e-4, 1.0, 20_000, share, factor) / 1e-4
    by_variance = np.sqrt(2 * 20_000 / (np.pi * variance))
    yield near("B = 1: slope of the core", np.sqrt(2 / np.pi), small, tolerance=0.011)
    yield near("B = 20000: slope of the variance", by_variance, large, tolerance=0.01)


@check("approximation", where="mean field, one outlier in 100, 30 times as wide, B = 1", news=True)
def heavy_tails_defeat_the_variance() -> Rows:
    """Rare outliers: the mean field, which sees the variance, against the exact mean sign."""
    share, factor, signal = 0.01, 30.0, 0.1
    variance = 1 - share + share * factor**2
    for size, off in ((1, -0.599), (10, -0.561), (100, -0.22), (10_000, -0.045)):
        field = mean_field(SignSGD(), np.array([signal]), Diagonal([variance / size])).mean[0]
        truth = contaminated_sign_mean(signal, 1.0, size, share, factor)
        yield missed(f"mean sign, B = {size}", field, truth, off, 5e-3)
    cauchy = 2 / np.pi * np.arctan(signal)
    rng = np.random.default_rng(67)
    means = rng.standard_cauchy((20_000, 8)).mean(axis=1)
    yield "Cauchy noise, B = 8: as B = 1", cauchy, np.sign(signal + means)
