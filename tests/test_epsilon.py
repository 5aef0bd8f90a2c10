"""Soft signs and clips against quadrature of their definitions; the laws against sums spelled out."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import lrbs
from lrbs import SGD, Adam, LocalModel, SoftSignSGD
from lrbs.checks import run

IDS = [id for id, formula in lrbs.formulas.items() if formula.chapter == "epsilon"]


@pytest.fixture
def model(rng, definite):
    return LocalModel(rng.standard_normal(5), rng.uniform(1, 4, 5), definite(5) + 1.0)


def averaged(function, mean, deviation, corners):
    """E[function(x)] of a normal x, by quadrature between the corners."""
    edges = [-12.0, *sorted((corner - mean) / deviation for corner in corners), 12.0]
    edges = [edge for edge in edges if -12 <= edge <= 12]

    def integrand(z):
        return function(mean + deviation * z) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    pairs = pairwise(edges)
    return sum(quad(integrand, low, high, epsabs=1e-13, epsrel=1e-12, limit=200)[0] for low, high in pairs)


@pytest.mark.parametrize("id", IDS)
def test_every_equation_passes_its_check(id):
    evidence = run(id)
    assert evidence.passed, evidence


def test_all_equations_of_the_part_are_registered():
    wanted = {f"11280.{n}" for n in range(20, 24)} | {f"10563.{n}" for n in range(1, 19)}
    assert wanted <= set(IDS)


# ------------------------------------------------------------------------------ functions of one number


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_stand_ins_for_the_soft_sign(x, epsilon):
    soft = float(lrbs.laws.smooth_sigmoid(x, 1 / epsilon))
    assert soft == pytest.approx(x / math.sqrt(x**2 + epsilon**2), abs=1e-12)
    assert float(lrbs.laws.hard_sigmoid(x, 1 / epsilon)) == pytest.approx(min(1, max(-1, x / epsilon)))
    assert abs(soft - float(lrbs.laws.hard_sigmoid(x, 1 / epsilon))) <= 1 - 2**-0.5 + 1e-12
    assert float(lrbs.laws.rescaled_softsign(x, epsilon)) == pytest.approx(
        epsilon * soft, rel=1e-9, abs=1e-12
    )


def test_rescaled_softsign_at_infinity_is_its_argument():
    assert lrbs.laws.rescaled_softsign([-3.0, 0.0, 2.0], math.inf).tolist() == [-3.0, 0.0, 2.0]


# -------------------------------------------------------------------------------------- the clip


@pytest.mark.parametrize("mean", [0.0, 0.3, -2.0, 9.0])
@pytest.mark.parametrize("deviation", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("epsilon", [1e-3, 0.4, 3.0])
def test_clip_moments_against_quadrature(mean, deviation, epsilon):
    def clip(x):
        return min(1.0, max(-1.0, x / epsilon))

    corners = (-epsilon, epsilon)
    first = averaged(clip, mean, deviation, corners)
    second = averaged(lambda x: clip(x) ** 2, mean, deviation, corners)
    assert float(lrbs.laws.clip_mean(mean, deviation, epsilon)) == pytest.approx(first, abs=1e-11)
    assert float(lrbs.laws.clip_square(mean, deviation, epsilon)) == pytest.approx(second, abs=1e-11)


@given(st.floats(-5, 5), st.floats(1e-9, 1e6))
def test_clip_moments_are_those_of_something_between_minus_one_and_one(mean, epsilon):
    first, second = (
        float(lrbs.laws.clip_mean(mean, 1.0, epsilon)),
        float(lrbs.laws.clip_square(mean, 1.0, epsilon)),
    )
    assert abs(first) <= 1
    assert first**2 - 1e-12 <= second <= 1 + 1e-12


def test_both_ways_of_computing_the_clip_meet():
    below, above = np.nextafter(0.5, 0), np.nextafter(0.5, 1)
    for moment in (lrbs.laws.clip_mean, lrbs.laws.clip_square):
        assert float(moment(0.7, 1.0, below)) == pytest.approx(float(moment(0.7, 1.0, above)), abs=1e-12)


def test_clip_moments_at_the_edges_of_their_domain():
    assert lrbs.laws.clip_mean([2.0, 0.5, 0.0], 0.0, 1.0).tolist() == [1.0, 0.5, 0.0]
    assert lrbs.laws.clip_square([2.0, 0.5, 0.0], 0.0, 1.0).tolist() == [1.0, 0.25, 0.0]
    assert lrbs.laws.clip_mean([8.0, 1.0], 0.0, 4.0).tolist() == [1.0, 0.25]
    assert lrbs.laws.clip_square([8.0, 1.0], 0.0, 4.0).tolist() == [1.0, 0.0625]
    assert float(lrbs.laws.clip_mean(1.0, 2.0, 0.0)) == pytest.approx(math.erf(0.5 / math.sqrt(2)))
    assert lrbs.laws.clip_square([1.0, 0.0], [2.0, 0.0], 0.0).tolist() == [1.0, 0.0]


def test_slope_of_the_clip():
    small = 1e-6
    expected = math.erf(0.8 / math.sqrt(2)) / 0.8
    assert float(lrbs.laws.clip_mean(small, 1.0, 0.8)) / small == pytest.approx(expected)
    assert float(lrbs.laws.clip_mean_by_slope(small, 1.0, 0.8)) / small == pytest.approx(expected)
    unit = lrbs.laws.clip_mean_by_slope([0.4, -2.0], 1.0, 0.8)
    np.testing.assert_allclose(lrbs.laws.clip_mean_by_slope([1.2, -6.0], 3.0, 2.4), unit)


# -------------------------------------------------------------------------------------- the laws


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("constant", [1.0, math.pi / 2])
def test_law_against_sums_spelled_out(model, epsilon, constant):
    g, H, variances = model.gradient, model.hessian.dense(), model.covariance.diagonal()
    ratio = constant * sum(variances) / (sum(g**2) + 5 * epsilon**2)
    beta = 1 / math.sqrt(1 + ratio / 7.0)
    nu = [x / math.sqrt(x**2 + epsilon**2) for x in g]
    double = sum(nu[i] * nu[j] * H[i, j] for i in range(5) for j in range(5))
    trace = sum(H[i, i] for i in range(5))
    alignment = sum(n * x for n, x in zip(nu, g, strict=True))
    curvature = beta**2 * double + (1 - beta**2) * trace
    law = lrbs.laws.soft_law(model, epsilon, constant)
    assert float(law.optimal_lr(7.0)) == pytest.approx(beta * alignment / curvature)
    assert float(law.loss_decrease(7.0)) == pytest.approx((beta * alignment) ** 2 / (2 * curvature))
    assert law.max_loss_decrease == pytest.approx(alignment**2 / (2 * double))
    assert law.loss_scale == pytest.approx(ratio * trace / double)
    assert lrbs.laws.surge_ratio(model, epsilon) == pytest.approx(double / trace)
    assert law.has_surge == (double > 2 * trace)


def test_without_epsilon_the_law_is_that_of_the_sign(model):
    soft, sharp = lrbs.laws.soft_law(model, 0.0), lrbs.ScalarLaw.of_sign(model)
    assert vars(soft) == pytest.approx(vars(sharp))


@pytest.mark.parametrize("constant", [1.0, math.pi / 2])
def test_learning_rate_per_epsilon(model, constant):
    sizes = np.array([0.5, 5.0])
    for epsilon in (0.2, 3.0, 200.0):
        divided = lrbs.laws.soft_law(model, epsilon, constant).optimal_lr(sizes) / epsilon
        np.testing.assert_allclose(
            lrbs.laws.lr_per_epsilon(model, epsilon, sizes, constant), divided, rtol=1e-10
        )
    end = lrbs.laws.sgd_limit_lr(model, sizes, constant)
    np.testing.assert_allclose(lrbs.laws.lr_per_epsilon(model, math.inf, sizes, constant), end, rtol=1e-12)
    g, H = model.gradient, model.hessian.dense()
    spread = constant * model.covariance.diagonal().mean()
    np.testing.assert_allclose(end, g @ g / (g @ H @ g + spread * np.trace(H) / sizes), rtol=1e-12)


def test_soft_sign_ends_at_sgd_and_the_older_route_does_not(model):
    exact = lrbs.expected_step(model, SoftSignSGD(1e5), 2.0, lrbs.exact).optimal_lr / 1e5
    sgd = lrbs.expected_step(model, SGD(), 2.0).optimal_lr
    assert float(exact) == pytest.approx(float(sgd), rel=1e-6)
    assert float(lrbs.laws.sgd_limit_lr(model, 2.0)) < 0.98 * float(sgd)


def test_rescaled_noise_is_what_beta_leaves(model):
    for epsilon in (0.1, 2.0, 50.0):
        law = lrbs.laws.soft_law(model, epsilon, math.pi / 2)
        beta2 = 1 / (1 + law.noise_scale / 3.0)
        found = float(lrbs.laws.rescaled_noise(model, epsilon, 3.0))
        assert found == pytest.approx(epsilon**2 * (1 - beta2), rel=1e-9)


def test_adam_ends_at_momentum(model):
    limit = lrbs.laws.adam_limit_lr(model, 2.0, beta1=0.8)
    mean_field = lrbs.expected_step(model, Adam(beta1=0.8, beta2=0.9, epsilon=1e6), 2.0).optimal_lr / 1e6
    assert float(mean_field) == pytest.approx(float(limit), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: lrbs.laws.soft_law(m, -1.0), "epsilon must not be negative"),
        (lambda m: lrbs.laws.soft_law(m, 1.0, 0.0), "noise_constant must be positive"),
        (lambda m: lrbs.laws.surge_ratio(m, math.nan), "epsilon must be finite"),
        (lambda m: lrbs.laws.lr_per_epsilon(m, 0.0, 1.0), "epsilon must be positive"),
        (lambda m: lrbs.laws.lr_per_epsilon(m, 1.0, -1.0), "batch_size must be positive"),
        (lambda m: lrbs.laws.adam_limit_lr(m, 1.0, beta1=1.0), r"beta1 must be in \[0, 1\)"),
        (lambda m: lrbs.laws.clip_mean(0.0, -1.0, 1.0), "deviation must not be negative"),
        (lambda m: lrbs.laws.clip_square(0.0, 1.0, -1.0), "epsilon must not be negative"),
        (lambda m: lrbs.laws.clip_mean_by_slope(0.0, 0.0, 1.0), "deviation must be positive"),
        (lambda m: lrbs.laws.hard_sigmoid(0.0, 0.0), "slope must be positive"),
        (
            lambda m: lrbs.laws.soft_noise_scale(LocalModel([0.0], [1.0], [1.0]), 0.0),
            "gradient and epsilon are both zero",
        ),
        (lambda m: lrbs.laws.surge_ratio(LocalModel([1.0], [1.0], [-1.0]), 0.0), "trace of the hessian"),
    ],
)
def test_errors_say_what_is_wrong(model, call, words):
    with pytest.raises(ValueError, match=words):
        call(model)
