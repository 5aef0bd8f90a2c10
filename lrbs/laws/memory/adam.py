"""Adam: two averages, one over the other. Its step, and its mean field coordinate by coordinate.

The mean field of a quotient takes the mean above and below the line; for Adam what is below is itself an
average, so that this becomes exact as beta_2 -> 1. What is missing at a finite beta_2 stands in
:mod:`lrbs.laws.memory.adam_normal`, what follows for the learning rate in
:mod:`lrbs.laws.memory.adam_curves`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.memory.averaging import ema_gain, ema_noise_factor, ema_step
from lrbs.registry import formula
from lrbs.rules import Adam
from lrbs.validation import Array, fraction, non_negative, real_array, vector

__all__ = [
    "AdamState",
    "adamw_step",
    "mean_update",
    "momentum_square",
    "second_average",
    "second_moment",
    "square_from_mean",
    "square_update",
]


# ---------------------------------------------------------------------------------------- the rule
@dataclass(frozen=True)
class AdamState:
    """What Adam remembers: averages of the gradient and of its square, and how many steps they hold."""

    first: Array
    second: Array
    steps: int = 0

    @classmethod
    def zeros(cls, size: int) -> AdamState:
        """Before the first step."""
        return cls(np.zeros(size), np.zeros(size))


@formula(
    "11267.1",
    title="AdamW: the step with decoupled weight decay",
    tex=r"\begin{gathered}\text{AdamW}:\quad u_t=\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon},\\"
    r"\theta_t=\theta_{t-1}-\eta_t\,(u_t+\lambda_t\,\theta_{t-1})\end{gathered}",
    chapter="update-rms",
    check="adam_recursion_against_rule",
)
@formula(
    "11301.12",
    title="Adam",
    tex=r"\begin{aligned}m_t&=\beta_1m_{t-1}+(1-\beta_1)\,g_t,\\"
    r"v_t&=\beta_2v_{t-1}+(1-\beta_2)\,g_t^2,\\"
    r"\hat m_t&=\frac{m_t}{1-\beta_1^t},\qquad\hat v_t=\frac{v_t}{1-\beta_2^t},\\"
    r"\theta_t&=\theta_{t-1}-\eta_t\,\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon}\end{aligned}",
    chapter="ema",
    check="adam_recursion_against_rule",
)
def adamw_step(
    weights: ArrayLike,
    gradient: ArrayLike,
    state: AdamState,
    learning_rate: float,
    rule: Adam | None = None,
    weight_decay: float = 0.0,
) -> tuple[Array, AdamState]:
    """Weights and memory after one step of Adam, with decoupled weight decay (AdamW) if there is any.

    Parameters
    ----------
    weights, gradient : array_like, shape (N,)
    state : AdamState
        From the step before, or ``AdamState.zeros(N)``.
    learning_rate : float
    rule : Adam, optional
        Its coefficients; ``Adam()`` unless told.
    weight_decay : float
        lambda >= 0. It shrinks the weights by learning_rate * lambda and enters neither average.

    Returns
    -------
    weights : ndarray, shape (N,)
    state : AdamState
        Source: 11301.12, 11267.1. A coordinate that never had a gradient does not move, also at epsilon = 0.

    Examples
    --------
    >>> weights, state = adamw_step(
    ...     [1.0, 1.0], [0.3, -20.0], AdamState.zeros(2), learning_rate=0.1
    ... )
    >>> weights  # the first step is a sign
    array([0.9, 1.1])
    """
    adam = Adam() if rule is None else rule
    theta = vector(weights, "weights")
    g = vector(gradient, "gradient", theta.size)
    t = state.steps + 1
    first = ema_step(state.first, g, adam.beta1)
    second = ema_step(state.second, g**2, adam.beta2)
    root = np.sqrt(second / ema_gain(adam.beta2, t)) + adam.epsilon
    update = _quotient(first / ema_gain(adam.beta1, t), root)
    moved = theta - learning_rate * (update + non_negative(weight_decay, "weight_decay") * theta)
    return moved, AdamState(first, second, t)


# -------------------------------------------------------------------- mean field, by coordinate
@formula(
    "11267.10",
    title="Mean square of the average of gradients",
    tex=r"\mathbb E[m_t^2]\approx\mu^2+\frac{1-\beta_1}{1+\beta_1}\,\sigma^2",
    chapter="update-rms",
    check="averages_of_adam",
)
def momentum_square(gradient: ArrayLike, variance: ArrayLike, momentum: float) -> Array:
    """E[m^2] of a stationary average, coordinate by coordinate.

    Parameters
    ----------
    gradient : array_like
        Mean mu of the batch gradient.
    variance : array_like
        Its variance sigma^2 (that of one sample, divided by the batch size).
    momentum : float
        beta_1 in [0, 1).

    Returns
    -------
    ndarray
        Exact for any noise that is new at every step. Source: 11267.10.
    """
    mu, spread = _coordinates(gradient, variance)
    return np.asarray(mu**2 + ema_noise_factor(momentum) * spread)


@formula(
    "11267.4",
    title="Mean of Adam's second average under a constant gradient",
    tex=r"\mathbb E[v_t]=(1-\beta_2^t)(\mu^2+\sigma^2)\to\mu^2+\sigma^2",
    chapter="update-rms",
    check="averages_of_adam",
)
def second_average(
    gradient: ArrayLike, variance: ArrayLike, beta2: float = 0.0, steps: float = math.inf
) -> Array:
    """E[v], coordinate by coordinate; in the stationary state, where beta_2 no longer matters, unless told.

    Parameters as for :func:`momentum_square`; `steps` since the start from zero. Source: 11267.4.
    """
    mu, spread = _coordinates(gradient, variance)
    return np.asarray(ema_gain(beta2, steps) * (mu**2 + spread))


@formula(
    "11301.13",
    title="Mean update of Adam, mean field",
    tex=r"\mathbb E[\tilde\varphi_B]=\mathbb E\!\left[\frac{m_t}{\sqrt{v_t}}\right]"
    r"\approx\frac{\mathbb E[m_t]}{\sqrt{\mathbb E[v_t]}}",
    chapter="ema",
    check="adam_mean_over_beta2",
)
@formula(
    "11301.10",
    title="Mean sign of the average, mean field",
    tex=r"\mathbb E[\tilde\varphi_B]=\mathbb E\!\left[\frac{m_t}{\sqrt{m_t^2}}\right]"
    r"\approx\frac{\mathbb E[m_t]}{\sqrt{\mathbb E[m_t^2]}}",
    chapter="ema",
    check="sign_of_an_average",
)
def mean_update(mean: ArrayLike, square: ArrayLike) -> Array:
    """E[m] / sqrt(E[.]): the mean field of a quotient, coordinate by coordinate.

    Parameters
    ----------
    mean : array_like
        E[m].
    square : array_like
        E[m^2] for the sign of an average (see :func:`momentum_square`), E[v] for Adam (see
        :func:`second_average`).

    Returns
    -------
    ndarray
        0 where both are. For the sign an approximation with errors up to 0.064; for Adam exact as
        beta_2 -> 1. Source: 11301.10, 11301.13.
    """
    numerator, denominator = np.broadcast_arrays(real_array(mean, "mean"), real_array(square, "square"))
    if (denominator < 0).any():
        raise ValueError(f"square must not be negative; the smallest that came is {denominator.min():.6g}")
    return _quotient(numerator, np.sqrt(denominator))


@formula(
    "11301.17",
    title="Mean square of Adam's update at beta_1 = 1",
    tex=r"\beta_1\to1:\quad\mathbb E[\tilde\varphi_B^2]\approx\frac{g_t^2}{g_t^2+\sigma_t^2/B}"
    r"\approx\mathbb E[\tilde\varphi_B]^2",
    chapter="ema",
    check="square_at_full_momentum",
)
@formula(
    "11301.tbeta0",
    title="Mean square of Adam's update at beta_1 = 0",
    tex=r"\beta_1=0:\qquad\mathbb E[\tilde\varphi_B^2]\approx1",
    chapter="ema",
    check="two_special_cases_of_adam",
)
@formula(
    "11301.16",
    title="Mean square of Adam's update, mean field",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B^2]"
    r"&=\mathbb E\!\left[\frac{m_t^2}{v_t}\right]\approx\frac{\mathbb E[m_t^2]}{\mathbb E[v_t]}\\"
    r"&\approx\frac{g_t^2+\frac{1-\beta_1}{1+\beta_1}\,\sigma_t^2/B}{g_t^2+\sigma_t^2/B}\end{aligned}",
    chapter="ema",
    check="adam_square_over_the_plane",
)
@formula(
    "11267.6",
    title="Mean square of Adam's update, mean field",
    tex=r"\mathbb E[u_t^2]\approx\frac{\mu^2+\frac{1-\beta_1}{1+\beta_1}\,\sigma^2}{\mu^2+\sigma^2}",
    chapter="update-rms",
    check="adam_square_over_the_plane",
)
@formula(
    "11267.3",
    title="Mean square of Adam's update as a quotient of means",
    tex=r"\mathbb E[u_t^2]=\mathbb E\!\left[\frac{m_t^2}{v_t}\right]"
    r"\approx\frac{\mathbb E[m_t^2]}{\mathbb E[v_t]}",
    chapter="update-rms",
    check="adam_square_over_the_plane",
)
def square_update(gradient: ArrayLike, variance: ArrayLike, beta1: float) -> Array:
    """E[phi^2] of Adam as E[m^2] / E[v], coordinate by coordinate.

    Parameters as for :func:`momentum_square`.

    Returns
    -------
    ndarray
        0 where there is neither gradient nor noise. Source: 11301.16, 11267.3, 11267.6.

    Examples
    --------
    >>> # Pure noise: 1/19.
    >>> round(float(square_update(0.0, 1.0, beta1=0.9)), 4)
    0.0526
    """
    mu, spread = np.broadcast_arrays(*_coordinates(gradient, variance))
    return _quotient(momentum_square(mu, spread, beta1), second_average(mu, spread))


@formula(
    "11301.19",
    title="Adam's mean square from its mean",
    tex=r"\mathbb E[\tilde\varphi_B^2]\approx\frac{2\beta_1}{1+\beta_1}\,\mathbb E[\tilde\varphi_B]^2"
    r"+\frac{1-\beta_1}{1+\beta_1}",
    chapter="ema",
    check="adam_square_from_its_mean",
)
def square_from_mean(mean: ArrayLike, beta1: float) -> Array:
    """E[phi^2] of Adam from E[phi] alone: part of it is the signal's, the rest a floor of noise.

    Source: 11301.19.
    """
    b = fraction(beta1, "beta1")
    return np.asarray(2 * b / (1 + b) * real_array(mean, "mean") ** 2 + (1 - b) / (1 + b))


@formula(
    "11301.20",
    title="Second moment of Adam's update",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B\tilde\varphi_B^\top]\approx\;"
    r"&\mathbb E[\tilde\varphi_B]\,\mathbb E[\tilde\varphi_B]^\top\\"
    r"&+\frac{1-\beta_1}{1+\beta_1}\operatorname{diag}\!"
    r"\left(1-\mathbb E[\tilde\varphi_B]^2\right)\end{aligned}",
    chapter="ema",
    check="second_moment_of_adam",
)
def second_moment(mean: ArrayLike, beta1: float) -> Array:
    """E[phi phi^T] of Adam for independent coordinates, shape (N, N).

    Parameters
    ----------
    mean : array_like, shape (N,)
        E[phi].
    beta1 : float

    Returns
    -------
    ndarray, shape (N, N)
        Source: 11301.20. With beta1 = 0 that of SignSGD.
    """
    phi = vector(mean, "mean")
    return np.outer(phi, phi) + ema_noise_factor(beta1) * np.diag(1 - phi**2)


def _coordinates(gradient: ArrayLike, variance: ArrayLike) -> tuple[Array, Array]:
    mu, spread = real_array(gradient, "gradient"), real_array(variance, "variance")
    if (spread < 0).any():
        raise ValueError(f"variance must not be negative; the smallest entry that came is {spread.min():.6g}")
    return mu, spread


def _quotient(numerator: Array, denominator: Array) -> Array:
    """Quotient, with 0/0 = 0: a coordinate without gradient and noise does not move."""
    return np.asarray(np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0))
