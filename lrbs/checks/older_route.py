"""Checks of the older route: erf, its stand-in, SignSGD's law with the constants pi/2, the surge's place."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

from lrbs import LocalModel, SignSGD, exact, expected_step, laws, scalar_mean_field
from lrbs.approximations import ERF_SLOPE, linearised_erf, older_route
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import RATIOS, lowest, minimised_loss, spread_model, surging_model
from lrbs.normal import sign_mean, sign_product_mean
from lrbs.simulate import draw_gradients


def older_law(model: LocalModel) -> laws.ScalarLaw:
    """The scalar law of the older route: pi kappa^2 / 2 in beta, with kappa^2 = B_simple."""
    return laws.ScalarLaw.of_sign(model, ERF_SLOPE * model.simple_noise_scale)


# ------------------------------------------------------------------------------------- one coordinate
@check("Monte Carlo")
def sign_mean_of_normal_noise() -> Rows:
    """Drawn signs against the error function."""
    rng = np.random.default_rng(1)
    for gradient, sigma, batch_size in ((0.1, 1.0, 4.0), (-0.5, 2.0, 9.0), (3.0, 2.0, 1.0)):
        sample = np.sign(gradient + sigma * rng.standard_normal(200_000) / np.sqrt(batch_size))
        formula = float(sign_mean(gradient, sigma / np.sqrt(batch_size)))
        yield f"g = {gradient}, σ = {sigma}, B = {batch_size:g}", formula, sample


@check("approximation", where="x = 1.33, which is |g| √B / σ = 1.88", absolute=True)
def erf_stand_in_error() -> Rows:
    """Same slope at 0, largest error, and where the mean field is the better of the two."""
    x = RATIOS / np.sqrt(2)
    gap = laws.erf_stand_in(x) - erf(x)
    line = np.abs(laws.mean_field_sign(RATIOS, 1.0) - erf(x))

    def lead(ratio: float) -> float:
        """Error of the mean field minus that of the older route."""
        true = float(sign_mean(ratio, 1.0))
        return abs(float(laws.mean_field_sign(ratio, 1.0)) - true) - abs(
            float(laws.erf_route_sign(ratio, 1.0)) - true
        )

    coarse = x[::20]
    best, left = lowest(lambda c: np.abs(laws.erf_stand_in(coarse, c) - erf(coarse)).max(), 0.4, 0.8, 1e-5)
    mean = float(laws.mean_field_sign(np.sqrt(2), 1.0))
    yield near("slope at 0", 2 / np.sqrt(np.pi), float(laws.erf_stand_in(1e-9)) / 1e-9, tolerance=1e-8)
    yield stated("largest error", -0.108, gap.min(), 0.005)
    yield stated("at |g| √B / σ", 1.88, RATIOS[gap.argmin()], 0.002)
    yield stated("mean field, largest error", 0.0644, line.max(), 0.005)
    yield stated("mean field nearer beyond", 0.848, brentq(lead, 0.5, 1.2), 0.001)
    yield "c = 1/2 is the mean field, x = 1", laws.erf_stand_in(1.0, 0.5), mean
    yield stated("best constant c", 0.505, best, 0.002)
    yield stated("its largest error", 0.0626, left, 0.005)
    return np.abs(gap).max()


@check("approximation", where="|g| √B / σ = 1.88; always below", absolute=True)
def older_coordinate_form() -> Rows:
    """The form as printed, its error against erf, and the mean field at 2B/pi."""
    g, sigma, B = 0.7, 1.3, 5.0
    printed = (g / sigma) / np.sqrt(np.pi / (2 * B) + (g / sigma) ** 2)
    gap = laws.erf_route_sign(RATIOS, 1.0) - sign_mean(RATIOS, 1.0)
    yield "as printed", laws.erf_route_sign(g, sigma / np.sqrt(B)), printed
    yield "mean field at 2B/π", printed, laws.mean_field_sign(g, sigma / np.sqrt(2 * B / np.pi))
    yield stated("largest error", -0.108, gap.min(), 0.005)
    yield stated("largest relative error", -0.116, (gap / sign_mean(RATIOS, 1.0)).min(), 0.01)
    return np.abs(gap).max()


@check("approximation", absolute=True)
def sign_products_when_correlated() -> Rows:
    """E[phi_i phi_j] at g = 0: 0 by independence, rho by the general mean field, the arcsine law in truth."""
    rng = np.random.default_rng(2)
    rho = np.linspace(0, 1, 2001)
    law = 2 / np.pi * np.arcsin(rho)
    gap = rho - law
    for correlation in (0.4, 0.771):
        x, y = rng.standard_normal((2, 200_000))
        product = np.sign(x) * np.sign(correlation * x + np.sqrt(1 - correlation**2) * y)
        formula = sign_product_mean(np.zeros(1), np.zeros(1), np.array([correlation]))[0]
        yield f"drawn, ρ = {correlation}", formula, product
    yield stated("largest gap of the mean field's ρ", 0.2105, gap.max(), 0.001)
    yield stated("at this ρ", 0.771, rho[gap.argmax()], 0.002)
    yield stated("what independence misses there", 0.561, law[gap.argmax()], 0.005)
    signs = laws.independent_second_moment(sign_mean([0.5, -1.0], 1.0))  # independent, so rho = 0
    true = sign_product_mean(np.array([0.5]), np.array([-1.0]), np.zeros(1))[0]
    yield "independent: product of the means", signs[0, 1], true
    grid = np.linspace(0, 5, 501)
    older, means = laws.erf_route_sign(grid, 1.0), sign_mean(grid, 1.0)
    off = float(np.abs(np.outer(older, older) - np.outer(means, means)).max())
    yield stated("independent: largest error by the older means", 0.193, off, 0.01)
    at = f"{law[gap.argmax()]:.2f} at a correlation of {rho[gap.argmax()]:.2f} and no signal"
    return off, f"of a product, independent normal noise; {at}"


# --------------------------------------------------------------------------------------- SignSGD's law
@check("approximation")
def older_step_against_simulation() -> Rows:
    """Learning rate and loss decrease coordinate by coordinate, against simulated losses and exactly."""
    model = spread_model(0.5, size=10)
    for batch_size in (1.0, 20.0):
        true = expected_step(model, SignSGD(), batch_size, exact)
        found, error = minimised_loss(model, SignSGD(), batch_size, samples=2000, seed=3)
        yield f"exact η*, B = {batch_size:g}", true.optimal_lr, (found, error)
        updates = SignSGD()(draw_gradients(model, batch_size, (20_000, 1), 4))
        eta = float(true.optimal_lr)
        H = model.hessian.dense()
        sample = eta * updates @ model.gradient - eta**2 / 2 * np.einsum("si,ij,sj->s", updates, H, updates)
        yield f"exact decrease, B = {batch_size:g}", true.loss_decrease, sample
    sizes = np.geomspace(1e-3, 1e4, 300)
    truth, older = expected_step(model, SignSGD(), sizes, exact), laws.erf_route_step(model, sizes)
    rates = older.optimal_lr / truth.optimal_lr - 1
    gains = older.loss_decrease / truth.loss_decrease - 1
    yield stated("learning rate: largest error", 0.0294, np.abs(rates).max(), 0.05)
    yield stated("loss decrease: largest error", -0.101, gains.min(), 0.05)
    at = f"B = {sizes[np.abs(gains).argmax()] / model.simple_noise_scale:.2g} B_simple, ratios spread by 0.5"
    of_rates = f"of the learning rate {100 * np.abs(rates).max():.1f} %"
    return np.abs(gains).max(), f"loss decrease, {at}; {of_rates}"


@check("limit")
def infinite_batch() -> Rows:
    """The limit of the law, and its degree: proportional to the gradient, where SGD's eta_max is not."""
    model = surging_model()
    law = laws.ScalarLaw.of_sign(model)
    triple = LocalModel(3 * model.gradient, model.covariance.diagonal(), model.hessian)
    nearly = expected_step(model, SignSGD(), 1e9, exact).optimal_lr
    yield near("exact η* at B = 1e9", law.limit_lr, nearly, tolerance=1e-6)
    yield "gradient times 3: SignSGD", 3 * law.limit_lr, laws.ScalarLaw.of_sign(triple).limit_lr
    yield "gradient times 3: SGD", model.max_lr, triple.max_lr


