"""The fit of steps against batch size: exact data, scatter, weights, and data without both limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from lrbs import fit_tradeoff
from lrbs.tradeoff import steps

SIZES = np.geomspace(8, 8192, 11)
NOISE = np.exp(0.1 * np.array([1, -1, 2, -2, 0, 1, 0, -1, 1, 0, -2]))


@given(min_steps=st.floats(1, 1e6), noise_scale=st.floats(20, 3000))
def test_exact_data_give_the_law_back(min_steps, noise_scale):
    fit = fit_tradeoff(SIZES, steps(SIZES, min_steps, noise_scale))
    assert fit.min_steps == pytest.approx(min_steps, rel=1e-5)
    assert fit.critical_batch_size == pytest.approx(noise_scale, rel=1e-5)
    assert fit.min_examples == pytest.approx(min_steps * noise_scale, rel=1e-5)
    assert fit.critical_batch_size_se < 1e-4 * noise_scale


def test_against_a_general_optimiser(rng):
    """scipy's curve_fit on the same logarithms finds the same minimum and covariance."""
    from scipy.optimize import curve_fit

    runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
    fit = fit_tradeoff(SIZES, runs)
    found, covariance = curve_fit(
        lambda B, a, b: np.logaddexp(a, b - np.log(B)), SIZES, np.log(runs), p0=[6.0, 12.0]
    )
    np.testing.assert_allclose(np.log([fit.min_steps, fit.min_examples]), found, rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-3)
    assert fit.freedom == 9


def test_standard_errors_follow_from_the_covariance(rng):
    fit = fit_tradeoff(SIZES, steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11)))
    (a, c), (_, b) = fit.covariance
    assert fit.min_steps_se == pytest.approx(fit.min_steps * np.sqrt(a))
    assert fit.min_examples_se == pytest.approx(fit.min_examples * np.sqrt(b))
    assert fit.critical_batch_size_se == pytest.approx(fit.critical_batch_size * np.sqrt(a + b - 2 * c))


def test_given_errors_weigh_the_runs():
    runs = steps(SIZES, 500, 256)
    runs[3] *= 3  # an outlier that says so
    errors = np.where(np.arange(11) == 3, 100.0, 0.05)
    fit = fit_tradeoff(SIZES, runs, relative_error=errors)
    assert fit.critical_batch_size == pytest.approx(256, rel=1e-4)
    assert fit.freedom is None
    twice = fit_tradeoff(SIZES, runs, relative_error=2 * errors)
    assert twice.critical_batch_size_se == pytest.approx(2 * fit.critical_batch_size_se)
    low, high = fit.interval(0.95)["critical_batch_size"]
    assert np.log(high / low) / 2 == pytest.approx(1.96 * fit.critical_batch_size_se / 256, rel=1e-2)


@pytest.mark.parametrize("beyond", [-3.4, 3.4])
def test_critical_batch_size_may_lie_beyond_the_runs(beyond):
    """On either side as far as steps, or examples, differ by two per cent; else they are budgets."""
    scale = float(np.exp(beyond)) * (SIZES.min() if beyond < 0 else SIZES.max())
    fit = fit_tradeoff(SIZES, steps(SIZES, 500, scale))
    assert fit.critical_batch_size == pytest.approx(scale, rel=1e-4)
    with pytest.raises(ValueError, match="as budgets do"):
        fit_tradeoff(SIZES, steps(SIZES, 500, scale * float(np.exp(0.6 * np.sign(beyond)))))


def test_residuals_and_scatter(rng):
    runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
    fit = fit_tradeoff(SIZES, runs)
    rest = np.log(runs) - np.log(steps(SIZES, fit.min_steps, fit.critical_batch_size))
    np.testing.assert_allclose(fit.residuals, rest, atol=1e-12)
    assert fit.scatter == pytest.approx(np.sqrt(np.sum(rest**2) / 9))
    with pytest.raises(ValueError, match="p_value needs errors of the runs"):
        _ = fit.p_value
    given = fit_tradeoff(SIZES, runs, relative_error=0.2)
    np.testing.assert_allclose(given.residuals, rest / 0.2, atol=1e-6)
    assert given.scatter == pytest.approx(fit.scatter / 0.2)


def test_p_values_are_uniform_when_the_curve_is_right(rng):
    """And vanish when it is not: a kink, and errors claimed ten times too small."""
    found = []
    for _ in range(200):
        runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
        found.append(fit_tradeoff(SIZES, runs, relative_error=0.1).p_value)
    assert kstest(found, "uniform").pvalue > 0.01
    assert fit_tradeoff(SIZES, runs, relative_error=0.01).p_value < 1e-6


