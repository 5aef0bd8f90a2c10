"""One step from three checkpoints: the best learning rate, searched, measured, and by the laws.

The population is a set of sequences that batches are drawn from with replacement: its loss, gradient, noise
and curvature are exact, and so are the laws but for the Hessian's diagonal. The error of tr(Sigma H) is that
of the population, as a draw from the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from experiments import text
from experiments.decoder import LENGTH, MATRICES, SHAPES, SIZE, Weights, initial, loss
from experiments.optimizers import optimizers
from experiments.records import RESULTS, Table, head
from experiments.runs import batches, factor, held_out_loss
from lrbs.approximations import mean_field, scalar_mean_field, two_sided_mean_field
from lrbs.model import LocalModel
from lrbs.moments import Moments
from lrbs.operators import Diagonal, DiagonalPlusLowRank, MatrixFree
from lrbs.rules import SGD, Adam, Muon, SignSGD, UpdateRule, msign
from lrbs.simulate import step_from_updates
from lrbs.step import expected_step
from lrbs.torch import NoiseMonitor

SEED = 0
MOMENTS = (64, 512, 2048)  # steps, at a batch size of
TRAINED_AT, LOG2_RATE = 64, -7
BATCH_SIZES = (1, 4, 16, 64, 256, 1024)
RULES: dict[str, UpdateRule] = {
    "SGD": SGD(),
    "SignSGD": SignSGD(),
    "Adam": Adam(),
    "Adam, long memory": Adam(beta2=0.999),  # v is what it averages
    "Muon": Muon((1, 1)),  # of each matrix in its shape
}
POPULATION = 256
DRAWS = 24  # independent updates
PROBES = 128  # of the Hessian's diagonal
HISTORY = 128  # gradients that Adam has seen
COLUMNS = ("moment", "rule", "batch_size", "quantity", "value", "error")
LAST = ("searched", "held-out loss")  # one of each task
TABLE = "one_step.csv"
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A checkpoint, a rule and a batch size."""

    moment: int
    rule: str
    batch_size: int
    point: bytes  # weights, (SIZE,) doubles


