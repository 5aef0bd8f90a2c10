"""The rules against torch.optim, by the conversions that their docstrings state."""

import numpy as np
import pytest

from lrbs import SGD, Adam, Muon
from lrbs.laws import newton_schulz
from lrbs.rules import adamw_step

pytestmark = pytest.mark.torch
STEPS, ROWS, COLUMNS = 25, 4, 3
N = ROWS * COLUMNS


class Pair:
    """The same noisy quadratic under an optimiser of PyTorch and under ours, each at its own weights."""

    def __init__(self, rng, make, shape=(N,), **options):
        import torch

        self.torch, self.rng = torch, rng
        root = rng.standard_normal((N, N))
        self.hessian = root @ root.T / N
        self.ours = rng.standard_normal(N)
        self.parameter = torch.nn.Parameter(torch.tensor(self.ours.reshape(shape)))
        self.optimiser = getattr(torch.optim, make)([self.parameter], **options)

    @property
    def theirs(self):
        return self.parameter.detach().numpy().reshape(-1)

    @property
    def buffer(self):
        return self.optimiser.state[self.parameter]["momentum_buffer"].numpy()

    def run(self, step):
        for _ in range(STEPS):
            noise = self.rng.standard_normal(N)
            self.descend(self.hessian @ self.theirs + noise)
            self.ours = step(self.ours, self.hessian @ self.ours + noise)
            np.testing.assert_allclose(self.ours, self.theirs, rtol=1e-10, atol=1e-12)

    def descend(self, gradient):
        """One step of PyTorch's optimiser."""
        self.parameter.grad = self.torch.tensor(gradient.reshape(self.parameter.shape))
        self.optimiser.step()


def steps_of(rule, learning_rate, weight_decay=0.0):
    """A function of weights and gradient that remembers the rule's state."""
    state = rule.init((N,))

    def step(weights, gradient):
        nonlocal state
        phi, state = rule.update(gradient, state)
        return weights - learning_rate * (phi + weight_decay * weights)

    return step


def adjusted(shape, adjust):
    """What PyTorch's Muon multiplies the update by, but not the decay."""
    return 0.2 * max(shape) ** 0.5 if adjust == "match_rms_adamw" else max(1, shape[0] / shape[1]) ** 0.5


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_at_one_minus_momentum_times_the_rate(nesterov, rng):
    pair = Pair(rng, "SGD", lr=0.3 * (1 - 0.8), momentum=0.8, nesterov=nesterov)
    pair.run(steps_of(SGD(0.8, nesterov), 0.3))


def test_dampening_averages_and_forgets_another_start(rng):
    """With dampening = momentum the buffer averages, but starts from the first gradient whole."""
    pair = Pair(rng, "SGD", lr=0.3, momentum=0.8, dampening=0.8)
    rule = SGD(0.8)
    state, history = rule.init((N,)), rng.standard_normal((STEPS, N))
    for t, gradient in enumerate(history, start=1):
        pair.descend(gradient)
        phi, state = rule.update(gradient, state)
        np.testing.assert_allclose(pair.buffer - phi, 0.8**t * history[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.97)])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_adam(betas, scale, rng):
    """Also where epsilon rivals the gradient, which tells where it stands."""
    pair = Pair(rng, "Adam", lr=0.03, betas=betas, eps=1e-6)
    pair.hessian *= scale
    pair.run(steps_of(Adam(*betas, epsilon=1e-6), 0.03))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_decays_by_rate_times_lambda(decay, rng):
    pair = Pair(rng, "AdamW", lr=0.03, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)
    rule = Adam(epsilon=1e-8)
    state = rule.init((N,))

    def step(weights, gradient):
        nonlocal state
        weights, state = adamw_step(weights, gradient, state, 0.03, rule, weight_decay=decay)
        return weights

    pair.run(step)


def test_defaults_are_those_that_the_docstrings_name(rng):
    told = {
        "Adam": {"betas": (0.9, 0.999), "eps": 1e-8},
        "AdamW": {"weight_decay": 0.01},
        "Muon": {"momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "ns_steps": 5},
    }
    for name, defaults in told.items():
        assert defaults.items() <= Pair(rng, name, (ROWS, COLUMNS), lr=1.0).optimiser.defaults.items()


@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (COLUMNS, ROWS)])
@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
def test_muon_with_the_polynomial_for_the_sign(shape, adjust, rng):
    """The averages agree, and the steps within the rounding of bfloat16, in which theirs iterates."""
    pair = Pair(rng, "Muon", shape, lr=0.1, adjust_lr_fn=adjust)
    rule = SGD(0.95, nesterov=True)
    state = rule.init((N,))
    for _ in range(STEPS):
        gradient, before = rng.standard_normal(N), pair.theirs.copy()
        pair.descend(gradient)
        average, state = rule.update(gradient, state)
        flat = newton_schulz(average.reshape(shape)).reshape(-1)
        update = (before * (1 - 0.1 * 0.1) - pair.theirs) / (0.1 * adjusted(shape, adjust))
        assert np.linalg.norm(update - flat) < 0.1 * np.linalg.norm(flat)
        np.testing.assert_allclose(pair.buffer.reshape(-1), state, rtol=1e-10)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
def test_muon_to_the_last_digits_where_its_polynomial_has_no_error(nesterov, adjust, rng):
    """Multiples of a matrix of two entries +-1, for which a + b + c = 1 makes the matrix sign exact."""
    shape = (ROWS, COLUMNS)
    pair = Pair(
        rng,
        "Muon",
        shape,
        lr=0.1,
        momentum=0.7,
        nesterov=nesterov,
        weight_decay=0.2,
        ns_coefficients=(1.5, -0.5, 0.0),
        ns_steps=20,
        adjust_lr_fn=adjust,
    )
    factor = adjusted(shape, adjust)
    step = steps_of(Muon(shape, 0.7, nesterov), 0.1 * factor, weight_decay=0.2 / factor)
    direction = np.zeros(shape)
    direction[1, 2], direction[3, 0] = 1.0, -1.0
    for size in rng.standard_normal(STEPS):
        pair.descend(size * direction)
        pair.ours = step(pair.ours, size * direction.reshape(-1))
        np.testing.assert_allclose(pair.ours, pair.theirs, rtol=1e-10)
