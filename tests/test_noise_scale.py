"""The noise scale from workers: unbiased, honest about its errors, refusing what it cannot tell."""

import numpy as np
import pytest

from lrbs import LocalModel
from lrbs.noise_scale import NoiseScaleEstimate, noise_scale_from_workers, noise_scales
from lrbs.simulate import draw_gradients


def test_is_the_corrected_formula(rng):
    """b tr(S) over |mean|^2 - tr(S)/W, for one step."""
    gradients = rng.standard_normal((6, 10)) + 1
    mean = gradients.mean(axis=0)
    spread = np.trace(np.cov(gradients, rowvar=False))
    estimate = noise_scale_from_workers(gradients, 32)
    assert estimate.trace == pytest.approx(32 * spread)
    assert estimate.squared_gradient == pytest.approx(mean @ mean - spread / 6)
    assert estimate.noise_scale == pytest.approx(32 * spread / (mean @ mean - spread / 6))


def test_several_steps_average_numerator_and_denominator_apart(rng):
    gradients = rng.standard_normal((5, 4, 10)) + 1
    singles = [noise_scale_from_workers(step, 8) for step in gradients]
    estimate = noise_scale_from_workers(gradients, 8)
    assert estimate.trace == pytest.approx(np.mean([one.trace for one in singles]))
    assert estimate.squared_gradient == pytest.approx(np.mean([one.squared_gradient for one in singles]))
    spread = np.std([one.trace for one in singles], ddof=1) / np.sqrt(5)
    assert estimate.trace_se == pytest.approx(spread)


def test_is_unbiased_and_its_errors_are_right(definite, rng, assert_within):
    model = LocalModel(rng.standard_normal(6) / 3, definite(6) * 3, np.ones(6))
    gradients = draw_gradients(model, 4, (3000, 8), 0)
    estimate = noise_scale_from_workers(gradients, 4)
    assert_within(estimate.trace, model.covariance.trace(), estimate.trace_se)
    assert_within(estimate.squared_gradient, model.squared_gradient, estimate.squared_gradient_se)
    assert_within(estimate.noise_scale, model.simple_noise_scale, estimate.noise_scale_se)
    groups = [noise_scale_from_workers(part, 4) for part in gradients.reshape(30, 100, 8, 6)]
    scatter = np.std([group.noise_scale for group in groups], ddof=1)
    claimed = np.mean([group.noise_scale_se for group in groups])
    assert 0.7 < claimed / scatter < 1.4


def test_jackknife_of_a_single_step(rng):
    """Its claimed errors against the scatter over many steps."""
    model = LocalModel(np.full(40, 0.5), np.full(40, 1.0), np.ones(40))
    steps = draw_gradients(model, 1, (400, 10), 1)
    estimates = [noise_scale_from_workers(step, 1) for step in steps]
    for value, error in (("trace", "trace_se"), ("squared_gradient", "squared_gradient_se")):
        scatter = np.std([getattr(one, value) for one in estimates], ddof=1)
        claimed = np.sqrt(np.mean([getattr(one, error) ** 2 for one in estimates]))
        assert 0.8 < claimed / scatter < 1.3


def test_a_negative_square_is_reported_not_clipped():
    gradients = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1]])
    estimate = noise_scale_from_workers(gradients, 5)
    assert estimate.squared_gradient < 0
    assert estimate.trace > 0
    with pytest.raises(ValueError, match="not resolved with this much data"):
        _ = estimate.noise_scale
    assert str(estimate) == "noise scale not resolved with this much data"


def test_reads_as_a_number_with_its_error():
    estimate = NoiseScaleEstimate(400.0, 2.0, np.diag([100.0, 0.01]))
    assert estimate.noise_scale == 200
    assert estimate.noise_scale_se == pytest.approx(200 * np.hypot(10 / 400, 0.1 / 2))
    assert str(estimate) == "noise scale 200 ± 11 samples"


@pytest.mark.parametrize(
    ("gradients", "size", "message"),
    [
        (np.ones((2, 4)), 8, "at least 3 workers"),
        (np.ones((5, 1, 4)), 8, "at least 2 workers"),
        (np.ones((1, 5, 4)), 8, "2 or more"),
        (np.ones(4), 8, "must be 2-D or 3-D"),
        (np.full((3, 4), np.nan), 8, "finite"),
        (np.ones((3, 4)), 0, "local_batch_size must be positive"),
    ],
)
def test_refusals(gradients, size, message):
    with pytest.raises(ValueError, match=message):
        noise_scale_from_workers(gradients, size)


def test_noise_scales_of_a_run():
    models = [LocalModel([g, g], [4.0, 8.0], [1.0, 3.0]) for g in (1.0, 0.5)]
    np.testing.assert_allclose(noise_scales(models), [7.0, 28.0])
