"""Best rates of recorded runs, by what the runs have in common: made-up tables whose powers are known."""

import dataclasses

import numpy as np
import pytest

from lrbs.laws.corner import Run
from lrbs.sweeps import TABLES, WALK, best_rates, noise_scale_at, one_step, recorded, transformer, tuned_rates

RUN = Run(2.0**14, 1e6, 0.3, 5.0, 0.4, 1.2, 0.7, 0.9)
SIZES, LENGTHS = (4, 16, 64), tuple(2**k for k in range(8, 19, 2))


@pytest.fixture
def made_up(monkeypatch):
    """Losses of a model of a run, four seeds, on a grid of powers of two around its best rates."""
    rng = np.random.default_rng(0)
    rows = []
    for size in SIZES:
        for length in LENGTHS:
            run = dataclasses.replace(RUN, tokens=float(length))
            centre = round(np.log2(run.best_rate(size)))
            for log2 in range(centre - 2, centre + 3):
                for value in run.loss(size, 2.0**log2) * (1 + 0.001 * rng.standard_normal(4)):
                    cell = {"batch_size": size, "sequences": length, "log2_rate": log2, "loss": value}
                    rows.append({key: str(value) for key, value in {"recipe": "made up", **cell}.items()})
    edge = [{**row, "recipe": "at the edge"} for row in rows]
    for row in edge:
        row["loss"] = str(100 - int(row["log2_rate"]))  # lower and lower
    tables = {"runs": (*rows, *edge), "horizon": ()}
    monkeypatch.setattr(transformer, "recorded", tables.__getitem__)
    tuned_rates.cache_clear()
    yield
    tuned_rates.cache_clear()


def test_powers_are_those_of_the_model(made_up):
    target = float(RUN.loss(16, RUN.best_rate(16))) * 1.1
    powers = RUN.exponents
    for held, power in (
        ({"steps": 256}, powers.steps),
        ({"sequences": 2**14}, powers.tokens),
        ({"loss": target}, powers.loss),
    ):
        found = best_rates("made up", **held)
        assert found.batch_size.tolist() == list(SIZES)
        value, error = found.power()
        assert value == pytest.approx(power, abs=0.06)  # grids and straight lines between lengths
        assert error < 0.02
    assert best_rates("made up", steps=256).sequences.tolist() == [256 * size for size in SIZES]
    way = best_rates("made up", loss=target)
    same = [dataclasses.replace(RUN, tokens=D).loss(B, lr) for B, lr, D in zip(
        way.batch_size, way.learning_rate, way.sequences, strict=True)]  # fmt: skip
    assert same == pytest.approx([target] * 3, rel=0.03)
    assert way.sequences_error == pytest.approx(0, abs=0.02)


def test_a_rate_at_the_end_of_its_grid_is_no_best_rate(made_up):
    assert {key[0] for key in tuned_rates()} == {"made up"}
    with pytest.raises(ValueError, match="within their grid; recipes are made up"):
        best_rates("at the edge", steps=256)


def test_a_loss_that_not_all_lengths_enclose_is_left_out(made_up):
    with pytest.raises(ValueError, match="no such runs"):
        best_rates("made up", loss=1e-9)


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="exactly one of steps, sequences and loss"):
        best_rates("AdamW")
    with pytest.raises(ValueError, match="exactly one"):
        best_rates("AdamW", steps=1, loss=2.0)
    with pytest.raises(ValueError, match="name must be one of runs, one_step, horizon"):
        recorded("walks")
    with pytest.raises(ValueError, match="one of 64, 512, 2048 steps; got 100"):
        noise_scale_at(100)
    with pytest.raises(ValueError, match="two batch sizes between 2000"):
        best_rates("AdamW", sequences=2**14).power(low=2000)


def test_recorded_tables_have_four_seeds_a_rate():
    for name in TABLES.keys() - {"one_step"}:
        counts: dict[tuple[str, ...], int] = {}
        for row in recorded(name):
            key = tuple(value for column, value in row.items() if column not in ("seed", "loss"))
            counts[key] = counts.get(key, 0) + 1
        assert set(counts.values()) == {4}
    assert best_rates(WALK, steps=16).batch_size.tolist() == [4, 16, 64, 256, 1024]


def test_the_monitor_of_the_run_finds_the_noise_scale_midway():
    point = one_step()[512, "", 0]
    low, high = (point[f"noise scale, {end}"][0] for end in ("low", "high"))
    assert low < noise_scale_at() < high
