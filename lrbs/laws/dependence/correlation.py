"""Correlated noise: when coordinates are not strangers.

What the articles' scalar forms become when the correlations of the noise are put back, and what two
signs of correlated normal noise do exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lrbs.gaussian import sign_product_mean
from lrbs.laws.signs.epsilon import soft_law
from lrbs.laws.signs.scalar_law import ScalarLaw
from lrbs.model import LocalModel
from lrbs.moments import Moments, mean_field, scalar_mean_field
from lrbs.operators import Operator, trace_product
from lrbs.registry import formula
from lrbs.rules import Adam, SignSGD, SoftSignSGD, UpdateRule
from lrbs.validation import Array

__all__ = ["arcsine_trace", "correlated_law", "correlated_scalar_mean_field", "correlation_trace"]

# ------------------------------------------------------------- equations that the core implements
formula(
    "lrbs.orthant",
    title="Mean product of two signs of normal noise",
    tex=r"\begin{aligned}\mathbb E[\operatorname{sign}(x)\operatorname{sign}(y)]"
    r"&=1-2\,[hk<0]\\"
    r"&-4T\!\left(h,\tfrac{k-\rho h}{h\sqrt{1-\rho^2}}\right)\\"
    r"&-4T\!\left(k,\tfrac{h-\rho k}{k\sqrt{1-\rho^2}}\right)\end{aligned}",
    chapter="independence",
    check="orthant_probability",
)(sign_product_mean)
formula(
    "lrbs.arcsine",
    title="The arcsine law",
    tex=r"\begin{gathered}h=k=0:\\[4pt] "
    r"\mathbb E[\operatorname{sign}(x)\operatorname{sign}(y)]=\frac2\pi\arcsin\rho\end{gathered}",
    chapter="independence",
    check="arcsine_law",
)(sign_product_mean)
formula(
    "lrbs.cross-moment",
    title="Mean product of two signs, mean field",
    tex=r"\mathbb E[\operatorname{sign}(x)\operatorname{sign}(y)]\approx"
    r"\frac{hk+\rho}{\sqrt{(1+h^2)(1+k^2)}}",
    chapter="independence",
    check="product_of_two_signs",
)(mean_field)


# ---------------------------------------------------------------------------------- correlated noise
@formula(
    "lrbs.correlated-moments",
    title="Second moment of signs with correlated noise, scalar form",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B\tilde\varphi_B^\top]"
    r"&\approx\beta^2ss^\top+(1-\beta^2)R,\\ R_{ij}&=\frac{\Sigma_{ij}}{\sigma_i\sigma_j}\end{aligned}",
    chapter="independence",
    check="correlated_scalar_form",
)
def correlated_scalar_mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The scalar mean field with the correlations of the noise put back.

    Means and variances are those of :func:`lrbs.scalar_mean_field`; the correlations between coordinates
    are those of `noise`. Equal to :func:`lrbs.mean_field` when all coordinates have one ratio of noise
    to signal. To be passed on as a method; for SignSGD, SoftSignSGD and Adam.

    Raises
    ------
    NotImplementedError
        For other rules.
    """
    if not isinstance(rule, (SignSGD, SoftSignSGD, Adam)):
        raise NotImplementedError(
            f"correlated_scalar_mean_field has no form for {type(rule).__name__}; use mean_field"
        )
    scalar = scalar_mean_field(rule, gradient, noise)
    variances = scalar.covariance.diagonal()
    return Moments(scalar.mean, _correlation(noise).congruence(np.sqrt(variances)))


def correlation_trace(model: LocalModel) -> float:
    """tr(R H), with R the correlation matrix of the noise: tr H when coordinates are independent.

    A coordinate without noise has no correlation, and is left out.

    Examples
    --------
    >>> hessian = [[1.0, 0.5], [0.5, 1.0]]
    >>> model = LocalModel([1.0, 1.0], [[4.0, 2.0], [2.0, 4.0]], hessian)
    >>> correlation_trace(model)
    2.5
    """
    return trace_product(_correlation(model.covariance), model.hessian)


