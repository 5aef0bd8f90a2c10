"""Steps against dense linear algebra, a symbolic parabola and numerical minimisation; shapes and memory."""

import tracemalloc

import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from lrbs import (
    SGD,
    Adam,
    LocalModel,
    Muon,
    Preconditioned,
    SignSGD,
    SoftSignSGD,
    Step,
    exact,
    expected_step,
    loss_decrease,
    mean_field,
    optimal_lr,
    scalar_mean_field,
)
from lrbs.moments import Moments
from lrbs.step import quadratic_loss_change

N = 6
P = np.diag([2.0, 1.0, 0.5, 3.0, 1.5, 0.1]) + 0.2
RULES = [
    SGD(),
    SGD(0.6),
    SignSGD(0.6),
    SoftSignSGD(0.4),
    Adam(0.6, epsilon=0.1),
    Muon((3, 2)),
    Muon((2, 3), 0.6),
    Preconditioned(P, 0.6),
    Preconditioned(P.diagonal()),
]


def name(value):
    """Of a rule or a method: the same in every process, as test ids must be."""
    return getattr(value, "__name__", None) or repr(value)


PAIRS = [
    (rule, method)
    for rule in RULES
    for method in (exact, mean_field, scalar_mean_field)
    if not (method is exact and isinstance(rule, (Adam, Muon)))
]


@pytest.fixture
def model(rng, definite):
    return LocalModel(rng.standard_normal(N), definite(N), definite(N))


# -------------------------------------------------------------------------------------- parabola
def test_the_parabola_symbolically(rng):
    """Minimise -eta a + eta^2 c / 2 by SymPy: 11260.3 and 11280.9 are its minimum and its depth."""
    eta, a, c = sp.symbols("eta a c", positive=True)
    change = -eta * a + eta**2 * c / 2
    (minimum,) = sp.solve(sp.diff(change, eta), eta)
    depth = sp.simplify(-change.subs(eta, minimum))
    A, C = rng.uniform(0.1, 3, (2, 20))
    np.testing.assert_allclose(optimal_lr(A, C), sp.lambdify((a, c), minimum)(A, C))
    np.testing.assert_allclose(loss_decrease(A, C), sp.lambdify((a, c), depth)(A, C))
    step, etas = Step(A, C), rng.uniform(0, 2, 20)
    np.testing.assert_allclose(step.loss_change(etas), sp.lambdify((eta, a, c), change)(etas, A, C))
    np.testing.assert_allclose(step.optimal_lr, optimal_lr(A, C))
    np.testing.assert_allclose(step.loss_decrease, loss_decrease(A, C))
    np.testing.assert_allclose(step.loss_change(step.optimal_lr), -step.loss_decrease)