def test_prediction_is_the_curve_with_the_error_of_its_two_parts(rng):
    runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
    fit = fit_tradeoff(SIZES, runs)
    B = np.array([[1.0, 256.0], [3e3, 1e9]])
    seen = fit.predict(B)
    assert seen.steps.shape == seen.low.shape == (2, 2)
    np.testing.assert_allclose(seen.steps, fit.min_steps + fit.min_examples / B)
    # The variance of S_min + E_min/B, to first order, from that of the two logarithms.
    slopes = np.stack([np.full(B.shape, fit.min_steps), fit.min_examples / B])
    variance = np.einsum("i...,ij,j...->...", slopes, fit.covariance, slopes)
    np.testing.assert_allclose(seen.steps_se, np.sqrt(variance))
    np.testing.assert_allclose(np.log(seen.high / seen.steps), 2.2622 * seen.steps_se / seen.steps, rtol=1e-4)
    np.testing.assert_allclose(seen.high / seen.steps, seen.steps / seen.low)
    # At the far ends it is the error of one of the two alone.
    far = fit.predict([1e-9, 1e12])
    np.testing.assert_allclose(
        far.steps_se / far.steps,
        [fit.min_examples_se / fit.min_examples, fit.min_steps_se / fit.min_steps],
        rtol=1e-6,
    )
    assert fit.predict(100.0, level=0.5).high < fit.predict(100.0).high
    with pytest.raises(ValueError, match="level must be in"):
        fit.predict(100.0, level=1.0)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        fit.predict([1.0, 0.0])


def test_bands_cover_the_true_curve(rng):
    """Interval of the curve at three batch sizes, over 200 sets of runs: 95 % within four standard errors."""
    B = np.array([8.0, 200.0, 8192.0])
    true = steps(B, 500, 256)
    inside = []
    for _ in range(200):
        runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
        seen = fit_tradeoff(SIZES, runs).predict(B)
        inside.append((seen.low < true) & (true < seen.high))
    assert np.abs(np.mean(inside, axis=0) - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / 200)


def test_units_carry_through(rng):
    runs = steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11))
    fit, other = fit_tradeoff(SIZES, runs), fit_tradeoff(10 * SIZES, 7 * runs)
    assert other.min_steps == pytest.approx(7 * fit.min_steps, rel=1e-5)
    assert other.critical_batch_size == pytest.approx(10 * fit.critical_batch_size, rel=1e-5)


def test_intervals_widen_with_the_level(rng):
    fit = fit_tradeoff(SIZES, steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11)))
    (a, b), (c, d) = (fit.interval(level)["min_steps"] for level in (0.5, 0.99))
    assert c < a < fit.min_steps < b < d
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match="level must be in"):
            fit.interval(level)


def test_each_interval_is_made_of_its_own_error(rng):
    """By hand: Student's t with nine degrees of freedom, 2.2622 at 95 %, on a logarithmic scale."""
    fit = fit_tradeoff(SIZES, steps(SIZES, 500, 256) * np.exp(0.1 * rng.standard_normal(11)))
    for name, (low, high) in fit.interval(0.95).items():
        value, error = getattr(fit, name), getattr(fit, f"{name}_se")
        assert np.log([value / low, high / value]) == pytest.approx(2.2622 * error / value, rel=1e-4)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (1e5 / SIZES, "as budgets do.* far below the critical batch size, .* add larger batches"),
        (1e5 / SIZES * NOISE, "fall as 1/B throughout, as equal budgets of examples do.* add larger batches"),
        (1e5 / SIZES**1.1, r"as B to the power -1\.1, .* between -1 and 0: look at the rates"),
        (np.full(11, 100.0), "as budgets do.* far above the critical batch size, .* add smaller batches"),
        (100 / NOISE, "do not fall with the batch size, nor do equal budgets of steps.* add smaller batches"),
        (SIZES, "as B to the power 1, .* between -1 and 0: look at the rates"),
    ],
)
@pytest.mark.parametrize("error", [None, 0.2])
def test_data_without_both_limits_are_refused(runs, message, error):
    with pytest.raises(ValueError, match=message):
        fit_tradeoff(SIZES, runs, relative_error=error)


POWERS = 2.0 ** np.arange(5, 13)


