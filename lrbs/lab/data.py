"""Labelled data for the laboratory: real images that ship with a package, nothing to download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrbs.validation import Array, count, real_array

__all__ = ["Dataset", "digits", "sample_batches"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features with the class that each sample belongs to.

    Attributes
    ----------
    features : array_like, shape (..., n, inputs)
        One row per sample. Leading axes, if any, hold one set of samples per replica of a network.
    labels : array_like of int, shape (..., n), classes, counted from 0

    Raises
    ------
    ValueError
        If a feature is not finite, a label is not a class, or the shapes do not fit each other.
    """

    features: Array
    labels: NDArray[np.intp]

    def __post_init__(self) -> None:
        features = real_array(self.features, "features")
        labels = np.asarray(self.labels)
        if features.ndim < 2 or 0 in features.shape:
            raise ValueError(f"features must have shape (..., n, inputs), not empty; got {features.shape}")
        if labels.dtype.kind not in "iu" or (labels < 0).any():
            raise ValueError("labels must be integers counted from 0, one class per sample")
        if labels.shape != features.shape[:-1]:
            raise ValueError(
                f"labels must have shape {features.shape[:-1]}, one per row of features; got {labels.shape}"
            )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "labels", labels.astype(np.intp, copy=False))

    def __len__(self) -> int:
        """Number of samples, n."""
        return int(self.features.shape[-2])

    def take(self, indices: ArrayLike) -> Dataset:
        """The samples at these places.

        Parameters
        ----------
        indices : array_like of int, shape (..., batch_size)
            A place may come more than once; leading axes become the replicas' axes.

        Returns
        -------
        Dataset, features of shape (..., batch_size, inputs)

        Raises
        ------
        ValueError
            If leading axes of the features are replicas already.
        """
        if self.features.ndim != 2:
            raise ValueError(f"take needs features of shape (n, inputs); got {self.features.shape}")
        places = np.asarray(indices)
        return Dataset(self.features[places], self.labels[places])


def sample_batches(
    data: Dataset, batch_size: int, batches: tuple[int, ...], rng: int | np.random.Generator
) -> NDArray[np.intp]:
    """Places of random samples, drawn one by one *with replacement*.

    The data set is then the whole population, and the gradient of a batch has covariance Sigma/B exactly,
    for every batch size, also beyond n. Without replacement it would be smaller by (n - B)/(n - 1).

    Parameters
    ----------
    data : Dataset
    batch_size : int
    batches : tuple of int
        Shape of the array of batches; ``()`` for one.
    rng : int or numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (*batches, batch_size)
        For :meth:`Dataset.take`.

    Raises
    ------
    ValueError
        If `batch_size` is no integer of at least 1.
    """
    generator = np.random.default_rng(rng)
    return generator.integers(len(data), size=(*batches, count(batch_size, "batch_size")))


def digits(*, test_size: int = 360, seed: int = 0, centred: bool = True) -> tuple[Dataset, Dataset]:
    """Handwritten digits: 1797 images of 8 x 8 pixels in ten classes, from scikit-learn.

    Parameters
    ----------
    test_size : int, optional
        Number of images kept back for testing; the split is a shuffle by `seed`, the same everywhere.
    seed : int, optional
    centred : bool, optional
        Subtract from each pixel its mean over the training images. If False, the mean image is one sharp
        direction of the loss: it keeps good learning rates about ten times smaller, and B_noise, which
        then hangs on how much of the gradient lies along it, scatters from run to run.

    Returns
    -------
    training, test : Dataset
        Features of shape (n, 64): pixels, scaled from 0..16 to a range of 1.

    Raises
    ------
    ImportError
        If scikit-learn is not installed: ``pip install scikit-learn``.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    images, labels = load_digits(return_X_y=True)
    if not 0 < count(test_size, "test_size") < len(labels):
        raise ValueError(f"test_size must leave images to train on, of {len(labels)}; got {test_size}")
    order = np.random.default_rng(seed).permutation(len(labels))
    training, test = order[test_size:], order[:test_size]
    pixels = images / 16
    if centred:
        pixels = pixels - pixels[training].mean(axis=0)
    return Dataset(pixels[training], labels[training]), Dataset(pixels[test], labels[test])
