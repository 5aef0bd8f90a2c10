"""The corner law and the model of a run against limits, searches and other laws."""

import numpy as np
import pytest

from lrbs.laws import Run, corner_law, power_saturation

B = np.geomspace(1, 1e5, 31)


def test_the_corner_is_sharp_unless_told():
    assert corner_law(B, 2.0, 300.0, 0.6) == pytest.approx(2 * np.minimum(1, (B / 300) ** 0.6))


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_other_laws_are_members(exponent):
    smooth = corner_law(B, 2.0, 300.0, exponent, 1 / exponent)
    assert smooth == pytest.approx(power_saturation(B, 2.0, 300.0, exponent))


def test_at_the_corner_sharpness_alone_counts():
    for k in (0.5, 2.0, 10.0):
        assert corner_law(300.0, 1.0, 300.0, 0.7, k) == pytest.approx(2 ** (-1 / k))


@pytest.mark.parametrize("name", ["batch_size", "limit", "corner", "exponent", "sharpness"])
def test_what_is_not_positive_is_refused(name):
    terms = {"batch_size": 1.0, "limit": 1.0, "corner": 1.0, "exponent": 1.0, "sharpness": 1.0, name: -1.0}
    with pytest.raises(ValueError, match=name):
        corner_law(**terms)


def test_a_run_balances_distance_and_noise():
    run = Run(1e8, 0.01, 2.0, 3.0, 0.4, 1.2, 0.7, 0.9)
    below = run.corner / np.array([100.0, 10.0, 2.0])
    rates = np.geomspace(1e-8, 0.01, 400_001)
    searched = [rates[run.loss(size, rates).argmin()] for size in below]
    assert run.best_rate(below) == pytest.approx(searched, rel=1e-4)
    assert run.exponent == pytest.approx((0.7 * 0.4 + 0.9 * 1.2) / 1.6)
    assert run.tokens_exponent == pytest.approx(0.25)
    assert run.best_rate(10 * run.corner) == pytest.approx(0.01)
    assert run.loss(5.0, 0.0101) == np.inf


def test_signs_and_sgd_waste_nothing_below_the_corner():
    for power in (0.5, 1.0):
        run = Run(1e8, progress_batch_exponent=power, noise_batch_exponent=power)
        small = run.corner * np.array([1e-4, 1e-2, 1.0])
        losses = run.loss(small, run.best_rate(small))
        assert losses == pytest.approx(np.full(3, losses[0]))
        assert run.exponent == pytest.approx(power)
        assert run.best_batch_size == pytest.approx(run.corner)


def test_where_small_batches_are_best_that_is_said():
    with pytest.raises(ValueError, match="the smaller the better"):
        _ = Run(1e8, progress_batch_exponent=1.0, noise_batch_exponent=0.5).best_batch_size
    with pytest.raises(ValueError, match="noise_exponent must be positive"):
        Run(1e8, noise_exponent=0.0)
