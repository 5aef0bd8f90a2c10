"""Checks of the page on Muon: the matrix sign, its averages, and the learning rate of Muon."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import polar

from lrbs.approximations import mean_field, scalar_mean_field, two_sided_mean_field
from lrbs.checks.evidence import Rows, against_sample, check, missed, near, stated
from lrbs.checks.problems import SHAPE, isotropic_model, matrix_gradient
from lrbs.laws.curves import power_saturation
from lrbs.laws.muon import muon_hessian, muon_law, muon_newton_curvature, newton_schulz
from lrbs.model import LocalModel
from lrbs.moments import gram_covariance
from lrbs.operators import Diagonal
from lrbs.rules import Muon, msign
from lrbs.simulate import draw_gradients, simulated_step
from lrbs.step import expected_step, quadratic_loss_change
from lrbs.validation import Array


@check("identity")
def matrix_sign() -> Rows:
    """SVD against the polar decomposition; the band that five Newton-Schulz steps reach."""
    rng = np.random.default_rng(1)
    G = rng.standard_normal((7, 4))
    deficient = G.copy()
    deficient[:, 3] = deficient[:, 0] + deficient[:, 1]
    rank = np.linalg.matrix_rank(msign(deficient))
    values = np.geomspace(0.003, 1, 20_001)
    tiny, weak = (newton_schulz(np.diag([1.0, value]))[1, 1] for value in (1e-9, 1.5e-3))
    band = _quintic(values)
    strong = band[values >= 0.01]
    yield near("msign - polar factor, largest", 0.0, _gap(msign(G), polar(G)[0]), absolute=True)
    yield "rank kept when deficient", 3.0, rank
    yield stated("lowest, from values ≥ 0.01", 0.682, strong.min(), 1e-3)
    yield stated("highest, from values ≥ 0.01", 1.134, strong.max(), 1e-3)
    yield stated("highest, from values ≥ 0.003", 1.202, band.max(), 1e-3)
    yield stated("largest gain", 485.0, tiny / 1e-9, 2e-3)
    yield stated("value 0.0015 ends at", 0.68, weak, 5e-2)


@check("Monte Carlo")
def expansion_in_matrices() -> Rows:
    """The expansion with traces of matrices, a Hessian on matrices, and its average over batches."""
    rng = np.random.default_rng(2)
    rows, columns = 5, 3
    G = rng.standard_normal((rows, columns))
    A, C = rng.standard_normal((2, 5, 5))[0], rng.standard_normal((3, 3))
    A, C = A @ A.T + np.eye(5), C @ C.T + np.eye(3)  # H X = A X C
    model = LocalModel(G.reshape(-1), np.full(15, 4.0), np.kron(A, C))
    phi = Muon((rows, columns))(draw_gradients(model, 3.0, (20_000, 1), 3)).reshape(-1, rows, columns)
    slope, bend = np.einsum("sij,ij->s", phi, G), np.einsum("sij,ik,skl,lj->s", phi, A, phi, C, optimize=True)
    eta = 0.1
    by_traces = -eta * np.trace(phi[0].T @ G) + eta**2 / 2 * np.trace(phi[0].T @ A @ phi[0] @ C)
    run = simulated_step(model, Muon((rows, columns)), 3.0, samples=20_000, rng=4)
    yield "one update", quadratic_loss_change(model, phi[0].reshape(-1), eta), by_traces
    yield "mean over updates", run.loss_change(eta), -eta * slope + eta**2 / 2 * bend


@check("identity")
def muon_as_newton() -> Rows:
    """Newton's step under H X = X (G^T G)^(1/2) / eta_max is eta_max msign(G)."""
    G = matrix_gradient(1.0, (6, 4))
    newton = np.linalg.solve(muon_hessian(G, 0.3).dense(), G.reshape(-1)).reshape(G.shape)
    X = np.random.default_rng(5).standard_normal(G.shape)
    values, vectors = np.linalg.eigh(G.T @ G)
    direct = X @ (vectors * np.sqrt(values)) @ vectors.T / 0.3
    applied = (muon_hessian(G, 0.3) @ X.reshape(-1)).reshape(G.shape)
    yield "norm of Newton's step", 0.3 * float(np.linalg.norm(msign(G))), np.linalg.norm(newton)
    yield near("largest gap to η_max msign(G)", 0.0, _gap(newton, 0.3 * msign(G)), absolute=True)
    yield "H X, an entry", applied[2, 1], direct[2, 1]


