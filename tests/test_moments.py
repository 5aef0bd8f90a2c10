"""Moments of the update: closed forms against loops, limits, simulation and published numbers."""

import math

import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import norm

from lrbs import (
    SGD,
    Adam,
    Lion,
    Muon,
    Preconditioned,
    SignSGD,
    SoftSignSGD,
    exact,
    mean_field,
    scalar_mean_field,
)
from lrbs.moments import Moments
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, MatrixFree
from lrbs.rules import msign

N = 6
FACTOR = 0.25  # of the noise that a momentum of 0.6 keeps


@pytest.fixture
def gradient(rng):
    return rng.standard_normal(N)


@pytest.fixture(params=["diagonal", "dense", "low rank", "diagonal and low rank"])
def noise(request, rng, definite):
    """Noise of each structure; `noise.dense()` is checked against loops in test_operators."""
    factors, weights = rng.standard_normal((N, 3)), rng.uniform(0.1, 1, 3)
    return {
        "diagonal": Diagonal(rng.uniform(0.5, 2, N)),
        "dense": Dense(definite(N)),
        "low rank": DiagonalPlusLowRank(None, factors, weights),
        "diagonal and low rank": DiagonalPlusLowRank(rng.uniform(0.5, 2, N), factors, weights),
    }[request.param]


def assert_moments(moments, mean, covariance):
    assert isinstance(moments, Moments)
    np.testing.assert_allclose(moments.mean, mean, atol=1e-13)
    np.testing.assert_allclose(moments.covariance.dense(), covariance, atol=1e-13)


# ---------------------------------------------------------------------------------- linear rules
P = np.diag([2.0, 1.0, 0.5, 3.0, 1.5, 0.1]) + 0.2


@pytest.mark.parametrize("method", [exact, mean_field])
def test_linear_rules(method, gradient, noise):
    assert_moments(method(SGD(), gradient, noise), gradient, noise.dense())
    assert_moments(method(SGD(0.6), gradient, noise), gradient, FACTOR * noise.dense())
    assert type(method(SGD(0.6), gradient, noise).covariance) is type(noise)
    for operator in (P, Dense(P), lambda x: P @ x):
        rule = Preconditioned(operator, momentum=0.6)
        assert_moments(method(rule, gradient, noise), P @ gradient, FACTOR * P @ noise.dense() @ P)
    d = np.diag(P.diagonal())
    for operator in (P.diagonal(), Diagonal(P.diagonal())):
        moments = method(Preconditioned(operator, momentum=0.6), gradient, noise)
        assert_moments(moments, d @ gradient, FACTOR * d @ noise.dense() @ d)
        assert type(moments.covariance) is type(noise)


def test_a_dense_preconditioner_keeps_low_rank_noise(gradient, rng):
    low_rank = DiagonalPlusLowRank(None, rng.standard_normal((N, 2)), [1.0, 1.0])
    covariance = exact(Preconditioned(P), gradient, low_rank).covariance
    assert isinstance(covariance, DiagonalPlusLowRank)
    assert covariance.factors.shape == (N, 2)


# ------------------------------------------------------------------------------------------ exact
def test_exact_sign_of_one_coordinate_is_erf(gradient):
    """E[sign] = erf(g sqrt(B/2) / sigma) (10542.16); momentum shrinks the noise."""
    variance = np.linspace(0.5, 2, N)
    mean = erf(gradient / np.sqrt(2 * FACTOR * variance))
    assert_moments(exact(SignSGD(0.6), gradient, Diagonal(variance)), mean, np.diag(1 - mean**2))


