"""The data of the laboratory."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lrbs.lab import Dataset, digits, sample_batches


def test_digits_are_the_1797_images_each_once():
    training, test = digits(centred=False)
    assert training.features.shape == (1437, 64) and test.features.shape == (360, 64)
    assert len(training) == 1437 and set(training.labels) == set(range(10))
    images, labels = load_digits(return_X_y=True)
    ours = np.column_stack(
        [
            np.concatenate([training.features, test.features]) * 16,
            np.concatenate([training.labels, test.labels]),
        ]
    )
    theirs = np.column_stack([images, labels])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_are_centred_on_the_training_images():
    training, test = digits()
    plain_training, plain_test = digits(centred=False)
    np.testing.assert_allclose(training.features.mean(axis=0), 0, atol=1e-15)
    shift = plain_training.features.mean(axis=0)
    np.testing.assert_allclose(test.features, plain_test.features - shift, atol=1e-15)


def test_digits_split_follows_the_seed():
    np.testing.assert_array_equal(digits()[0].features, digits()[0].features)
    assert (digits(seed=1)[0].labels != digits(seed=0)[0].labels).any()
    assert len(digits(test_size=100)[1]) == 100
    with pytest.raises(ValueError, match="test_size must leave images"):
        digits(test_size=1797)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits()


def test_the_laboratory_imports_without_scikit_learn():
    code = "import sys, lrbs.lab; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_take_keeps_the_axes_of_the_places():
    data = Dataset(np.arange(6.0).reshape(3, 2), [0, 1, 2])
    taken = data.take([[0, 2], [2, 2]])
    assert taken.features.shape == (2, 2, 2)
    np.testing.assert_array_equal(taken.labels, [[0, 2], [2, 2]])
    np.testing.assert_array_equal(taken.features[0, 1], [4, 5])
    assert len(taken) == 2


def test_batches_are_drawn_evenly_and_with_replacement():
    data = Dataset(np.zeros((5, 1)), np.zeros(5, dtype=int))
    places = sample_batches(data, 8, (1000, 3), rng=0)
    assert places.shape == (1000, 3, 8)
    counts = np.bincount(places.reshape(-1), minlength=5)
    expected = places.size / 5
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected * 0.8)
    np.testing.assert_array_equal(places, sample_batches(data, 8, (1000, 3), rng=0))


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"features must have shape \(\.\.\., n, inputs\)"):
        Dataset(np.zeros(3), [0, 0, 0])
    with pytest.raises(ValueError, match="features must be finite"):
        Dataset([[np.nan]], [0])
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\)"):
        Dataset(np.zeros((2, 1)), [0, 1, 0])
    with pytest.raises(ValueError, match="labels must be integers"):
        Dataset(np.zeros((2, 1)), [0.0, 1.0])
    with pytest.raises(ValueError, match="labels must be integers"):
        Dataset(np.zeros((2, 1)), [0, -1])
    data = Dataset(np.zeros((2, 1)), [0, 1])
    with pytest.raises(ValueError, match="take needs features"):
        data.take([[0, 1]]).take([0])
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        sample_batches(data, 0, (), rng=0)