@formula(
    "lrbs.correlated-loss",
    title="Loss decrease of signs with correlated noise",
    tex=r"\begin{aligned}\overline{\Delta\mathcal L}"
    r"&\approx\frac{\Delta\mathcal L_{\max}}{1+B_{\text{loss}}/B},\\"
    r" B_{\text{loss}}&=B_{\text{simple}}\,\frac{\operatorname{tr}(RH)}{s^\top Hs}\end{aligned}",
    chapter="independence",
    check="correlated_law_is_its_moments",
)
@formula(
    "lrbs.correlated-surge",
    title="The peak with correlated noise",
    tex=r"\begin{aligned}\text{a surge iff }&s^\top Hs>2\operatorname{tr}(RH),\\"
    r"B_{\text{peak}}&=B_{\text{simple}}\,\frac{\operatorname{tr}(RH)}{s^\top Hs-2\operatorname{tr}(RH)}"
    r"\end{aligned}",
    chapter="independence",
    check="correlated_law_is_its_moments",
)
@formula(
    "lrbs.correlated-lr",
    title="Optimal learning rate of signs with correlated noise",
    tex=r"\eta^*\approx\frac{\sum_i|g_i|}{\frac1\beta\operatorname{tr}(RH)"
    r"+\beta\left(s^\top Hs-\operatorname{tr}(RH)\right)}",
    chapter="independence",
    check="correlated_law_is_its_moments",
)
def correlated_law(model: LocalModel, epsilon: float = 0.0) -> ScalarLaw:
    """The scalar law of SignSGD, or SoftSignSGD, with the correlations of the noise put back.

    Everything is as with independent coordinates but for tr H, whose place is taken by tr(R H): the
    curvature that the noise meets.

    Parameters
    ----------
    model : LocalModel
    epsilon : float
        In units of the gradient, >= 0.

    Returns
    -------
    ScalarLaw
        With ``.optimal_lr``, ``.loss_decrease``, ``.peak_batch_size``.

    Examples
    --------
    >>> noise, hessian = [[1.0, -0.8], [-0.8, 1.0]], [[1.0, 0.9], [0.9, 1.0]]
    >>> model = LocalModel([1.0, 1.0], noise, hessian)
    >>> # In samples; B_simple is 1.
    >>> round(correlated_law(model).peak_batch_size, 4)
    0.209
    """
    return replace(soft_law(model, epsilon), noise_curvature=correlation_trace(model))


@formula(
    "lrbs.arcsine-trace",
    title="Small batches of correlated normal noise, exactly",
    tex=r"\begin{gathered}B\to0:\quad\eta^*\sim\sqrt{\frac{2B}\pi}\,"
    r"\frac{\sum_ig_i^2/\sigma_i}{\operatorname{tr}(AH)},\\[4pt] A_{ij}=\frac2\pi\arcsin R_{ij},\\[4pt] "
    r"\frac2\pi\le\frac{\operatorname{tr}(AH)}{\operatorname{tr}(RH)}\le1"
    r"\quad\text{if all }R_{ij}H_{ij}\ge0\end{gathered}",
    chapter="independence",
    check="small_batches_of_correlated_noise",
)
def arcsine_trace(model: LocalModel) -> float:
    """tr(A H) with A = (2/pi) arcsin(R): the curvature that signs of pure normal noise meet.

    Between 2/pi and 1 times :func:`correlation_trace` when every R_ij H_ij >= 0, so that the mean field's
    learning rate at small batches is within a factor sqrt(pi/2) = 1.253 of the exact one. Holds R whole.
    """
    correlation = np.clip(_correlation(model.covariance).dense(), -1, 1)
    return float(np.sum(sign_product_mean(np.zeros(1), np.zeros(1), correlation) * model.hessian.dense()))


# ------------------------------------------------------------------------------------------- pieces
def _correlation(noise: Operator) -> Operator:
    """The noise scaled to unit variances; zero rows where there is no noise."""
    deviation = np.sqrt(noise.diagonal())
    return noise.congruence(np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0))
