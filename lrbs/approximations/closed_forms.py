"""Moments without approximation."""

from __future__ import annotations

from functools import singledispatch

from lrbs.moments import Moments, no_form, sandwiched
from lrbs.normal import adam_moments, sign_moments, softsign_moments
from lrbs.operators import Diagonal, Operator
from lrbs.rules import SGD, Adam, Averaged, Lion, Preconditioned, SignSGD, SoftSignSGD, UpdateRule
from lrbs.validation import Array


@singledispatch
def exact(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """Moments without approximation, where a closed form or an integral exists.

    SGD and fixed preconditioners: for any noise. SignSGD, Lion and SoftSignSGD: for normal noise, diagonal
    (error functions) or structured (bivariate orthant probabilities; N x N work and memory). Adam without
    epsilon: for normal noise that is diagonal, by one integral (lrbs.adam-normal). With momentum: in the
    stationary state, under a constant gradient.

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
        For rules without a closed form, such as Muon, and for noise or an epsilon that a form does not know.
    """
    no_form("exact", rule)


@exact.register
def _(rule: SGD, gradient: Array, noise: Operator) -> Moments:
    return Moments(gradient, noise.scaled(rule.noise_factor))


@exact.register
def _(rule: Preconditioned, gradient: Array, noise: Operator) -> Moments:
    kept = noise.scaled(rule.noise_factor)
    if rule.diagonal is not None:
        return Moments(rule.apply(gradient), kept.congruence(rule.diagonal))
    return Moments(rule.apply(gradient), sandwiched(rule.apply, kept))


@exact.register(SignSGD)
@exact.register(Lion)
def _(rule: SignSGD | Lion, gradient: Array, noise: Operator) -> Moments:
    return Moments(*sign_moments(gradient, noise.scaled(rule.noise_factor)))


@exact.register
def _(rule: SoftSignSGD, gradient: Array, noise: Operator) -> Moments:
    return Moments(*softsign_moments(gradient, noise.scaled(rule.noise_factor), rule.epsilon))


@exact.register
def _(rule: Adam, gradient: Array, noise: Operator) -> Moments:
    if rule.epsilon or not isinstance(noise, Diagonal):
        raise NotImplementedError(
            f"exact knows Adam without epsilon, under diagonal noise; got {rule!r} and "
            f"{type(noise).__name__}. Use simulated_step"
        )
    mean, square = adam_moments(gradient, noise.values, rule.beta1, rule.beta2)
    return Moments(mean, Diagonal(square - mean**2))


@exact.register
def _(rule: Averaged, gradient: Array, noise: Operator) -> Moments:
    return exact(*rule.as_one_gradient(gradient, noise))
