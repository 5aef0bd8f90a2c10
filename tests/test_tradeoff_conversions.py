"""Definitions of the critical batch size, each against a search for what it says on the curve itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from lrbs.tradeoff import (
    batch_size_at_efficiency,
    batch_size_at_overhead,
    examples,
    noise_scale_from_efficiency,
    noise_scale_from_overhead,
    steps,
)

scales = st.floats(1e-2, 1e6)
shares = st.floats(0.01, 0.99)


def searched(excess):
    """Where a function of the batch size crosses zero."""
    return np.exp(brentq(lambda log: excess(np.exp(log)), np.log(1e-6), np.log(1e12), xtol=1e-13))


@given(scale=scales, share=shares)
def test_efficiency_by_search(scale, share):
    found = searched(lambda B: 7 * scale / examples(B, 7, scale) - share)
    assert batch_size_at_efficiency(scale, share) == pytest.approx(found, rel=1e-8)
    assert noise_scale_from_efficiency(found, share) == pytest.approx(scale, rel=1e-8)


@given(scale=scales, share=shares)
def test_what_is_lost_in_examples_is_gained_in_steps(scale, share):
    B = batch_size_at_efficiency(scale, share)
    assert 1 / steps(B, 1, scale) == pytest.approx(1 - share)


@given(scale=scales, reference=st.floats(1e-2, 1e3), overhead=st.floats(0.01, 3))
def test_overhead_by_search(scale, reference, overhead):
    start = steps(reference, 7, scale)
    found = searched(lambda B: steps(B, 7, scale) - (1 + overhead) * start * reference / B)
    assert batch_size_at_overhead(scale, reference, overhead) == pytest.approx(found, rel=1e-8)
    assert noise_scale_from_overhead(found, reference, overhead) == pytest.approx(
        scale, rel=1e-5, abs=1e-8 * reference / overhead
    )


def test_the_overhead_of_a_fifth_is_a_fifth_of_the_noise_scale():
    assert batch_size_at_overhead(1000, 1e-9) == pytest.approx(200)
    assert batch_size_at_overhead(1000, 256) == pytest.approx(1.2 * 256 + 200)
    assert noise_scale_from_overhead(507.2, 256) == pytest.approx(1000)


def test_shapes():
    assert batch_size_at_efficiency([1, 2], 0.5).shape == (2,)
    assert batch_size_at_overhead([[1], [2]], [1, 2, 3], 0.2).shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batch_size_at_efficiency(0, 0.5), "noise_scale must be positive"),
        (lambda: batch_size_at_efficiency(1, [0.5, 1]), "efficiency must be below 1, .*; got 1"),
        (lambda: batch_size_at_efficiency(1, 0), "efficiency must be positive"),
        (lambda: noise_scale_from_efficiency(0, 0.5), "batch_size must be positive"),
        (lambda: noise_scale_from_efficiency(1, 1.5), "efficiency must be below 1, .*; got 1.5"),
        (lambda: batch_size_at_overhead(1, 0), "reference_batch_size must be positive"),
        (lambda: batch_size_at_overhead(0, 1), "noise_scale must be positive"),
        (lambda: batch_size_at_overhead(1, 1, -0.2), "overhead must be positive"),
        (lambda: noise_scale_from_overhead(0, 1), "batch_size must be positive"),
        (lambda: noise_scale_from_overhead([2, 1.2], 1), "batch_size must exceed .*; got 0 above"),
        (lambda: noise_scale_from_overhead(1, 0), "reference_batch_size must be positive"),
        (lambda: noise_scale_from_overhead(1, 1, 0), "overhead must be positive"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
