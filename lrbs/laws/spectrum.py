"""Where the noise lies: its variance along the directions in which the loss bends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lrbs.model import LocalModel
from lrbs.operators import trace_product
from lrbs.validation import Array

__all__ = ["NoiseSpectrum", "correlation_factor", "noise_spectrum"]


class NoiseSpectrum(NamedTuple):
    """The noise along the eigenvectors of the Hessian.

    Attributes
    ----------
    eigenvalues : ndarray, shape (N,), of the Hessian, largest first
    variances : ndarray, shape (N,)
        Of one sample's gradient along their eigenvectors.
    """

    eigenvalues: Array
    variances: Array


def noise_spectrum(model: LocalModel) -> NoiseSpectrum:
    """Variance of one sample's gradient along each eigenvector of the Hessian. Source: lrbs.noise-spectrum.

    Parameters
    ----------
    model : LocalModel
        Small enough for its Hessian to be held and decomposed, N up to some thousands.

    Returns
    -------
    NoiseSpectrum
        Two arrays of shape (N,): lambda_k and v_k^T Sigma v_k. The variances sum to tr(Sigma), their products
        with the eigenvalues to tr(Sigma H). Along equal eigenvalues the directions are arbitrary.

    Examples
    --------
    >>> noise, hessian = [[2.0, 1.0], [1.0, 2.0]], [[0.0, 1.0], [1.0, 0.0]]
    >>> model = LocalModel([1.0, 1.0], noise, hessian)
    >>> noise_spectrum(model).variances.round(12)
    array([3., 1.])
    """
    eigenvalues, vectors = np.linalg.eigh(model.hessian.dense())
    variances = np.einsum("nk,nk->k", vectors, model.covariance @ vectors)
    return NoiseSpectrum(eigenvalues[::-1], variances[::-1])


def correlation_factor(model: LocalModel) -> float:
    """By how much the correlations of the noise raise the curvature that it meets.

    Parameters
    ----------
    model : LocalModel, with a Hessian whose diagonal is known

    Returns
    -------
    float
        tr(Sigma H) / sum_i Sigma_ii H_ii; 1 without correlations. At small batches SGD's learning rate for
        independent coordinates is this many times too large. Source: lrbs.correlation-factor.

    Raises
    ------
    ValueError
        If the variances alone meet no upward curvature.

    Examples
    --------
    >>> matrix = [[1.0, 0.5], [0.5, 1.0]]
    >>> correlation_factor(LocalModel([1.0, 1.0], matrix, matrix))
    1.25
    """
    alone = float(model.covariance.diagonal() @ model.hessian.diagonal())
    if alone <= 0:
        raise ValueError(f"hessian must curve upwards along the noise; its variances meet {alone:.6g}")
    return trace_product(model.covariance, model.hessian) / alone
