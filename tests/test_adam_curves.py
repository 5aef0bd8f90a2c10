"""Adam's closed laws symbolically, against the scalar mean field, and against their limits."""

import math

import numpy as np
import pytest
import sympy as sp

import lrbs
from lrbs import Adam, LocalModel, ScalarLaw, SignSGD, scalar_mean_field
from lrbs.laws.adam_curves import adam_law, full_momentum_lr, scalar_mean_update


@pytest.fixture
def model(rng, definite):
    gradient = rng.standard_normal(5)
    return LocalModel(
        gradient, 40 * gradient**2, definite(5) + 0.3 * np.outer(np.sign(gradient), np.sign(gradient))
    )


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_law_is_the_scalar_mean_field(model, beta1):
    sizes = model.simple_noise_scale * np.geomspace(1e-3, 1e3, 9)
    step = lrbs.expected_step(model, Adam(beta1, 0.95), sizes, scalar_mean_field)
    law = adam_law(model, beta1)
    np.testing.assert_allclose(law.optimal_lr(sizes), step.optimal_lr)
    np.testing.assert_allclose(law.loss_decrease(sizes), step.loss_decrease)


def test_without_momentum_it_is_the_law_of_the_sign(model):
    assert adam_law(model, 0.0) == ScalarLaw.of_sign(model)


def test_curves_symbolically():
    """Peak, its condition and the loss decrease of 11301.21, from the two scalars."""
    beta, B, Bs, a, q, t, c = sp.symbols("beta B B_s a q t c", positive=True)
    rate = a / (c * t / beta + beta * (q - c * t))
    peak = sp.solve(sp.diff(1 / rate, beta), beta)[0]  # and minus that
    assert sp.simplify(peak**2 - c * t / (q - c * t)) == 0
    size = Bs * peak**2 / (1 - peak**2)
    assert sp.simplify(size - Bs * c * t / (q - 2 * c * t)) == 0
    b = sp.symbols("b", positive=True)
    momentum = (1 - b) / (1 + b)
    assert sp.simplify(size.subs({q: t}).subs(c, momentum) - Bs * (1 - b) / (3 * b - 1)) == 0
    assert sp.simplify((peak**2).subs({q: t}).subs(c, momentum) - (1 - b) / (2 * b)) == 0
    decrease = (rate * a * beta / 2).subs(beta, (1 + Bs / B) ** sp.Rational(-1, 2))
    assert sp.simplify(decrease - a**2 / (2 * q) / (1 + c * Bs * t / q / B)) == 0


def test_law_against_the_printed_forms(model):
    law, signs = adam_law(model, 0.8), np.sign(model.gradient)
    H, total, c, size = model.hessian.dense(), np.abs(model.gradient).sum(), 0.2 / 1.8, 17.0
    beta = (1 + model.simple_noise_scale / size) ** -0.5
    whole = signs @ H @ signs
    printed = total / (c / beta * np.trace(H) + beta * (whole - c * np.trace(H)))
    assert law.optimal_lr(size) == pytest.approx(printed)
    assert law.loss_scale == pytest.approx(c * model.simple_noise_scale * np.trace(H) / whole)
    assert law.max_loss_decrease == pytest.approx(total**2 / (2 * whole))
    assert law.peak_batch_size == pytest.approx(
        c * np.trace(H) / (whole - 2 * c * np.trace(H)) * model.simple_noise_scale
    )


@pytest.mark.parametrize(("beta1", "peaks"), [(0.2, False), (0.33, False), (0.34, True), (0.9, True)])
def test_diagonal_hessian_surges_beyond_one_third(beta1, peaks):
    model = LocalModel([1.0, -2.0], [9.0, 36.0], [1.0, 5.0])
    law = adam_law(model, beta1)
    curve = law.optimal_lr(np.geomspace(1e-2, 1e5, 4000))
    assert bool((np.diff(curve) < 0).any()) == peaks
    assert math.isfinite(law.peak_batch_size) == peaks
    assert (np.diff(law.loss_decrease(np.geomspace(1e-2, 1e5, 4000))) > 0).all()


def test_full_momentum_is_a_limit_and_falls(model):
    law = adam_law(model, 1 - 1e-10)
    sizes = np.geomspace(0.1, 1e4, 9)
    limit = full_momentum_lr(sizes, law.alignment, law.signal_curvature, law.noise_scale)
    np.testing.assert_allclose(limit, law.optimal_lr(sizes), rtol=1e-6)
    assert (np.diff(limit) < 0).all()


def test_scalar_mean_update(model):
    rule = scalar_mean_field(SignSGD(0.9), model.gradient, model.noise(7.0)).mean
    ours = scalar_mean_update(model.gradient, 7.0, model.simple_noise_scale, momentum=0.9)
    np.testing.assert_allclose(ours, rule)
    adam = scalar_mean_field(Adam(0.9, 0.95), model.gradient, model.noise(7.0)).mean
    np.testing.assert_allclose(scalar_mean_update(model.gradient, 7.0, model.simple_noise_scale), adam)
