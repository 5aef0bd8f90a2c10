"""Exact moments of signs and soft signs against quadrature and SciPy's bivariate normal distribution."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from lrbs.normal import (
    sign_mean,
    sign_moments,
    sign_product_mean,
    softsign_mean,
    softsign_moments,
    softsign_square,
)
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank

RATIOS = [1e-3, 1e-2, 0.1, 0.5, 1.0, 10.0, 1e3]


def soft(x: float, epsilon: float) -> float:
    return x / math.hypot(x, epsilon)


def expectation(function, mean: float, deviation: float, scale: float) -> float:
    """E[function(x)] of a normal x by adaptive quadrature, split where a function of that scale bends."""
    if deviation == 0:
        return function(mean)
    bends = [(x - mean) / deviation for x in (0.0, -3 * scale, 3 * scale, -30 * scale, 30 * scale)]
    points = sorted({min(max(z, -12.0), 12.0) for z in [*bends, -3.0, 0.0, 3.0]})

    def integrand(z):
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * function(mean + deviation * z)

    value, _ = integrate.quad(integrand, -12, 12, points=points, limit=400, epsabs=1e-12, epsrel=1e-12)
    return value


def product_expectation(mean, deviation, rho, epsilon) -> float:
    """E[softsign(x) softsign(y)] by two nested quadratures: over x, then over y given x."""
    (m, n), (s, t) = mean, deviation
    rest = t * math.sqrt((1 - rho) * (1 + rho))

    def given(x):
        return soft(x, epsilon) * expectation(
            lambda y: soft(y, epsilon), n + rho * t * (x - m) / s, rest, epsilon
        )

    return expectation(given, m, s, epsilon)


# ------------------------------------------------------------------------------------------- signs
def test_sign_mean_is_a_difference_of_probabilities(rng):
    mean, deviation = rng.standard_normal(50), rng.uniform(0.1, 3, 50)
    positive = stats.norm.sf(0, mean, deviation)
    np.testing.assert_allclose(sign_mean(mean, deviation), positive - (1 - positive), atol=1e-14)


def test_sign_mean_without_noise_or_signal():
    mean, deviation = np.array([2.0, -1e-300, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(sign_mean(mean, deviation), [1.0, -1.0, 0.0, 0.0])
    assert sign_mean(3.0, np.zeros(2)).tolist() == [1.0, 1.0]


MEANS = [-3.0, -0.4, 0.0, 1e-6, 0.4, 1.5, 9.0]


@pytest.mark.parametrize("rho", [-1.0, -0.999999, -0.7, 0.0, 0.3, 0.95, 0.999999, 1.0])
def test_sign_product_mean_against_the_bivariate_distribution(rho):
    """4 P(x > 0, y > 0) - 2 P(x > 0) - 2 P(y > 0) + 1."""
    covariance = [[1.0, rho], [rho, 1.0]]
    for h in MEANS:
        for k in MEANS:
            both = stats.multivariate_normal.cdf(
                [h, k], [0, 0], covariance, allow_singular=True, abseps=1e-10
            )
            expected = 4 * both - 2 * stats.norm.cdf(h) - 2 * stats.norm.cdf(k) + 1
            assert sign_product_mean(h, k, rho) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("rho", [-0.99, -0.2, 0.5, 0.999])
def test_sign_product_mean_against_quadrature(rho):
    """To more digits than the bivariate distribution function has."""
    for h, k in [(0.0, 0.0), (0.3, 0.3), (-0.5, 2.0), (0.0, 1.0), (1e-9, -1e-9), (-1.0, 0.0)]:
        rest = math.sqrt(1 - rho**2)

        def given(z, h=h, k=k, rest=rest):
            return stats.norm.pdf(z) * np.sign(h + z) * math.erf((k + rho * z) / rest / math.sqrt(2))

        parts = [
            integrate.quad(given, *ends, points=[-k / rho], limit=300)[0] for ends in ((-12, -h), (-h, 12))
        ]
        assert sign_product_mean(h, k, rho) == pytest.approx(sum(parts), abs=1e-9)


def test_sign_product_mean_at_zero_means_is_an_arcsine():
    rho = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(sign_product_mean(0.0, 0.0, rho), 2 / np.pi * np.arcsin(rho), atol=1e-14)
    np.testing.assert_allclose(sign_product_mean(1e-12, -1e-12, rho[1:-1]), 2 / np.pi * np.arcsin(rho[1:-1]))


def test_sign_product_mean_is_symmetric(rng):
    (h, k), rho = rng.standard_normal((2, 100)), rng.uniform(-1, 1, 100)
    np.testing.assert_allclose(sign_product_mean(h, k, rho), sign_product_mean(k, h, rho), atol=1e-14)
    np.testing.assert_allclose(sign_product_mean(h, k, rho), -sign_product_mean(h, -k, -rho), atol=1e-14)


# -------------------------------------------------------------------------------------- soft signs
@pytest.mark.parametrize("ratio", RATIOS)
def test_softsign_mean_and_square_against_quadrature(ratio):
    deviation = 2.0
    epsilon = ratio * deviation
    means = deviation * np.array([-5.0, -1.0, -0.01, 0.0, 0.3, 2.0, 30.0])
    mean, square = softsign_mean(means, deviation, epsilon), softsign_square(means, deviation, epsilon)
    for i, m in enumerate(means):
        assert mean[i] == pytest.approx(
            expectation(lambda x: soft(x, epsilon), m, deviation, epsilon), abs=1e-11
        )
        expected = expectation(lambda x: soft(x, epsilon) ** 2, m, deviation, epsilon)
        assert square[i] == pytest.approx(expected, abs=1e-11)


def test_softsign_limits():
    mean, deviation = np.array([0.5, -2.0, 0.0]), np.array([1.0, 3.0, 1.0])
    np.testing.assert_allclose(softsign_mean(mean, deviation, 1e-8), sign_mean(mean, deviation), atol=1e-7)
    np.testing.assert_array_equal(softsign_mean(mean, deviation, 0.0), sign_mean(mean, deviation))
    np.testing.assert_allclose(1e6 * softsign_mean(mean, deviation, 1e6), mean, rtol=1e-9)
    np.testing.assert_array_equal(softsign_square(mean, deviation, 0.0), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(softsign_square(np.array([0.0, 1.0]), np.zeros(2), 0.0), [0.0, 1.0])


def test_softsign_without_noise_is_itself():
    mean, still = np.array([0.5, -2.0, 0.0]), np.zeros(3)
    np.testing.assert_allclose(softsign_mean(mean, still, 0.3), mean / np.hypot(mean, 0.3))
    np.testing.assert_allclose(
        softsign_square(mean, still, 0.3), (mean / np.hypot(mean, 0.3)) ** 2, atol=1e-15
    )


@pytest.mark.parametrize("k", [1e-6, 1e6])
@pytest.mark.parametrize("ratio", RATIOS)
def test_softsign_mean_in_other_units(ratio, k):
    """The nodes of the quadrature follow the scales of the problem."""
    means = np.array([-5.0, -0.01, 0.3, 30.0])
    expected = softsign_mean(means, 1.0, ratio)
    np.testing.assert_allclose(softsign_mean(k * means, k, k * ratio), expected, rtol=1e-9, atol=1e-13)


def test_softsign_mean_in_blocks(rng):
    """More coordinates than are computed at a time, in any shape: the same as one by one."""
    mean, deviation = rng.standard_normal((3, 2001)), rng.uniform(0, 1, 2001)
    values = softsign_mean(mean, deviation, 0.2)
    assert values.shape == mean.shape
    for index in [(0, 0), (1, 1000), (2, 2000), (2, 94), (2, 95)]:
        assert values[index] == pytest.approx(float(softsign_mean(mean[index], deviation[index[1]], 0.2)))


@pytest.mark.parametrize("rho", [0.0, -0.6, 0.99, 1.0, -1.0])
@pytest.mark.parametrize("ratio", [1e-3, 0.3, 1e3])
def test_softsign_products_against_quadrature(ratio, rho):
    mean, deviation = (0.7, -1.0), (1.0, 2.0)
    epsilon = ratio * deviation[0]
    covariance = np.outer(deviation, deviation) * [[1, rho], [rho, 1]]
    _, result = softsign_moments(np.array(mean), Dense(covariance), epsilon)
    centre = [
        expectation(lambda x: soft(x, epsilon), m, s, epsilon) for m, s in zip(mean, deviation, strict=True)
    ]
    expected = product_expectation(mean, deviation, rho, epsilon) - centre[0] * centre[1]
    assert result.dense()[0, 1] == pytest.approx(expected, abs=1e-10)
    assert result.dense()[1, 0] == result.dense()[0, 1]


# ----------------------------------------------------------------------------------------- vectors
def test_sign_moments_of_a_diagonal_are_those_of_the_matrix(rng):
    gradient, variance = rng.standard_normal(4), np.array([1.0, 0.2, 0.0, 3.0])
    for moments in (sign_moments, lambda g, noise: softsign_moments(g, noise, 0.4)):
        mean, covariance = moments(gradient, Diagonal(variance))
        dense_mean, dense_covariance = moments(gradient, Dense(np.diag(variance)))
        assert isinstance(covariance, Diagonal)
        np.testing.assert_allclose(dense_mean, mean)
        np.testing.assert_allclose(dense_covariance.dense(), covariance.dense(), atol=1e-14)
        assert covariance.values[2] == 0.0


def test_a_coordinate_without_noise_and_signal_stays():
    for epsilon in (0.0, 0.4):
        mean, covariance = softsign_moments(np.array([0.0, 1.0]), Diagonal([0.0, 1.0]), epsilon)
        assert mean[0] == 0.0
        assert covariance.values[0] == 0.0


def test_a_coordinate_without_noise_has_no_covariance(rng):
    factors = rng.standard_normal((4, 2))
    factors[1] = 0
    for moments in (sign_moments, lambda g, noise: softsign_moments(g, noise, 0.4)):
        mean, covariance = moments(
            np.array([0.5, -1.0, 0.0, 2.0]), DiagonalPlusLowRank(None, factors, [1.0, 2.0])
        )
        assert (covariance.dense()[1] == 0).all()
        assert (covariance.dense()[:, 1] == 0).all()
        assert mean[1] == pytest.approx(-1.0 if moments is sign_moments else -1 / math.hypot(1, 0.4))


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_moments_of_a_correlated_vector_in_standard_errors(epsilon, rng, definite, assert_within):
    gradient, matrix = 0.5 * rng.standard_normal(3), definite(3)
    mean, covariance = softsign_moments(gradient, Dense(matrix), epsilon)
    x = gradient + rng.standard_normal((200_000, 3)) @ np.linalg.cholesky(matrix).T
    phi = np.sign(x) if epsilon == 0 else x / np.sqrt(x**2 + epsilon**2)
    assert_within(phi.mean(axis=0), mean, phi.std(axis=0) / np.sqrt(len(x)))
    products = (phi - mean)[:, :, None] * (phi - mean)[:, None, :]
    assert_within(products.mean(axis=0), covariance.dense(), products.std(axis=0) / np.sqrt(len(x)))


def test_rounding_in_the_correlation_is_harmless():
    """A correlation that rounding puts above one is one."""
    v = np.array([0.1, 0.3, 0.7])
    _, covariance = sign_moments(np.zeros(3), Dense(np.outer(v, v) * (1 + 1e-15 * np.eye(3))))
    np.testing.assert_allclose(covariance.dense(), np.ones((3, 3)), atol=1e-6)
