"""The older route to the sign's mean: the error function, a stand-in for it, and the constants pi/2.

Article 10542 averages the sign over normal noise, which gives erf, and replaces that by a function of the
mean field's form. The result is the mean field with pi/2 times the variance, and so is everything that
follows: :func:`lrbs.approximations.older_route` turns either mean field into its elder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.approximations import ERF_SLOPE, older_route
from lrbs.laws.sign import mean_field_sign
from lrbs.model import LocalModel
from lrbs.rules import SignSGD, softsign
from lrbs.step import Step, expected_step
from lrbs.validation import Array, positive, real_array

__all__ = ["erf_route_sign", "erf_route_step", "erf_stand_in"]


def erf_stand_in(x: ArrayLike, constant: float = np.pi / 4) -> Array:
    """x / sqrt(x^2 + c): the limits of erf, and with c = pi/4 its slope at 0. Source: 10542.17.

    Parameters
    ----------
    x : array_like
    constant : float
        c, positive. With pi/4 at most 0.108 below erf, never above; with 1/2 it is the mean field,
        :func:`lrbs.laws.mean_field_sign`, at most 0.064 off either way.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `constant` is not positive.

    Examples
    --------
    >>> round(float(erf_stand_in(1.0)), 4)  # erf(1) = 0.8427
    0.7484
    """
    return softsign(real_array(x, "x"), np.sqrt(positive(constant, "constant")))


def erf_route_sign(mean: ArrayLike, deviation: ArrayLike) -> Array:
    """The mean of the sign by 10542.16 and 10542.17: that of the mean field at pi/2 times the variance.

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma of the number, broadcast

    Returns
    -------
    ndarray
        For normal noise at most 0.108 off, exact to first order at small means. Source: 10542.18.

    Raises
    ------
    ValueError
        If `deviation` is negative.
    """
    return mean_field_sign(mean, np.sqrt(ERF_SLOPE) * real_array(deviation, "deviation"))


def erf_route_step(model: LocalModel, batch_size: ArrayLike) -> Step:
    """One step of SignSGD by the older route, with coordinates taken as independent.

    Parameters
    ----------
    model : LocalModel, its covariance counts by its diagonal alone
    batch_size : array_like

    Returns
    -------
    Step
        Its `optimal_lr` is 10542.20, its `loss_decrease` 10542.21; with a diagonal Hessian, 10542.23.
    """
    independent = LocalModel(model.gradient, model.covariance.diagonal(), model.hessian)
    return expected_step(independent, SignSGD(), batch_size, older_route())