@check("Monte Carlo")
def gram_of_noisy_gradients() -> Rows:
    """E[G^T G] with isotropic noise, and with noise of full covariance."""
    rng = np.random.default_rng(6)
    G = matrix_gradient(1.0, (6, 4))
    root = rng.standard_normal((24, 24)) / 5
    for name, covariance in (("isotropic", np.full(24, 0.5)), ("dense", root @ root.T)):
        model = LocalModel(G.reshape(-1), covariance, np.ones(24))
        sample = draw_gradients(model, 2.0, (40_000,), 7).reshape(-1, 6, 4)
        gram = np.einsum("sij,sik->sjk", sample, sample)
        formula = G.T @ G + gram_covariance(model.noise(2.0), (6, 4), axis=0)
        yield f"{name} noise, diagonal", formula[1, 1], gram[:, 1, 1]
        yield f"{name} noise, off it", formula[0, 2], gram[:, 0, 2]
    yield "n σ²/B", 6 * 0.5 / 2.0, gram_covariance(Diagonal(np.full(24, 0.25)), (6, 4), axis=0)[1, 1]


@check("approximation", where="alignment at B = 0.1 B_simple")
def muon_alignment() -> Rows:
    """tr(E[Phi]^T G) over its limit, for log-normal singular values of spread 1, 40 x 20."""
    G = matrix_gradient(1.0)
    model, limit = isotropic_model(G), np.linalg.svd(G, compute_uv=False).sum()
    for size, simulated, off in ((0.1, 0.356, 0.048), (1.0, 0.679, 0.011), (10.0, 0.910, -0.0087)):
        field = float(expected_step(model, Muon(SHAPE), size, mean_field).alignment / limit)
        sample = Muon(SHAPE)(draw_gradients(model, size, (250, 1), 8)) @ model.gradient / limit
        truth = against_sample(f"simulated at B = {size:g} B_simple, and as stated", simulated, sample)
        error = truth.standard_error
        yield truth
        yield missed(f"mean field, B = {size:g} B_simple", field, (truth.reference, error), off)


@check("approximation", where="alignment, spread 2, B = 0.1 B_simple")
def muon_scalar_form() -> Rows:
    """The scalar form against simulation, over the spread of the singular values."""
    sizes = np.array([0.1, 1.0, 10.0])
    for spread, off in ((0.0, 0.061), (1.0, -0.148), (2.0, -0.3765)):
        model = isotropic_model(matrix_gradient(spread))
        form = expected_step(model, Muon(SHAPE), sizes, scalar_mean_field).alignment
        draws = (draw_gradients(model, size, (150, 1), 9) for size in sizes)
        runs = np.array([float((Muon(SHAPE)(each) @ model.gradient).mean()) for each in draws])
        worst = int(np.abs(form / runs - 1).argmax())
        yield missed(f"spread {spread:g}, B = {sizes[worst]:g} B_simple", form[worst], runs[worst], off, 0.01)
    G = matrix_gradient(1.0)
    form = expected_step(isotropic_model(G), Muon(SHAPE), sizes, scalar_mean_field).alignment
    limit = np.linalg.svd(G, compute_uv=False).sum()
    for b, f, v in zip(sizes, (0.302, 0.707, 0.953), form, strict=True):
        yield stated(f"β at {b:g} B_simple", f, v / limit, 2e-3)


@check("identity")
def muon_constant_curvature() -> Rows:
    """tr(Phi^T H Phi) is one number for every batch; with five Newton-Schulz steps it is not."""
    G = matrix_gradient(1.0)
    model = isotropic_model(G, max_lr=0.5)
    gradients = draw_gradients(model, 1.0, (100, 1), 10)
    constant = muon_newton_curvature(G, 0.5)
    block = model.hessian.dense()[:20, :20]

    def curvature(updates: Array) -> Array:
        return np.einsum("sij,sik,jk->s", updates, updates, block, optimize=True)

    exact = curvature(Muon(SHAPE)(gradients).reshape(-1, *SHAPE))
    quintic = curvature(newton_schulz(gradients.reshape(-1, *SHAPE))) / constant
    yield "smallest over batches", constant, exact.min()
    yield "largest over batches", constant, exact.max()
    yield "mean field, B = B_simple", constant, expected_step(model, Muon(SHAPE), 1.0).curvature
    yield stated("Newton-Schulz, mean share of it", 0.733, quintic.mean(), 0.03)


