"""How quick lrbs is, as ratios to the least that NumPy needs for the same numbers, in one run on one thread.

    make benchmarks

Aims: Monte Carlo 1.3 times the drawing of its normals, a step of ten million coordinates 1.4 times the bare
sums, the import 1.5 times that of what it needs of NumPy and SciPy.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

import lrbs
from lrbs.simulate import CHUNK

SAMPLES, SMALL, LARGE = 20_000, 2_000, 10_000_000


def seconds(function: Callable[[], object]) -> float:
    """Processor time of one call, of the processes that it starts too."""
    before = os.times()
    function()
    return sum(os.times()[:4]) - sum(before[:4])


def ratio(ours: Callable[[], object], bare: Callable[[], object], times: int = 5) -> float:
    """Median ratio of times, taken in turns, so that a busy machine slows both."""
    ours(), bare()  # what is loaded or allocated the first time does not count
    return statistics.median(seconds(ours) / seconds(bare) for _ in range(times))


def draw_normals() -> None:
    """The numbers of the simulation below, in the same blocks."""
    rng, rows = np.random.default_rng(0), CHUNK // SMALL
    for start in range(0, SAMPLES, rows):
        rng.standard_normal((min(rows, SAMPLES - start), SMALL))


def monte_carlo() -> float:
    model = lrbs.LocalModel(np.full(SMALL, 0.1), np.ones(SMALL), np.ones(SMALL))
    return ratio(
        lambda: lrbs.simulated_step(model, lrbs.SignSGD(), 8, samples=SAMPLES, rng=0), draw_normals, times=3
    )


def one_step() -> float:
    rng = np.random.default_rng(0)
    gradient, variance, curvature = rng.uniform(0.5, 1.5, (3, LARGE))
    model = lrbs.LocalModel(gradient, variance, curvature)

    def bare() -> None:
        noise = variance / 64
        scale = 1 / np.sqrt(gradient**2 + noise)
        mean = scale * gradient
        _ = mean @ gradient, mean**2 @ curvature + (scale**2 * noise) @ curvature

    return ratio(lambda: lrbs.expected_step(model, lrbs.SignSGD(), 64), bare)


def imported() -> float:
    """A process that imports lrbs, against one that imports what it stands on; less an empty one."""

    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    codes = ("pass", "import numpy, scipy.linalg, scipy.special", "import lrbs")
    times = [[seconds(run(code)) for code in codes] for _ in range(9)]
    empty, base, ours = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return (ours - empty) / (base - empty)


if __name__ == "__main__":
    with threadpool_limits(1):
        for name, measure in (
            (f"simulated_step, {SAMPLES} draws of {SMALL} / drawing alone", monte_carlo),
            (f"expected_step, {LARGE} coordinates / bare NumPy", one_step),
            ("import lrbs / import numpy, scipy.linalg, scipy.special", imported),
        ):
            print(f"{name:70}{measure():6.2f}", flush=True)
