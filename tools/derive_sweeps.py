"""Best learning rates of ten public sweeps, with errors, from the published table of their losses.

    python -m tools.derive_sweeps step_law_dense.csv > lrbs/sweeps/step_law_rates.csv

The input is a table of final losses of 1156 dense language models, from the public data of Li et al. (arXiv
2503.04715, repository step-law/steplaw): ten pairs of model size and tokens, columns as in `COLUMNS`. It is
theirs and no part of this project; what stands here is derived from it, and the digest of the file.

At each batch size the loss, as a function of ln(learning rate), is fitted near its lowest value by the shapes
in `SHAPES`: the best rate is the mean of their minima, in logarithms. Its error has two parts, added as
squares. One is the noise of the runs: residuals of a cubic over nine rates, pooled over neighbouring batch
sizes, and `DRAWS` repetitions of everything with noise of that size. The other is the standard deviation
between the shapes, one number for a sweep. The batch size of the lowest loss of a sweep is found in the same
way, from the lowest losses.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lrbs.validation import Array

DIGEST = "74b44f5587cff9511d13aa698f821c34b83071fcd3f5bbc14edf98aa853a86af"
COLUMNS = ("parameters", "tokens", "batch_sequences", "learning_rate", "loss")
SHAPES = {"parabola": (5, 2), "wide": (7, 2), "cubic": (7, 3)}  # points, degree
FACTORS = (0.25, 0.5, 2.0, 4.0)
DRAWS = 400
# Runs this much above the lowest loss have left the neighbourhood of the minimum, or diverged.
NEIGHBOURHOOD = 0.15

HEADER = f"""\
# Derived from final losses of ten sweeps of dense language models (AdamW, warm-up and cosine,
# sequences of 2048 tokens): Li et al. 2025, "Predictable scale: part I", arXiv 2503.04715.
# SHA-256 of the table of losses: {DIGEST}
# Made by tools/derive_sweeps.py, which says how.
# parameters, tokens: of the sweep; batch_size: in sequences.
# learning_rate: the best one, mean of three shapes; rate_error: standard error of its logarithm;
# parabola, wide, cubic: the best one by each shape alone.
# at_edge: 1 if the lowest loss lies at an end of the rates that were tried, so the best rate may lie beyond.
# loss, loss_error: lowest loss at this batch size and its standard error.
# excess_*: loss above that at so many times the best rate, interpolated; nan where nothing was tried.
# best_batch, best_batch_error: batch size of the lowest loss of the sweep; standard error of its logarithm.
"""
NAMES = (
    "parameters", "tokens", "batch_size", "learning_rate", "rate_error", *SHAPES, "at_edge",
    "loss", "loss_error", *(f"excess_{factor:g}" for factor in FACTORS), "best_batch", "best_batch_error",
)  # fmt: skip


def read(path: Path) -> Array:
    """The published table, sorted; shape (1156, 5).

    Raises
    ------
    ValueError
        If its columns or its digest are not those of the file that the numbers of the book come from.
    """
    text = path.read_bytes()
    head = tuple(text.partition(b"\n")[0].decode("utf-8", "replace").strip().split(","))
    if head != COLUMNS:
        raise ValueError(f"{path.name} must have the columns {', '.join(COLUMNS)}; got {', '.join(head)}")
    if (digest := hashlib.sha256(text).hexdigest()) != DIGEST:
        raise ValueError(f"{path.name} must have the SHA-256 {DIGEST}; got {digest}: it is another version")
    table = np.loadtxt(text.decode().splitlines(), delimiter=",", skiprows=1)
    return table[np.lexsort(table.T[3::-1])]


def lowest(x: Array, y: Array, points: int, degree: int) -> tuple[Array, Array]:
    """Where a polynomial through the points around the lowest has its minimum, and its value there.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Rising.
    y : ndarray, shape (..., n)
    points : int
        Of the fit, as nearly centred on the lowest as the ends allow; all if there are fewer.
    degree : int
        2 or 3.

    Returns
    -------
    (position, value) : tuple of ndarray, shape (...)
        The lowest point itself where the polynomial has no minimum among the points of the fit.
    """
    points = min(points, x.size)
    at = y.argmin(axis=-1)
    first = np.clip(at - points // 2, 0, x.size - points)
    index = np.arange(points) + np.arange(x.size - points + 1)[:, None]
    origin = x[index].mean(axis=1)
    solve = np.linalg.pinv(np.vander((x[index] - origin[:, None]).ravel(), degree + 1, increasing=True)
                           .reshape(*index.shape, -1))  # fmt: skip
    near = np.take_along_axis(y, index[first], axis=-1)
    terms = np.einsum("...kp,...p->...k", solve[first], near)
    a, b, c = (terms[..., k] for k in range(3))
    d = terms[..., 3] if degree == 3 else np.zeros_like(a)
    with np.errstate(invalid="ignore", divide="ignore"):  # no minimum
        z = -b / (c + np.sqrt(c**2 - 3 * b * d))  # of the two roots the minimum, also where d is zero
    inside = (z + origin[first] >= x[first]) & (z + origin[first] <= x[first + points - 1])
    z = np.where(inside, z, 0.0)
    value = a + z * (b + z * (c + z * d))
    return np.where(inside, z + origin[first], x[at]), np.where(inside, value, y.min(axis=-1))


def by_shapes(x: Array, y: Array) -> tuple[Array, Array]:
    """Minima of `lowest` by every shape: positions and values, shape (..., shapes)."""
    found = [lowest(x, y, *shape) for shape in SHAPES.values()]
    return np.stack([f[0] for f in found], axis=-1), np.stack([f[1] for f in found], axis=-1)


def curve_and_noise(x: Array, y: Array) -> tuple[Array, Array, float, int]:
    """Nine points around the lowest: x, a cubic through them, the sum of its squared residuals, freedom."""
    kept = y < y.min() + NEIGHBOURHOOD
    x, y = x[kept], y[kept]
    first = int(np.clip(y.argmin() - 4, 0, max(x.size - 9, 0)))
    x, y = x[first : first + 9], y[first : first + 9]
    curve = np.polynomial.Polynomial.fit(x, y, 3)(x)
    return x, curve, float(np.sum((y - curve) ** 2)), x.size - 4


def sweep(table: Array, rng: np.random.Generator) -> Iterator[list[float]]:
    """Rows of the derived table, from the losses of one sweep: columns batch size, learning rate, loss."""
    sizes = np.unique(table[:, 0])
    runs = [(np.log(t[:, 1]), t[:, 2]) for t in (table[table[:, 0] == B] for B in sizes)]
    near = [curve_and_noise(x, y) for x, y in runs]
    squares, freedom = (np.array([n[k] for n in near]) for k in (2, 3))
    pooled = [np.convolve(values, np.ones(3), "same") for values in (squares, freedom)]
    noise = np.sqrt(pooled[0] / pooled[1])
    found, rows = [], []
    for (x, y), (x_near, curve, *_), sigma in zip(runs, near, noise, strict=True):
        kept = y < y.min() + NEIGHBOURHOOD
        again = by_shapes(x_near, curve + sigma * rng.standard_normal((DRAWS, x_near.size)))
        found.append((*by_shapes(x[kept], y[kept]), *(values.mean(axis=-1).std() for values in again)))
    places, values, *by_noise = (np.array(each) for each in zip(*found, strict=True))
    # Three shapes say little of their scatter at one batch size: one standard deviation for a sweep.
    by_shape = [np.sqrt(np.mean(np.var(each, axis=1, ddof=1))) for each in (places, values)]
    rate_errors, loss_errors = (np.hypot(*each) for each in zip(by_noise, by_shape, strict=True))
    lows = values.mean(axis=1)
    for k, (B, (x, y)) in enumerate(zip(sizes, runs, strict=True)):
        place = places[k].mean()
        excess = np.interp(place + np.log(FACTORS), x, y, left=np.nan, right=np.nan) - lows[k]
        edge = float(y.argmin() in (0, y.size - 1))
        fits = [np.exp(place), rate_errors[k], *np.exp(places[k])]
        rows.append([B, *fits, edge, lows[k], loss_errors[k], *excess])
    best = by_shapes(np.log(sizes), lows)[0]
    drawn = by_shapes(np.log(sizes), lows + loss_errors * rng.standard_normal((DRAWS, lows.size)))[0]
    error = np.hypot(drawn.mean(axis=-1).std(), best.std(ddof=1))
    yield from ([*row, np.exp(best.mean()), error] for row in rows)


def derive(table: Array) -> Array:
    """The derived table, with columns `NAMES`, of losses with columns `COLUMNS`."""
    pairs = np.unique(table[:, :2], axis=0)
    rng = np.random.default_rng(0)
    return np.array(
        [[*pair, *row] for pair in pairs for row in sweep(table[(table[:, :2] == pair).all(axis=1), 2:], rng)]
    )


def written(table: Array) -> str:
    """The derived table as it is stored: errors and differences to two digits, the rest to four."""
    formats = ["d", ".5g", "d", ".4g", ".2g", ".4g", ".4g", ".4g", "d", ".5g", *[".2g"] * 5, ".3g", ".2g"]
    lines = [
        ",".join(format(int(v) if f == "d" else v, f) for v, f in zip(row, formats, strict=True))
        for row in table
    ]
    return "\n".join([HEADER + ",".join(NAMES), *lines]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written(derive(read(Path(sys.argv[1])))))
