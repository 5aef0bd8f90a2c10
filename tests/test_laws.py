"""Closed curves in the batch size against SymPy, limits and expected steps."""

import numpy as np
import pytest
import sympy as sp

from lrbs import SGD, LocalModel, expected_step, saturation
from lrbs.laws import linear


def test_saturation_symbolically():
    """g^T g / (g^T H g + tr(Sigma H)/B) is eta_max / (1 + B_noise/B) (10542.10, 10542.13)."""
    gg, gHg, trace, B = sp.symbols("gg gHg tr B", positive=True)
    limit, scale = gg / gHg, trace / gHg
    law = limit / (1 + scale / B)
    assert sp.simplify(gg / (gHg + trace / B) - law) == 0
    assert sp.simplify(gg**2 / (2 * (gHg + trace / B)) - gg**2 / (2 * gHg) / (1 + scale / B)) == 0
    values = {gg: 3.0, gHg: 0.7, trace: 40.0, B: 8.0}
    assert saturation(8, 3.0 / 0.7, 40.0 / 0.7) == pytest.approx(float(law.subs(values)))
    # At most 1 + scale/B too high: the small-batch limit (11260.6).
    assert sp.limit(law / (limit * B / scale), B, 0) == 1
    assert sp.simplify((limit * B / scale) / law - (1 + B / scale)) == 0
    assert linear(8, 3.0 / 0.7, 40.0 / 0.7) == pytest.approx(float((limit * B / scale).subs(values)))


def test_saturation_is_sgd(rng, definite):
    model, sizes = LocalModel(rng.standard_normal(5), definite(5), definite(5)), np.geomspace(0.01, 1e5, 30)
    step = expected_step(model, SGD(), sizes)
    np.testing.assert_allclose(saturation(sizes, model.max_lr, model.noise_scale), step.optimal_lr)
    np.testing.assert_allclose(
        saturation(sizes, model.max_loss_decrease, model.noise_scale), step.loss_decrease
    )
    # With momentum: the batch size counts (1 + b)/(1 - b) times (11301.8).
    momentum = expected_step(model, SGD(0.5), sizes).optimal_lr
    np.testing.assert_allclose(saturation(3 * sizes, model.max_lr, model.noise_scale), momentum)


def test_shape_of_the_curves():
    sizes = np.geomspace(1e-6, 1e9, 200)
    values = saturation(sizes, limit=0.3, noise_scale=50)
    assert (np.diff(values) > 0).all()
    assert (values < 0.3).all()
    assert values[-1] == pytest.approx(0.3)
    assert saturation(50, 0.3, 50) == pytest.approx(0.15)
    slope = np.diff(np.log(values)) / np.diff(np.log(sizes))
    assert slope[0] == pytest.approx(1.0, abs=1e-6)
    assert slope[-1] == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(linear(sizes, 0.3, 50) / values, 1 + sizes / 50)


@pytest.mark.parametrize("law", [saturation, linear])
def test_arguments_broadcast(law):
    assert law(4, 1.0, 2).shape == ()
    assert law([4, 5], 1.0, 2).shape == (2,)
    assert law([4, 5], [[1], [2], [3]], 2).shape == (3, 2)
    assert law(4, [1, 2], [2, 3]).tolist() == [law(4, 1, 2), law(4, 2, 3)]


@pytest.mark.parametrize("law", [saturation, linear])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1), "batch_size must be positive; .* is 0"),
        (([1, -2], 1, 1), "batch_size must be positive; .* is -2"),
        ((np.nan, 1, 1), "batch_size must be finite"),
        ((1, np.inf, 1), "limit must be finite"),
        ((1, "a", 1), "limit must be an array of real numbers; got str"),
        ((1, 1, 0), "noise_scale must be positive; .* is 0"),
        ((1, 1, -3), "noise_scale must be positive; .* is -3"),
        ((1, 1, None), "noise_scale must be finite"),
    ],
)
def test_bad_input(law, arguments, message):
    with pytest.raises(ValueError, match=message):
        law(*arguments)
