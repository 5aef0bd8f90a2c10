"""Checks of the page on independence: correlated noise."""

from itertools import chain, product

import numpy as np
from scipy.integrate import quad
from scipy.special import erf, ndtr
from scipy.stats import norm

from lrbs import Adam, LocalModel, SignSGD, exact, expected_step, mean_field, simulated_step
from lrbs.approximations import correlated_scalar_mean_field
from lrbs.checks.comparison import Comparison
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import equal_partners, noise_along_curvature, two_coordinates
from lrbs.laws.correlation import arcsine_trace, correlated_law, correlation_trace
from lrbs.normal import sign_product_mean
from lrbs.operators import Dense
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
    turned_noise = [[1.0, 0.9], [0.9, 1.0]]
    sharp, flat, turned = (
        LocalModel(gradient, noise, hessian) for noise in ([1.9, 0.1], [0.1, 1.9], turned_noise)
    )
    yield stated("1.9 along the sharp direction", 1.74, sharp.noise_scale, 3e-3)
    yield stated("1.9 along the flat direction", 0.26, flat.noise_scale, 2e-2)
    yield "the same noise, turned by 45°", 1.0, turned.noise_scale
    for name, model in (("sharp", sharp), ("flat", flat), ("turned", turned)):
        yield f"B_simple, {name}", 1.0, model.simple_noise_scale


# ---------------------------------------------------------------------------------- correlated noise
@check("quadrature")
def orthant_probability() -> Rows:
    """Owen's function against quadrature of the bivariate normal, and against a sample."""
    error = 0.0
    for h, k, rho in ((0.0, 0.0, 0.5), (0.3, -1.2, 0.6), (1.0, 0.5, -0.7), (0.7, 0.7, 0.99)):
        row = near(f"h = {h:g}, k = {k:g}, ρ = {rho:g}", *_product_of_signs(h, k, rho), 1e-8)
        error = max(error, row.relative)
        yield row
    z = np.random.default_rng(61).standard_normal((2, 40_000))
    x, y = 0.4 + z[0], 0.8 + 0.6 * z[0] + 0.8 * z[1]
    yield "a sample, ρ = 0.6", _product_of_signs(0.4, 0.8, 0.6)[0], np.sign(x) * np.sign(y)
    return error


def _product_of_signs(h: float, k: float, rho: float) -> tuple[float, float]:
    """Mean product of two signs of means h and k; and by quadrature of the chance that both are positive."""

    def both(x: float) -> float:
        return float(norm.pdf(x - h) * ndtr((k + rho * (x - h)) / np.sqrt(1 - rho**2)))

    probability = quad(both, 0, h + 12, epsabs=1e-13, limit=200)[0]
    formula = sign_product_mean(*(np.array([each]) for each in (h, k, rho))).item()
    return formula, float(1 - 2 * (ndtr(h) + ndtr(k)) + 4 * probability)


@check("quadrature")
def arcsine_law() -> Rows:
    """Signs without signal: the arcsine against quadrature of the bivariate normal, and a sample."""
    error = 0.0
    for rho in (-0.95, -0.4, 0.4, 0.95):
        row = near(f"ρ = {rho:g}", *_product_of_signs(0.0, 0.0, rho), 1e-8)
        error = max(error, row.relative)
        yield row
    z = np.random.default_rng(62).standard_normal((2, 40_000))
    signs = np.sign(z[0]) * np.sign(0.8 * z[0] + 0.6 * z[1])
    yield "a sample, ρ = 0.8", 2 / np.pi * np.arcsin(0.8), signs
    return error


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
    joint = checked.covariance.dense()[0, 1] + checked.mean[0] * checked.mean[1]
    yield near("mean field, no signal, ρ = 0.4", 0.4, second[0, 1], tolerance=1e-6)
    yield "mean field, h = 0.5, k = 1.5", 1.15 / np.sqrt(1.25 * 3.25), joint
    yield stated("largest gap without signal", 0.2105, gap.max(), 1e-3)
    yield stated("... at ρ", 0.771, abs(rho[gap.argmax()]), 2e-3)
    yield stated("largest gap with any signal", 0.4225, table.max(), 1e-3)
    yield stated("... at |ρ|", 1.0, abs(r[worst]), 1e-9)
    at = f"h = {h[worst]:.2f}, k = {k[worst]:.2f}, ρ = {r[worst]:g}"
    return table.max(), f"{at}; {gap.max():.4f} without signal"


@check("approximation", where="η*, noise along the curvature, small batches")
def correlated_scalar_form() -> Rows:
    """With correlations, and one ratio for all: equal to the mean field by coordinate, Adam included."""
    model = equal_partners(0.3, size=8)
    noise = model.noise(50.0)
    for rule in (SignSGD(), Adam(beta1=0.5, beta2=0.9)):
        scalar, field = (
            method(rule, model.gradient, noise) for method in (correlated_scalar_mean_field, mean_field)
        )
        name = type(rule).__name__
        yield f"{name}: mean", scalar.mean[0], field.mean[0]
        yield f"{name}: covariance", scalar.covariance.dense()[0, 1], field.covariance.dense()[0, 1]
    beta2 = 1 / (1 + 100 / 50)
    scalar = correlated_scalar_mean_field(SignSGD(), model.gradient, noise)
    second = float(scalar.covariance.dense()[0, 1] + scalar.mean[0] * scalar.mean[1])
    yield "β² + (1 - β²) ρ", beta2 + (1 - beta2) * 0.3, second
    unequal = noise_along_curvature()
    sizes = unequal.simple_noise_scale * np.array([10, 1e-3])
    by_scalar, by_field, by_exact = (
        expected_step(unequal, SignSGD(), sizes, method).optimal_lr
        for method in (correlated_scalar_mean_field, mean_field, exact)
    )
    yield missed("unequal ratios: η*, of the mean field", by_scalar[0], by_field[0], 0.177, 1e-2)
    yield missed("... of the exact one", by_scalar[0], by_exact[0], -0.025, 5e-3)
    small = missed("... at B = 0.001 B_simple", by_scalar[1], by_exact[1], -0.248, 5e-3)
    yield small
    return small.relative