@check("approximation")
def diagonal_hessian_has_no_surge() -> Rows:
    """H diagonal: as printed, rising with B, below its limit, and as near to the exact curve as stated."""
    rng = np.random.default_rng(5)
    g, sigma, h = rng.standard_normal(12), rng.uniform(0.2, 3, 12), rng.uniform(0.1, 2, 12)
    model = LocalModel(g, sigma**2, h)
    sizes = np.geomspace(1e-4, 1e6, 400)
    curve = laws.erf_route_step(model, sizes).optimal_lr
    printed = (g**2 / sigma / np.sqrt(np.pi / (2 * 3.0) + (g / sigma) ** 2)).sum() / h.sum()
    limit = laws.ScalarLaw.of_sign(model).limit_lr
    exactly = expected_step(model, SignSGD(), sizes, exact).optimal_lr
    worst = int(np.abs(curve / exactly - 1).argmax())
    yield "as printed, B = 3", laws.erf_route_step(model, 3.0).optimal_lr, printed
    yield holds("rises with B", (np.diff(curve) >= 0).all())
    yield holds("so does the exact curve", (np.diff(exactly) >= -1e-15).all())
    yield near("limit", limit, curve[-1], tolerance=1e-4)
    yield missed(f"η* at B = {sizes[worst]:.2g}", curve[worst], exactly[worst], -0.080, 0.005)
    return f"twelve unequal coordinates, B = {sizes[worst] / model.simple_noise_scale:.2g} B_simple"


