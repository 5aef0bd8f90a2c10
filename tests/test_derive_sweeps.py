"""The tool that derives best rates: on losses whose minimum is known, and on the published ones if there."""

import os
from pathlib import Path

import numpy as np
import pytest

from lrbs.sweeps.table import TABLE
from tools import derive_sweeps as tool

RATES = 1e-3 * np.sqrt(2) ** np.arange(-4, 8)
SIZES = np.array([32, 64, 128, 256, 512, 1024])


def losses(best, noise=0.0, cubic=0.0, seed=0):
    """A made-up sweep: the best rate at each batch size is given, and that of the lowest loss is 200."""
    rng = np.random.default_rng(seed)
    rows = []
    for B, rate in zip(SIZES, best, strict=True):
        x = np.log(RATES / rate)
        y = (
            2.5
            + 0.01 * np.log(B / 200) ** 2
            + 0.02 * x**2
            + cubic * x**3
            + noise * rng.standard_normal(x.size)
        )
        y[x > 1.8] = 6.5  # diverged
        rows += [(4e8, 2e10, B, eta, loss) for eta, loss in zip(RATES, y, strict=True)]
    return np.array(rows)


BEST = 1e-3 * np.array([0.55, 0.9, 1.5, 2.0, 2.0, 2.1])


def column(table, name):
    return table[:, tool.NAMES.index(name)]


def test_parabolas_are_found_exactly():
    found = tool.derive(losses(BEST))
    assert column(found, "learning_rate") == pytest.approx(BEST)
    assert column(found, "best_batch") == pytest.approx(200)
    assert column(found, "rate_error").max() < 1e-6
    assert column(found, "excess_0.5")[2] == pytest.approx(0.02 * np.log(2) ** 2, rel=0.2)
    assert not column(found, "at_edge").any()


def test_a_cubic_is_found_by_its_shape_and_its_error_covers_the_others():
    found = tool.derive(losses(BEST, cubic=0.004))
    assert column(found, "cubic") == pytest.approx(BEST, rel=1e-3)
    gap = np.log(column(found, "learning_rate") / BEST)
    assert np.all(np.abs(gap) < 3 * column(found, "rate_error"))
    assert np.any(np.abs(gap) > 0.01)


def test_errors_are_those_of_repetitions():
    """Over forty made-up sweeps ln(found/true) scatters as the errors say, within a quarter."""
    found = [tool.derive(losses(BEST, noise=0.002, cubic=0.002, seed=seed)) for seed in range(40)]
    off = np.array([np.log(column(f, "learning_rate") / BEST) for f in found])
    errors = np.array([column(f, "rate_error") for f in found])
    assert np.sqrt(np.mean((off / errors) ** 2)) == pytest.approx(1, abs=0.25)
    places = np.array([np.log(column(f, "best_batch")[0] / 200) for f in found])
    assert np.mean(np.abs(places / [column(f, "best_batch_error")[0] for f in found]) < 2) > 0.85


def test_a_best_rate_beyond_the_grid_is_marked():
    found = tool.derive(losses(np.r_[RATES[0] / 2, BEST[1:]]))
    assert column(found, "at_edge").tolist() == [1, 0, 0, 0, 0, 0]


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text("parameters,tokens,batch,learning_rate,loss\n")
    with pytest.raises(ValueError, match="must have the columns parameters, tokens, batch_sequences"):
        tool.read(path)
    path.write_text(",".join(tool.COLUMNS) + "\n1,2,3,4,5\n")
    with pytest.raises(ValueError, match="another version"):
        tool.read(path)


@pytest.mark.skipif(
    "STEP_LAW_LOSSES" not in os.environ, reason="STEP_LAW_LOSSES does not name the public table"
)
def test_the_stored_table_is_what_the_tool_makes():
    made = tool.written(tool.derive(tool.read(Path(os.environ["STEP_LAW_LOSSES"]))))
    stored = TABLE.read_text(encoding="utf-8")
    assert made.partition("\nparameters,")[0] == stored.partition("\nparameters,")[0]
    both = [np.genfromtxt(text.splitlines()[13:], delimiter=",") for text in (made, stored)]
    # The last digit may depend on the processor.
    np.testing.assert_allclose(*both, rtol=0.02, equal_nan=True)
