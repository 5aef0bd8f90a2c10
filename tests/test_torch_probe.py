"""The probe against the NumPy laboratory and autograd in full."""

import numpy as np
import pytest

import lrbs
from lrbs.lab import local_model
from tests.torch_fixtures import (
    NETWORK,
    batches_of,
    mean_loss,
    monitor_of,
    optimizers_of,
    parameters_of,
    train,
    vector_of,
)

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_probe_against_the_laboratory(data, name) -> None:
    """Rules, backpropagation and Hessian products by NumPy, from the optimiser's memory."""
    parameters = parameters_of(NETWORK.initial_weights(1))
    optimizers = optimizers_of(name, parameters)
    monitor = monitor_of(optimizers)
    warm = batches_of(data, [16], 5)
    path = train(optimizers, parameters, warm)
    batches = [step[0] for step in batches_of(data, [16], 12, seed=4)]
    (probed,) = monitor.probe(lambda batch: mean_loss(parameters, batch), iter(batches))

    w, size = vector_of(parameters), NETWORK.size
    history = [NETWORK.gradient(w, step[0]) for w, step in zip(path, warm, strict=True)]

    def update(gradient):
        gradients = np.array([*history, gradient])
        if name == "SGD":  # the libraries' momentum is a sum
            return gradients.T @ 0.9 ** np.arange(len(gradients))[::-1]
        return lrbs.Adam(0.9, 0.95, epsilon=1e-8)(gradients)

    pairs = []
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        phi = update(NETWORK.gradient(w, first))
        pairs.append(
            (phi @ NETWORK.gradient(w, second), phi @ NETWORK.hessian_vector_product(w, second, phi))
        )
    alignment, curvature = np.mean(pairs, axis=0)
    assert phi.shape == (size,) and probed.pairs == 6 and probed.learning_rate == 0.05
    assert float(probed.step.alignment) == pytest.approx(alignment, rel=1e-9)
    assert float(probed.step.curvature) == pytest.approx(curvature, rel=1e-9)
    left_out = [np.mean(pairs[:k] + pairs[k + 1 :], axis=0) for k in range(6)]
    jackknife = np.sqrt(5 / 6 * np.sum((np.array(left_out) - np.mean(left_out, axis=0)) ** 2, axis=0))
    np.testing.assert_allclose([probed.step.alignment_se, probed.step.curvature_se], jackknife, rtol=1e-9)


def test_probe_of_muon_and_adam_together(data) -> None:
    """Updates as the real optimisers then make them, on a loss whose Hessian is known."""
    import torch

    torch.manual_seed(0)
    matrix, bias = torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(4))
    from torch.optim import AdamW, Muon

    optimizers = [Muon([matrix], lr=0.02), AdamW([bias], lr=0.01)]
    h = torch.rand(19) + 0.5

    def loss(x):
        w = torch.cat([matrix.ravel(), bias])
        return (h * w**2).sum() / 2 + w @ x

    for x in torch.randn(3, 19):
        loss(x).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    batches = torch.randn(12, 19)
    probe = monitor_of(optimizers).probe(loss, batches)
    assert [each.optimizer for each in probe] == ["Muon", "AdamW"]

    w = vector_of([matrix, bias])
    state = [optimizer.state_dict() for optimizer in optimizers]
    start = [matrix.detach().clone(), bias.detach().clone()]
    updates, gradients = [[], []], []
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        loss(first).backward()
        for k, (optimizer, weight) in enumerate(zip(optimizers, (matrix, bias), strict=True)):
            saved = {"state": {0: {n: v.clone() for n, v in state[k]["state"][0].items()}}}
            decay = optimizer.param_groups[0]["weight_decay"]
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            moved = (start[k] * (1 - rate * decay) - weight.detach()) / rate
            whole = [torch.zeros(15), torch.zeros(4)]
            whole[k] = moved.ravel()
            updates[k].append(vector_of(whole))
            with torch.no_grad():
                weight.copy_(start[k])
            optimizer.load_state_dict({**state[k], **saved})
            state[k] = optimizer.state_dict()
            optimizer.zero_grad()
        gradients.append(h.double().numpy() * w + second.double().numpy())
    for k in range(2):
        true = lrbs.step_from_updates(updates[k], gradients, h.double().numpy())
        assert float(probe[k].step.optimal_lr) == pytest.approx(float(true.optimal_lr), rel=1e-3)
        assert float(probe[k].step.optimal_lr_se) == pytest.approx(float(true.optimal_lr_se), rel=1e-2)
    assert str(probe).count("best for one step") == 2
    with pytest.raises(ValueError, match="at least 2 pairs"):
        monitor_of(optimizers).probe(loss, batches[:3])


def test_probe_finds_the_law_of_one_step(data, assert_within) -> None:
    """SGD without memory: the exact best rate of Gaussian-free, real noise, from moments of all samples."""
    w = NETWORK.initial_weights(1)
    parameters = parameters_of(w)
    import torch

    monitor = monitor_of(torch.optim.SGD(parameters, lr=0.1))
    batches = [step[0] for step in batches_of(data, [8], 200, seed=7)]
    (probed,) = monitor.probe(lambda batch: mean_loss(parameters, batch), batches)
    exact = lrbs.expected_step(local_model(NETWORK, w, data), lrbs.SGD(), 8, lrbs.exact)
    assert_within(probed.step.optimal_lr, exact.optimal_lr, probed.step.optimal_lr_se)
    assert probed.step.optimal_lr_se < 0.2 * exact.optimal_lr


def test_probe_where_the_loss_curves_downwards() -> None:
    import torch

    weights = torch.nn.Parameter(torch.ones(2))
    monitor = monitor_of(torch.optim.SGD([weights], lr=0.0))
    probe = monitor.probe(lambda x: -(weights**2).sum() + weights @ x, torch.rand(4, 2))
    assert "no best one" in str(probe)


def test_probe_where_the_memory_leads_uphill_or_a_loss_is_no_number() -> None:
    """Momentum of a loss that has since turned round; and a batch of nan."""
    import torch

    weights = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weights], lr=1e-9, momentum=0.9)
    (-10 * weights.sum()).backward()
    optimizer.step()
    optimizer.zero_grad()
    monitor = monitor_of(optimizer)
    uphill = monitor.probe(lambda x: (weights**2).sum() / 2 + 1e-3 * weights @ x, torch.rand(4, 2))
    assert "the updates raise the loss of other batches (-0.1" in str(uphill)
    with pytest.raises(ValueError, match="loss must be finite on all batches"):
        monitor.probe(lambda x: (weights**2).sum() / 2 + weights @ x, torch.full((4, 2), torch.nan))
