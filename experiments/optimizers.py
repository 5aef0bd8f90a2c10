"""The optimisers of the runs, on stacked weights: AdamW, SGD with momentum, Muon with AdamW for the rest."""

from __future__ import annotations

from typing import Any

import torch

from experiments.decoder import MATRICES, Weights

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of torch.optim.Muon


class Muon(torch.optim.Optimizer):
    """``torch.optim.Muon``, told "match_rms_adamw", for stacks of matrices and in single precision."""

    def __init__(self, params: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(average, group["momentum"])  # Nesterov
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * max(weight.shape[-2:]) ** 0.5
                weight.add_(orthogonal(ahead), alpha=-group["lr"] * scale)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Five steps of Newton and Schulz towards the orthogonal factor, of the last two axes."""
    wide = matrix.mT if matrix.shape[-2] > matrix.shape[-1] else matrix
    x = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if wide is not matrix else x


def optimizers(
    name: str, weights: Weights, weight_decay: float = 0.1, beta2: float = 0.95
) -> list[torch.optim.Optimizer]:
    """Those that train the weights together, at a rate of one; a schedule sets it."""
    adam = {"lr": 1.0, "betas": (0.9, beta2), "weight_decay": weight_decay, "fused": True}
    if name == "AdamW":
        return [torch.optim.AdamW(weights.values(), **adam)]
    if name == "SGD":  # its decay would be multiplied by rates a hundred times as large: none
        return [torch.optim.SGD(weights.values(), lr=1.0, momentum=0.9)]
    if name == "Muon":
        matrices = [weights[key] for key in MATRICES]
        rest = [weight for key, weight in weights.items() if key not in MATRICES]
        return [Muon(matrices, lr=1.0, weight_decay=weight_decay), torch.optim.AdamW(rest, **adam)]
    raise ValueError(f"name must be AdamW, SGD or Muon; got {name!r}")
