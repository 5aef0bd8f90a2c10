"""Simulated and measured steps: closed forms in standard errors, loops number by number."""

import numpy as np
import pytest

from lrbs import (
    SGD,
    Adam,
    LocalModel,
    MeasuredStep,
    Muon,
    Preconditioned,
    SignSGD,
    SoftSignSGD,
    exact,
    expected_step,
    measured_step,
    simulate,
    simulated_step,
)
from lrbs.operators import DiagonalPlusLowRank, MatrixFree
from lrbs.simulate import draw_gradients, searched_lr, step_from_updates

N = 6
COVARIANCES = ["diagonal", "dense", "low rank", "diagonal and low rank"]


@pytest.fixture
def model(rng, definite):
    return build("dense", rng, definite)


def build(kind, rng, definite):
    factors, weights = rng.standard_normal((N, 3)), np.array([0.5, 1.0, 2.0])
    covariance = {
        "diagonal": rng.uniform(0.5, 2, N),
        "dense": definite(N),
        "low rank": DiagonalPlusLowRank(None, factors, weights),
        "diagonal and low rank": DiagonalPlusLowRank(rng.uniform(0.5, 2, N), factors, weights),
    }[kind]
    return LocalModel(rng.standard_normal(N), covariance, definite(N))


# ------------------------------------------------------------------------- against closed forms
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_history_is_as_long_as_it_is_told(steps, model, assert_within):
    """From zero the average holds 1 - momentum^steps of the gradient."""
    simulated = simulated_step(model, SGD(0.5), 50.0, samples=2000, rng=0, steps=steps)
    kept = (1 - 0.5**steps) * model.squared_gradient
    assert_within(simulated.alignment, kept, simulated.alignment_se)
    assert simulated.alignment_se < 0.02 * kept


@pytest.mark.parametrize(
    "rule", [SGD(), SGD(0.5), SignSGD(0.5), SoftSignSGD(0.4), Preconditioned(np.arange(N))]
)
@pytest.mark.parametrize("kind", COVARIANCES)
def test_simulation_agrees_with_exact_moments(kind, rule, rng, definite, assert_within):
    model, sizes = build(kind, rng, definite), np.array([0.2, 2.0])
    simulated = simulated_step(model, rule, sizes, samples=10_000, rng=rng)
    expected = expected_step(model, rule, sizes, exact)
    assert_within(simulated.alignment, expected.alignment, simulated.alignment_se)
    assert_within(simulated.curvature, expected.curvature, simulated.curvature_se)
    assert_within(simulated.optimal_lr, expected.optimal_lr, simulated.optimal_lr_se)
    assert_within(simulated.loss_decrease, expected.loss_decrease, simulated.loss_decrease_se)
    # Errors small enough to tell something: a formula a tenth off would not pass.
    assert (simulated.optimal_lr_se < 0.02 * simulated.optimal_lr).all()


def test_finite_history_of_an_average(model, assert_within):
    """From zero over t steps: mean (1 - b^t) g, noise (1-b)^2 (1 - b^2t) / (1 - b^2) (11301.5, 11301.7)."""
    g, S, H = model.gradient, model.covariance.dense(), model.hessian.dense()
    b, t, B = 0.6, 3, 2.0
    simulated = simulated_step(model, SGD(b), B, samples=40_000, rng=1, steps=t)
    share, noise = 1 - b**t, (1 - b) ** 2 * (1 - b ** (2 * t)) / (1 - b**2)
    assert_within(simulated.alignment, share * g @ g, simulated.alignment_se)
    curvature = share**2 * g @ H @ g + noise * np.trace(S @ H) / B
    assert_within(simulated.curvature, curvature, simulated.curvature_se)


def test_no_normality_is_needed_for_sgd_but_for_signs(assert_within):
    model = LocalModel([0.5], [1.0], [2.0])

    def coin(rng, shape):
        return rng.choice((-1.0, 1.0), shape)

    sgd = simulated_step(model, SGD(), 1, samples=10_000, rng=2, draw=coin)
    expected = expected_step(model, SGD(), 1, exact)
    assert_within(sgd.curvature, expected.curvature, sgd.curvature_se)
    sign = simulated_step(model, SignSGD(), 1, samples=10_000, rng=2, draw=coin)
    assert_within(sign.alignment, 0.0, sign.alignment_se)  # 0.5 +- 1 is as often negative as positive
    assert sign.curvature == 2.0


