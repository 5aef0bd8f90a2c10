"""Noises that are not normal, and what mean and variance alone say of a sign."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from lrbs.laws import NOISES, mean_field_sign, sign_bounds
from lrbs.normal import sign_mean


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_noises_are_standardised_and_drawn_as_they_say(noise, rng, assert_within):
    draws = noise.draw(rng, (200_000, 2)).ravel()
    assert draws.mean() == pytest.approx(0, abs=0.01)
    trimmed = noise.name.startswith("Student")  # its fourth moment is infinite: no error of the variance
    assert draws.var() == pytest.approx(1, abs=0.1 if trimmed else 0.01)
    for ratio in (0.2, 0.9, 1.5):
        signs = np.sign(ratio + draws)
        assert_within(signs.mean(), noise.sign_mean(ratio), signs.std() / np.sqrt(signs.size))
        assert noise.sign_mean(-ratio) == pytest.approx(-float(noise.sign_mean(ratio)))
    # Variance by the distribution function: E x^2 = 2 * int 2x P(z > x) dx.
    second = quad(lambda x: 4 * x * float(noise.below(np.array(-x))), 0, np.inf, limit=500)[0]
    assert second == pytest.approx(1, rel=1e-6)


def test_normal_noise_agrees_with_the_oracle():
    ratio = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(NOISES["normal"].sign_mean(ratio), sign_mean(ratio, 1.0), atol=1e-15)


@given(st.floats(0.01, 20), st.floats(0.01, 20))
def test_bounds_hold_and_the_line_lies_between(mean, deviation):
    least, largest = sign_bounds(mean, deviation)
    assert least <= mean_field_sign(mean, deviation) <= largest == 1
    share = deviation**2 / (mean**2 + deviation**2)  # Cantelli: at most this much on the wrong side
    assert float(least) == pytest.approx(1 - 2 * share, abs=1e-12)
    low, high = sign_bounds(-mean, deviation)
    assert (float(low), float(high)) == (-1, pytest.approx(-float(least)))
    for noise in NOISES.values():
        assert least - 1e-12 <= noise.sign_mean(mean / deviation) <= 1


def test_bounds_are_not_tighter_for_a_vanishing_mean():
    assert [float(bound) for bound in sign_bounds(0.0, 1.0)] == [-1, 1]


@pytest.mark.parametrize(
    ("call", "message"), [(lambda: NOISES["uniform"].sign_mean(np.inf), "ratio must be finite")]
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
