"""Several steps of SGD at one learning rate, on the quadratic that one step sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrbs.model import LocalModel
from lrbs.rules import SGD
from lrbs.validation import Array, count, positive

__all__ = ["loss_after_steps"]


def loss_after_steps(
    model: LocalModel,
    rule: SGD,
    batch_size: ArrayLike,
    learning_rate: ArrayLike,
    steps: ArrayLike,
    *,
    primed: bool = False,
) -> Array:
    """Expected change of the loss after several steps of SGD at a constant learning rate.

    Mean and covariance of the weights follow from step to step without approximation, for any noise
    whose covariance stays Sigma/B, and fall apart into the eigenvectors of the Hessian.

    Parameters
    ----------
    model : LocalModel
        With a Hessian that may be written down: its eigenvectors are needed.
    rule : SGD
        With momentum the average of gradients is followed beside the weights.
    batch_size, learning_rate : array_like, positive; they broadcast against each other
    steps : int or array_like of int, numbers of steps, 0 or more
    primed : bool, optional
        Begin with the average of gradients in its stationary state at the start instead of at zero.
        Without momentum there is no difference.

    Returns
    -------
    ndarray, shape (*steps.shape, ...)
        Exact on a quadratic. Where the Hessian has negative eigenvalues, as at most points of training, it
        falls without bound with the number of steps, and says nothing of a real loss beyond a few. nan where
        the numbers overflow, as they do when the rate is not stable. Source: lrbs.several-steps.

    Raises
    ------
    ValueError
        Sizes or rates that are not positive, a negative number of steps.
    TypeError
        Another rule: only a linear one keeps to mean and covariance.

    Examples
    --------
    >>> model = LocalModel(
    ...     gradient=[1.0, 1.0], covariance=[4.0, 4.0], hessian=[1.0, 3.0]
    ... )
    >>> loss_after_steps(model, SGD(), 4, 0.25, [0, 1, 100]).round(4)
    array([ 0.    , -0.25  , -0.4952])
    """
    if not isinstance(rule, SGD):
        raise TypeError(f"rule must be SGD, with or without momentum; got {type(rule).__name__}")
    moments = np.asarray(steps)
    for moment in moments.reshape(-1):
        count(moment, "steps", least=0)
    sizes, rates = np.broadcast_arrays(
        positive(batch_size, "batch_size"), positive(learning_rate, "learning_rate")
    )
    curvature, basis = np.linalg.eigh(model.hessian.dense())
    gradient = basis.T @ model.gradient
    noise = np.einsum("in,in->n", basis, model.covariance @ basis) / sizes[..., None]
    eta, kept, new = rates[..., None], rule.momentum, 1 - rule.momentum
    # Mean and variance of the weights x and of the average m along each eigenvector.
    x = xx = xm = np.zeros((*sizes.shape, model.size))
    m, mm = (gradient, rule.noise_factor * noise) if primed else (x, x)
    changes = np.empty((*moments.shape, *sizes.shape))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is nan, openly
        for step in range(int(moments.max(initial=0)) + 1):
            if step:
                m = kept * m + new * (gradient + curvature * x)
                x = x - eta * m
                mm = kept**2 * mm + 2 * kept * new * curvature * xm + new**2 * (curvature**2 * xx + noise)
                cross = kept * xm + new * curvature * xx  # of the weights before and the average after
                xx = xx - 2 * eta * cross + eta**2 * mm
                xm = cross - eta * mm
            changes[moments == step] = x @ gradient + (x**2 + xx) @ curvature / 2
    return np.where(np.isfinite(changes), changes, np.nan)
