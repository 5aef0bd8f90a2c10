"""The rules against plain Python loops, step by step, and against the textbook recursions."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.linalg
import sympy as sp

from lrbs import SGD, Adam, Lion, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.operators import Dense, Diagonal, MatrixFree
from lrbs.rules import Rule, msign, softsign

STEPS, N = 7, 6
P = np.diag([2.0, 1.0, 0.5, 3.0, 1.5, 0.1]) + 0.2


def averages(history, momentum):
    """m_t = momentum * m_(t-1) + (1 - momentum) * g_t from zero, one number at a time."""
    m = [0.0] * history.shape[1]
    for gradient in history:
        m = [momentum * old + (1 - momentum) * float(new) for old, new in zip(m, gradient, strict=True)]
        yield m


ACTIONS = {
    "SGD": (SGD, lambda m: m),
    "SignSGD": (SignSGD, lambda m: [math.copysign(1.0, x) if x else 0.0 for x in m]),
    "SoftSignSGD": (
        lambda momentum=0.0: SoftSignSGD(0.3, momentum=momentum),
        lambda m: [x / math.sqrt(x * x + 0.09) for x in m],
    ),
    "Muon": (
        lambda momentum=0.0: Muon((3, 2), momentum=momentum),
        lambda m: scipy.linalg.polar(np.reshape(m, (3, 2)))[0].ravel(),
    ),
    "wide Muon": (
        lambda momentum=0.0: Muon((2, 3), momentum=momentum),
        lambda m: scipy.linalg.polar(np.reshape(m, (2, 3)))[0].ravel(),
    ),
    "Preconditioned, dense": (
        lambda momentum=0.0: Preconditioned(P, momentum=momentum),
        lambda m: [sum(P[i, j] * m[j] for j in range(N)) for i in range(N)],
    ),
    "Preconditioned, diagonal": (
        lambda momentum=0.0: Preconditioned(P.diagonal(), momentum=momentum),
        lambda m: [P[i, i] * m[i] for i in range(N)],
    ),
}


@pytest.fixture
def history(rng):
    return rng.standard_normal((STEPS, N)) + rng.standard_normal(N)


@pytest.mark.parametrize("momentum", [0.0, 1e-4, 0.1, 0.9])
@pytest.mark.parametrize("name", ACTIONS)
def test_momentum_step_by_step(name, momentum, history):
    make, action = ACTIONS[name]
    rule = make(momentum=momentum)
    for t, m in enumerate(averages(history, momentum), start=1):
        np.testing.assert_allclose(rule(history[:t]), action(m), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("beta1", "beta2", "epsilon"), [(0.9, 0.95, 0.0), (0.0, 0.99, 1e-3), (0.5, 0.0, 0.1)]
)
def test_adam_step_by_step(beta1, beta2, epsilon, history):
    """The textbook recursion with bias correction (11301.12)."""
    rule = Adam(beta1, beta2, epsilon)
    m, v = [0.0] * N, [0.0] * N
    for t in range(1, STEPS + 1):
        for i in range(N):
            g = float(history[t - 1, i])
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
        expected = [(m[i] / (1 - beta1**t)) / (math.sqrt(v[i] / (1 - beta2**t)) + epsilon) for i in range(N)]
        np.testing.assert_allclose(rule(history[:t]), expected, rtol=1e-12)


def test_nesterov_step_by_step(history):
    """Momentum once more on the average that has taken in the gradient, for a sign of it too."""
    for t, m in enumerate(averages(history, 0.8), start=1):
        ahead = 0.8 * np.array(m) + 0.2 * history[t - 1]
        np.testing.assert_allclose(SGD(0.8, nesterov=True)(history[:t]), ahead, rtol=1e-12)
        np.testing.assert_array_equal(SignSGD(0.8, nesterov=True)(history[:t]), np.sign(ahead))


def test_lion_step_by_step(history):
    """The published recursion, one number at a time."""
    m = [0.0] * N
    for t in range(1, STEPS + 1):
        g = history[t - 1]
        expected = [math.copysign(1.0, 0.9 * m[i] + 0.1 * float(g[i])) for i in range(N)]
        m = [0.99 * m[i] + 0.01 * float(g[i]) for i in range(N)]
        np.testing.assert_array_equal(Lion()(history[:t]), expected)


ALL_RULES = [make() for make, _ in ACTIONS.values()] + [make(momentum=0.7) for make, _ in ACTIONS.values()]
ALL_RULES += [Adam(), Adam(0.5, 0.2, 0.1), Lion(), Lion(0.5, 0.2), SGD(0.7, nesterov=True)]


@pytest.mark.parametrize("rule", ALL_RULES, ids=repr)
def test_leading_axes_are_runs(rule, rng):
    many = rng.standard_normal((2, 3, STEPS, N))
    updates = rule(many)
    assert updates.shape == (2, 3, N)
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(updates[i, j], rule(many[i, j]), rtol=1e-12)


@pytest.mark.parametrize("rule", ALL_RULES, ids=repr)
def test_history_is_left_alone(rule, history):
    kept = history.copy()
    history.setflags(write=False)
    rule(history)
    np.testing.assert_array_equal(history, kept)
    assert isinstance(rule, UpdateRule)
    assert dataclasses.is_dataclass(rule)


@pytest.mark.parametrize("rule", ALL_RULES, ids=repr)
def test_horizon_forgets_the_start(rule):
    """At the horizon, and not a step before, the weight left on the start is below one in a million."""
    decay = max(rule.beta1, rule.beta2) if isinstance(rule, Adam) else rule.coefficients[1]
    if decay == 0:
        assert rule.horizon == 1
    else:
        assert decay**rule.horizon <= 1e-6 < decay ** (rule.horizon - 1)


def test_a_rule_is_told_the_shape_of_a_gradient():
    """Without the axis of steps, whatever else stands before it; each of the steps is then handed on."""
    told = []

    class Counting(Rule):
        def init(self, shape):
            told.append(shape)
            return 0

        def update(self, gradient, state):
            assert gradient.shape == told[-1]
            return np.full(gradient.shape, state + 1), state + 1

    for shape in ((9, 5), (4, 9, 5), (2, 3, 9, 5)):
        np.testing.assert_array_equal(Counting()(np.ones(shape)), np.full((*shape[:-2], 5), 9))
        assert told[-1] == (*shape[:-2], 5)


def test_what_a_rule_without_memory_holds_does_not_grow_with_the_weights():
    assert np.size(SGD().init((1000,))) == np.size(Lion(beta1=0.0).init((1000,))) == 1
    assert SGD(1e-4).init((2, 5)).shape == (2, 5)


def test_noise_factor_is_the_sum_of_squared_weights():
    """Cov[m_t] = c_t Cov[g] with c_t the sum of the squared weights of the average (11301.6, 11301.7)."""
    b, s, t = sp.symbols("beta s t", positive=True)
    weights = ((1 - b) * b**s) ** 2
    infinite = sp.simplify(sp.summation(weights.subs(b, sp.Rational(3, 4)), (s, 0, sp.oo)))
    assert infinite == sp.Rational(1, 7)
    finite = (1 - b) ** 2 * (1 - b ** (2 * t)) / (1 - b**2)
    for steps in (1, 2, 5):
        assert sp.simplify(sum(weights.subs(s, k) for k in range(steps)) - finite.subs(t, steps)) == 0
    limit = sp.lambdify(b, sp.simplify((1 - b) ** 2 / (1 - b**2)))
    for momentum in (0.1, 0.75, 0.9):
        for rule in (SGD(momentum), SignSGD(momentum), SoftSignSGD(1.0, momentum), Adam(beta1=momentum)):
            assert rule.noise_factor == pytest.approx(limit(momentum))
    assert SGD().noise_factor == Muon((2, 2)).noise_factor == 1.0
    for rule in (Lion(), Lion(0.95, 0.98), SGD(0.9, nesterov=True), Muon((1, 2), 0.8, nesterov=True)):
        assert rule.weights(3000).sum() == pytest.approx(1.0)
        assert rule.noise_factor == pytest.approx(np.sum(rule.weights(3000) ** 2))


def test_averages_of_a_constant_gradient():
    """From zero, m_t = (1 - momentum^t) g; Adam's correction removes the factor."""
    g = np.array([2.0, -3.0])
    np.testing.assert_allclose(SGD(0.5)(np.tile(g, (3, 1))), (1 - 0.5**3) * g)
    np.testing.assert_allclose(Adam(0.5, 0.9)(np.tile(g, (3, 1))), [1.0, -1.0])
    np.testing.assert_allclose(Adam(epsilon=1.0)(np.tile(g, (3, 1))), [2 / 3, -3 / 4])