# ------------------------------------------------------------------------------- against a loop
@pytest.mark.parametrize("chunk", [2**22, 100, 1])
@pytest.mark.parametrize(
    "rule", [SGD(), SignSGD(0.1), Adam(0.1, 0.2, 0.1), Muon((3, 2)), SoftSignSGD(0.3)], ids=repr
)
def test_the_simulation_number_by_number(rule, chunk, monkeypatch):
    """The same normal numbers run through the rule one by one; in chunks of any size."""
    monkeypatch.setattr(simulate, "CHUNK", chunk)
    rng, samples, B = np.random.default_rng(3), 7, 4.0
    model = LocalModel(rng.standard_normal(N), rng.uniform(1, 2, N), rng.uniform(1, 2, N))
    simulated = simulated_step(model, rule, B, samples=samples, rng=11)
    numbers = np.random.default_rng(11).standard_normal((samples, rule.horizon, N))
    alignments, curvatures = [], []
    for history in numbers:
        phi = rule(model.gradient + np.sqrt(model.covariance.values / B) * history)
        alignments.append(phi @ model.gradient)
        curvatures.append(phi @ (model.hessian.values * phi))
    assert_statistics(simulated, alignments, curvatures)


def assert_statistics(step, alignments, curvatures):
    n = len(alignments)
    assert isinstance(step, MeasuredStep)
    assert step.alignment == pytest.approx(np.mean(alignments))
    assert step.curvature == pytest.approx(np.mean(curvatures))
    assert step.alignment_se == pytest.approx(np.std(alignments, ddof=1) / np.sqrt(n))
    assert step.curvature_se == pytest.approx(np.std(curvatures, ddof=1) / np.sqrt(n))
    centred = (np.array(alignments) - np.mean(alignments)) * (np.array(curvatures) - np.mean(curvatures))
    assert step.covariance == pytest.approx(centred.sum() / (n - 1) / n)


def test_standard_errors_are_those_of_repeated_runs(model):
    """Over many runs, deviations in standard errors have variance one: of means and of their ratios."""
    rng = np.random.default_rng(5)
    runs = [simulated_step(model, SGD(), 2.0, samples=400, rng=rng) for _ in range(400)]
    expected = expected_step(model, SGD(), 2.0)
    for name in ("alignment", "curvature", "optimal_lr", "loss_decrease"):
        scores = [(getattr(run, name) - getattr(expected, name)) / getattr(run, name + "_se") for run in runs]
        assert np.var(scores) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400)), name


def test_delta_method_by_differentiation(model):
    """Standard errors of a/c and a^2/2c from numerical derivatives and the covariance of (a, c)."""
    step = simulated_step(model, SGD(), 2.0, samples=50, rng=1)
    a, c, h = step.alignment, step.curvature, 1e-6
    matrix = [[step.alignment_se**2, step.covariance], [step.covariance, step.curvature_se**2]]
    for function, error in (
        (lambda a, c: a / c, step.optimal_lr_se),
        (lambda a, c: a**2 / c / 2, step.loss_decrease_se),
    ):
        slope = [
            (function(a + h, c) - function(a - h, c)) / 2 / h,
            (function(a, c + h) - function(a, c - h)) / 2 / h,
        ]
        assert error == pytest.approx(np.sqrt(np.array(slope) @ matrix @ slope), rel=1e-6)


def test_standard_errors_are_positive_when_the_alignment_is_not():
    gradients = [[-1.0, 0.1], [-1.2, 0.0], [-0.7, 0.3]]
    step = measured_step(gradients, SGD(), [1.0, 1.0], gradient=[1.0, 0.0])
    assert step.alignment < 0
    assert step.optimal_lr < 0
    assert step.optimal_lr_se > 0
    assert step.loss_decrease_se > 0


def test_without_noise_there_is_no_error():
    step = simulated_step(LocalModel([1.0, 2.0], [0.0, 0.0], [1.0, 1.0]), SGD(), [1, 2], samples=5, rng=0)
    np.testing.assert_allclose(step.optimal_lr, [1.0, 1.0])
    np.testing.assert_allclose([step.optimal_lr_se, step.loss_decrease_se], np.zeros((2, 2)), atol=1e-12)


