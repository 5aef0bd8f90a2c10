"""Checks of the page on the mean field: the mean of one sign, its bounds, the series behind the line."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from lrbs import SignSGD, laws, scalar_mean_field
from lrbs.approximations import ERF_SLOPE, older_route
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import RATIOS
from lrbs.normal import sign_mean
from lrbs.operators import Diagonal
from lrbs.validation import Array


@check("approximation", where="normal noise, at |g| √B / σ = 0.523", absolute=True)
def sign_mean_against_erf() -> Rows:
    """The true error of the one line, for normal noise and for other noise of the same variance."""
    figures = {
        "normal": (0.0644, -0.0618),
        "Laplace": (0.0, -0.0607),
        "Student t, 3 d.o.f.": (0.0, -0.1154),
        "uniform": (0.1698, -0.1340),
        "two humps": (0.3837, -0.1333),
    }
    one_line = laws.mean_field_sign(RATIOS, 1.0)
    for name, (above, below) in figures.items():
        error = one_line - laws.NOISES[name].sign_mean(RATIOS)
        for side, figure, place in (("over", above, error.argmax()), ("under", below, error.argmin())):
            if abs(figure) > 1e-3:
                yield stated(f"{name}: largest {side}shoot", figure, error[place], 0.005)
    normal = one_line - sign_mean(RATIOS, 1.0)
    yield stated("normal: overshoot is largest at", 0.523, RATIOS[normal.argmax()], 0.002)
    yield stated("normal: undershoot is largest at", 2.20, RATIOS[normal.argmin()], 0.002)
    return np.abs(normal).max()


@check("approximation", where="normal noise, small batches")
def coordinate_form() -> Rows:
    """Both forms, and 0 at g = 0; the relative error for normal noise, largest where noise dominates."""
    g, sigma, B = np.array([-2.0, 0.5]), np.array([3.0, 0.1]), 7.0
    left = laws.mean_field_sign(g, sigma / np.sqrt(B))
    right = np.sign(g) * laws.power_saturation(B, 1.0, (sigma / g) ** 2)
    none = laws.mean_field_sign([0.0, 0.0], [1.0, 0.0])
    place = np.abs(laws.mean_field_sign(RATIOS, 1.0) / sign_mean(RATIOS, 1.0) - 1).argmax()
    law, truth = laws.mean_field_sign(RATIOS[place], 1.0), sign_mean(RATIOS[place], 1.0)
    yield "g = -2, σ = 3", left[0], right[0]
    yield "g = 0.5, σ = 0.1", left[1], right[1]
    yield "g = 0 with noise", none[0], 0.0
    yield "g = 0 without noise", none[1], 0.0
    yield missed(f"mean sign at |g| √B / σ = {RATIOS[place]:.0e}", law, truth, 0.2533, 1e-4)


def _over_spread(spread: float, mean_sign: Callable[[float, Array], Array]) -> float:
    """Mean sign over infinitely many coordinates with |g| = 1 and sigma log-normal, at B = B_simple/100."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    deviations = np.exp(spread * nodes - spread**2) * 10  # sigma / sqrt(B)
    return float(weights / weights.sum() @ mean_sign(1.0, deviations))


@check("approximation", where="too small by this at s = 2, B = B_simple/100")
def scalar_step_against_spread() -> Rows:
    """One ratio for all coordinates, when sigma is log-normal with spread s and |g| is the same for all."""
    signals = {0.0: (0.080, 0.0995), 0.5: (0.115, 0.142), 1.0: (0.293, 0.327), 2.0: (0.849, 0.846)}
    for spread, (exactly, by_coordinate) in signals.items():
        signal = _over_spread(spread, sign_mean)
        yield stated(f"s = {spread:g}: exact signal", exactly, signal, 0.005)
        yield stated(
            f"s = {spread:g}: mean field", by_coordinate, _over_spread(spread, laws.mean_field_sign), 0.005
        )
    scalar = float(scalar_mean_field(SignSGD(), np.ones(1), Diagonal([100.0])).mean[0])
    yield stated("scalar mean field, any s", 0.0995, scalar, 0.001)
    yield stated("scalar older route, any s", 0.0795, laws.normalised_batch_size(0.01, ERF_SLOPE), 0.001)
    yield missed("scalar mean field, s = 2", scalar, signal, -0.883, 1e-2)


@check("approximation", where="s = 2, B = B_simple/100")
def older_scalar_step_against_spread() -> Rows:
    """The same for the scalar form of the older route: right for equal ratios, blind to their spread."""
    scalar = float(older_route(scalar_mean_field)(SignSGD(), np.ones(1), Diagonal([100.0])).mean[0])
    for spread, off in ((0.0, -0.0016), (0.5, -0.309), (1.0, -0.729), (2.0, -0.906)):
        yield missed(
            f"scalar older route, s = {spread:g}", scalar, _over_spread(spread, sign_mean), off, 0.01
        )


@check("approximation", where="of a product, independent normal noise; none with exact means", absolute=True)
def independent_sign_products() -> Rows:
    """E[phi phi^T] of drawn signs: the structure is exact, the means that go in are not."""
    mean, deviation = np.array([0.2, -1.0, 0.6]), np.array([1.0, 0.8, 0.9])
    signs = np.sign(mean + deviation * np.random.default_rng(1).standard_normal((200_000, 3)))
    exactly = laws.independent_second_moment(sign_mean(mean, deviation))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        yield f"E[φ{'₀₁₂'[i]} φ{'₀₁₂'[j]}], exact means", exactly[i, j], signs[:, i] * signs[:, j]
    yield "E[φ₀ φ₀]", exactly[0, 0], (signs[:, 0] ** 2).mean()
    # Largest error of the product of two means by the mean field, over all pairs of ratios.
    grid = np.linspace(0, 5, 501)
    line, true = laws.mean_field_sign(grid, 1.0), sign_mean(grid, 1.0)
    gap = np.abs(np.outer(line, line) - np.outer(true, true)).max()
    yield stated("largest error by mean-field means", 0.117, gap, 0.01)
    return gap


