"""Assignment 5: a noise scale, a prediction and a sweep on a small network of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrbs.coursework.assignment import Assignment, generator
from lrbs.coursework.plot import axes_of, dressed, lines_of
from lrbs.coursework.question import Finding, Parameters, Question, numbers
from lrbs.coursework.task import seal
from lrbs.lab import Dataset, TanhNetwork, train
from lrbs.validation import Array

INPUTS, CLASSES, SAMPLES = 6, 3, 400
SIZES = (4, 32, 256)  # at which the rate is predicted and swept
STEPS = 30
LEAST_RATES, LEAST_SEEDS = 5, 4
REPEATS = 24  # of the marker's own runs
VIVA = (
    "Which of your three batch sizes has the least certain best rate, and how do you know?",
    "Your noise scale is that of one point of the run. What would it be at the end, and why?",
    "What would change in your prediction if the network were trained by Adam?",
    "Show in your sweep where noise stops to matter. Which number of yours says so?",
    "Why does one step's law predict thirty steps at all? Where does it not?",
    "Someone sets the learning rate from your interval's lower end. What does it cost?",
    "How would you halve the error of your noise scale, and what would that take?",
    "Which part of your result would survive another seed of the data? How could you tell?",
)


def network(p: Parameters) -> TanhNetwork:
    """The student's network."""
    return TanhNetwork(INPUTS, int(p.width), CLASSES)


def data(p: Parameters) -> Dataset:
    """The student's samples."""
    return Dataset(p.X, p.labels.astype(np.int64))


def draw(rng: np.random.Generator) -> dict[str, Any] | None:
    """A network's width, noisy data from a teacher, and weights a little way into training."""
    width = int(rng.integers(4, 9))
    X = np.round(rng.standard_normal((SAMPLES, INPUTS)), 2)
    teacher = rng.standard_normal((INPUTS, CLASSES))
    scores = np.tanh(X) @ teacher + 1.5 * rng.gumbel(size=(SAMPLES, CLASSES))
    labels = np.argmax(scores, axis=1)
    net, samples = TanhNetwork(INPUTS, width, CLASSES), Dataset(X, labels)
    start = net.initial_weights(int(rng.integers(2**31)))
    weights = train(net, start, samples, learning_rate=0.3, batch_size=64, steps=15, rng=rng)
    drawn = {
        "width": float(width),
        "X": X,
        "labels": labels.astype(np.float64),
        "weights": np.round(weights, 4),
        "batch_sizes": np.array(SIZES, dtype=np.float64),
        "steps": float(STEPS),
        "viva": str(rng.choice(VIVA)),
    }
    scale = noise_scale(Parameters(**drawn))
    return drawn if 15 < scale < 400 else None


def noise_scale(p: Parameters) -> float:
    """B_simple over all samples at the student's weights: no estimate, since the data are finite."""
    gradients = network(p).per_sample_gradients(p.weights, data(p))
    mean = gradients.mean(axis=0)
    return float(gradients.var(axis=0).sum() / (mean @ mean))


def final_losses(p: Parameters, batch_size: int, rate: float, key: str) -> Array:
    """Losses of the marker's own runs from the student's weights."""
    net, samples = network(p), data(p)
    start = np.broadcast_to(p.weights, (REPEATS, net.size))
    rng = generator("project", key, str(batch_size))
    weights = train(net, start, samples, learning_rate=rate, batch_size=batch_size, steps=STEPS, rng=rng)
    return net.loss(weights, samples)


# ------------------------------------------------------------------------------------------------- findings
def inspect_noise(answer: Any, p: Parameters) -> list[Finding]:
    """An estimate with an interval that is honest: it holds the truth, and is not so wide that it must."""
    estimate, low, high = (float(value) for value in np.ravel(numbers(answer)))
    truth = noise_scale(p)
    in_order = bool(0 < low <= estimate <= high)
    local = in_order and low <= truth / 64 <= high and not low <= truth <= high
    return [
        Finding(in_order, "Give [estimate, low, high], all positive, the estimate inside."),
        Finding(
            in_order and low <= truth <= high,
            "That is a noise scale of something else by a factor of 64: global or local batch?"
            if local
            else "The interval does not hold the noise scale of your network.",
        ),
        Finding(in_order and 1.02 < high / low < 6, "An interval should be informative, and not a point."),
        Finding(
            in_order and abs(np.log(estimate / truth)) < np.log(2), "The estimate is off by more than 2."
        ),
    ]


