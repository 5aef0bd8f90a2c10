"""One point of training, as the theory sees it: gradient, noise and curvature."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lrbs.operators import Dense, Diagonal, DiagonalPlusLowRank, Operator, as_operator, trace_product
from lrbs.validation import Array, positive, real_array, vector

__all__ = ["LocalModel"]

Symmetric: TypeAlias = ArrayLike | LinearOperator | Callable[[Array], ArrayLike]


@dataclass(frozen=True, init=False)
class LocalModel:
    """Gradient, per-sample noise covariance and Hessian of the expected loss at one point of training.

    Parameters
    ----------
    gradient : array_like, shape (N,)
        Gradient g of the expected loss, in units of loss per unit of parameter.
    covariance : array_like or operator
        Covariance Sigma of the gradient of *one sample*. A 1-D array means a diagonal (independent
        coordinates), a 2-D array a dense matrix; any :class:`lrbs.operators.Operator` keeps its structure.
    hessian : array_like, operator or callable
        Hessian H of the expected loss: 1-D means diagonal, 2-D dense, a LinearOperator or a function
        of a vector means Hessian-vector products. Arrays are copied, so the model stays as it is when
        a buffer is used again; operators and functions are held as they are.

    Raises
    ------
    ValueError
        Wrong shapes, nan or inf, a negative variance, an asymmetric matrix.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[4.0, 4.0], hessian=[1.0, 3.0]
    ... )
    >>> model.simple_noise_scale, model.noise_scale, model.max_lr
    (4.0, 4.0, 0.5)
    """

    gradient: Array
    covariance: Operator
    hessian: Operator

    def __init__(self, gradient: ArrayLike, covariance: Symmetric, hessian: Symmetric) -> None:
        g = vector(_own(gradient), "gradient")
        if callable(covariance) and not isinstance(covariance, LinearOperator):
            raise ValueError(
                "covariance must be an array or an operator with a diagonal; got a function "
                "(use LocalModel.from_samples to keep it low-rank, or lrbs.operators.Probed)"
            )
        sigma = as_operator(_own(covariance), "covariance", g.size)
        with suppress(NotImplementedError):  # a matrix-free covariance has no diagonal to look at
            smallest = float(sigma.diagonal().min())
            if smallest < 0:
                raise ValueError(
                    f"covariance must have variances >= 0 on its diagonal; the smallest is {smallest:.6g}"
                )
        object.__setattr__(self, "gradient", g)
        object.__setattr__(self, "covariance", sigma)
        object.__setattr__(self, "hessian", as_operator(_own(hessian), "hessian", g.size))

    @classmethod
    def from_samples(cls, per_sample_gradients: ArrayLike, hessian: Symmetric) -> LocalModel:
        """Model whose gradient and covariance are those of a set of per-sample gradients.

        The covariance is the unbiased estimate with 1/(n-1), kept as n factors: no N x N matrix is formed.

        Parameters
        ----------
        per_sample_gradients : array_like, shape (n, N)
            n >= 2 gradients of single samples (of the *mean* loss per sample, not a sum over a batch).
        hessian : array_like, operator or callable
            1-D means diagonal, 2-D dense, a function is H times a vector.

        Returns
        -------
        LocalModel

        Raises
        ------
        ValueError
            If there are fewer than two samples, or the Hessian does not fit.
        """
        samples = real_array(per_sample_gradients, "per_sample_gradients", ndim=2)
        n = samples.shape[0]
        if n < 2:
            raise ValueError(
                f"per_sample_gradients must hold at least 2 samples (rows); got shape {samples.shape}"
            )
        mean = samples.mean(axis=0)
        return cls(mean, DiagonalPlusLowRank(None, (samples - mean).T, np.full(n, 1 / (n - 1))), hessian)

    @property
    def size(self) -> int:
        """Number of parameters, N."""
        return self.gradient.size

    def noise(self, batch_size: float) -> Operator:
        """Covariance Sigma/B of the gradient of a batch of samples drawn with replacement. Source: 10542.1.

        Parameters
        ----------
        batch_size : float, B > 0

        Returns
        -------
        Operator

        Raises
        ------
        ValueError
            If `batch_size` is not positive.
        """
        return self.covariance.scaled(1 / float(positive(batch_size, "batch_size", ndim=0)))

    def with_correlations(self, share: float = 1.0) -> LocalModel:
        """The same model with only a share of each covariance of two different coordinates.

        Parameters
        ----------
        share : float
            In [0, 1]; 0 makes coordinates independent, each with the variance it had.

        Returns
        -------
        LocalModel
            With a diagonal covariance for 0; else dense, or of low rank with a diagonal.

        Raises
        ------
        ValueError
            If `share` is not in [0, 1].

        Examples
        --------
        >>> model = LocalModel([1.0, 1.0], [[2.0, 1.0], [1.0, 3.0]], [1.0, 1.0])
        >>> model.with_correlations(0.5).covariance.dense()
        array([[2. , 0.5],
               [0.5, 3. ]])
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1]; got {share!r}")
        if share == 1:
            return self
        sigma, variances = self.covariance, self.covariance.diagonal()
        faded: Operator
        if share == 0 or isinstance(sigma, Diagonal):
            faded = Diagonal(variances)
        elif isinstance(sigma, DiagonalPlusLowRank):
            own = 0.0 if sigma.diagonal_part is None else sigma.diagonal_part
            diagonal = (1 - share) * variances + share * own
            faded = DiagonalPlusLowRank(diagonal, sigma.factors, share * sigma.weights)
        else:
            faded = Dense(share * sigma.dense() + np.diag((1 - share) * variances))
        return LocalModel(self.gradient, faded, self.hessian)

    def part(self, own: slice) -> LocalModel:
        """The model of some of the parameters, the others held: one layer of a network.

        Parameters
        ----------
        own : slice
            Of the N parameters, such as ``network.slices["W1"]`` of ``lrbs.lab``.

        Returns
        -------
        LocalModel

        Raises
        ------
        ValueError
            If no parameter is in the slice.
        """
        if not range(self.size)[own]:
            raise ValueError(f"own must hold a parameter or more of {self.size}; got {own}")
        return LocalModel(self.gradient[own], self.covariance.block(own), self.hessian.block(own))

    @cached_property
    def squared_gradient(self) -> float:
        """g^T g; refused when zero, for every ratio of the theory divides by it."""
        value = float(self.gradient @ self.gradient)
        if value == 0:
            raise ValueError(
                "gradient is zero: at a stationary point no learning rate lowers the expected loss"
            )
        return value

    @cached_property
    def gradient_curvature(self) -> float:
        """g^T H g, the curvature along the gradient."""
        value = float(self.gradient @ (self.hessian @ self.gradient))
        if self.squared_gradient and value <= 0:
            raise ValueError(
                f"hessian must curve upwards along the gradient; g^T H g = {value:.6g}. The quadratic has no "
                "minimum there: use a Gauss-Newton or damped Hessian (H + lambda I), or another point"
            )
        return value

    @cached_property
    def _simple_noise_scale(self) -> float:
        return self.covariance.trace() / self.squared_gradient

    @cached_property
    def _noise_scale(self) -> float:
        return trace_product(self.covariance, self.hessian) / self.gradient_curvature

    @property
    def noise_scale(self) -> float:
        """B_noise = tr(Sigma H) / g^T H g, in samples.

        The batch size at which SGD's optimal learning rate is half its limit. Source: 10542.11, 11260.5.
        """
        return self._noise_scale

    @property
    def simple_noise_scale(self) -> float:
        """B_simple = tr(Sigma) / g^T g, in samples; equals B_noise when H is a multiple of the identity.

        Source: 10542.12, 11260.7.
        """
        return self._simple_noise_scale

    @property
    def max_lr(self) -> float:
        """SGD's optimal learning rate without noise, eta_max = g^T g / g^T H g. Source: 10542.11, 11260.5."""
        return self.squared_gradient / self.gradient_curvature

    @property
    def max_loss_decrease(self) -> float:
        """Delta L_max = (g^T g)^2 / (2 g^T H g): what SGD gains in one step without noise.

        Source: 10542.13, 11260.8.
        """
        return self.squared_gradient**2 / (2 * self.gradient_curvature)

    def __repr__(self) -> str:
        return (
            f"LocalModel(size={self.size}, covariance={type(self.covariance).__name__}, "
            f"hessian={type(self.hessian).__name__})"
        )

    def __eq__(self, other: Any) -> bool:
        return self is other

    __hash__ = object.__hash__


def _own(value: Any) -> Any:
    """A copy of an array, so that the model does not change with the caller's buffer."""
    return value.copy() if isinstance(value, np.ndarray) else value
