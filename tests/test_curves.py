"""Shapes of curves in the batch size: powers of the saturation law, hyperbolas and their scales."""

import numpy as np
import pytest
from scipy.optimize import brentq, curve_fit, minimize_scalar
from scipy.stats import f as f_distribution
from scipy.stats import linregress

from lrbs import LocalModel, Preconditioned, expected_step, fit_power_saturation, saturation
from lrbs.laws import (
    fit_saturation,
    implied_noise_scale,
    normalised_batch_size,
    power_saturation,
    preconditioned_limits,
)

SIZES = np.geomspace(8, 8192, 11)
CURVE = saturation(SIZES, 0.01, 300.0) * np.exp(0.03 * np.random.default_rng(0).standard_normal(11))


def test_power_saturation_by_hand_and_special_cases():
    B = np.geomspace(0.1, 100, 7)
    np.testing.assert_allclose(power_saturation(B, 2.0, 5.0, 1.0), saturation(B, 2.0, 5.0))
    np.testing.assert_allclose(power_saturation(B, 2.0, 5.0), 2.0 / np.sqrt(1 + 5.0 / B))
    assert power_saturation(1.0, 3.0, 7.0, 2 / 3) == pytest.approx(0.75)


@pytest.mark.parametrize("truth", [(0.3, 40.0, 0.5), (7.0, 2.0, 0.8), (1e-3, 500.0, 1.3)])
def test_fit_recovers_a_power(truth):
    B = np.geomspace(0.01, 1e5, 40)
    np.testing.assert_allclose(tuple(fit_power_saturation(B, power_saturation(B, *truth))), truth, rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_fit_with_a_fixed_exponent_is_the_line_of_inverses(exponent):
    """Exact data; and, with little scatter, the error of the noise scale from the line of 1/eta in 1/B."""
    fit = fit_saturation(SIZES, power_saturation(SIZES, 0.01, 300.0, exponent), exponent)
    assert tuple(fit) == pytest.approx((0.01, 300.0, exponent))
    assert (fit.exponent_se, fit.freedom) == (0, 9)
    noise = 1e-3 * np.random.default_rng(1).standard_normal(11)
    fit = fit_saturation(SIZES, power_saturation(SIZES, 0.01, 300.0) * np.exp(noise / 2), 0.5)
    inverse = np.exp(-noise) * (1 + 300 / SIZES)  # eta^-2 is a line in 1/B, known to a share of itself
    columns = np.stack([np.ones(11), 1 / SIZES], axis=1) / inverse[:, None]
    found, squares = np.linalg.lstsq(columns, np.ones(11))[:2]
    assert fit.noise_scale == pytest.approx(found[1] / found[0], rel=1e-4)
    slopes = np.array([-found[1], found[0]]) / found[0] ** 2
    error = np.sqrt(slopes @ np.linalg.inv(columns.T @ columns) @ slopes * squares[0] / 9)
    assert fit.noise_scale_se == pytest.approx(error, rel=1e-2)
    low, high = fit.interval()["noise_scale"]
    assert [fit.noise_scale - low, high - fit.noise_scale] == pytest.approx([2.2622 * error] * 2, rel=2e-2)


def test_errors_of_a_fit_are_those_of_another_implementation():
    fit = fit_power_saturation(SIZES, CURVE**0.5)

    def curve(sizes, limit, noise_scale, exponent):
        return np.log(limit) - exponent * np.log1p(noise_scale / sizes)

    found, covariance = curve_fit(curve, SIZES, np.log(CURVE) / 2, p0=tuple(fit), xtol=1e-12)
    assert tuple(fit) == pytest.approx(tuple(found), rel=1e-4)
    errors = [fit.limit_se, fit.noise_scale_se, fit.exponent_se]
    assert errors == pytest.approx(np.sqrt(np.diag(covariance)).tolist(), rel=1e-3)
    np.testing.assert_allclose(
        fit.covariance, covariance / np.outer(found, found), rtol=2e-3
    )  # of logarithms
    assert np.square(fit.scatter) == pytest.approx(np.sum(fit.residuals**2) / 8)


def test_three_sizes_are_enough_and_what_is_searched_ends():
    sizes = np.repeat([8.0, 300.0, 8192.0], 2)
    fit = fit_saturation(sizes, saturation(sizes, 0.01, 300.0) * [1.01, 0.99, 1.02, 0.98, 1.01, 0.99])
    assert fit.noise_scale == pytest.approx(300, rel=0.05)
    sharp = fit_power_saturation(SIZES, np.exp(-40 / SIZES), even_unresolved=True)
    assert sharp.exponent == pytest.approx(50)
    level = fit_power_saturation(SIZES, SIZES**0.5, even_unresolved=True)
    assert 1000 * SIZES[-1] < level.noise_scale < 1100 * SIZES[-1]


@pytest.mark.parametrize(("exponent", "fixed"), [(0.5, False), (0.5, True), (1.0, True)])
def test_intervals_of_a_fit_cover(exponent, fixed, rng):
    """Eleven sizes, 5 % of scatter: 95 % of the intervals, within four standard errors, hold the truth."""
    inside = []
    for _ in range(100):
        curve = power_saturation(SIZES, 0.01, 300.0, exponent) * np.exp(0.05 * rng.standard_normal(11))
        fit = fit_saturation(SIZES, curve, exponent) if fixed else fit_power_saturation(SIZES, curve)
        truth = {"limit": 0.01, "noise_scale": 300.0, "exponent": exponent}
        inside.append([low <= truth[name] <= high for name, (low, high) in fit.interval().items()])
    shares = np.mean(inside, axis=0)[: 2 if fixed else 3]
    assert np.abs(shares - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / 100)


def test_a_fit_prints_its_intervals_and_widens_them():
    fit = fit_saturation(SIZES, CURVE)
    assert "exponent 1, fixed (95 %)" in str(fit) and str(fit).startswith("noise scale 294, 2")
    (a, b), (c, d) = (fit.interval(level)["noise_scale"] for level in (0.5, 0.99))
    assert c < a < fit.noise_scale < b < d
    assert "exponent 0." in str(fit_power_saturation(SIZES, CURVE**0.5))
    assert fit.interval()["exponent"] == pytest.approx((1, 1))
    assert fit.limit_se < 0.1 * fit.limit and fit.scatter == pytest.approx(0.03, rel=0.5)


@pytest.mark.parametrize(("noise_scale", "scatter"), [(300, 0.03), (10, 0.05), (8000, 0.1)])
@pytest.mark.parametrize("level", [0.95, 0.9999])
def test_an_interval_ends_where_the_sum_of_squares_reaches_its_threshold(noise_scale, scatter, level):
    """By roots, to a fraction of the way there: the scales of a grid, and limits between."""
    curve = saturation(SIZES, 0.01, noise_scale) * np.exp(
        scatter * np.random.default_rng(0).standard_normal(11)
    )
    fit = fit_saturation(SIZES, curve)
    allowed = np.sum(fit.residuals**2) * (1 + f_distribution.ppf(level, 1, 9) / 9)
    scale, limit = np.log([fit.noise_scale, fit.limit])

    def without_limit(scale):
        return 11 * np.var(np.log(curve) + np.log1p(np.exp(scale) / SIZES))

    def without_scale(limit):
        def squares(scale):
            return np.sum((np.log(curve) - limit + np.log1p(np.exp(scale) / SIZES)) ** 2)

        return minimize_scalar(squares, bounds=(scale - 6, scale + 6), method="bounded").fun

    for name, start, squares, share in (
        ("noise_scale", scale, without_limit, 0.05),
        ("limit", limit, without_scale, 0.01),
    ):
        for end, sign in zip(fit.interval(level)[name], (-1, 1), strict=True):
            root = brentq(lambda x, squares=squares: squares(x) - allowed, start, start + 3 * sign)
            assert np.log(end) == pytest.approx(root, abs=share * abs(root - start))


def test_an_interval_that_does_not_end_says_so():
    """At a level that nothing contradicts: above all that was searched, or below."""
    scatter = [1.1, 0.9, 0.95, 1.05, 1.0, 1.0]
    fit = fit_saturation(SIZES[:6], saturation(SIZES[:6], 0.01, 50.0) * scatter)
    found = fit.interval(0.99999)
    assert 0 <= found["noise_scale"][0] < fit.noise_scale < found["noise_scale"][1] == np.inf
    assert found["limit"][1] == np.inf > fit.interval()["limit"][1]
    curve = saturation(SIZES, 0.01, 8000) * np.exp(0.1 * np.random.default_rng(2).standard_normal(11))
    low, high = fit_saturation(SIZES, curve).interval(0.9999)["noise_scale"]  # far beyond what its error says
    assert 2500 < low < 3000 and high == np.inf
    curve = saturation(SIZES, 0.01, 30) * np.exp(0.1 * np.random.default_rng(1).standard_normal(11))
    fit = fit_power_saturation(SIZES, curve)
    assert fit.interval(0.999)["exponent"] == pytest.approx((0.40, 48), rel=0.05)
    found = fit.interval(0.99999)
    assert found["exponent"] == (pytest.approx(0.21, abs=0.01), np.inf) and found["noise_scale"][1] < np.inf
    curve = power_saturation(SIZES, 0.01, 300, 0.3) * np.exp(
        0.05 * np.random.default_rng(3).standard_normal(11)
    )
    assert fit_power_saturation(SIZES, curve).interval(0.9999999)["exponent"] == (0, np.inf)


def refusals(curves, fit=fit_saturation, sizes=SIZES):
    """What is said of each; nothing of one that is fitted."""
    said = []
    for curve in curves:
        try:
            fit(sizes, curve)
        except ValueError as refusal:
            said.append(str(refusal))
        else:
            said.append("")
    return said


@pytest.mark.parametrize(("power", "least", "most"), [(-0.1, 80, 100), (0, 0, 13), (0.5, 0, 0)])
def test_a_fall_is_told_from_scatter(power, least, most, rng):
    """Of 100 curves with 10 % of scatter; of constants one in twenty falls, by construction."""
    said = refusals(SIZES**power * np.exp(0.1 * rng.standard_normal((100, 11))))
    assert least <= sum("falls, power -0." in each for each in said) <= most


def test_a_refusal_tells_the_power_and_its_error(rng):
    """As an ordinary regression has them."""
    for sizes in (SIZES, SIZES[:5]):
        curve = sizes**-0.3 * np.exp(0.1 * rng.standard_normal(sizes.size))
        found = linregress(np.log(sizes), np.log(curve))
        with pytest.raises(ValueError, match=rf"falls, power {found.slope:.2g} ± {found.stderr:.2g}: there"):
            fit_power_saturation(sizes, curve)


def test_a_rise_that_starts_level_or_levels_off_is_no_turn(rng):
    """A lowest point by the first size, a peak by the last, and what saturates, with 2 % of scatter."""
    logs, scatter = np.log(SIZES), np.exp(0.02 * rng.standard_normal((30, 11)))
    for shape in (
        0.02 * (logs - np.log(12)) ** 2,
        -0.02 * (logs - np.log(6000)) ** 2,
        -np.log1p(300 / SIZES),
    ):
        assert not any("must not fall" in each for each in refusals(np.exp(shape) * scatter))


def test_what_falls_far_and_rises_a_little_falls():
    (said,) = refusals([np.exp(0.12 * (np.log(SIZES) - np.log(2000)) ** 2)])
    assert "falls, power -0." in said


def test_a_turn_of_four_points_without_scatter_is_told():
    """And one of three, which any parabola meets, is not."""
    for sizes, fell in ((SIZES[:4], True), (SIZES[:3], False)):
        (said,) = refusals([np.exp(-((np.log(sizes) - np.log(sizes[-2])) ** 2) / 5)], sizes=sizes)
        assert ("must not fall again" in said) == fell


@pytest.mark.parametrize(("scatter", "none"), [(3e-10, True), (1e-7, False)])
def test_rounding_is_no_scatter(scatter, none, rng):
    (said,) = refusals([np.exp(scatter * rng.standard_normal(11))])
    assert ("throughout, without scatter" in said) == none


@pytest.mark.parametrize("points", [4, 5, 6, 7])
@pytest.mark.parametrize("fit", [fit_saturation, fit_power_saturation])
def test_scatter_of_a_few_points_is_no_turn(points, fit, rng):
    """Of constants with scatter three in a hundred at most are said to turn, and one in two hundred fits."""
    said = refusals(np.exp(0.1 * rng.standard_normal((200, points))), fit, SIZES[:points])
    assert sum("must not fall" in each for each in said) <= 6
    assert said.count("") <= 1
    trends = sum("must level off" in each or "falls, power" in each for each in said)
    assert 8 <= trends <= 32  # one in ten, by chance


@pytest.mark.parametrize(("bend", "place", "words"), [(-0.12, 500, "again"), (0.12, 80, "at first")])
def test_a_turn_is_told_where_it_is(bend, place, words, rng):
    """As another implementation finds it, in 98 of 100 parabolas with 10 % of scatter."""
    logs = np.log(SIZES)
    curves = np.exp(bend * (logs - np.log(place)) ** 2 + 0.1 * rng.standard_normal((100, 11)))
    found = 0
    for curve, said in zip(curves, refusals(curves), strict=True):
        square, slope, _ = np.polyfit(logs, np.log(curve), 2)
        found += f"must not fall {words}" in said and f"near B = {np.exp(-slope / 2 / square):.3g}, " in said
    assert found >= 98


def test_implied_noise_scale_inverts_saturation():
    B = np.geomspace(0.1, 1e4, 9)
    np.testing.assert_allclose(implied_noise_scale(B, saturation(B, 0.7, 33.0), 0.7), 33.0)
    assert implied_noise_scale(10.0, 2.0, 1.0) == -5


def test_preconditioned_limits(rng, definite):
    g, sigma, H, P = rng.standard_normal(5), definite(5), definite(5), definite(5)
    model, B = LocalModel(g, sigma, H), np.array([0.5, 20.0])
    limit, scale = preconditioned_limits(model, P)
    np.testing.assert_allclose(
        saturation(B, limit, scale), expected_step(model, Preconditioned(P), B).loss_decrease
    )
    assert preconditioned_limits(model, 9 * P) == pytest.approx((limit, scale))
    assert preconditioned_limits(model, np.ones(5)) == pytest.approx(
        (model.max_loss_decrease, model.noise_scale)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normalised_batch_size(1.0, -1.0), "noise_scale must be positive"),
        (lambda: power_saturation(1.0, 1.0, 1.0, 0.0), "exponent must be positive"),
        (lambda: fit_power_saturation([1, 2, 3], [1, 2, 3]), "4 points or more at 3 sizes .* got 3 at 3"),
        (lambda: fit_saturation([1, 2, 2], [1, 2, 2]), "3 points or more at 3 sizes .* got 3 at 2"),
        (lambda: fit_power_saturation([1, 2, 3], [1, 2]), "learning_rate must have 3 entries"),
        (lambda: fit_saturation([1, 2, 3], [1, 2, 2.5], 0.0), "exponent must be positive"),
        (lambda: fit_saturation(SIZES, CURVE).interval(1.0), "level must be in"),
        (lambda: fit_saturation(SIZES, CURVE).interval(0.0), "level must be in"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
