"""Steps against examples: the hyperbola symbolically, the functions against it, and what is refused."""

import numpy as np
import pytest
import sympy as sp

from lrbs.tradeoff import examples, hyperbola, steps


def test_the_hyperbola_symbolically():
    """S = S_min (1 + B_noise/B) and E = B S lie on (S/S_min - 1)(E/E_min - 1) = 1 (10542.14)."""
    B, scale, least = sp.symbols("B B_noise S_min", positive=True)
    S = least * (1 + scale / B)
    E = B * S
    least_examples = sp.limit(E, B, 0)
    assert sp.simplify(least_examples - scale * least) == 0
    assert sp.limit(S, B, sp.oo) == least
    assert sp.simplify((S / least - 1) * (E / least_examples - 1)) == 1
    values = {B: 30.0, scale: 200.0, least: 1000.0}
    assert steps(30, 1000, 200) == pytest.approx(float(S.subs(values)))
    assert examples(30, 1000, 200) == pytest.approx(float(E.subs(values)))
    s, e, least_e = sp.symbols("S E E_min", positive=True)
    (branch,) = sp.solve((s / least - 1) * (e / least_e - 1) - 1, e)
    arguments = {s: 1500.0, least: 1000.0, least_e: 7.0}
    assert hyperbola(1500, 1000, 7) == pytest.approx(float(branch.subs(arguments)))


def test_functions_lie_on_the_hyperbola():
    sizes = np.geomspace(0.1, 1e5, 40)
    S, E = steps(sizes, 1000, 200), examples(sizes, 1000, 200)
    np.testing.assert_allclose((S / 1000 - 1) * (E / (200 * 1000) - 1), np.ones(40))
    np.testing.assert_allclose(hyperbola(S, 1000, 200 * 1000), E)
    np.testing.assert_allclose(E, sizes * S)
    # It is symmetric: steps and examples may change places.
    np.testing.assert_allclose(hyperbola(E, 200 * 1000, 1000), S)


def test_at_the_noise_scale_both_are_doubled():
    assert steps(200, 1000, 200) == 2 * 1000
    assert examples(200, 1000, 200) == 2 * 1000 * 200


def test_limits():
    assert steps(1e15, 1000, 200) == pytest.approx(1000)
    assert examples(1e-12, 1000, 200) == pytest.approx(200_000)
    assert hyperbola(1e15, 1000, 7) == pytest.approx(7)
    sizes = np.geomspace(1, 1e4, 20)
    assert (np.diff(steps(sizes, 1, 100)) < 0).all()
    assert (np.diff(examples(sizes, 1, 100)) > 0).all()


def test_shapes():
    for function in (steps, examples, hyperbola):
        assert function(5, 1, 2).shape == ()
        assert function([5, 6], 1, 2).shape == (2,)
        assert function([5, 6], [[1], [2]], 2).shape == (2, 2)


@pytest.mark.parametrize("function", [steps, examples])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1), "batch_size must be positive; .* is 0"),
        (([1, np.inf], 1, 1), "batch_size must be finite; got nan or inf in 1 of 2"),
        ((1, 0, 1), "min_steps must be positive; .* is 0"),
        ((1, 1, -1), "noise_scale must be positive; .* is -1"),
    ],
)
def test_bad_input(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1000, 1000, 7), "steps must exceed min_steps; got 0 above it at the least"),
        (([2000, 900], 1000, 7), "steps must exceed min_steps; got -100 above it"),
        ((-5, 1000, 7), "steps must be positive; .* is -5"),
        ((5, 0, 7), "min_steps must be positive; .* is 0"),
        ((5, 1, 0), "min_examples must be positive; .* is 0"),
    ],
)
def test_hyperbola_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        hyperbola(*arguments)