@pytest.mark.parametrize(
    "rule", [SignSGD(), SignSGD(0.6, nesterov=True), Lion(0.5, 0.6), SoftSignSGD(0.4, 0.6), SGD(0.6)]
)
def test_exact_in_standard_errors(rule, gradient, noise, rng, assert_within):
    """The rule itself, on normal gradients of the noise that is left by its average."""
    left = noise.dense() * rule.noise_factor
    values, vectors = np.linalg.eigh(left)
    draws = gradient + rng.standard_normal((100_000, N)) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    phi = rule.act(draws)
    moments = exact(rule, gradient, noise)
    assert_within(phi.mean(axis=0), moments.mean, phi.std(axis=0) / np.sqrt(len(phi)), 5.0)
    products = np.einsum("ri,rj->rij", phi - moments.mean, phi - moments.mean)
    assert_within(products.mean(0), moments.covariance.dense(), products.std(0) / np.sqrt(len(phi)), 5.0)


# ------------------------------------------------------------------------------------- mean field
def loops(g, S, entering, kept, epsilon_inside=0.0, epsilon_outside=0.0):
    """phi = P m with P from gradient and noise, one entry at a time: E[phi] = P g, Cov[phi] = P kept P."""
    scale = [
        1 / (math.sqrt(g[i] ** 2 + entering * S[i, i] + epsilon_inside**2) + epsilon_outside)
        for i in range(N)
    ]
    mean = [scale[i] * g[i] for i in range(N)]
    return mean, [[scale[i] * kept * S[i, j] * scale[j] for j in range(N)] for i in range(N)]


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (SignSGD(), {"entering": 1, "kept": 1}),
        (SignSGD(0.6), {"entering": FACTOR, "kept": FACTOR}),
        (SoftSignSGD(0.4), {"entering": 1, "kept": 1, "epsilon_inside": 0.4}),
        (SoftSignSGD(0.4, 0.6), {"entering": FACTOR, "kept": FACTOR, "epsilon_inside": 0.4}),
        (Adam(0.6, 0.9), {"entering": 1, "kept": FACTOR}),
        (Adam(0.6, 0.9, 0.4), {"entering": 1, "kept": FACTOR, "epsilon_outside": 0.4}),
    ],
    ids=repr,
)
def test_mean_field_of_a_coordinatewise_rule(rule, options, gradient, noise):
    moments = mean_field(rule, gradient, noise)
    assert_moments(moments, *loops(gradient, noise.dense(), **options))
    assert type(moments.covariance) is type(noise)


def test_mean_field_sign_has_squares_of_mean_one(gradient, noise):
    """sign^2 = 1 survives the approximation: E[phi]^2 + Var[phi] = 1 in every coordinate."""
    for rule in (SignSGD(), SignSGD(0.6), Adam(beta1=0.0)):
        moments = mean_field(rule, gradient, noise)
        np.testing.assert_allclose(moments.mean**2 + moments.covariance.diagonal(), np.ones(N))


def test_mean_field_error_for_a_sign():
    """Against erf: +0.0644 at a signal-to-noise of 0.523, -0.0618 at 2.20 (11280.2), and largest there."""
    signal = np.linspace(1e-3, 10, 20_001)
    approximation = mean_field(SignSGD(), signal, Diagonal(np.ones(signal.size))).mean
    error = approximation - exact(SignSGD(), signal, Diagonal(np.ones(signal.size))).mean
    assert error.max() == pytest.approx(0.0644, abs=5e-5)
    assert signal[error.argmax()] == pytest.approx(0.523, abs=2e-3)
    assert error.min() == pytest.approx(-0.0618, abs=5e-5)
    assert signal[error.argmin()] == pytest.approx(2.20, abs=1e-2)


def test_mean_field_is_exact_for_adam_of_long_memory(rng, assert_within):
    """v averages its own noise away: 0.4472 at a signal-to-noise of 0.5 (11301.13), not erf's 0.383."""
    rule, signal = Adam(beta1=0.5, beta2=0.999), 0.5
    moments = mean_field(rule, np.array([signal]), Diagonal([1.0]))
    assert moments.mean[0] == pytest.approx(0.4472, abs=1e-4)
    phi = rule(signal + rng.standard_normal((2500, 4000, 1)))
    assert_within(phi.mean(), moments.mean[0], phi.std() / 50)
    square = moments.mean[0] ** 2 + moments.covariance.values[0]
    assert square == pytest.approx((signal**2 + 1 / 3) / (signal**2 + 1))  # 11301.16
    assert_within((phi**2).mean(), square, (phi**2).std() / 50)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (1, 6), (6, 1)])
