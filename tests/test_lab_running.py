"""Rules that run gradient by gradient do what they do to the whole history."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import Layerwise, TanhNetwork, running

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
    LAYERS,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_after_each_gradient_as_on_the_history(rule: lrbs.UpdateRule) -> None:
    history = np.random.default_rng(0).standard_normal((5, 7, NETWORK.size))  # runs, steps, N
    update = running(rule)
    for step in range(7):
        np.testing.assert_allclose(update(history[:, step]), rule(history[:, : step + 1]), atol=1e-12)


def test_two_runs_do_not_share_what_they_remember() -> None:
    rule = lrbs.SGD(momentum=0.5)
    first, second = running(rule), running(rule)
    first(np.ones(1))
    np.testing.assert_array_equal(second(np.ones(1)), [0.5])


def test_rules_of_layers_are_the_rules_of_their_parts() -> None:
    history = np.random.default_rng(1).standard_normal((6, NETWORK.size))
    update = LAYERS(history)
    for name, rule in LAYERS.rules.items():
        part = NETWORK.slices[name]
        np.testing.assert_array_equal(update[part], rule(history[:, part]))
    assert LAYERS.horizon == LAYERS.rules["b2"].horizon


def test_arrays_without_a_rule_are_held() -> None:
    only = Layerwise(NETWORK, {"W2": lrbs.SGD(momentum=0.5)})
    history = np.random.default_rng(2).standard_normal((2, 6, NETWORK.size))
    part, update = NETWORK.slices["W2"], only(history)
    np.testing.assert_array_equal(update[:, part], lrbs.SGD(momentum=0.5)(history[..., part]))
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

    class Other:
        noise_factor, horizon = 1.0, 1

        def __call__(self, gradients: np.ndarray) -> np.ndarray:
            return gradients[..., -1, :]

    with pytest.raises(NotImplementedError, match="no form for Other"):
        running(Other())  # type: ignore[arg-type]
