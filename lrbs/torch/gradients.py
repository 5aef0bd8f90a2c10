"""What is read off tensors: norms of gradients, and of Adam's updates."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import torch

EXACT = (torch.float32, torch.float64)
ADAM = (torch.optim.Adam, torch.optim.AdamW)
SAMPLED = 2**14  # coordinates of Adam's update that are looked at


def refuse_sharded(weights: Sequence[Any]) -> None:
    """Parts of a step show their noise before they are averaged, which a shard of a gradient never is."""
    for weight in weights:
        kind = next(
            (
                kind
                for mark, kind in (
                    ("_local_tensor", "DTensor, as FSDP2 and tensor parallelism make"),
                    ("_is_flat_param", "FSDP's flat parameter"),
                    ("_fsdp_flattened", "FSDP's"),
                    ("ds_id", "DeepSpeed ZeRO-3's"),
                )
                if hasattr(weight, mark)
            ),
            None,
        )
        if kind:
            raise ValueError(
                f"parameters must be whole on each rank; got one of shape {tuple(weight.shape)} that is "
                f"sharded ({kind}): its gradient is averaged over ranks as it is formed, and the noise "
                "between them is gone before a monitor sees it. Measure a shorter run under "
                "DistributedDataParallel, or log gradient norms at two batch sizes for "
                "lrbs.noise_scale_from_two_batches"
            )


def square(tensor: Any) -> Any:
    """Sum of squares, at least in single precision, without waiting for the device."""
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    if tensor.dtype in EXACT and tensor.is_contiguous() and tensor.numel() < 2**31:
        flat = tensor.view(-1)
        return torch.dot(flat, flat)  # faster and more exact than a norm
    return torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32)).square()


def stacked(numbers: Sequence[Any]) -> Any:
    """Scalars as one tensor, on the device of the first."""
    device = numbers[0].device
    if any(each.device != device for each in numbers):
        numbers = [each.to(device) for each in numbers]
    return torch.stack(numbers)


def total(numbers: Sequence[Any]) -> Any:
    """Their sum, on the device of the first."""
    return stacked(numbers).sum()


def precision(device: Any) -> Any:
    """The best that a device has."""
    return torch.float32 if device.type == "mps" else torch.float64


def update_square(optimizer: Any) -> list[Any]:
    """Mean square of the update that Adam has just made, over a sample of coordinates that have gradients.

    One number, or none: without learning rate and weight decay, and for Adam and AdamW alone.
    """
    if not isinstance(optimizer, ADAM):
        return []
    stride = sum(p.numel() for p in optimizer.state) // SAMPLED + 1
    squares, counts = [], []
    for group in optimizer.param_groups:
        states = [optimizer.state[p] for p in group["params"] if p in optimizer.state]
        if not states:
            continue
        square = "max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"
        samples = [(_sample(s["exp_avg"], stride), _sample(s[square], stride)) for s in states]
        first, second = (torch.cat(column) for column in zip(*samples, strict=True))
        steps = torch.stack([torch.as_tensor(state["step"]) for state in states])
        steps = steps.to(precision(steps.device))  # 1 - beta2 has few digits in single
        sizes = torch.tensor([len(sample) for sample, _ in samples], device=steps.device)
        shrunk = [torch.repeat_interleave(1 - beta**steps, sizes).to(first) for beta in group["betas"]]
        update = first / shrunk[0] / ((second / shrunk[1]).sqrt() + group["eps"])
        squares.append(torch.dot(update, update))
        counts.append((second > 0).sum())
    return [sum(squares) / sum(counts)] if squares else []


def _sample(tensor: Any, stride: int) -> Any:
    """Every so many entries, in steps that meet all columns."""
    while tensor.ndim and gcd(stride, tensor.shape[-1]) > 1:
        stride += 1
    return tensor.reshape(-1)[::stride]
