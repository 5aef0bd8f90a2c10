"""Steps of SGD and of its differential equation: identities, exact recursions, limits, refusals."""

import numpy as np
import pytest

from lrbs.laws.quadratic import Quadratic, sde_cloud, settled_variance, sgd_cloud, sgd_runs
from lrbs.laws.sde import diffusion_coefficient, sde_runs, sde_step, sgd_step


@pytest.fixture
def quadratic() -> Quadratic:
    return Quadratic(curvature=[2.0, 0.5], variance=[3.0, 1.0])


# ---------------------------------------------------------------------------------------- one step
def test_a_step_uses_gradient_and_noise_alike(rng):
    w, g, xi = rng.standard_normal((3, 4))
    np.testing.assert_allclose(sgd_step(w, g, xi, 0.1), w - 0.1 * (g + xi))


def test_sgd_is_an_euler_step_of_length_eta(rng):
    w, g, z = rng.standard_normal((3, 2))
    root = diffusion_coefficient([3.0, 1.0], learning_rate=0.1, batch_size=4)
    noise = np.sqrt([3.0 / 4, 1.0 / 4]) * z
    np.testing.assert_allclose(sde_step(w, g, root, 0.1, z), sgd_step(w, g, -noise, 0.1) - 2 * 0.1 * noise)


def test_noise_advances_with_the_root_of_time(rng):
    z, root = np.ones(1), np.array([0.7])
    far, near = (sde_step([0.0], [0.0], root, dt, z)[0] for dt in (0.4, 0.1))
    assert far / near == pytest.approx(2)
    far, near = (sde_step([0.0], [1.0], root, dt, [0.0])[0] for dt in (0.4, 0.1))
    assert far / near == pytest.approx(4)


def test_coefficient_is_a_root_and_depends_on_the_ratio_alone(definite):
    sigma = definite(4)
    root = diffusion_coefficient(sigma, 8, 0.2)
    np.testing.assert_allclose(root @ root, 0.2 / 8 * sigma)
    np.testing.assert_allclose(diffusion_coefficient(sigma, 32, 0.8), root)
    np.testing.assert_allclose(
        diffusion_coefficient(np.diag([4.0, 9.0]), 1, 1), np.diag(diffusion_coefficient([4.0, 9.0], 1, 1))
    )


def test_dense_noise_has_the_covariance(definite, rng):
    sigma = definite(3)
    z = rng.standard_normal((40_000, 3))
    steps = sde_step(np.zeros(3), np.zeros(3), diffusion_coefficient(sigma, 2, 0.5), 0.5, z)
    np.testing.assert_allclose(np.cov(steps, rowvar=False), 0.5**2 / 2 * sigma, atol=0.01)


def test_without_noise_there_is_no_diffusion():
    np.testing.assert_array_equal(diffusion_coefficient([0.0, 0.0], 1, 1), [0.0, 0.0])
    np.testing.assert_array_equal(diffusion_coefficient([4.0, 0.0], 1, 1), [2.0, 0.0])
    np.testing.assert_array_equal(diffusion_coefficient([4.0, -1e-15], 1, 1), [2.0, 0.0])  # rounding
    np.testing.assert_array_equal(diffusion_coefficient(np.zeros((2, 2)), 1, 1), np.zeros((2, 2)))
    np.testing.assert_array_equal(Quadratic([2.0, 1.0], [0.0, 0.5]).variance, [0.0, 0.5])


def test_coefficient_refuses_what_is_no_covariance():
    with pytest.raises(ValueError, match="no negative eigenvalue"):
        diffusion_coefficient([1.0, -0.1], 1, 1)
    with pytest.raises(ValueError, match="no negative eigenvalue"):
        diffusion_coefficient([[1.0, 2.0], [2.0, 1.0]], 1, 1)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        diffusion_coefficient([1.0], 0, 1)


# -------------------------------------------------------------------------------------------- paths
def test_paths_without_noise_are_eulers(quadratic):
    path = sde_runs(
        lambda w: quadratic.curvature * w, np.zeros(2), [1.0, 1.0], time_step=0.1, steps=3, runs=2, rng=0
    )
    assert path.shape == (4, 2, 2)
    np.testing.assert_allclose(path[:, 0, 0], 0.8 ** np.arange(4))


def test_sgd_runs_and_the_equation_in_steps_of_eta_are_one_process(quadratic):
    """The same random numbers, up to their sign, which is symmetric."""
    runs = sgd_runs(quadratic, [1.0, 1.0], learning_rate=0.1, batch_size=4, steps=5, runs=3, rng=1)
    root = diffusion_coefficient(quadratic.variance, 4, 0.1)
    path = sde_runs(
        lambda w: quadratic.curvature * w, root, [1.0, 1.0], time_step=0.1, steps=5, runs=3, rng=1
    )
    np.testing.assert_allclose(path, runs)


