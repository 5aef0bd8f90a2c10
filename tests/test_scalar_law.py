"""The scalar law of rules of unit scale: printed forms, peaks, and the scalar methods."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbs import (
    Adam,
    LocalModel,
    Muon,
    ScalarLaw,
    SignSGD,
    SoftSignSGD,
    exact,
    expected_step,
    scalar_mean_field,
)
from lrbs.checks.problems import losing_model, surging_model
from lrbs.laws import normalised_batch_size

positive = st.floats(0.01, 100)
laws = st.builds(ScalarLaw, positive, positive, positive, positive)


@given(laws, st.floats(1e-3, 1e5))
def test_law_as_the_article_writes_it(law, B):
    """11280.6, 11280.9, 11280.10 from the four numbers, by other expressions than the code's."""
    beta = 1 / math.sqrt(1 + law.noise_scale / B)
    excess = law.signal_curvature - law.noise_curvature
    printed = law.alignment / (law.noise_curvature / beta + beta * excess)
    assert float(law.optimal_lr(B)) == pytest.approx(printed)
    decrease = law.max_loss_decrease / (1 + law.loss_scale / B)
    assert float(law.loss_decrease(B)) == pytest.approx(decrease)
    assert law.max_loss_decrease == pytest.approx(law.alignment**2 / (2 * law.signal_curvature))
    assert float(law.loss_decrease(law.loss_scale)) == pytest.approx(law.max_loss_decrease / 2)
    assert float(law.optimal_lr(1e14)) == pytest.approx(law.limit_lr, rel=1e-5)


def test_a_peak_at_infinity_is_none():
    """At q = 2 t the curve rises for ever: beta* is 1, which no batch size reaches."""
    law = ScalarLaw(alignment=1.0, signal_curvature=2.0, noise_curvature=1.0, noise_scale=3.0)
    assert not law.has_surge
    assert law.peak_beta == 1
    assert law.peak_batch_size == math.inf


@given(laws)
def test_peak(law):
    B = np.geomspace(1e-9, 1e12, 4000)
    curve = law.optimal_lr(B)
    top = int(curve.argmax())
    if law.has_surge:
        assert law.peak_beta < 1
        assert curve.max() <= law.peak_lr * (1 + 1e-12)
        assert float(law.optimal_lr(law.peak_batch_size)) == pytest.approx(law.peak_lr)
        assert float(normalised_batch_size(law.peak_batch_size, law.noise_scale)) == pytest.approx(
            law.peak_beta
        )
        if top < len(B) - 1:
            assert B[top] == pytest.approx(law.peak_batch_size, rel=0.01)
        assert 1 / law.loss_scale - 1 / law.peak_batch_size == pytest.approx(2 / law.noise_scale)
    else:
        assert law.peak_batch_size == math.inf
        assert (np.diff(curve) >= -1e-12 * curve.max()).all()
    if law.signal_curvature <= law.noise_curvature:
        for name in ("peak_beta", "peak_lr"):
            with pytest.raises(ValueError, match="curvature must exceed noise_curvature for a peak"):
                getattr(law, name)


@given(laws)
def test_progress_only_rises_and_is_the_distance(law):
    B = np.geomspace(1e-6, 1e9, 300)
    progress = law.loss_decrease(B) / law.max_loss_decrease
    assert (np.diff(progress) > -1e-15).all()
    distance = normalised_batch_size(B, law.noise_scale) * law.optimal_lr(B) / law.limit_lr
    np.testing.assert_allclose(distance, progress)


def test_small_batches_follow_the_square_root():
    law = ScalarLaw(2.0, 5.0, 1.0, 30.0)
    B = np.array([1e-9, 1e-8])
    np.testing.assert_allclose(law.small_batch_lr(B), law.optimal_lr(B), rtol=1e-6)
    np.testing.assert_allclose(law.small_batch_lr(B), 2.0 * np.sqrt(B / 30.0))
    assert law.small_batch_lr(4e-8) == pytest.approx(2 * float(law.small_batch_lr(1e-8)))


def test_law_is_the_scalar_method_for_every_rule_of_unit_scale(rng, definite):
    g, H = rng.standard_normal(6), definite(6) + 0.5
    model, B = LocalModel(g, rng.uniform(1, 9, 6), H), np.geomspace(0.1, 1e4, 9)
    signs = np.sign(g)
    trace, signal, total = np.trace(H), signs @ H @ signs, np.abs(g).sum()
    c = 1 / 19
    nu = g / np.hypot(g, 0.4)
    soft_scale = model.covariance.trace() / (g @ g + 6 * 0.4**2)
    u, _, vt = np.linalg.svd(g.reshape(3, 2), full_matrices=False)
    m = (u @ vt).ravel()
    cases = [
        (SignSGD(), ScalarLaw.of_sign(model)),
        (SignSGD(0.9), ScalarLaw.of_sign(model, c * model.simple_noise_scale)),
        (SoftSignSGD(0.4), ScalarLaw(nu @ g, nu @ H @ nu, trace, soft_scale)),
        (Adam(0.9, 0.95), ScalarLaw(total, signal, c * trace, model.simple_noise_scale)),
        (Muon((3, 2)), ScalarLaw(m @ g, m @ H @ m, trace / 3, model.simple_noise_scale)),
    ]
    for rule, law in cases:
        step = expected_step(model, rule, B, scalar_mean_field)
        np.testing.assert_allclose(law.optimal_lr(B), step.optimal_lr, err_msg=str(rule))
        np.testing.assert_allclose(law.loss_decrease(B), step.loss_decrease, err_msg=str(rule))


def test_surging_model_surges_and_losing_model_loses():
    law = ScalarLaw.of_sign(surging_model())
    assert (law.noise_curvature, law.signal_curvature, law.noise_scale) == pytest.approx((64, 304, 64))
    assert law.peak_beta == pytest.approx((64 / 240) ** 0.5)
    exactly = expected_step(losing_model(), SignSGD(), [1, 10, 100, 1e12], exact).loss_decrease
    np.testing.assert_allclose(exactly, [0.318, 0.362, 0.256, 0.178], atol=6e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ScalarLaw(0.0, 1.0, 1.0, 1.0), "alignment must be positive"),
        (lambda: ScalarLaw(1.0, -2.0, 1.0, 1.0), "signal_curvature must be positive; .* is -2"),
        (lambda: ScalarLaw(1.0, 1.0, 0.0, 1.0), "noise_curvature must be positive"),
        (lambda: ScalarLaw(1.0, 1.0, 1.0, np.inf), "noise_scale must be finite"),
        (lambda: ScalarLaw(1.0, 1.0, 1.0, 1.0).optimal_lr(0), "batch_size must be positive"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