def test_mean_field_of_muon(shape, gradient, noise):
    """P = E[X^T X]^(-1/2) on the shorter side, from loops over matrix entries (11285.3)."""
    rows, columns = shape
    kept = FACTOR * noise.dense().reshape(rows, columns, rows, columns)
    G = gradient.reshape(shape)
    if rows < columns:
        second = G @ G.T
        for i in range(rows):
            for k in range(rows):
                second[i, k] += sum(kept[i, j, k, j] for j in range(columns))
        mixing = np.kron(np.linalg.inv(np.real(_root(second))), np.eye(columns))
    else:
        second = G.T @ G
        for j in range(columns):
            for k in range(columns):
                second[j, k] += sum(kept[i, j, i, k] for i in range(rows))
        mixing = np.kron(np.eye(rows), np.linalg.inv(np.real(_root(second))))
    moments = mean_field(Muon(shape, momentum=0.6), gradient, noise)
    assert_moments(moments, mixing @ gradient, mixing @ kept.reshape(N, N) @ mixing)
    np.testing.assert_allclose(moments.covariance.diagonal(), moments.covariance.dense().diagonal())
    # |msign|^2 is the rank, and stays so on average.
    assert moments.mean @ moments.mean + moments.covariance.trace() == pytest.approx(min(shape))


def _root(matrix):
    values, vectors = np.linalg.eig(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)


def test_muon_keeps_low_rank_and_product_structure(gradient, rng):
    low_rank = DiagonalPlusLowRank(None, rng.standard_normal((N, 2)), [1.0, 1.0])
    assert isinstance(mean_field(Muon((3, 2)), gradient, low_rank).covariance, DiagonalPlusLowRank)
    assert isinstance(mean_field(Muon((3, 2)), gradient, Diagonal(np.ones(N))).covariance, MatrixFree)


def test_muon_of_a_row_is_a_normalised_gradient(gradient):
    """A matrix of one row: phi = m / |m|, whose mean field divides by the root mean square norm."""
    variance = np.linspace(0.1, 1, N)
    length = math.sqrt(gradient @ gradient + variance.sum())
    for shape in ((1, N), (N, 1)):
        moments = mean_field(Muon(shape), gradient, Diagonal(variance))
        assert_moments(moments, gradient / length, np.diag(variance) / length**2)


def test_muon_of_a_known_spectrum():
    """40 x 20, log-normal singular values: 0.373/0.687/0.902 of the limit at 0.1/1/10 B_simple (11285.5)."""
    values = np.exp(norm.ppf((np.arange(20) + 0.5) / 20))
    G = np.eye(40, 20) * values
    simple = 800 / (values**2).sum()
    for multiple, general, scalar in ((0.1, 0.373, 0.302), (1, 0.687, 0.707), (10, 0.902, 0.953)):
        noise = Diagonal(np.full(800, 1 / (multiple * simple)))
        for method, published in ((mean_field, general), (scalar_mean_field, scalar)):
            share = method(Muon((40, 20)), G.reshape(-1), noise).mean @ G.reshape(-1) / values.sum()
            assert share == pytest.approx(published, abs=5e-4)


def test_without_noise_every_method_is_the_rule(gradient):
    """A stationary average of one constant gradient is that gradient."""
    silent = Diagonal(np.zeros(N))
    full, wide = Muon((3, 2), 0.6), Muon((2, 3), 0.6)
    for rule in (
        SGD(0.6),
        SignSGD(),
        SoftSignSGD(0.3, 0.6),
        Adam(0.6, epsilon=0.2),
        Preconditioned(P),
        full,
        wide,
    ):
        still = rule(np.tile(gradient, (60, 1)))
        for method in (exact, mean_field, scalar_mean_field):
            if method is exact and isinstance(rule, (Adam, Muon)):
                continue
            moments = method(rule, gradient, silent)
            np.testing.assert_allclose(moments.mean, still, rtol=1e-9)
            np.testing.assert_allclose(moments.covariance.dense(), np.zeros((N, N)), atol=1e-12)


