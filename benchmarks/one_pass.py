"""What one pass over a stream of gradients costs, over numpy.dot of the same data with itself.

    python -m benchmarks.one_pass

The stream comes from memory and is too long for the caches, as gradients are. Aims: 3 up to a million weights,
5 at ten million. Set OPENBLAS_NUM_THREADS=1: two threads would make one side faster, not the other.
"""

from statistics import median
from time import perf_counter

import numpy as np

from lrbs.noise_scale import noise_scale_from_samples

BYTES = 400_000_000
ROUNDS = 7


def main() -> None:
    """Print the median ratio for each size, and its range over the rounds."""
    for size in (10_000, 100_000, 1_000_000, 10_000_000):
        gradients = np.random.default_rng(0).standard_normal((max(BYTES // (8 * size), 5), size))
        ratios = []
        for _ in range(ROUNDS):
            start = perf_counter()
            for gradient in gradients:
                np.dot(gradient, gradient)
            middle = perf_counter()
            noise_scale_from_samples(iter(gradients))
            ratios.append((perf_counter() - middle) / (middle - start))
        print(f"N = {size:>10,}: {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


if __name__ == "__main__":
    main()
