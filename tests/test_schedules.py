"""Warm-up, annealing and batches along a run; and the choices that go before it."""

import numpy as np
import pytest
import sympy as sp

from lrbs import saturation
from lrbs.laws.practice import cautious_lr, kept_progress, max_lr_from_search
from lrbs.laws.schedules import (
    adaptive_batch_size,
    cosine,
    growing_batch_size,
    linear_warmup,
    matching_warmup,
    noise_aware_lr,
    warmup_displacement,
    warmup_weight,
)
from lrbs.tradeoff import frugal_batch_size, steps, tradeoff_product


def test_warmup_rises_and_stays():
    np.testing.assert_allclose(linear_warmup([0, 50, 100, 150], 100, 0.2), [0, 0.1, 0.2, 0.2])


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("t", [1, 10, 64])
def test_weights_of_a_warmup_are_sums_of_the_schedule(first, t):
    total = linear_warmup(np.arange(first, first + t), 64 + first, 1.0).sum()
    assert warmup_weight(t, 64 + first, first) == pytest.approx(total)


def test_bound_holds_from_zero_and_fails_from_one():
    t = np.arange(1, 101)
    bound = warmup_displacement(t, 100, 1.0, 1.0)
    assert (warmup_weight(t, 100) <= bound).all()
    assert (warmup_weight(t, 100, first=1) > bound).all()
    np.testing.assert_allclose(warmup_weight([1, 10], 100, first=1) / bound[[0, 9]], [2.0, 1.1])


def test_bound_has_the_units_of_rate_times_gradient():
    assert warmup_displacement(10, 100, 0.2, 3.0) == pytest.approx(10**2 / 200 * 0.6)


def test_matching_warmup():
    assert matching_warmup() == 2
    for full in (1.0, 250.0):
        T = float(matching_warmup(full))
        assert warmup_displacement(T, T, 1.0, 1.0) == pytest.approx(full)


def test_cosine_ends_middle_and_mean():
    np.testing.assert_allclose(cosine([0, 500, 1000], 1000, 0.1, 0.02), [0.1, 0.06, 0.02])
    middle = (np.arange(1000) + 0.5) / 10
    assert cosine(middle, 100, 3.0).mean() == pytest.approx(1.5)
    assert (np.diff(cosine(np.arange(101), 100, 1.0)) < 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cosine(11, 10, 0.1), "step must not exceed total_steps"),
        (lambda: cosine(-1, 10, 0.1), "step must not be negative"),
        (lambda: cosine(1, 10, 0.1, 0.2), "min_lr must lie between"),
        (lambda: linear_warmup(1, 0, 0.1), "warmup_steps must be positive"),
        (lambda: linear_warmup(1, 10, 0), "target_lr must be positive"),
        (lambda: growing_batch_size(1, 8, 1.0), "growth must exceed 1"),
        (lambda: adaptive_batch_size(1, 8, 0), "fraction must be positive"),
        (lambda: adaptive_batch_size(-1, 8, 1), "noise_scale must be positive"),
        (lambda: noise_aware_lr(1, -1, 1), "max_lr must be positive"),
        (lambda: frugal_batch_size(1, 0), "step_price must be positive"),
        (lambda: max_lr_from_search(1, 0, 1), "found_lr must be positive"),
        (lambda: cautious_lr(1.0, 1.5), "fraction must be at most 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_growing_batch():
    np.testing.assert_allclose(growing_batch_size([0, 1, 3], 8, 2.0), [8, 16, 64])


def test_noise_aware_rate_halves_where_the_batch_is_the_noise_scale():
    np.testing.assert_allclose(noise_aware_lr(100, [0.4, 0.2], [100, 300]), [0.2, 0.05])


def test_adaptive_batch_is_capped():
    np.testing.assert_allclose(adaptive_batch_size([10, 100, 1000], 64, 0.5), [5, 50, 64])


def test_frugal_batch_symbolically():
    B, r, scale = sp.symbols("B r B_noise", positive=True)
    (best,) = sp.solve(sp.diff((B + r) * (1 + scale / B), B), B)
    assert sp.simplify(best - sp.sqrt(r * scale)) == 0
    assert frugal_batch_size(900, 100) == pytest.approx(300)


def test_products_of_the_powers(rng):
    scales = np.exp(rng.standard_normal(50))
    assert tradeoff_product(scales, 0) == pytest.approx(1)
    assert tradeoff_product(scales, 1) == pytest.approx(1)
    assert tradeoff_product(scales, 0.3) == pytest.approx(tradeoff_product(scales, 0.7))
    assert tradeoff_product(scales, 0.5) < tradeoff_product(scales, 0.3) < 1
    assert tradeoff_product(np.full(9, 7.0), 0.4) == pytest.approx(1)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_product_against_sums_over_the_run(power, rng):
    """S = sum of steps(B, 1, B_noise) and E = sum of B times that, over pieces of equal progress."""
    scales = np.exp(rng.standard_normal(30))
    batch = 3.0 * scales**power
    S = steps(batch, 1, scales).mean()
    E = (batch * steps(batch, 1, scales)).mean() / scales.mean()
    product = (S - 1) * (E - 1)
    assert product == pytest.approx(tradeoff_product(scales, power))


def test_search_at_one_batch_gives_the_limit():
    assert max_lr_from_search(8, saturation(8, 0.3, 50), 50) == pytest.approx(0.3)


def test_caution():
    assert kept_progress(0.5) == 0.75
    assert kept_progress(1.0) == 1
    assert kept_progress(2.0) == 0
    assert kept_progress(3.0) < 0
    assert kept_progress(0.7) == pytest.approx(kept_progress(1.3))
    np.testing.assert_allclose(cautious_lr([0.2, 0.4], 0.5), [0.1, 0.2])
    assert cautious_lr(0.2, 1.0) == 0.2
