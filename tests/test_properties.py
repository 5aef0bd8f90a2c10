"""What must hold of every model: symmetries and scalings, on examples found by Hypothesis."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbs import (
    SGD,
    Adam,
    LocalModel,
    Muon,
    Preconditioned,
    SignSGD,
    SoftSignSGD,
    exact,
    expected_step,
    loss_decrease,
    mean_field,
    measured_step,
    optimal_lr,
    scalar_mean_field,
)
from lrbs.operators import DiagonalPlusLowRank, trace_product
from lrbs.tradeoff import hyperbola, steps

N = 6
METHODS = [exact, mean_field, scalar_mean_field]
COORDINATEWISE = [SGD(), SGD(0.5), SignSGD(), SignSGD(0.9), SoftSignSGD(0.3), Adam(), Adam(0.5, epsilon=0.3)]
RULES = [*COORDINATEWISE, Muon((3, 2)), Muon((2, 3), 0.5)]

seeds = st.integers(0, 2**32 - 1)
factors = st.floats(1e-3, 1e3)
momenta = st.floats(0.0, 0.99)
batch_sizes = st.floats(1e-2, 1e4)
methods = st.sampled_from(METHODS)
structures = st.sampled_from(["diagonal", "dense", "low rank"])


def random_parts(seed, structure="dense"):
    """Gradient, covariance of a structure (as LocalModel takes it) and Hessian."""
    rng = np.random.default_rng(seed)
    A, H, g = rng.standard_normal((N, N)), rng.standard_normal((N, N)), rng.standard_normal(N)
    covariance = {
        "diagonal": rng.uniform(0, 3, N),
        "dense": A @ A.T,
        "low rank": DiagonalPlusLowRank(None, A[:, :2], [1.0, 0.5]),
    }[structure]
    return g, covariance, H @ H.T + 0.1 * np.eye(N)


def as_matrix(covariance):
    if isinstance(covariance, DiagonalPlusLowRank):
        return covariance.dense()
    return np.diag(covariance) if covariance.ndim == 1 else covariance


def defined(rule, method):
    return not (method is exact and isinstance(rule, (Adam, Muon)))


def assert_same(first, second, alignment=1.0, curvature=1.0):
    """The second step's scalars are the first one's times factors."""
    assert float(second.alignment) == pytest.approx(float(first.alignment) * alignment, rel=1e-8)
    assert float(second.curvature) == pytest.approx(float(first.curvature) * curvature, rel=1e-8)


def scaled_rule(rule, k):
    """The rule whose epsilon, if it has one, is measured in the new units of the gradient."""
    return replace(rule, epsilon=k * rule.epsilon) if hasattr(rule, "epsilon") else rule


@given(seeds, factors, batch_sizes, methods, structures, st.sampled_from(RULES))
def test_scaling_the_loss(seed, k, B, method, structure, rule):
    """Loss times k: gradient k, covariance k^2, Hessian k. SGD's eta* falls by k; normalised updates stay."""
    if not defined(rule, method):
        method = mean_field
    g, S, H = random_parts(seed, structure)
    scaled_S = S.scaled(k**2) if structure == "low rank" else k**2 * S
    model, scaled = LocalModel(g, S, H), LocalModel(k * g, scaled_S, k * H)
    before, after = (
        expected_step(model, rule, B, method),
        expected_step(scaled, scaled_rule(rule, k), B, method),
    )
    if isinstance(rule, SGD):
        assert_same(before, after, k**2, k**3)
        assert after.optimal_lr == pytest.approx(before.optimal_lr / k)
    else:
        assert_same(before, after, k, k)
        assert after.optimal_lr == pytest.approx(before.optimal_lr)
        moments = method(rule, model.gradient, model.noise(B))
        again = method(scaled_rule(rule, k), scaled.gradient, scaled.noise(B))
        np.testing.assert_allclose(again.mean, moments.mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(
            again.covariance.dense(), moments.covariance.dense(), rtol=1e-8, atol=1e-10
        )
    assert after.loss_decrease == pytest.approx(k * before.loss_decrease)


@given(seeds, factors)
def test_scaling_the_loss_leaves_noise_scales(seed, k):
    g, S, H = random_parts(seed)
    model, scaled = LocalModel(g, S, H), LocalModel(k * g, k**2 * S, k * H)
    assert scaled.noise_scale == pytest.approx(model.noise_scale)
    assert scaled.simple_noise_scale == pytest.approx(model.simple_noise_scale)
    assert scaled.max_lr == pytest.approx(model.max_lr / k)
    assert scaled.max_loss_decrease == pytest.approx(model.max_loss_decrease * k)


@given(seeds, batch_sizes, methods, structures, st.sampled_from(COORDINATEWISE))
def test_permuting_coordinates(seed, B, method, structure, rule):
    if not defined(rule, method):
        method = mean_field
    g, S, H = random_parts(seed, structure)
    order = np.random.default_rng(seed).permutation(N)
    permuted = S[order] if structure == "diagonal" else as_matrix(S)[np.ix_(order, order)]
    first = expected_step(LocalModel(g, S, H), rule, B, method)
    second = expected_step(LocalModel(g[order], permuted, H[np.ix_(order, order)]), rule, B, method)
    assert_same(first, second)


@given(seeds, batch_sizes)
def test_sgd_does_not_know_the_axes(seed, B):
    """Turning gradient, noise and Hessian alike changes nothing; for Newton's method, nor does stretching."""
    g, S, H = random_parts(seed)
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((N, N)))
    turned = LocalModel(Q @ g, _even(Q @ S @ Q.T), _even(Q @ H @ Q.T))
    assert_same(expected_step(LocalModel(g, S, H), SGD(0.3), B), expected_step(turned, SGD(0.3), B))
    d = rng.uniform(0.5, 2, N)
    stretched = LocalModel(d * g, d[:, None] * S * d, d[:, None] * H * d)
    newton, again = (
        expected_step(model, Preconditioned(_even(np.linalg.inv(model.hessian.dense()))), B)
        for model in (LocalModel(g, S, H), stretched)
    )
    assert float(again.alignment) == pytest.approx(float(newton.alignment), rel=1e-5)
    assert float(again.curvature) == pytest.approx(float(newton.curvature), rel=1e-5)


