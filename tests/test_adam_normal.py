"""Adam's moments as integrals, against quadrature over the gradients themselves and against limits."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf

import lrbs
from lrbs import Adam, LocalModel, exact
from lrbs.laws import corrected_mean, corrected_square
from lrbs.laws.adam import mean_update, second_average, square_update
from lrbs.normal import adam_moments
from lrbs.operators import Dense, Diagonal


def by_quadrature(mu, sigma, beta1, beta2):
    """Both moments after two steps, by a grid over the two normal gradients."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)
    g = mu + sigma * nodes
    first, second = np.meshgrid(g, g, indexing="ij")
    history = np.stack([first.ravel(), second.ravel()], axis=-1)[:, :, None]
    update = Adam(beta1, beta2)(history)[:, 0]
    density = np.outer(weights, weights).ravel() / (2 * np.pi)
    return density @ update, density @ update**2


@pytest.mark.parametrize(("mu", "sigma"), [(0.5, 1.0), (-2.0, 0.7), (3.0, 1.0)])
def test_two_steps_by_quadrature(mu, sigma):
    mean, square = adam_moments([mu], [sigma**2], 0.6, 0.7, steps=2)
    expected_mean, expected_square = by_quadrature(mu, sigma, 0.6, 0.7)
    assert mean[0] == pytest.approx(expected_mean, abs=2e-3)  # the integrand has a kink at zero
    assert square[0] == pytest.approx(expected_square, abs=2e-3)


def test_first_step_is_a_sign():
    mu = np.array([-3.0, 0.0, 0.2, 5.0])
    mean, square = adam_moments(mu, np.full(4, 4.0), 0.9, 0.95, steps=1)
    np.testing.assert_allclose(mean, erf(mu / (2 * math.sqrt(2))), atol=1e-8)
    np.testing.assert_allclose(square, 1, rtol=1e-8)


def test_the_least_beta2_is_all_but_a_sign():
    mean, square = adam_moments([0.5], [1.0], 0.0, 1e-3)
    assert mean[0] == pytest.approx(erf(0.5 / math.sqrt(2)), abs=0.01)
    assert square[0] == pytest.approx(1, abs=0.05)


def test_published_numbers():
    mean, square = adam_moments([0.5, 0.0], [1.0, 1.0], 0.9, 0.95)
    assert mean[0] == pytest.approx(0.4432, abs=5e-5)
    assert square[0] == pytest.approx(0.2300, abs=5e-5)
    assert math.sqrt(square[1]) == pytest.approx(0.2261, abs=5e-5)
    assert adam_moments([0.5], [1.0], 0.9, 0.999)[0][0] == pytest.approx(0.4470, abs=5e-5)


def test_symmetry_scale_and_coordinates_without_noise():
    mean, square = adam_moments([0.5, -0.5, 5.0, 0.0, 3.0, 0.0], [1.0, 1.0, 100.0, 0.0, 0.0, 2.0], 0.8, 0.9)
    assert mean[1] == -mean[0]
    assert mean[2] == pytest.approx(mean[0])
    assert square[2] == pytest.approx(square[0])
    np.testing.assert_allclose(mean[3:], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(square[3:5], [0, 1])
    nearly, _ = adam_moments([3.0], [1e-12], 0.8, 0.9)
    assert nearly[0] == pytest.approx(1)
    assert np.ravel(adam_moments([-3.0], [0.0], 0.8, 0.9)).tolist() == [-1.0, 1.0]


def test_many_coordinates_in_blocks():
    mu = np.linspace(-2, 2, 5001)
    mean, square = adam_moments(mu, np.ones(5001), 0.9, 0.95)
    some = [0, 2047, 2048, 5000]
    alone = adam_moments(mu[some], np.ones(4), 0.9, 0.95)
    np.testing.assert_allclose(mean[some], alone[0])
    np.testing.assert_allclose(square[some], alone[1])
    assert (np.diff(mean) > 0).all()


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_corrections_are_of_first_order(beta1):
    """What is left after the correction falls with the square of 1 - beta_2."""
    mu, ones = np.array([0.1, 0.5, 2.0]), np.ones(3)
    left, plain = [], []
    for beta2 in (0.99, 0.998):
        mean, square = adam_moments(mu, ones, beta1, beta2)
        left.append(
            [corrected_mean(mu, 1.0, beta1, beta2) - mean, corrected_square(mu, 1.0, beta1, beta2) - square]
        )
        plain.append(
            [mean_update(mu, second_average(mu, 1.0)) - mean, square_update(mu, 1.0, beta1) - square]
        )
    assert np.abs(left[1]).max() < np.abs(left[0]).max() / 15
    assert np.abs(plain[1]).max() > np.abs(plain[0]).max() / 7


def test_corrections_forget_the_unit_of_the_gradient():
    mu, variance = np.array([0.1, -0.5, 2.0]), np.array([0.3, 1.0, 4.0])
    for corrected in (corrected_mean, corrected_square):
        np.testing.assert_allclose(
            corrected(3 * mu, 9 * variance, 0.9, 0.95), corrected(mu, variance, 0.9, 0.95)
        )


def test_pure_noise_correction_symbolically():
    b1, b2 = sp.symbols("b_1 b_2", positive=True)
    c = (1 - b1) / (1 + b1)
    printed = c * (1 + 2 * (1 - b2) / (1 + b2) - 2 * (1 - b1**2) * (1 - b2) / (1 - b1**2 * b2))
    for values in ({b1: 0.9, b2: 0.95}, {b1: 0.5, b2: 0.99}):
        ours = corrected_square(0.0, 3.0, float(values[b1]), float(values[b2]))
        assert ours == pytest.approx(float(printed.subs(values)))


def test_as_a_method():
    model = LocalModel([0.5, -1.0], [9.0, 4.0], [[2.0, 0.5], [0.5, 1.0]])
    step = lrbs.expected_step(model, Adam(0.8, 0.9), [2.0, 20.0], exact)
    mean, square = adam_moments(model.gradient, model.noise(2.0).diagonal(), 0.8, 0.9)
    second = np.outer(mean, mean) + np.diag(square - mean**2)
    assert step.alignment[0] == pytest.approx(mean @ model.gradient)
    assert step.curvature[0] == pytest.approx(np.trace(second @ model.hessian.dense()))


@pytest.mark.parametrize(
    ("rule", "noise"),
    [(Adam(epsilon=1e-3), Diagonal([1.0])), (Adam(), Dense([[1.0]]))],
    ids=["epsilon", "structure"],
)
def test_what_it_is_not_exact_for_is_refused(rule, noise):
    with pytest.raises(NotImplementedError, match="exact knows Adam without epsilon, under diagonal noise"):
        exact(rule, np.array([1.0]), noise)


def test_refusals():
    with pytest.raises(ValueError, match=r"beta2 must be at least 0.001; got 0"):
        adam_moments([1.0], [1.0], 0.9, 0.0)
    with pytest.raises(ValueError, match="variance must not be negative"):
        adam_moments([1.0], [-1.0], 0.9, 0.95)
    with pytest.raises(ValueError, match="beta1 must be in"):
        adam_moments([1.0], [1.0], 1.0, 0.95)
    with pytest.raises(ValueError, match="variance must be positive"):
        corrected_mean(1.0, 0.0, 0.9, 0.95)
