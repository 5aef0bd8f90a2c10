"""The general mean field: take the mean inside, and keep the structure of the noise."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from lrbs.approximations.closed_forms import exact
from lrbs.moments import Moments, gram_covariance, inverse, inverse_power, no_form, sandwiched
from lrbs.operators import Diagonal, MatrixFree, Operator
from lrbs.rules import SGD, Adam, Averaged, Lion, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.validation import Array


@singledispatch
def mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The general mean field: every rule is phi = P m, and P is replaced by its value at averaged gradients.

    E[phi] = P g and Cov[phi] = c P noise P, with c the fraction of noise that the rule's average keeps. No
    distribution is assumed and correlations are kept. Source: 11280.12, 11280.13; for rules with memory
    11301.11, 11301.13; for Muon 11285.3, 11285.5; the mean product of two signs is lrbs.cross-moment.

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
    """
    no_form("mean_field", rule)


@mean_field.register(SGD)
@mean_field.register(Preconditioned)
def _(rule: SGD | Preconditioned, gradient: Array, noise: Operator) -> Moments:
    return exact(rule, gradient, noise)  # linear rules have no mean field to take


@mean_field.register(SignSGD)
@mean_field.register(SoftSignSGD)
@mean_field.register(Lion)
def _(rule: SignSGD | SoftSignSGD | Lion, gradient: Array, noise: Operator) -> Moments:
    kept = noise.scaled(rule.noise_factor)
    epsilon = rule.epsilon if isinstance(rule, SoftSignSGD) else 0.0
    scale = inverse(np.sqrt(gradient**2 + kept.diagonal() + epsilon**2))
    return Moments(scale * gradient, kept.congruence(scale))


@mean_field.register
def _(rule: Adam, gradient: Array, noise: Operator) -> Moments:
    # v averages the squared raw gradients, so all of the noise enters P; m keeps only a part of it.
    scale = inverse(np.sqrt(gradient**2 + noise.diagonal()) + rule.epsilon)
    return Moments(scale * gradient, noise.scaled(rule.noise_factor).congruence(scale))


@mean_field.register
def _(rule: Muon, gradient: Array, noise: Operator) -> Moments:
    kept = noise.scaled(rule.noise_factor)
    G = rule.as_matrix(gradient)
    wide = G.shape[0] < G.shape[1]  # P acts on the shorter side
    gram = G @ G.T if wide else G.T @ G
    P = inverse_power(gram + gram_covariance(kept, rule.shape, axis=int(wide)), 0.5)

    def apply(rows: Array) -> Array:
        matrices = rows.reshape(-1, *G.shape)
        return (P @ matrices if wide else matrices @ P).reshape(rows.shape)

    if not isinstance(kept, Diagonal):
        return Moments(apply(gradient), sandwiched(apply, kept))
    # P makes the entries of one row (or column) depend on each other: kept as a product, for memory.
    variances = kept.values

    def diagonal() -> Array:
        V = variances.reshape(G.shape)
        return (P**2 @ V if wide else V @ P**2).reshape(-1)

    covariance = MatrixFree(lambda x: apply(variances * apply(x)), kept.size, diagonal)
    return Moments(apply(gradient), covariance)


@mean_field.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return mean_field(*rule.as_one_gradient(gradient, noise))


def two_sided_mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """Mean field of msign(G) = (G G^T)^(-1/4) G (G^T G)^(-1/4), both factors averaged: Shampoo's form.

    An identity before the average is taken inside. Where the noise sits in few rows, the one-sided form
    (:func:`lrbs.mean_field`) cannot see it; this one can.

    Parameters
    ----------
    rule : Muon
    gradient : ndarray, shape (N,)
    noise : Operator, covariance Sigma/B of one batch gradient

    Returns
    -------
    Moments
        An approximation to pass as `method` to :func:`lrbs.expected_step`. Source: lrbs.two-sided.

    Raises
    ------
    NotImplementedError
        For a rule that is not Muon.
    """
    if not isinstance(rule, Muon):
        raise NotImplementedError(
            f"two_sided_mean_field is for Muon alone; got {type(rule).__name__}: use mean_field"
        )
    kept = noise.scaled(rule.noise_factor)
    G = rule.as_matrix(gradient)
    left = inverse_power(G @ G.T + gram_covariance(kept, rule.shape, axis=1), 0.25)
    right = inverse_power(G.T @ G + gram_covariance(kept, rule.shape, axis=0), 0.25)

    def apply(rows: Array) -> Array:
        return (left @ rows.reshape(-1, *rule.shape) @ right).reshape(rows.shape)

    return Moments(apply(gradient), sandwiched(apply, kept))
