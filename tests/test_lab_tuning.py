"""The best learning rate of a grid: exact parabolas, edges, and errors against repetitions."""

import numpy as np
import pytest

from lrbs.lab import jackknife_se, tuned_rate

RATES = 0.1 * 2.0 ** np.arange(-3, 4)


def bowl(centre, height=1.0, bend=0.3):
    """Values (rates, seeds) on a parabola in ln(rate), with its minimum at each seed's centre."""
    return height + bend * np.log(RATES[:, None] / np.atleast_1d(centre)) ** 2


def test_a_parabola_is_found_exactly():
    values = bowl([0.11, 0.11, 0.11], height=[1.0, 2.0, 6.0])
    best = tuned_rate(RATES, values)
    assert best.learning_rate == pytest.approx(0.11, rel=1e-12)
    assert best.value == values[3].mean()
    assert not best.at_edge
    assert best.learning_rate_se == pytest.approx(0, abs=1e-12)
    # The jackknife of a mean is the standard error of the mean.
    assert best.value_se == pytest.approx(np.std([1, 2, 6], ddof=1) / np.sqrt(3), rel=1e-12)


def test_the_minimum_of_the_mean_is_that_of_the_mean_of_parabolas():
    best = tuned_rate(RATES, bowl([0.08, 0.1, 0.13]))
    logs = np.log([0.08, 0.1, 0.13])
    assert np.log(best.learning_rate) == pytest.approx(logs.mean(), rel=1e-12)
    expected = best.learning_rate * logs.std(ddof=1) / np.sqrt(3)
    assert best.learning_rate_se == pytest.approx(expected, rel=1e-9)


def test_leading_axes_and_uneven_grids():
    rates = np.stack([RATES, 3 * RATES**1.1])
    values = np.stack([bowl([0.05, 0.06]), bowl([0.2, 0.3])])
    together = tuned_rate(RATES, values)
    for row in range(2):
        alone = tuned_rate(RATES, values[row])
        np.testing.assert_array_equal(together.learning_rate[row], alone.learning_rate)
        np.testing.assert_array_equal(together.value_without[row], alone.value_without)
    uneven = np.array([0.02, 0.1, 0.13, 0.5])
    values = 1 + np.log(uneven / 0.11)[:, None] ** 2 + np.zeros(2)
    assert tuned_rate(uneven, values).learning_rate == pytest.approx(0.11, rel=1e-12)
    assert tuned_rate(rates, values=np.stack([bowl([0.1, 0.1])] * 2)).learning_rate.shape == (2,)


@pytest.mark.parametrize("centre, found", [(0.001, RATES[0]), (50.0, RATES[-1])])
def test_a_best_rate_at_the_edge_is_flagged_and_not_extrapolated(centre, found):
    best = tuned_rate(RATES, bowl([centre, centre]))
    assert best.at_edge
    assert best.learning_rate == pytest.approx(found, rel=1e-12)
    assert best.value == pytest.approx(bowl(centre).min(), rel=1e-12)


@pytest.mark.parametrize("lost", [np.inf, np.nan])
def test_runs_that_diverged(lost):
    values = bowl([0.05, 0.05, 0.05])
    values[4, 1] = lost  # well above the best: nothing changes
    assert tuned_rate(RATES, values).learning_rate == pytest.approx(0.05, rel=1e-12)
    values[3, 2] = lost  # its neighbour: no parabola, the grid point is a bound
    best = tuned_rate(RATES, values)
    assert best.at_edge and best.learning_rate == pytest.approx(0.05, rel=1e-12)
    with pytest.raises(ValueError, match="finite for all seeds at one learning rate"):
        tuned_rate(RATES, np.full((7, 2), lost))


def test_errors_are_the_spread_over_repetitions():
    rng = np.random.default_rng(0)
    found, claimed = [], []
    for _ in range(400):
        centres = 0.11 * np.exp(0.3 * rng.standard_normal(8))
        values = bowl(centres) + 0.02 * rng.standard_normal((1, 8)) + 0.01 * rng.standard_normal((7, 8))
        best = tuned_rate(RATES, values)
        found.append(np.log(best.learning_rate))
        claimed.append(best.learning_rate_se / best.learning_rate)
    # A standard deviation of 400 has a relative error of 4 %; the jackknife errs upwards.
    assert np.std(found) == pytest.approx(np.sqrt(np.mean(np.square(claimed))), rel=0.15)


def test_jackknife_of_a_ratio_is_the_delta_method():
    rng = np.random.default_rng(1)
    x, y = 5 + rng.standard_normal(400), 3 + rng.standard_normal(400)
    without = [np.delete(x, i).mean() / np.delete(y, i).mean() for i in range(400)]
    rest = (x - x.mean() / y.mean() * y) / y.mean()
    assert jackknife_se(without) == pytest.approx(rest.std(ddof=1) / 20, rel=0.01)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="values must have shape"):
        tuned_rate(RATES, bowl([0.1]))
    with pytest.raises(ValueError, match="learning_rates must broadcast to the values"):
        tuned_rate(RATES[:-1], bowl([0.1, 0.1]))
    with pytest.raises(ValueError, match="learning_rates must increase"):
        tuned_rate(RATES[::-1], bowl([0.1, 0.1]))
    with pytest.raises(ValueError, match="learning_rates must be positive"):
        tuned_rate(-RATES[::-1], bowl([0.1, 0.1]))
