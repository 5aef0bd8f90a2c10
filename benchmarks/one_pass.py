"""What one pass over a stream of gradients costs, over numpy.dot of the same data with itself.

    python -m benchmarks.one_pass

The stream comes from memory and is too long for the caches, as gradients are; processor time is counted.
Aims: 3 up to a million weights, 5 at ten million. Set OPENBLAS_NUM_THREADS=1.
"""

from statistics import median
from time import process_time

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
            start = process_time()
            for gradient in gradients:
                np.dot(gradient, gradient)
            middle = process_time()
            noise_scale_from_samples(iter(gradients))
            ratios.append((process_time() - middle) / (middle - start))
        print(f"N = {size:>10,}: {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


if __name__ == "__main__":
    main()
