"""Shapes of curves in the batch size: powers of the saturation law, hyperbolas and their scales."""

import numpy as np
import pytest

from lrbs import LocalModel, Preconditioned, expected_step, fit_power_saturation, saturation
from lrbs.laws import implied_noise_scale, normalised_batch_size, power_saturation, preconditioned_limits


def test_power_saturation_by_hand_and_special_cases():
    B = np.geomspace(0.1, 100, 7)
    np.testing.assert_allclose(power_saturation(B, 2.0, 5.0, 1.0), saturation(B, 2.0, 5.0))
    np.testing.assert_allclose(power_saturation(B, 2.0, 5.0), 2.0 / np.sqrt(1 + 5.0 / B))
    assert power_saturation(1.0, 3.0, 7.0, 2 / 3) == pytest.approx(0.75)


@pytest.mark.parametrize("truth", [(0.3, 40.0, 0.5), (7.0, 2.0, 0.8), (1e-3, 500.0, 1.3)])
def test_fit_recovers_a_power(truth):
    B = np.geomspace(0.01, 1e5, 40)
    np.testing.assert_allclose(fit_power_saturation(B, power_saturation(B, *truth)), truth, rtol=1e-5)
    three = truth[1] * np.array([0.1, 1.0, 10.0])  # as many as there are numbers to find
    np.testing.assert_allclose(fit_power_saturation(three, power_saturation(three, *truth)), truth, rtol=1e-5)


def test_implied_noise_scale_inverts_saturation():
    B = np.geomspace(0.1, 1e4, 9)
    np.testing.assert_allclose(implied_noise_scale(B, saturation(B, 0.7, 33.0), 0.7), 33.0)
    assert implied_noise_scale(10.0, 2.0, 1.0) == -5


def test_preconditioned_limits(rng, definite):
    g, sigma, H, P = rng.standard_normal(5), definite(5), definite(5), definite(5)
    model, B = LocalModel(g, sigma, H), np.array([0.5, 20.0])
    limit, scale = preconditioned_limits(model, P)
    np.testing.assert_allclose(
        saturation(B, limit, scale), expected_step(model, Preconditioned(P), B).loss_decrease
    )
    assert preconditioned_limits(model, 9 * P) == pytest.approx((limit, scale))
    assert preconditioned_limits(model, np.ones(5)) == pytest.approx(
        (model.max_loss_decrease, model.noise_scale)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normalised_batch_size(1.0, -1.0), "noise_scale must be positive"),
        (lambda: power_saturation(1.0, 1.0, 1.0, 0.0), "exponent must be positive"),
        (lambda: fit_power_saturation([1, 2], [1, 2]), "learning_rate must be three or more"),
        (lambda: fit_power_saturation([1, 2, 3], [1, 2]), "learning_rate must be three or more"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
