"""Muon: the sign of a matrix of gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.rules.momentum import Momentum
from lrbs.validation import Array, count


@dataclass(frozen=True)
class Muon(Momentum):
    """The orthogonal factor of the matrix of averaged gradients, phi = msign(M) = U V^T (11285.tmsign).

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the weight matrix that the N parameters form, row by row.
    momentum : float, in [0, 1), of the normalised average
    nesterov : bool, act on momentum * m_t + (1 - momentum) * g_t

    Raises
    ------
    ValueError
        If `shape` is not (rows, columns) or `momentum` not in [0, 1).

    Notes
    -----
    ``torch.optim.Muon`` approximates the factor by five steps of :func:`lrbs.laws.newton_schulz` in bfloat16,
    and multiplies it by sqrt(max(1, rows/columns)), or by 0.2 sqrt(max(rows, columns)) if told
    "match_rms_adamw". Its defaults are momentum 0.95 with `nesterov`, and a decoupled weight decay of 0.1,
    which that factor leaves alone. Its documentation sums gradients where its code averages them, as here:
    to the sign of a matrix it is the same.
    """

    shape: tuple[int, int]
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.shape, Sequence) or len(self.shape) != 2:
            raise ValueError(f"shape must be (rows, columns); got {self.shape!r}")
        for side in self.shape:
            count(side, "shape")

    def act(self, average: Array) -> Array:
        return msign(self.as_matrix(average)).reshape(average.shape)

    def as_matrix(self, parameters: Array) -> Array:
        """Vectors of parameters as matrices: a view.

        Parameters
        ----------
        parameters : ndarray, shape (..., N)

        Returns
        -------
        ndarray, shape (..., rows, columns)

        Raises
        ------
        ValueError
            If N is not rows * columns.
        """
        rows, columns = self.shape
        if parameters.shape[-1] != rows * columns:
            raise ValueError(
                f"shape {self.shape} needs {rows * columns} parameters; got vectors of {parameters.shape[-1]}"
            )
        return parameters.reshape(*parameters.shape[:-1], rows, columns)


def msign(matrix: ArrayLike) -> Array:
    """Orthogonal factor U V^T of the singular value decomposition, over the non-zero singular values.

    Parameters
    ----------
    matrix : array_like, shape (..., n, m)

    Returns
    -------
    ndarray, shape (..., n, m)
        Of the matrix's rank: directions with singular values below max(n, m) * eps * the largest are
        left at zero, as sign(0) = 0. Source: 11285.tmsign.
    """
    array = np.asarray(matrix, dtype=np.float64)
    left, values, right = np.linalg.svd(array, full_matrices=False)
    cutoff = max(array.shape[-2:]) * np.finfo(np.float64).eps * values[..., :1]
    kept = (values > cutoff).astype(np.float64)
    return np.asarray((left * kept[..., None, :]) @ right)
