"""The mean of a sign: the one line and the series behind it, against quadrature and SymPy."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf
from scipy.stats import norm

from lrbs.laws import (
    independent_second_moment,
    mean_field_sign,
    normal_sign_correction,
    sign_correction,
    sign_mean_series,
    sign_series,
)
from lrbs.normal import sign_mean

numbers = st.floats(-1e3, 1e3)
lengths = st.floats(0, 1e3, allow_subnormal=False)


@given(numbers, lengths)
def test_one_line_is_odd_bounded_and_scale_free(mean, deviation):
    value = float(mean_field_sign(mean, deviation))
    assert -1 <= value <= 1
    assert float(mean_field_sign(-mean, deviation)) == -value
    assert float(mean_field_sign(8 * mean, 8 * deviation)) == pytest.approx(value, rel=1e-12)
    if mean == 0:
        assert value == 0
    elif deviation == 0:
        assert value == np.sign(mean)


def test_one_line_by_hand():
    np.testing.assert_allclose(mean_field_sign([3.0, -5.0, 1.0], [4.0, 12.0, 3**0.5]), [0.6, -5 / 13, 0.5])
    assert mean_field_sign(0.0, 0.0) == 0
    assert mean_field_sign(1.0, np.ones((2, 3))).shape == (2, 3)


def test_largest_error_for_normal_noise():
    """Published figures of the book: 0.0644 at 0.523, -0.0618 at 2.20, and 25.3 % at vanishing signal."""
    ratio = np.linspace(0.01, 6, 60_000)
    error = mean_field_sign(ratio, 1.0) - erf(ratio / np.sqrt(2))
    assert error.max() == pytest.approx(0.0644, abs=5e-5)
    assert ratio[error.argmax()] == pytest.approx(0.523, abs=1e-3)
    assert error.min() == pytest.approx(-0.0618, abs=5e-5)
    assert ratio[error.argmin()] == pytest.approx(2.20, abs=5e-3)
    assert mean_field_sign(1e-8, 1.0) / sign_mean(1e-8, 1.0) == pytest.approx(np.sqrt(np.pi / 2))


def test_student_noise_of_two_degrees_makes_the_line_exact():
    def density(x):
        return 0.5 * (1 + x**2) ** -1.5

    for ratio in (0.3, 1.0, 4.0):
        mean = quad(density, -ratio, ratio)[0]  # what lies between the mean and its mirror image
        assert mean == pytest.approx(float(mean_field_sign(ratio, 1.0)))


def test_second_moment_of_independent_signs(rng, assert_within):
    mean, deviation = np.array([0.3, -0.8, 0.0]), np.array([1.0, 0.7, 2.0])
    signs = np.sign(mean + deviation * rng.standard_normal((100_000, 3)))
    second = independent_second_moment(sign_mean(mean, deviation))
    for i in range(3):
        assert second[i, i] == 1
        for j in range(i):
            product = signs[:, i] * signs[:, j]
            assert_within(product.mean(), second[i, j], product.std() / np.sqrt(len(product)))
    assert second[0, 1] == pytest.approx(float(sign_mean(0.3, 1.0) * sign_mean(-0.8, 0.7)))


def test_series_has_the_coefficients_of_the_article():
    x, v = sp.symbols("x v", positive=True)
    printed = [
        x / sp.sqrt(v),
        -sp.Rational(1, 2) * x * (x**2 - v) / v ** sp.Rational(3, 2),
        sp.Rational(3, 8) * x * (x**2 - v) ** 2 / v ** sp.Rational(5, 2),
    ]
    t = sp.symbols("t")
    expansion = sp.series(x / sp.sqrt(v + t * (x**2 - v)), t, 0, 3).removeO()
    for order, term in enumerate(printed):
        assert sp.simplify(expansion.coeff(t, order) - term) == 0
        total = float(sum(printed[: order + 1]).subs({x: 1.3, v: 2.1}))
        assert float(sign_series(1.3, 2.1, order + 1)) == pytest.approx(total)


@given(st.floats(0.3, 1.35), st.floats(0.1, 10))
def test_series_finds_the_sign_inside_its_circle(ratio, mean_square):
    x = ratio * np.sqrt(mean_square)
    assert float(sign_series(x, mean_square, 2000)) == pytest.approx(1, abs=1e-3)
    assert float(sign_series(-x, mean_square, 2000)) == pytest.approx(-1, abs=1e-3)


def test_averaged_series_against_quadrature_and_published_figures():
    for terms, figure in enumerate((0.577, 0.193, 1.347, -3.57, 25.4), start=1):
        value = sign_mean_series(1.0, np.sqrt(2), terms)
        assert value == pytest.approx(figure, rel=3e-3)

        def weighted(x, terms=terms):
            return float(sign_series(x, 3.0, terms)) * norm.pdf(x, 1.0, np.sqrt(2))

        assert value == pytest.approx(quad(weighted, -25, 25, epsabs=1e-9, limit=200)[0], abs=1e-6)


def test_first_correction_symbolically():
    """Half of (E[x^3] - mu^3 - mu sigma^2) / v^(3/2), for any distribution (11280.18, 11280.19)."""
    mu, sigma, z = sp.symbols("mu sigma z", positive=True)
    x, v = mu + sigma * z, mu**2 + sigma**2
    moments = {1: 0, 2: 1, 3: sp.Symbol("skew"), 0: 1}

    def average(expression):
        polynomial = sp.Poly(sp.expand(expression), z)
        return sum(coefficient * moments[power] for (power,), coefficient in polynomial.terms())

    term = average(x * (x**2 - v)) / (2 * v ** sp.Rational(3, 2))
    third = average(x**3)
    values = {mu: 0.7, sigma: 1.9, moments[3]: 0.8}
    formula = sign_correction(0.7, 1.9, float(third.subs(values)))
    assert float(formula) == pytest.approx(float(term.subs(values)))
    normal = sp.simplify(term.subs(moments[3], 0) - mu * sigma**2 / v ** sp.Rational(3, 2))
    assert normal == 0
    assert float(normal_sign_correction(0.7, 1.9)) == pytest.approx(0.7 * 1.9**2 / (0.7**2 + 1.9**2) ** 1.5)


def test_correction_is_the_second_term():
    for mean, deviation in ((1.0, 0.5), (-2.0, 3.0)):
        first, both = (sign_mean_series(mean, deviation, n) for n in (1, 2))
        assert first - both == pytest.approx(float(normal_sign_correction(mean, deviation)))


def test_correction_is_largest_where_the_article_says():
    ratio = np.linspace(0.5, 6, 5501)
    values = normal_sign_correction(1.0, np.sqrt(ratio))
    assert values.max() == pytest.approx(2 / 3**1.5)
    assert ratio[values.argmax()] == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_field_sign(1.0, -0.5), "deviation must not be negative; the smallest .* is -0.5"),
        (lambda: mean_field_sign(np.nan, 1.0), "mean must be finite"),
        (lambda: mean_field_sign(1.0, "a"), "deviation must be an array of real numbers"),
        (lambda: sign_series(1.0, 0.0, 2), "mean_square must be positive; .* is 0"),
        (lambda: sign_series(1.0, 1.0, 0), "terms must be at least 1; got 0"),
        (lambda: sign_mean_series(1.0, 1.0, 1.5), "terms must be an integer; got 1.5"),
        (lambda: sign_correction(0.0, 0.0, 0.0), "mean and deviation must not both be 0"),
        (lambda: independent_second_moment([[0.1]]), "sign_means must be 1-D"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
