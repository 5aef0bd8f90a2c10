"""The curve of steps against batch size, fitted to runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import chdtrc, log_ndtr, stdtr, stdtrit

from lrbs.tradeoff import law
from lrbs.validation import Array, positive, vector

__all__ = ["PredictedSteps", "TradeoffFit", "fit_tradeoff"]

# Batch sizes this many powers of e beyond those measured are searched for the critical one.
MARGIN = 7.0
ALIKE = 0.02  # sizes, steps or examples that differ by less are one
ROUNDED = 0.05  # scatter of examples or steps, up to which they may be one that was rounded
DOUBTFUL = 0.01
Mask = NDArray[np.bool_]
ROUNDS = 100  # of what is missing from the curve and the curve from what is missing
NEARLY = 0.05  # a power beyond -1 that leaves out the last batch, a part of one, makes
ROUNDING = 1e-9  # scatter of logarithms that is none
BUDGETS = (
    "Read off each loss curve when it first reached a loss that all can reach, with arrived=False for those "
    "that did not; final losses alone give no critical batch size. If these did run to one loss, all lie far "
)
BELOW = "below the critical batch size, where steps fall as 1/B: add larger batches"
ABOVE = "above the critical batch size, where steps no longer fall: add smaller batches"
NEVER = "for a run that never reached the loss enter the steps that it ran, and False in arrived"


@dataclass(frozen=True, eq=False)
class PredictedSteps:
    """Steps at some batch sizes by :meth:`TradeoffFit.predict`; arrays of one shape.

    Attributes
    ----------
    steps, steps_se : ndarray, the fitted curve and its standard error
    low, high : ndarray
        Ends of the confidence interval of the curve, symmetric on a logarithmic scale. A single further
        run scatters around the curve besides.
    """

    steps: Array
    steps_se: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class TradeoffFit:
    """Result of :func:`fit_tradeoff`.

    Attributes
    ----------
    min_steps : float, S_min
    min_examples : float, E_min, in samples
    covariance : ndarray, shape (2, 2), of (ln min_steps, ln min_examples)
    residuals : ndarray, shape (runs,)
        ln S minus the curve; in standard errors of ln S if those were given. nan for runs that did not
        arrive.
    freedom : int or None
        Degrees of freedom that the errors were estimated with; None if they were given.
    bend : tuple of float
        The part of the residuals that goes as (ln B)^2, positive for a U, and its standard error; nan for
        three runs.
    """

    min_steps: float
    min_examples: float
    covariance: Array
    residuals: Array
    freedom: int | None
    bend: tuple[float, float] = (np.nan, np.nan)

    @property
    def critical_batch_size(self) -> float:
        """B_noise = E_min / S_min, in samples."""
        return self.min_examples / self.min_steps

    @property
    def min_steps_se(self) -> float:
        """Standard error of `min_steps`."""
        return self.min_steps * self._relative_se(1, 0)

    @property
    def min_examples_se(self) -> float:
        """Standard error of `min_examples`."""
        return self.min_examples * self._relative_se(0, 1)

    @property
    def critical_batch_size_se(self) -> float:
        """Standard error of `critical_batch_size`."""
        return self.critical_batch_size * self._relative_se(-1, 1)

    @property
    def scatter(self) -> float:
        """Root mean square of the residuals, for as many degrees of freedom as are left.

        The scatter of ln S around the curve or, if errors were given, that scatter in units of them: about
        1 when the curve is right and the errors are.
        """
        return float(np.sqrt(np.nansum(self.residuals**2) / self._free))

    @property
    def _free(self) -> int:
        return int(np.sum(np.isfinite(self.residuals))) - 2

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against the curve; its intervals then do not cover. Empty if nothing does."""
        value, error = self.bend
        freedom = np.inf if self.freedom is None else self.freedom - 1
        p = 2 * float(stdtr(freedom, -abs(value) / error)) if error > 0 else 1.0
        if not p < DOUBTFUL:
            return ()
        shape = "a U" if value > 0 else "an arch"
        return (f"residuals form {shape} (p = {p:.1g}): the runs do not lie on a hyperbola",)

    @property
    def p_value(self) -> float:
        """Probability of residuals as large as these, or larger, if the curve is right (chi squared).

        Raises
        ------
        ValueError
            If the errors were estimated from these same residuals.
        """
        if self.freedom is not None:
            raise ValueError("p_value needs errors of the runs: give fit_tradeoff a relative_error")
        return float(chdtrc(self._free, np.nansum(self.residuals**2)))

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals of the three numbers, by name; symmetric on a logarithmic scale.

        Parameters
        ----------
        level : float, probability in (0, 1)

        Returns
        -------
        dict, (low, high) by name

        Raises
        ------
        ValueError
            If `level` is not in (0, 1).
        """
        width, ends = self._width(level), {}
        powers_of = {"min_steps": (1, 0), "min_examples": (0, 1), "critical_batch_size": (-1, 1)}
        for name, powers in powers_of.items():
            value, error = getattr(self, name), self._relative_se(*powers)
            ends[name] = value * float(np.exp(-width * error)), value * float(np.exp(width * error))
        return ends

    def predict(self, batch_size: ArrayLike, level: float = 0.95) -> PredictedSteps:
        """The curve at any batch size, with its error.

        Parameters
        ----------
        batch_size : array_like, B > 0, in samples
        level : float, probability of the interval, in (0, 1)

        Returns
        -------
        PredictedSteps
            Shaped like `batch_size`.
        """
        width = self._width(level)
        S = law.steps(batch_size, self.min_steps, self.critical_batch_size)
        slopes = _slopes(batch_size, self.critical_batch_size)
        error = np.sqrt(np.einsum("...i,ij,...j->...", slopes, self.covariance, slopes))
        return PredictedSteps(S, S * error, S * np.exp(-width * error), S * np.exp(width * error))

    def __str__(self) -> str:
        ends = self.interval().items()
        parts = [f"{name} {getattr(self, name):.3g}, {low:.3g} to {high:.3g}" for name, (low, high) in ends]
        return "; ".join([f"{'; '.join(parts)} (95 %)", *self.warnings])

    def _relative_se(self, steps_power: int, examples_power: int) -> float:
        powers = np.array([steps_power, examples_power])
        return float(np.sqrt(powers @ self.covariance @ powers))

    def _width(self, level: float) -> float:
        """Half of an interval, in standard errors."""
        if not 0 < level < 1:
            raise ValueError(f"level must be in (0, 1); got {level!r}")
        return float(stdtrit(np.inf if self.freedom is None else self.freedom, (1 + level) / 2))


def fit_tradeoff(
    batch_size: ArrayLike,
    steps: ArrayLike,
    *,
    relative_error: ArrayLike | None = None,
    arrived: ArrayLike | None = None,
) -> TradeoffFit:
    """Fit S = S_min + E_min/B to the steps that runs needed to one loss at several batch sizes.

    Least squares on ln S: a run twice as long is as badly known as it is long, and all runs should count.

    Parameters
    ----------
    batch_size, steps : array_like, shape (runs,)
        Positive; three runs or more. Each run at the best learning rate for its batch size.
    relative_error : array_like, optional
        Standard error of ln S, for all runs or for each. Without it the errors are estimated from the
        scatter around the curve.
    arrived : array_like of bool, shape (runs,), optional
        False for a run that was stopped before it reached the loss: its steps count as *at least so many*
        (a censored observation with normal errors of ln S). Left out, or entered as if it had arrived,
        such a run biases the fit.

    Returns
    -------
    TradeoffFit
        Look at its `warnings`. Source: 10542.d48.

    Raises
    ------
    ValueError
        If the runs do not show both limits, steps that fall as 1/B and steps that no longer fall: then
        one of the two numbers is not resolved by them. Runs of equal examples, or of equal steps, but for
        scatter and rounding, may also be budgets and not runs to one loss: no fit tells the two apart.

    Examples
    --------
    >>> fit = fit_tradeoff([10, 100, 1000], [11_000, 2000, 1100])
    >>> round(fit.min_steps, 3), round(fit.min_examples, 3)
    (1000.0, 100000.0)
    >>> round(fit.critical_batch_size, 3)
    100.0
    """
    B = positive(vector(batch_size, "batch_size"), "batch_size")
    S = positive(vector(steps, "steps", B.size, hint=NEVER), "steps")
    there = np.ones(B.size, dtype=bool) if arrived is None else _booleans(arrived, B.size)
    if there.sum() < 3:
        of = "" if there.all() else " that arrived"
        raise ValueError(f"batch_size must hold 3 or more runs{of} for 2 unknowns; got {there.sum()}")
    if relative_error is not None and np.shape(relative_error) not in ((), B.shape):
        raise ValueError(
            f"relative_error must be a number or have shape {B.shape}; got {np.shape(relative_error)}"
        )
    sizes = B[there]
    if sizes.max() < (1 + ALIKE) * sizes.min():
        raise ValueError(
            f"batch_size must hold several sizes for a curve; got {sizes.size} runs at one, {sizes.min():g}: "
            "add runs at sizes several times as large and as small"
        )
    errors = np.ones(B.size)
    if relative_error is not None:
        errors = errors * positive(relative_error, "relative_error")
    _refuse_budgets(sizes, S[there], errors[there], relative_error is None, bool(there.all()))
    logs, missing = np.log(S), ~there
    unknown = relative_error is None and bool(missing.any())  # then the scatter decides what those runs weigh

    def misfit(level: Array, log_scale: Array, scatter: Array | float) -> Array:
        """Residuals over errors; of runs that did not arrive, the root of -2 ln of their probability."""
        rest = (logs - level - np.log1p(np.exp(log_scale) / B)) / (errors * scatter)
        rest[..., missing] = np.sqrt(-2 * log_ndtr(-rest[..., missing]))
        return np.asarray(rest)

    # The sum of squares levels off for small and for large ln B_noise, where a search would run away: it
    # begins at the best of a grid.
    grid = np.arange(np.log(B.min()) - MARGIN, np.log(B.max()) + MARGIN, 0.25)[:, None]
    levels, scatters = _levels(logs, np.log1p(np.exp(grid) / B), errors, there, unknown)
    deviance = np.sum(misfit(levels, grid, scatters) ** 2, axis=1)
    best = int(np.argmin(deviance + 2 * (there.sum() - 2) * np.log(scatters[:, 0])))
    if best in (0, len(grid) - 1):
        _refuse_limit(sizes, S[there], errors[there], relative_error is None, best == 0)
    at, scatter = np.array([levels[best, 0], grid[best, 0]]), float(scatters[best, 0])
    for _ in range(ROUNDS if unknown else 1):
        found = least_squares(
            lambda x, s: misfit(x[0], x[1], s), at, args=(scatter,), x_scale="jac", xtol=1e-12, ftol=1e-12
        )
        at, before = found.x, scatter
        rest = logs - at[0] - np.log1p(np.exp(at[1]) / B)
        scatter = float(_scatter(rest, scatter, there)) if unknown else 1.0
        if abs(scatter - before) < 1e-9 * before:
            break
    min_steps, scale = (float(number) for number in np.exp(at))
    rest, slopes = rest / errors, _slopes(B, scale) / errors[:, None]
    squares, freedom = float(np.sum(rest[there] ** 2)), int(there.sum()) - 2
    variance = scatter**2 if unknown or relative_error is not None else squares / freedom
    # What a run that did not arrive tells, as a share of one that did.
    z = rest / np.sqrt(max(variance, ROUNDING**2))
    told = np.where(there, 1.0, _hazard(z) * (_hazard(z) - z))
    covariance = np.asarray(np.linalg.inv(slopes.T @ (slopes * told[:, None])) * variance, dtype=np.float64)
    return TradeoffFit(
        min_steps,
        scale * min_steps,
        covariance,
        np.where(there, rest, np.nan),
        freedom if relative_error is None else None,
        _bend(np.log(B[there]), rest[there], slopes[there], errors[there], relative_error is None),
    )


def _levels(logs: Array, curves: Array, errors: Array, there: Mask, unknown: bool) -> tuple[Array, Array]:
    """ln S_min and scatter (1 if the errors are known) for each curve; what is missing, as expected."""
    scatter, filled = np.ones((len(curves), 1)), np.broadcast_to(logs, curves.shape)
    for _ in range(1 if there.all() else ROUNDS):
        level = np.average(
            filled - curves, axis=1, weights=np.broadcast_to(errors**-2.0, curves.shape), keepdims=True
        )
        rest = logs - level - curves
        if unknown:
            scatter = np.maximum(_scatter(rest, scatter, there), ROUNDING)
        beyond = errors * scatter * _hazard(rest / (errors * scatter))
        filled = np.where(there, logs, level + curves + beyond)
    return level, scatter


def _scatter(rest: Array, scatter: Array | float, there: Mask) -> Array:
    """Most likely scatter of runs of which some did not arrive, from a guess at it."""
    z = rest / scatter
    pull = np.where(there, 0.0, _hazard(z) * z)  # below the curve it takes from the count, above it adds
    squares = np.where(there, rest**2, 0.0) + scatter**2 * np.maximum(pull, 0.0)
    counts = there.sum() - 2 - np.minimum(pull, 0.0).sum(axis=-1, keepdims=rest.ndim > 1)
    return np.asarray(np.sqrt(squares.sum(axis=-1, keepdims=rest.ndim > 1) / counts))


def _hazard(z: Array) -> Array:
    """Normal density over the probability beyond."""
    return np.asarray(np.exp(-(z**2) / 2 - log_ndtr(-z)) / np.sqrt(2 * np.pi))


def _bend(logs: Array, rest: Array, slopes: Array, errors: Array, estimated: bool) -> tuple[float, float]:
    """Coefficient of (ln B)^2 in the residuals, and its standard error."""
    square = (logs - logs.mean()) ** 2 / errors
    across = square - slopes @ np.linalg.lstsq(slopes, square, rcond=None)[0]
    length, freedom = float(across @ across), rest.size - 3
    if freedom < 1 or length < ROUNDING * (square @ square) or np.sum(rest**2) < rest.size * ROUNDING**2:
        return np.nan, np.nan
    value = float(across @ rest) / length
    variance = float(np.sum((rest - value * across) ** 2)) / freedom if estimated else 1.0
    return value, float(np.sqrt(variance / length))


def _booleans(arrived: ArrayLike, size: int) -> Mask:
    there = np.asarray(arrived)
    if there.dtype != np.bool_ or there.shape != (size,):
        raise ValueError(f"arrived must be {size} times True or False; got {there.dtype} {there.shape}")
    return there


def _refuse_budgets(
    batch_size: Array, steps: Array, errors: Array, estimated: bool, all_arrived: bool
) -> None:
    """Equal examples or equal steps are what somebody set, not what runs needed."""
    # Steps that come by tens know no S_min below ten, but ten: the last batch of each epoch is rounded up.
    unit = gcd(*(int(number) for number in steps)) if np.all(steps % 1 == 0) else 0
    for what, values, x, turn, least, limit in (
        ("examples B S", batch_size * steps, batch_size, "rise", 0.99 * unit, BELOW),
        ("steps", steps, 1 / batch_size, "fall", 0.0, ABOVE),
    ):
        how = f"all {what} agree within {100 * (values.max() / values.min() - 1):.2g} %"
        if values.max() >= (1 + ALIKE) * values.min():
            slope, error = _trend(x, values, values * errors, estimated)
            # Runs that did not arrive tell of the other limit too.
            if not all_arrived or np.std(np.log(values)) > ROUNDED or slope > max(error, least):
                continue
            how += f" and do not {turn} with B beyond scatter and rounding"
        raise ValueError(
            f"steps must be those that runs to one loss needed; {how}, as budgets do. {BUDGETS}{limit}"
        )


def _refuse_limit(batch_size: Array, steps: Array, errors: Array, estimated: bool, flat: bool) -> NoReturn:
    """Say which limit the runs show, or that they go beyond it."""
    power, error = _trend(np.log(batch_size), np.log(steps), errors, estimated)
    how = f"fall as 1/B throughout, as equal budgets of examples do. {BUDGETS}{BELOW}"
    if flat:
        how = f"do not fall with the batch size, nor do equal budgets of steps. {BUDGETS}{ABOVE}"
    if power > error or power < -1 - max(error, NEARLY):
        how = (
            f"go as B to the power {power:.2g}, where runs to one loss, each at its best learning rate, stay "
            "between -1 and 0: look at the rates, and at the loss that each run reached"
        )
    raise ValueError(f"steps must show both limits of the curve; these {how}")


def _trend(x: Array, y: Array, errors: Array, estimated: bool) -> tuple[float, float]:
    """Slope of y against x, and what it must exceed to be one (t test at 95 %)."""
    (slope, _), within = np.polyfit(x, y, 1, w=1 / errors, cov=True if estimated else "unscaled")
    t = float(stdtrit(x.size - 2 if estimated else np.inf, 0.95))
    return float(slope), t * float(np.sqrt(within[0, 0]))


def _slopes(batch_size: ArrayLike, noise_scale: float) -> Array:
    """Derivatives of ln S by ln S_min and ln E_min: the shares of the two terms in S, shape (..., 2)."""
    share = 1 / law.steps(batch_size, 1.0, noise_scale)
    return np.stack([share, 1 - share], axis=-1)
