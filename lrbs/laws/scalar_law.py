"""Curves in the batch size for rules of unit scale: square root, surge, and the one hyperbola of the loss.

In the scalar forms all that B does to such a rule passes through beta = (1 + B_simple/B)^(-1/2). SignSGD,
SoftSignSGD, Adam and Muon follow one law with different numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.curves import normalised_batch_size
from lrbs.model import LocalModel
from lrbs.step import Step
from lrbs.validation import Array, plain, positive

__all__ = ["ScalarLaw"]


@dataclass(frozen=True)
class ScalarLaw:
    """Optimal learning rate and loss decrease of a rule of unit scale, as curves in the batch size.

    With beta = (1 + noise_scale/B)^(-1/2): alignment a beta, curvature t + beta^2 (q - t).

    Attributes
    ----------
    alignment : float
        a, that of the noiseless update: sum |g_i| for SignSGD.
    signal_curvature : float
        q, the curvature along the noiseless update: sign(g)^T H sign(g) for SignSGD.
    noise_curvature : float
        t, the curvature along an update of noise alone: tr H for SignSGD.
    noise_scale : float
        In samples: B_simple in the mean field, pi kappa^2 / 2 on the older route.

    Raises
    ------
    ValueError
        If one of them is not positive; from its methods, if a batch size is not.
    """

    alignment: float
    signal_curvature: float
    noise_curvature: float
    noise_scale: float

    def __post_init__(self) -> None:
        for name in ("alignment", "signal_curvature", "noise_curvature", "noise_scale"):
            object.__setattr__(self, name, float(positive(getattr(self, name), name)))

    @classmethod
    def of_sign(cls, model: LocalModel, noise_scale: float | None = None) -> ScalarLaw:
        """The law of SignSGD at a point of training.

        Parameters
        ----------
        model : LocalModel, its Hessian must have a diagonal
        noise_scale : float, optional, the model's B_simple unless told

        Returns
        -------
        ScalarLaw

        Raises
        ------
        ValueError
            If the gradient is zero, tr H or s^T H s not positive.

        Examples
        --------
        >>> hessian = 0.1 * np.eye(3) + 0.9
        >>> model = LocalModel([1.0, 1.0, 1.0], [9.0, 9.0, 9.0], hessian)
        >>> law = ScalarLaw.of_sign(model)
        >>> round(law.peak_beta, 4), round(law.peak_batch_size, 2)
        (0.7454, 11.25)
        >>> round(law.loss_scale, 2)
        3.21
        """
        scale = model.simple_noise_scale if noise_scale is None else noise_scale
        return along(model, np.sign(model.gradient), model.hessian.trace(), scale)

    def step(self, batch_size: ArrayLike) -> Step:
        """Alignment and curvature at each batch size.

        Parameters
        ----------
        batch_size : array_like, B > 0, in samples

        Returns
        -------
        Step
        """
        beta = normalised_batch_size(batch_size, self.noise_scale)
        excess = self.signal_curvature - self.noise_curvature
        return Step(self.alignment * beta, self.noise_curvature + beta**2 * excess)

    def optimal_lr(self, batch_size: ArrayLike) -> Array:
        """Optimal learning rate, beta a / (t + beta^2 (q - t)). Source: 11280.6, 10542.27.

        Parameters
        ----------
        batch_size : array_like, B > 0, in samples

        Returns
        -------
        ndarray
        """
        return self.step(batch_size).optimal_lr

    def loss_decrease(self, batch_size: ArrayLike) -> Array:
        """max_loss_decrease / (1 + loss_scale/B).

        In this law, one ratio for all coordinates, it rises with B whatever the learning rate does; where
        coordinates differ in their ratios it can fall.

        Parameters
        ----------
        batch_size : array_like, B > 0, in samples

        Returns
        -------
        ndarray
            Source: 11280.9, 10542.30.
        """
        return self.step(batch_size).loss_decrease

    def small_batch_lr(self, batch_size: ArrayLike) -> Array:
        """(a/t) sqrt(B/noise_scale), for B far below the noise scale. Source: 11280.7, 10542.26.

        Parameters
        ----------
        batch_size : array_like, B > 0, in samples

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If `batch_size` is not positive.
        """
        ratio = positive(batch_size, "batch_size") / self.noise_scale
        return plain(self.alignment / self.noise_curvature * np.sqrt(ratio))

    @property
    def limit_lr(self) -> float:
        """a / q. Source: 10542.22."""
        return self.alignment / self.signal_curvature

    @property
    def has_surge(self) -> bool:
        """Whether the optimal learning rate falls beyond some batch size: q > 2 t."""
        return self.signal_curvature > 2 * self.noise_curvature

    @property
    def peak_beta(self) -> float:
        """beta* = sqrt(t / (q - t)). Some batch size reaches it only if it is below 1. Source: 11280.8.

        Raises
        ------
        ValueError
            If q <= t, when the off-diagonal sum is not positive: beta* is not real, nothing peaks.
        """
        return math.sqrt(self.noise_curvature / self._excess)

    @property
    def peak_lr(self) -> float:
        """a / (2 sqrt(t (q - t))), the learning rate at `peak_beta`; refused as that is. Source: 10542.28.

        Raises
        ------
        ValueError
            If q <= t.
        """
        return self.alignment / (2 * math.sqrt(self.noise_curvature * self._excess))

    @property
    def peak_batch_size(self) -> float:
        """noise_scale beta*^2 / (1 - beta*^2), in samples; inf without a surge. Source: 11280.8, 10542.32."""
        if not self.has_surge:
            return math.inf
        return self.noise_scale * self.noise_curvature / (self.signal_curvature - 2 * self.noise_curvature)

    @property
    def max_loss_decrease(self) -> float:
        """a^2 / (2 q), the loss decrease at infinite batch size. Source: 11280.10, 10542.31."""
        return self.alignment**2 / (2 * self.signal_curvature)

    @property
    def loss_scale(self) -> float:
        """noise_scale t / q, in samples: where half of `max_loss_decrease` is reached; any sign of q - t.

        Source: 11280.10, 10542.31.
        """
        return self.noise_scale * self.noise_curvature / self.signal_curvature

    @property
    def _excess(self) -> float:
        excess = self.signal_curvature - self.noise_curvature
        if excess <= 0:
            raise ValueError(
                f"curvature must exceed noise_curvature for a peak; got {self.signal_curvature:.6g} and "
                f"{self.noise_curvature:.6g}: the optimal learning rate rises with the batch size for ever"
            )
        return excess


def along(model: LocalModel, update: Array, noise_curvature: float, noise_scale: float) -> ScalarLaw:
    """The law of a rule whose noiseless update is given."""
    bend = float(update @ (model.hessian @ update))
    return ScalarLaw(float(update @ model.gradient), bend, noise_curvature, noise_scale)