def test_cloud_follows_the_runs(quadratic, assert_within):
    cloud = sgd_cloud(quadratic, [1.0, -1.0], learning_rate=0.3, batch_size=2, steps=6)
    runs = sgd_runs(quadratic, [1.0, -1.0], learning_rate=0.3, batch_size=2, steps=6, runs=20_000, rng=2)
    assert_within(runs[-1].mean(0), cloud.mean[-1], runs[-1].std(0) / np.sqrt(20_000))
    squares = (runs[-1] - cloud.mean[-1]) ** 2
    assert_within(squares.mean(0), cloud.variance[-1], squares.std(0) / np.sqrt(20_000))
    losses = quadratic.loss(runs[-1])
    assert_within(losses.mean(), cloud.expected_loss(quadratic)[-1], losses.std() / np.sqrt(20_000))


def test_cloud_in_closed_form(quadratic):
    """Constant rates: geometric series."""
    cloud = sgd_cloud(quadratic, [1.0, 1.0], learning_rate=0.3, batch_size=2, steps=9)
    shrink = 1 - 0.3 * quadratic.curvature
    np.testing.assert_allclose(cloud.mean[-1], shrink**9)
    limit = settled_variance(quadratic, 2, 0.3)
    np.testing.assert_allclose(cloud.variance[-1], limit * (1 - shrink**18))


def test_cloud_takes_schedules(quadratic):
    rates, sizes = np.array([0.1, 0.2]), np.array([1.0, 5.0])
    cloud = sgd_cloud(
        quadratic, [1.0, 1.0], learning_rate=rates, batch_size=sizes, steps=2, start_variance=0.5
    )
    first = 0.8**2 * 0.5 + 0.1**2 * 3.0
    assert cloud.variance[1, 0] == pytest.approx(first)
    assert cloud.variance[2, 0] == pytest.approx(0.6**2 * first + 0.2**2 * 3.0 / 5)
    assert cloud.mean[2, 0] == pytest.approx(0.8 * 0.6)


def test_settled_variance_is_a_fixed_point(quadratic):
    limit = settled_variance(quadratic, 3, 0.9)
    cloud = sgd_cloud(quadratic, [0.0, 0.0], learning_rate=0.9, batch_size=3, steps=1, start_variance=limit)
    np.testing.assert_allclose(cloud.variance[1], limit)


def test_equation_in_the_limit_of_short_steps(quadratic):
    exact = sde_cloud(quadratic, [1.0, 1.0], learning_rate=0.02, batch_size=1, time=[0.5, 60.0])
    cloud = sgd_cloud(quadratic, [1.0, 1.0], learning_rate=2e-4, batch_size=1e-2, steps=2500)
    np.testing.assert_allclose(cloud.mean[-1], exact.mean[0], rtol=1e-3)
    np.testing.assert_allclose(cloud.variance[-1], exact.variance[0], rtol=1e-3)
    np.testing.assert_allclose(exact.variance[1], 0.02 * quadratic.variance / 2 / quadratic.curvature)


def test_a_run_depends_on_eta_over_b_alone_in_the_equation(quadratic):
    one = sde_cloud(quadratic, [1.0, 1.0], learning_rate=0.1, batch_size=2, time=[1.0])
    other = sde_cloud(quadratic, [1.0, 1.0], learning_rate=0.4, batch_size=8, time=[1.0])
    np.testing.assert_allclose(one.variance, other.variance)
    np.testing.assert_allclose(one.mean, other.mean)


def test_local_model_of_a_point(quadratic):
    model = quadratic.at([1.0, 2.0])
    np.testing.assert_allclose(model.gradient, [2.0, 1.0])
    assert model.noise_scale == pytest.approx((2 * 3 + 0.5 * 1) / (2 * 4 + 0.5 * 1))
    assert quadratic.loss([1.0, 2.0]) == pytest.approx(2.0)


def test_learning_rates_beyond_stability_are_refused(quadratic):
    with pytest.raises(ValueError, match="learning_rate must be below"):
        settled_variance(quadratic, 4, 1.0)
    growing = sgd_cloud(quadratic, [1.0, 0.0], learning_rate=1.1, batch_size=4, steps=30)
    assert growing.expected_loss(quadratic)[-1] > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 1.0], [1.0, 1.0]), "curvature must be positive"),
        (([1.0, 1.0], [1.0, -1.0]), "variance must not be negative"),
        (([1.0, 1.0], [1.0]), "variance must have 2 entries"),
    ],
)
def test_quadratic_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Quadratic(*arguments)


def test_schedules_of_the_wrong_length_are_refused(quadratic):
    with pytest.raises(ValueError, match=r"learning_rate must be a number or have shape \(3,\)"):
        sgd_cloud(quadratic, [1.0, 1.0], learning_rate=[0.1, 0.2], batch_size=1, steps=3)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        sgd_cloud(quadratic, [1.0, 1.0], learning_rate=0.1, batch_size=1, steps=0)
