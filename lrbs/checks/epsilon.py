"""Checks of the page on epsilon: soft signs, the clip, the closed laws."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import erf

from lrbs import LocalModel, SignSGD, SoftSignSGD, exact, expected_step, mean_field, scalar_mean_field
from lrbs.approximations import ERF_SLOPE, older_route
from lrbs.checks.evidence import Rows, check, holds, missed, near, stated
from lrbs.checks.problems import dense_model, independent_model, quadratic_loss, soft_moments
from lrbs.laws.clip import clip_mean, clip_mean_by_slope, clip_square, hard_sigmoid, smooth_sigmoid
from lrbs.laws.softsign import rescaled_softsign, soft_law, soft_noise_scale
from lrbs.normal import softsign_mean, softsign_square
from lrbs.operators import Diagonal
from lrbs.rules import softsign
from lrbs.simulate import draw_gradients
from lrbs.validation import Array

# Signal a and softness b in units of the noise: from the first slope to the last bend.
GRID = np.concatenate([np.geomspace(1e-3, 0.1, 8), np.linspace(0.12, 4, 80), np.linspace(4.2, 10, 30)])


def _largest(difference: Callable[[Array, float], Array]) -> tuple[float, float, float]:
    """Largest size of a function of (a, b) on the grid, and where it is."""
    table = np.abs([difference(GRID, float(b)) for b in GRID])
    row, column = np.unravel_index(table.argmax(), table.shape)
    return float(table[row, column]), float(GRID[column]), float(GRID[row])


def _soft(a: Array, b: float) -> Array:
    """Mean soft sign under noise of unit variance, exactly."""
    return softsign_mean(a, np.ones_like(a), b)


def _soft_square(a: Array, b: float) -> Array:
    return softsign_square(a, np.ones_like(a), b)


def _weighed(matrix: Array) -> float:
    """One number in which every entry counts: to compare matrices in one row."""
    return float(np.sum(matrix * np.random.default_rng(0).uniform(0.5, 1.5, matrix.shape)))


@check("identity")
def soft_sign() -> Rows:
    """Against the sine of an angle; sign without epsilon; epsilon measures |g|, not g^2."""
    x = np.array([-3.0, -1e-3, 0.0, 0.2, 50.0])
    for value, soft in zip(x[x != 0], softsign(x[x != 0], 0.7), strict=True):
        yield f"x = {value:g}, ϵ = 0.7", soft, np.sin(np.arctan2(value, 0.7))
    yield holds("ϵ = 0: the sign, for five numbers", (softsign(x, 0.0) == np.sign(x)).all())
    yield stated("x = 1e-3, ϵ = 1e-5", 0.99995, softsign(1e-3, 1e-5), 1e-8)


@check("published number")
def epsilon_is_a_gradient() -> Rows:
    """epsilon = 1e-5 is larger than g^2 = 1e-6 and leaves the sign alone; it bends where it nears |g|."""
    gradient = 1e-3
    yield stated("ϵ = 10 g²: missing from 1", 5e-5, 1 - softsign(gradient, 1e-5), 1e-3)
    yield stated("ϵ = |g|", 2**-0.5, softsign(gradient, 1e-3), 1e-9)
    yield stated("ϵ = 10 |g|", 0.0995, softsign(gradient, 1e-2), 1e-3)


@check("Monte Carlo")
def soft_sign_loss() -> Rows:
    """The loss after one soft-sign step, averaged over draws, against exact moments."""
    model, rule = dense_model(), SoftSignSGD(epsilon=1.0)
    updates = rule(draw_gradients(model, 2.0, (20_000, 1), 51))
    step = expected_step(model, rule, 2.0, exact)
    for eta in (0.05, 0.2):
        losses = quadratic_loss(model, -eta * updates)
        yield f"η = {eta:g}", step.loss_change(eta), (losses.mean(), losses.std() / np.sqrt(losses.size))


@check("quadrature")
def soft_sign_exactly() -> Rows:
    """The mixture of signs and the Voigt profile, against quadrature of the definition."""
    for mean, deviation, epsilon in ((0.3, 1.0, 0.05), (1.0, 0.5, 2.0), (2.0, 3.0, 1.0)):

        def integrand(
            z: float, power: int, m: float = mean, s: float = deviation, e: float = epsilon
        ) -> float:
            x = m + s * z
            return (x / np.hypot(x, e)) ** power * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        kink = -mean / deviation
        for power, name, formula in (
            (1, "mean", softsign_mean(np.array([mean]), np.array([deviation]), epsilon)[0]),
            (2, "square", softsign_square(np.array([mean]), np.array([deviation]), epsilon)[0]),
        ):
            pieces = ((-12, kink), (kink, 12))
            reference = sum(
                quad(integrand, *ends, args=(power,), epsabs=1e-12, limit=300)[0] for ends in pieces
            )
            at = f"{name}, {mean:g} ± {deviation:g}, ϵ {epsilon:g}"
            yield near(at, formula, reference, tolerance=1e-7)


@check("limit", where="ϵ = 300 x; 5 % at 3 x")
def soft_sign_limit() -> Rows:
    """epsilon * softsign tends to its argument, with the error (x/epsilon)^2 / 2."""
    yield "ϵ = 5: both forms", rescaled_softsign(2.0, 5.0), 5.0 * softsign(2.0, 5.0)
    for e in (3.0, 30.0, 300.0):
        share = float(1 - rescaled_softsign(2.0, 2.0 * e) / 2.0)
        yield near(f"missing share, ϵ = {e:g} x", 1 / (2 * e**2), share, tolerance=e**-2.0)
    yield "ϵ infinite", rescaled_softsign(2.0, np.inf), 2.0
    return share


@check("approximation", where="erf; 0.074 for tanh, none for the soft sign", absolute=True)
def smooth_stand_in_for_sigmoids() -> Rows:
    """The largest errors of the smooth stand-in for three sigmoids; for the soft sign there is none."""
    return (yield from _errors_of_stand_in(smooth_sigmoid, (0.1078, 0.0737, 0.0)))


@check("approximation", where="soft sign, at its corner; 0.21 for erf, 0.24 for tanh", absolute=True)
def clipped_stand_in_for_sigmoids() -> Rows:
    """The largest errors of the clipped line for three sigmoids."""
    return (yield from _errors_of_stand_in(hard_sigmoid, (0.2101, 0.2384, 0.2929)))


def _errors_of_stand_in(
    stand_in: Callable[[Array, float], Array], figures: tuple[float, float, float]
) -> Rows:
    """Largest errors for erf, tanh and the soft sign, against the figures that the book states."""
    x = np.linspace(0, 12, 240_001)
    sigmoids = {
        "erf": (erf(x), 2 / np.sqrt(np.pi)),
        "tanh": (np.tanh(x), 1.0),
        "soft sign": (softsign(x, 1.0), 1.0),
    }
    worst = 0.0
    for figure, (name, (values, slope)) in zip(figures, sigmoids.items(), strict=True):
        error = np.abs(stand_in(x, slope) - values).max()
        yield stated(f"{name}: largest error", figure, error, 1e-4, absolute=True)
        worst = max(worst, error)
    return worst


@check("quadrature")
def clip_moments() -> Rows:
    """Both closed forms against quadrature split at the corners, narrow and wide clips; the slope at 0."""
    for a, b in ((0.3, 1e-4), (1.0, 0.3), (0.5, 2.0), (3.0, 5.0)):
        edges = [-12.0, *sorted({-b - a, b - a}), 12.0]

        def integrand(z: float, power: int, a: float = a, b: float = b) -> float:
            return float(np.clip((a + z) / b, -1, 1)) ** power * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        for power, name, function in ((1, "mean", clip_mean), (2, "square", clip_square)):
            reference = sum(
                quad(integrand, low, high, args=(power,), epsabs=1e-14, epsrel=1e-13, limit=200)[0]
                for low, high in pairwise(edges)
            )
            yield near(f"{name}, a = {a:g}, b = {b:g}", function(a, 1.0, b), reference, tolerance=1e-11)
    slope = float(clip_mean(1e-6, 1.0, 1.5)) / 1e-6
    yield "slope at a = 0, b = 1.5", erf(1.5 / 2**0.5) / 1.5, slope


@check("approximation", absolute=True)
def clip_for_the_soft_sign() -> Rows:
    """The mean of the clip in the place of that of the soft sign: largest error over signal and softness."""
    off, a, b = _largest(lambda a, b: clip_mean(a, 1.0, b) - _soft(a, b))
    corner = float(clip_mean(1e6, 1.0, 1e6) - softsign(1e6, 1e6))
    yield stated("largest error, a, b ≤ 10", 0.2575, off, 4e-3)
    yield stated("a = b → ∞", 1 - 2**-0.5, corner, 1e-5)
    return off, f"for the soft sign, at a = {a:.3g}, b = {b:.3g}; 0.293 as both grow"


@check("approximation", absolute=True)
def clip_squared_for_the_soft_sign() -> Rows:
    """The mean square of the clip in the place of that of the soft sign."""
    off, a, b = _largest(lambda a, b: clip_square(a, 1.0, b) - _soft_square(a, b))
    corner = float(clip_square(1e6, 1.0, 1e6) - softsign(1e6, 1e6) ** 2)
    yield stated("largest error, a, b ≤ 10", 0.438, off, 4e-3)
    yield stated("a = b → ∞", 0.5, corner, 1e-5)
    return off, f"for the soft sign, at a = {a:.3g}, b = {b:.3g}; 0.5 as both grow"


@check("approximation", absolute=True)
def soft_sign_square_mean_field() -> Rows:
    """The check of the mean field's mean square: the same run, the error of the square."""
    square, c, d = _largest(lambda a, b: soft_moments(mean_field, a, b)[1] - _soft_square(a, b))
    yield from soft_sign_mean_field().comparisons
    return square, f"at a = {c:.2f}, b = {d:.2f}"