def inspect_prediction(answer: Any, p: Parameters) -> list[Finding]:
    """Three rates, and the seal that was handed in before they were measured."""
    rates, sealed = numbers(answer["rates"]), str(answer["seal"])
    three = rates.shape == (3,) and bool(np.all(rates > 0) and np.all(np.isfinite(rates)))
    right_seal = three and sealed == seal(p.student, rates)
    return [
        Finding(three, "Three positive learning rates are asked for."),
        Finding(
            right_seal,
            "The seal is not that of these rates: they were changed after it was made."
            if sealed
            else "The seal must stand in the notebook as text, as `task.seal` gave it.",
        ),
        Finding(
            three and bool(np.all(np.diff(rates) >= 0)), "By SGD's law rates do not fall with the batch."
        ),
        Finding(
            three and bool(rates[2] / rates[0] < SIZES[2] / SIZES[0]),
            "That is the linear rule, or steeper: where is the noise scale in it?",
        ),
    ]


def inspect_sweep(answer: Any, p: Parameters) -> list[Finding]:
    """Rates wide enough, seeds enough, errors given, and losses that come out again."""
    rates = [numbers(row) for row in answer["rates"]]
    losses = [numbers(table) for table in answer["losses"]]
    best, errors = numbers(answer["best"]), numbers(answer["errors"])
    if len(rates) != 3 or len(losses) != 3 or best.shape != (3,) or errors.shape != (3,):
        raise ValueError("three batch sizes")
    fits = all(
        table.ndim == 2 and table.shape[0] == row.size for row, table in zip(rates, losses, strict=True)
    )
    if not fits:
        raise ValueError("losses of shape (rates, seeds)")
    means = [np.where(np.isfinite(table), table, np.inf).mean(axis=1) for table in losses]
    edges = [int(np.argmin(mean)) in (0, mean.size - 1) for mean in means]
    same = [bool(np.ptp(table[int(np.argmin(mean))]) == 0) for table, mean in zip(losses, means, strict=True)]
    repeated = [
        _comes_out_again(p, SIZES[k], row, table, means[k])
        for k, (row, table) in enumerate(zip(rates, losses, strict=True))
    ]
    within = [bool(row.min() <= b <= row.max()) for row, b in zip(rates, best, strict=True)]
    return [
        Finding(min(row.size for row in rates) >= LEAST_RATES, f"Sweep {LEAST_RATES} rates or more."),
        Finding(
            min(table.shape[1] for table in losses) >= LEAST_SEEDS and not any(same),
            f"{LEAST_SEEDS} seeds or more are needed, with batches of their own.",
        ),
        Finding(not any(edges), "An optimum at the edge of the sweep is none: widen it."),
        Finding(all(within) and bool(np.all(errors > 0)), "Each best rate needs a standard error."),
        Finding(all(repeated), "Losses of the sweep do not come out again when the marker trains."),
    ]


def _comes_out_again(p: Parameters, size: int, rates: Array, table: Array, means: Array) -> bool:
    index = int(np.argmin(means))
    rate, own = float(rates[index]), table[index]
    if not (np.isfinite(rate) and 0 < rate < 100):
        return False
    runs = final_losses(p, size, rate, p.student)
    error = np.hypot(own.std() / np.sqrt(own.size), runs.std() / np.sqrt(REPEATS))
    return bool(abs(own.mean() - runs.mean()) < 5 * error + 0.01 * runs.mean())


def inspect_figure(answer: Any, p: Parameters) -> list[Finding]:
    """Prediction and measurement against the batch size, with errors, told apart."""
    axes = axes_of(answer)
    lines = lines_of(axes)
    shown = sum(bool(np.isin(p.batch_sizes, np.round(x)).all()) for x, _ in lines)
    return [
        *dressed(axes),
        Finding(shown >= 2, "Prediction and measurement should both be there, at the three batch sizes."),
        Finding(axes["collections"] >= 1, "Measurements need error bars."),
        Finding(len(axes["legend"]) >= 2, "A legend should say which is which."),
    ]


ASSIGNMENT = Assignment(
    name="5-project",
    title="Project",
    minutes=480,
    draw=draw,
    questions=(
        Question("q1", "noise", 5, "A noise scale with its interval", inspect=inspect_noise),
        Question("q2", "prediction", 4, "A prediction, sealed", inspect=inspect_prediction),
        Question("q3", "sweep", 5, "A sweep", inspect=inspect_sweep),
        Question("q4", "fig", 3, "Prediction and measurement", inspect=inspect_figure),
        Question("q5", "report", 5, "Four hundred words", least_words=300),
        Question("q6", "viva", 3, "A short viva", least_words=3),
    ),
)
