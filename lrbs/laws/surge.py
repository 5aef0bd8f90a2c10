"""Where SignSGD's learning rate peaks: exactly, at small batches, and as read off the loss.

The scalar forms' own answer is :attr:`lrbs.ScalarLaw.peak_batch_size`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfinv

from lrbs.approximations import ERF_SLOPE, exact, linearised_erf
from lrbs.model import LocalModel
from lrbs.moments import Method
from lrbs.rules import SignSGD, UpdateRule
from lrbs.step import expected_step
from lrbs.validation import Array, plain, positive

__all__ = [
    "exact_peak_batch_size",
    "peak_beta_from_loss_scale",
    "peak_from_loss_scale",
    "searched_peak",
    "small_batch_peak",
]


def exact_peak_batch_size(squared_ratio: ArrayLike, peak_beta: ArrayLike) -> Array:
    """Where SignSGD's optimal learning rate peaks, when all coordinates have one ratio sigma/|g|.

    Parameters
    ----------
    squared_ratio : array_like
        kappa^2 = (sigma_i / g_i)^2, the same for all i; then it is B_simple. In samples.
    peak_beta : array_like
        beta* = :attr:`lrbs.ScalarLaw.peak_beta`, in (0, 1).

    Returns
    -------
    ndarray
        In samples. Exact for independent normal noise on a quadratic loss. Source: lrbs.exact-peak.

    Raises
    ------
    ValueError
        If some peak_beta is outside (0, 1): without a surge there is no peak.

    Examples
    --------
    >>> round(float(exact_peak_batch_size(100.0, 0.5)), 2)
    45.49
    """
    beta = positive(peak_beta, "peak_beta")
    if not (beta < 1).all():
        raise ValueError(f"peak_beta must be below 1, or there is no peak; got {beta.max():.6g}")
    return plain(2 * positive(squared_ratio, "squared_ratio") * erfinv(beta) ** 2)


def searched_peak(model: LocalModel, rule: UpdateRule | None = None, method: Method = exact) -> float:
    """Batch size of the largest optimal learning rate, by a search along the curve itself.

    Parameters
    ----------
    model : LocalModel
    rule : UpdateRule, optional, SignSGD unless told
    method : callable
        An approximation, such as :func:`lrbs.exact`.

    Returns
    -------
    float
        In samples; inf where the curve rises all the way from B_simple/10^6 to 10^6 B_simple.

    Examples
    --------
    >>> hessian = 0.1 * np.eye(3) + 0.9
    >>> model = LocalModel([1.0, 1.0, 1.0], [9.0, 9.0, 9.0], hessian)
    >>> round(searched_peak(model), 2)
    11.68
    >>> round(float(exact_peak_batch_size(9.0, 0.745356)), 2)
    11.68
    """

    def curve(logs: Array) -> Array:
        sizes = model.simple_noise_scale * np.exp(logs)
        return expected_step(model, rule or SignSGD(), sizes, method).optimal_lr

    coarse = np.linspace(-math.log(1e6), math.log(1e6), 140)
    rates = curve(coarse)
    top = int(rates.argmax())
    # A learning rate that has reached its limit is no peak, though rounding may make it look like one.
    if top in (0, coarse.size - 1) or rates[top] < rates[-1] * (1 + 1e-9):
        return math.inf
    fine = np.linspace(coarse[top - 1], coarse[top + 1], 41)
    rates = curve(fine)
    top = int(np.clip(rates.argmax(), 2, fine.size - 3))
    near = slice(top - 2, top + 3)
    bend, slope, _ = np.polyfit(fine[near] - fine[top], rates[near], 2)
    return float(model.simple_noise_scale * np.exp(fine[top] - slope / (2 * bend)))


def small_batch_peak(model: LocalModel) -> float:
    """Peak of SignSGD's optimal learning rate under :func:`lrbs.approximations.linearised_erf`, in samples.

    Parameters
    ----------
    model : LocalModel
        With noise in every coordinate; its covariance counts by its diagonal alone.

    Returns
    -------
    float
        pi tr(H) / (2 S). Under the same linearisation it is also the half-way point of the loss decrease.
        Source: lrbs.surge-small-batch, arXiv 2405.14578.

    Raises
    ------
    ValueError
        If S is not positive: then the small-batch law has no peak.
    """
    trace = model.hessian.trace()
    step = expected_step(model, SignSGD(), 1.0, linearised_erf)
    excess = float(step.curvature) - trace  # 2 S / pi
    if excess <= 1e-12 * trace:  # what a diagonal Hessian leaves is rounding
        raise ValueError(f"the off-diagonal sum S must be positive; got {ERF_SLOPE * excess:.6g}: no surge")
    return trace / excess


def peak_from_loss_scale(loss_scale: float, noise_scale: float) -> float:
    """Batch size of the surge from that of the loss: 1/peak = 1/loss_scale - 2/noise_scale. Source: 10542.33.

    Parameters
    ----------
    loss_scale : float
        Half-way point of the loss decrease, in samples: the E_min / S_min of a fit.
    noise_scale : float
        The scale inside beta, in samples: pi kappa^2 / 2 on the older route.

    Returns
    -------
    float, inf without a surge

    Raises
    ------
    ValueError
        If `loss_scale` or `noise_scale` is not positive.
    """
    inverse = 1 / float(positive(loss_scale, "loss_scale")) - 2 / float(positive(noise_scale, "noise_scale"))
    return 1 / inverse if inverse > 0 else math.inf


def peak_beta_from_loss_scale(loss_scale: float, noise_scale: float) -> float:
    """beta* of the surge from the half-way point of the loss: sqrt(loss_scale / (noise_scale - loss_scale)).

    Parameters
    ----------
    loss_scale : float, half-way point of the loss decrease, in samples
    noise_scale : float
        The scale inside beta, in samples: pi kappa^2 / 2 on the older route.

    Returns
    -------
    float
        There is a surge if it is below 1, that is if loss_scale < noise_scale / 2. Source: 10542.tbetanoise.

    Raises
    ------
    ValueError
        If one is not positive, or `loss_scale` not below `noise_scale`: the off-diagonal sum is not positive.
    """
    half, scale = float(positive(loss_scale, "loss_scale")), float(positive(noise_scale, "noise_scale"))
    if half >= scale:
        raise ValueError(
            f"loss_scale must be below noise_scale = {scale:.6g} for a real beta*; got {half:.6g}"
        )
    return math.sqrt(half / (scale - half))