@check("approximation", absolute=True)
def soft_sign_mean_field() -> Rows:
    """Largest errors of mean and square by coordinate; the scalar form where all ratios are equal."""
    mean, a, b = _largest(lambda a, b: soft_moments(mean_field, a, b)[0] - _soft(a, b))
    square, c, d = _largest(lambda a, b: soft_moments(mean_field, a, b)[1] - _soft_square(a, b))
    rule, gradient, noise = SoftSignSGD(epsilon=0.7), np.array([0.5, -0.5, 0.5]), Diagonal(np.full(3, 2.0))
    scalar, by_coordinate = (method(rule, gradient, noise) for method in (scalar_mean_field, mean_field))
    beta = (1 + 6 / (0.75 + 3 * 0.49)) ** -0.5
    nu = gradient / np.sqrt(0.25 + 0.49)
    second = np.outer(scalar.mean, scalar.mean) + scalar.covariance.dense()
    written = np.outer(nu, nu) * beta**2 + (1 - beta**2) * np.eye(3)
    yield stated("mean: largest error", 0.078, mean, 6e-3)
    yield stated("square: largest error", 0.239, square, 2e-3)
    yield "one ratio: scalar mean", nu[1] * beta, scalar.mean[1]
    yield "... by coordinate", scalar.mean[1], by_coordinate.mean[1]
    yield "second moments, all", _weighed(written), _weighed(second)
    one = by_coordinate.mean[0] ** 2 + by_coordinate.covariance.diagonal()[0]
    yield "... by coordinate", second[0, 0], one
    of_square = f"of the square {square:.2g}, at a = {c:.2f}, b = {d:.2f}"
    return mean, f"of the mean, at a = {a:.2f}, b = {b:.2f}; {of_square}"


