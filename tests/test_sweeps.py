"""Laws fitted to made-up sweeps whose law is known, and what is predicted from sweeps that were not seen."""

import dataclasses

import numpy as np
import pytest

from lrbs.laws import corner_law, saturation
from lrbs.sweeps import CANDIDATES, Sweep, fit_law, power_of_size_and_tokens, rate_range, resampled, step_law
from lrbs.sweeps.table import FACTORS

B = 2.0 ** np.arange(5, 12)


def made_up(law, noise=0.0, seed=0):
    """Six sweeps of a law, with corners as D^0.7 N^-0.4 and levels as D^0.2 N^-0.8."""
    rng = np.random.default_rng(seed)
    sweeps = []
    for N in (2e8, 5e8, 1e9):
        for D in (5e9, 8e10):
            corner, level = (
                40 * (D / 1e9) ** 0.7 * (N / 1e8) ** -0.4,
                3e-3 * (D / 1e9) ** 0.2 * (N / 1e8) ** -0.8,
            )
            rates = law(B, level, corner) * np.exp(noise * rng.standard_normal(B.size))
            x = np.log(FACTORS)
            sweeps.append(
                Sweep(N, D, corner, 0.1, B, rates, np.full(B.size, max(noise, 0.05)),
                      {"cubic": rates * 1.1}, np.zeros(B.size, bool), 2.5 + 0 * B, 0.001 + 0 * B,
                      np.tile(0.02 * x**2, (B.size, 1)))
            )  # fmt: skip
    return sweeps


def cornered(B, level, corner):
    return corner_law(B, level, corner, 0.7)


def test_a_corner_is_found():
    sweeps = made_up(cornered)
    fit = fit_law(CANDIDATES["corner"], sweeps)
    assert fit.shared["a"] == pytest.approx(0.7)
    assert fit.own == pytest.approx([s.best_batch for s in sweeps], rel=0.02)
    assert fit.rms < 0.01
    assert fit.rate(3, B) == pytest.approx(sweeps[3].learning_rate, rel=0.02)
    assert (fit.points, fit.parameters) == (42, 13)
    _, D, N = power_of_size_and_tokens(fit.own, sweeps)
    assert pytest.approx(0.7, abs=0.02) == D
    assert pytest.approx(-0.4, abs=0.02) == N


@pytest.mark.parametrize(
    ("law", "name", "other"),
    [(cornered, "corner", "saturation"), (saturation, "saturation", "corner")],
    ids=["corner", "saturation"],
)
def test_the_criterion_picks_the_law_that_made_the_rates(law, name, other):
    won = 0
    for seed in range(10):
        sweeps = made_up(law, noise=0.08, seed=seed)
        won += fit_law(CANDIDATES[name], sweeps).aicc < fit_law(CANDIDATES[other], sweeps).aicc
    assert won >= 9


def test_criterion_and_chi_squared_are_those_of_least_squares():
    sweeps = made_up(cornered, noise=0.05)
    fit = fit_law(CANDIDATES["constant"], sweeps)
    logs = np.log([s.learning_rate for s in sweeps])
    left = logs - logs.mean(axis=1, keepdims=True)
    assert np.concatenate(fit.residuals) == pytest.approx(left.ravel())
    chi, n, k = np.sum(left**2) / 0.05**2, left.size, 7
    assert fit.chi_squared.sum() == pytest.approx(chi)
    assert fit.aicc == pytest.approx(n * np.log(chi / n) + 2 * k * n / (n - k - 1))
    assert np.isnan(fit.own_error).all() and fit.limits == pytest.approx(np.exp(logs.mean(axis=1)))


def test_errors_of_corners_are_those_of_repetitions():
    fits = [fit_law(CANDIDATES["corner"], made_up(cornered, noise=0.08, seed=s)) for s in range(30)]
    off = np.log([f.own for f in fits]) - np.log([s.best_batch for s in made_up(cornered)])
    errors = np.array([f.own_error for f in fits])
    inner = slice(1, None, 2)  # corners well within the batches tried
    ratio = np.sqrt(np.mean(off[:, inner] ** 2)) / np.sqrt(np.mean(errors[:, inner] ** 2))
    assert 0.7 < ratio < 1.4