# ------------------------------------------------------------------------------- random numbers
def test_seeds_and_generators(model):
    first, again = (simulated_step(model, SGD(), [2, 2], samples=20, rng=7) for _ in range(2))
    generator = simulated_step(model, SGD(), [2, 2], samples=20, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(first.alignment, again.alignment)
    np.testing.assert_array_equal(first.alignment, generator.alignment)
    assert first.alignment[0] != first.alignment[1]  # each batch size draws its own numbers
    with pytest.raises(TypeError, match="rng"):
        simulated_step(model, SGD(), 2)


def test_shapes(model):
    scalar = simulated_step(model, SignSGD(), 2, samples=10, rng=0)
    grid = simulated_step(model, SignSGD(), [[1, 2, 3]], samples=10, rng=0)
    for name in (
        "alignment",
        "curvature",
        "alignment_se",
        "curvature_se",
        "covariance",
        "optimal_lr",
        "optimal_lr_se",
    ):
        assert getattr(scalar, name).shape == ()
        assert getattr(grid, name).shape == (1, 3)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_drawn_gradients_in_standard_errors(kind, rng, definite, assert_within):
    model = build(kind, rng, definite)
    draws = draw_gradients(model, 4, (50, 1000), rng)
    assert draws.shape == (50, 1000, N)
    draws = draws.reshape(-1, N) - model.gradient
    assert_within(draws.mean(axis=0), 0.0, draws.std(axis=0) / np.sqrt(len(draws)))
    products = draws[:, :, None] * draws[:, None, :]
    assert_within(products.mean(0), model.covariance.dense() / 4, products.std(0) / np.sqrt(len(draws)))


def test_drawn_gradients_add_the_noise():
    """gradient + deviation * number / sqrt(B), with numbers that have a sign."""
    model = LocalModel([1.0, 2.0], [4.0, 9.0], [1.0, 1.0])
    draws = draw_gradients(model, 4, (3,), 0, draw=lambda rng, shape: np.ones(shape))
    np.testing.assert_allclose(draws, np.tile([2.0, 3.5], (3, 1)))


def test_covariances_without_full_rank_are_drawn_from():
    """Eigenvalues that rounding puts below zero count as zero, at any scale; so does no noise at all."""
    v = np.array([0.1, 0.7, 1.3])
    for scale in (1e-12, 1.0, 1e12):
        model = LocalModel(np.zeros(3), scale * np.outer(v, v), np.ones(3))
        noise = draw_gradients(model, 1, (50,), 0)
        np.testing.assert_allclose(noise / v, np.tile(noise[:, :1] / v[0], (1, 3)), rtol=1e-5)
    for nothing in (np.zeros((3, 3)), DiagonalPlusLowRank(None, np.ones((3, 2)), [0.0, 0.0])):
        np.testing.assert_array_equal(draw_gradients(LocalModel(v, nothing, np.ones(3)), 1, (1,), 0)[0], v)
    rounding = DiagonalPlusLowRank(None, np.ones((3, 2)), [1.0, -1e-16])
    assert np.isfinite(draw_gradients(LocalModel(v, rounding, np.ones(3)), 1, (5,), 0)).all()


# -------------------------------------------------------------------------------- measured steps
@pytest.mark.parametrize("rule", [SGD(), SignSGD(), Muon((2, 3)), SGD(0.5), Adam()], ids=repr)
@pytest.mark.parametrize("known", [True, False])
def test_measured_step_run_by_run(rule, known, rng, definite):
    """Each run aligned with the given gradient, or with the mean gradient of the other runs."""
    runs, H, g = rng.standard_normal((5, 4, N)) + 1.0, definite(N), rng.standard_normal(N)
    if rule.horizon == 1:
        runs = runs[:, 0]
    alignments, curvatures = [], []
    for i in range(5):
        phi = rule(runs[i].reshape(-1, N))
        others = np.concatenate([runs[j].reshape(-1, N) for j in range(5) if j != i])
        alignments.append(phi @ (g if known else others.mean(axis=0)))
        curvatures.append(phi @ H @ phi)
    for hessian in (H, lambda x: H @ x):
        step = measured_step(runs, rule, hessian, gradient=g if known else None)
        assert_statistics(step, alignments, curvatures)
        assert step.optimal_lr.shape == ()


def test_measured_step_without_memory_reads_the_last_of_a_history(rng):
    runs = rng.standard_normal((5, 4, N))
    known = {"hessian": np.ones(N), "gradient": np.ones(N)}
    history, last = measured_step(runs, SignSGD(), **known), measured_step(runs[:, -1], SignSGD(), **known)
    assert history.alignment == last.alignment


def test_two_runs_are_enough(rng):
    runs = rng.standard_normal((2, N))
    assert measured_step(runs, SGD(), np.ones(N)).alignment == pytest.approx(runs[0] @ runs[1])
    eta, _ = searched_lr(lambda w: (w**2).sum(axis=1) + w.sum(axis=1), np.ones((2, N)))
    assert eta == pytest.approx(0.5)


def test_noise_does_not_align_with_itself(rng, assert_within):
    """Gradients of pure noise: no alignment, whatever the number of runs."""
    steps = [measured_step(rng.standard_normal((4, N)), SGD(), np.ones(N)) for _ in range(2000)]
    alignments = [step.alignment for step in steps]
    assert_within(np.mean(alignments), 0.0, np.std(alignments) / np.sqrt(2000))


def test_measured_agrees_with_expected(model, rng, assert_within):
    expected = expected_step(model, SignSGD(), 3, exact)
    gradients = draw_gradients(model, 3, (20_000,), rng)
    for gradient in (None, model.gradient):
        step = measured_step(gradients, SignSGD(), model.hessian, gradient=gradient)
        assert_within(step.curvature, expected.curvature, step.curvature_se)
        assert_within(step.alignment, expected.alignment, 1.5 * step.alignment_se)


# ------------------------------------------------------------------------------- searched minima
def test_searched_lr_is_the_ratio_on_a_quadratic(model, rng):
    """The minimum of the averaged parabola is the ratio of the averages, and its error that of the ratio."""
    updates, g, H = draw_gradients(model, 4.0, (500,), rng), model.gradient, model.hessian.dense()
    eta, error = searched_lr(lambda w: w @ g + np.einsum("ri,ij,rj->r", w, H, w) / 2, updates)
    measured = measured_step(updates, SGD(), H, gradient=g)
    assert eta == pytest.approx(measured.optimal_lr, rel=1e-6)
    assert error == pytest.approx(measured.optimal_lr_se, rel=1e-4)


def test_searched_lr_of_a_loss_that_is_no_quadratic(rng):
    """cosh(w - 1) falls towards w = 1: reached at eta = 1/k by every update -k."""
    eta, error = searched_lr(lambda w: (np.cosh(w - 1) - np.cosh(1))[:, 0], np.full((3, 1), -4.0))
    assert eta == pytest.approx(0.25, rel=1e-6)
    assert error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("length", [1e-6, 1.0, 1e6])
def test_searched_lr_is_the_nearest_minimum(length):
    """Of a loss with many minima, the first on the way down, whatever the length of the updates."""
    eta, _ = searched_lr(lambda w: (np.cos(1) - np.cos(100 * w + 1))[:, 0], np.full((2, 1), length))
    assert eta == pytest.approx(0.01 / length, rel=1e-5)


def test_error_of_searched_lr_by_differentiation(rng):
    """Standard error of the slope over the second derivative, both known for a sum of cosh."""
    phi = -rng.uniform(2, 6, (50, 1))
    eta, error = searched_lr(lambda w: (np.cosh(w - 1) - np.cosh(1))[:, 0], phi)
    slopes, bends = -phi * np.sinh(-eta * phi - 1), phi**2 * np.cosh(-eta * phi - 1)
    assert slopes.mean() == pytest.approx(0.0, abs=1e-4)
    assert error == pytest.approx(slopes.std(ddof=1) / np.sqrt(50) / bends.mean(), rel=1e-4)


# ------------------------------------------------------------------------------------- bad input
ONES = [1.0, 1.0]
GOOD = LocalModel([1.0, 2.0], ONES, ONES)
INDEFINITE = LocalModel([1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], ONES)
NEGATIVE_WEIGHT = LocalModel(
    [1.0, 2.0], DiagonalPlusLowRank(None, [[2.0, 1.0], [2.0, 1.0]], [1.0, -1.0]), ONES
)
RUNS = np.ones((3, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: simulated_step(GOOD, SGD(), 0, rng=0), "batch_size must be positive; .* is 0"),
        (lambda: simulated_step(GOOD, SGD(), [1, np.nan], rng=0), "batch_size must be finite"),
        (lambda: simulated_step(GOOD, SGD(), 1, rng=0, samples=1), "samples must be at least 2; got 1"),
        (
            lambda: simulated_step(GOOD, SGD(), 1, rng=0, samples=1e3),
            "samples must be an integer; got 1000.0",
        ),
        (lambda: simulated_step(GOOD, SGD(), 1, rng=0, steps=0), "steps must be at least 1; got 0"),
        (
            lambda: simulated_step(INDEFINITE, SGD(), 1, rng=0),
            "covariance must have no negative eigenvalue.* -1",
        ),
        (
            lambda: simulated_step(NEGATIVE_WEIGHT, SGD(), 1, rng=0),
            "covariance must have no negative eigenvalue",
        ),
        (
            lambda: searched_lr(lambda w: w[:, 0] ** 2, [[1.0, 2.0]]),
            r"updates must hold at least 2 rows.*\(1, 2\)",
        ),
        (lambda: searched_lr(lambda w: w[:, 0], [1.0, 2.0]), r"updates must be 2-D; got shape \(2,\)"),
        (
            lambda: searched_lr(lambda w: (w + w**2)[:, 0], -RUNS),
            "loss_change must fall along -updates and rise",
        ),
        # The loss itself in place of its change.
        (
            lambda: searched_lr(lambda w: 0.5 + (w[:, 0] + 1) ** 2, RUNS),
            "loss_change must fall along -updates",
        ),
        (lambda: searched_lr(lambda w: 0 * w[:, 0], RUNS), "loss_change must fall along -updates and rise"),
        (lambda: measured_step(RUNS, SGD(5e-4), ONES), r"gradients must have shape \(n_runs, n_steps, N\)"),
        (lambda: draw_gradients(GOOD, -1, (2,), 0), "batch_size must be positive; .* is -1"),
        (lambda: draw_gradients(GOOD, [1, 2], (2,), 0), r"batch_size must be a number; got shape \(2,\)"),
        (lambda: measured_step([1.0, 2.0], SGD(), ONES), r"gradients must be 2-D or 3-D; got shape \(2,\)"),
        (lambda: measured_step([[1.0, np.nan]], SGD(), ONES), "gradients must be finite"),
        (lambda: measured_step(RUNS[:1], SGD(), ONES), r"gradients must hold at least 2 .*\(1, 2\)"),
        (
            lambda: measured_step(RUNS, SGD(0.9), ONES),
            r"gradients must have shape \(n_runs, n_steps, N\).*SGD.*\(3, 2\)",
        ),
        (
            lambda: measured_step(RUNS, Adam(), ONES),
            r"gradients must have shape \(n_runs, n_steps, N\).*Adam",
        ),
        (
            lambda: measured_step(RUNS, SGD(), [1.0]),
            r"hessian must act on the gradient's 2 parameters.*\(1, 1\)",
        ),
        (lambda: measured_step(RUNS, SGD(), [[1.0, 2.0], [0.0, 1.0]]), "hessian must be symmetric"),
        (lambda: measured_step(RUNS, SGD(), ONES, gradient=[1.0]), r"gradient must have 2 entries.*\(1,\)"),
        (lambda: measured_step(RUNS, SGD(), [-1.0, -1.0]).optimal_lr, "curvature must be positive"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_cannot_be_drawn_from():
    model = LocalModel([1.0, 2.0], MatrixFree(lambda x: x, 2), ONES)
    with pytest.raises(NotImplementedError, match=r"covariance of type MatrixFree.*from_samples"):
        simulated_step(model, SGD(), 1, rng=0)


def test_step_from_updates_is_measured_step_without_the_rule() -> None:
    rng = np.random.default_rng(5)
    gradients, g, H = rng.standard_normal((50, 3)) + 1, np.ones(3), np.diag([1.0, 2.0, 3.0])
    through_rule = measured_step(gradients, SGD(), H, g)
    assert step_from_updates(gradients, g, H) == through_rule


def test_updates_of_one_run_are_averaged_before_their_spread() -> None:
    """The same update twice is no more evidence than once."""
    rng = np.random.default_rng(6)
    updates, g, H = rng.standard_normal((20, 3)) + 1, np.ones(3), np.diag([1.0, 2.0, 3.0])
    once, twice = (step_from_updates(u, g, H) for u in (updates, np.stack([updates, updates], axis=1)))
    np.testing.assert_allclose(twice.curvature_se, once.curvature_se, rtol=1e-12)
    np.testing.assert_allclose(twice.optimal_lr, once.optimal_lr, rtol=1e-12)


def test_step_from_updates_refuses_what_it_cannot_average() -> None:
    with pytest.raises(ValueError, match="at least 2 independent runs"):
        step_from_updates(np.ones((1, 5, 3)), np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"gradient must have shape \(3,\) or \(4, 3\); got \(2,\)"):
        step_from_updates(np.ones((4, 3)), np.ones(2), np.ones(3))