@check("approximation", absolute=True)
def older_soft_mean() -> Rows:
    """Both forms of the older route against soft sign and against the clip, which stands between them."""
    older = older_route(mean_field)
    final, a, b = _largest(lambda a, b: soft_moments(older, a, b)[0] - _soft(a, b))
    first, _, _ = _largest(lambda a, b: clip_mean_by_slope(a, 1.0, b) - _soft(a, b))
    half, _, _ = _largest(lambda a, b: clip_mean_by_slope(a, 1.0, b) - clip_mean(a, 1.0, b))
    clip, _, _ = _largest(lambda a, b: clip_mean(a, 1.0, b) - _soft(a, b))
    far = float(clip_mean(1e4, 1.0, 1e4) - clip_mean_by_slope(1e4, 1.0, 1e4))
    at = float(soft_moments(older, np.array([0.5]), 1.2)[0][0])
    yield "a = 0.5, b = 1.2", 0.5 / np.sqrt(0.25 + 1.44 + np.pi / 2), at
    yield stated("final form, soft sign", 0.108, final, 4e-3)
    yield stated("first form, soft sign", 0.108, first, 4e-3)
    yield stated("first form, clip, a, b ≤ 10", 0.255, half, 4e-3)
    yield stated("... a = b → ∞", 1 - 2**-0.5, far, 1e-3)
    yield stated("the clip itself, soft sign", 0.2575, clip, 4e-3)
    return final, f"against the soft sign, at a = {a:.2f}, b = {b:.2g}"


