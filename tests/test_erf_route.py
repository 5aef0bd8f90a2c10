"""The older route: the stand-in for erf, and the mean field at 2B/pi that it comes to."""

import numpy as np
import pytest
from scipy.special import erf

from lrbs import (
    SGD,
    Adam,
    LocalModel,
    Muon,
    SignSGD,
    SoftSignSGD,
    expected_step,
    mean_field,
    scalar_mean_field,
)
from lrbs.approximations import older_route
from lrbs.laws import erf_route_sign, erf_route_step, erf_stand_in, mean_field_sign


def test_stand_in():
    x = np.linspace(-4, 4, 801)
    assert np.abs(erf_stand_in(x) - erf(x)).max() == pytest.approx(0.108, abs=5e-4)
    assert (np.abs(erf_stand_in(x)) <= np.abs(erf(x)) + 1e-15).all()
    assert float(erf_stand_in(1e-8)) / 1e-8 == pytest.approx(2 / np.sqrt(np.pi))
    np.testing.assert_allclose(erf_stand_in(x, 0.5), mean_field_sign(np.sqrt(2) * x, 1.0), atol=1e-15)
    np.testing.assert_allclose(erf_stand_in(x), erf_route_sign(np.sqrt(2) * x, 1.0), atol=1e-15)


def test_older_route_is_the_mean_field_at_a_smaller_batch(rng, definite):
    model = LocalModel(rng.standard_normal(4), definite(4), definite(4))
    for rule in (SignSGD(), SignSGD(0.5), SoftSignSGD(0.3)):
        for method in (mean_field, scalar_mean_field):
            here = expected_step(model, rule, 5.0, older_route(method))
            there = expected_step(model, rule, 10.0 / np.pi, method)
            assert here.optimal_lr == pytest.approx(float(there.optimal_lr))
            assert here.loss_decrease == pytest.approx(float(there.loss_decrease))
    assert older_route(scalar_mean_field).__name__ == "older_scalar_mean_field"
    for rule in (SGD(), Adam(), Muon((2, 2))):
        with pytest.raises(NotImplementedError, match=type(rule).__name__):
            expected_step(model, rule, 5.0, older_route())


def test_older_step_as_printed(rng, definite):
    """10542.18-21 from sums over coordinates; correlations of the noise are ignored."""
    g, sigma, H, B = rng.standard_normal(5), rng.uniform(0.5, 2, 5), definite(5), 3.0
    covariance = np.diag(sigma**2) + 0.1 * (np.ones((5, 5)) - np.eye(5))
    mu = (g / sigma) / np.sqrt(np.pi / (2 * B) + (g / sigma) ** 2)
    curvature = np.trace(H) + mu @ H @ mu - np.sum(np.diag(H) * mu**2)
    step = erf_route_step(LocalModel(g, covariance, H), B)
    assert step.optimal_lr == pytest.approx(mu @ g / curvature)
    assert step.loss_decrease == pytest.approx((mu @ g) ** 2 / (2 * curvature))


@pytest.mark.parametrize(("call", "message"), [(lambda: erf_stand_in(1.0, 0.0), "constant must be positive")])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
