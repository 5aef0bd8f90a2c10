"""Muon: gradients that are matrices, and the sign of a matrix.

W is n x m, its gradient G, and the N = n m parameters are the entries of W row by row. The matrix sign
flattens the singular values of a gradient to one, as the sign does the coordinates of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.scalar_law import ScalarLaw, along
from lrbs.model import LocalModel
from lrbs.moments import inverse_power
from lrbs.operators import Dense
from lrbs.rules import Muon, msign
from lrbs.validation import Array, count, plain, positive, real_array

__all__ = ["muon_hessian", "muon_law", "muon_newton_curvature", "newton_schulz"]

# Keller Jordan's quintic: steep at zero, so that small singular values rise fast; it never settles at one.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def newton_schulz(matrix: ArrayLike, steps: int = 5, coefficients: Sequence[float] = COEFFICIENTS) -> Array:
    """The matrix sign as Muon computes it: a few steps of an odd quintic, without a decomposition.

    Each step maps a singular value s to a s + b s^3 + c s^5, after a division by the Frobenius norm.

    Parameters
    ----------
    matrix : array_like, shape (..., n, m), not zero
    steps : int, Muon takes five
    coefficients : sequence of three floats, a, b, c

    Returns
    -------
    ndarray, shape (..., n, m)
        Singular values near one, not at it: from 0.68 to 1.13 if each was at least 0.01 of the Frobenius
        norm. Values below 0.0015 of it stay under 0.68. Source: 11285.tmsign.

    Raises
    ------
    ValueError
        If a matrix is zero, and so has no direction, or `steps` is negative.
    """
    X = real_array(matrix, "matrix")
    if X.ndim < 2:
        raise ValueError(f"matrix must have shape (..., n, m); got {X.shape}")
    norm = np.linalg.norm(X, axis=(-2, -1), keepdims=True)
    if not (norm > 0).all():
        raise ValueError("matrix must not be zero: it has no direction")
    a, b, c = coefficients
    wide = X.shape[-2] < X.shape[-1]
    X = (np.swapaxes(X, -1, -2) if wide else X) / norm
    for _ in range(count(steps, "steps", least=0)):
        A = np.swapaxes(X, -1, -2) @ X
        X = a * X + X @ (b * A + c * A @ A)
    return plain(np.swapaxes(X, -1, -2) if wide else X)


def muon_hessian(gradient: ArrayLike, max_lr: float) -> Dense:
    """The Hessian for which Muon is Newton's method: H X = X (G^T G)^(1/2) / eta_max. Source: 11285.thessian.

    Parameters
    ----------
    gradient : array_like, shape (n, m)
        G, of full column rank if the Hessian is to be positive.
    max_lr : float
        The learning rate with which a noiseless step of Muon is Newton's step.

    Returns
    -------
    Dense
        On the n * m parameters, row by row: one block (G^T G)^(1/2) / eta_max a row.

    Raises
    ------
    ValueError
        If `max_lr` is not positive.
    """
    G = real_array(gradient, "gradient", ndim=2)
    block = inverse_power(G.T @ G, -0.5) / float(positive(max_lr, "max_lr"))
    return Dense(np.kron(np.eye(len(G)), block))


def muon_newton_curvature(gradient: ArrayLike, max_lr: float) -> float:
    """tr(Phi^T H Phi) of any Phi with orthonormal columns under :func:`muon_hessian`: noise does not enter.

    Parameters
    ----------
    gradient : array_like, shape (n, m), G
    max_lr : float, eta_max > 0, of the noiseless step

    Returns
    -------
    float
        The sum of the singular values of G over eta_max. Source: 11285.7.

    Raises
    ------
    ValueError
        If `max_lr` is not positive.

    Examples
    --------
    >>> gradient = [[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]
    >>> round(muon_newton_curvature(gradient, max_lr=0.5), 6)
    14.0
    """
    G = real_array(gradient, "gradient", ndim=2)
    return float(np.linalg.svd(G, compute_uv=False).sum() / positive(max_lr, "max_lr"))


def muon_law(model: LocalModel, shape: tuple[int, int]) -> ScalarLaw:
    """Muon's curves in the batch size in the scalar form; its `peak_beta` is where the surge has its top.

    Parameters
    ----------
    model : LocalModel
        Its parameters are the entries of a matrix, row by row.
    shape : tuple of int, rows and columns

    Returns
    -------
    ScalarLaw
        The noise of an update has energy 1 - beta^2 in each of its min(n, m) directions, spread evenly
        over all entries. Source: lrbs.muon-surge; the mean 11285.6.

    Raises
    ------
    ValueError
        If `shape` does not fit the model, or the gradient is zero.
    """
    update = msign(Muon(shape).as_matrix(model.gradient)).reshape(-1)
    return along(model, update, model.hessian.trace() / max(shape), model.simple_noise_scale)
