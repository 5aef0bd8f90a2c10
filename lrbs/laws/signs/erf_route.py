"""The older route to the sign's mean: the error function, a stand-in for it, and the constants pi/2.

Article 10542 averages the sign over normal noise, which gives erf, and replaces that by a function of the
mean field's form. The result is the mean field with pi/2 times the variance, and so is everything that
follows: :func:`older_route` turns either mean field into its elder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.signs.sign import mean_field_sign
from lrbs.model import LocalModel
from lrbs.moments import Method, Moments, mean_field
from lrbs.operators import Operator
from lrbs.registry import formula
from lrbs.rules import SignSGD, SoftSignSGD, UpdateRule, softsign
from lrbs.step import Step, expected_step
from lrbs.validation import Array, positive, real_array

__all__ = [
    "ERF_SLOPE",
    "erf_route_sign",
    "erf_route_step",
    "erf_stand_in",
    "older_route",
]

ERF_SLOPE = np.pi / 2
"""What the older route multiplies the noise's variance by: 2c, with the c = pi/4 of 10542.17."""


@formula(
    "10542.17",
    title="A stand-in for the error function",
    tex=r"\operatorname{erf}(x)\approx\frac{x}{\sqrt{x^2+c}},\qquad c=\frac\pi4",
    chapter="older-route",
    check="erf_stand_in_error",
)
def erf_stand_in(x: ArrayLike, constant: float = np.pi / 4) -> Array:
    """x / sqrt(x^2 + c): the limits of erf, and with c = pi/4 its slope at 0.

    Parameters
    ----------
    x : array_like
    constant : float
        c, positive. With pi/4 at most 0.108 below erf, never above; with 1/2 it is the mean field,
        :func:`lrbs.mean_field_sign`, at most 0.064 off either way.

    Returns
    -------
    ndarray
        Source: 10542.17.

    Examples
    --------
    >>> round(float(erf_stand_in(1.0)), 4)  # erf(1) = 0.8427
    0.7484
    """
    return softsign(real_array(x, "x"), np.sqrt(positive(constant, "constant")))


@formula(
    "10542.18",
    title="Mean of a sign by the older route",
    tex=r"\mathbb E[\tilde\varphi_B]_i\approx\frac{g_i/\sigma_i}{\sqrt{\pi/(2B)+(g_i/\sigma_i)^2}}"
    r"\triangleq\mu_i",
    chapter="older-route",
    check="older_coordinate_form",
)
def erf_route_sign(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """The mean of the sign by 10542.16 and 10542.17: :func:`mean_field_sign` at pi/2 times the variance.

    Parameters as there; for normal noise at most 0.108 off, exact to first order at small means.
    Source: 10542.18.
    """
    return mean_field_sign(mean, np.sqrt(ERF_SLOPE) * real_array(deviation, "deviation"))


@formula(
    "10542.24",
    title="One signal-to-noise ratio for all coordinates, older route",
    tex=r"\mu_i\approx\frac{\operatorname{sign}(g_i)}{\sqrt{1+\pi\kappa^2/(2B)}}",
    chapter="older-route",
    check="older_scalar_step_against_spread",
)
def older_route(method: Method = mean_field) -> Method:
    """A method with pi/2 times the noise, which is what matching the slope of erf comes to.

    Parameters
    ----------
    method : callable
        :func:`lrbs.mean_field` for the coordinate-wise forms (10542.18, 10563.9, 10563.12), or
        :func:`lrbs.scalar_mean_field` for the scalar ones with kappa^2 = B_simple (10542.24, 10563.10).

    Returns
    -------
    callable
        To be passed to :func:`lrbs.expected_step`. For SignSGD and SoftSignSGD.

    Examples
    --------
    >>> from lrbs.operators import Diagonal
    >>> method = older_route()
    >>> moments = method(SignSGD(), np.array([1.5]), Diagonal([8 / np.pi]))
    >>> round(float(moments.mean[0]), 4)  # 1.5 / sqrt(2.25 + 4)
    0.6
    """

    def older(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
        if not isinstance(rule, SignSGD | SoftSignSGD):
            raise NotImplementedError(f"the older route has no form for {type(rule).__name__}")
        return method(rule, gradient, noise.scaled(ERF_SLOPE))

    older.__name__ = f"older_{getattr(method, '__name__', 'route')}"
    return older


@formula(
    "10542.23",
    title="SignSGD on a diagonal Hessian, older route",
    tex=r"\begin{gathered}H\text{ diagonal}:\\[4pt] \eta^*\approx\frac1{\sum_iH_{ii}}"
    r"\sum_i\frac{g_i^2/\sigma_i}{\sqrt{\pi/(2B)+(g_i/\sigma_i)^2}}\end{gathered}",
    chapter="older-route",
    check="diagonal_hessian_has_no_surge",
)
@formula(
    "10542.21",
    title="Loss decrease of SignSGD, older route",
    tex=r"\overline{\Delta\mathcal L}\approx\frac12\frac{\bigl(\sum_i\mu_ig_i\bigr)^2}"
    r"{\sum_iH_{ii}+\sum_{i\ne j}\mu_i\mu_jH_{ij}}",
    chapter="older-route",
    check="older_step_against_simulation",
)
@formula(
    "10542.20",
    title="Optimal learning rate of SignSGD, older route",
    tex=r"\eta^*\approx\frac{\sum_i\mu_ig_i}{\sum_iH_{ii}+\sum_{i\ne j}\mu_i\mu_jH_{ij}}",
    chapter="older-route",
    check="older_step_against_simulation",
)
def erf_route_step(model: LocalModel, batch_size: ArrayLike) -> Step:
    """One step of SignSGD by the older route, with coordinates taken as independent.

    Parameters
    ----------
    model : LocalModel
        Its covariance counts by its diagonal alone.
    batch_size : array_like

    Returns
    -------
    Step
        Its `optimal_lr` is 10542.20, its `loss_decrease` 10542.21; with a diagonal Hessian, 10542.23.
    """
    independent = LocalModel(model.gradient, model.covariance.diagonal(), model.hessian)
    return expected_step(independent, SignSGD(), batch_size, older_route())
