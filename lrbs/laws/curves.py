"""Shapes of curves in the batch size: powers of the saturation law, and the one hyperbola of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator
from scipy.special import fdtri, stdtrit

from lrbs.approximations import exact
from lrbs.model import LocalModel
from lrbs.operators import trace_product
from lrbs.rules import Preconditioned
from lrbs.step import loss_decrease
from lrbs.validation import Array, plain, positive, real_array, vector

__all__ = [
    "SaturationFit",
    "fit_power_saturation",
    "fit_saturation",
    "implied_noise_scale",
    "normalised_batch_size",
    "power_saturation",
    "preconditioned_limits",
]

REACH = 7.0  # powers of e beyond the points, within which noise scales are searched
GROW = 12  # doublings of the region of an interval
TURNS = 8.0  # twice the logarithm of the likelihood, by which a parabola must win
FALLEN = 0.995  # level of the test that it falls, after its peak or before its lowest point
ROUNDING = 1e-9  # of a logarithm: scatter below it is none


def normalised_batch_size(batch_size: ArrayLike, noise_scale: ArrayLike) -> Array:
    """beta = (1 + noise_scale/B)^(-1/2): the batch size, mapped to (0, 1).

    Parameters
    ----------
    batch_size, noise_scale : array_like, in samples, positive

    Returns
    -------
    ndarray
        sqrt(1/2) at B = noise_scale. Source: 11280.6; with noise_scale = pi kappa^2 / 2, 10542.27.

    Raises
    ------
    ValueError
        If `batch_size` or `noise_scale` is not positive.
    """
    return plain((1 + positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size")) ** -0.5)


def power_saturation(
    batch_size: ArrayLike, limit: ArrayLike, noise_scale: ArrayLike, exponent: float = 0.5
) -> Array:
    """limit / (1 + noise_scale/B)^exponent: rises as B^exponent, then levels off; never falls.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    limit : array_like, value at infinite batch size
    noise_scale : array_like, in samples, positive
    exponent : float
        1/2 for sign-like rules without off-diagonal curvature, 1 for SGD.

    Returns
    -------
    ndarray
        In units of `limit`. Source: 11285.8, 10542.25, 10542.29, 11280.tnewton.

    Raises
    ------
    ValueError
        If `batch_size`, `noise_scale` or `exponent` is not positive.

    Examples
    --------
    >>> float(power_saturation(1.0, limit=0.5, noise_scale=3.0))
    0.25
    """
    beta = normalised_batch_size(batch_size, noise_scale)
    return plain(real_array(limit, "limit") * beta ** (2 * float(positive(exponent, "exponent"))))


@dataclass(frozen=True, eq=False)
class SaturationFit:
    """A :func:`power_saturation` fitted to a curve; unpacks as (limit, noise_scale, exponent).

    Attributes
    ----------
    limit, noise_scale, exponent : float
        In units of the learning rate, in samples, and a number.
    covariance : ndarray, shape (3, 3)
        Of (ln limit, ln noise_scale, ln exponent), from the curvature at the best fit.
    residuals : ndarray, shape (n,), ln learning_rate minus the curve
    freedom : int, number of points less that of what was fitted
    search : object, the sums of squares, from which intervals come
    """

    limit: float
    noise_scale: float
    exponent: float
    covariance: Array
    residuals: Array
    freedom: int
    search: _Search = field(repr=False)

    def __iter__(self) -> Iterator[float]:
        return iter((self.limit, self.noise_scale, self.exponent))

    @property
    def scatter(self) -> float:
        """Root mean square of the residuals, for as many degrees of freedom as are left."""
        return float(np.sqrt(np.sum(self.residuals**2) / self.freedom))

    @property
    def limit_se(self) -> float:
        """Standard error of `limit`."""
        return self.limit * float(np.sqrt(self.covariance[0, 0]))

    @property
    def noise_scale_se(self) -> float:
        """Standard error of `noise_scale`; the interval is not symmetric, and says more."""
        return self.noise_scale * float(np.sqrt(self.covariance[1, 1]))

    @property
    def exponent_se(self) -> float:
        """Standard error of `exponent`; 0 if it was fixed."""
        return self.exponent * float(np.sqrt(self.covariance[2, 2]))

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals by name: what a fit of the others does not contradict (profiles, F test).

        Parameters
        ----------
        level : float, probability in (0, 1)

        Returns
        -------
        dict
            An end is 0 or inf where nothing within a factor of 1000 beyond the points is contradicted.

        Raises
        ------
        ValueError
            If `level` is not in (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be in (0, 1); got {level!r}")
        return self.search.interval(level, self)

    def __str__(self) -> str:
        (a, b), (c, d), (e, f) = self.interval().values()
        power = f"{e:.2g} to {f:.2g}" if self.exponent_se else "fixed"
        return (
            f"noise scale {self.noise_scale:.3g}, {c:.3g} to {d:.3g}; limit {self.limit:.3g}, {a:.3g} to "
            f"{b:.3g}; exponent {self.exponent:.3g}, {power} (95 %)"
        )


def fit_power_saturation(
    batch_size: ArrayLike, learning_rate: ArrayLike, *, even_unresolved: bool = False
) -> SaturationFit:
    """Limit, noise scale and exponent of the :func:`power_saturation` nearest to a curve, in logarithms.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (n,)
        Positive, n >= 4, of three batch sizes or more.
    even_unresolved : bool, optional
        Give the nearest curve in any case: to compare shapes, not to read its numbers.

    Returns
    -------
    SaturationFit
        With errors; also unpacks as (limit, noise_scale, exponent).

    Raises
    ------
    ValueError
        If the curve falls, all along or in part, or if a simpler one is not contradicted (95 %), and so no
        number exists: a constant (no rise), a power of B (no level), an exponential of -1/B (a rise too
        sharp for any exponent). Three free numbers take many batch sizes: :func:`fit_saturation` takes fewer.
    """
    return _Search(batch_size, learning_rate, None).fit(even_unresolved)


def fit_saturation(batch_size: ArrayLike, learning_rate: ArrayLike, exponent: float = 1.0) -> SaturationFit:
    """Limit and noise scale of the nearest curve with a known exponent.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (n,)
        Positive, n >= 3, of three batch sizes or more.
    exponent : float, optional
        1 for SGD (1/learning_rate is then a line in 1/B), 1/2 for sign-like rules.

    Returns
    -------
    SaturationFit

    Raises
    ------
    ValueError
        If the curve falls, all along or in part, or a constant or a power of B is not contradicted (95 %).
    """
    return _Search(batch_size, learning_rate, float(positive(exponent, "exponent", 0))).fit()


class _Search:
    """Sums of squares over noise scales and exponents, the limit being the mean of what is left."""

    def __init__(self, batch_size: ArrayLike, learning_rate: ArrayLike, exponent: float | None) -> None:
        self.B = positive(vector(batch_size, "batch_size"), "batch_size")
        self.eta = positive(vector(learning_rate, "learning_rate", self.B.size), "learning_rate")
        self.free, self.numbers = exponent is None, 3 if exponent is None else 2
        if self.B.size <= self.numbers or np.unique(self.B).size < 3:
            raise ValueError(
                f"batch_size must hold {self.numbers + 1} points or more at 3 sizes or more, for "
                f"{self.numbers} unknowns and their errors; got {self.B.size} at {np.unique(self.B).size}"
            )
        self.y, self.freedom = np.log(self.eta), self.B.size - self.numbers
        ends = np.log([self.B.min(), self.B.max()]) + np.array([-REACH, REACH])
        self.box = np.array([ends, np.log([0.02, 50.0] if exponent is None else [exponent, exponent])])
        self.rounding = self.B.size * ROUNDING**2

    def left(self, log_scale: Array, log_exponent: Array) -> tuple[Array, Array]:
        """ln limit, and the sum of squares, for each pair."""
        gaps = self.y + np.exp(log_exponent)[..., None] * np.log1p(np.exp(log_scale)[..., None] / self.B)
        return gaps.mean(axis=-1), self.B.size * gaps.var(axis=-1)

    def line(self, *columns: Array) -> tuple[Array, float]:
        """Coefficients and sum of squares of ln eta as a combination of columns."""
        matrix = np.stack([np.ones_like(self.B), *columns], axis=1)
        found = np.linalg.lstsq(matrix, self.y, rcond=None)[0]
        return found, float(np.sum((self.y - matrix @ found) ** 2))

    def nearest(self) -> tuple[Array, float]:
        """(ln noise_scale, ln exponent) of the best fit, and its sum of squares: a grid, then a search."""
        from scipy.optimize import least_squares

        grid = np.meshgrid(_axis(self.box[0], 81), _axis(self.box[1], 41 if self.free else 1))
        best = int(np.argmin(self.left(*grid)[1]))
        start = np.array([axis.ravel()[best] for axis in grid])

        def gaps(at: Array) -> Array:
            log_scale, log_exponent = at if self.free else (at[0], start[1])
            rest = self.y + np.exp(log_exponent) * np.log1p(np.exp(log_scale) / self.B)
            return np.asarray(rest - rest.mean())

        low, high = self.box[: self.numbers - 1].T
        found = least_squares(gaps, start[: low.size], bounds=(low, high), xtol=1e-12, ftol=1e-12)
        return np.append(found.x, start[len(found.x) :]), float(np.sum(found.fun**2))

    def fit(self, even_unresolved: bool = False) -> SaturationFit:
        at, least = self.nearest()
        self.least = max(least, self.rounding)
        if not even_unresolved:
            self.refuse()
        limit, scale, power = (float(np.exp(log)) for log in (self.left(*at)[0], *at))
        ratio = scale / self.B
        slopes = [np.ones_like(ratio), -power * ratio / (1 + ratio), -power * np.log1p(ratio)]
        used = np.stack(slopes[: self.numbers], axis=1)
        covariance = np.pad(np.linalg.inv(used.T @ used), (0, 3 - self.numbers)) * self.least / self.freedom
        residuals = np.asarray(np.log(self.eta / power_saturation(self.B, limit, scale, power)))
        return SaturationFit(limit, scale, power, covariance, residuals, self.freedom, self)

    def refuse(self) -> None:
        """Say why there is nothing to be fitted, if there is not."""
        logs, allowed, n = np.log(self.B), self.threshold(0.95), self.B.size
        what, least, flat = f"these {n} points", self.rounding, self.line()[1]
        (_, slope), power = self.line(logs)
        error = float(np.sqrt(max(power, least) / (n - 2) / n) / logs.std())
        resolved, trend = abs(slope) > stdtrit(n - 2, 0.95) * error, f"{slope:.2g} ± {error:.2g}"
        arch, bent = self.line(logs, logs**2)
        bent, falling = max(bent, least), logs.max() if arch[2] < 0 else logs.min()
        turn = -arch[1] / (2 * arch[2]) if arch[2] else falling
        # A corner levels off too, faster than any exponent; it has as many unknowns as a parabola.
        corner = min(self.line(np.minimum(logs, at))[1] for at in _axis(np.sort(logs)[[1, -1]], 99))
        better = n * np.log(max(min(self.least, corner), least) / bent)
        # Over the scatter, which n - 3 numbers tell: of three points none, and no quantile is a number.
        fallen = abs(arch[2]) * (falling - turn) ** 2 / np.sqrt(bent / max(n - 3, 1))
        turned = logs.min() < turn < logs.max() and better > TURNS and fallen > stdtrit(n - 3, FALLEN)
        if turned and (arch[2] < 0 or slope > 0 or not resolved):
            when, does = ("again", "peaks") if arch[2] < 0 else ("at first", "is lowest")
            raise ValueError(
                f"learning_rate must not fall {when}; that of {what} {does} near B = {np.exp(turn):.3g}, and "
                "a parabola fits far better than what levels off, smoothly or not: fit the rising side"
            )
        if flat <= least:
            raise ValueError(
                f"learning_rate must rise with batch_size; that of {what} is {self.eta[0]:.3g} throughout, "
                "without scatter: give the best of a search at each batch size, on a fine enough grid"
            )
        if resolved and slope < 0:
            raise ValueError(
                f"learning_rate must rise with batch_size; that of {what} falls, power {trend}: there is "
                "no saturation to fit. Is each the best of its search, all of one optimiser? Those of Adam, "
                "Muon or signs may fall beyond the noise scale or at equal examples: fit smaller batches"
            )
        if slope <= 0 or (flat <= allowed and not resolved):
            raise ValueError(
                f"learning_rate must rise with batch_size; a constant is not contradicted by {what}, power "
                f"{trend}: the noise scale may lie below all of them; add smaller batches or repeats"
            )
        if power <= allowed:
            raise ValueError(
                f"learning_rate must level off; a power of the batch size, {trend}, is not contradicted by "
                f"{what}: the noise scale may lie above all, or below if they hardly rise; add batches there"
            )
        if self.free and self.line(1 / self.B)[1] <= allowed:
            raise ValueError(
                f"exponent is not resolved by {what}: they rise so sharply, or scatter so much, that any "
                "large one will do, with a noise scale as small; add smaller batches, or fix it at 1 or 1/2: "
                "lrbs.laws.fit_saturation(..., exponent=1)"
            )

    def threshold(self, level: float) -> float:
        """Largest sum of squares that one more free number does not contradict."""
        return self.least * (1 + float(fdtri(1, self.freedom, level)) / self.freedom)

    def interval(self, level: float, fit: SaturationFit) -> dict[str, tuple[float, float]]:
        allowed = self.threshold(level)
        at = np.log([fit.noise_scale, fit.exponent])
        half = 4 * np.sqrt(np.diag(fit.covariance)[1:] * fdtri(1, self.freedom, level)) + 1e-9
        box = np.stack([at - half, at + half], axis=1)
        for _ in range(GROW):
            box = np.clip(box, self.box[:, :1], self.box[:, 1:])
            axes = [_axis(box[0], 161), _axis(box[1], 161 if self.free else 1)]
            levels, sums = self.left(*np.meshgrid(*axes))
            inside = sums <= allowed
            columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
            reached = [columns[0] == 0, columns[-1] == 160], [self.free and rows[0] == 0, rows[-1] == 160]
            touched = np.array(reached) & (box != self.box)
            if not touched.any():
                break
            box += touched * (box[:, 1] - box[:, 0])[:, None] * np.array([-1, 1])
        spread = np.sqrt((allowed - sums[inside]) / self.B.size)
        limits = np.array([(levels[inside] - spread).min(), (levels[inside] + spread).max()])
        ends = np.exp([limits, axes[0][columns[[0, -1]]], axes[1][rows[[0, -1]]]])
        # Nothing is known at an end of what was searched, nor of the limit above the highest noise scale.
        unknown = np.array(reached) & (box == self.box)
        ends = np.where([[False, unknown[0, 1]], *unknown], [0, np.inf], ends)
        return dict(zip(("limit", "noise_scale", "exponent"), map(tuple, ends.tolist()), strict=True))


def _axis(ends: Array, points: int) -> Array:
    return np.linspace(ends[0], ends[1], points)


def preconditioned_limits(
    model: LocalModel, operator: ArrayLike | LinearOperator | Callable[[Array], ArrayLike]
) -> tuple[float, float]:
    """Limit and half-way point of the loss decrease of phi = G^-1 g_B / f(B), whatever f is.

    Parameters
    ----------
    model : LocalModel
    operator : array_like, LinearOperator or callable
        G^-1: 1-D means diagonal, 2-D dense, a function is G^-1 times a vector.

    Returns
    -------
    (max_loss_decrease, noise_scale) : tuple of float
        (g P g)^2 / (2 g P H P g) and tr(Sigma P H P) / (g P H P g) with P = G^-1. Source: 11280.15.
    """
    moments = exact(Preconditioned(operator), model.gradient, model.covariance)
    signal = float(moments.mean @ (model.hessian @ moments.mean))
    decrease = float(loss_decrease(moments.mean @ model.gradient, signal))
    return decrease, trace_product(moments.covariance, model.hessian) / signal


def implied_noise_scale(batch_size: ArrayLike, value: ArrayLike, limit: ArrayLike) -> Array:
    """B (limit/value - 1): the noise scale that one point of a curve limit / (1 + noise_scale/B) implies.

    Parameters
    ----------
    batch_size : array_like, B > 0, in samples
    value, limit : array_like
        Of the curve, at B and at infinite batch size; broadcast.

    Returns
    -------
    ndarray
        In samples. The inverse of :func:`lrbs.saturation`: the same at all batch sizes if, and only if,
        the curve is that hyperbola; negative where a curve lies above its limit.

    Raises
    ------
    ValueError
        If `batch_size` is not positive.
    """
    ratio = real_array(limit, "limit") / real_array(value, "value")
    return plain(positive(batch_size, "batch_size") * (ratio - 1))
