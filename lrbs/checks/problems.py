"""Points of training that the checks share: small, dense, with nothing special about them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from lrbs.model import LocalModel
from lrbs.rules import UpdateRule
from lrbs.simulate import draw_gradients
from lrbs.validation import Array


def dense_model(size: int = 8, seed: int = 0) -> LocalModel:
    """A model with dense covariance and Hessian; the Hessian has a common part, so that signs matter."""
    rng = np.random.default_rng(seed)
    covariance_root, hessian_root = rng.standard_normal((2, size, size))
    hessian = hessian_root @ hessian_root.T / size + np.ones((size, size))
    return LocalModel(rng.standard_normal(size), covariance_root @ covariance_root.T, hessian)


def quadratic_loss(model: LocalModel, offsets: Array) -> Array:
    """The quadratic loss itself, at offsets (..., N) from the model's point, where it is 0."""
    products = np.asarray(model.hessian @ offsets.reshape(-1, model.size).T).T.reshape(offsets.shape)
    return np.asarray(offsets @ model.gradient + np.sum(offsets * products, axis=-1) / 2)


def minimised_loss(
    model: LocalModel, rule: UpdateRule, batch_size: float, samples: int, seed: int
) -> tuple[float, float, float]:
    """Best learning rate over simulated updates, its standard error, and the decrease of the average loss.

    A search over the loss: neither alignment nor curvature is formed to find it.
    """
    gradients = draw_gradients(model, batch_size, (samples, rule.horizon), seed)
    updates = rule(gradients)
    typical = float(np.linalg.norm(model.gradient) / np.linalg.norm(updates, axis=1).mean())
    search = minimize_scalar(
        lambda eta: quadratic_loss(model, -eta * updates).mean(), bracket=(0.0, 1e-3 * typical), tol=1e-9
    )
    # The argmin moves by (error of the slope) / (second derivative); both by central differences.
    h = 1e-3 * search.x
    up, middle, down = (quadratic_loss(model, -(search.x + d) * updates) for d in (h, 0.0, -h))
    slope_error = ((up - down) / (2 * h)).std(ddof=1) / np.sqrt(samples)
    return float(search.x), float(slope_error / ((up - 2 * middle + down).mean() / h**2)), float(-search.fun)
