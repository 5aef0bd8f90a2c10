"""Adam's closed laws: what its two averages make of the learning rate, the peak and the loss decrease.

They are those of SignSGD with one number changed. Momentum takes noise out of Adam's update and leaves the
length of its mean alone, so that only the curvature met by the noise is multiplied by c.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.memory.averaging import ema_noise_factor
from lrbs.laws.memory.momentum import effective_batch_size
from lrbs.laws.signs.curves import normalised_batch_size
from lrbs.laws.signs.scalar_law import ScalarLaw
from lrbs.model import LocalModel
from lrbs.registry import formula
from lrbs.validation import Array, positive, real_array

__all__ = ["adam_law", "full_momentum_lr", "scalar_mean_update"]


@formula(
    "11301.15",
    title="Mean update of Adam, scalar form",
    tex=r"\mathbb E[\tilde\varphi_B]\approx\frac{g_t}{\sqrt{g_t^2+\sigma_t^2/B}}"
    r"\approx\frac{\operatorname{sign}(g_t)}{\sqrt{1+B_{\text{simple}}/B}}",
    chapter="ema",
    check="one_ratio_for_all_coordinates",
)
@formula(
    "11301.11",
    title="Mean update of SignSGD with momentum, scalar form",
    tex=r"\mathbb E[\tilde\varphi_B]\approx\frac{\operatorname{sign}(g_t)}"
    r"{\sqrt{1+\frac{1-\beta_1}{1+\beta_1}\,B_{\text{simple}}/B}}",
    chapter="ema",
    check="momentum_of_signs_and_muon",
)
def scalar_mean_update(
    gradient: ArrayLike, batch_size: ArrayLike, simple_noise_scale: ArrayLike, momentum: float = 0.0
) -> Array:
    """sign(g) (1 + B_simple/B)^(-1/2) at the effective batch size: one signal-to-noise ratio for all.

    Parameters
    ----------
    gradient : array_like
    batch_size, simple_noise_scale : array_like
        Positive.
    momentum : float
        Of SignSGD. Leave it at 0 for Adam, whose second average sees the noise before it is averaged.

    Returns
    -------
    ndarray
        Source: 11301.11, 11301.15.
    """
    beta = normalised_batch_size(effective_batch_size(batch_size, momentum), simple_noise_scale)
    return np.asarray(np.sign(real_array(gradient, "gradient")) * beta)


@formula(
    "11301.18",
    title="Adam's optimal learning rate at beta_1 = 1",
    tex=r"\beta_1\to1:\qquad\eta^*\approx\frac{\Vert g\Vert_1\sqrt{1+B_{\text{simple}}/B}}"
    r"{\operatorname{sign}(g)^\top H\operatorname{sign}(g)}",
    chapter="ema",
    check="learning_rate_at_full_momentum",
)
def full_momentum_lr(
    batch_size: ArrayLike, gradient_sum: ArrayLike, sign_curvature: ArrayLike, simple_noise_scale: ArrayLike
) -> Array:
    """Adam's optimal learning rate as beta_1 -> 1, when m is free of noise and v is not: it falls with B.

    Parameters
    ----------
    batch_size : array_like
    gradient_sum : array_like
        sum |g_i|.
    sign_curvature : array_like
        s^T H s with s = sign(g).
    simple_noise_scale : array_like

    Returns
    -------
    ndarray
        Source: 11301.18.
    """
    beta = normalised_batch_size(batch_size, simple_noise_scale)
    limit = real_array(gradient_sum, "gradient_sum") / positive(sign_curvature, "sign_curvature")
    return np.asarray(limit / beta)


@formula(
    "lrbs.adam-loss",
    title="Adam's loss decrease at the optimal learning rate",
    tex=r"\begin{gathered}\overline{\Delta\mathcal L}\approx"
    r"\frac{\Delta\mathcal L_{\max}}{1+B_{\text{loss}}/B},\\"
    r"\Delta\mathcal L_{\max}=\frac{(\sum_i|g_i|)^2}{2\,s^\top Hs},\\"
    r"B_{\text{loss}}=c\,B_{\text{simple}}\,\frac{\operatorname{tr}H}{s^\top Hs}\end{gathered}",
    chapter="ema",
    check="loss_decrease_of_adam",
)
@formula(
    "lrbs.adam-peak",
    title="Where Adam's learning rate peaks, any Hessian",
    tex=r"\begin{gathered}s^\top Hs>2c\operatorname{tr}H:\\"
    r"B_{\text{peak}}=\frac{c\operatorname{tr}H}{s^\top Hs-2c\operatorname{tr}H}\,"
    r"B_{\text{simple}}\end{gathered}",
    chapter="ema",
    check="peak_of_adam",
)
@formula(
    "11301.tsurge",
    title="Where Adam's learning rate peaks, diagonal Hessian",
    tex=r"\begin{gathered}\beta^*=\sqrt{\frac{1-\beta_1}{2\beta_1}},\\"
    r"\beta_1>\tfrac13:\quad "
    r"B_{\text{peak}}=\frac{1-\beta_1}{3\beta_1-1}\,B_{\text{simple}}\end{gathered}",
    chapter="ema",
    check="peak_of_adam",
)
@formula(
    "11301.22",
    title="Adam's optimal learning rate for a diagonal Hessian",
    tex=r"\begin{gathered}H\text{ diagonal}:\\"
    r"\eta^*\approx\frac{\sum_i|g_i|}"
    r"{\left(\frac1\beta\,\frac{1-\beta_1}{1+\beta_1}+\beta\,\frac{2\beta_1}{1+\beta_1}\right)\sum_iH_{ii}}\end{gathered}",
    chapter="ema",
    check="adam_with_a_diagonal_hessian",
)
@formula(
    "11301.21",
    title="Adam's optimal learning rate",
    tex=r"\begin{gathered}\eta^*\approx\frac{\sum_i|g_i|}{\frac c\beta\,T+\beta\,(Q-c\,T)},\\"
    r"T=\sum_iH_{ii},\qquad Q=\sum_{i,j}H_{ij}\operatorname{sign}(g_ig_j),\\"
    r"\beta=\left(1+\frac{B_{\text{simple}}}{B}\right)^{-1/2},\qquad "
    r"c=\frac{1-\beta_1}{1+\beta_1}\end{gathered}",
    chapter="ema",
    check="adam_law_against_minimised_loss",
)
def adam_law(model: LocalModel, beta1: float) -> ScalarLaw:
    """Adam's curves in the batch size at a point of training: learning rate, peak, loss decrease.

    Parameters
    ----------
    model : LocalModel
        Its Hessian must have a diagonal; its covariance enters through B_simple alone.
    beta1 : float
        In [0, 1); at 0 the law is that of SignSGD.

    Returns
    -------
    ScalarLaw
        SignSGD's law with c tr H in the place of tr H: independent coordinates that share one ratio of
        signal to noise, stationary averages, beta_2 near 1. Its `optimal_lr` is 11301.21 and, for a
        diagonal Hessian, 11301.22; its `peak_batch_size` is 11301.tsurge, inf without a surge.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[100.0, 100.0], hessian=[1.0, 1.0]
    ... )
    >>> law = adam_law(model, beta1=0.9)
    >>> round(law.peak_batch_size / model.simple_noise_scale, 4)
    0.0588
    """
    sign = ScalarLaw.of_sign(model)
    return replace(sign, noise_curvature=ema_noise_factor(beta1) * sign.noise_curvature)
