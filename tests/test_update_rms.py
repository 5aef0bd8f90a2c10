"""The update RMS and what is read off it: inverses, order of coordinates, unresolved signals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbs import Adam
from lrbs.laws.update_rms import (
    expected_update_rms,
    momentum_norm,
    momentum_ratio,
    root_mean_square,
    signal_from_momentum_ratio,
    signal_from_update_rms,
    signal_seen_by_rms,
    simulated_updates,
)
from lrbs.normal import adam_moments

signals = st.floats(1e-4, 1e4)
momenta = st.floats(0.0, 0.99)


def test_root_mean_square():
    assert root_mean_square([3.0, -4.0, 0.0, 0.0]) == pytest.approx(2.5)
    assert root_mean_square(np.full((2, 3), -2.0)) == pytest.approx(2)


@pytest.mark.parametrize(("beta1", "expected"), [(0.0, 1.0), (0.8, 1 / 3), (0.9, 0.229416)])
def test_rms_of_pure_noise(beta1, expected):
    assert expected_update_rms(0.0, beta1) == pytest.approx(expected, rel=1e-5)


@given(signal=signals, beta1=momenta)
def test_rms_is_the_printed_root(signal, beta1):
    c = (1 - beta1) / (1 + beta1)
    assert expected_update_rms(signal, beta1) == pytest.approx(math.sqrt((signal + c) / (signal + 1)))


@given(signal=st.floats(1e-3, 1e3), beta1=st.floats(0.3, 0.99))
def test_readings_invert_their_laws(signal, beta1):
    assert signal_from_update_rms(expected_update_rms(signal, beta1), beta1) == pytest.approx(signal)
    ratio = momentum_ratio(math.sqrt(signal), 1.0, beta1)
    assert signal_from_momentum_ratio(ratio, beta1) == pytest.approx(signal)


@given(signal=signals, scale=st.floats(1e-3, 1e3), momentum=momenta)
def test_norms_know_no_unit(signal, scale, momentum):
    ratio = momentum_ratio(scale * math.sqrt(signal), scale, momentum)
    assert ratio == pytest.approx(float(expected_update_rms(signal, momentum)))
    assert momentum_norm(scale, 0.0, momentum) == pytest.approx(scale)


def test_signal_below_the_noise_is_not_resolved_and_not_clipped():
    floor = math.sqrt(adam_moments([0.0], [1.0], 0.9, 0.95)[1][0])
    assert signal_from_update_rms(floor, 0.9) == pytest.approx(-0.0016, abs=1e-4)
    assert abs(float(signal_from_update_rms(floor, 0.9, 0.95))) < 2e-4
    np.testing.assert_array_less(signal_from_update_rms([0.1, 0.2], 0.9), 0)


def test_correction_for_beta2_helps_at_small_signals():
    for signal in (0.01, 0.1):
        rms = math.sqrt(adam_moments([math.sqrt(signal)], [1.0], 0.9, 0.95)[1][0])
        plain, corrected = signal_from_update_rms(rms, 0.9), signal_from_update_rms(rms, 0.9, 0.95)
        assert abs(float(corrected) - signal) < abs(float(plain) - signal)


@pytest.mark.parametrize("value", [1.0, 1.2])
def test_no_rms_reaches_one(value):
    with pytest.raises(ValueError, match=rf"rms must be below 1.*the largest that came is {value:g}"):
        signal_from_update_rms([0.5, value], 0.9)
    with pytest.raises(ValueError, match="ratio must be below 1"):
        signal_from_momentum_ratio(value, 0.9)


@pytest.mark.parametrize("value", [0.0, -0.1, math.nan])
def test_rms_must_be_positive(value):
    with pytest.raises(ValueError, match="rms must be"):
        signal_from_update_rms(value, 0.9)


@given(rho=st.lists(signals, min_size=1, max_size=6), beta1=st.floats(0.3, 0.99))
def test_rms_of_unequal_coordinates_reads_their_average(rho, beta1):
    c = (1 - beta1) / (1 + beta1)
    squares = [(r + c) / (r + 1) for r in rho]
    reading = float(signal_from_update_rms(math.sqrt(np.mean(squares)), beta1))
    assert signal_seen_by_rms(rho) == pytest.approx(reading, rel=1e-6)
    assert min(rho) * (1 - 1e-9) <= signal_seen_by_rms(rho) <= max(rho) * (1 + 1e-9)


def test_coordinates_without_a_gradient_count_too():
    assert signal_seen_by_rms([0.0, 0.0]) == 0
    assert signal_seen_by_rms([0.0, 1.0]) == pytest.approx((1 / 2) / (1 + 1 / 2))


def test_simulated_updates_are_those_of_the_rule():
    mu, sigma, rule = np.array([0.3, -1.0]), np.array([1.0, 2.0]), Adam(0.5, 0.8)
    drawn = np.random.default_rng(5).standard_normal((6, 2))
    np.testing.assert_allclose(
        simulated_updates(rule, mu, sigma, rng=5, steps=6), rule(mu + sigma * drawn), rtol=1e-12
    )


def test_refusals():
    with pytest.raises(ValueError, match="signal must not be negative"):
        expected_update_rms(-1.0, 0.9)
    with pytest.raises(ValueError, match="signal must not be negative"):
        signal_seen_by_rms([1.0, -1.0])
    with pytest.raises(ValueError, match="gradient_norm must be positive"):
        momentum_ratio(0.0, 0.0, 0.9)
