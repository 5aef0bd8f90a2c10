"""The noise along the Hessian's eigenvectors, and what correlations do to the curvature that it meets."""

import numpy as np
import pytest

from lrbs import SGD, LocalModel, expected_step
from lrbs.laws import correlation_factor, noise_spectrum
from lrbs.operators import MatrixFree


@pytest.fixture
def model(rng, definite):
    return LocalModel(rng.standard_normal(6), definite(6), definite(6))


def test_variances_are_those_of_projected_noise(model):
    eigenvalues, variances = noise_spectrum(model)
    assert (np.diff(eigenvalues) <= 0).all()
    H, sigma = model.hessian.dense(), model.covariance.dense()
    for value, variance in zip(eigenvalues, variances, strict=True):
        null = np.linalg.svd(H - value * np.eye(6))[2][-1]  # the direction that H - value sends to zero
        assert variance == pytest.approx(null @ sigma @ null, rel=1e-6)


def test_noise_that_is_the_hessian_lies_along_it(definite):
    H = definite(6)
    eigenvalues, variances = noise_spectrum(LocalModel(np.ones(6), 3 * H, H))
    np.testing.assert_allclose(variances, 3 * eigenvalues, rtol=1e-10)


def test_factor_of_a_fisher_matrix_by_hand():
    """With unit diagonal and one correlation r, H = Sigma: (2 + 2 r^2) / 2."""
    matrix = np.array([[1.0, 0.6], [0.6, 1.0]])
    assert correlation_factor(LocalModel([1.0, 0.0], matrix, matrix)) == pytest.approx(1.36)


def test_factor_without_correlations_is_one(model):
    assert correlation_factor(model.with_correlations(0)) == pytest.approx(1, rel=1e-12)


def test_small_batches_are_overrated_by_the_factor(model):
    size = 1e-6 * model.noise_scale
    alone, real = (
        float(expected_step(model.with_correlations(share), SGD(), size).optimal_lr) for share in (0, 1)
    )
    assert alone / real == pytest.approx(correlation_factor(model), rel=1e-4)


def test_factor_needs_upward_curvature_and_a_diagonal():
    with pytest.raises(ValueError, match="hessian must curve upwards along the noise; its variances meet -1"):
        correlation_factor(LocalModel([1.0, 0.0], [1.0, 1.0], [1.0, -2.0]))
    with pytest.raises(ValueError, match="its variances meet 0"):
        correlation_factor(LocalModel([1.0, 0.0], [2.0, 1.0], [1.0, -2.0]))
    free = LocalModel([1.0, 0.0], [1.0, 1.0], MatrixFree(lambda v: v, 2))
    with pytest.raises(NotImplementedError, match="no diagonal"):
        correlation_factor(free)
