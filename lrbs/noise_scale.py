"""Noise scales from gradients: estimates of tr(Sigma) and |g|^2, each unbiased, with their errors.

Their ratio is B_simple. Numerator and denominator are averaged apart and divided once: a mean of ratios
is biased, and has no mean at all where a denominator comes near zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lrbs.model import LocalModel
from lrbs.registry import formula
from lrbs.validation import Array, positive, real_array

__all__ = ["NoiseScaleEstimate", "noise_scale_from_workers", "noise_scales"]


@dataclass(frozen=True)
class NoiseScaleEstimate:
    """tr(Sigma) and |g|^2 as estimated from data.

    Attributes
    ----------
    trace : float
        Estimate of tr(Sigma), the total variance of one sample's gradient.
    squared_gradient : float
        Estimate of g^T g; where there is little data it can come out negative, and says so.
    covariance : ndarray, shape (2, 2)
        Of the two estimates.
    """

    trace: float
    squared_gradient: float
    covariance: Array

    @property
    def trace_se(self) -> float:
        """Standard error of `trace`."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def squared_gradient_se(self) -> float:
        """Standard error of `squared_gradient`."""
        return float(np.sqrt(self.covariance[1, 1]))

    @property
    def noise_scale(self) -> float:
        """B_simple, their ratio, in samples.

        Raises
        ------
        ValueError
            If the estimate of |g|^2 is not positive: the noise scale is not resolved with this much data.
        """
        if self.squared_gradient <= 0:
            raise ValueError(
                f"not resolved with this much data: the estimate of |g|^2 is {self.squared_gradient:.3g} "
                f"with standard error {self.squared_gradient_se:.2g}; use more steps or larger batches"
            )
        return self.trace / self.squared_gradient

    @property
    def noise_scale_se(self) -> float:
        """Standard error of `noise_scale` (delta method; good when |g|^2 is several of its errors)."""
        slopes = np.array([1.0, -self.noise_scale]) / self.squared_gradient
        return float(np.sqrt(slopes @ self.covariance @ slopes))

    def __str__(self) -> str:
        if self.squared_gradient <= 0:
            return "noise scale not resolved with this much data"
        value, error = float(f"{self.noise_scale:.3g}"), float(f"{self.noise_scale_se:.2g}")
        return f"noise scale {value:g} ± {error:g} samples"


@formula(
    "10542.d49",
    title="The noise scale from the gradients of workers",
    tex=r"\begin{aligned}\bar g&=\frac1W\sum_ig_i,\qquad "
    r"\hat\Sigma=\frac1{W-1}\sum_i(g_i-\bar g)(g_i-\bar g)^\top,\\ "
    r"B_{\text{simple}}&\approx\frac{b\operatorname{tr}\hat\Sigma}"
    r"{\Vert\bar g\Vert^2-\operatorname{tr}\hat\Sigma/W}\end{aligned}",
    chapter="schedules",
    check="noise_scale_of_workers",
)
def noise_scale_from_workers(gradients: ArrayLike, local_batch_size: float) -> NoiseScaleEstimate:
    """Noise scale from the gradients that data-parallel workers hold before they are averaged.

    Parameters
    ----------
    gradients : array_like, shape (W, N) or (steps, W, N)
        Each worker's mean gradient over its own samples, for one step or for several at (nearly) the
        same weights.
    local_batch_size : float
        b, samples of each worker.

    Returns
    -------
    NoiseScaleEstimate
        Standard errors from the spread over steps, or for a single step from leaving out one worker at a
        time (jackknife).

    Raises
    ------
    ValueError
        Fewer than two workers (three for a single step), wrong shapes, nan or inf.

    Notes
    -----
    Worker gradients are means over b samples, so their spread is Sigma/b; and |mean|^2 exceeds |g|^2 by
    tr(Sigma)/(W b). The source (10542.d49) prints neither factor.
    """
    array = real_array(gradients, "gradients", ndim=(2, 3))
    size = float(positive(local_batch_size, "local_batch_size"))
    workers = array.shape[-2]
    least = 2 if array.ndim == 3 else 3
    if workers < least:
        raise ValueError(f"gradients must come from at least {least} workers; got shape {array.shape}")
    products = array @ np.swapaxes(array, -1, -2)  # inner products of all pairs of workers
    if array.ndim == 3:
        pairs = np.stack(_trace_and_square(products, size), axis=-1)
        if len(pairs) < 2:
            raise ValueError(f"gradients of several steps must be of 2 or more; got shape {array.shape}")
        mean, covariance = pairs.mean(axis=0), np.cov(pairs, rowvar=False) / len(pairs)
    else:
        mean = np.array(_trace_and_square(products, size))
        others = [np.delete(np.arange(workers), left_out) for left_out in range(workers)]
        rest = np.array([_trace_and_square(products[np.ix_(kept, kept)], size) for kept in others])
        covariance = (workers - 1) * np.cov(rest, rowvar=False, bias=True)
    return NoiseScaleEstimate(float(mean[0]), float(mean[1]), covariance)


def _trace_and_square(products: Array, local_batch_size: float) -> tuple[Array, Array]:
    """tr(Sigma) and |g|^2 from inner products (..., W, W): the diagonal has the noise, the rest has not."""
    workers = products.shape[-1]
    own = np.trace(products, axis1=-2, axis2=-1)
    squared_gradient = (products.sum(axis=(-2, -1)) - own) / (workers * (workers - 1))
    return local_batch_size * (own / workers - squared_gradient), squared_gradient


@formula(
    "10542.d43",
    title="The noise scale along a run",
    tex=r"B_{\text{noise}}(t)=\frac{\operatorname{tr}(H_t\Sigma_t)}{g_t^\top H_tg_t}",
    chapter="schedules",
    check="noise_scale_along_training",
)
def noise_scales(models: Iterable[LocalModel]) -> Array:
    """B_noise at each of several points of a run.

    Parameters
    ----------
    models : iterable of LocalModel
        In the order of training.

    Returns
    -------
    ndarray, shape (points,)
        In samples. Source: 10542.d43.
    """
    return np.array([model.noise_scale for model in models])