def test_where_nothing_is_known_nothing_moves():
    zeros = np.zeros((STEPS, N))
    for rule in ALL_RULES:
        np.testing.assert_array_equal(rule(zeros), np.zeros(N))
    np.testing.assert_array_equal(Adam()([[0.0, 1.0]]), [0.0, 1.0])


def test_softsign_and_its_limits(rng):
    x = rng.standard_normal(20)
    np.testing.assert_allclose(softsign(x, 0.7), x / np.sqrt(x**2 + 0.49))
    np.testing.assert_array_equal(softsign(x, 0.0), np.sign(x))
    np.testing.assert_allclose(1e9 * softsign(x, 1e9), x)
    np.testing.assert_array_equal(softsign([0.0, 1e300, -1e-300], 0.0), [0.0, 1.0, -1.0])
    assert softsign(3, 4.0) == pytest.approx(0.6)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 3)])
def test_msign_is_the_polar_factor(shape, rng):
    A = rng.standard_normal(shape)
    np.testing.assert_allclose(msign(A), scipy.linalg.polar(A)[0], atol=1e-13)
    np.testing.assert_allclose(msign(1e-150 * A), msign(A), atol=1e-12)
    np.testing.assert_allclose(msign(np.stack([A, -2 * A])), [msign(A), -msign(A)], atol=1e-13)


