"""Correlated, unequal and heavy-tailed noise: sums spelled out, samples, limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lrbs
from lrbs import SGD, Adam, LocalModel, SignSGD, SoftSignSGD
from lrbs.checks import find, problems, run
from lrbs.checks import independence as checks
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank

IDS = [id for id, formula in lrbs.formulas.items() if formula.chapter in ("independence", "spread-and-tails")]


@pytest.fixture
def model(rng, definite):
    return LocalModel(rng.standard_normal(4), definite(4), definite(4) + 1.0)


def correlations(covariance):
    deviation = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviation, deviation)


@pytest.mark.parametrize("id", IDS)
def test_every_equation_passes_its_check(id):
    evidence = run(id)
    assert evidence.passed, evidence


@pytest.mark.parametrize(
    "name",
    [
        "trace_is_not_all",
        "correlation_moves_the_surge",
        "independence_fails_by_a_factor",
        "spread_defeats_the_scalar_form",
        "heavy_tails_defeat_the_variance",
    ],
)
def test_checks_that_belong_to_no_equation(name):
    evidence = find(name)()
    assert evidence.passed, evidence


# ------------------------------------------------------------------------------------ correlated noise


@pytest.mark.parametrize("epsilon", [0.0, 0.7])
def test_law_against_sums_spelled_out(model, epsilon):
    R, H, g = correlations(model.covariance.dense()), model.hessian.dense(), model.gradient
    meeting = sum(R[i, j] * H[i, j] for i in range(4) for j in range(4))
    nu = g / np.sqrt(g**2 + epsilon**2)
    beta2 = 1 / (1 + model.covariance.trace() / (g @ g + 4 * epsilon**2) / 3.0)
    curvature = beta2 * (nu @ H @ nu) + (1 - beta2) * meeting
    law = lrbs.laws.correlated_law(model, epsilon)
    assert lrbs.laws.correlation_trace(model) == pytest.approx(meeting)
    assert float(law.optimal_lr(3.0)) == pytest.approx(math.sqrt(beta2) * (nu @ g) / curvature)
    rule = SoftSignSGD(epsilon)
    step = lrbs.expected_step(model, rule, 3.0, lrbs.approximations.correlated_scalar_mean_field)
    assert float(step.curvature) == pytest.approx(curvature)


def test_strangers_get_the_articles_law(rng, definite):
    model = LocalModel(rng.standard_normal(4), rng.uniform(1, 2, 4), definite(4) + 1.0)
    assert vars(lrbs.laws.correlated_law(model)) == pytest.approx(vars(lrbs.ScalarLaw.of_sign(model)))
    for rule in (SignSGD(0.5), SoftSignSGD(0.3), Adam(0.8, 0.9)):
        noise = model.noise(2.0)
        ours = lrbs.approximations.correlated_scalar_mean_field(rule, model.gradient, noise)
        theirs = lrbs.scalar_mean_field(rule, model.gradient, noise)
        np.testing.assert_allclose(ours.mean, theirs.mean)
        np.testing.assert_allclose(ours.covariance.dense(), theirs.covariance.dense(), atol=1e-15)


def test_correlations_keep_a_low_rank(rng, definite):
    samples = rng.standard_normal((6, 4))
    model = LocalModel.from_samples(samples, definite(4))
    moments = lrbs.approximations.correlated_scalar_mean_field(SignSGD(), model.gradient, model.noise(2.0))
    assert isinstance(moments.covariance, DiagonalPlusLowRank)
    R = correlations(np.cov(samples, rowvar=False))
    np.testing.assert_allclose(
        moments.covariance.dense(), R * moments.covariance.diagonal()[0], rtol=1e-10, atol=1e-12
    )


def test_a_coordinate_without_noise_has_no_correlation():
    model = LocalModel([1.0, 1.0], [[4.0, 0.0], [0.0, 0.0]], [[2.0, 1.0], [1.0, 5.0]])
    assert lrbs.laws.correlation_trace(model) == 2.0


def test_rules_that_are_no_signs_are_refused(model):
    with pytest.raises(NotImplementedError, match="no form for SGD"):
        lrbs.approximations.correlated_scalar_mean_field(SGD(), model.gradient, model.noise(1.0))


@given(st.integers(2, 8), st.integers(0, 10**6))
def test_mean_field_is_within_its_bound_when_noise_follows_curvature(size, seed):
    root = np.random.default_rng(seed).standard_normal((size, 2))
    hessian = root @ root.T + 0.01 * np.eye(size)
    model = LocalModel(np.ones(size), hessian, hessian)
    share = lrbs.laws.arcsine_trace(model) / lrbs.laws.correlation_trace(model)
    assert 2 / math.pi <= share <= 1 + 1e-12


def test_exact_small_batches(model):
    limit = math.sqrt(2 / math.pi) * np.sum(model.gradient**2 / np.sqrt(model.covariance.diagonal()))
    step = lrbs.expected_step(model, SignSGD(), 1e-10, lrbs.exact)
    assert float(step.optimal_lr) / 1e-5 == pytest.approx(limit / lrbs.laws.arcsine_trace(model), rel=1e-4)


def test_two_equal_partners_never_surge():
    sizes = np.geomspace(1e-2, 1e4, 41)
    for rho in (-0.9, 0.0, 0.9):
        for shared in (-0.9, 0.9):
            noise = [[1.0, rho], [rho, 1.0]]
            model = LocalModel([1.0, 1.0], noise, [[1.0, shared], [shared, 1.0]])
            height, _ = checks.surge_height(model, sizes)
            assert height <= 1 + 1e-9


# --------------------------------------------------------------------------------------- unequal noise


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=6))
def test_power_means_grow_with_the_power(pairs):
    g, sigma = np.array(pairs).T
    scales = [lrbs.laws.mean_noise_scale(g, sigma, power, 1.0) for power in (-3, -1, -1e-6, 0, 1e-6, 1, 2, 5)]
    assert (np.diff(scales) >= -1e-6 * np.abs(scales[1:])).all()
    ratios = (sigma / g) ** 2
    assert ratios.min() * (1 - 1e-9) <= scales[0] <= scales[-1] * (1 + 1e-9)
    assert scales[-1] <= ratios.max() * (1 + 1e-9)


def test_power_means_by_hand():
    g, sigma = np.array([1.0, -2.0]), np.array([3.0, 4.0])  # ratios 3 and 2
    assert lrbs.laws.mean_noise_scale(g, sigma) == pytest.approx((9 + 16) / (1 + 4))
    assert lrbs.laws.mean_noise_scale(g, sigma, 2, 1) == pytest.approx((9 + 2 * 4) / 3)
    assert lrbs.laws.mean_noise_scale(g, sigma, -1, 1) == pytest.approx((3 / (1 / 3 + 2 / 2)) ** 2)
    assert lrbs.laws.mean_noise_scale(g, sigma, 0, 1) == pytest.approx((3 * 2 * 2) ** (2 / 3))
    assert lrbs.laws.mean_noise_scale(g, 1e100 * sigma, 5, 0) < math.inf  # 1e500 on the way


def test_power_of_a_mean_is_found_again():
    g, sigma = np.array([1.0, 2.0, 0.5]), np.array([1.0, 1.0, 4.0])
    for power in (-30.0, -1.0, 0.0, 0.5, 40.0):
        scale = lrbs.laws.mean_noise_scale(g, sigma, power, 1.0)
        assert lrbs.laws.power_of_mean(g, sigma, scale) == pytest.approx(power, abs=1e-6)
    assert math.isnan(lrbs.laws.power_of_mean([1.0, 2.0], [1.0, 2.0], 1.0))
    power = lrbs.laws.power_of_mean([1.0, 1.0], [2.0, 3.0], 5.0)  # little above the smaller square
    assert ((2**power + 3**power) / 2) ** (2 / power) == pytest.approx(5)


def test_fit_finds_the_ratio_that_all_share():
    sizes = np.geomspace(0.1, 100, 7)
    for unit in (1.0, 1e-6, 1e6):
        g, sigma = unit * np.array([1.0, -2.0]), unit * np.array([3.0, 6.0])
        assert lrbs.laws.fitted_noise_scale(g, sigma, sizes) == pytest.approx(9.0, rel=1e-6)


# ----------------------------------------------------------------------------------------- heavy tails


def test_mean_sign_with_outliers_at_its_ends():
    normal = math.erf(0.3 * 3 / math.sqrt(2))
    assert lrbs.laws.contaminated_sign_mean(0.3, 1.0, 9, 0.0, 50.0) == pytest.approx(normal)
    assert lrbs.laws.contaminated_sign_mean(0.3, 1.0, 9, 0.4, 1.0) == pytest.approx(normal)
    assert lrbs.laws.contaminated_sign_mean(0.0, 1.0, 9, 0.4, 7.0) == 0.0
    by_hand = 0.8 * math.erf(0.3 / math.sqrt(2)) + 0.2 * math.erf(0.3 / math.sqrt(2) / 7)
    assert lrbs.laws.contaminated_sign_mean(0.3, 1.0, 1, 0.2, 7.0) == pytest.approx(by_hand)
    still = 0.8 * math.erf(0.3 / math.sqrt(2)) + 0.2
    assert lrbs.laws.contaminated_sign_mean(0.3, 1.0, 1, 0.2, 0.0) == pytest.approx(still)
    unit = lrbs.laws.contaminated_sign_mean(0.3, 1.0, 9, 0.2, 7.0)
    assert lrbs.laws.contaminated_sign_mean(1.5, 5.0, 9, 0.2, 7.0) == pytest.approx(unit)


@given(st.floats(0.01, 100))
def test_flat_noise_is_the_worst_for_signs(width):
    variance = (2 * width) ** 2 / 12
    assert float(lrbs.laws.sign_variance(1 / (2 * width))) == pytest.approx(3 * variance)


def test_mean_field_with_the_apparent_variance_has_the_right_slope():
    variance = float(lrbs.laws.sign_variance(1 / math.sqrt(2 * math.pi)))
    moments = lrbs.mean_field(SignSGD(), np.array([1e-5]), Diagonal([variance]))
    assert float(moments.mean[0]) == pytest.approx(math.erf(1e-5 / math.sqrt(2)), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lrbs.laws.mean_noise_scale([0.0, 1.0], [1.0, 1.0]), "gradient must have no zero entry"),
        (lambda: lrbs.laws.mean_noise_scale([1.0], [0.0]), "deviation must be positive"),
        (lambda: lrbs.laws.mean_noise_scale([1.0], [1.0, 2.0]), "deviation must have 1 entries"),
        (lambda: lrbs.laws.power_of_mean([1.0, 1.0], [1.0, 2.0], 5.0), "between the squared ratios 1 and 4"),
        (lambda: lrbs.laws.power_of_mean([1.0, 1.0], [2.0, 3.0], 4.0), "between the squared ratios 4 and 9"),
        (lambda: lrbs.laws.fitted_noise_scale([1.0], [1.0], [-1.0]), "batch_size must be positive"),
        (lambda: lrbs.laws.sign_variance(0.0), "central_density must be positive"),
        (lambda: lrbs.laws.contaminated_sign_mean(1.0, 1.0, 0, 0.1, 2.0), "batch_size must be at least 1"),
        (lambda: lrbs.laws.contaminated_sign_mean(1.0, 1.0, 2, 1.0, 2.0), r"share must be in \[0, 1\)"),
        (lambda: lrbs.laws.contaminated_sign_mean(1.0, 1.0, 2, 0.1, -2.0), "factor must not be negative"),
        (lambda: lrbs.laws.contaminated_sign_mean(1.0, 0.0, 2, 0.1, 2.0), "deviation must be positive"),
    ],
)
def test_errors_say_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_dense_models_of_the_page_are_what_they_say():
    full, none = problems.noise_along_curvature(), problems.noise_along_curvature(0.0)
    np.testing.assert_allclose(full.covariance.diagonal(), none.covariance.diagonal())
    assert np.count_nonzero(none.covariance.dense() - np.diag(none.covariance.diagonal())) == 0
    assert isinstance(problems.two_coordinates(0.3).covariance, Dense)