@check("approximation")
def correlated_law_is_its_moments() -> Rows:
    """The closed law against its moments, sums spelled out, a search, R = I, and exact moments twice."""
    model = equal_partners(0.1)
    law, fine = correlated_law(model), np.geomspace(1, 1e4, 40_001)
    step = expected_step(model, SignSGD(), 30.0, correlated_scalar_mean_field)
    R, H, g = model.covariance.dense(), model.hessian.dense(), model.gradient
    meeting = float(np.sum(R * H))
    s, beta = np.sign(g), 1 / np.sqrt(1 + model.simple_noise_scale / 30)
    written = np.abs(g).sum() / (meeting / beta + beta * (s @ H @ s - meeting))
    half = model.simple_noise_scale * meeting / (s @ H @ s)
    strangers = correlated_law(equal_partners(0.0))
    rows: dict[str, list[Comparison]] = {"optimal_lr": [], "loss_decrease": []}
    for name, point, *offs in (
        ("one ratio", model, -0.160, 0.0976),
        ("unequal ratios", noise_along_curvature(), -0.248, -0.211),
    ):
        sizes = point.simple_noise_scale * np.geomspace(1e-3, 1e3, 61)
        said, true = correlated_law(point), expected_step(point, SignSGD(), sizes, exact)
        for part, symbol, off in zip(rows, ("η*", "loss decrease"), offs, strict=True):
            curve, real = getattr(said, part)(sizes), getattr(true, part)
            worst = int(np.abs(curve / real - 1).argmax())
            at = f"B = {sizes[worst] / point.simple_noise_scale:.2g} B_simple"
            rows[part].append(missed(f"{name}: {symbol}, {at}", curve[worst], real[worst], off, 5e-3))
    yield from chain(*rows.values())
    yield "tr(RH)", meeting, correlation_trace(model)
    yield "η*, written out", written, law.optimal_lr(30.0)
    yield "η*, from the moments", law.optimal_lr(30.0), step.optimal_lr
    yield "loss decrease", law.loss_decrease(30.0), step.loss_decrease
    yield "B_loss", half, law.loss_scale
    yield near("peak, searched", law.peak_batch_size, fine[law.optimal_lr(fine).argmax()], tolerance=1e-3)
    yield "R = I: tr H", np.trace(H), strangers.noise_curvature
    of_rates, of_gains = (max(row.relative for row in part) for part in rows.values())
    return of_rates, f"η*, a hundred unequal coordinates; of the loss decrease {100 * of_gains:.0f} %"


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
    row = near("η*/√B, B → 0", limit, reached, tolerance=1e-3)
    yield row
    yield holds("tr(AH)/tr(RH): all above 2/π", min(shares) >= 2 / np.pi)
    yield holds("... and at most 1", max(shares) <= 1)
    return row.relative


@check("approximation", where="eight points with Σ = H, B → 0", news=True)
def mean_field_at_small_batches() -> Rows:
    """With Sigma = H the mean field stays within sqrt(pi/2) of the exact learning rate, in any dimension."""
    field, true = (
        np.array([expected_step(point, SignSGD(), 1e-8, way).optimal_lr for point in _noise_like_curvature()])
        for way in (mean_field, exact)
    )
    worst = np.abs(field / true - 1).argmax()
    yield holds("a factor √(π/2) at most", np.abs(np.log(field / true)).max() <= np.log(np.pi / 2) / 2)
    yield missed("η*, at worst", field[worst], true[worst], 0.184, 1e-2)


def _noise_like_curvature() -> list[LocalModel]:
    """Points with Sigma = H, of 2 to 60 coordinates and one or three steep directions."""
    rng, points = np.random.default_rng(63), []
    for size, rank in product((2, 5, 20, 60), (1, 3)):
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
    exactly, field, stranger = (
        expected_step(model, SignSGD(), sizes, method).optimal_lr
        for model, method in ((known, exact), (known, mean_field), (strangers, mean_field))
    )
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
    joint = float(field.covariance.dense()[0, 1] + field.mean[0] * field.mean[1])
    least = float(field.mean.sum() - 1)  # E[s1 s2] >= E[s1] + E[s2] - 1 for numbers that are -1 or 1
    true = float(sign_product_mean(np.array(ratio), np.array(ratio), np.array(rho)))
    two = LocalModel([1.0, 1.0], [[1.0, -0.8], [-0.8, 1.0]], [[1.0, 0.9], [0.9, 1.0]])
    sizes = np.geomspace(1e-2, 1e4, 61)
    (claimed, _), (truly, _) = surge_height(two, sizes, mean_field), surge_height(two, sizes)
    yield missed("product, mean field", joint, true, -0.3654, 1e-3, absolute=True)
    yield "least for the mean field's means", np.sqrt(2) - 1, least
    yield "product, exact: least for its means", 2 * erf(1 / np.sqrt(2)) - 1, true
    yield missed("height of the surge, mean field", claimed, truly, 0.41, 1e-2, absolute=True)
    return abs(joint - true)