def test_msign_of_low_rank_keeps_the_rank(rng):
    u, v = rng.standard_normal(5), rng.standard_normal(3)
    expected = np.outer(u, v) / (np.linalg.norm(u) * np.linalg.norm(v))
    np.testing.assert_allclose(msign(np.outer(u, v)), expected, atol=1e-13)
    # A small singular value is a direction all the same; one at the level of rounding is not.
    np.testing.assert_allclose(msign(np.diag([1.0, 1e-12])), np.eye(2), atol=1e-13)
    np.testing.assert_allclose(msign(np.diag([1.0, 1e-17])), np.diag([1.0, 0.0]), atol=1e-13)
    # What rounding is does not depend on how many matrices come at a time.
    stack = np.tile(np.diag([1.0, 1e-12]), (10_000, 1, 1))
    np.testing.assert_allclose(msign(stack), np.tile(np.eye(2), (10_000, 1, 1)), atol=1e-13)


@pytest.mark.parametrize(
    "operator",
    [P, P.tolist(), lambda x: P @ x, Dense(P), MatrixFree(lambda x: P @ x, N)],
    ids=["array", "list", "function", "Dense", "MatrixFree"],
)
def test_preconditioned_accepts_what_a_hessian_may_be(operator, history):
    rule = Preconditioned(operator)
    np.testing.assert_allclose(rule(history), P @ history[-1])
    np.testing.assert_allclose(rule.apply(history), history @ P)
    assert rule.diagonal is None


def test_preconditioned_knows_its_diagonal(history):
    for operator in (Diagonal(P.diagonal()), P.diagonal(), P.diagonal().tolist()):
        np.testing.assert_array_equal(Preconditioned(operator).diagonal, P.diagonal())
        np.testing.assert_allclose(Preconditioned(operator)(history), P.diagonal() * history[-1])


G = np.ones((2, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), r"momentum must be in \[0, 1\); got 1"),
        (lambda: SignSGD(momentum=-0.1), r"momentum must be in \[0, 1\); got -0.1"),
        (lambda: SoftSignSGD(1.0, momentum=2), r"momentum must be in \[0, 1\); got 2"),
        (lambda: Muon((1, 1), momentum=1), r"momentum must be in \[0, 1\); got 1"),
        (lambda: Preconditioned([1.0], momentum=1), r"momentum must be in \[0, 1\); got 1"),
        (lambda: SGD(momentum=float("nan")), "momentum must be finite"),
        (lambda: SGD(momentum="0.9"), "momentum must be an array of real numbers; got str"),
        (lambda: SGD(momentum=[0.9, 0.8]), r"momentum must be a number; got shape \(2,\)"),
        (lambda: SoftSignSGD(-1e-3), "epsilon must not be negative; got -0.001"),
        (lambda: SoftSignSGD(float("inf")), "epsilon must be finite"),
        (lambda: Adam(beta1=1.0), r"beta1 must be in \[0, 1\); got 1"),
        (lambda: Adam(beta2=-1.0), r"beta2 must be in \[0, 1\); got -1"),
        (lambda: Adam(epsilon=-1.0), "epsilon must not be negative; got -1"),
        (lambda: Muon((2, 3, 4)), r"shape must be \(rows, columns\); got \(2, 3, 4\)"),
        (lambda: Muon(6), r"shape must be \(rows, columns\); got 6"),
        (lambda: Muon((2, 0)), "shape must be at least 1; got 0"),
        (lambda: Muon((2, 1.5)), "shape must be an integer; got 1.5"),
        (lambda: Muon((2, 2))(G), r"shape \(2, 2\) needs 4 parameters; got vectors of 3"),
        (lambda: Preconditioned([[1.0, 2.0], [0.0, 1.0]]), "operator must be symmetric"),
        (lambda: Preconditioned(2.0), r"operator must be 1-D or 2-D; got shape \(\)"),
        (lambda: Preconditioned([1.0, np.nan]), "operator must be finite"),
        (lambda: Preconditioned([1.0, 2.0])(G), r"operator must act on 3 parameters; got shape \(2,\)"),
        (lambda: Preconditioned(np.eye(2))(G), r"operator must act on 3 parameters; got shape \(2, 2\)"),
        (lambda: Preconditioned(lambda x: x[:1])(G), r"result of operator must have 3 entries.*\(1,\)"),
        (lambda: SGD()(np.ones(3)), r"gradients must have shape \(..., steps, N\).*got \(3,\)"),
        (lambda: Adam()(np.ones((0, 3))), r"gradients must have shape \(..., steps, N\).*got \(0, 3\)"),
        (lambda: SignSGD()([[np.inf]]), "gradients must be finite"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
