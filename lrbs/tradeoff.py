"""Steps against examples: what a larger batch saves in time, and what it costs in data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.stats import t as student

from lrbs.registry import formula
from lrbs.validation import Array, positive, vector

__all__ = ["TradeoffFit", "examples", "fit_tradeoff", "hyperbola", "steps"]

# Batch sizes this many powers of e beyond those measured are searched for the critical one.
MARGIN = 7.0


def steps(batch_size: ArrayLike, min_steps: ArrayLike, noise_scale: ArrayLike) -> Array:
    """Steps to a target loss at optimal learning rates, S = S_min (1 + B_noise/B).

    Parameters
    ----------
    batch_size : array_like
        B > 0, in samples.
    min_steps : array_like
        S_min > 0: steps needed with exact gradients.
    noise_scale : array_like
        B_noise > 0, in samples, taken as constant along the run.

    Returns
    -------
    ndarray
        Source: 10542.14, 11260.9.

    Examples
    --------
    >>> float(steps(100, min_steps=1000, noise_scale=100))
    2000.0
    """
    return np.asarray(
        positive(min_steps, "min_steps")
        * (1 + positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size"))
    )


def examples(batch_size: ArrayLike, min_steps: ArrayLike, noise_scale: ArrayLike) -> Array:
    """Examples to a target loss, E = B S = S_min (B + B_noise); at least E_min = B_noise S_min.

    Parameters as for :func:`steps`. Source: 10542.14, 11260.9.
    """
    return np.asarray(positive(batch_size, "batch_size") * steps(batch_size, min_steps, noise_scale))


@formula(
    "10542.34",
    repeats="11260.9",
    chapter="older-route",
    check="sign_steps_against_examples",
    tex=r"\left(\frac{S}{S_{\min}}-1\right)\left(\frac{E}{E_{\min}}-1\right)=1,\qquad "
    r"\frac{E_{\min}}{S_{\min}}=B_{\text{loss}}",
)
@formula("11280.11", repeats="11260.9", chapter="mean-field", check="sign_steps_against_examples")
@formula(
    "11260.9",
    repeats="10542.14",
    tex=r"\left(\frac{S}{S_{\min}}-1\right)\left(\frac{E}{E_{\min}}-1\right)=1",
    chapter="status-quo",
)
@formula(
    "10542.14",
    title="Steps against examples",
    tex=r"\begin{gathered}\left(\frac{S}{S_{\min}}-1\right)\left(\frac{E}{E_{\min}}-1\right)=1,\\[4pt] "
    r"S=\left(1+\frac{B_{\text{noise}}}{B}\right)S_{\min},\quad E=BS,\quad "
    r"E_{\min}=B_{\text{noise}}S_{\min}\end{gathered}",
    chapter="status-quo",
    check="steps_against_examples",
)
def hyperbola(steps: ArrayLike, min_steps: ArrayLike, min_examples: ArrayLike) -> Array:
    """Examples that go with a number of steps, E = E_min (1 + 1/(S/S_min - 1)).

    Parameters
    ----------
    steps : array_like
        S, all above `min_steps`.
    min_steps, min_examples : array_like
        The two limits S_min and E_min, positive; E_min / S_min is the noise scale.

    Returns
    -------
    ndarray
        E, in samples. Source: 10542.14, 11260.9.

    Raises
    ------
    ValueError
        If some number of steps does not exceed `min_steps`: no batch is large enough.

    Examples
    --------
    >>> float(hyperbola(2000, min_steps=1000, min_examples=100_000))
    200000.0
    """
    S, S_min = positive(steps, "steps"), positive(min_steps, "min_steps")
    if not (S_min < S).all():
        raise ValueError(f"steps must exceed min_steps; got {np.min(S - S_min):.6g} above it at the least")
    return np.asarray(positive(min_examples, "min_examples") * (1 + 1 / (S / S_min - 1)))


@dataclass(frozen=True)
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
    freedom : int or None
        Degrees of freedom that the errors were estimated with; None if they were given.
    """

    min_steps: float
    min_examples: float
    covariance: Array
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

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals of the three numbers, by name; symmetric on a logarithmic scale.

        Parameters
        ----------
        level : float
            Probability in (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be in (0, 1); got {level!r}")
        width = float(student.ppf((1 + level) / 2, np.inf if self.freedom is None else self.freedom))
        values = {
            "min_steps": (self.min_steps, self._relative_se(1, 0)),
            "min_examples": (self.min_examples, self._relative_se(0, 1)),
            "critical_batch_size": (self.critical_batch_size, self._relative_se(-1, 1)),
        }
        return {
            name: (value * float(np.exp(-width * error)), value * float(np.exp(width * error)))
            for name, (value, error) in values.items()
        }

    def _relative_se(self, steps_power: int, examples_power: int) -> float:
        powers = np.array([steps_power, examples_power])
        return float(np.sqrt(powers @ self.covariance @ powers))


@formula(
    "10542.d48",
    title="Critical batch size by a fit",
    tex=r"S=S_{\min}\left(1+\frac{B_{\text{noise}}}{B}\right)\quad\text{fitted to measured }(B,S)",
    chapter="schedules",
    check="tradeoff_fitted_to_runs",
)
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

    Raises
    ------
    ValueError
        If the runs do not show both limits, steps that fall as 1/B and steps that no longer fall: then
        one of the two numbers is not resolved by them.

    Examples
    --------
    >>> fit = fit_tradeoff([10, 100, 1000], [11_000, 2000, 1100])
    >>> round(fit.min_steps, 3), round(fit.min_examples, 3), round(fit.critical_batch_size, 3)
    (1000.0, 100000.0, 100.0)
    """
    B = positive(vector(batch_size, "batch_size"), "batch_size")
    S = positive(vector(steps, "steps", B.size), "steps")
    if B.size < 3:
        raise ValueError(f"batch_size must hold 3 or more runs for 2 unknowns; got {B.size}")
    if relative_error is not None and np.shape(relative_error) not in ((), B.shape):
        raise ValueError(
            f"relative_error must be a number or have shape {B.shape}; got {np.shape(relative_error)}"
        )
    errors = np.broadcast_to(
        1.0 if relative_error is None else positive(relative_error, "relative_error"), B.shape
    )
    weights = errors**-2.0

    def misfit(log_scale: ArrayLike) -> Array:
        """Squares of ln S minus the curve with a noise scale and the best S_min for it, which is linear."""
        rest = np.log(S) - np.log1p(np.exp(log_scale)[..., None] / B)
        rest = rest - np.average(rest, axis=-1, weights=weights)[..., None]
        return np.asarray(rest**2 @ weights)

    grid = np.arange(np.log(B.min()) - MARGIN, np.log(B.max()) + MARGIN, 0.25)
    best = int(np.argmin(misfit(grid)))
    if best in (0, len(grid) - 1):
        limit = "do not fall with the batch size" if best == 0 else "fall as 1/B throughout"
        raise ValueError(
            f"steps must show both limits of the curve; these {limit}: add batch sizes beyond them"
        )
    found = minimize_scalar(
        misfit, bounds=(grid[best - 1], grid[best + 1]), method="bounded", options={"xatol": 1e-9}
    )
    scale = float(np.exp(found.x))
    min_steps = float(np.exp(np.average(np.log(S) - np.log1p(scale / B), weights=weights)))
    share = 1 / (1 + scale / B)  # of S_min in S: the slopes of ln S by ln S_min and ln E_min
    slopes = np.stack([share, 1 - share], axis=1)
    covariance = np.linalg.inv(slopes.T @ (weights[:, None] * slopes))
    freedom = None
    if relative_error is None:
        freedom = B.size - 2
        covariance = covariance * float(found.fun) / freedom
    return TradeoffFit(min_steps, scale * min_steps, np.asarray(covariance, dtype=np.float64), freedom)
