"""What every estimator returns: two numbers with their errors, and what follows for the ratio."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from lrbs.validation import Array, fraction, positive

__all__ = ["NoiseScaleEstimate"]

FAR = 4.0  # standard errors below zero
ROUNDING = 1e-12  # share of |g|^2 below which tr(Sigma) is none
CAUSES = (
    "Are the parts independent draws at one set of weights, taken before they are averaged over workers, "
    "losses means (or reduction='sum' said), batch sizes right, and all norms of gradients before clipping?"
)


@dataclass(frozen=True)
class NoiseScaleEstimate:
    """tr(Sigma) and |g|^2 as estimated from data.

    Attributes
    ----------
    trace : float
        Estimate of tr(Sigma), the total variance of one sample's gradient. In another norm, of what
        stands in its place.
    squared_gradient : float
        Estimate of g^T g; where there is little data it can come out negative, and says so.
    covariance : ndarray, shape (2, 2), of the two estimates
    unit : str
        What a batch size counts: "samples" or "tokens".
    freedom : float
        Degrees of freedom of `covariance`: number of independent parts that it comes from, less one.
    skipped : int, steps left out because they had inf or nan
    p_value : float
        Of a test whether the model fits, where an estimator has one; else nan.
    note : str
        What else there is to know, printed with the estimate.
    causes : str
        What to look for where the data contradict the model.
    """

    trace: float
    squared_gradient: float
    covariance: Array
    unit: str = "samples"
    freedom: float = np.inf
    skipped: int = 0
    p_value: float = np.nan
    note: str = ""
    causes: str = CAUSES

    @property
    def trace_se(self) -> float:
        """Standard error of `trace`."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def squared_gradient_se(self) -> float:
        """Standard error of `squared_gradient`."""
        return float(np.sqrt(self.covariance[1, 1]))

    @property
    def simple_noise_scale(self) -> float:
        """B_simple = tr(Sigma) / |g|^2, in `unit`, if the data resolve it.

        Raises
        ------
        ValueError
            If they do not: the 95 % interval has no end. Whoever wants the ratio all the same, to average it
            or to draw it with its interval, takes `point_estimate`.
        """
        if not self.resolved and not self.contradiction:
            point = self.point_estimate  # which says so where there is not even a ratio
            raise ValueError(
                f"{self}; point_estimate is {short_number(point)}: use more steps or larger batches"
            )
        return self.point_estimate

    @property
    def point_estimate(self) -> float:
        """The ratio of the two estimates, resolved or not, in `unit`.

        Raises
        ------
        ValueError
            If either estimate is negative, or |g|^2 zero. The error tells too little data, which more steps
            mend, from a `contradiction`, which they never do.
        """
        if self.contradiction:
            raise ValueError(f"{self.contradiction}: more steps will not mend that. {self.causes}")
        for name, value, error, bad in (
            ("|g|^2", self.squared_gradient, self.squared_gradient_se, self.squared_gradient <= 0),
            ("tr(Sigma)", self.trace, self.trace_se, self.trace < 0),
        ):
            if bad:
                raise ValueError(
                    f"not resolved with this much data: the estimate of {name} is {value:.3g} with standard "
                    f"error {error:.2g}; use more steps or larger batches"
                )
        return self.trace / self.squared_gradient

    @property
    def contradiction(self) -> str:
        """What the data say that no data of the model would; empty if they do not.

        Both numbers are squares. An estimate as far below zero as chance brings it once in thirty thousand
        times (four standard errors; by Student's t, for the degrees of freedom that there are) is none:
        parts are not independent draws at one set of weights, or something else than was said. Nor have
        independent draws a tr(Sigma) that is nothing beside |g|^2 but rounding.
        """
        limit = self._quantile(float(ndtr(FAR)))
        if abs(self.trace) + limit * self.trace_se < ROUNDING * self.squared_gradient:
            ratio = self.trace / self.squared_gradient
            return f"contradicted: the parts are alike (tr(Sigma)/|g|^2 is {ratio:.2g})"
        for name, value, error in (
            ("tr(Sigma)", self.trace, self.trace_se),
            ("|g|^2", self.squared_gradient, self.squared_gradient_se),
        ):
            if value < -limit * error:
                far = f"{-value / error:.3g} standard errors" if error else f"{-value:.3g}"
                return f"contradicted: {name} came out {far} below zero"
        return ""

    @property
    def simple_noise_scale_se(self) -> float:
        """Standard error of `point_estimate` (delta method; good when |g|^2 is several of its errors)."""
        slopes = np.array([1.0, -self.point_estimate]) / self.squared_gradient
        return float(np.sqrt(slopes @ self.covariance @ slopes))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the noise scale (Fieller's). Source: lrbs.noise-interval.

        Parameters
        ----------
        level : float, optional
            Share of such intervals that hold the true value, in (0, 1).

        Returns
        -------
        low, high : float
            In `unit`. high is inf where |g|^2 is not positive beyond its error: the noise scale is then only
            known to be above low. Both are inf where it is negative beyond its error, which chance does now
            and then; (0, inf) says nothing, because tr(Sigma) is not positive beyond its error.

        Raises
        ------
        ValueError
            If `level` is not in (0, 1).

        Notes
        -----
        The values of |g|^2 / tr(Sigma) that the two estimates do not contradict, inverted, with a
        quantile of Student's t. For normal estimates it covers exactly, at any size of the error, which
        the symmetric trace/squared_gradient ± a multiple of `simple_noise_scale_se` does not.
        """
        if not fraction(level, "level") > 0:
            raise ValueError(f"level must be in (0, 1); got {level:.6g}")
        N, D, V = self.trace, self.squared_gradient, self.covariance
        t = self._quantile((1 + level) / 2)
        square, middle = N**2 - t**2 * V[0, 0], N * D - t**2 * V[0, 1]
        if N <= 0 or square <= 0:
            return 0.0, np.inf
        root = np.sqrt(max(middle**2 - square * (D**2 - t**2 * V[1, 1]), 0.0))  # below 0 by rounding alone
        low, high = (middle - root) / square, (middle + root) / square
        return (float(1 / high) if high > 0 else np.inf), (float(1 / low) if low > 0 else np.inf)

    @property
    def resolved(self) -> bool:
        """Whether the 95 % interval ends: |g|^2 is positive beyond its error, and nothing contradicts it."""
        return bool(np.isfinite(self.interval()[1])) and not self.contradiction

    def _quantile(self, share: float) -> float:
        """Of Student's t, for the degrees of freedom that there are."""
        return float(ndtri(share) if np.isinf(self.freedom) else stdtrit(self.freedom, share))

    def converted(self, unit: str, size: float) -> NoiseScaleEstimate:
        """The same estimate with batches counted in another unit.

        Parameters
        ----------
        unit : str, such as "tokens"
        size : float
            How many of the new unit make one of the present: the length of the sequences, from sequences
            to tokens.

        Returns
        -------
        NoiseScaleEstimate
            Noise scale and `trace` times `size`. Tokens of one sequence are not independent: the number
            holds for batches of sequences of this length, counted in tokens.

        Raises
        ------
        ValueError
            If `size` is not positive.
        """
        factor = float(positive(size, "size", ndim=0))
        scale = np.array([factor, 1.0])
        return replace(
            self, trace=self.trace * factor, covariance=self.covariance * np.outer(scale, scale), unit=unit
        )

    def __str__(self) -> str:
        low, high = self.interval()
        notes = f"{self.skipped} left out" if self.skipped else "", self.note
        more = "".join(f"; {note}" for note in notes if note)
        if self.resolved:
            point, least, most = (short_number(x) for x in (self.point_estimate, low, high))
            return f"noise scale {point} {self.unit}, {least} to {most} (95 %){more}"
        if self.contradiction:
            return f"noise scale {self.contradiction}{more}"
        if 0 < low < np.inf:
            return f"noise scale not resolved: above {short_number(low)} {self.unit} (95 %){more}"
        return f"noise scale not resolved with this much data{more}"


def short_number(number: float) -> str:
    """Three digits, without an exponent below a million."""
    return f"{float(f'{number:.3g}'):g}"


def spread(pairs: Array, unit: str, skipped: int = 0) -> NoiseScaleEstimate:
    """Mean of independent estimates (n, 2) of trace and |g|^2, with errors from their spread."""
    mean, covariance = pairs.mean(axis=0), np.cov(pairs, rowvar=False) / len(pairs)
    return NoiseScaleEstimate(float(mean[0]), float(mean[1]), covariance, unit, len(pairs) - 1, skipped)


def jackknife(whole: Array, left_out: Array, unit: str, skipped: int = 0) -> NoiseScaleEstimate:
    """Estimate (2,) of all parts, with errors from the estimates (parts, 2) without one of them.

    Errs on the safe side: what is quadratic in the noise counts twice in its variance.
    """
    parts = len(left_out)
    covariance = (parts - 1) * np.cov(left_out, rowvar=False, bias=True)
    return NoiseScaleEstimate(float(whole[0]), float(whole[1]), covariance, unit, parts - 1, skipped)
