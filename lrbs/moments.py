"""Mean and covariance of the update: what each approximation makes of a rule.

An approximation is a function ``(rule, gradient, noise) -> Moments``, where `noise` is the covariance
Sigma/B of one batch gradient. Three stand here; more can be added anywhere, for they are passed as
arguments. Whether coordinates are independent is a property of the noise that is passed, not of the
approximation: a diagonal `noise` means independence, a structured one is honoured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import NoReturn

import numpy as np

from lrbs.gaussian import sign_moments, softsign_moments
from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, MatrixFree, Operator
from lrbs.registry import formula
from lrbs.rules import SGD, Adam, Muon, Preconditioned, SignSGD, SoftSignSGD, UpdateRule, msign, softsign
from lrbs.validation import Array

__all__ = ["Method", "Moments", "exact", "gram_covariance", "mean_field", "scalar_mean_field"]


@dataclass(frozen=True)
class Moments:
    """Mean E[phi], shape (N,), and covariance Cov[phi] of the update vector."""

    mean: Array
    covariance: Operator


Method = Callable[[UpdateRule, Array, Operator], Moments]


def _missing(method: str, rule: object) -> NoReturn:
    if isinstance(rule, type):
        raise TypeError(
            f"rule must be an instance such as {rule.__name__}(...); got the class {rule.__name__}"
        )
    raise NotImplementedError(
        f"{method} has no form for {type(rule).__name__}; use simulated_step or measured_step, or "
        f"register one: @{method}.register"
    )


# ------------------------------------------------------------------------------------------- exact
@singledispatch
def exact(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """Moments without approximation, where a closed form exists.

    SGD and fixed preconditioners: for any noise. SignSGD and SoftSignSGD: for normal noise, diagonal
    (error functions) or structured (bivariate orthant probabilities; N x N work and memory). With
    momentum: in the stationary state, under a constant gradient.

    Raises
    ------
    NotImplementedError
        For rules without a closed form: Adam and Muon.
    """
    _missing("exact", rule)


@exact.register
def _(rule: SGD, gradient: Array, noise: Operator) -> Moments:
    return Moments(gradient, noise.scaled(rule.noise_factor))


@exact.register
def _(rule: Preconditioned, gradient: Array, noise: Operator) -> Moments:
    kept = noise.scaled(rule.noise_factor)
    if rule.diagonal is not None:
        return Moments(rule.apply(gradient), kept.congruence(rule.diagonal))
    return Moments(rule.apply(gradient), sandwiched(rule.apply, kept))


@exact.register
def _(rule: SignSGD, gradient: Array, noise: Operator) -> Moments:
    return Moments(*sign_moments(gradient, noise.scaled(rule.noise_factor)))


@exact.register
def _(rule: SoftSignSGD, gradient: Array, noise: Operator) -> Moments:
    return Moments(*softsign_moments(gradient, noise.scaled(rule.noise_factor), rule.epsilon))


# -------------------------------------------------------------------------------------- mean field
@formula(
    "11285.5",
    title="Mean update of Muon, isotropic noise",
    tex=r"\mathbb E[\tilde\Phi_B]\approx\operatorname{msign}(G)"
    r"\Bigl(I+\frac{n\sigma^2}{B}(G^\top G)^{-1}\Bigr)^{\!-1/2}",
    chapter="muon",
    check="muon_alignment",
)
@formula(
    "11285.3",
    title="Mean update of Muon, mean field",
    tex=r"\mathbb E[\tilde\Phi_B]\approx G\,(\mathbb E[\tilde G_B^\top\tilde G_B])^{-1/2}",
    chapter="muon",
    check="muon_alignment",
)
@formula(
    "11280.13",
    title="Second moment of a preconditioned update, mean field",
    tex=r"\mathbb E[\tilde\varphi_B\tilde\varphi_B^\top]\approx"
    r"\hat H^{-1}\!\left(gg^\top+\frac{\Sigma}{B}\right)\!\hat H^{-1}",
    chapter="mean-field",
    check="second_moment_of_a_fluctuating_preconditioner",
)
@formula(
    "11280.12",
    title="Mean of a preconditioned update, mean field",
    tex=r"\mathbb E[\tilde\varphi_B]=\mathbb E[\tilde H_B^{-1}\tilde g_B]\approx\hat H^{-1}g,"
    r"\quad\hat H=\mathbb E[\tilde H_B]",
    chapter="mean-field",
    check="mean_field_of_a_fluctuating_preconditioner",
)
@singledispatch
def mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The general mean field: every rule is phi = P m, and P is replaced by its value at averaged gradients.

    E[phi] = P g and Cov[phi] = c P noise P, with c the fraction of noise that the rule's average
    keeps. No distribution is assumed and correlations of the noise are kept. Source: 11280.12, 11280.13;
    for the rules with memory 11301.11, 11301.13.
    """
    _missing("mean_field", rule)