def test_a_coordinate_without_gradient_and_noise_stays(gradient):
    gradient[2] = 0.0
    variance = np.where(np.arange(N) == 2, 0.0, 1.0)
    for rule in (SignSGD(), SoftSignSGD(0.3), Adam(), SoftSignSGD(0.0)):
        for method in (exact, mean_field):
            if method is exact and isinstance(rule, Adam):
                continue
            moments = method(rule, gradient, Diagonal(variance))
            assert moments.mean[2] == 0.0
            assert moments.covariance.values[2] == 0.0
            assert np.isfinite(moments.mean).all()


def test_muon_of_a_square_matrix_has_its_preconditioner_on_the_right(gradient):
    """G (E[X^T X])^(-1/2), as 11285.3 is written; left and right differ once there is noise."""
    G = gradient[:4].reshape(2, 2)
    second = G.T @ G + np.diag([0.1 + 0.3, 0.2 + 0.4])
    moments = mean_field(Muon((2, 2)), G.reshape(-1), Diagonal([0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_allclose(moments.mean.reshape(2, 2), G @ np.linalg.inv(_root(second)))


def test_muon_at_any_scale(gradient):
    """Rounding is told from a small gradient by ratios; of nothing comes nothing."""
    rule, variance = Muon((3, 2)), np.full(N, 0.1)
    expected = mean_field(rule, gradient, Diagonal(variance)).mean
    for k in (1e-9, 1e9):
        np.testing.assert_allclose(mean_field(rule, k * gradient, Diagonal(k**2 * variance)).mean, expected)
    assert_moments(mean_field(rule, np.zeros(N), Diagonal(np.zeros(N))), np.zeros(N), np.zeros((N, N)))


def test_muon_of_a_rank_deficient_gradient_without_noise(gradient):
    G = np.outer(gradient[:3], [1.0, 2.0])
    moments = mean_field(Muon((3, 2)), G.reshape(-1), Diagonal(np.zeros(N)))
    np.testing.assert_allclose(moments.mean, msign(G).reshape(-1), atol=1e-7)


# ------------------------------------------------------------------------------ scalar mean field
def test_scalar_and_general_mean_field_agree_for_equal_ratios(gradient):
    """Every coordinate with the same noise-to-signal ratio: nothing is lost by one beta."""
    variance = 3 * gradient**2
    for rule in (SignSGD(), SignSGD(0.6), Adam(0.6)):
        one = scalar_mean_field(rule, gradient, Diagonal(variance))
        assert_moments(one, *_dense(mean_field(rule, gradient, Diagonal(variance))))
    with_epsilon = Adam(0.6, epsilon=0.3)
    one = scalar_mean_field(with_epsilon, gradient, Diagonal(variance))
    assert_moments(one, *_dense(mean_field(with_epsilon, gradient, Diagonal(variance))))


def test_scalar_and_general_mean_field_agree_for_muon_of_equal_singular_values(rng):
    for shape in ((4, 2), (2, 4), (3, 3)):
        gradient = 0.7 * msign(rng.standard_normal(shape)).reshape(-1)
        noise = Diagonal(np.full(gradient.size, 0.4))
        one = scalar_mean_field(Muon(shape, 0.6), gradient, noise)
        general = mean_field(Muon(shape, 0.6), gradient, noise)
        np.testing.assert_allclose(one.mean, general.mean)
        assert one.covariance.trace() == pytest.approx(general.covariance.trace())


def _dense(moments):
    return moments.mean, moments.covariance.dense()


def test_scalar_mean_field_of_a_soft_sign(gradient, noise):
    """11280.21 and 11280.22: u = softsign(g), 1/beta^2 = 1 + tr(noise)/(g^T g + N epsilon^2)."""
    for rule, factor in ((SoftSignSGD(0.4), 1), (SoftSignSGD(0.4, 0.6), FACTOR)):
        ratio = factor * np.trace(noise.dense()) / sum(g * g + 0.16 for g in gradient)
        beta = (1 + ratio) ** -0.5
        u = gradient / np.sqrt(gradient**2 + 0.16)
        assert_moments(scalar_mean_field(rule, gradient, noise), beta * u, (1 - beta**2) * np.eye(N))


def test_scalar_mean_field_of_linear_rules(gradient, noise):
    """The law with B_simple: E[phi phi^T] = (1 + B_simple/B) E[phi] E[phi]^T."""
    ratio = FACTOR * np.trace(noise.dense()) / sum(g * g for g in gradient)
    assert_moments(
        scalar_mean_field(SGD(0.6), gradient, noise), gradient, ratio * np.outer(gradient, gradient)
    )
    mean = P @ gradient
    moments = scalar_mean_field(Preconditioned(P, 0.6), gradient, noise)
    assert_moments(moments, mean, ratio * np.outer(mean, mean))


def test_scalar_mean_field_of_adam_and_muon(gradient, noise):
    ratio = np.trace(noise.dense()) / sum(g * g for g in gradient)
    mean = np.sign(gradient) / math.sqrt(1 + ratio)
    # 11301.20: the noise of each coordinate is c (1 - E[phi]^2).
    assert_moments(scalar_mean_field(Adam(0.6), gradient, noise), mean, np.diag(FACTOR * (1 - mean**2)))
    beta = (1 + FACTOR * ratio) ** -0.5
    moments = scalar_mean_field(Muon((3, 2), 0.6), gradient, noise)
    expected = beta * msign(gradient.reshape(3, 2)).reshape(-1)
    assert_moments(moments, expected, (1 - beta**2) / 3 * np.eye(N))


@pytest.mark.parametrize("rule", [SGD(), SignSGD(), Adam(), Muon((3, 2)), Preconditioned(P)], ids=repr)
def test_scalar_mean_field_refuses_a_zero_gradient(rule):
    with pytest.raises(ValueError, match="gradient is zero"):
        scalar_mean_field(rule, np.zeros(N), Diagonal(np.ones(N)))
    with_epsilon = scalar_mean_field(SoftSignSGD(0.5), np.zeros(N), Diagonal(np.ones(N)))
    np.testing.assert_allclose(with_epsilon.covariance.diagonal(), 1 - 1 / (1 + 1 / 0.25))


# ---------------------------------------------------------------------------------- missing pairs
class Unknown:
    """A rule that no method has heard of."""


@pytest.mark.parametrize("method", [exact, mean_field, scalar_mean_field])
def test_a_missing_pair_names_both(method, gradient):
    name = method.__name__
    with pytest.raises(NotImplementedError, match=rf"{name} has no form for Unknown.*@{name}\.register"):
        method(Unknown(), gradient, Diagonal(np.ones(N)))
    with pytest.raises(TypeError, match=r"rule must be an instance.*got the class SGD"):
        method(SGD, gradient, Diagonal(np.ones(N)))


def test_exact_says_what_it_does_not_know(gradient):
    with pytest.raises(NotImplementedError, match="exact has no form for Muon"):
        exact(Muon((3, 2)), gradient, Diagonal(np.ones(N)))


def test_a_new_rule_can_be_registered(gradient):
    class Twice:
        """A rule of one's own."""

    @mean_field.register(Twice)
    def _(rule, gradient, noise):
        return Moments(2 * gradient, noise)

    assert_moments(mean_field(Twice(), gradient, Diagonal(np.ones(N))), 2 * gradient, np.eye(N))
    with pytest.raises(NotImplementedError, match="exact has no form for Twice"):
        exact(Twice(), gradient, Diagonal(np.ones(N)))


def test_muon_refuses_vectors_of_another_size(gradient):
    for method in (mean_field, scalar_mean_field):
        with pytest.raises(ValueError, match=r"shape \(2, 2\) needs 4 parameters; got vectors of 6"):
            method(Muon((2, 2)), gradient, Diagonal(np.ones(N)))