@check("approximation", where="spread 1, B = B_simple/100")
def scalar_diagonal_form() -> Rows:
    """One ratio for all against the sum over coordinates: exact for equal ratios, then not."""
    g = np.array([0.5, -2.0, 1.0])
    even = LocalModel(g, 9 * g**2, [1.0, 2.0, 0.5])
    formula = laws.power_saturation(4.0, laws.ScalarLaw.of_sign(even).limit_lr, ERF_SLOPE * 9.0)
    yield "equal ratios", formula, laws.erf_route_step(even, 4.0).optimal_lr
    for spread, off, of_exact in ((0.5, -0.302, -0.306), (1.0, -0.703, -0.718)):
        model = spread_model(spread, size=200)
        diagonal = LocalModel(model.gradient, model.covariance.diagonal(), np.ones(200))
        size = 0.01 * diagonal.simple_noise_scale
        limit = laws.ScalarLaw.of_sign(diagonal).limit_lr
        scalar = laws.power_saturation(size, limit, ERF_SLOPE * diagonal.simple_noise_scale)
        by_coordinate = laws.erf_route_step(diagonal, size).optimal_lr
        yield missed(f"η*, spread {spread}", scalar, by_coordinate, off, 0.02)
        truth = expected_step(diagonal, SignSGD(), size, exact).optimal_lr
        yield missed(f"... of the exact one, spread {spread}", scalar, truth, of_exact, 0.02)


@check("limit", where="B = 1e-8 of the scale")
def older_square_root() -> Rows:
    """The printed limit, its slope, and the exact curve, which it meets at small batches."""
    model = surging_model()
    law = older_law(model)
    tiny = 1e-8 * law.noise_scale
    g, kappa = model.gradient, np.sqrt(model.simple_noise_scale)
    printed = np.abs(g).sum() / (kappa * model.hessian.trace()) * np.sqrt(2 * tiny / np.pi)
    sizes = law.noise_scale * np.array([1e-8, 1e-7])
    true = expected_step(model, SignSGD(), sizes, exact).optimal_lr
    yield "as printed", law.small_batch_lr(tiny), printed
    yield near("law", printed, law.optimal_lr(tiny), tolerance=1e-6)
    yield near("exact", printed, true[0], tolerance=1e-6)
    yield stated("slope of the exact curve", 0.5, np.log10(true[1] / true[0]), 1e-5)