@check("approximation")
def muon_learning_rate() -> Rows:
    """eta* of Muon on its own Hessian: the square-root law, no surge; and how far simulation is from it."""
    G = matrix_gradient(1.0)
    model = isotropic_model(G, max_lr=0.5)
    sizes = np.array([0.1, 1.0, 10.0])
    law = power_saturation(sizes, 0.5, model.simple_noise_scale, 0.5)
    scalar = expected_step(model, Muon(SHAPE), sizes, scalar_mean_field).optimal_lr
    run = simulated_step(model, Muon(SHAPE), sizes, samples=150, rng=11)
    worst = int(np.abs(law / run.optimal_lr - 1).argmax())
    for b, f, v in zip(sizes, law, scalar, strict=True):
        yield f"scalar form at {b:g} B_simple", f, v
    yield missed(f"simulated at {sizes[worst]:g} B_simple", law[worst], run.optimal_lr[worst], -0.157, 0.01)
    return f"B = {sizes[worst]:g} B_simple, singular values of spread 1"


def _surge_model() -> LocalModel:
    """A point where Muon surges: curvature along msign(G) itself, a little of it elsewhere."""
    G = matrix_gradient(0.5, (8, 4))
    direction = msign(G).reshape(-1)
    variance = np.sum(G**2) / G.size
    hessian = np.outer(direction, direction) + 0.02 * np.eye(32)
    return LocalModel(G.reshape(-1), np.full(32, variance), hessian)


@check("approximation", where="mean field η* over B/B_simple = 0.03, 0.3, 30")
def muon_surge() -> Rows:
    """With curvature along msign(G), eta* of Muon rises and falls again, and progress with it."""
    model, rule = _surge_model(), Muon((8, 4))
    sizes = np.array([0.03, 0.3, 30.0])
    run = simulated_step(model, rule, sizes, samples=4000, rng=12)
    field = expected_step(model, rule, sizes)
    law = muon_law(model, (8, 4))
    grid = np.geomspace(1e-3, 1e3, 601)
    peak = grid[expected_step(model, rule, grid, scalar_mean_field).optimal_lr.argmax()]
    fall = float(run.optimal_lr[1] / run.optimal_lr[2])
    progress = run.loss_decrease / run.loss_decrease[-1]
    yield near("scalar form: peak in B", law.peak_batch_size, peak, tolerance=0.02)
    yield stated("simulated η*(0.3) / η*(30)", 2.29, fall, 0.05)
    yield stated("mean field, the same", 2.19, field.optimal_lr[1] / field.optimal_lr[2], 0.05)
    yield stated("progress at 0.3 / progress at 30", 1.10, progress[1], 0.05)
    for k, off in enumerate((0.019, -0.035, 0.012)):
        truth = run.optimal_lr[k], run.optimal_lr_se[k]
        yield missed(f"mean field η* at {sizes[k]:g} B_simple", field.optimal_lr[k], truth, off)


@check("approximation", where="two-sided η*, noise in 4 of 24 rows")
def noise_in_few_rows() -> Rows:
    """Noise in four of 24 rows: the one-sided mean field spreads it over all, the two-sided one does not."""
    rng = np.random.default_rng(13)
    shape = (24, 8)
    G = rng.standard_normal(shape)
    variance = np.zeros(shape)
    variance[:4] = 24.0
    root = rng.standard_normal((192, 192))
    model = LocalModel(G.reshape(-1), np.diag(variance.reshape(-1)), root @ root.T / 192)
    rule, size = Muon(shape), 1.0
    run = simulated_step(model, rule, size, samples=600, rng=14)
    truth, error = (run.optimal_lr, run.optimal_lr_se), 0.0
    for name, method, off in (
        ("one-sided", mean_field, -0.275),
        ("two-sided", two_sided_mean_field, -0.065),
        ("scalar", scalar_mean_field, -0.290),
    ):
        row = missed(f"η*, {name}", expected_step(model, rule, size, method).optimal_lr, truth, off)
        error = row.relative if name == "two-sided" else error
        yield row
    by_two = expected_step(model, rule, size, two_sided_mean_field).alignment
    yield missed("alignment, two-sided", by_two, run.alignment, -0.054, 0.01)
    return error


def _quintic(values: Array) -> Array:
    """What five steps make of singular values: read off diagonal matrices of Frobenius norm one."""
    rest = np.sqrt(np.maximum(1 - values**2, 0))
    matrices = np.zeros((values.size, 2, 2))
    matrices[:, 0, 0], matrices[:, 1, 1] = values, rest
    return newton_schulz(matrices)[:, 0, 0]


def _gap(first: ArrayLike, second: ArrayLike) -> float:
    return float(np.abs(np.asarray(first) - np.asarray(second)).max())
