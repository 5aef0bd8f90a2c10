"""A decoder of one block, for several sets of weights at once: one a seed, along the first axis.

Seeds trained side by side take half the time that they take one after the other where batches are small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from experiments.text import VOCABULARY

WIDTH, HEADS, LENGTH = 32, 2, 32
Weights = dict[str, torch.Tensor]
SHAPES = {
    "embedding": (VOCABULARY, WIDTH),  # and, transposed, the last layer
    "position": (LENGTH, WIDTH),
    "attention": (WIDTH, 3 * WIDTH),
    "attention out": (WIDTH, WIDTH),
    "feed-forward": (WIDTH, 4 * WIDTH),
    "feed-forward out": (4 * WIDTH, WIDTH),
}
MATRICES = tuple(SHAPES)[2:]  # what Muon takes
SIZE = sum(rows * columns for rows, columns in SHAPES.values())


def initial(seeds: Sequence[int]) -> Weights:
    """Weights to start from, each (seeds, rows, columns)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    weights = {}
    for name, (rows, columns) in SHAPES.items():
        scale = 1 / math.sqrt(rows) if name in MATRICES else 0.1
        draws = [scale * torch.randn(rows, columns, generator=generator) for generator in generators]
        weights[name] = torch.stack(draws).requires_grad_()
    return weights


def loss(weights: Weights, windows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the next symbol, in nats.

    Parameters
    ----------
    weights : dict from str to tensor, shape (seeds, rows, columns)
    windows : tensor of int, shape (seeds, batch size, LENGTH + 1)

    Returns
    -------
    tensor, shape (seeds, batch size)
        Of each sequence.
    """
    seeds, batch = windows.shape[:2]
    symbols, told = windows[..., :-1], windows[..., 1:]
    own = VOCABULARY * torch.arange(seeds)[:, None, None]
    x = F.embedding(symbols + own, weights["embedding"].flatten(0, 1)).flatten(1, 2)
    x = (x.view(seeds, batch, LENGTH, WIDTH) + weights["position"][:, None]).flatten(1, 2)
    heads = _normed(x).bmm(weights["attention"]).view(seeds * batch, LENGTH, 3, HEADS, WIDTH // HEADS)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    x = x + mixed.transpose(1, 2).reshape(x.shape).bmm(weights["attention out"])
    x = x + F.gelu(_normed(x).bmm(weights["feed-forward"])).bmm(weights["feed-forward out"])
    scores = _normed(x).bmm(weights["embedding"].mT)
    each = F.cross_entropy(scores.flatten(0, 1), told.flatten(), reduction="none")
    return each.view(seeds, batch, LENGTH).mean(-1)


def _normed(x: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(x, (WIDTH,))
