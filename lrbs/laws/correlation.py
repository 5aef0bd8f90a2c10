"""Correlated noise: when coordinates are not strangers.

What the articles' scalar forms become when the correlations of the noise are put back, and what two
signs of correlated normal noise do exactly.
"""

from dataclasses import replace

import numpy as np

from lrbs.approximations.scalar_forms import correlation
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.softsign import soft_law
from lrbs.model import LocalModel
from lrbs.normal import sign_product_mean
from lrbs.operators import trace_product

__all__ = ["arcsine_trace", "correlated_law", "correlation_trace"]

# ------------------------------------------------------------- equations that the core implements


# ---------------------------------------------------------------------------------- correlated noise


def correlation_trace(model: LocalModel) -> float:
    """tr(R H), with R the correlation matrix of the noise: tr H when coordinates are independent.

    A coordinate without noise has no correlation, and is left out.

    Parameters
    ----------
    model : LocalModel

    Returns
    -------
    float

    Examples
    --------
    >>> hessian = [[1.0, 0.5], [0.5, 1.0]]
    >>> model = LocalModel([1.0, 1.0], [[4.0, 2.0], [2.0, 4.0]], hessian)
    >>> correlation_trace(model)
    2.5
    """
    return trace_product(correlation(model.covariance), model.hessian)


def correlated_law(model: LocalModel, epsilon: float = 0.0) -> ScalarLaw:
    """The scalar law of SignSGD, or SoftSignSGD, with the correlations of the noise put back.

    Everything is as with independent coordinates but for tr H, whose place is taken by tr(R H): the
    curvature that the noise meets.

    Parameters
    ----------
    model : LocalModel
    epsilon : float, in units of the gradient, >= 0

    Returns
    -------
    ScalarLaw
        With ``.optimal_lr``, ``.loss_decrease``, ``.peak_batch_size``. Source: lrbs.correlated-loss,
        lrbs.correlated-lr, lrbs.correlated-surge.

    Examples
    --------
    >>> noise, hessian = [[1.0, -0.8], [-0.8, 1.0]], [[1.0, 0.9], [0.9, 1.0]]
    >>> model = LocalModel([1.0, 1.0], noise, hessian)
    >>> # In samples; B_simple is 1.
    >>> round(correlated_law(model).peak_batch_size, 4)
    0.209
    """
    return replace(soft_law(model, epsilon), noise_curvature=correlation_trace(model))


def arcsine_trace(model: LocalModel) -> float:
    """tr(A H) with A = (2/pi) arcsin(R): the curvature that signs of pure normal noise meet.

    Between 2/pi and 1 times :func:`correlation_trace` when every R_ij H_ij >= 0, so that the mean field's
    learning rate at small batches is within a factor sqrt(pi/2) = 1.253 of the exact one. Holds R whole.

    Parameters
    ----------
    model : LocalModel

    Returns
    -------
    float
        Source: lrbs.arcsine-trace.
    """
    matrix = np.clip(correlation(model.covariance).dense(), -1, 1)
    return float(np.sum(sign_product_mean(np.zeros(1), np.zeros(1), matrix) * model.hessian.dense()))


# ------------------------------------------------------------------------------------------- pieces
