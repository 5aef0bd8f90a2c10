"""Checks of the page on independence: correlated noise."""

import numpy as np
from scipy.integrate import quad
from scipy.special import erf, ndtr
from scipy.stats import norm

from lrbs.approximations import correlated_scalar_mean_field, exact, mean_field
from lrbs.checks.comparison import Comparison
from lrbs.checks.evidence import Rows, against_sample, check, holds, missed, near, stated
from lrbs.checks.problems import equal_partners, noise_along_curvature, two_coordinates
from lrbs.laws.correlation import arcsine_trace, correlated_law, correlation_trace
from lrbs.model import LocalModel
from lrbs.normal import sign_product_mean
from lrbs.operators import Dense
from lrbs.rules import Adam, SignSGD
from lrbs.simulate import simulated_step
from lrbs.step import expected_step
from lrbs.validation import Array


def surge_height(model: LocalModel, batch_size: Array, method: object = exact) -> tuple[float, float]:
    """Largest optimal learning rate of SignSGD over its limit, and the batch size where it is."""
    rates = expected_step(model, SignSGD(), batch_size, method).optimal_lr  # type: ignore[arg-type]
    return float(rates.max() / rates[-1]), float(batch_size[rates.argmax()])


# -------------------------------------------------------------------------------------- SGD, to begin
@check("published number")
def trace_is_not_all() -> Rows:
    """Two noises of one trace and one B_simple, with SGD's noise scale a factor 6.6 apart."""
    gradient, hessian = [1.0, 1.0], [10.0, 1.0]
    sharp, flat = (LocalModel(gradient, noise, hessian) for noise in ([1.9, 0.1], [0.1, 1.9]))
    angle = np.arctan(1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = LocalModel(gradient, turn @ np.diag([1.9, 0.1]) @ turn.T, hessian)
    yield stated("1.9 along the sharp direction", 1.74, sharp.noise_scale, 3e-3)
    yield stated("1.9 along the flat direction", 0.26, flat.noise_scale, 2e-2)
    yield "the same noise, turned by 45°", 1.0, turned.noise_scale
    for name, model in (("sharp", sharp), ("flat", flat), ("turned", turned)):
        yield f"B_simple, {name}", 1.0, model.simple_noise_scale


# ---------------------------------------------------------------------------------- correlated noise
@check("quadrature")
def orthant_probability() -> Rows:
    """Owen's function against quadrature of the bivariate normal, and against a sample."""
    rows = []
    for h, k, rho in ((0.0, 0.0, 0.5), (0.3, -1.2, 0.6), (1.0, 0.5, -0.7), (0.7, 0.7, 0.99)):
        formula = float(sign_product_mean(np.array(h), np.array(k), np.array(rho)))
        reference = _product_by_quadrature(h, k, rho)
        rows.append(Comparison(f"h = {h:g}, k = {k:g}, ρ = {rho:g}", formula, reference, tolerance=1e-8))
    z = np.random.default_rng(61).standard_normal((2, 40_000))
    x, y = 0.4 + z[0], 0.8 + 0.6 * z[0] + 0.8 * z[1]
    formula = float(sign_product_mean(np.array(0.4), np.array(0.8), np.array(0.6)))
    rows.append(against_sample("a sample, ρ = 0.6", formula, np.sign(x) * np.sign(y)))
    error = max(row.relative for row in rows if row.standard_error is None)
    yield from rows
    return error


def _product_by_quadrature(h: float, k: float, rho: float) -> float:
    """Mean product of two signs of means h and k, from the probability that both are positive."""

    def both(x: float) -> float:
        return float(norm.pdf(x - h) * ndtr((k + rho * (x - h)) / np.sqrt(1 - rho**2)))

    probability = quad(both, 0, h + 12, epsabs=1e-13, limit=200)[0]
    return float(1 - 2 * (ndtr(h) + ndtr(k)) + 4 * probability)


@check("quadrature")
def arcsine_law() -> Rows:
    """Signs without signal: the arcsine against quadrature of the bivariate normal, and a sample."""
    zero = np.zeros(1)
    rows = [
        Comparison(
            f"ρ = {rho:g}",
            sign_product_mean(zero, zero, np.array([rho])).item(),
            _product_by_quadrature(0.0, 0.0, rho),
            tolerance=1e-8,
        )
        for rho in (-0.95, -0.4, 0.4, 0.95)
    ]
    z = np.random.default_rng(62).standard_normal((2, 40_000))
    signs = np.sign(z[0]) * np.sign(0.8 * z[0] + 0.6 * z[1])
    sample = against_sample("a sample, ρ = 0.8", float(2 / np.pi * np.arcsin(0.8)), signs)
    yield from rows
    yield sample
    return max(row.relative for row in rows)


@check("approximation", absolute=True)
def product_of_two_signs() -> Rows:
    """The mean field's product: its largest gap without signal, where it says rho, and with any signal."""
    rho = np.linspace(-1, 1, 2001)
    model = LocalModel([1e-9, 1e-9], [[1.0, 0.4], [0.4, 1.0]], np.ones(2))
    moments = mean_field(SignSGD(), model.gradient, model.covariance)
    second = moments.covariance.dense() + np.outer(moments.mean, moments.mean)
    gap = np.abs(rho - sign_product_mean(np.zeros(1), np.zeros(1), rho))
    signals = np.linspace(0, 3, 61)
    h, k, r = np.meshgrid(signals, signals, rho[::20], indexing="ij")
    field = (h * k + r) / np.sqrt((1 + h**2) * (1 + k**2))
    table = np.abs(field - sign_product_mean(h, k, r))
    worst = np.unravel_index(table.argmax(), table.shape)
    checked = mean_field(SignSGD(), np.array([0.5, 1.5]), Dense([[1.0, 0.4], [0.4, 1.0]]))
    product = checked.covariance.dense()[0, 1] + checked.mean[0] * checked.mean[1]
    yield near("mean field, no signal, ρ = 0.4", 0.4, second[0, 1], tolerance=1e-6)
    yield "mean field, h = 0.5, k = 1.5", 1.15 / np.sqrt(1.25 * 3.25), product
    yield stated("largest gap without signal", 0.2105, gap.max(), 1e-3)
    yield stated("... at ρ", 0.771, abs(rho[gap.argmax()]), 2e-3)
    yield stated("largest gap with any signal", 0.4225, table.max(), 1e-3)
    yield stated("... at |ρ|", 1.0, abs(r[worst]), 1e-9)
    return (
        table.max(),
        f"h = {h[worst]:.2f}, k = {k[worst]:.2f}, ρ = {r[worst]:g}; {gap.max():.4f} without signal",
    )


@check("approximation", where="η*, noise along the curvature, small batches")
def correlated_scalar_form() -> Rows:
    """With correlations, and one ratio for all: equal to the mean field by coordinate, Adam included."""
    model = equal_partners(0.3, size=8)
    noise = model.noise(50.0)
    rows = []
    for rule in (SignSGD(), Adam(beta1=0.5, beta2=0.9)):
        scalar = correlated_scalar_mean_field(rule, model.gradient, noise)
        field = mean_field(rule, model.gradient, noise)
        name = type(rule).__name__
        rows += [
            Comparison(f"{name}: mean", float(scalar.mean[0]), float(field.mean[0])),
            Comparison(
                f"{name}: covariance",
                float(scalar.covariance.dense()[0, 1]),
                float(field.covariance.dense()[0, 1]),
            ),
        ]
    beta2 = 1 / (1 + 100 / 50)
    scalar = correlated_scalar_mean_field(SignSGD(), model.gradient, noise)
    second = float(scalar.covariance.dense()[0, 1] + scalar.mean[0] * scalar.mean[1])
    rows.append(Comparison("β² + (1 - β²) ρ", beta2 + (1 - beta2) * 0.3, second))
    unequal = noise_along_curvature()
    size = 10 * unequal.simple_noise_scale
    by_scalar = expected_step(unequal, SignSGD(), size, correlated_scalar_mean_field).optimal_lr
    by_field = expected_step(unequal, SignSGD(), size, mean_field).optimal_lr
    by_exact = expected_step(unequal, SignSGD(), size, exact).optimal_lr
    rows += [
        missed("unequal ratios: η*, of the mean field", by_scalar, by_field, 0.177, 1e-2),
        missed("... of the exact one", by_scalar, by_exact, -0.025, 5e-3),
    ]
    small = 1e-3 * unequal.simple_noise_scale
    by_scalar = expected_step(unequal, SignSGD(), small, correlated_scalar_mean_field).optimal_lr
    by_exact = expected_step(unequal, SignSGD(), small, exact).optimal_lr
    rows.append(missed("... at B = 0.001 B_simple", by_scalar, by_exact, -0.248, 5e-3))
    yield from rows
    return rows[-1].relative


@check("approximation")
def correlated_law_is_its_moments() -> Rows:
    """The closed law against its moments, sums spelled out; its peak against a search; R = I.

    And against exact moments, for coordinates of one ratio and for a hundred unequal ones.
    """
    model = equal_partners(0.1)
    law, fine = correlated_law(model), np.geomspace(1, 1e4, 40_001)
    step = expected_step(model, SignSGD(), 30.0, correlated_scalar_mean_field)
    R, H, g = model.covariance.dense(), model.hessian.dense(), model.gradient
    meeting = float(np.sum(R * H))
    s = np.sign(g)
    beta = 1 / np.sqrt(1 + model.simple_noise_scale / 30)
    written = np.abs(g).sum() / (meeting / beta + beta * (s @ H @ s - meeting))
    half = model.simple_noise_scale * meeting / (s @ H @ s)
    strangers = correlated_law(equal_partners(0.0))
    rates: list[Comparison] = []
    gains: list[Comparison] = []
    for name, point, of_rate, of_gain in (
        ("one ratio", model, -0.160, 0.0976),
        ("unequal ratios", noise_along_curvature(), -0.248, -0.211),
    ):
        sizes = point.simple_noise_scale * np.geomspace(1e-3, 1e3, 61)
        said, true = correlated_law(point), expected_step(point, SignSGD(), sizes, exact)
        for rows, part, curve, real, off in (
            (rates, "η*", said.optimal_lr(sizes), true.optimal_lr, of_rate),
            (gains, "loss decrease", said.loss_decrease(sizes), true.loss_decrease, of_gain),
        ):
            worst = int(np.abs(curve / real - 1).argmax())
            at = f"B = {sizes[worst] / point.simple_noise_scale:.2g} B_simple"
            rows.append(missed(f"{name}: {part}, {at}", curve[worst], real[worst], off, 5e-3))
    yield from rates
    yield from gains
    yield "tr(RH)", meeting, correlation_trace(model)
    yield "η*, written out", written, law.optimal_lr(30.0)
    yield "η*, from the moments", law.optimal_lr(30.0), step.optimal_lr
    yield "loss decrease", law.loss_decrease(30.0), step.loss_decrease
    yield "B_loss", half, law.loss_scale
    yield near("peak, searched", law.peak_batch_size, fine[law.optimal_lr(fine).argmax()], tolerance=1e-3)
    yield "R = I: tr H", np.trace(H), strangers.noise_curvature
    return (
        max(row.relative for row in rates),
        "η*, a hundred unequal coordinates; "
        f"of the loss decrease {100 * max(row.relative for row in gains):.0f} %",
    )


@check("approximation", where="64 coordinates, ρ = 0.5: a surge that the law denies", news=True)
def correlation_moves_the_surge() -> Rows:
    """Exact peaks of SignSGD: two coordinates, and sixty-four with one correlation."""
    fine = np.geomspace(0.02, 1e4, 115)
    for rho, height, place in ((-0.9, 1.225, 1.06), (0.0, 1.160, 3.76), (0.9, 1.130, 5.6)):
        found, at = surge_height(two_coordinates(rho), fine)
        yield stated(f"two, ρ = {rho:g}: height", height, found, 3e-3)
        yield stated(f"two, ρ = {rho:g}: batch size", place, at, 0.12)
    for rho, height in ((0.0, 3.55), (0.1, 1.84), (0.3, 1.27), (0.8, 1.005)):
        found, _ = surge_height(equal_partners(rho), np.geomspace(1, 1e5, 51))
        yield stated(f"64, ρ = {rho:g}: height", height, found, 1e-2)
    height, _ = surge_height(equal_partners(0.5), np.geomspace(1, 1e5, 51))
    law = correlated_law(equal_partners(0.5))
    yield holds("64, ρ = 0.5: the law has no surge", np.isinf(law.peak_batch_size))
    yield missed("64, ρ = 0.5: height of the surge", 1.0, height, -0.0885, 3e-3)


@check("limit", where="B = 1e-8")
def small_batches_of_correlated_noise() -> Rows:
    """The exact small-batch limit, and the bounds of tr(AH) when noise follows curvature."""
    model = noise_along_curvature(size=30)
    deviation = np.sqrt(model.covariance.diagonal())
    limit = np.sqrt(2 / np.pi) * np.sum(model.gradient**2 / deviation) / arcsine_trace(model)
    small = 1e-8
    reached = expected_step(model, SignSGD(), small, exact).optimal_lr / np.sqrt(small)
    shares = [arcsine_trace(point) / correlation_trace(point) for point in _noise_like_curvature()]
    row = Comparison("η*/√B, B → 0", float(limit), float(reached), tolerance=1e-3)
    yield row
    yield holds("tr(AH)/tr(RH): all above 2/π", min(shares) >= 2 / np.pi)
    yield holds("... and at most 1", max(shares) <= 1)
    return row.relative


@check("approximation", where="eight points with Σ = H, B → 0", news=True)
def mean_field_at_small_batches() -> Rows:
    """With Sigma = H the mean field stays within sqrt(pi/2) of the exact learning rate, in any dimension."""
    pairs = np.array(
        [
            [expected_step(point, SignSGD(), 1e-8, method).optimal_lr for method in (mean_field, exact)]
            for point in _noise_like_curvature()
        ]
    )
    ratios = pairs[:, 0] / pairs[:, 1]
    worst = np.abs(ratios - 1).argmax()
    yield holds("a factor √(π/2) at most", np.abs(np.log(ratios)).max() <= np.log(np.pi / 2) / 2)
    yield missed("η*, at worst", pairs[worst, 0], pairs[worst, 1], 0.184, 1e-2)


def _noise_like_curvature() -> list[LocalModel]:
    """Points with Sigma = H, of 2 to 60 coordinates and one or three steep directions."""
    rng = np.random.default_rng(63)
    points = []
    for size in (2, 5, 20, 60):
        for rank in (1, 3):
            root = rng.standard_normal((size, rank))
            hessian = root @ root.T + 0.05 * np.eye(size)
            points.append(LocalModel(rng.standard_normal(size), hessian, hessian))
    return points


@check("Monte Carlo", news=True)
def independence_fails_by_a_factor() -> Rows:
    """Noise along the curvature: strangers are wrong by a factor and see a surge; the mean field is not."""
    known, strangers = noise_along_curvature(), noise_along_curvature(0.0)
    sizes = np.array([0.1, 1.0, 10.0]) * known.simple_noise_scale
    truth = simulated_step(known, SignSGD(), sizes, samples=4000, rng=64)
    exactly = expected_step(known, SignSGD(), sizes, exact).optimal_lr
    field = expected_step(known, SignSGD(), sizes, mean_field).optimal_lr
    stranger = expected_step(strangers, SignSGD(), sizes, mean_field).optimal_lr
    for k, ratio in enumerate((0.1, 1.0, 10.0)):
        yield f"B = {ratio:g} B_simple", exactly[k], (truth.optimal_lr[k], truth.optimal_lr_se[k])
    yield stated("tr(RH) / tr H", 18.3, correlation_trace(known) / known.hessian.trace(), 3e-3)
    yield missed("B = 0.1 B_simple: mean field", field[0], exactly[0], -0.15, 1e-2)
    yield missed("B = 0.1 B_simple: strangers", stranger[0], exactly[0], 5.25, 1e-2)
    yield stated("10 against 0.1: exact", 3.13, exactly[2] / exactly[0], 1e-2)
    yield stated("10 against 0.1: strangers", 0.561, stranger[2] / stranger[0], 1e-2)


@check("approximation", where="of the product, h = k = 1, ρ = -1", absolute=True, news=True)
def opposed_noise() -> Rows:
    """Opposed noise: the mean field gives two signs a joint moment that no two signs can have."""
    ratio, rho = 1.0, -1.0
    field = mean_field(SignSGD(), np.array([ratio, ratio]), Dense([[1.0, rho], [rho, 1.0]]))
    product = float(field.covariance.dense()[0, 1] + field.mean[0] * field.mean[1])
    least = float(field.mean.sum() - 1)  # E[s1 s2] >= E[s1] + E[s2] - 1 for numbers that are -1 or 1
    true = float(sign_product_mean(np.array(ratio), np.array(ratio), np.array(rho)))
    two = LocalModel([1.0, 1.0], [[1.0, -0.8], [-0.8, 1.0]], [[1.0, 0.9], [0.9, 1.0]])
    claimed, _ = surge_height(two, np.geomspace(1e-2, 1e4, 61), mean_field)
    truly, _ = surge_height(two, np.geomspace(1e-2, 1e4, 61), exact)
    yield missed("product, mean field", product, true, -0.3654, 1e-3, absolute=True)
    yield "least for the mean field's means", np.sqrt(2) - 1, least
    yield "product, exact: least for its means", 2 * erf(1 / np.sqrt(2)) - 1, true
    yield missed("height of the surge, mean field", claimed, truly, 0.41, 1e-2, absolute=True)
    return abs(product - true)