def train(moments: Iterable[int] = MOMENTS) -> dict[int, tuple[Any, list[Row]]]:
    """AdamW at a level rate; weights and the monitor's noise scale at the moments."""
    torch.set_num_threads(1)
    weights = initial([SEED])
    (adam,) = optimizers("AdamW", weights)
    monitor = NoiseMonitor(adam, unit="sequences", memories=(32, 320))
    found = {}
    for step, windows in zip(range(max(moments)), batches(TRAINED_AT, [SEED]), strict=False):
        adam.zero_grad()
        adam.param_groups[0]["lr"] = 2.0**LOG2_RATE * factor(step, MOMENTS[0], False)
        for part in windows.split(TRAINED_AT // 4, dim=1):
            (loss(weights, part).sum() / TRAINED_AT).backward()
            monitor.update(TRAINED_AT // 4)
        adam.step()
        if step + 1 in moments:
            found[step + 1] = (
                flat(weights.values())[0].double().numpy(),
                [
                    row(step + 1, "held-out loss", held_out_loss(weights)[0]),
                    *noise_rows(step + 1, monitor.compute().recent),
                ],
            )
    return found


def noise_rows(moment: int, estimate: Any) -> list[Row]:
    """What the monitor says: the ratio, and the ends of its interval as far as it is resolved."""
    low, high = estimate.interval()
    told = {"noise scale, monitor": estimate.point_estimate, "low": low, "high": high}
    return [
        row(moment, name if k == 0 else f"noise scale, {name}", v) for k, (name, v) in enumerate(told.items())
    ]


def row(moment: int, quantity: str, value: Any, error: Any = 0.0, rule: str = "", batch_size: int = 0) -> Row:
    """A line of the table."""
    numbers = {"value": f"{float(value):.5g}", "error": f"{float(error):.2g}"}
    return {"moment": moment, "rule": rule, "batch_size": batch_size, "quantity": quantity} | numbers


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """(seeds, SIZE) of the tensors of a set of weights."""
    return torch.cat([tensor.detach().flatten(1) for tensor in tensors], dim=1)


def shaped(vectors: Any) -> Weights:
    """Weights of rows (..., SIZE)."""
    rows = torch.as_tensor(np.atleast_2d(vectors), dtype=torch.float32)
    parts = rows.split([a * b for a, b in SHAPES.values()], dim=1)
    return {name: part.reshape(-1, *shape) for (name, shape), part in zip(SHAPES.items(), parts, strict=True)}


class Point:
    """A checkpoint and the population: its gradients, loss and Hessian."""

    def __init__(self, moment: int, point: Any, probes: int = PROBES) -> None:
        self.probes = probes
        torch.set_num_threads(1)
        self.moment, self.point = moment, point
        generator = torch.Generator().manual_seed(77)
        self.windows = text.windows(text.training(), (POPULATION,), LENGTH, generator)
        parts = []
        for part in self.windows.split(64):
            many = shaped(np.tile(point, (len(part), 1)))  # a copy of the weights for each sequence
            for weight in many.values():
                weight.requires_grad_()
            each = torch.autograd.grad(loss(many, part[:, None]).sum(), list(many.values()))
            parts.append(flat(each).double().numpy())
        self.samples = np.concatenate(parts)
        self.gradient = self.samples.mean(0)
        self.noise = DiagonalPlusLowRank(
            None, (self.samples - self.gradient).T, np.full(POPULATION, 1 / POPULATION)
        )
        self.variances = self.noise.diagonal()
        self._weights = {k: w.requires_grad_() for k, w in shaped(point).items()}
        with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
            mean = loss(self._weights, self.windows[None]).mean()
            self._slopes = torch.autograd.grad(mean, list(self._weights.values()), create_graph=True)

    def hessian(self, vector: Any) -> Any:
        """H times a vector."""
        parts = shaped(vector).values()
        slope = torch.stack([(a * b).sum() for a, b in zip(self._slopes, parts, strict=True)]).sum()
        product = torch.autograd.grad(slope, list(self._weights.values()), retain_graph=True)
        return flat(product)[0].double().numpy()

    @cached_property
    def diagonals(self) -> Any:
        """Estimates of the Hessian's diagonal, (probes, SIZE): their mean is one, their scatter its error."""
        signs = np.random.default_rng(self.moment).choice((-1.0, 1.0), (self.probes, SIZE))
        return np.array([z * self.hessian(z) for z in signs])

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def loss(self, points: Any) -> Any:
        """Of each of some points (n, SIZE)."""
        many = shaped(points)
        return loss(many, self.windows.expand(len(points), -1, -1)).double().mean(1).numpy()

    def batch_gradients(self, count: int, size: int, rng: np.random.Generator) -> Any:
        """Of batches drawn with replacement, (count, SIZE)."""
        shares = rng.multinomial(size, np.full(POPULATION, 1 / POPULATION), count) / size
        return shares @ self.samples


def updates(point: Point, rule: str, size: int, draws: int, rng: np.random.Generator) -> Any:
    """Independent updates of a rule at frozen weights, (draws, SIZE)."""
    if not rule.startswith("Adam"):
        found = point.batch_gradients(draws, size, rng)
        if rule == "Muon":
            return by_matrix(found, lambda part, shape: msign(part.reshape(-1, *shape)).reshape(part.shape))
        return RULES[rule](found[:, None])
    found = np.empty((draws, SIZE))
    for draw in range(draws):
        history = point.batch_gradients(HISTORY, size, rng)
        if rule == "Adam":
            found[draw] = RULES[rule](history)
        else:
            average = SGD(momentum=0.9)(history)
            spread = np.sqrt(point.gradient**2 + point.variances / size)
            found[draw] = np.divide(average, spread, out=np.zeros(SIZE), where=spread > 0)
    return found


def by_matrix(vectors: Any, act: Callable[[Any, tuple[int, int]], Any]) -> Any:
    """Muon's update of vectors (..., SIZE): of each matrix by itself, scaled; the rest stays where it is."""
    found = np.zeros(vectors.shape)
    for name, own in slices().items():
        found[..., own] = 0.2 * max(SHAPES[name]) ** 0.5 * act(vectors[..., own], SHAPES[name])
    return found


def slices() -> dict[str, slice]:
    """Where the matrices that Muon takes stand among all weights."""
    ends = np.cumsum([a * b for a, b in SHAPES.values()])
    return {
        k: slice(e - a * b, e) for (k, (a, b)), e in zip(SHAPES.items(), ends, strict=True) if k in MATRICES
    }


def moments_of_muon(method: Any, point: Point, size: int) -> Moments:
    """Mean and covariance of its update, from those of each matrix; correlations between matrices stay."""
    mean, factors = np.zeros(SIZE), np.zeros((SIZE, POPULATION))
    noise = point.noise.scaled(1 / size)
    for name, own in slices().items():
        scale = 0.2 * max(SHAPES[name]) ** 0.5
        part = method(Muon(SHAPES[name]), point.gradient[own], noise.block(own))
        mean[own], factors[own] = scale * part.mean, scale * part.covariance.factors
    return Moments(mean, DiagonalPlusLowRank(None, factors, noise.weights))


def rate(point: Point, moments: Moments) -> tuple[float, float]:
    """alignment / curvature, noise vector by noise vector: without an error."""
    mean, noise = moments.mean, moments.covariance
    bent = noise.weights @ [f @ point.hessian(f) for f in noise.factors.T]
    return float(mean @ point.gradient / (mean @ point.hessian(mean) + bent)), 0.0


def with_error(alignment: float, signal: float, noise: Any) -> tuple[float, float]:
    """Best rate from the curvature of the mean and draws of that of the noise."""
    curvature = signal + noise.mean()
    return alignment / curvature, alignment / curvature**2 * noise.std(ddof=1) / np.sqrt(noise.size)


def searched(point: Point, found: Any, start: float) -> tuple[float, float]:
    """Rate of the lowest mean loss after an update, rates half a binary order apart, and its error."""
    steps = list(range(-2, 3))
    losses = {k: point.loss(point.point - start * 2 ** (k / 2) * found) for k in steps}
    while True:
        best = min(losses, key=lambda k: losses[k].mean())
        missing = [k for k in (best - 1, best + 1) if k not in losses]
        if not missing:
            break
        for k in missing:
            losses[k] = point.loss(point.point - start * 2 ** (k / 2) * found)
    low, mid, high = (losses[best + k] for k in (-1, 0, 1))
    slope, bend = (high - low) / 2, high - 2 * mid + low
    shift = -slope.mean() / bend.mean()
    error = (slope + shift * bend).std(ddof=1) / np.sqrt(len(found)) / bend.mean()
    best_rate = start * 2 ** ((best + shift) / 2)
    return best_rate, best_rate * np.log(2) / 2 * error


def step_of(point: Point, rule: str, size: int, draws: int = DRAWS) -> list[Row]:
    """Best rates of one step, by all ways there are for the rule; the laws of SGD stand in `point_of`."""
    rng = np.random.default_rng([point.moment, size, list(RULES).index(rule)])
    found = updates(point, rule, size, draws, rng)
    measured = step_from_updates(found, point.gradient, MatrixFree(point.hessian, SIZE))
    guess, error = float(measured.alignment / measured.curvature), np.nan
    if measured.curvature > 0:
        error = float(measured.optimal_lr_se)
    rates = {"measured": (guess, error), "searched": searched(point, found, abs(guess))}
    if rule == "Muon":
        rates["mean field"] = rate(point, moments_of_muon(mean_field, point, size))
        rates["two-sided mean field"] = rate(point, moments_of_muon(two_sided_mean_field, point, size))
    elif rule in ("SignSGD", "Adam"):  # the laws of a long memory are Adam's
        acting = RULES[rule]
        rates["mean field"] = rate(point, mean_field(acting, point.gradient, point.noise.scaled(1 / size)))
        alone = mean_field(acting, point.gradient, Diagonal(point.variances / size))
        rates["mean field, diagonal"] = with_error(
            alone.mean @ point.gradient,
            alone.mean @ point.hessian(alone.mean),
            point.diagonals @ alone.covariance.diagonal(),
        )
        curved = MatrixFree(point.hessian, SIZE, lambda: point.diagonals.mean(0))
        model = LocalModel(point.gradient, Diagonal(point.variances), curved)
        by_scalars = expected_step(model, acting, size, scalar_mean_field)
        rates["scalar law"] = (float(by_scalars.alignment / by_scalars.curvature), 0.0)
    return [row(point.moment, name, *value, rule, size) for name, value in rates.items()]


def point_of(point: Point) -> list[Row]:
    """What the checkpoint is, and what that makes of SGD at all batch sizes."""
    g, moment = point.gradient, point.moment
    bent = np.array([f @ point.hessian(f) for f in point.noise.factors.T])
    alone = point.diagonals @ point.variances
    signal = float(g @ point.hessian(g))
    told: dict[str, tuple[float, float]] = {
        "squared gradient": (float(g @ g), 0.0),
        "trace of noise": (float(point.variances.sum()), 0.0),
        "gradient curvature": (signal, 0.0),
        "tr(Sigma H)": (bent.mean(), bent.std(ddof=1) / np.sqrt(POPULATION)),
        "tr(Sigma H), diagonal": (alone.mean(), alone.std(ddof=1) / np.sqrt(len(alone))),
        "tr(Sigma H), largest share": (bent.max() / bent.sum(), 0.0),
    }
    rows = [row(moment, name, *value) for name, value in told.items()]
    for size in BATCH_SIZES:
        ratio = point.variances.sum() / (g @ g) / size
        laws = {
            "mean field": (g @ g / (signal + bent.mean() / size), 0.0),
            "mean field, diagonal": with_error(g @ g, signal, alone / size),
            "scalar law": (g @ g / (signal * (1 + ratio)), 0.0),
        }
        rows += [row(moment, name, *value, "SGD", size) for name, value in laws.items()]
    return rows


@lru_cache(maxsize=1)
def kept(task_moment: int, point: bytes) -> Point:
    """A worker's point: its tasks come moment by moment."""
    return Point(task_moment, np.frombuffer(point).copy())  # one that PyTorch may write to


def do(task: Task) -> list[Row]:
    """What runs somewhere else."""
    point = kept(task.moment, task.point)
    return step_of(point, task.rule, task.batch_size) if task.rule else point_of(point)


def main(
    executor: Executor, results: Path = RESULTS, show: Callable[[str, int, int], None] = lambda *_: None
) -> None:
    """Do what is not there yet."""
    table = Table(results / TABLE, head("experiments.one_step", text.digest(), [SEED]), COLUMNS)
    done = {tuple(r[key] for key in COLUMNS[:3]) for r in table.rows if r["quantity"] in LAST}
    kinds = [("", 0), *((rule, size) for rule in RULES for size in BATCH_SIZES)]
    wanted = [(m, *kind) for m in MOMENTS for kind in kinds]
    ahead = [key for key in wanted if tuple(map(str, key)) not in done]
    if ahead:
        points = executor.submit(train).result()
        futures = {executor.submit(do, Task(*key, points[key[0]][0].tobytes())): key for key in ahead}
        for future in as_completed(futures):
            moment, rule, _ = futures[future]
            table.add([*([] if rule else points[moment][1]), *future.result()])
            show("one step", len(wanted) - len(ahead) + 1, len(wanted))
            ahead.pop()
    order = [tuple(map(str, key)) for key in wanted]
    table.close(lambda r: order.index(tuple(r[key] for key in COLUMNS[:3])))
