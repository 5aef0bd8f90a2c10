"""Rules that run gradient by gradient do what they do to the whole history."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import TanhNetwork
from lrbs.rules import Layerwise

NETWORK = TanhNetwork(inputs=3, hidden=4, classes=2)
LAYERS = Layerwise(
    NETWORK,
    {
        "W1": lrbs.Muon((4, 3), momentum=0.8),
        "b1": lrbs.SGD(),
        "W2": lrbs.Adam(beta1=0.5, beta2=0.7),
        "b2": lrbs.SignSGD(momentum=0.9),
    },
)
RULES = [
    lrbs.SGD(),
    lrbs.SGD(momentum=0.9),
    lrbs.SignSGD(momentum=0.6),
    lrbs.SoftSignSGD(epsilon=0.3, momentum=0.6),
    lrbs.Muon((13, 2), momentum=0.7),
    lrbs.Preconditioned(np.linspace(1, 2, 26), momentum=0.3),
    lrbs.Adam(beta1=0.9, beta2=0.95, epsilon=1e-3),
    lrbs.Lion(),
    lrbs.Lion(beta1=0.0),
    lrbs.SGD(momentum=0.9, nesterov=True),
    lrbs.Muon((2, 13), momentum=0.7, nesterov=True),
    lrbs.Averaged(lrbs.SignSGD(), [0.5, 0.2, 0.4]),
    LAYERS,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_after_each_gradient_as_on_the_history(rule: lrbs.UpdateRule) -> None:
    history = np.random.default_rng(0).standard_normal((5, 7, NETWORK.size))  # runs, steps, N
    state = rule.init((5, NETWORK.size))
    for step in range(7):
        update, state = rule.update(history[:, step], state)
        np.testing.assert_allclose(update, rule(history[:, : step + 1]), atol=1e-12)


def test_what_is_remembered_is_not_changed_in_place() -> None:
    for rule in RULES:
        start = rule.init((NETWORK.size,))
        first, _ = rule.update(np.ones(NETWORK.size), start)
        again, _ = rule.update(np.ones(NETWORK.size), start)
        np.testing.assert_array_equal(first, again)


def test_rules_of_layers_are_the_rules_of_their_parts() -> None:
    history = np.random.default_rng(1).standard_normal((6, NETWORK.size))
    update = LAYERS(history)
    for name, rule in LAYERS.rules.items():
        part = NETWORK.slices[name]
        np.testing.assert_allclose(update[part], rule(history[:, part]), rtol=1e-12, atol=1e-15)
    assert LAYERS.horizon == LAYERS.rules["b2"].horizon


def test_arrays_without_a_rule_are_held() -> None:
    only = Layerwise(NETWORK, {"W2": lrbs.SGD(momentum=0.5)})
    history = np.random.default_rng(2).standard_normal((2, 6, NETWORK.size))
    part, update = NETWORK.slices["W2"], only(history)
    np.testing.assert_allclose(update[:, part], lrbs.SGD(momentum=0.5)(history[..., part]), rtol=1e-12)
    assert np.count_nonzero(np.delete(update, np.r_[part], axis=1)) == 0


def test_noise_factor_of_layers() -> None:
    same = {name: lrbs.SGD(momentum=0.5) for name in NETWORK.shapes}
    assert Layerwise(NETWORK, same).noise_factor == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="one noise_factor"):
        _ = LAYERS.noise_factor


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="rules must be for some of W1, b1, W2, b2; got W3"):
        Layerwise(NETWORK, {"W3": lrbs.SGD()})
    with pytest.raises(ValueError, match="got none"):
        Layerwise(NETWORK, {})
