"""LocalModel against dense linear algebra, and its refusals."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from lrbs import SGD, LocalModel, exact, expected_step
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, MatrixFree, Probed

N = 5


@pytest.fixture
def parts(rng, definite):
    return rng.standard_normal(N), definite(N), definite(N)


FORMS = {
    "array": lambda A: A,
    "list": lambda A: A.tolist(),
    "scipy operator": aslinearoperator,
    "operator": Dense,
    "low rank": lambda A: DiagonalPlusLowRank(None, *np.linalg.eigh(A)[::-1]),
}


PAIRS = [
    (covariance, hessian)
    for covariance in FORMS
    for hessian in (*FORMS, "function")
    # Two products without a matrix are refused, see below.
    if (covariance, hessian) not in {("scipy operator", "scipy operator"), ("scipy operator", "function")}
]


@pytest.mark.parametrize(("covariance", "hessian"), PAIRS)
def test_scalars_are_those_of_dense_algebra(parts, covariance, hessian):
    g, S, H = parts
    product = (lambda x: H @ x) if hessian == "function" else FORMS[hessian](H)
    model = LocalModel(g, FORMS[covariance](S), product)
    assert model.size == N
    assert model.noise_scale == pytest.approx(np.trace(S @ H) / (g @ H @ g))
    assert model.max_lr == pytest.approx((g @ g) / (g @ H @ g))
    assert model.max_loss_decrease == pytest.approx((g @ g) ** 2 / (2 * g @ H @ g))
    assert model.squared_gradient == pytest.approx(g @ g)
    assert model.gradient_curvature == pytest.approx(g @ H @ g)
    if covariance != "scipy operator":
        assert model.simple_noise_scale == pytest.approx(np.trace(S) / (g @ g))
    for value in (model.noise_scale, model.max_lr, model.max_loss_decrease):
        assert isinstance(value, float)


def test_one_dimension_means_diagonal(rng):
    g, s, h = rng.standard_normal(N), rng.uniform(0, 2, N), rng.uniform(0, 2, N)
    model = LocalModel(g, s, h)
    assert isinstance(model.covariance, Diagonal)
    assert isinstance(model.hessian, Diagonal)
    assert model.noise_scale == pytest.approx((s * h).sum() / (g**2 * h).sum())
    assert not isinstance(LocalModel(g, np.diag(s), h).covariance, Diagonal)


def test_noise_scales_agree_for_a_multiple_of_the_identity(parts):
    g, S, _ = parts
    model = LocalModel(g, S, 3 * np.eye(N))
    assert model.noise_scale == pytest.approx(model.simple_noise_scale)


def test_at_the_noise_scale_half_of_the_limit_is_reached(parts):
    model = LocalModel(*parts)
    step = expected_step(model, SGD(), model.noise_scale)
    assert step.optimal_lr == pytest.approx(model.max_lr / 2)
    assert step.loss_decrease == pytest.approx(model.max_loss_decrease / 2)


@pytest.mark.parametrize("covariance", ["array", "low rank"])
def test_noise_of_a_batch(parts, covariance):
    g, S, H = parts
    model = LocalModel(g, FORMS[covariance](S), H)
    assert type(model.noise(8)) is type(model.covariance)
    np.testing.assert_allclose(model.noise(8).dense(), S / 8)
    np.testing.assert_allclose(model.noise(np.int64(8)).dense(), S / 8)


def test_from_samples_is_the_sample_covariance(rng, definite):
    samples, H = rng.standard_normal((4, N)) @ definite(N), definite(N)
    model = LocalModel.from_samples(samples, H)
    np.testing.assert_allclose(model.gradient, samples.mean(axis=0))
    np.testing.assert_allclose(model.covariance.dense(), np.cov(samples, rowvar=False))
    assert model.noise_scale == pytest.approx(
        np.trace(np.cov(samples, rowvar=False) @ H) / model.gradient_curvature
    )
    assert model.simple_noise_scale == pytest.approx(
        samples.var(axis=0, ddof=1).sum() / model.squared_gradient
    )


def test_from_samples_forms_no_matrix(rng):
    """More parameters than any matrix of them would fit: the covariance stays the samples."""
    samples = rng.standard_normal((3, 300_000))
    model = LocalModel.from_samples(samples, lambda x: 2 * x)
    assert model.covariance.factors.shape == (300_000, 3)
    assert model.noise_scale == pytest.approx(samples.var(axis=0, ddof=1).sum() / model.squared_gradient)


def test_from_samples_is_unbiased(rng, assert_within):
    """Averaged over many sets of samples, tr(Sigma) is the true one."""
    traces = [
        LocalModel.from_samples(rng.standard_normal((3, 4)) * [1, 2, 3, 4], np.ones(4)).covariance.trace()
        for _ in range(2000)
    ]
    assert_within(np.mean(traces), 1 + 4 + 9 + 16, np.std(traces) / np.sqrt(2000))


def test_a_model_does_not_change_with_its_inputs(rng, definite):
    g, s, H = rng.standard_normal(N), rng.uniform(1, 2, N), definite(N)
    model, again = LocalModel(g, s, H), LocalModel(g.copy(), s.copy(), H.copy())
    for array in (g, s, H):
        array *= 7
    assert model.noise_scale == again.noise_scale
    np.testing.assert_array_equal(model.gradient, again.gradient)
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.gradient = g


def test_computing_does_not_change_a_model(parts):
    model, again = LocalModel(*parts), LocalModel(*parts)
    expected_step(model, SGD(momentum=0.5), [1, 2], exact)
    np.testing.assert_array_equal(model.gradient, again.gradient)
    np.testing.assert_array_equal(model.covariance.dense(), again.covariance.dense())
    np.testing.assert_array_equal(model.hessian.dense(), again.hessian.dense())


def test_read_only_and_integer_inputs():
    g = np.array([1, 2])
    g.setflags(write=False)
    model = LocalModel(g, g, np.diag(g))
    assert model.noise_scale == pytest.approx((1 + 4) / (1 + 8))
    assert LocalModel(g.astype(np.float32), [1, 1], [1, 1]).gradient.dtype == np.float64


def test_identity_and_text(parts):
    model = LocalModel(*parts)
    assert model == model
    assert model != LocalModel(*parts)
    assert {model: 1}[model] == 1
    assert repr(model) == "LocalModel(size=5, covariance=Dense, hessian=Dense)"


NAN = float("nan")
G2, ONES = [1.0, 2.0], [1.0, 1.0]
ASYMMETRIC = [[1.0, 0.5], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocalModel([[1.0, 2.0]], ONES, ONES), r"gradient must be 1-D; got shape \(1, 2\)"),
        (lambda: LocalModel([], [], []), r"gradient must not be empty; got shape \(0,\)"),
        (lambda: LocalModel([1.0, NAN], ONES, ONES), "gradient must be finite; got nan or inf in 1 of 2"),
        (lambda: LocalModel(["a", "b"], ONES, ONES), "gradient must be an array of real numbers; got list"),
        (
            lambda: LocalModel([1j, 2], ONES, ONES),
            "gradient must be an array of real numbers; got list: complex",
        ),
        (lambda: LocalModel(G2, [1.0], ONES), r"covariance must act on the gradient's 2 .*\(1, 1\)"),
        (lambda: LocalModel(G2, np.eye(3), ONES), r"covariance must act on the gradient's 2 .*\(3, 3\)"),
        (lambda: LocalModel(G2, np.ones((2, 3)), ONES), r"covariance must be square; got shape \(2, 3\)"),
        (lambda: LocalModel(G2, np.ones((2, 2, 2)), ONES), "covariance must be 1-D or 2-D; got shape"),
        (lambda: LocalModel(G2, [np.inf, 1.0], ONES), "covariance must be finite"),
        (lambda: LocalModel(G2, [-0.5, 1.0], ONES), "covariance must have variances >= 0.*smallest is -0.5"),
        (lambda: LocalModel(G2, -np.eye(2), ONES), "covariance must have variances >= 0.*smallest is -1"),
        (
            lambda: LocalModel(G2, DiagonalPlusLowRank(None, np.ones((2, 1)), [-3.0]), ONES),
            "covariance must have variances >= 0.*smallest is -3",
        ),
        (lambda: LocalModel(G2, ASYMMETRIC, ONES), "covariance must be symmetric"),
        (
            lambda: LocalModel(G2, lambda x: x, ONES),
            "covariance must be an array.*got a function .*from_samples",
        ),
        (lambda: LocalModel(G2, ONES, ASYMMETRIC), "hessian must be symmetric"),
        (lambda: LocalModel(G2, ONES, [1.0, 1.0, 1.0]), r"hessian must act on the gradient's 2 .*\(3, 3\)"),
        (lambda: LocalModel(G2, ONES, [1.0, NAN]), "hessian must be finite"),
        (
            lambda: LocalModel(G2, ONES, lambda x: x[:1]).max_lr,
            "result of the operator's product must have 2",
        ),
        (lambda: LocalModel(G2, ONES, ONES).noise(0), "batch_size must be positive; .* is 0"),
        (lambda: LocalModel(G2, ONES, ONES).noise(-3.0), "batch_size must be positive; .* is -3"),
        (lambda: LocalModel(G2, ONES, ONES).noise(NAN), "batch_size must be finite"),
        (
            lambda: LocalModel(G2, ONES, ONES).noise([1.0, 2.0]),
            r"batch_size must be a number; got shape \(2,\)",
        ),
        (
            lambda: LocalModel.from_samples([1.0, 2.0], ONES),
            r"per_sample_gradients must be 2-D; got shape \(2,\)",
        ),
        (
            lambda: LocalModel.from_samples([[1.0, 2.0]], ONES),
            r"per_sample_gradients .* at least 2 .*\(1, 2\)",
        ),
        (lambda: LocalModel.from_samples([ONES, [NAN, 1.0]], ONES), "per_sample_gradients must be finite"),
        (
            lambda: LocalModel.from_samples([ONES, G2], [1.0]),
            r"hessian must act on the gradient's 2 .*\(1, 1\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["noise_scale", "simple_noise_scale", "max_lr", "max_loss_decrease"])
def test_ratios_refuse_a_zero_gradient(name):
    with pytest.raises(ValueError, match="gradient is zero"):
        getattr(LocalModel([0.0, 0.0], ONES, ONES), name)


@pytest.mark.parametrize("hessian", [[-1.0, 0.0], [0.0, 0.0]])
@pytest.mark.parametrize("name", ["noise_scale", "max_lr", "max_loss_decrease"])
def test_a_hessian_that_does_not_curve_upwards_is_refused(name, hessian):
    model = LocalModel(G2, ONES, hessian)
    with pytest.raises(ValueError, match=r"hessian must curve upwards.*g\^T H g = .*Gauss-Newton or damped"):
        getattr(model, name)
    assert model.simple_noise_scale == pytest.approx(2 / 5)


def test_covariance_known_by_its_product_alone(definite):
    """Enough with a Hessian that has a matrix; else the way out is named."""
    S, H = definite(2), definite(2)
    assert LocalModel(G2, MatrixFree(lambda x: S @ x, 2), H).noise_scale > 0
    with pytest.raises(NotImplementedError, match="MatrixFree and MatrixFree needs one of them as an array"):
        _ = LocalModel(G2, aslinearoperator(S), lambda x: H @ x).noise_scale
    with pytest.raises(NotImplementedError, match="MatrixFree has no diagonal"):
        _ = LocalModel(G2, aslinearoperator(S), H).simple_noise_scale
    probed = Probed(lambda x: [2.0, 3.0] * x, 2, probes=1, rng=0)
    assert LocalModel(G2, probed, ONES).simple_noise_scale == pytest.approx(1.0)


@pytest.mark.parametrize("form", ["array", "low rank", "operator"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_correlations_fade_and_variances_stay(parts, form, share):
    g, sigma, H = parts
    faded = LocalModel(g, FORMS[form](sigma), H).with_correlations(share)
    wanted = share * sigma + (1 - share) * np.diag(np.diag(sigma))
    np.testing.assert_allclose(faded.covariance.dense(), wanted, atol=1e-12)
    np.testing.assert_array_equal(faded.gradient, g)
    np.testing.assert_array_equal(faded.hessian.dense(), H)
    assert isinstance(faded.covariance, Diagonal) == (share == 0)


def test_all_of_the_correlations_is_the_model_itself(parts):
    model = LocalModel(*parts)
    assert model.with_correlations(1) is model  # nothing is formed for nothing


def test_correlations_of_low_rank_with_a_diagonal(parts):
    g, sigma, H = parts
    covariance = DiagonalPlusLowRank(np.arange(1.0, 6.0), sigma[:, :2], np.array([1.0, 2.0]))
    dense = covariance.dense()
    faded = LocalModel(g, covariance, H).with_correlations(0.25).covariance.dense()
    np.testing.assert_allclose(faded, 0.25 * dense + 0.75 * np.diag(np.diag(dense)), atol=1e-12)


def test_share_of_correlations_is_checked(parts):
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\]; got 1.5"):
        LocalModel(*parts).with_correlations(1.5)


FORMS_OF_NOISE = {**FORMS, "diagonal": lambda A: np.diag(A).copy()}


@pytest.mark.parametrize("hessian", [*FORMS, "function", "diagonal"])
@pytest.mark.parametrize("covariance", FORMS_OF_NOISE)
def test_a_part_is_a_block(parts, covariance, hessian):
    g, sigma, H = parts
    form = {**FORMS_OF_NOISE, "function": lambda A: lambda v: A @ v}[hessian]
    part = LocalModel(g, FORMS_OF_NOISE[covariance](sigma), form(H)).part(slice(1, 4))
    noise, curvature = (
        np.diag(np.diag(A)) if kind == "diagonal" else A for A, kind in ((sigma, covariance), (H, hessian))
    )
    np.testing.assert_array_equal(part.gradient, g[1:4])
    np.testing.assert_allclose(part.covariance @ np.eye(3), noise[1:4, 1:4], atol=1e-12)
    np.testing.assert_allclose(part.hessian @ np.eye(3), curvature[1:4, 1:4], atol=1e-12)


def test_a_part_keeps_a_diagonal_that_is_known(parts):
    g, sigma, H = parts
    operator = MatrixFree(lambda v: sigma @ v, N, lambda: np.diag(sigma))
    np.testing.assert_array_equal(
        LocalModel(g, operator, H).part(slice(2, 5)).covariance.diagonal(), np.diag(sigma)[2:]
    )


def test_a_part_must_hold_a_parameter(parts):
    with pytest.raises(ValueError, match="own must hold a parameter or more of 5"):
        LocalModel(*parts).part(slice(3, 3))
