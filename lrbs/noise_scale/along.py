"""The exact noise scale along a run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lrbs.model import LocalModel
from lrbs.validation import Array

__all__ = ["noise_scales"]


def noise_scales(models: Iterable[LocalModel]) -> Array:
    """B_noise at each of several points of a run. Source: 10542.d43.

    Parameters
    ----------
    models : iterable of LocalModel, in the order of training

    Returns
    -------
    ndarray, shape (points,), in samples
    """
    return np.array([model.noise_scale for model in models])