@pytest.mark.parametrize(
    "runs",
    [
        np.round(4e4 / POWERS),
        np.ceil(4e4 / POWERS),  # the last batch is rounded up: a trend of half a step
        10 * np.ceil(50_000 / POWERS),  # or the last of each of ten epochs, 6 % at the largest
        3e5 / POWERS * [1.02, 0.98, 0.97, 1.03, 1.0, 0.99, 1.03, 0.99],
    ],
)
def test_budgets_that_scatter_or_were_rounded_are_recognised(runs):
    both = "all examples B S agree within .* do not rise .* as budgets do.* If these did run to one loss"
    with pytest.raises(ValueError, match=both):
        fit_tradeoff(POWERS, runs)
    with pytest.raises(ValueError, match=r"all steps agree within .* do not fall .* as budgets do"):
        fit_tradeoff(POWERS, runs * POWERS)


@pytest.mark.parametrize(("error", "least", "most"), [(None, 15, 60), (0.01, 0, 12)])
def test_far_below_the_critical_batch_size_a_refusal_or_an_interval_that_holds_it(error, least, most, rng):
    """Examples that rise by 5 % over the batch sizes, known to 1 %: often resolved."""
    sizes, held, refused = np.geomspace(16, 64, 5), [], 0
    for _ in range(200):
        runs = steps(sizes, 1000, 1000) * np.exp(0.01 * rng.standard_normal(5))
        try:
            low, high = fit_tradeoff(sizes, runs, relative_error=error).interval()["critical_batch_size"]
        except ValueError as refusal:
            assert "as budgets do" in str(refusal) and "far below the critical" in str(refusal)
            refused += 1
        else:
            held.append(low < 1000 < high)
    assert least <= refused <= most
    assert np.mean(held) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(held))


def test_errors_that_are_given_decide_whether_examples_rise():
    sizes = np.geomspace(16, 64, 5)
    runs = steps(sizes, 1000, 1000) * [1.002, 0.999, 0.998, 1.003, 1]
    assert fit_tradeoff(sizes, runs, relative_error=0.003).critical_batch_size == pytest.approx(1000, rel=0.1)
    with pytest.raises(ValueError, match="do not rise with B"):
        fit_tradeoff(sizes, runs, relative_error=0.03)


@pytest.mark.parametrize("scatter", [0.01, 0.1, 0.2])
@pytest.mark.parametrize("every", [1, 3])
def test_what_shows_both_limits_is_never_taken_for_budgets(scatter, every, rng):
    for _ in range(100):
        runs = steps(SIZES, 500, 256) * np.exp(scatter * rng.standard_normal(11))
        fit_tradeoff(SIZES[::every], runs[::every])
        fit_tradeoff(SIZES[::every], np.ceil(runs[::every] / 10) * 10)


def test_steps_in_whole_thousands_are_no_rounding():
    """S_min is as large as what all steps are multiples of."""
    fit = fit_tradeoff([10, 20, 50], [101_000, 51_000, 21_000])
    assert (fit.min_steps, fit.min_examples) == pytest.approx((1000, 1e6), rel=1e-4)


def test_runs_that_did_not_arrive_tell_that_equal_examples_are_no_budget():
    sizes = np.array([16, 23, 32, 45, 64, 1000, 4000])
    runs = 1e6 / sizes * [1.02, 0.99, 1.01, 0.98, 1.02, 1, 1]
    arrived = sizes < 100
    with pytest.raises(ValueError, match="as budgets do"):
        fit_tradeoff(sizes[arrived], runs[arrived])
    runs[~arrived] = 3000
    fit = fit_tradeoff(sizes, runs, arrived=arrived)
    assert 1e6 / fit.critical_batch_size > 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [2, 1]), "3 or more runs for 2 unknowns; got 2"),
        (([1, 2, 3], [2, 1]), "steps must have 3 entries"),
        (([1, 2, 0], [3, 2, 1]), "batch_size must be positive"),
        (([1, 2, 3], [3, 2, -1]), "steps must be positive"),
        (([[1, 2, 3]], [3, 2, 1]), "batch_size must be 1-D"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_tradeoff(*arguments)


def test_wrong_shape_of_errors_is_refused():
    with pytest.raises(ValueError, match="relative_error"):
        fit_tradeoff(SIZES, steps(SIZES, 5, 100), relative_error=[0.1, 0.2])


def test_budgets_without_the_last_batch_of_each_epoch_are_budgets():
    """Fifty thousand examples by ten: what is dropped makes steps fall a little faster than 1/B."""
    sizes = np.array([16, 32, 64, 128, 256, 512, 1024])
    with pytest.raises(ValueError, match="budgets"):
        fit_tradeoff(sizes, 10 * (5000 // sizes))