def test_edges_and_shapes_are_chosen_by_name():
    sweeps = made_up(cornered)
    edge = np.zeros(B.size, bool)
    edge[0] = True
    marked = [dataclasses.replace(s, at_edge=edge) for s in sweeps]
    assert fit_law(CANDIDATES["corner"], marked).points == 36
    assert fit_law(CANDIDATES["corner"], marked, edges=True).points == 42
    taller = fit_law(CANDIDATES["corner"], sweeps, shape="cubic")
    assert taller.limits == pytest.approx(1.1 * fit_law(CANDIDATES["corner"], sweeps).limits)
    few = [dataclasses.replace(s, at_edge=B < 512) for s in sweeps]
    with pytest.raises(ValueError, match="four rates or more"):
        fit_law(CANDIDATES["corner"], few)


def test_drawn_sweeps_are_as_many():
    counts = resampled(10, draws=50)
    assert counts.shape == (50, 10) and (counts.sum(axis=1) == 10).all()


def test_loss_lost_by_a_rate():
    sweep = made_up(cornered)[0]
    factors = np.array([1.0, 2.0, 0.5, 3.0, 0.25, 16.0, 1.2])
    index = np.array([0, 1, 2, 3, 4, 5, 2])
    lost = sweep.excess_at(index, factors * sweep.learning_rate[index])
    assert lost == pytest.approx(0.02 * np.log(factors) ** 2)


# ------------------------------------------------------------------------------------- predictions
def test_where_all_sweeps_agree_the_range_is_the_scatter():
    sweeps = made_up(cornered)
    sweep = sweeps[2]
    kept = (*sweeps[:2], *sweeps[3:])
    found = rate_range(
        B[0], sweep.learning_rate[0], B[1:], parameters=sweep.parameters, tokens=sweep.tokens, sweeps=kept
    )
    assert found.centre == pytest.approx(sweep.learning_rate[1:], rel=0.03)
    assert (found.high / found.low).max() < 1.1


def test_without_size_and_tokens_the_range_is_wider_and_covers_both():
    sweeps = made_up(cornered)
    found = rate_range(32, 1.0, 1024, sweeps=sweeps)
    for sweep in sweeps:
        ratio = sweep.learning_rate[5] / sweep.learning_rate[0]
        assert found.low < 1.3 * ratio and ratio < 1.3 * found.high
    assert found.high / found.low > 2


def test_the_way_back_is_the_way_there():
    there, back = rate_range(64, 1e-3, 1024), rate_range(1024, 1e-3, 64)
    assert there.centre * back.centre == pytest.approx(1e-6)
    assert there.low * back.high == pytest.approx(1e-6)


def test_tokens_count_and_not_sequences():
    short = rate_range(256, 1e-3, 1024, sequence_length=1024)
    long = rate_range(128, 1e-3, 512)
    assert short == pytest.approx(long)


def test_far_from_the_sweeps_the_range_is_wider():
    near = rate_range(64, 1e-3, 512, parameters=5e8, tokens=2e10)
    far = rate_range(64, 1e-3, 512, parameters=2.5e10, tokens=1.6e11)  # a corner at about the same place
    assert far.high / far.low > 1.2 * near.high / near.low


def test_ranges_cover_what_was_left_out():
    """Pairs of batch sizes a factor of two and more apart, each sweep from the nine others."""
    sweeps = step_law()
    for known in (False, True):
        hits, widths = [], []
        for k, sweep in enumerate(sweeps):
            size, rate = sweep.batch_size, sweep.learning_rate
            old, new = sweep.pairs()
            assert (np.abs(np.log2(size[new] / size[old])) >= 1).all() and not sweep.at_edge[[old, new]].any()
            terms = {"parameters": sweep.parameters, "tokens": sweep.tokens} if known else {}
            others = sweeps[:k] + sweeps[k + 1 :]
            found = rate_range(size[old], rate[old], size[new], sweeps=others, **terms)
            hits.append((found.low <= rate[new]) & (rate[new] <= found.high))
            widths.append(found.high / found.low)
        assert np.concatenate(hits).mean() >= 0.85
        assert np.median(np.concatenate(widths)) <= (2 if known else 3)


@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "new_batch_size", "sequence_length"])
def test_what_is_not_positive_is_refused(name):
    terms = {"batch_size": 1.0, "learning_rate": 1.0, "new_batch_size": 2.0, "sequence_length": 2048, name: 0}
    with pytest.raises(ValueError, match=name):
        rate_range(**terms)


def test_size_and_tokens_come_together():
    with pytest.raises(ValueError, match="give both or neither"):
        rate_range(64, 1e-3, 128, tokens=1e10)
