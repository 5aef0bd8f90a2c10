"""A small network, its optimisers and its data, in PyTorch and in NumPy."""

import numpy as np

from lrbs.lab import TanhNetwork

NETWORK = TanhNetwork(4, 6, 3)


def forward(parameters, features):
    import torch

    *hidden, last = list(zip(parameters[::2], parameters[1::2], strict=True))
    x = features
    for W, b in hidden:
        x = torch.tanh(x @ W.T + b)
    return x @ last[0].T + last[1]


def mean_loss(parameters, data):
    import torch

    logits = forward(parameters, torch.tensor(data.features).to(parameters[0].dtype))
    return torch.nn.functional.cross_entropy(logits, torch.tensor(data.labels))


def parameters_of(weights, dtype=None):
    import torch

    parts = NETWORK.unpack(weights).values()
    return [torch.nn.Parameter(torch.tensor(part, dtype=dtype or torch.float64)) for part in parts]


def vector_of(tensors):
    return np.concatenate([t.detach().double().numpy().ravel() for t in tensors])


def optimizers_of(name, parameters, lr=0.05):
    from torch.optim import SGD, AdamW, Muon

    if name == "SGD":
        return [SGD(parameters, lr=lr, momentum=0.9)]
    if name == "AdamW":
        return [AdamW(parameters, lr=lr, betas=(0.9, 0.95), weight_decay=0.1)]
    matrices = [p for p in parameters if p.ndim == 2]
    return [Muon(matrices, lr=lr), AdamW([p for p in parameters if p.ndim < 2], lr=lr)]


def batches_of(data, sizes, steps, seed=0):
    rng = np.random.default_rng(seed)
    return [[data.take(rng.integers(len(data), size=size)) for size in sizes] for _ in range(steps)]


def train(
    optimizers, parameters, steps, monitor=None, *, clip=None, reduction="mean", to_none=True, update=True
):
    """Accumulated steps; gives the weights before each."""
    import torch

    path = []
    for step in steps:
        path.append(vector_of(parameters))
        whole = sum(len(batch) for batch in step)
        for batch in step:
            share = 1 / len(step) if reduction == "mean" else len(batch) / whole
            (mean_loss(parameters, batch) * share).backward()
            if monitor is not None and update:
                monitor.update(len(batch))
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=to_none)
    return path


def lab_gradients(path, steps):
    """Of every micro-batch, by hand-written backpropagation: (steps, micro-batches, N)."""
    return np.array(
        [[NETWORK.gradient(w, batch) for batch in step] for w, step in zip(path, steps, strict=True)]
    )


def monitor_of(optimizers, **options):
    from lrbs.torch import NoiseMonitor

    return NoiseMonitor(optimizers, **{"memories": (2, 1e12), **options})