@check("approximation", absolute=True)
def older_soft_square() -> Rows:
    """The older square against soft sign and against the clip that it was made for."""
    older = older_route(mean_field)
    soft, a, b = _largest(lambda a, b: soft_moments(older, a, b)[1] - _soft_square(a, b))
    clip, _, _ = _largest(lambda a, b: soft_moments(older, a, b)[1] - clip_square(a, 1.0, b))
    far = float(clip_square(1e4, 1.0, 1e4)) - float(soft_moments(older, np.array([1e4]), 1e4)[1][0])
    at = float(soft_moments(older, np.array([0.5]), 1.2)[1][0])
    yield "a = 0.5, b = 1.2", 1 - 1.44 / (0.25 + 1.44 + np.pi / 2), at
    yield stated("largest error, soft sign", 0.307, soft, 3e-3)
    yield stated("largest error, clip, a, b ≤ 10", 0.431, clip, 3e-3)
    yield stated("... a = b → ∞", 0.5, far, 1e-3)
    return soft, f"against the soft sign, at a = {a:.2g}, b = {b:.2f}"


@check("approximation", absolute=True)
def older_route_is_more_noise() -> Rows:
    """10563.10 and 10563.13, written out, against the mean field with pi/2 times the noise; and the truth."""
    model, epsilon, batch_size = independent_model(), 0.8, 3.0
    g, variances = model.gradient, model.covariance.diagonal()
    kappa2 = variances.sum() / (g @ g + g.size * epsilon**2)
    beta = 1 / np.sqrt(1 + np.pi * kappa2 / (2 * batch_size))
    u = g / np.sqrt(g**2 + epsilon**2)
    moments = older_route(scalar_mean_field)(SoftSignSGD(epsilon), g, model.noise(batch_size))
    second = np.outer(moments.mean, moments.mean) + moments.covariance.dense()
    written = beta**2 * np.outer(u, u) + (1 - beta**2) * np.eye(g.size)
    law = soft_law(model, epsilon, noise_constant=ERF_SLOPE)
    sizes = np.geomspace(0.1, 1e3, 21)
    off_mean, off_square = np.transpose([_off_the_exact(model, epsilon, size) for size in sizes])
    yield "mean, first coordinate", u[0] * beta, moments.mean[0]
    yield "square, first coordinate", written[0, 0], second[0, 0]
    yield "second moments, all", _weighed(written), _weighed(second)
    yield "κ²", kappa2, soft_noise_scale(model, epsilon)
    yield "π/2 in the law", np.pi / 2 * kappa2, law.noise_scale
    yield stated("largest error of a mean", 0.1096, off_mean.max(), 5e-3)
    yield stated("largest error of a square", 0.2936, off_square.max(), 5e-3)
    at_mean, at_square = (f"B = {sizes[off.argmax()]:.2g}" for off in (off_mean, off_square))
    of_square = f"of a square {off_square.max():.2g}, {at_square}"
    return off_mean.max(), f"of a mean, six unequal coordinates, ϵ = 0.8, {at_mean}; {of_square}"


def _off_the_exact(model: LocalModel, epsilon: float, batch_size: float) -> tuple[float, float]:
    """Largest errors of means and mean squares of the older route's scalar form, over the coordinates."""
    rule, noise = SoftSignSGD(epsilon), model.noise(batch_size)
    older, truth = (method(rule, model.gradient, noise) for method in (older_route(scalar_mean_field), exact))
    squares = [each.mean**2 + each.covariance.diagonal() for each in (older, truth)]
    return float(np.abs(older.mean - truth.mean).max()), float(np.abs(squares[0] - squares[1]).max())


