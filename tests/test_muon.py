import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power, polar

import lrbs
from lrbs.checks.problems import SHAPE, isotropic_model, matrix_gradient
from lrbs.laws.muon import muon_hessian, muon_law, muon_newton_curvature, newton_schulz
from lrbs.rules import msign


def test_newton_schulz_is_the_quintic_on_singular_values():
    G = np.random.default_rng(0).standard_normal((6, 4))
    left, values, right = np.linalg.svd(G, full_matrices=False)
    s = values / np.linalg.norm(values)
    for _ in range(3):
        s = 2.0 * s - 1.5 * s**3 + 0.5 * s**5
    expected = (left * s) @ right
    np.testing.assert_allclose(newton_schulz(G, 3, (2.0, -1.5, 0.5)), expected, atol=1e-12)
    np.testing.assert_allclose(newton_schulz(G.T, 3, (2.0, -1.5, 0.5)), expected.T, atol=1e-12)


def test_newton_schulz_forgets_the_size_of_a_matrix():
    G = np.random.default_rng(2).standard_normal((4, 3))
    np.testing.assert_allclose(newton_schulz(1e-6 * G), newton_schulz(G), rtol=1e-9)
    np.testing.assert_allclose(newton_schulz(G, 0), G / np.sqrt(np.sum(G**2)))


def test_newton_schulz_converges_to_the_polar_factor_with_classical_coefficients():
    G = np.random.default_rng(1).standard_normal((2, 5, 3))
    flattened = newton_schulz(G, 30, (15 / 8, -5 / 4, 3 / 8))
    for matrix, result in zip(G, flattened, strict=True):
        np.testing.assert_allclose(result, polar(matrix)[0], atol=1e-10)


@pytest.mark.parametrize(("matrix", "message"), [(np.zeros((3, 2)), "zero"), (np.ones(3), "shape")])
def test_newton_schulz_refuses(matrix, message):
    with pytest.raises(ValueError, match=message):
        newton_schulz(matrix)


def test_newton_step_under_muon_s_hessian_is_msign():
    G = matrix_gradient(1.0, (6, 4))
    step = np.linalg.solve(muon_hessian(G, 0.3).dense(), G.reshape(-1)).reshape(G.shape)
    np.testing.assert_allclose(step, 0.3 * msign(G), atol=1e-10)
    orthonormal = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 4)))[0].reshape(-1)
    curvature = orthonormal @ (muon_hessian(G, 0.3) @ orthonormal)
    np.testing.assert_allclose(curvature, muon_newton_curvature(G, 0.3))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("structure", ["diagonal", "dense"])
def test_both_mean_fields_against_matrix_powers_of_sampled_gram_matrices(shape, structure):
    rng = np.random.default_rng(3)
    G = rng.standard_normal(shape)
    root = rng.standard_normal((15, 15)) / 3
    covariance = rng.uniform(0.5, 2, 15) if structure == "diagonal" else root @ root.T
    model = lrbs.LocalModel(G.reshape(-1), covariance, np.ones(15))
    # Independent of the code: second moments summed entry by entry from the dense covariance.
    sigma = model.covariance.dense().reshape(*shape, *shape)
    gram = G.T @ G + sum(sigma[i, :, i, :] for i in range(shape[0]))
    outer = G @ G.T + sum(sigma[:, j, :, j] for j in range(shape[1]))
    rule = lrbs.Muon(shape)
    one = lrbs.mean_field(rule, model.gradient, model.noise(1.0)).mean.reshape(shape)
    if shape[0] >= shape[1]:
        expected = G @ fractional_matrix_power(gram, -0.5)
    else:
        expected = fractional_matrix_power(outer, -0.5) @ G
    np.testing.assert_allclose(one, expected, atol=1e-10)
    left, right = fractional_matrix_power(outer, -0.25), fractional_matrix_power(gram, -0.25)
    moments = lrbs.approximations.two_sided_mean_field(rule, model.gradient, model.noise(1.0))
    np.testing.assert_allclose(moments.mean.reshape(shape), left @ G @ right, atol=1e-10)
    P = np.kron(left, right.T)
    np.testing.assert_allclose(moments.covariance.dense(), P @ model.covariance.dense() @ P.T, atol=1e-10)


def test_two_sided_form_is_exact_without_noise_and_for_muon_alone():
    G = matrix_gradient(1.0, (6, 4))
    model = lrbs.LocalModel(G.reshape(-1), np.full(24, 1e-20), np.ones(24))
    moments = lrbs.approximations.two_sided_mean_field(lrbs.Muon((6, 4)), model.gradient, model.noise(1.0))
    np.testing.assert_allclose(moments.mean.reshape(6, 4), msign(G), atol=1e-6)
    with pytest.raises(NotImplementedError, match="SGD"):
        lrbs.approximations.two_sided_mean_field(lrbs.SGD(), model.gradient, model.noise(1.0))


def test_momentum_divides_muon_s_noise():
    model = isotropic_model(matrix_gradient(0.5))
    plain = lrbs.expected_step(model, lrbs.Muon(SHAPE), 19.0)
    averaged = lrbs.expected_step(model, lrbs.Muon(SHAPE, momentum=0.9), 1.0)
    np.testing.assert_allclose(averaged.optimal_lr, plain.optimal_lr, rtol=1e-12)


def test_law_equals_the_scalar_mean_field():
    rng = np.random.default_rng(4)
    root = rng.standard_normal((15, 15))
    model = lrbs.LocalModel(rng.standard_normal(15), rng.uniform(1, 2, 15), root @ root.T)
    sizes = np.array([0.1, 3.0, 100.0])
    step = lrbs.expected_step(model, lrbs.Muon((5, 3)), sizes, lrbs.scalar_mean_field)
    np.testing.assert_allclose(muon_law(model, (5, 3)).optimal_lr(sizes), step.optimal_lr, rtol=1e-12)
    np.testing.assert_allclose(muon_law(model, (5, 3)).loss_decrease(sizes), step.loss_decrease, rtol=1e-12)