@mean_field.register(SGD)
@mean_field.register(Preconditioned)
def _(rule: SGD | Preconditioned, gradient: Array, noise: Operator) -> Moments:
    return exact(rule, gradient, noise)  # linear rules have no mean field to take


@mean_field.register(SignSGD)
@mean_field.register(SoftSignSGD)
def _(rule: SignSGD | SoftSignSGD, gradient: Array, noise: Operator) -> Moments:
    kept = noise.scaled(rule.noise_factor)
    epsilon = rule.epsilon if isinstance(rule, SoftSignSGD) else 0.0
    scale = _inverse(np.sqrt(gradient**2 + kept.diagonal() + epsilon**2))
    return Moments(scale * gradient, kept.congruence(scale))


@mean_field.register
def _(rule: Adam, gradient: Array, noise: Operator) -> Moments:
    # v averages the squared raw gradients, so all of the noise enters P; m keeps only a part of it.
    scale = _inverse(np.sqrt(gradient**2 + noise.diagonal()) + rule.epsilon)
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


# ------------------------------------------------------------------------------- scalar mean field
@formula(
    "11285.6",
    title="Mean update of Muon, scalar form",
    tex=r"\begin{gathered}\mathbb E[\tilde\Phi_B]\approx"
    r"\frac{\operatorname{msign}(G)}{\sqrt{1+B_{\text{simple}}/B}},\\"
    r"B_{\text{simple}}=\frac{mn\sigma^2}{\Vert G\Vert_F^2}\end{gathered}",
    chapter="muon",
    check="muon_scalar_form",
)
@formula(
    "11280.4",
    title="One signal-to-noise ratio for all coordinates",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B]_i"
    r"&\approx\frac{\operatorname{sign}(g_i)}{\sqrt{1+(\sigma_i^2/g_i^2)/B}}\\"
    r"&\approx\frac{\operatorname{sign}(g_i)}{\sqrt{1+B_{\text{simple}}/B}}\triangleq\mu_i\end{aligned}",
    chapter="mean-field",
    check="scalar_step_against_spread",
)
@singledispatch
def scalar_mean_field(rule: UpdateRule, gradient: Array, noise: Operator) -> Moments:
    """The articles' scalar forms: all that B does passes through beta = (1 + B_simple/B)^(-1/2).

    The noise-to-signal ratio of every coordinate is replaced by the average one, B_simple/B =
    tr(noise)/g^T g, and coordinates are taken as independent, whatever the structure of `noise`. For
    SGD it is the law with B_simple in place of B_noise. Source: 11260.7, 11280.4-6, 11280.21-23,
    11285.6, 11301.8-21; with an epsilon, Adam's form is ours.
    """
    _missing("scalar_mean_field", rule)


@scalar_mean_field.register(SGD)
@scalar_mean_field.register(Preconditioned)
def _(rule: SGD | Preconditioned, gradient: Array, noise: Operator) -> Moments:
    mean = rule.apply(gradient) if isinstance(rule, Preconditioned) else gradient
    ratio = rule.noise_factor * _noise_to_signal(gradient, noise)
    return Moments(mean, DiagonalPlusLowRank(None, mean[:, None], np.array([ratio])))


