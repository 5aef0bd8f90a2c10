"""The older route's approximations: a mean field at pi/2 times the noise, and the error function's slope."""

from __future__ import annotations

import numpy as np

from lrbs.approximations.mean_fields import mean_field
from lrbs.moments import Method, Moments
from lrbs.operators import Diagonal, Operator
from lrbs.rules import Lion, SignSGD, SoftSignSGD, UpdateRule
from lrbs.validation import Array

ERF_SLOPE = np.pi / 2
"""What the older route multiplies the noise's variance by: 2c, with the c = pi/4 of 10542.17."""


def older_route(method: Method = mean_field) -> Method:
    """A method with pi/2 times the noise, which is what matching the slope of erf comes to. Source: 10563.13.

    Parameters
    ----------
    method : callable
        :func:`lrbs.mean_field` for the coordinate-wise forms (10542.18, 10563.9, 10563.12), or
        :func:`lrbs.scalar_mean_field` for the scalar ones with kappa^2 = B_simple (10542.24, 10563.10).

    Returns
    -------
    callable
        To be passed to :func:`lrbs.expected_step`, for SignSGD, Lion and SoftSignSGD.

    Raises
    ------
    NotImplementedError
        By the method, for other rules.

    Examples
    --------
    >>> from lrbs.operators import Diagonal
    >>> method = older_route()
    >>> moments = method(SignSGD(), np.array([1.5]), Diagonal([8 / np.pi]))
    >>> round(float(moments.mean[0]), 4)  # 1.5 / sqrt(2.25 + 4)
    0.6
    """

    def older(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
        if not isinstance(rule, SignSGD | Lion | SoftSignSGD):
            raise NotImplementedError(f"the older route has no form for {type(rule).__name__}")
        return method(rule, gradient, noise.scaled(ERF_SLOPE))

    older.__name__ = f"older_{getattr(method, '__name__', 'route')}"
    return older


def linearised_erf(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """SignSGD at small batch sizes: erf replaced by its slope at 0, as in the paper that named the surge.

    E[sign] = sqrt(2/pi) g / deviation, unbounded: it holds while every |g_i| sqrt(B) / sigma_i is small.
    Coordinates are independent and squares are 1, so that the variances turn negative beyond that.

    Parameters
    ----------
    rule : SignSGD or Lion
    gradient : ndarray, shape (N,)
    noise : Operator, covariance Sigma/B of one batch gradient

    Returns
    -------
    Moments

    Raises
    ------
    NotImplementedError
        For other rules.
    ValueError
        If a coordinate has no noise.
    """
    if not isinstance(rule, SignSGD | Lion):
        raise NotImplementedError(f"linearised_erf has no form for {type(rule).__name__}; it is for SignSGD")
    variances = rule.noise_factor * noise.diagonal()
    if not (variances > 0).all():
        raise ValueError("noise must be positive in every coordinate: the small-batch form divides by it")
    mean = gradient / np.sqrt(ERF_SLOPE * variances)
    return Moments(mean, Diagonal(1 - mean**2))
