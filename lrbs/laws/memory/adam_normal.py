"""Adam under normal noise: its moments without approximation, and the first correction to the mean field.

With v = sum_k w_k g_k^2 and normal g_k, E[exp(-s v)] and E[m exp(-s v)] are products over k, and a power of
v is an integral over s of such exponentials. One integral in one dimension replaces the simulation.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.memory.averaging import ema_noise_factor, ema_weights
from lrbs.moments import Moments
from lrbs.operators import Diagonal, Operator
from lrbs.registry import formula
from lrbs.rules import Adam, UpdateRule
from lrbs.validation import Array, count, fraction, positive, real_array, vector

__all__ = ["adam_moments", "corrected_mean", "corrected_square", "exact_adam"]

# The integrals run over log s by the trapezoidal rule, whose error for these integrands is below 1e-10.
_LOG_NODES = np.arange(-100.0, 80.0, 0.4)
# Histories are cut where what is left of the slower average is below this.
_FORGOTTEN = 1e-8
# Below this beta_2 the second average is a single gradient for all practical purposes, and the integrals
# leave the range of nodes.
_LEAST_BETA2 = 1e-3
_ROWS = 2048


@formula(
    "lrbs.adam-normal",
    title="Adam's moments under normal noise",
    tex=r"\begin{gathered}\mathbb E\!\left[\frac{m_t}{\sqrt{v_t}}\right]"
    r"=\int_0^\infty\!\frac{ds}{\sqrt{\pi s}}\,Z\mu C,\\"
    r"\mathbb E\!\left[\frac{m_t^2}{v_t}\right]=\int_0^\infty\!ds\,Z\left(\mu^2C^2+\sigma^2D\right),\\"
    r"Z=\prod_k\frac{e^{-s\,w_k\mu^2r_k}}{\sqrt{1/r_k}},\qquad r_k=\frac1{1+2s\,w_k\sigma^2},\\"
    r"C=\sum_ku_kr_k,\qquad D=\sum_ku_k^2r_k\end{gathered}",
    chapter="ema",
    check="adam_moments_against_simulation",
)
def adam_moments(
    gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float, steps: int | None = None
) -> tuple[Array, Array]:
    """E[phi] and E[phi^2] of Adam under normal noise, coordinate by coordinate, without approximation.

    Parameters
    ----------
    gradient : array_like, shape (N,)
        Mean of the batch gradient.
    variance : array_like, shape (N,)
        Its variance, >= 0.
    beta1, beta2 : float
        In [0, 1); beta2 at least 0.001.
    steps : int, optional
        Since the start from zero, with both averages corrected for it; the stationary state unless told.

    Returns
    -------
    mean, square : ndarray, shape (N,)
        To about eight digits. At beta2 = 0 and beta1 > 0 both would be infinite: dividing by a single
        gradient that can be 0.

    Examples
    --------
    >>> mean, square = adam_moments([0.5], [1.0], beta1=0.9, beta2=0.95)
    >>> round(float(mean[0]), 4), round(float(square[0]), 4)
    (0.4432, 0.23)
    """
    mu, spread = vector(gradient, "gradient"), real_array(variance, "variance")
    spread = np.broadcast_to(spread, mu.shape)
    if (spread < 0).any():
        raise ValueError(f"variance must not be negative; the smallest entry that came is {spread.min():.6g}")
    if fraction(beta2, "beta2") < _LEAST_BETA2:
        raise ValueError(f"beta2 must be at least {_LEAST_BETA2:g}; got {beta2:.6g}")
    fraction(beta1, "beta1")
    if steps is None:
        steps = math.ceil(math.log(_FORGOTTEN) / math.log(max(beta1, beta2)))
    parts = _integrands(beta1, beta2, count(steps, "steps"))
    mean, square = np.sign(mu), np.abs(np.sign(mu))  # where there is no noise, the update is a sign
    noisy = np.flatnonzero(spread > 0)
    for start in range(0, noisy.size, _ROWS):
        rows = noisy[start : start + _ROWS]
        mean[rows], square[rows] = _integrated(mu[rows] / np.sqrt(spread[rows]), *parts)
    return mean, square


def _integrated(ratio: Array, root: Array, decay: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Both moments for coordinates of variance 1 and the given means."""
    s, width = np.exp(_LOG_NODES), _LOG_NODES[1] - _LOG_NODES[0]
    density = np.exp(-root - ratio[:, None] ** 2 * decay)
    mean = ratio * (density @ (first * np.sqrt(s / np.pi))) * width
    square = (ratio**2 * (density @ (first**2 * s)) + density @ (second * s)) * width
    return mean, square


@lru_cache(maxsize=64)
def _integrands(beta1: float, beta2: float, steps: int) -> tuple[Array, Array, Array, Array]:
    """Of Z the logarithm without mean and the factor of mu^2; C and D; at the nodes s, for unit variance."""
    u, w = ema_weights(beta1, steps), ema_weights(beta2, steps)
    u, w = u / u.sum(), w / w.sum()  # Adam's correction of the start
    table = np.empty((4, _LOG_NODES.size))
    for index, s in enumerate(np.exp(_LOG_NODES)):
        q = 2 * s * w
        r = 1 / (1 + q)
        first, second = u * r, u**2 * r
        table[:, index] = np.log1p(q).sum() / 2, (q * r).sum() / 2, first.sum(), second.sum()
    table.flags.writeable = False
    return table[0], table[1], table[2], table[3]


