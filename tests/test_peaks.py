"""Where SignSGD's learning rate peaks: exactly, by search, at small batches, from the loss."""

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import lrbs
from lrbs import SGD, LocalModel, ScalarLaw, SignSGD, SoftSignSGD, expected_step, scalar_mean_field
from lrbs.approximations import ERF_SLOPE, linearised_erf
from lrbs.checks.problems import spread_model, surging_model
from lrbs.laws import (
    exact_peak_batch_size,
    peak_beta_from_loss_scale,
    peak_from_loss_scale,
    searched_peak,
    small_batch_peak,
)
from lrbs.operators import Diagonal


@given(st.floats(0.05, 0.95), st.floats(0.1, 1e4))
def test_exact_peak_solves_its_equation(beta, squared_ratio):
    B = float(exact_peak_batch_size(squared_ratio, beta))
    assert math.erf(math.sqrt(B / (2 * squared_ratio))) == pytest.approx(beta)


def test_exact_peak_is_found_by_the_search_and_published_ratios():
    for own in (0.5, 3.0, 10.0):
        model = surging_model(own_curvature=own)
        beta = ScalarLaw.of_sign(model).peak_beta
        assert searched_peak(model) == pytest.approx(float(exact_peak_batch_size(64.0, beta)), rel=1e-3)
    assert searched_peak(surging_model(own_curvature=20.0)) == math.inf
    assert searched_peak(surging_model(), SGD()) == math.inf
    assert searched_peak(surging_model(), method=scalar_mean_field) == pytest.approx(
        ScalarLaw.of_sign(surging_model()).peak_batch_size, rel=1e-3
    )
    for beta, older, line in ((0.5, 1.15, 0.73), (0.9, 2.48, 1.58)):
        law = ScalarLaw(1.0, 1 + beta**-2, 1.0, 1.0)
        true = float(exact_peak_batch_size(1.0, beta))
        assert ERF_SLOPE * law.peak_batch_size / true == pytest.approx(older, abs=0.005)
        assert law.peak_batch_size / true == pytest.approx(line, abs=0.005)


def test_small_batch_law(rng, definite):
    g, sigma, H = rng.uniform(0.5, 2, 5), rng.uniform(1, 3, 5), definite(5) + 1.0
    model = LocalModel(g, sigma**2, H)
    a = g / sigma
    S = a @ H @ a - np.sum(a**2 * np.diag(H))
    assert small_batch_peak(model) == pytest.approx(np.pi * np.trace(H) / (2 * S))
    for unit in (1e-12, 1e12):  # of the loss
        assert small_batch_peak(LocalModel(g, sigma**2, unit * H)) == pytest.approx(small_batch_peak(model))
    moments = linearised_erf(SignSGD(), g, Diagonal(sigma**2 / 0.01))
    np.testing.assert_allclose(moments.mean, np.sqrt(2 * 0.01 / np.pi) * a)
    np.testing.assert_allclose(moments.mean, lrbs.normal.sign_mean(g, sigma / 0.1), rtol=0.01)
    B = np.geomspace(1e-3, 1e4, 4001) * small_batch_peak(model)
    curve = expected_step(model, SignSGD(), B, linearised_erf).optimal_lr
    assert B[curve.argmax()] == pytest.approx(small_batch_peak(model), rel=0.005)
    half = expected_step(model, SignSGD(), [small_batch_peak(model), 1e12], linearised_erf).loss_decrease
    assert half[0] / half[1] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="off-diagonal sum S must be positive"):
        small_batch_peak(LocalModel(g, sigma**2, np.diag(np.diag(H))))
    with pytest.raises(NotImplementedError, match="SoftSignSGD"):
        linearised_erf(SoftSignSGD(1.0), g, model.noise(1.0))
    with pytest.raises(ValueError, match="noise must be positive in every coordinate"):
        linearised_erf(SignSGD(), g, Diagonal([1.0, 0.0, 1.0, 1.0, 1.0]))


def test_small_batch_law_is_right_for_early_surges():
    for spread in (0.0, 1.0):
        model = spread_model(spread, size=100, own_curvature=1e-9)
        assert small_batch_peak(model) == pytest.approx(searched_peak(model), rel=0.06)


def test_peak_and_beta_from_the_loss_scale_symbolically():
    """10542.31-33 and the inverse, from beta_noise^2 = b and the scale inside beta."""
    b, n = sp.symbols("b n", positive=True)
    loss, peak = n * b / (1 + b), n * b / (1 - b)
    assert sp.simplify(1 / loss - 1 / peak - 2 / n) == 0
    assert sp.simplify(loss / (n - loss) - b) == 0
    values = {b: 0.3, n: 50.0}
    half = float(loss.subs(values))
    assert peak_from_loss_scale(half, 50.0) == pytest.approx(float(peak.subs(values)))
    assert peak_beta_from_loss_scale(half, 50.0) == pytest.approx(0.3**0.5)
    assert peak_from_loss_scale(25.0, 50.0) == math.inf
    with pytest.raises(ValueError, match="loss_scale must be below noise_scale = 50"):
        peak_beta_from_loss_scale(50.0, 50.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_peak_batch_size(1.0, 1.0), "peak_beta must be below 1, or there is no peak; got 1"),
        (lambda: peak_from_loss_scale(-1.0, 1.0), "loss_scale must be positive"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
