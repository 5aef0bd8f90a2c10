"""The curve of steps against batch size, fitted to runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.stats import chi2
from scipy.stats import t as student

from lrbs.tradeoff import law
from lrbs.validation import Array, plain, positive, vector

__all__ = ["PredictedSteps", "TradeoffFit", "fit_tradeoff"]

# Batch sizes this many powers of e beyond those measured are searched for the critical one.
MARGIN = 7.0


@dataclass(frozen=True, eq=False)
class PredictedSteps:
    """Steps at some batch sizes by :meth:`TradeoffFit.predict`; arrays of one shape.

    Attributes
    ----------
    steps, steps_se : ndarray
        The fitted curve and its standard error.
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
    min_steps : float
        S_min.
    min_examples : float
        E_min, in samples.
    covariance : ndarray, shape (2, 2)
        Of (ln min_steps, ln min_examples).
    residuals : ndarray, shape (runs,)
        ln S minus the curve; in standard errors of ln S if those were given.
    freedom : int or None
        Degrees of freedom that the errors were estimated with; None if they were given.
    """

    min_steps: float
    min_examples: float
    covariance: Array
    residuals: Array
    freedom: int | None

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
        return float(np.sqrt(np.sum(self.residuals**2) / (self.residuals.size - 2)))

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
        return float(chi2.sf(np.sum(self.residuals**2), self.residuals.size - 2))

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals of the three numbers, by name; symmetric on a logarithmic scale.

        Parameters
        ----------
        level : float
            Probability in (0, 1).

        Returns
        -------
        dict
            (low, high) by name.

        Raises
        ------
        ValueError
            If `level` is not in (0, 1).
        """
        width = self._width(level)
        values = {
            "min_steps": (self.min_steps, self._relative_se(1, 0)),
            "min_examples": (self.min_examples, self._relative_se(0, 1)),
            "critical_batch_size": (self.critical_batch_size, self._relative_se(-1, 1)),
        }
        return {
            name: (value * float(np.exp(-width * error)), value * float(np.exp(width * error)))
            for name, (value, error) in values.items()
        }

    def predict(self, batch_size: ArrayLike, level: float = 0.95) -> PredictedSteps:
        """The curve at any batch size, with its error.

        Parameters
        ----------
        batch_size : array_like
            B > 0, in samples.
        level : float
            Probability of the interval, in (0, 1).

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

    def _relative_se(self, steps_power: int, examples_power: int) -> float:
        powers = np.array([steps_power, examples_power])
        return float(np.sqrt(powers @ self.covariance @ powers))

    def _width(self, level: float) -> float:
        """Half of an interval, in standard errors."""
        if not 0 < level < 1:
            raise ValueError(f"level must be in (0, 1); got {level!r}")
        return float(student.ppf((1 + level) / 2, np.inf if self.freedom is None else self.freedom))


def fit_tradeoff(
    batch_size: ArrayLike, steps: ArrayLike, *, relative_error: ArrayLike | None = None
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

    Returns
    -------
    TradeoffFit
        Source: 10542.d48.

    Raises
    ------
    ValueError
        If the runs do not show both limits, steps that fall as 1/B and steps that no longer fall: then
        one of the two numbers is not resolved by them.

    Examples
    --------
    >>> fit = fit_tradeoff([10, 100, 1000], [11_000, 2000, 1100])
    >>> round(fit.min_steps, 3), round(fit.min_examples, 3)
    (1000.0, 100000.0)
    >>> round(fit.critical_batch_size, 3)
    100.0
    """
    B = positive(vector(batch_size, "batch_size"), "batch_size")
    S = positive(vector(steps, "steps", B.size), "steps")
    if B.size < 3:
        raise ValueError(f"batch_size must hold 3 or more runs for 2 unknowns; got {B.size}")
    if relative_error is not None and np.shape(relative_error) not in ((), B.shape):
        raise ValueError(
            f"relative_error must be a number or have shape {B.shape}; got {np.shape(relative_error)}"
        )
    errors = np.ones(B.size)
    if relative_error is not None:
        errors = errors * positive(relative_error, "relative_error")

    def misfit(logs: Array) -> Array:
        """Residuals at (ln S_min, ln B_noise)."""
        return plain((np.log(S) - logs[0] - np.log1p(np.exp(logs[1]) / B)) / errors)

    # The sum of squares levels off for small and for large ln B_noise, where a search would run away: it
    # begins at the best of a grid.
    grid = np.arange(np.log(B.min()) - MARGIN, np.log(B.max()) + MARGIN, 0.25)
    starts = np.log(S) - np.log1p(np.exp(grid)[:, None] / B)
    levels = np.average(starts, axis=1, weights=errors**-2)
    best = int(np.argmin(np.sum(((starts - levels[:, None]) / errors) ** 2, axis=1)))
    if best in (0, len(grid) - 1):
        limit = "do not fall with the batch size" if best == 0 else "fall as 1/B throughout"
        raise ValueError(
            f"steps must show both limits of the curve; these {limit}: add batch sizes beyond them"
        )
    found = least_squares(misfit, [levels[best], grid[best]], x_scale="jac", xtol=1e-12, ftol=1e-12)
    min_steps, scale = (float(number) for number in np.exp(found.x))
    slopes = _slopes(B, scale) / errors[:, None]
    covariance = np.asarray(np.linalg.inv(slopes.T @ slopes), dtype=np.float64)
    freedom = None
    if relative_error is None:
        freedom = B.size - 2
        covariance *= np.sum(found.fun**2) / freedom
    return TradeoffFit(min_steps, scale * min_steps, covariance, found.fun, freedom)


def _slopes(batch_size: ArrayLike, noise_scale: float) -> Array:
    """Derivatives of ln S by ln S_min and ln E_min: the shares of the two terms in S, shape (..., 2)."""
    share = 1 / law.steps(batch_size, 1.0, noise_scale)
    return np.stack([share, 1 - share], axis=-1)
