"""From the law to a run: the batch at a price, the learning rate from one search, and a margin of safety."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.registry import formula
from lrbs.validation import Array, positive, real_array

__all__ = ["cautious_lr", "frugal_batch_size", "kept_progress", "max_lr_from_search", "tradeoff_product"]


@formula(
    "10542.tadaptive",
    title="The batch at a fixed price of a step",
    tex=r"B=\sqrt{r\,B_{\text{noise}}}",
    chapter="schedules",
    check="best_batch_at_a_price",
)
def frugal_batch_size(noise_scale: ArrayLike, step_price: ArrayLike) -> Array:
    """Batch size of the least total cost when a step costs as much as `step_price` samples.

    It minimises (B + r)(1 + B_noise/B), the cost of a given progress. Its steps and examples satisfy
    10542.14 with the product :func:`tradeoff_product` of power 1/2, at most 1, on the right.

    Parameters
    ----------
    noise_scale : array_like
        B_noise at this point of the run, in samples.
    step_price : array_like
        r, in samples.

    Returns
    -------
    ndarray
        Source: 10542.tadaptive.

    Examples
    --------
    >>> frugal_batch_size([100, 10_000], step_price=400)
    array([ 200., 2000.])
    """
    return np.asarray(np.sqrt(positive(step_price, "step_price") * positive(noise_scale, "noise_scale")))


@formula(
    "lrbs.batch-power",
    title="Steps against examples when the batch follows the noise scale",
    tex=r"B\propto B_{\text{noise}}^{\,p}:\quad"
    r"\left(\frac{S}{S_{\min}}-1\right)\left(\frac{E}{E_{\min}}-1\right)="
    r"\frac{\langle B_{\text{noise}}^{\,p}\rangle\,\langle B_{\text{noise}}^{\,1-p}\rangle}"
    r"{\langle B_{\text{noise}}\rangle}",
    chapter="schedules",
    check="tradeoff_of_batch_powers",
)
def tradeoff_product(noise_scale: ArrayLike, power: float) -> float:
    """Right side of the hyperbola 10542.14 for batch sizes proportional to B_noise**power.

    1 for a fixed batch (power 0) and for a fixed share of the noise scale (power 1); least, for powers
    of B_noise, at 1/2.

    Parameters
    ----------
    noise_scale : array_like
        B_noise at equal amounts of progress, measured in steps with exact gradients.
    power : float

    Returns
    -------
    float
    """
    scales = positive(noise_scale, "noise_scale")
    return float(np.mean(scales**power) * np.mean(scales ** (1 - power)) / np.mean(scales))


@formula(
    "10542.tgrid",
    title="The largest learning rate from one search",
    tex=r"\eta_{\max}=\eta^*(B_0)\left(1+\frac{B_{\text{simple}}}{B_0}\right)",
    chapter="schedules",
    check="search_at_a_small_batch",
)
def max_lr_from_search(found_lr: ArrayLike, batch_size: ArrayLike, noise_scale: ArrayLike) -> Array:
    """SGD's learning rate at infinite batch size from the best one found at a small batch.

    Parameters
    ----------
    found_lr : array_like
        Result of a search at `batch_size`.
    batch_size : array_like
        B_0, in samples.
    noise_scale : array_like
        B_noise; the source puts B_simple in its place. :func:`lrbs.saturation` gives the learning rate at
        other batch sizes.

    Returns
    -------
    ndarray
        Source: 10542.tgrid.
    """
    ratio = positive(noise_scale, "noise_scale") / positive(batch_size, "batch_size")
    return np.asarray(positive(found_lr, "found_lr") * (1 + ratio))


@formula(
    "10542.d56",
    title="A margin of safety",
    tex=r"\eta_{\text{practice}}=\alpha\,\eta_{\text{theory}},\qquad 0.5<\alpha<1",
    chapter="schedules",
    check="progress_kept_by_caution",
)
def cautious_lr(optimal_lr: ArrayLike, fraction: float) -> Array:
    """A share of the optimal learning rate.

    Parameters
    ----------
    optimal_lr : array_like
    fraction : float
        alpha in (0, 1]; 10542.d56 advises 0.5 to 1. :func:`kept_progress` says what it costs.

    Returns
    -------
    ndarray
        Source: 10542.d56.
    """
    share = float(positive(fraction, "fraction"))
    if share > 1:
        raise ValueError(f"fraction must be at most 1; got {share:g}")
    return np.asarray(share * positive(optimal_lr, "optimal_lr"))


def kept_progress(fraction: ArrayLike) -> Array:
    """Share of the best loss decrease that learning rate `fraction` * eta* gives: x (2 - x).

    On a quadratic, for any rule; negative beyond x = 2, where steps raise the loss. Source: 10542.d56
    with 11260.2.

    Examples
    --------
    >>> float(kept_progress(0.5))
    0.75
    """
    x = real_array(fraction, "fraction")
    return np.asarray(x * (2 - x))
