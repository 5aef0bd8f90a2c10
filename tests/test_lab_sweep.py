"""Sweeps, against trainings one by one, and the same wherever they run."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import lrbs
from lrbs.lab import Dataset, TanhNetwork, sample_batches, steps_to_loss, sweep, train

NETWORK = TanhNetwork(4, 3, 3)
RULES = {"SGD": lrbs.SGD(momentum=0.5), "Adam": lrbs.Adam(0.9, 0.95)}
SIZES, SEEDS, STEPS = [2, 40], [3, 5, 8], [0, 3, 6]
RATES = np.array([[[0.1, 0.3], [0.2, 0.4]], [[0.01, 0.02], [0.01, 0.03]]])


@pytest.fixture(scope="session")
def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=20)
    return Dataset(rng.standard_normal((20, 4)) + labels[:, None], labels)


@pytest.fixture(scope="session")
def weights():
    return NETWORK.initial_weights(1)


@pytest.fixture(scope="session")
def swept(data, weights):
    return run(data, weights)


def run(data, weights, **changes):
    settings = {"rules": RULES, "batch_sizes": SIZES, "learning_rates": RATES, "seeds": SEEDS, "steps": STEPS}
    return sweep(NETWORK, weights, data, **settings | changes)


def trained(data, weights, rule, size, rate, seed, steps):
    rng = np.random.default_rng([seed, size])
    return train(NETWORK, weights, data, rule=rule, learning_rate=rate, batch_size=size, steps=steps, rng=rng)


def test_a_sweep_is_its_trainings(data, weights, swept):
    assert swept.rules == ("SGD", "Adam")
    np.testing.assert_array_equal(swept.batch_sizes, SIZES)
    assert swept.losses.shape == (3, 2, 2, 2, 3)
    for i, name in enumerate(RULES):
        for j, size in enumerate(SIZES):
            np.testing.assert_array_equal(swept.learning_rates[i, j], RATES[i, j])
            for k, rate in enumerate(RATES[i, j]):
                for l, seed in enumerate(SEEDS):  # noqa: E741
                    path = trained(data, weights, RULES[name], size, rate, seed, STEPS)
                    np.testing.assert_allclose(
                        swept.losses[:, i, j, k, l], NETWORK.loss(path, data), rtol=1e-9
                    )


def test_what_is_drawn_depends_on_seed_and_batch_size_alone(data, weights, swept):
    part = run(
        data,
        weights,
        rules={"Adam": RULES["Adam"]},
        batch_sizes=[40],
        learning_rates=[0.03],
        seeds=[8, 3],
        steps=6,
    )
    np.testing.assert_allclose(part.losses[0, 0, 0], swept.losses[-1, 1, 1, 1, [2, 0]], rtol=1e-12)
    same = run(data, weights, rules={"a": lrbs.SGD(), "b": lrbs.SGD()}, learning_rates=[0.1, 0.2])
    np.testing.assert_array_equal(same.losses[:, 0], same.losses[:, 1])
    assert (same.losses[-1, 0, 0, 0] != np.roll(same.losses[-1, 0, 0, 0], 1)).all()


def test_each_seed_may_have_a_start_of_its_own(data, weights):
    starts = np.stack([weights, 2 * weights, weights - 1])
    own = run(data, starts)
    np.testing.assert_allclose(own.losses[0, 0, 0, 0], NETWORK.loss(starts, data))
    alone = run(data, starts[1], seeds=[SEEDS[1]])
    np.testing.assert_allclose(own.losses[..., 1], alone.losses[..., 0], rtol=1e-12)


def test_primed_averages_know_the_gradient_of_the_start(data, weights):
    rule, rates = lrbs.Adam(0.9, 0.95), [0.01, 0.02]
    primed = run(data, weights, rules={"Adam": rule}, learning_rates=rates, batch_sizes=[4], primed=5)
    w = np.stack([weights] * 2)
    state = rule.init(w.shape)
    rng = np.random.default_rng([SEEDS[1], 4])
    for step in range(11):
        batch = data.take(sample_batches(data, 4, (), rng))
        move, state = rule.update(NETWORK.gradient(w, batch), state)
        if step >= 5:
            w = w - np.array(rates)[:, None] * move
    np.testing.assert_allclose(primed.losses[-1, 0, 0, :, 1], NETWORK.loss(w, data), rtol=1e-9)
    np.testing.assert_allclose(primed.losses[0], NETWORK.loss(weights, data))


def test_a_schedule_multiplies_the_rate_of_each_step(data, weights):
    factors, rates = 1 - np.arange(8) / 8, [0.1, 0.3]
    found = run(data, weights, rules={"SGD": lrbs.SGD()}, learning_rates=rates, schedule=factors)
    rng, w = np.random.default_rng([SEEDS[2], 2]), weights
    for step in range(6):
        batch = data.take(sample_batches(data, 2, (), rng))
        w = w - 0.3 * factors[step] * NETWORK.gradient(w, batch)
    assert found.losses[-1, 0, 0, 1, 2] == pytest.approx(float(NETWORK.loss(w, data)), rel=1e-9)
    even = run(data, weights, schedule=np.ones(6))
    np.testing.assert_array_equal(even.losses, run(data, weights).losses)


def test_the_best_rate_is_that_of_the_losses(swept):
    best = swept.best()
    assert best.learning_rate.shape == (3, 2, 2)
    assert best.at_edge.all()  # of two rates one is always at the edge
    np.testing.assert_allclose(best.value, swept.losses.mean(axis=-1).min(axis=-1))


def test_threads_and_processes_give_the_same(data, weights, swept):
    with ThreadPoolExecutor(2) as executor:
        np.testing.assert_array_equal(run(data, weights, executor=executor).losses, swept.losses)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        np.testing.assert_array_equal(run(data, weights, executor=executor).losses, swept.losses)


def test_a_local_cluster_of_dask_gives_the_same(data, weights, swept):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        away = run(data, weights, executor=client.get_executor())
    np.testing.assert_array_equal(away.losses, swept.losses)


def test_the_bar_sees_every_task(data, weights, swept):
    seen = []

    def bar(tasks):
        for task in tasks:
            seen.append(task)
            yield task
        seen.append("end")

    np.testing.assert_array_equal(run(data, weights, progress=bar).losses, swept.losses)
    assert len(seen) == 5 and seen[-1] == "end"


def test_runs_that_overflow_are_infinite_and_harm_no_other(data, weights):
    rates = np.array([0.1, 1e308])
    hot = run(data, weights, rules={"SGD": lrbs.SGD(), "Muon": lrbs.Muon((9, 3))}, learning_rates=rates)
    cool = run(data, weights, rules={"SGD": lrbs.SGD(), "Muon": lrbs.Muon((9, 3))}, learning_rates=rates[:1])
    assert np.isinf(hot.losses[-1, :, :, 1]).all()
    np.testing.assert_allclose(hot.losses[:, :, :, 0], cool.losses[:, :, :, 0], rtol=1e-12)


def test_errors_of_a_sweep(data, weights):
    with pytest.raises(ValueError, match="rules and batch_sizes must not be empty; got 0 and 2"):
        run(data, weights, rules={})
    with pytest.raises(ValueError, match="seeds must not be empty"):
        run(data, weights, seeds=[])
    with pytest.raises(ValueError, match="batch_sizes must be at least 1"):
        run(data, weights, batch_sizes=[0])
    with pytest.raises(ValueError, match="learning_rates must increase"):
        run(data, weights, learning_rates=[0.2, 0.1])
    with pytest.raises(ValueError, match="learning_rates must increase"):
        run(data, weights, learning_rates=0.2)
    with pytest.raises(ValueError, match=r"learning_rates must broadcast to \(2, 2, 3\)"):
        run(data, weights, learning_rates=np.ones((5, 1, 1)) * [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"weights must have shape \(27,\) or \(3, 27\); got \(2, 27\)"):
        run(data, np.stack([weights] * 2))
    with pytest.raises(ValueError, match="steps must hold at least one"):
        run(data, weights, steps=[])
    with pytest.raises(ValueError, match="primed must be at least 0"):
        run(data, weights, primed=-1)
    with pytest.raises(ValueError, match="schedule must have a factor for each of 6 steps; got 5"):
        run(data, weights, schedule=np.ones(5))
    with pytest.raises(ValueError, match="schedule must be positive"):
        run(data, weights, schedule=np.zeros(6))


ARRIVAL = {"batch_size": 10, "learning_rates": [0.05, 0.2, 0.8], "seeds": SEEDS, "max_steps": 300}


@pytest.fixture(scope="session")
def curves(data, weights):
    """ln(loss) at each step, (steps, rates, seeds), by training one by one."""
    paths = [
        [trained(data, weights, lrbs.SGD(), 10, rate, seed, range(301)) for seed in SEEDS]
        for rate in ARRIVAL["learning_rates"]
    ]
    return np.moveaxis(np.log(NETWORK.loss(np.array(paths), data)), 2, 0)


@pytest.mark.parametrize("every", [1, 7])
def test_steps_to_a_loss_are_those_of_the_curve(data, weights, curves, every):
    target = 0.4
    found = steps_to_loss(NETWORK, weights, data, target_loss=target, every=every, patience=1e9, **ARRIVAL)
    looks = np.unique([*range(0, 301, every), 300])
    for rate in range(3):
        for seed in range(3):
            seen = curves[looks, rate, seed] - np.log(target)
            if (seen > 0).all():
                expected = np.inf
            else:
                first = int(np.argmax(seen <= 0))
                expected = np.interp(0, -seen[first - 1 : first + 1], looks[first - 1 : first + 1])
            assert found.steps[rate, seed] == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(found.steps[1:]).all()
    np.testing.assert_array_equal(found.median, np.median(found.steps, axis=1))


def test_the_last_step_is_looked_at(data, weights, curves):
    crossing = int(np.argmax(curves[:, 1, 0] <= np.log(0.4)))
    every = 7 if crossing % 7 else 6
    settings = ARRIVAL | {"max_steps": crossing, "every": every, "patience": 1e9}
    found = steps_to_loss(NETWORK, weights, data, target_loss=0.4, **settings)
    before = crossing // every * every
    ends = curves[[before, crossing], 1, 0]
    assert found.steps[1, 0] == pytest.approx(np.interp(np.log(1 / 0.4), -ends, [before, crossing]), rel=1e-6)


def test_no_seed_is_given_up_for_a_faster_one(data, weights, curves):
    near = trained(data, weights, lrbs.SGD(), 10, 0.8, 1, 50)
    starts = np.stack([weights, near, weights])
    found = steps_to_loss(NETWORK, starts, data, target_loss=0.4, patience=1.5, **ARRIVAL)
    assert found.steps[:, 1].min() < found.steps[:, 0].min() / 3
    assert np.isfinite(found.steps.min(axis=0)).all()


def test_the_best_of_the_steps(data, weights):
    found = steps_to_loss(NETWORK, weights, data, target_loss=0.4, patience=1e9, **ARRIVAL)
    best, means = found.best(), found.steps.mean(axis=1)
    assert best.value == means.min()
    np.testing.assert_allclose(best.value_without.mean(), best.value, rtol=1e-9)
    near = ARRIVAL["learning_rates"][int(np.argmin(means))]
    assert near / 2 <= best.learning_rate <= 2 * near


def test_slow_rates_are_given_up(data, weights):
    patient = steps_to_loss(NETWORK, weights, data, target_loss=0.6, patience=1e9, **ARRIVAL)
    hasty = steps_to_loss(NETWORK, weights, data, target_loss=0.6, patience=1.5, **ARRIVAL)
    most = 1.5 * patient.steps.min(axis=0).max()
    assert patient.steps[0].min() > most + 5
    np.testing.assert_array_equal(hasty.steps[0], np.inf)
    early = patient.steps <= most
    np.testing.assert_array_equal(hasty.steps[early], patient.steps[early])


def test_errors_of_steps_to_a_loss(data, weights):
    with pytest.raises(ValueError, match="target_loss must be below the loss at the start"):
        steps_to_loss(NETWORK, weights, data, target_loss=5.0, **ARRIVAL)
    with pytest.raises(ValueError, match="target_loss must be positive"):
        steps_to_loss(NETWORK, weights, data, target_loss=0.0, **ARRIVAL)
    with pytest.raises(ValueError, match="every must be at least 1"):
        steps_to_loss(NETWORK, weights, data, target_loss=0.4, every=0, **ARRIVAL)
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        steps_to_loss(NETWORK, weights, data, target_loss=0.4, **ARRIVAL | {"max_steps": 0})
