"""Momentum as a larger batch: any average over time, and any rule on it.

For one step from frozen weights the whole effect of a linear average is one number, by which it multiplies
the batch size. For many steps it is not: see :func:`stationary_variance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.memory.averaging import ema_gain, ema_noise_factor
from lrbs.laws.sgd import saturation
from lrbs.moments import Moments, exact, mean_field, scalar_mean_field
from lrbs.operators import Operator
from lrbs.registry import formula
from lrbs.rules import UpdateRule
from lrbs.validation import Array, fraction, positive, real_array, vector

__all__ = [
    "Averaged",
    "batch_multiplier",
    "effective_batch_size",
    "ema_batch_multiplier",
    "lion_batch_multiplier",
    "nesterov_batch_multiplier",
    "sgdm_lr",
    "stationary_variance",
]


@formula(
    "lrbs.averaging",
    title="Any linear average multiplies the batch",
    tex=r"\tilde\varphi_B=\sum_kw_k\,\tilde g_{B,t-k}:\qquad "
    r"B\to\frac{\left(\sum_kw_k\right)^2}{\sum_kw_k^2}\,B",
    chapter="ema",
    check="linear_averages_multiply_the_batch",
)
def batch_multiplier(weights: ArrayLike) -> float:
    """By how much a weighted average of gradients multiplies the batch size, (sum w)^2 / sum w^2.

    Parameters
    ----------
    weights : array_like, shape (steps,)
        Of gradients at different times; their order does not matter.

    Returns
    -------
    float
        Between 1 and the number of weights if none is negative. Exact for linear rules; for rules
        that are not, it needs normal noise.

    Examples
    --------
    >>> # Four batches, one gradient.
    >>> batch_multiplier([0.25, 0.25, 0.25, 0.25])
    4.0
    """
    w = vector(weights, "weights")
    if w.sum() == 0:
        raise ValueError("weights must not sum to 0: such an average keeps nothing of the gradient")
    return float(w.sum() ** 2 / (w @ w))


@formula(
    "lrbs.start-up",
    title="Momentum's batch multiplier during start-up",
    tex=r"B\to\frac{1+\beta_1}{1-\beta_1}\cdot\frac{1-\beta_1^t}{1+\beta_1^t}\,B",
    chapter="ema",
    check="linear_averages_multiply_the_batch",
)
def ema_batch_multiplier(decay: float, steps: float = math.inf) -> float:
    """Batch multiplier of heavy-ball momentum, (1 + b)/(1 - b), and below that during its first steps.

    Parameters as for :func:`ema_gain`. A correction of the start-up (Adam's m-hat) changes the length of
    the average and not this ratio.

    Examples
    --------
    >>> round(ema_batch_multiplier(0.9), 6)
    19.0
    >>> round(ema_batch_multiplier(0.9, steps=1), 6)
    1.0
    """
    return ema_gain(decay, steps) ** 2 / ema_noise_factor(decay, steps)


@formula(
    "lrbs.nesterov",
    title="Batch multiplier of Nesterov's momentum",
    tex=r"\begin{gathered}\tilde\varphi_B=\beta_1m_t+(1-\beta_1)\,\tilde g_{B,t}:\\"
    r"B\to\frac{1+\beta_1}{(1-\beta_1)(1+2\beta_1-2\beta_1^3)}\,B\end{gathered}",
    chapter="ema",
    check="linear_averages_multiply_the_batch",
)
def nesterov_batch_multiplier(momentum: float) -> float:
    """Batch multiplier of Nesterov's momentum on the normalised average.

    Examples
    --------
    >>> round(nesterov_batch_multiplier(0.9), 2)
    14.16
    """
    b = fraction(momentum, "momentum")
    return (1 + b) / ((1 - b) * (1 + 2 * b - 2 * b**3))


@formula(
    "lrbs.lion",
    title="Batch multiplier of Lion",
    tex=r"\begin{gathered}\tilde\varphi_B=\operatorname{sign}(\beta_1m_{t-1}+(1-\beta_1)\,\tilde g_{B,t}):\\"
    r"B\to\frac{B}{(1-\beta_1)^2+\beta_1^2\,\frac{1-\beta_2}{1+\beta_2}}\end{gathered}",
    chapter="ema",
    check="linear_averages_multiply_the_batch",
)
def lion_batch_multiplier(beta1: float, beta2: float) -> float:
    """Batch multiplier of Lion's two coefficients, under normal noise.

    Examples
    --------
    >>> round(lion_batch_multiplier(0.9, 0.99), 2)
    71.07
    """
    b1, b2 = fraction(beta1, "beta1"), fraction(beta2, "beta2")
    return 1 / ((1 - b1) ** 2 + b1**2 * ema_noise_factor(b2))


def effective_batch_size(batch_size: ArrayLike, momentum: float) -> Array:
    """Batch size without memory whose gradient has the noise of the average, B (1 + b)/(1 - b)."""
    return np.asarray(positive(batch_size, "batch_size") * ema_batch_multiplier(momentum))


@formula(
    "11301.8",
    title="Optimal learning rate of SGD with momentum",
    tex=r"\begin{gathered}\eta^*\approx\frac{\eta_{\max}}{1+\frac{1-\beta_1}{1+\beta_1}\,B_{\text{noise}}/B},\\"
    r"\eta_{\max}=\frac{g^\top g}{g^\top Hg},\quad "
    r"B_{\text{noise}}=\frac{\operatorname{tr}(\Sigma H)}{g^\top Hg}\end{gathered}",
    chapter="ema",
    check="momentum_as_a_larger_batch",
)
def sgdm_lr(batch_size: ArrayLike, max_lr: ArrayLike, noise_scale: ArrayLike, momentum: float) -> Array:
    """SGD's law at the effective batch size; the loss decrease follows the same law.

    Parameters
    ----------
    batch_size : array_like
    max_lr, noise_scale : array_like
        Of SGD without momentum; see :class:`lrbs.LocalModel`.
    momentum : float
        Of the normalised average.

    Returns
    -------
    ndarray
        Source: 11301.8. For one step from frozen weights with a stationary average; see
        :func:`stationary_variance` for many steps.
    """
    return saturation(effective_batch_size(batch_size, momentum), max_lr, noise_scale)


@formula(
    "lrbs.sgdm-floor",
    title="Where SGD with momentum settles",
    tex=r"\operatorname{Var}[w]=\frac{\eta\,\sigma^2}{\lambda B}\cdot"
    r"\frac{1}{2-\frac{1-\beta_1}{1+\beta_1}\,\eta\lambda}",
    chapter="ema",
    check="momentum_does_not_lower_the_floor",
)
def stationary_variance(
    curvature: ArrayLike, learning_rate: ArrayLike, noise_variance: ArrayLike, momentum: float = 0.0
) -> Array:
    """Variance of a weight after many steps of SGD with momentum on the loss curvature * w^2 / 2.

    Parameters
    ----------
    curvature : array_like
        lambda > 0.
    learning_rate : array_like
        Below 2 (1 + b) / (1 - b) / curvature: beyond that the iteration diverges.
    noise_variance : array_like
        sigma^2/B of the batch gradient.
    momentum : float
        Of the normalised average.

    Returns
    -------
    ndarray
        At small learning rates momentum changes nothing: what one step gains by averaging, the next
        steps lose by meeting the same noise again.

    Raises
    ------
    ValueError
        If a learning rate is too large for the iteration to settle.
    """
    bend, eta = positive(curvature, "curvature"), positive(learning_rate, "learning_rate")
    rest = 2 - ema_noise_factor(momentum) * eta * bend
    if not (rest > 0).all():
        raise ValueError(
            f"learning_rate must be below {2 / ema_noise_factor(momentum):.6g} / curvature for the weights "
            f"to settle; got up to {np.max(eta * bend):.6g} / curvature"
        )
    return np.asarray(eta * positive(noise_variance, "noise_variance") / (bend * rest))


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Averaged:
    """A rule without memory that acts on a weighted average of the latest gradients.

    Parameters
    ----------
    rule : UpdateRule
        Without memory of its own: ``SGD()``, ``SignSGD()``, ``Muon(shape)``.
    weights : array_like, shape (steps,)
        Newest first; see :mod:`lrbs.laws.memory.averaging`. Under a shorter history those of older
        gradients are left out, as in a start from zero.

    Examples
    --------
    >>> from lrbs.laws.memory.averaging import lion_weights
    >>> from lrbs.rules import SignSGD
    >>> lion = Averaged(SignSGD(), lion_weights(0.9, 0.99, steps=1500))
    >>> round(1 / lion.noise_factor, 2)
    71.07
    """

    rule: UpdateRule
    weights: ArrayLike = field(repr=False)

    def __post_init__(self) -> None:
        if self.rule.horizon != 1:
            raise ValueError(f"rule must have no memory of its own; got {self.rule!r}")
        object.__setattr__(self, "weights", vector(self.weights, "weights"))

    @property
    def noise_factor(self) -> float:
        """One over the batch multiplier of the weights."""
        return 1 / batch_multiplier(self.weights)

    @property
    def horizon(self) -> int:
        """Number of weights."""
        return int(np.size(self.weights))

    def __call__(self, gradients: ArrayLike) -> Array:
        """Update after a history of gradients, (..., steps, N) to (..., N)."""
        history = real_array(gradients, "gradients")
        if history.ndim < 2 or history.shape[-2] == 0:
            raise ValueError(f"gradients must have shape (..., steps, N), steps >= 1; got {history.shape}")
        latest = history[..., -self.horizon :, :]
        weights = np.asarray(self.weights)[: latest.shape[-2]][::-1]
        return self.rule(np.einsum("t,...tn->...n", weights, latest)[..., None, :])


def _as_one_gradient(rule: Averaged, gradient: Array, noise: Operator) -> tuple[UpdateRule, Array, Operator]:
    """The rule without memory, and the mean and covariance of what it acts on."""
    weights = np.asarray(rule.weights)
    return rule.rule, weights.sum() * gradient, noise.scaled(float(weights @ weights))


@exact.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return exact(*_as_one_gradient(rule, gradient, noise))


@mean_field.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return mean_field(*_as_one_gradient(rule, gradient, noise))


@scalar_mean_field.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return scalar_mean_field(*_as_one_gradient(rule, gradient, noise))