def test_loss_change_broadcasts_against_the_step():
    step = Step(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    assert step.loss_change(0.5).shape == (2,)
    assert step.loss_change(np.zeros((3, 1))).shape == (3, 2)
    assert step.loss_change(np.zeros((3, 1))).sum() == 0
    np.testing.assert_allclose(step.loss_change([1.0, 1.0]), [-0.5, 0.0])


def test_quadratic_loss_change_is_that_of_a_quadratic(model, rng):
    """L(w) = g^T w + w^T H w / 2 from w = 0, at any learning rate."""
    update, etas = rng.standard_normal(N), np.array([0.0, 0.1, -2.0])
    g, H = model.gradient, model.hessian.dense()
    losses = [g @ w + w @ H @ w / 2 for w in (-eta * update for eta in etas)]
    np.testing.assert_allclose(quadratic_loss_change(model, update, etas), losses)
    assert quadratic_loss_change(model, update, 0.1).shape == ()


# ----------------------------------------------------------------------------------- expected step
@pytest.mark.parametrize(("rule", "method"), PAIRS, ids=name)
def test_two_scalars_from_the_moments(rule, method, model):
    """E[phi]^T g and tr(E[phi phi^T] H) with the matrix E[phi phi^T] written out."""
    for size in (0.5, 8):
        moments = method(rule, model.gradient, model.noise(size))
        second = np.outer(moments.mean, moments.mean) + moments.covariance.dense()
        step = expected_step(model, rule, size, method)
        assert step.alignment == pytest.approx(moments.mean @ model.gradient)
        assert step.curvature == pytest.approx(np.trace(second @ model.hessian.dense()))


def test_sgd_by_hand(model):
    g, S, H = model.gradient, model.covariance.dense(), model.hessian.dense()
    for momentum, kept in ((0.0, 1.0), (0.5, 1 / 3)):
        step = expected_step(model, SGD(momentum), [1, 7], exact)
        np.testing.assert_allclose(step.alignment, [g @ g, g @ g])
        curvature = [g @ H @ g + kept * np.trace(S @ H) / B for B in (1, 7)]
        np.testing.assert_allclose(step.curvature, curvature)


def test_newton_and_natural_gradient(model):
    """11280.14 and the law of Newton's method: eta* = 1 / (1 + B_N/B), B_N = tr(Sigma H^-1) / g^T H^-1 g."""
    g, S, H = model.gradient, model.covariance.dense(), model.hessian.dense()
    inverse = np.linalg.inv(H)
    inverse = (inverse + inverse.T) / 2
    sizes = np.geomspace(0.1, 1000, 5)
    step = expected_step(model, Preconditioned(inverse), sizes)
    critical = np.trace(S @ inverse) / (g @ inverse @ g)
    np.testing.assert_allclose(step.optimal_lr, 1 / (1 + critical / sizes))
    np.testing.assert_allclose(step.loss_decrease, g @ inverse @ g / 2 / (1 + critical / sizes))
    for B, decrease in zip(sizes, expected_step(model, Preconditioned(P), sizes).loss_decrease, strict=True):
        denominator = g @ P @ H @ P @ g + np.trace(S @ P @ H @ P) / B
        assert decrease == pytest.approx((g @ P @ g) ** 2 / denominator / 2)


def test_optimal_lr_minimises_the_averaged_loss(model, rng):
    """A numerical minimum of the loss averaged over drawn gradients, none of the formulas used."""
    draws = model.gradient + rng.multivariate_normal(np.zeros(N), model.covariance.dense() / 4, 20_000)
    H = model.hessian.dense()

    def loss(eta):
        w = -eta * draws
        return np.mean(w @ model.gradient + np.einsum("ri,ij,rj->r", w, H, w) / 2)

    found = optimize.minimize_scalar(loss, bounds=(0, 2), method="bounded", options={"xatol": 1e-7})
    step = expected_step(model, SGD(), 4)
    assert found.x == pytest.approx(step.optimal_lr, rel=0.02)
    assert -found.fun == pytest.approx(step.loss_decrease, rel=0.03)


@pytest.mark.parametrize(("rule", "method"), PAIRS, ids=name)
def test_limit_of_large_batches_is_the_rule(rule, method, model):
    """Without noise: the update of the gradient itself."""
    update = rule(np.tile(model.gradient, (60, 1)))
    step = expected_step(model, rule, 1e14, method)
    assert step.alignment == pytest.approx(update @ model.gradient, rel=1e-5)
    assert step.curvature == pytest.approx(update @ model.hessian.dense() @ update, rel=1e-5)


def test_scalar_mean_field_of_signs_is_the_articles_curve(model):
    """11280.6 and 11301.21: beta = (1 + B_simple/B)^(-1/2), all terms written out."""
    g, H = model.gradient, model.hessian.dense()
    signs = np.sign(g)
    double_sum = sum(signs[i] * signs[j] * H[i, j] for i in range(N) for j in range(N))
    for B in (0.3, 3.0, 300.0):
        beta = (1 + model.simple_noise_scale / B) ** -0.5
        for rule, c in ((SignSGD(), 1.0), (Adam(beta1=0.6), 0.25)):
            expected = abs(g).sum() / (c * np.trace(H) / beta + beta * (double_sum - c * np.trace(H)))
            assert expected_step(model, rule, B, scalar_mean_field).optimal_lr == pytest.approx(expected)


# ---------------------------------------------------------------------------------------- shapes
@pytest.mark.parametrize(("rule", "method"), PAIRS, ids=name)
def test_shaped_like_the_batch_sizes(rule, method, model):
    scalar = expected_step(model, rule, 8, method)
    assert isinstance(scalar, Step)
    for value in (scalar.alignment, scalar.curvature, scalar.optimal_lr, scalar.loss_decrease):
        assert isinstance(value, float)  # no array of no dimension to wrap
    sizes = np.array([[1, 2, 8], [64, 8, 1000]])
    sizes.setflags(write=False)
    grid = expected_step(model, rule, sizes, method)
    assert grid.alignment.shape == grid.curvature.shape == grid.optimal_lr.shape == (2, 3)
    for index, size in np.ndenumerate(sizes):
        single = expected_step(model, rule, int(size), method)
        assert grid.alignment[index] == pytest.approx(single.alignment, rel=1e-13)
        assert grid.curvature[index] == pytest.approx(single.curvature, rel=1e-13)
    assert expected_step(model, rule, [], method).optimal_lr.shape == (0,)


def test_a_method_of_ones_own_sees_every_batch_size(model):
    """Also for SGD, whose known methods are worked out once for all batch sizes."""
    seen = []

    def method(rule, gradient, noise):
        seen.append(noise.trace())
        return Moments(gradient * noise.trace(), noise)

    step = expected_step(model, SGD(), [1, 2], method)
    np.testing.assert_allclose(seen, model.covariance.trace() / np.array([1, 2]))
    assert step.alignment[0] == pytest.approx(2 * step.alignment[1])


def test_one_trace_serves_all_batch_sizes_of_sgd(rng):
    calls = []

    def product(x):
        calls.append(x)
        return x

    model = LocalModel.from_samples(rng.standard_normal((4, N)), product)
    expected_step(model, SGD(0.5), np.geomspace(1, 100, 20))
    assert len(calls) == 5  # the gradient and four samples


# ---------------------------------------------------------------------------------------- memory
def peak_vectors(size, rule, method, batch_sizes):
    """Largest memory allocated on the way, in vectors of `size` doubles, the model apart."""
    rng = np.random.default_rng(0)
    model = LocalModel(rng.standard_normal(size), rng.uniform(1, 4, size), rng.uniform(0.5, 2, size))
    tracemalloc.start()
    try:
        expected_step(model, rule, batch_sizes, method)
        return tracemalloc.get_traced_memory()[1] / (8 * size)
    finally:
        tracemalloc.stop()


LARGE = 10**5
LARGE_PAIRS = [
    (rule, method)
    for rule in (SGD(0.9), SignSGD(0.9), SoftSignSGD(0.5), Adam(), Preconditioned(np.ones(LARGE)))
    for method in (exact, mean_field, scalar_mean_field)
    if not (method is exact and isinstance(rule, (SoftSignSGD, Adam)))
] + [(Muon((2000, 50)), mean_field), (Muon((50, 2000)), mean_field), (Muon((50, 2000)), scalar_mean_field)]


@pytest.mark.parametrize(("rule", "method"), LARGE_PAIRS, ids=name)
def test_memory_is_that_of_a_few_vectors(rule, method):
    assert peak_vectors(LARGE, rule, method, [1.0, 10.0, 100.0]) < 8


def test_memory_of_exact_soft_signs():
    """Its quadrature works on a few thousand coordinates at a time."""
    assert peak_vectors(5 * LARGE, SoftSignSGD(0.5), exact, [10.0]) < 9


@pytest.mark.parametrize("rule", [SGD(0.9), SignSGD()], ids=repr)
def test_memory_does_not_grow_with_the_number_of_batch_sizes(rule):
    few, many = (peak_vectors(3 * LARGE, rule, mean_field, np.geomspace(1, 1e4, n)) for n in (3, 30))
    assert many < 7
    assert many == pytest.approx(few, abs=0.01)


# ------------------------------------------------------------------------------------- bad input
G2, ONES = [1.0, 2.0], [1.0, 1.0]
GOOD = LocalModel(G2, ONES, ONES)
SADDLE = LocalModel(G2, ONES, [-1.0, 0.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: expected_step(GOOD, SGD(), 0), "batch_size must be positive; .* is 0"),
        (lambda: expected_step(GOOD, SignSGD(), [1, -2, 3]), "batch_size must be positive; .* is -2"),
        (
            lambda: expected_step(GOOD, SGD(), [1, np.nan]),
            "batch_size must be finite; got nan or inf in 1 of 2",
        ),
        (lambda: expected_step(GOOD, SGD(), np.inf), "batch_size must be finite"),
        (lambda: expected_step(GOOD, SGD(), "many"), "batch_size must be an array of real numbers; got str"),
        (
            lambda: expected_step(GOOD, SGD(), [[1], [1, 2]]),
            "batch_size must be an array of real numbers; got list",
        ),
        (lambda: optimal_lr(1.0, 0.0), "curvature must be positive; .* is 0.*damped Hessian.*another point"),
        (lambda: loss_decrease(1.0, [1.0, -3.0]), "curvature must be positive; .* is -3.*Gauss-Newton"),
        (lambda: optimal_lr(np.nan, 1.0), "alignment must be finite"),
        (lambda: optimal_lr(1.0, np.nan), "curvature must be finite"),
        (lambda: loss_decrease(np.inf, 1.0), "alignment must be finite"),
        (lambda: expected_step(SADDLE, SGD(), 10).optimal_lr, "curvature must be positive"),
        (lambda: expected_step(SADDLE, SignSGD(), 10).loss_decrease, "curvature must be positive"),
        (lambda: Step(np.array(1.0), np.array(1.0)).loss_change(np.nan), "learning_rate must be finite"),
        (lambda: quadratic_loss_change(GOOD, [1.0], 0.1), r"update must have 2 entries.*\(1,\)"),
        (lambda: quadratic_loss_change(GOOD, G2, [np.inf]), "learning_rate must be finite"),
        (
            lambda: expected_step(GOOD, Muon((3, 2)), 1),
            r"shape \(3, 2\) needs 6 parameters; got vectors of 2",
        ),
        (lambda: expected_step(GOOD, Preconditioned([1.0]), 1), "operator must act on 2 parameters"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_saddle_can_be_stepped_over():
    """The loss change itself needs no minimum."""
    step = expected_step(SADDLE, SGD(), 10)
    assert step.curvature < 0
    assert step.loss_change(0.1) < 0


def test_missing_pair_and_missing_structure():
    with pytest.raises(NotImplementedError, match="exact has no form for Muon; use simulated_step"):
        expected_step(GOOD, Muon((2, 1)), 1, exact)
    with pytest.raises(NotImplementedError, match=r"MatrixFree has no diagonal.*Probed"):
        expected_step(LocalModel(G2, ONES, lambda x: x), SGD(), 1)