@check("approximation")
def surge_as_a_resonance() -> Rows:
    """The symmetric form equals the direct ratio; its top, what happens without one, and the exact curve."""
    model = surging_model()
    law = older_law(model)
    for batch_size in (1.0, 50.0, 2000.0):
        beta = float(laws.normalised_batch_size(batch_size, law.noise_scale))
        symmetric = law.peak_lr / (0.5 * (law.peak_beta / beta + beta / law.peak_beta))
        yield f"direct ratio, B = {batch_size:g}", symmetric, law.optimal_lr(batch_size)
    yield "height at the peak", law.peak_lr, law.optimal_lr(law.peak_batch_size)
    flat = laws.ScalarLaw.of_sign(surging_model(own_curvature=20.0))
    rising = (np.diff(flat.optimal_lr(np.geomspace(1e-2, 1e6, 200))) >= 0).all()
    yield holds("β_noise ≥ 1: no peak, rises throughout", np.isinf(flat.peak_batch_size) and rising)
    refused = False
    try:
        _ = laws.ScalarLaw.of_sign(LocalModel(np.ones(2), np.ones(2), [[1.0, -0.5], [-0.5, 1.0]])).peak_beta
    except ValueError:
        refused = True
    yield holds("negative off-diagonal sum refused", refused)
    sizes = law.noise_scale * np.geomspace(1e-4, 1e3, 400)
    said, curve = law.optimal_lr(sizes), expected_step(model, SignSGD(), sizes, exact).optimal_lr
    worst = int(np.abs(said / curve - 1).argmax())
    at = f"{sizes[worst] / model.simple_noise_scale:.2g} B_simple"
    row = missed(f"η* at {at}", said[worst], curve[worst], 0.062, 0.005)
    yield row
    true_peak = float(laws.exact_peak_batch_size(model.simple_noise_scale, law.peak_beta))
    yield missed("batch size of the peak", law.peak_batch_size, true_peak, 0.164, 0.005)
    return row.relative, f"η*, one ratio, normal noise, B = {at}"


@check("approximation", where="its batch size, β* = 0.52, one ratio, normal noise; none of its height")
def height_and_place_of_the_surge() -> Rows:
    """beta_noise and eta_max as printed, and where and how high the exact curve is."""
    model = surging_model()
    law = older_law(model)
    g, H = model.gradient, model.hessian.dense()
    trace, off = float(np.trace(H)), float((H * np.sign(np.outer(g, g))).sum() - np.trace(H))
    peak = laws.searched_peak(model)
    height = expected_step(model, SignSGD(), peak, exact).optimal_lr
    yield "β_noise as printed", np.sqrt(trace / off), law.peak_beta
    yield "η_max as printed", np.abs(g).sum() / (2 * np.sqrt(trace * off)), law.peak_lr
    yield near("height of the exact peak", law.peak_lr, height, tolerance=1e-6)
    yield missed("its batch size", law.peak_batch_size, peak, 0.164, 0.005)


@check("approximation", where="a surging curve")
def best_exponent() -> Rows:
    """The guess limit/(1 + scale/B)^alpha fitted to exact curves of SignSGD: its largest errors."""
    sizes = np.geomspace(1e-3, 1e3, 61)
    for name, model, alpha, error in (
        ("equal ratios", surging_model(own_curvature=1e6, squared_ratio=1.0), 0.517, 0.073),
        ("ratios spread 1", spread_model(1.0, 200, 1e6), 0.397, 0.067),
        ("surging", surging_model(own_curvature=0.5, squared_ratio=1.0), 1.00, 0.330),
    ):
        B = sizes * model.simple_noise_scale
        true = expected_step(model, SignSGD(), B, exact).optimal_lr
        limit, scale, exponent = laws.fit_power_saturation(B, true, even_unresolved=True)
        found = float(np.abs(laws.power_saturation(B, limit, scale, exponent) / true - 1).max())
        yield stated(f"{name}: exponent", alpha, exponent, 0.01)
        yield stated(f"{name}: largest error", error, found, 0.02)
    return found


@check("algebra only")
def older_loss_scale() -> Rows:
    """Limit and scale of the loss decrease, the peak from them, and beta_noise back again."""
    model = surging_model()
    law = older_law(model)
    b, eta, total = law.peak_beta, law.peak_lr, float(np.abs(model.gradient).sum())
    scale = np.pi * model.simple_noise_scale / 2
    negative = laws.ScalarLaw(1.0, 0.6, 1.0, 7.0)  # off-diagonal sum -0.4: beta_noise^2 = -2.5
    yield "limit as printed", law.max_loss_decrease, b * eta * total / (1 + b**2)
    yield "loss scale as printed", law.loss_scale, scale * b**2 / (1 + b**2)
    yield "1/loss scale - 1/peak", 2 / scale, 1 / law.loss_scale - 1 / law.peak_batch_size
    yield "peak from the loss scale", laws.peak_from_loss_scale(law.loss_scale, scale), law.peak_batch_size
    yield "β_noise from it", laws.peak_beta_from_loss_scale(law.loss_scale, scale), b
    yield "β_noise² = -2.5: loss scale", negative.loss_scale, 7.0 * -2.5 / (1 - 2.5)


