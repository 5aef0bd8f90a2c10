"""The clock-time model and its fastest batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbs.laws.clock import Cluster


def test_one_worker_does_not_communicate():
    cluster = Cluster(compute_time=3.0, communication_time=2.0, local_batch_size=16)
    assert cluster.step_time(16) == 3
    assert cluster.efficiency(16) == 1
    assert cluster.workers(64) == 4
    assert cluster.step_time(16 * np.e) == pytest.approx(5)


def test_total_time_and_efficiency():
    cluster = Cluster(10.0, 1.0, 2.0)
    time = 1000 * (1 + 50 / 20) * (10 + np.log(10))
    assert cluster.total_time(20, 1000, 50) == pytest.approx(time)
    assert cluster.efficiency(20) == pytest.approx(10 / (10 + np.log(10)))
    assert cluster.efficiency(cluster.batch_size_at_efficiency(0.6)) == pytest.approx(0.6)
    assert cluster.batch_size_at_efficiency(1.0) == 2
    slow = Cluster(10.0, 4.0, 2.0)
    assert slow.efficiency(slow.batch_size_at_efficiency(0.6)) == pytest.approx(0.6)


@given(
    ratio=st.floats(0.01, 30), scale=st.floats(0.1, 1e4), local=st.floats(0.1, 100), unit=st.floats(0.1, 10)
)
def test_nothing_is_faster_than_the_fastest(ratio, scale, local, unit):
    cluster = Cluster(ratio * unit, unit, local)
    noise_scale = scale * local
    best = cluster.fastest_batch_size(noise_scale)
    assert best >= local
    sizes = local * np.geomspace(1, 1e8, 400)
    shortest = cluster.total_time(sizes, 1, noise_scale).min()
    assert cluster.total_time(best, 1, noise_scale) <= shortest * (1 + 1e-9)


def test_where_several_workers_pay_by_a_little():
    """Against a fine grid: where B_noise is 4, by eight per cent."""
    cluster = Cluster(1.0, 1.0, 1.0)
    sizes = np.geomspace(1, 1e4, 100_001)
    best = sizes[cluster.total_time(sizes, 1, 4).argmin()]
    assert cluster.fastest_batch_size(4) == pytest.approx(best, rel=1e-3)
    assert 0.9 < cluster.total_time(best, 1, 4) / cluster.total_time(1, 1, 4) < 0.95


def test_an_inner_minimum_that_is_no_minimum():
    """c_1/k = 0.01, B_noise/b = 10: a stationary minimum exists, one worker is 40 times faster."""
    assert Cluster(0.01, 1.0, 1.0).fastest_batch_size(10) == 1
    assert Cluster(10.0, 1.0, 1.0).fastest_batch_size(100) == pytest.approx(1640, rel=1e-3)
    assert Cluster(0.5, 1.0, 1.0).fastest_batch_size(3) == 1
    assert Cluster(0.8, 1.0, 1.0).fastest_batch_size(4) == 1  # there by 8 % only


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cluster(0, 1, 1), "compute_time must be positive"),
        (lambda: Cluster(1, 0, 1), "communication_time must be positive"),
        (lambda: Cluster(1, 1, -1), "local_batch_size must be positive"),
        (lambda: Cluster(1, 1, 8).step_time([8, 4]), "batch_size must be at least local_batch_size = 8"),
        (lambda: Cluster(1, 1, 8).batch_size_at_efficiency(1.2), r"efficiency must be in \(0, 1\]"),
        (lambda: Cluster(1, 1, 8).batch_size_at_efficiency(0), r"efficiency must be in \(0, 1\]"),
        (lambda: Cluster(1, 1, 8).fastest_batch_size(0), "noise_scale must be positive"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