@given(seeds, batch_sizes)
def test_muon_does_not_know_the_bases(seed, B):
    """Rotating rows and columns of the weights turns the update alike; so does transposing them."""
    g, S, _ = random_parts(seed)
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (3, 2))
    turn = np.kron(U, V)
    transpose = np.eye(N).reshape(3, 2, N).transpose(1, 0, 2).reshape(N, N)
    H = np.eye(N)
    step = expected_step(LocalModel(g, S, H), Muon((3, 2)), B)
    assert_same(step, expected_step(LocalModel(turn @ g, _even(turn @ S @ turn.T), H), Muon((3, 2)), B))
    flipped = LocalModel(transpose @ g, _even(transpose @ S @ transpose.T), H)
    assert_same(step, expected_step(flipped, Muon((2, 3)), B))


def _even(matrix):
    return (matrix + matrix.T) / 2


@given(seeds, batch_sizes, methods, structures, st.sampled_from(RULES))
def test_structured_equals_dense(seed, B, method, structure, rule):
    if not defined(rule, method):
        method = mean_field
    g, S, H = random_parts(seed, structure)
    hessian = np.diagonal(H) if structure == "diagonal" else H
    first = expected_step(LocalModel(g, S, hessian), rule, B, method)
    second = expected_step(LocalModel(g, as_matrix(S), as_matrix(hessian)), rule, B, method)
    assert_same(first, second)


@given(seeds, st.integers(2, 9), batch_sizes, st.sampled_from(RULES))
def test_samples_equal_their_covariance(seed, n, B, rule):
    rng = np.random.default_rng(seed)
    samples, (_, _, H) = rng.standard_normal((n, N)) + 1.0, random_parts(seed)
    low_rank = LocalModel.from_samples(samples, lambda x: H @ x)
    dense = LocalModel(samples.mean(axis=0), np.cov(samples, rowvar=False), H)
    assert low_rank.noise_scale == pytest.approx(dense.noise_scale)
    assert low_rank.simple_noise_scale == pytest.approx(dense.simple_noise_scale)
    assert_same(expected_step(low_rank, rule, B), expected_step(dense, rule, B))


@given(seeds, st.lists(batch_sizes, min_size=1, max_size=5), methods, st.sampled_from(RULES))
def test_an_array_of_batch_sizes_is_a_loop(seed, sizes, method, rule):
    if not defined(rule, method):
        method = mean_field
    model = LocalModel(*random_parts(seed))
    together = expected_step(model, rule, sizes, method)
    one_by_one = [expected_step(model, rule, B, method) for B in sizes]
    np.testing.assert_allclose(together.alignment, [step.alignment for step in one_by_one], rtol=1e-12)
    np.testing.assert_allclose(together.curvature, [step.curvature for step in one_by_one], rtol=1e-12)


