"""The survey of one step: what its parts give, put together, for each rule and batch size."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import TanhNetwork, best_learning_rate, local_model, stationary_updates, survey_steps

NETWORK = TanhNetwork(4, 3, 3)
RULES = {"plain": lrbs.SGD(), "signs": lrbs.SignSGD(momentum=0.5)}


@pytest.fixture(scope="session")
def model(data, weights):
    return local_model(NETWORK, weights, data)


def test_each_entry_is_the_step_of_its_own_updates(data, weights, model):
    found = survey_steps(
        NETWORK, weights, data, model, RULES, (4, 32), rng=5, runs=12, updates=4, every=3, burn_in=10
    )
    assert list(found) == ["plain", "signs"]
    for k, size in enumerate((4, 32)):
        rng = np.random.default_rng([5, size])
        drawn = stationary_updates(
            NETWORK,
            weights,
            data,
            list(RULES.values()),
            size,
            runs=12,
            updates=4,
            every=3,
            burn_in=10,
            rng=rng,
        )
        for name, updates in zip(RULES, drawn, strict=True):
            step = lrbs.step_from_updates(updates, model.gradient, model.hessian)
            assert found[name].batch_size[k] == size
            assert found[name].measured.optimal_lr[k] == step.optimal_lr
            assert found[name].measured.optimal_lr_se[k] == pytest.approx(
                float(step.optimal_lr_se), rel=1e-12
            )
            every_second = updates[:, [0, 2]].reshape(-1, NETWORK.size)
            searched = best_learning_rate(NETWORK, weights, data, every_second, start=float(step.optimal_lr))
            assert found[name].searched.optimal_lr[k] == searched.optimal_lr


def test_a_batch_size_has_the_same_numbers_whatever_stands_beside_it(data, weights, model):
    alone, both = (
        survey_steps(
            NETWORK, weights, data, model, RULES, sizes, rng=5, runs=4, updates=2, burn_in=5, search=False
        )
        for sizes in ((8,), (2, 8))
    )
    assert alone["signs"].searched is None
    np.testing.assert_array_equal(alone["signs"].measured.curvature, both["signs"].measured.curvature[1:])


def test_linear_rules_meet_their_law(data, weights, model):
    found = survey_steps(
        NETWORK, weights, data, model, {"SGD": lrbs.SGD()}, (1, 16), rng=1, runs=200, updates=10, search=False
    )["SGD"].measured
    law = lrbs.expected_step(model, lrbs.SGD(), (1, 16))
    assert (np.abs(found.optimal_lr - law.optimal_lr) < 4 * found.optimal_lr_se).all()
    assert (found.optimal_lr_se < 0.1 * law.optimal_lr).all()