@check("identity")
def sign_bounds_are_reached() -> Rows:
    """Two-point distributions come as near to the bounds as one likes; five others stay between them."""
    mean, deviation = 1.0, 1.5
    lows = {"least": -1e-6, "largest": mean - 1e-6 * deviation}
    for (name, low), bound in zip(lows.items(), laws.sign_bounds(mean, deviation), strict=True):
        # Mass p at `low`, the rest where mean and variance are as asked.
        gap = mean - low
        share = deviation**2 / (deviation**2 + gap**2)
        high = mean + deviation**2 / gap
        value = share * np.sign(low) + (1 - share) * np.sign(high)
        yield near(f"{name}: two points", bound, value, tolerance=1e-5)
    ratios = np.geomspace(0.01, 10, 500)
    least, largest = laws.sign_bounds(ratios, 1.0)
    means = np.array([noise.sign_mean(ratios) for noise in laws.NOISES.values()])
    within = (means - least > -1e-12) & (largest - means > -1e-12)
    yield holds("five noises stay within the bounds", within.all())


@check("identity")
def series_where_it_converges() -> Rows:
    """The rewriting is an identity; its series finds the sign where 0 < x^2 < 2 v, and nowhere else."""
    v = 1.7
    x = np.sqrt(v) * np.array([-1.3, 0.4, 1.0])
    rewritten = x / np.sqrt(v + (x**2 - v))
    for xx, each in zip(x, rewritten, strict=True):
        yield f"identity at x² = {xx**2 / v:.2f} v", np.sign(xx), each
    inside, outside = (
        laws.sign_series(np.sqrt([0.2 * v, 1.9 * v]), v, 300),
        laws.sign_series(np.sqrt(2.1 * v), v, 300),
    )
    yield "300 terms at x² = 0.2 v", 1.0, inside[0]
    yield "300 terms at x² = 1.9 v", 1.0, inside[1]
    yield holds("300 terms at x² = 2.1 v: beyond 1e6", float(abs(outside)) > 1e6)


@check("approximation", where="one correction at σ² = 2 μ², six times the error without it", absolute=True)
def series_diverges() -> Rows:
    """Partial sums of the averaged series for normal noise, and when a correction helps."""
    for n, figure in enumerate((0.577, 0.1925, 1.347, -3.571, 25.37), start=1):
        name = f"{n} term{'s' if n > 1 else ''}, σ² = 2 μ²"
        yield stated(name, figure, laws.sign_mean_series(1.0, np.sqrt(2), n), 0.002)
    yield stated("true value", 0.5205, sign_mean(1.0, np.sqrt(2)), 0.001)
    ratios = np.geomspace(1e-3, 1e3, 241)
    sums = np.array([[laws.sign_mean_series(1.0, np.sqrt(r), n) for n in (1, 2)] for r in ratios])
    errors = np.abs(sums - sign_mean(1.0, np.sqrt(ratios))[:, None])
    yield holds("one correction helps at none of 241 noise levels", (errors[:, 1] >= errors[:, 0]).all())

    def gain(ratio: float) -> float:
        """Error of three terms less that of one."""
        sums = np.array([laws.sign_mean_series(1.0, np.sqrt(ratio), n) for n in (1, 3)])
        return float(np.diff(np.abs(sums - sign_mean(1.0, np.sqrt(ratio))))[0])

    yield stated("two together help below this σ²/μ²", 0.186, brentq(gain, 0.1, 0.5), 0.003)
    return abs(laws.sign_mean_series(1.0, np.sqrt(2), 2) - float(sign_mean(1.0, np.sqrt(2))))


@check("Monte Carlo")
def first_correction() -> Rows:
    """The second term of the series averaged over other distributions, by its third moment alone."""
    rng = np.random.default_rng(7)
    for name, sample, mu, sigma, third in (
        ("exponential", rng.exponential(size=400_000), 1.0, 1.0, 6.0),
        ("normal, μ = 1, σ = 2", 1 + 2 * rng.standard_normal(400_000), 1.0, 2.0, 13.0),
        ("uniform on (0, 1)", rng.uniform(size=400_000), 0.5, 12**-0.5, 0.25),
    ):
        v = mu**2 + sigma**2
        term = laws.sign_series(sample, v, 1) - laws.sign_series(sample, v, 2)
        yield name, laws.sign_correction(mu, sigma, third), term


@check("published number")
def normal_correction_peak() -> Rows:
    """Where the correction is largest, and how it compares with the true error of the one line."""
    found = minimize_scalar(
        lambda s: -float(laws.normal_sign_correction(1.0, np.sqrt(s))), bracket=(0.5, 2.0, 9.0), tol=1e-10
    )
    place, least = found.x, float(found.fun)
    true = np.abs(laws.mean_field_sign(RATIOS, 1.0) - sign_mean(RATIOS, 1.0)).max()
    correction, line, exactly = (
        f(1.0, 1e4) for f in (laws.normal_sign_correction, laws.mean_field_sign, sign_mean)
    )
    yield stated("largest at σ²/μ²", 2.0, place, 1e-5)
    yield "largest value, 2/3^(3/2)", 2 / 3**1.5, -least
    yield stated("over the true largest error", 6.0, -least / true, 0.01)
    yield stated("σ = 10⁴ μ: correction / leading term", 1.0, correction / line, 1e-6)
    yield stated("σ = 10⁴ μ: true relative error", 0.253, line / exactly - 1, 0.002)
