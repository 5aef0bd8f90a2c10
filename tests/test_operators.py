"""Every structured operator against the dense matrix that it stands for."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lrbs.operators import (
    Dense,
    Diagonal,
    DiagonalPlusLowRank,
    MatrixFree,
    Operator,
    Probed,
    as_operator,
    trace_product,
)

N = 6
KINDS = (
    "diagonal",
    "dense",
    "low rank",
    "diagonal and low rank",
    "product",
    "product and diagonal",
    "probed",
    "scipy",
)
NO_DIAGONAL = ("product", "scipy")


def build(kind: str) -> tuple[Operator, np.ndarray]:
    """An operator of a kind and its matrix, made by plain NumPy from the same numbers."""
    rng = np.random.default_rng(KINDS.index(kind))
    values, factors, weights = rng.standard_normal(N), rng.standard_normal((N, 3)), rng.standard_normal(3)
    matrix = rng.standard_normal((N, N))
    matrix = matrix + matrix.T
    low_rank = sum(w * np.outer(u, u) for w, u in zip(weights, factors.T, strict=True))
    return {
        "diagonal": (Diagonal(values), np.diag(values)),
        "dense": (Dense(matrix), matrix),
        "low rank": (DiagonalPlusLowRank(None, factors, weights), low_rank),
        "diagonal and low rank": (DiagonalPlusLowRank(values, factors, weights), np.diag(values) + low_rank),
        "product": (MatrixFree(lambda x: matrix @ x, N), matrix),
        "product and diagonal": (MatrixFree(lambda x: matrix @ x, N, lambda: matrix.diagonal()), matrix),
        # The probes of a diagonal matrix have no random error.
        "probed": (Probed(lambda x: values * x, N, probes=1, rng=0), np.diag(values)),
        "scipy": (as_operator(aslinearoperator(matrix), "hessian", N), matrix),
    }[kind]


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> tuple[Operator, np.ndarray]:
    return build(request.param)


def assert_same(operator: Operator, matrix: np.ndarray) -> None:
    """All that an operator can do, done by its matrix."""
    rng = np.random.default_rng(1)
    x, X = rng.standard_normal(N), rng.standard_normal((N, 4))
    assert operator.shape == matrix.shape
    assert operator.size == N
    assert operator.dtype == np.float64
    np.testing.assert_allclose(operator @ x, matrix @ x)
    np.testing.assert_allclose(operator @ x[:, None], matrix @ x[:, None])
    np.testing.assert_allclose(operator @ X, matrix @ X)
    np.testing.assert_allclose(operator.T @ x, matrix @ x)
    np.testing.assert_allclose(operator.dense(), matrix, atol=1e-14)
    if isinstance(operator, MatrixFree) and operator._diagonal is None:
        with pytest.raises(NotImplementedError, match=r"MatrixFree has no diagonal.*Probed"):
            operator.diagonal()
    else:
        np.testing.assert_allclose(operator.diagonal(), matrix.diagonal())
        assert operator.trace() == pytest.approx(np.trace(matrix))
        assert isinstance(operator.trace(), float)


def test_as_its_matrix(pair):
    assert_same(*pair)


def test_scaled(pair):
    operator, matrix = pair
    assert_same(operator.scaled(-2.5), -2.5 * matrix)


def test_congruence(pair, rng):
    operator, matrix = pair
    scale = rng.standard_normal(N)
    assert_same(operator.congruence(scale), np.diag(scale) @ matrix @ np.diag(scale))


def test_scaled_and_congruence_compose(pair, rng):
    operator, matrix = pair
    scale = rng.standard_normal(N)
    twice = operator.congruence(scale).scaled(0.5).congruence(scale)
    assert_same(twice, 0.5 * np.diag(scale**2) @ matrix @ np.diag(scale**2))


@pytest.mark.parametrize("kind", ["diagonal", "dense", "low rank", "diagonal and low rank"])
def test_structure_is_kept(kind):
    operator, _ = build(kind)
    assert type(operator.scaled(2.0)) is type(operator)
    assert type(operator.congruence(np.ones(N))) is type(operator)
    if kind == "low rank":
        assert operator.scaled(2.0).diagonal_part is None
        assert operator.congruence(np.ones(N)).diagonal_part is None


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_trace_product_of_all_pairs(first, second):
    (A, a), (B, b) = build(first), build(second)
    matrix_free = {"product", "product and diagonal", "probed", "scipy"}
    needs_diagonal = {"diagonal", "diagonal and low rank"}
    impossible = (
        (first in matrix_free and second in matrix_free)
        or (first in needs_diagonal and second in NO_DIAGONAL)
        or (second in needs_diagonal and first in NO_DIAGONAL)
    )
    if impossible:
        with pytest.raises(NotImplementedError, match="diagonal"):
            trace_product(A, B)
    else:
        assert trace_product(A, B) == pytest.approx(np.trace(a @ b))
        assert isinstance(trace_product(A, B), float)


def test_low_rank_never_asks_for_a_diagonal(rng):
    """Per-sample gradients with Hessian-vector products alone: as many products as there are samples."""
    factors, weights = rng.standard_normal((50, 3)), np.ones(3)
    calls = []

    def product(x):
        calls.append(x)
        return 2 * x

    value = trace_product(MatrixFree(product, 50), DiagonalPlusLowRank(None, factors, weights))
    assert value == pytest.approx(2 * (factors**2).sum())
    assert len(calls) == 3


def test_probed_diagonal_in_standard_errors(symmetric, assert_within):
    """With random signs z, z * (A z) has mean diag(A) and variance the sum of squares off the diagonal."""
    matrix, probes = symmetric(40), 400
    probed = Probed(lambda x: matrix @ x, 40, probes=probes, rng=7)
    off_diagonal = matrix - np.diag(matrix.diagonal())
    error = np.sqrt((off_diagonal**2).sum(axis=1) / probes)
    assert_within(probed.diagonal(), matrix.diagonal(), error)
    assert_within(probed.trace(), np.trace(matrix), np.sqrt(2 * (off_diagonal**2).sum() / probes))
    # The estimate is neither exact nor better than it can be.
    spread = np.std((probed.diagonal() - matrix.diagonal()) / error)
    assert 0.7 < spread < 1.3


def test_probed_diagonal_is_drawn_once(symmetric):
    matrix, calls = symmetric(5), []

    def product(x):
        calls.append(x)
        return matrix @ x

    probed = Probed(product, 5, probes=3, rng=1)
    scaled, scale = probed.scaled(2.0), np.arange(5.0)
    np.testing.assert_allclose(scaled.diagonal(), 2 * probed.diagonal())
    np.testing.assert_allclose(probed.congruence(scale).diagonal(), scale**2 * probed.diagonal())
    assert len(calls) == 3
    again = Probed(product, 5, probes=3, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again.diagonal(), probed.diagonal())


def test_as_operator_reads_what_comes(symmetric):
    matrix = symmetric(N)
    assert isinstance(as_operator(np.arange(N), "hessian", N), Diagonal)
    assert isinstance(as_operator(list(range(N)), "hessian", N), Diagonal)
    assert isinstance(as_operator(matrix, "hessian", N), Dense)
    assert isinstance(as_operator(lambda x: x, "hessian", N), MatrixFree)
    dense = Dense(matrix)
    assert as_operator(dense, "hessian", N) is dense


def test_read_only_and_integer_arrays(symmetric):
    matrix = symmetric(N)
    matrix.setflags(write=False)
    assert_same(Dense(matrix).scaled(3.0).congruence(np.arange(N)), 3 * np.outer(range(N), range(N)) * matrix)
    assert Diagonal(np.arange(3)).diagonal().dtype == np.float64


def test_asymmetry_of_rounding_is_accepted(symmetric):
    """Once, where the matrix comes in: a congruence may blow it up and must not fall over it."""
    matrix = symmetric(N) * 1e6
    matrix[0, 1] += 1e-6
    blown_up = Dense(matrix).congruence(np.array([1e9, 1e9, 0, 0, 0, 0]))
    assert blown_up.trace() == pytest.approx(1e18 * (matrix[0, 0] + matrix[1, 1]))


NON_SQUARE = LinearOperator(shape=(2, 3), matvec=lambda x: x[:2], dtype=np.float64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Diagonal([[1.0]]), r"values must be 1-D; got shape \(1, 1\)"),
        (lambda: Diagonal([]), r"values must not be empty; got shape \(0,\)"),
        (lambda: Diagonal([1.0, np.nan]), "values must be finite; got nan or inf in 1 of 2 entries"),
        (lambda: Dense([1.0, 2.0]), r"matrix must be 2-D; got shape \(2,\)"),
        (lambda: Dense(np.ones((2, 3))), r"matrix must be square; got shape \(2, 3\)"),
        (lambda: Dense([[1.0, np.inf], [np.inf, 1.0]]), "matrix must be finite; got nan or inf in 2 of 4"),
        (
            lambda: Dense([[1.0, 2.0], [0.0, 1.0]]),
            r"matrix must be symmetric.*\|A - A\^T\| is 2 .*\|A\| is 2",
        ),
        (lambda: Dense([[1.0, 1e-6], [0.0, 1.0]]), "matrix must be symmetric"),
        (lambda: Dense([[1j, 0], [0, 1]]), "matrix must be an array of real numbers; got list: complex"),
        (lambda: Diagonal(["1", "2"]), "values must be an array of real numbers; got list"),
        (lambda: Diagonal([[1.0], [1.0, 2.0]]), "values must be an array of real numbers; got list"),
        (lambda: DiagonalPlusLowRank(None, [1.0], [1.0]), r"factors must be 2-D; got shape \(1,\)"),
        (lambda: DiagonalPlusLowRank(None, np.ones((3, 2)), [1.0]), r"weights must have 2 entries.*\(1,\)"),
        (
            lambda: DiagonalPlusLowRank([1.0], np.ones((3, 2)), [1.0, 1.0]),
            r"diagonal must have 3 entries.*\(1,\)",
        ),
        (lambda: MatrixFree(np.eye(2), 2), "product must be a function of a vector; got ndarray"),
        (lambda: MatrixFree(lambda x: x, 0), "size must be at least 1; got 0"),
        (lambda: MatrixFree(lambda x: x, 2.0), "size must be an integer; got 2.0"),
        (lambda: MatrixFree(lambda x: x[:1], 2) @ [1.0, 2.0], r"result of the operator's product.*\(1,\)"),
        (
            lambda: MatrixFree(lambda x: x * np.nan, 2) @ [1.0, 2.0],
            "result of the operator's product.*finite",
        ),
        (lambda: Probed(lambda x: x, 2, probes=0, rng=0), "probes must be at least 1; got 0"),
        (lambda: Probed(lambda x: x, 2, probes=True, rng=0), "probes must be an integer; got True"),
        (lambda: as_operator(np.ones(2), "hessian", 3), r"hessian must act on the gradient's 3.*\(2, 2\)"),
        (lambda: as_operator(np.eye(2), "hessian", 3), r"hessian must act on the gradient's 3.*\(2, 2\)"),
        (lambda: as_operator(NON_SQUARE, "hessian", 2), r"hessian must act on the gradient's 2.*\(2, 3\)"),
        (lambda: as_operator(np.ones((2, 2, 2)), "hessian", 2), "hessian must be 1-D or 2-D; got shape"),
        (lambda: as_operator(None, "hessian", 2), "hessian must be 1-D or 2-D; got shape"),
        (
            lambda: trace_product(Diagonal([1.0]), Diagonal([1.0, 2.0])),
            r"one shape; got \(1, 1\) and \(2, 2\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Identity(Operator):
    """A new kind of operator that brings nothing but its product."""

    def _matvec(self, x):
        return x


def test_what_a_new_operator_must_bring():
    operator = Identity(2)
    np.testing.assert_array_equal(operator.dense(), np.eye(2))
    for act in (
        operator.diagonal,
        operator.trace,
        lambda: operator.scaled(1.0),
        lambda: operator.congruence(1.0),
    ):
        with pytest.raises(NotImplementedError):
            act()
    with pytest.raises(NotImplementedError, match="Identity has no diagonal"):
        operator.diagonal()
