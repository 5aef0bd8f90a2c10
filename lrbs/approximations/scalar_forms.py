"""The articles' scalar forms, with coordinates independent, and with their correlations put back."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from lrbs.moments import Moments, inverse, no_form, noise_to_signal
from lrbs.operators import Diagonal, DiagonalPlusLowRank, Operator
from lrbs.rules import (
    SGD,
    Adam,
    Averaged,
    Lion,
    Muon,
    Preconditioned,
    SignSGD,
    SoftSignSGD,
    UpdateRule,
    msign,
    softsign,
)
from lrbs.validation import Array


@singledispatch
def scalar_mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The articles' scalar forms: all that B does passes through beta = (1 + B_simple/B)^(-1/2).

    The noise-to-signal ratio of every coordinate is replaced by the average one, B_simple/B =
    tr(noise)/g^T g, and coordinates are taken as independent, whatever the structure of `noise`. For
    SGD it is the law with B_simple in place of B_noise. Source: 11260.7, 11280.4-6, 11280.21-23,
    11285.6, 11301.8-21; with an epsilon, Adam's form is ours.

    Parameters
    ----------
    rule : UpdateRule
    gradient : ndarray, shape (N,)
    noise : Operator, covariance Sigma/B of one batch gradient

    Returns
    -------
    Moments

    Raises
    ------
    NotImplementedError
        For a rule that has no form registered.
    ValueError
        If the gradient is zero: the ratio has no value.
    """
    no_form("scalar_mean_field", rule)


@scalar_mean_field.register(SGD)
@scalar_mean_field.register(Preconditioned)
def _(rule: SGD | Preconditioned, gradient: Array, noise: Operator) -> Moments:
    mean = rule.apply(gradient) if isinstance(rule, Preconditioned) else gradient
    ratio = rule.noise_factor * noise_to_signal(gradient, noise)
    return Moments(mean, DiagonalPlusLowRank(None, mean[:, None], np.array([ratio])))


@scalar_mean_field.register(SignSGD)
@scalar_mean_field.register(SoftSignSGD)
@scalar_mean_field.register(Lion)
def _(rule: SignSGD | SoftSignSGD | Lion, gradient: Array, noise: Operator) -> Moments:
    epsilon = rule.epsilon if isinstance(rule, SoftSignSGD) else 0.0
    squared_beta = 1 / (1 + rule.noise_factor * noise_to_signal(gradient, noise, epsilon))
    mean = softsign(gradient, epsilon) * np.sqrt(squared_beta)
    return Moments(mean, Diagonal(np.full(gradient.size, 1 - squared_beta)))


@scalar_mean_field.register
def _(rule: Adam, gradient: Array, noise: Operator) -> Moments:
    ratio = noise_to_signal(gradient, noise)
    scale = inverse(np.abs(gradient) * np.sqrt(1 + ratio) + rule.epsilon)
    return Moments(scale * gradient, Diagonal(rule.noise_factor * ratio * (scale * gradient) ** 2))


@scalar_mean_field.register
def _(rule: Muon, gradient: Array, noise: Operator) -> Moments:
    squared_beta = 1 / (1 + rule.noise_factor * noise_to_signal(gradient, noise))
    mean = msign(rule.as_matrix(gradient)).reshape(-1) * np.sqrt(squared_beta)
    return Moments(mean, Diagonal(np.full(gradient.size, (1 - squared_beta) / max(rule.shape))))


@scalar_mean_field.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return scalar_mean_field(*rule.as_one_gradient(gradient, noise))


def correlated_scalar_mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The scalar mean field with the correlations of the noise put back.

    Means and variances are those of :func:`lrbs.scalar_mean_field`; the correlations between coordinates
    are those of `noise`. Equal to :func:`lrbs.mean_field` when all coordinates have one ratio of noise
    to signal. Source: lrbs.correlated-moments.

    Parameters
    ----------
    rule : SignSGD, SoftSignSGD, Lion or Adam
    gradient : ndarray, shape (N,)
    noise : Operator

    Returns
    -------
    Moments
        An approximation to pass as `method` to :func:`lrbs.expected_step`.

    Raises
    ------
    NotImplementedError
        For other rules.
    """
    if not isinstance(rule, SignSGD | SoftSignSGD | Lion | Adam):
        raise NotImplementedError(
            f"correlated_scalar_mean_field has no form for {type(rule).__name__}; use mean_field"
        )
    scalar = scalar_mean_field(rule, gradient, noise)
    variances = scalar.covariance.diagonal()
    return Moments(scalar.mean, correlation(noise).congruence(np.sqrt(variances)))


def correlation(covariance: Operator) -> Operator:
    """The correlation matrix R; a coordinate without noise has no correlation, and is left out."""
    return covariance.congruence(inverse(np.sqrt(covariance.diagonal())))