@check("approximation", where="six unequal coordinates, ϵ = 0.8, against exact moments")
def soft_sign_learning_rate() -> Rows:
    """The closed law against its own moments, against the double sum spelled out, and epsilon -> 0."""
    model, epsilon, batch_size = independent_model(), 0.8, 3.0
    g, H = model.gradient, model.hessian.dense()
    law = soft_law(model, epsilon)
    nu = softsign(g, epsilon)
    beta = (1 + model.covariance.trace() / (g @ g + g.size * epsilon**2) / batch_size) ** -0.5
    double_sum = sum(nu[i] * nu[j] * H[i, j] for i in range(g.size) for j in range(g.size))
    trace = sum(H[i, i] for i in range(g.size))
    written = beta * (nu @ g) / (trace + beta**2 * (double_sum - trace))
    older = beta * (nu @ g) / (beta**2 * double_sum + (1 - beta**2) * trace)
    scalar = expected_step(model, SoftSignSGD(epsilon), batch_size, scalar_mean_field)
    sharp = expected_step(model, SignSGD(), batch_size, scalar_mean_field).optimal_lr
    sizes = np.geomspace(0.1, 1e3, 21)
    truth = expected_step(model, SoftSignSGD(epsilon), sizes, exact).optimal_lr
    error = float(np.abs(law.optimal_lr(sizes) / truth - 1).max())
    yield "11280.23, sums spelled out", written, law.optimal_lr(batch_size)
    yield "10563.14, sums spelled out", older, law.optimal_lr(batch_size)
    yield "from the moments", law.optimal_lr(batch_size), scalar.optimal_lr
    yield "ϵ = 0: SignSGD's law", soft_law(model, 0.0).optimal_lr(batch_size), sharp
    yield stated("largest error, B = 0.1 .. 1000", 0.173, error, 5e-3)
    return error


@check("approximation")
def older_soft_sign_learning_rate() -> Rows:
    """The law of the older route, and its learning rate per epsilon, against exact moments."""
    model, epsilon = independent_model(), 0.8
    sizes, law = np.geomspace(0.1, 1e3, 21), soft_law(model, epsilon, noise_constant=ERF_SLOPE)
    rates = law.optimal_lr(sizes)
    truth = expected_step(model, SoftSignSGD(epsilon), sizes, exact).optimal_lr
    worst = int(np.abs(rates / truth - 1).argmax())
    scalar = expected_step(model, SoftSignSGD(epsilon), 3.0, older_route(scalar_mean_field)).optimal_lr
    yield "from the moments, B = 3", law.optimal_lr(3.0), scalar
    yield missed(f"η*, B = {sizes[worst]:.2g}", rates[worst], truth[worst], -0.208, 5e-3)
    return f"six unequal coordinates, ϵ = 0.8, B = {sizes[worst]:.2g}"


@check("approximation", where="ϵ = 0, 0.3, 3; B = 0.1 .. 1000")
def soft_sign_loss_decrease() -> Rows:
    """One hyperbola for every epsilon, from the moments; its distance from the exact curve."""
    model = independent_model()
    batch_size = np.geomspace(0.1, 1e3, 21)
    worst = 0.0
    for epsilon in (0.0, 0.3, 3.0):
        law = soft_law(model, epsilon)
        nu, H = softsign(model.gradient, epsilon), model.hessian.dense()
        limit = (nu @ model.gradient) ** 2 / (2 * nu @ H @ nu)
        half = soft_noise_scale(model, epsilon) * np.trace(H) / (nu @ H @ nu)
        rule = SoftSignSGD(epsilon)
        scalar = expected_step(model, rule, 2.0, scalar_mean_field).loss_decrease
        yield f"ϵ = {epsilon:g}: hyperbola", limit / (1 + half / 2), scalar
        yield f"ϵ = {epsilon:g}: B_loss", half, law.loss_scale
        truth = expected_step(model, rule, batch_size, exact).loss_decrease
        worst = max(worst, float(np.abs(law.loss_decrease(batch_size) / truth - 1).max()))
    yield stated("largest error", 0.273, worst, 3e-3)
    return worst