@scalar_mean_field.register(SignSGD)
@scalar_mean_field.register(SoftSignSGD)
def _(rule: SignSGD | SoftSignSGD, gradient: Array, noise: Operator) -> Moments:
    epsilon = rule.epsilon if isinstance(rule, SoftSignSGD) else 0.0
    squared_beta = 1 / (1 + rule.noise_factor * _noise_to_signal(gradient, noise, epsilon))
    mean = softsign(gradient, epsilon) * np.sqrt(squared_beta)
    return Moments(mean, Diagonal(np.full(gradient.size, 1 - squared_beta)))


@scalar_mean_field.register
def _(rule: Adam, gradient: Array, noise: Operator) -> Moments:
    ratio = _noise_to_signal(gradient, noise)
    scale = _inverse(np.abs(gradient) * np.sqrt(1 + ratio) + rule.epsilon)
    return Moments(scale * gradient, Diagonal(rule.noise_factor * ratio * (scale * gradient) ** 2))


@scalar_mean_field.register
def _(rule: Muon, gradient: Array, noise: Operator) -> Moments:
    squared_beta = 1 / (1 + rule.noise_factor * _noise_to_signal(gradient, noise))
    mean = msign(rule.as_matrix(gradient)).reshape(-1) * np.sqrt(squared_beta)
    return Moments(mean, Diagonal(np.full(gradient.size, (1 - squared_beta) / max(rule.shape))))


# ------------------------------------------------------------------------------------------ pieces
def _noise_to_signal(gradient: Array, noise: Operator, epsilon: float = 0.0) -> float:
    """B_simple/B = tr(noise) / (g^T g + N epsilon^2), as in 11260.7 and 11280.21."""
    signal = float(gradient @ gradient) + gradient.size * epsilon**2
    if signal == 0:
        raise ValueError("gradient is zero: the ratio of noise to signal has no value")
    return noise.trace() / signal


def _inverse(scale: Array) -> Array:
    """1/scale, and 0 where a coordinate has neither gradient nor noise: it does not move."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale != 0)


def inverse_power(matrix: Array, power: float) -> Array:
    """A^(-power) of a positive semi-definite matrix; zero on its null space, as msign is."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > values.size * np.finfo(np.float64).eps * values[-1]
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** -power
    return np.asarray((vectors * powers) @ vectors.T)


def sandwiched(apply: Callable[[Array], Array], noise: Operator) -> Operator:
    """P noise P, for P given by its action on the rows of an array; low-rank noise stays low-rank."""
    if isinstance(noise, DiagonalPlusLowRank) and noise.diagonal_part is None:
        return DiagonalPlusLowRank(None, apply(noise.factors.T).T, noise.weights)
    product = apply(apply(noise.dense()).T)
    return Dense((product + product.T) / 2)


@formula(
    "11285.4",
    title="Gram matrix of a noisy gradient",
    tex=r"\mathbb E[\tilde G_B^\top\tilde G_B]=G^\top G+\frac{n\sigma^2}{B}\,I",
    chapter="muon",
    check="gram_of_noisy_gradients",
)
def gram_covariance(noise: Operator, shape: tuple[int, int], axis: int) -> Array:
    """E[X^T X] (axis 0) or E[X X^T] (axis 1) of noise matrices X of `shape`."""
    rows, columns = shape
    if isinstance(noise, Diagonal):
        return np.diag(noise.values.reshape(shape).sum(axis=axis))
    if isinstance(noise, DiagonalPlusLowRank):
        factors = np.moveaxis(noise.factors.reshape(rows, columns, -1), axis, 0)
        total = np.einsum("ijr,r,ikr->jk", factors, noise.weights, factors, optimize=True)
        if noise.diagonal_part is not None:
            total = total + np.diag(noise.diagonal_part.reshape(shape).sum(axis=axis))
        return np.asarray(total)
    subscripts = "ijik->jk" if axis == 0 else "ijkj->ik"
    return np.asarray(np.einsum(subscripts, noise.dense().reshape(rows, columns, rows, columns)))
