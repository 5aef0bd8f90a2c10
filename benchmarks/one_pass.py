"""What one pass over a stream of gradients costs, over numpy.dot of the same data with itself.

    python -m benchmarks.one_pass

The stream comes from memory and is too long for the caches, as gradients are; processor time is counted.
Aims: 3 up to a million weights, 5 at ten million. Beside it stands what the arithmetic alone costs, two
products and a sum for each gradient. Set OPENBLAS_NUM_THREADS=1.
"""

from collections.abc import Callable, Iterator
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from lrbs.noise_scale import noise_scale_from_samples
from lrbs.noise_scale.samples import PIECE

BYTES = 400_000_000
ROUNDS = 9


def products(stream: Iterator[Any]) -> None:
    """The square of each gradient."""
    for gradient in stream:
        np.dot(gradient, gradient)


def arithmetic(stream: Iterator[Any]) -> None:
    """Two products and a sum in plain NumPy, piece by piece, without an estimate or a check."""
    total: Any = None
    for gradient in stream:
        total = np.zeros(gradient.size) if total is None else total
        for start in range(0, gradient.size, PIECE):
            x, sums = gradient[start : start + PIECE], total[start : start + PIECE]
            x.dot(x), x.dot(sums)
            sums += x


def seconds(work: Callable[[Iterator[Any]], Any], gradients: Any) -> float:
    start = process_time()
    work(iter(gradients))
    return process_time() - start


def main() -> None:
    """Print the median ratio for each size, and its range over the rounds."""
    for size in (10_000, 100_000, 1_000_000, 10_000_000):
        gradients = np.random.default_rng(0).standard_normal((max(BYTES // (8 * size), 5), size))
        ratios = []
        for _ in range(ROUNDS):
            once = seconds(products, gradients)
            ratios.append(
                [seconds(work, gradients) / once for work in (noise_scale_from_samples, arithmetic)]
            )
        ours, bare = zip(*ratios, strict=True)
        print(
            f"N = {size:>10,}: {median(ours):.1f} ({min(ours):.1f} to {max(ours):.1f}), "
            f"arithmetic alone {median(bare):.1f} ({min(bare):.1f} to {max(bare):.1f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
