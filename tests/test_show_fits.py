"""The picture of a fit: points, curve, band and critical batch size, read back from the axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lrbs import fit_tradeoff
from lrbs.show import tradeoff
from lrbs.tradeoff import steps

SIZES = np.geomspace(8, 8192, 11)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_draws_runs_curve_band_and_mark(axes, rng):
    runs = steps(SIZES, 500, 256) * np.exp(0.05 * rng.standard_normal(11))
    fit = fit_tradeoff(SIZES, runs, relative_error=0.05)
    tradeoff(axes, fit, SIZES, runs, relative_error=0.05, label="SGD")
    curve, points, mark = axes.lines[0], axes.lines[1], axes.lines[-1]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    np.testing.assert_allclose(curve.get_ydata(), fit.predict(curve.get_xdata()).steps)
    np.testing.assert_allclose(points.get_ydata(), runs)
    assert mark.get_xdata()[0] == fit.critical_batch_size
    assert mark.get_ydata()[0] == pytest.approx(2 * fit.min_steps)
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(fit.predict(SIZES.min() / 1.5).high)
    bars = axes.containers[0].lines[2][0].get_segments()
    assert bars[3][1, 1] == pytest.approx(runs[3] * np.exp(0.1))
    assert bars[3][0, 1] == pytest.approx(runs[3] / np.exp(0.1))
    assert axes.get_legend_handles_labels()[1] == ["SGD"]


def test_no_mark_beyond_the_runs(axes):
    small = SIZES[:4]
    fit = fit_tradeoff(small, steps(small, 500, 2000), relative_error=0.01)
    tradeoff(axes, fit, small, steps(small, 500, 2000))
    assert len(axes.lines) == 2
    with pytest.raises(ValueError, match="steps must have 4 entries"):
        tradeoff(axes, fit, small, [1, 2])