@check("approximation")
def older_loss_decrease() -> Rows:
    """The closed loss decrease against alignment and curvature of the older route, and the exact one."""
    model = surging_model()
    law = older_law(model)
    step = expected_step(model, SignSGD(), 30.0, older_route(scalar_mean_field))
    sizes = law.noise_scale * np.geomspace(1e-4, 1e3, 400)
    said, curve = law.loss_decrease(sizes), expected_step(model, SignSGD(), sizes, exact).loss_decrease
    worst = int(np.abs(said / curve - 1).argmax())
    at = f"{sizes[worst] / model.simple_noise_scale:.2g} B_simple"
    yield "decrease at B = 30", law.loss_decrease(30.0), step.loss_decrease
    yield missed(f"exact decrease at {at}", said[worst], curve[worst], -0.069, 0.005)
    return f"one ratio, normal noise, B = {at}"


# ------------------------------------------------------------------------------------ the surge's place
@check("identity", where="resolution of the search")
def exact_peak_against_a_search() -> Rows:
    """Where the mean sign equals beta*, for one ratio: against a search along the exact curve."""
    for own_curvature in (0.5, 8.0):
        model = surging_model(own_curvature=own_curvature)
        beta = laws.ScalarLaw.of_sign(model).peak_beta
        formula = float(laws.exact_peak_batch_size(64.0, beta))
        yield near(f"peak, β* = {beta:.2f}", formula, laws.searched_peak(model), tolerance=1e-4)


@check("approximation", where="older route at β* = 0.9; grows as β* → 1")
def peaks_side_by_side() -> Rows:
    """The two scalar laws and the small-batch law over the exact peak, for one ratio."""
    for beta, older, line, small in ((0.5, 0.15, -0.27, -0.14), (0.9, 1.48, 0.58, -0.53)):
        true = float(laws.exact_peak_batch_size(1.0, beta))
        peak = laws.ScalarLaw(1.0, 1 + beta**-2, 1.0, 1.0).peak_batch_size
        yield missed(f"older route, β* = {beta}", ERF_SLOPE * peak, true, older, 0.01)
        yield missed(f"mean field, β* = {beta}", peak, true, line, 0.01)
        yield missed(f"small-batch law, β* = {beta}", ERF_SLOPE * beta**2, true, small, 0.01)


@check("approximation", where="the paper's law, one ratio, β* = 0.98")
def small_batch_law_of_the_surge_paper() -> Rows:
    """Right for early surges whatever the spread of ratios, wrong for late ones, and never without a peak."""
    model = surging_model()
    g, sigma = model.gradient, np.sqrt(model.covariance.diagonal())
    H = model.hessian.dense()
    S = (np.outer(g / sigma, g / sigma) * H).sum() - ((g / sigma) ** 2 * np.diag(H)).sum()
    yield "π tr H / (2S)", np.pi * np.trace(H) / (2 * S), laws.small_batch_peak(model)
    linear = expected_step(model, SignSGD(), laws.small_batch_peak(model), linearised_erf)
    far = expected_step(model, SignSGD(), 1e9, linearised_erf)
    yield stated("half of its own loss limit there", 0.5, linear.loss_decrease / far.loss_decrease, 1e-6)
    for spread, paper, scalar, older in ((0.0, -0.005, -0.360, 0.005), (1.5, -0.197, 187.8, 295.6)):
        each = spread_model(spread, size=100, own_curvature=1e-9)
        true, line = laws.searched_peak(each), laws.ScalarLaw.of_sign(each).peak_batch_size
        yield missed(f"early surge, spread {spread}: paper", laws.small_batch_peak(each), true, paper, 0.01)
        yield missed(f"early surge, spread {spread}: mean field", line, true, scalar, 0.01)
        yield missed(f"early surge, spread {spread}: older route", ERF_SLOPE * line, true, older, 0.01)
    late = surging_model(own_curvature=13.5)
    true, line = laws.searched_peak(late), laws.ScalarLaw.of_sign(late).peak_batch_size
    late_row = missed("late surge: paper", laws.small_batch_peak(late), true, -0.734, 0.02)
    yield late_row
    yield missed("late surge: mean field", line, true, 4.07, 0.02)
    yield missed("late surge: older route", ERF_SLOPE * line, true, 6.97, 0.02)
    none = surging_model(own_curvature=20.0)
    yield stated("no surge at all: paper's peak / B_simple", 2.20, laws.small_batch_peak(none) / 64.0, 0.02)
    yield holds("the exact curve has none", np.isinf(laws.searched_peak(none)))
    return late_row.relative
