"""Batch sizes that vary along a run, against sums, derivatives and random schedules."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from lrbs.tradeoff import (
    critical_average,
    examples,
    exchange_rate,
    frugal_batch_size,
    hyperbola,
    noiseless_steps,
    run_length,
    steps,
    tradeoff_product,
)


@pytest.fixture
def profile(rng):
    """Noise scale and progress at 30 points of a run."""
    return np.exp(5 + rng.standard_normal(30)), np.exp(rng.standard_normal(30))


def test_exchange_rate_symbolically():
    """The slope of the hyperbola, and its chord from the corner, both at batch size B."""
    B, scale, least = sp.symbols("B B_noise S_min", positive=True)
    S, E = least * (1 + scale / B), least * (B + scale)
    slope = sp.simplify(-sp.diff(E, B) / sp.diff(S, B))
    chord = sp.simplify((E - least * scale) / (S - least))
    assert slope == chord == B**2 / scale
    assert exchange_rate(30, 200) == pytest.approx(float(slope.subs({B: 30, scale: 200})))


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_exchange_rate_is_the_inverse_of_the_frugal_batch(scale, price):
    assert exchange_rate(frugal_batch_size(scale, price), scale) == pytest.approx(price)


def test_a_fixed_batch_is_on_the_hyperbola_of_the_averages(profile):
    scale, ds = profile
    S, E = run_length(50, scale, ds)
    mean = critical_average(scale, ds)
    assert pytest.approx(steps(50, ds.sum(), mean)) == S
    assert pytest.approx(examples(50, ds.sum(), mean)) == E
    assert hyperbola(S, ds.sum(), mean * ds.sum()) == pytest.approx(E)


@pytest.mark.parametrize("power", [0.0, 0.3, 0.5, 1.0])
def test_products_of_powers_with_uneven_progress(profile, power):
    scale, ds = profile
    S, E = run_length(3 * scale**power, scale, ds)
    product = (S / ds.sum() - 1) * (E / (scale @ ds) - 1)
    assert tradeoff_product(scale, power, ds) == pytest.approx(product)
    assert hyperbola(S, ds.sum(), scale @ ds, product) == pytest.approx(E)


def test_progress_counts_as_repetition(profile):
    """A point that stands for three is three points."""
    scale = profile[0][:4]
    times = np.array([1, 3, 2, 1])
    assert tradeoff_product(np.repeat(scale, times), 0.4) == pytest.approx(
        tradeoff_product(scale, 0.4, times)
    )
    assert run_length(9, np.repeat(scale, times), 1.0) == pytest.approx(run_length(9, scale, times))


def test_no_schedule_beats_the_root(profile, rng):
    scale, ds = profile
    least = tradeoff_product(scale, 0.5, ds)
    for spread in (0.1, 1.0, 3.0):
        batch = frugal_batch_size(scale, 20) * np.exp(spread * rng.standard_normal(30))
        S, E = run_length(batch, scale, ds)
        assert (S / ds.sum() - 1) * (E / (scale @ ds) - 1) > least
    S, E = run_length(frugal_batch_size(scale, 20), scale, ds)
    assert (S / ds.sum() - 1) * (E / (scale @ ds) - 1) == pytest.approx(least)
    # Whole run and each of its points trade at one rate.
    assert (E - scale @ ds) / (S - ds.sum()) == pytest.approx(20)
    gamma = (np.sqrt(scale) @ ds) ** 2 / ((scale @ ds) * ds.sum())
    assert least == pytest.approx(gamma)


def test_noiseless_steps_of_an_exponential_descent():
    """If each step takes a thousandth of the loss, ln(10) * 1000 steps take nine tenths of it."""
    loss = np.geomspace(1, 0.1, 40)
    ds = noiseless_steps(loss, 1e-3 * loss)
    assert ds.shape == (39,)
    assert ds.sum() == pytest.approx(1000 * np.log(10), rel=1e-3)


def test_average_takes_points_or_intervals():
    assert critical_average([10, 40], [3, 1]) == pytest.approx(17.5)
    assert critical_average([10, 40, 90], [3, 1]) == pytest.approx((3 * 20 + 60) / 4)
    assert critical_average([10, 40], [5]) == pytest.approx(20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exchange_rate(0, 1), "batch_size must be positive"),
        (lambda: exchange_rate(1, 0), "noise_scale must be positive"),
        (lambda: tradeoff_product([1, 0], 0.5), "noise_scale must be positive"),
        (lambda: tradeoff_product([[1, 2]], 0.5), "noise_scale must be 1-D"),
        (lambda: tradeoff_product([1, 2], 0.5, [1, 0]), "progress must be positive"),
        (lambda: run_length(0, [1, 2], 1), "batch_size must be positive"),
        (lambda: run_length(1, [1, -2], 1), "noise_scale must be positive"),
        (lambda: run_length(1, [1, 2], [1, 0]), "progress must be positive"),
        (lambda: run_length(1, 3.0, 1), "noise_scale must be 1-D"),
        (lambda: noiseless_steps([1, 2], [1, 1]), "loss must fall from each of 2 or more"),
        (lambda: noiseless_steps([2, 2], [1, 1]), "loss must fall"),
        (lambda: noiseless_steps([1], [1]), "loss must fall"),
        (lambda: noiseless_steps([2, 1], [1, 0]), "max_loss_decrease must be positive"),
        (lambda: noiseless_steps([2, 1], [1, 1, 1]), "max_loss_decrease must have 2 entries"),
        (lambda: critical_average([1, 2, 3, 4], [1, 1]), "noise_scale must have 2 or 3 entries; got 4"),
        (lambda: critical_average([1, 2], [1, 0]), "progress must be positive"),
        (lambda: critical_average([1, 0], [1, 1]), "noise_scale must be positive"),
        (lambda: hyperbola(2, 1, 1, 0), "product must be positive"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
