"""Points of training that the checks share: small, dense, with nothing special about them."""

from __future__ import annotations

import numpy as np

from lrbs.model import LocalModel
from lrbs.rules import UpdateRule
from lrbs.simulate import draw_gradients, searched_lr
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
) -> tuple[float, float]:
    """Best learning rate by a search over the simulated loss, and its standard error."""
    updates = rule(draw_gradients(model, batch_size, (samples, rule.horizon), seed))
    return searched_lr(lambda offsets: quadratic_loss(model, offsets), updates)