def exact_adam(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """Moments of Adam for independent coordinates with normal noise, as a `method` of `expected_step`.

    Raises
    ------
    NotImplementedError
        For a rule that is not Adam, an epsilon, or noise that is not diagonal.
    """
    if not isinstance(rule, Adam) or rule.epsilon or not isinstance(noise, Diagonal):
        raise NotImplementedError(
            f"exact_adam needs Adam without epsilon and diagonal noise; got {rule!r} and "
            f"{type(noise).__name__}. Use simulated_step"
        )
    mean, square = adam_moments(gradient, noise.values, rule.beta1, rule.beta2)
    return Moments(mean, Diagonal(square - mean**2))


# ----------------------------------------------------------------------------- the first correction
def _fluctuations(mu: Array, spread: Array, beta2: float) -> Array:
    """Variance of v in units of E[v]^2."""
    return np.asarray(ema_noise_factor(beta2) * (4 * mu**2 * spread + 2 * spread**2) / (mu**2 + spread) ** 2)


@formula(
    "lrbs.adam-mean",
    title="Adam's mean update at finite beta_2",
    tex=r"\begin{aligned}\mathbb E\!\left[\frac{m_t}{\sqrt{v_t}}\right]\approx\frac\mu{\sqrt V}\Bigl[1"
    r"&+\frac34\frac{1-\beta_2}{1+\beta_2}\frac{2\mu^2\sigma^2+\sigma^4}{V^2}\\"
    r"&-\frac{(1-\beta_1)(1-\beta_2)}{1-\beta_1\beta_2}\frac{\sigma^2}{V}\Bigr]\!\end{aligned}",
    chapter="ema",
    check="corrected_mean_of_adam",
)
def corrected_mean(gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float) -> Array:
    """Mean update of Adam to first order in 1 - beta_2, for normal noise, coordinate by coordinate.

    v fluctuates, which raises the mean of 1/sqrt(v); and v holds the newest gradient, which m holds as
    well, which lowers it.

    Parameters
    ----------
    gradient, variance : array_like
        Of the batch gradient; the variance positive.
    beta1, beta2 : float

    Returns
    -------
    ndarray

    Examples
    --------
    >>> round(float(corrected_mean(0.5, 1.0, beta1=0.9, beta2=0.95)), 4)
    0.4431
    """
    mu, spread = real_array(gradient, "gradient"), positive(variance, "variance")
    total = mu**2 + spread
    shared = (1 - beta1) * (1 - beta2) / (1 - beta1 * beta2)
    factor = 1 + 3 / 8 * _fluctuations(mu, spread, beta2) - shared * spread / total
    return np.asarray(mu / np.sqrt(total) * factor)


@formula(
    "11267.tfinite",
    title="Adam's mean square under pure noise at finite beta_2",
    tex=r"\begin{aligned}\mu=0:\;\mathbb E[u_t^2]\approx c\,\Bigl[1&+\frac{2(1-\beta_2)}{1+\beta_2}\\"
    r"&-\frac{2(1-\beta_1^2)(1-\beta_2)}{1-\beta_1^2\beta_2}\Bigr]\end{aligned}",
    chapter="update-rms",
    check="square_at_finite_beta2",
)
@formula(
    "lrbs.adam-square",
    title="Adam's mean square at finite beta_2",
    tex=r"\begin{aligned}&\mathbb E[u_t^2]\approx\frac{\mu^2+c\sigma^2}{V}\Bigl[1"
    r"+\frac{1-\beta_2}{1+\beta_2}\,\frac{4\mu^2\sigma^2+2\sigma^4}{V^2}\Bigr]\\"
    r"&-\frac{1-\beta_2}{V^2}\Bigl[\!\frac{4(1-\beta_1)\mu^2\sigma^2}{1-\beta_1\beta_2}"
    r"+\frac{2(1-\beta_1)^2\sigma^4}{1-\beta_1^2\beta_2}\!\Bigr]\end{aligned}",
    chapter="update-rms",
    check="square_at_finite_beta2",
)
def corrected_square(gradient: ArrayLike, variance: ArrayLike, beta1: float, beta2: float) -> Array:
    """Mean square of Adam's update to first order in 1 - beta_2, for normal noise, coordinate by coordinate.

    Parameters as for :func:`corrected_mean`.

    Returns
    -------
    ndarray
        At gradient 0 it is 11267.tfinite.

    Examples
    --------
    >>> square = corrected_square(0.0, 1.0, beta1=0.9, beta2=0.95)
    >>> round(float(square) ** 0.5, 4)
    0.2258
    """
    mu, spread = real_array(gradient, "gradient"), positive(variance, "variance")
    total = mu**2 + spread
    square = (mu**2 + ema_noise_factor(beta1) * spread) / total * (1 + _fluctuations(mu, spread, beta2))
    first = 4 * mu**2 * spread * (1 - beta1) / (1 - beta1 * beta2)
    second = 2 * spread**2 * (1 - beta1) ** 2 / (1 - beta1**2 * beta2)
    return np.asarray(square - (1 - beta2) * (first + second) / total**2)