@given(seeds, momenta, batch_sizes, methods)
def test_momentum_is_a_larger_batch(seed, momentum, B, method):
    """B (1 + b)/(1 - b) without momentum, for all rules that act on m alone (11301.8, 11301.11)."""
    model = LocalModel(*random_parts(seed))
    larger = B * (1 + momentum) / (1 - momentum)
    for make in (SGD, SignSGD, lambda m: SoftSignSGD(0.3, m), lambda m: Muon((3, 2), m)):
        if defined(make(0.0), method):
            first = expected_step(model, make(momentum), B, method)
            assert_same(first, expected_step(model, make(0.0), larger, method))


@given(
    seeds,
    batch_sizes,
    st.floats(1.01, 100),
    st.sampled_from([SGD(), SGD(0.5), SignSGD(), Adam(), Muon((3, 2))]),
)
def test_a_larger_batch_never_loses(seed, B, ratio, rule):
    """Alignment rises with B; and for SGD the loss decrease, and the learning rate up to its limit."""
    model = LocalModel(*random_parts(seed))
    for method in (mean_field, scalar_mean_field):
        small, large = (expected_step(model, rule, size, method) for size in (B, ratio * B))
        assert large.alignment >= small.alignment * (1 - 1e-9)
        if isinstance(rule, SGD):
            assert large.loss_decrease >= small.loss_decrease * (1 - 1e-9)
            assert large.optimal_lr <= model.max_lr * (1 + 1e-9) or method is scalar_mean_field


@given(seeds, momenta)
def test_rules_and_the_scale_of_gradients(seed, momentum):
    """Normalised rules forget it, linear ones keep it; all are odd."""
    rng = np.random.default_rng(seed)
    history, k = rng.standard_normal((5, N)), rng.uniform(0.01, 100)
    for rule in (SignSGD(momentum), Muon((3, 2), momentum), Adam(beta1=momentum)):
        np.testing.assert_allclose(rule(k * history), rule(history), rtol=1e-6, atol=1e-9)
    for rule in (SGD(momentum), Preconditioned(np.arange(N), momentum)):
        np.testing.assert_allclose(rule(k * history), k * rule(history))
    for rule in RULES:
        np.testing.assert_allclose(rule(-history), -rule(history), atol=1e-12)


@given(seeds, batch_sizes)
def test_measured_steps_scale_as_expected_ones(seed, k):
    rng = np.random.default_rng(seed)
    gradients, H = rng.standard_normal((5, N)) + 1.0, rng.uniform(1, 2, N)
    first, second = measured_step(gradients, SGD(), H), measured_step(k * gradients, SGD(), k * H)
    assert_same(first, second, k**2, k**3)
    assert second.optimal_lr_se == pytest.approx(first.optimal_lr_se / k)


@given(seeds)
def test_trace_product_commutes_and_scales(seed):
    g, _, _ = random_parts(seed)
    operators = [
        LocalModel(g, random_parts(seed, kind)[1], np.ones(N)).covariance
        for kind in ("diagonal", "dense", "low rank")
    ]
    for A in operators:
        for B in operators:
            assert trace_product(A, B) == pytest.approx(trace_product(B, A))
            assert trace_product(A.scaled(3.0), B) == pytest.approx(3 * trace_product(A, B))
            d = np.arange(1.0, N + 1)
            assert trace_product(A.congruence(d), B) == pytest.approx(trace_product(A, B.congruence(d)))


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_no_learning_rate_does_better(alignment, curvature):
    best, gain = optimal_lr(alignment, curvature), loss_decrease(alignment, curvature)
    for x in (0.0, 0.5, 0.999, 1.001, 2.0):
        eta = x * best
        # A share x of the optimal learning rate keeps x (2 - x) of the decrease.
        assert eta * alignment - eta**2 * curvature / 2 == pytest.approx(x * (2 - x) * gain, abs=1e-12 * gain)


@given(batch_sizes, factors, factors)
def test_more_steps_fewer_examples(B, least, scale):
    S = steps(B, least, scale)
    assert hyperbola(S, least, least * scale) == pytest.approx(float(B * S), rel=1e-6)
