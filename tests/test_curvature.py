"""Newton and natural-gradient steps, sharpness, the generalisation gap."""

import numpy as np
import pytest

from lrbs import LocalModel, Preconditioned, expected_step, saturation
from lrbs.laws.flatness import (
    generalisation_gap,
    natural_gradient_step,
    newton_covariance,
    newton_noise_scale,
    sharpness,
)
from lrbs.operators import Dense, Probed


@pytest.fixture
def model(definite, rng) -> LocalModel:
    return LocalModel(rng.standard_normal(4), definite(4), definite(4))


def test_newtons_covariance_by_dense_algebra(model):
    inverse = np.linalg.inv(model.hessian.dense())
    expected = 0.3**2 * inverse @ (model.covariance.dense() / 6) @ inverse
    np.testing.assert_allclose(newton_covariance(model, 6, 0.3).dense(), expected, rtol=1e-9)


def test_newtons_learning_rate_saturates_at_one(model):
    """11260.3 with phi = H^-1 g_B is 1/(1 + B_Newton/B)."""
    rule = Preconditioned(np.linalg.inv(model.hessian.dense()))
    sizes = np.array([0.5, 5.0, 500.0])
    law = saturation(sizes, 1.0, newton_noise_scale(model))
    np.testing.assert_allclose(expected_step(model, rule, sizes).optimal_lr, law)


def test_newtons_noise_scale_of_independent_coordinates():
    model = LocalModel([1.0, 2.0], [3.0, 4.0], [0.5, 2.0])
    assert newton_noise_scale(model) == pytest.approx((3 / 0.5 + 4 / 2) / (1 / 0.5 + 4 / 2))


def test_newton_equals_sgd_where_all_curvatures_are_alike(rng, definite):
    model = LocalModel(rng.standard_normal(3), definite(3), np.full(3, 2.0))
    assert newton_noise_scale(model) == pytest.approx(model.noise_scale)
    assert newton_noise_scale(model) == pytest.approx(model.simple_noise_scale)


def test_singular_hessians_have_no_newton_step():
    model = LocalModel([1.0, 1.0], [1.0, 1.0], np.ones((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        newton_noise_scale(model)


def test_natural_gradient_step_does_not_depend_on_the_coordinates(definite, rng):
    """w = A v: the step in v, mapped to w, is the step in w."""
    fisher, change = definite(3), rng.standard_normal((3, 3))
    w, g = rng.standard_normal((2, 3))
    step = natural_gradient_step(w, g, fisher, 0.3)
    other = natural_gradient_step(np.linalg.solve(change, w), change.T @ g, change.T @ fisher @ change, 0.3)
    np.testing.assert_allclose(change @ other, step, rtol=1e-6)


def test_natural_gradient_by_hand():
    step = natural_gradient_step([1.0, 1.0], [2.0, 2.0], np.diag([4.0, 1.0]), 0.5)
    np.testing.assert_allclose(step, [0.75, 0.0])


def test_natural_gradient_refuses():
    with pytest.raises(ValueError, match="fisher must be symmetric"):
        natural_gradient_step([1.0, 1.0], [1.0, 1.0], [[1.0, 0.5], [0.0, 1.0]], 0.1)
    with pytest.raises(ValueError, match="gradient must have 2 entries"):
        natural_gradient_step([1.0, 1.0], [1.0], np.eye(2), 0.1)


def test_sharpness_exact_and_by_probes(definite):
    matrix = definite(30)
    assert sharpness(Dense(matrix)) == pytest.approx(np.trace(matrix))
    probed = Probed(lambda v: matrix @ v, 30, probes=4000, rng=0)
    off = matrix - np.diag(np.diagonal(matrix))
    error = np.sqrt(2 * np.sum(off**2) / 4000)
    assert abs(sharpness(probed) - np.trace(matrix)) < 4 * error


def test_gap():
    np.testing.assert_allclose(generalisation_gap([0.5, 0.2], [0.1, 0.3]), [0.4, -0.1])
