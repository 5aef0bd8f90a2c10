"""Every question of every assignment: fair numbers, slips told apart, oracles from elsewhere, the masters."""

import contextlib
import io
from math import erf, sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize_scalar

from lrbs.coursework import child
from lrbs.coursework.assignment import MODULES, Assignment, load
from lrbs.coursework.judge import CallFailed, mark_function, mark_value
from lrbs.coursework.master import read_master
from lrbs.coursework.question import Question, close
from lrbs.coursework.task import Task

ROOT = Path(__file__).resolve().parent.parent
MASTERS = ROOT / "assignments"
NAMES = list(MODULES)
TASKS = {name: load(name) for name in NAMES}
needs_masters = pytest.mark.skipif(
    not MASTERS.exists(), reason="no masters here: the archive of the book has none"
)
SLIPS = [
    pytest.param(task, question, slip, id=f"{task.name}-{question.name}-{slip.name}")
    for task in TASKS.values()
    for question in task.questions
    for slip in question.slips
]


def test_points_are_a_hundred() -> None:
    assert sum(task.points for task in TASKS.values()) == 100
    assert [task.points for task in TASKS.values()] == [20, 20, 15, 20, 25]


@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_students_have_fair_numbers(name: str) -> None:
    task = TASKS[name]
    for index in range(1000):
        parameters = task.parameters(f"student{index}")
        for question in task.questions:
            if question.inputs is None:
                assert question.distinct(parameters), (index, question.name)
        for matrix in (getattr(parameters, letter, None) for letter in "SH"):
            assert matrix is None or np.linalg.eigvalsh(matrix)[0] > 0


def test_numbers_depend_on_student_and_assignment_and_on_no_spelling() -> None:
    task = TASKS["1-one-step"]
    first, again, other = (task.parameters(name) for name in ("ab1", " AB1 ", "ab2"))
    assert np.array_equal(first.g, again.g) and np.array_equal(first.S, again.S)
    assert not np.array_equal(first.g, other.g)
    # Published: the same numbers on every machine, and in every version of NumPy that is allowed.
    assert task.parameters("ada").g.tolist() == [1.22, -0.63, -0.36]


@pytest.mark.parametrize("text", ["", "  ", "your id"])
def test_an_id_is_needed(text: str) -> None:
    with pytest.raises(ValueError, match="STUDENT must be your id"):
        Task("1-one-step", text)


def marked(task: Assignment, question: Question, formula: Any, student: str = "ada") -> Any:
    """The outcome of an answer that follows a formula of parameters and inputs."""
    parameters = task.parameters(student)
    if question.inputs is None:
        return mark_value(question, child.decode(child.encode(formula(parameters))), parameters)

    def call(*inputs: Any) -> Any:
        try:
            return child.decode(child.encode(formula(parameters, *inputs)))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CallFailed(type(error).__name__) from error

    return mark_function(question, call, parameters, task.inputs_rng(question, "a key"))


# What students write who slip, in NumPy and without lrbs: functions of the parameters, and of the inputs.
def v_from_m(p: Any, signal: float, beta1: float, beta2: float, seed: int) -> list[float]:
    rng, m, v = np.random.default_rng(seed), np.zeros(10_000), np.zeros(10_000)
    for _ in range(300):
        m = beta1 * m + (1 - beta1) * (np.sqrt(signal) + rng.standard_normal(m.size))
        v = beta2 * v + (1 - beta2) * m**2
    return [float(np.mean(m**2 / v)), float(np.std(m**2 / v) / 100)]


def signs(p: Any, g: float, sigma: float, B: float, samples: int, seed: int) -> Any:
    return np.sign(g + sigma / np.sqrt(B) * np.random.default_rng(seed).standard_normal(samples))


def fitted(p: Any, weights: Any) -> Any:
    design = np.stack([np.ones(8), 1 / p.batch_sizes], axis=1)
    covariance = np.linalg.inv(design.T @ np.diag(weights) @ design)
    return [*(covariance @ design.T @ (weights * p.steps)), *np.sqrt(np.diag(covariance))]


def iterated(G: Any, steps: int, norm: float) -> Any:
    X = G / norm
    for _ in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):
            A = X @ X.T
            X = 3.4445 * X + (-4.775 * A + 2.0315 * A @ A) @ X
    return X


def steps_of(p: Any) -> int:
    value, steps = p.smallest, 0
    while value <= 0.68:
        value, steps = 3.4445 * value - 4.775 * value**3 + 2.0315 * value**5, steps + 1
    return steps


def sides(p: Any) -> Any:
    def power(matrix: Any, exponent: float) -> Any:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(values**exponent) @ vectors.T

    right, left = p.G.T @ p.G + np.diag(p.V.sum(axis=0)), p.G @ p.G.T + np.diag(p.V.sum(axis=1))
    one, two = p.G @ power(right, -0.5), power(left, -0.25) @ p.G @ power(right, -0.25)
    draws = p.G + np.sqrt(p.V) * np.random.default_rng(5).standard_normal((20_000, *p.G.shape))
    U, _, Vt = np.linalg.svd(draws, full_matrices=False)
    return [float(np.sum(update * p.G)) for update in (one, two, (U @ Vt).mean(axis=0))]


def signs_law(p: Any) -> tuple[float, float, float]:
    s = np.sign(p.g)
    return float(p.variance.sum() / (p.g @ p.g)), float(np.trace(p.H)), float(s @ p.H @ s)


def scalar_over_exact(p: Any) -> float:
    means = np.array([erf(g * sqrt(p.B_unlike / 2) / s) for g, s in zip(p.g, p.unlike, strict=True)])
    share = np.linalg.norm(p.g) / sqrt(p.g @ p.g + p.unlike @ p.unlike / p.B_unlike)
    return share * float(np.abs(p.g).sum()) / float(means @ p.g)


def tr(*matrices: Any) -> float:
    return float(np.trace(np.linalg.multi_dot(matrices) if len(matrices) > 1 else matrices[0]))


def scale(p: Any) -> float:
    return tr(p.S, p.H) / (p.g @ p.H @ p.g)


def x_sd(p: Any) -> float:
    return p.deviation / sqrt(p.B)


def level(beta1: float, beta2: float) -> float:
    first, second = ((1 - beta) / (1 + beta) for beta in (beta1, beta2))
    return first * (1 + 2 * second) - 2 * (1 - beta2) * (1 - beta1) ** 2 / (1 - beta1**2 * beta2)


def gap(c: float) -> float:
    return max(abs(t / sqrt(t * t + c) - erf(t)) for t in np.linspace(0, 5, 5001))


WRITTEN: dict[tuple[str, str, str], Any] = {
    ("1", "q1", "simple noise scale"): lambda p: tr(p.S) / (p.g @ p.g),
    ("1", "q1", "Hessian above alone"): lambda p: tr(p.S, p.H) / (p.g @ p.g),
    ("1", "q1", "diagonals alone"): lambda p: (
        sum(p.S[i, i] * p.H[i, i] for i in range(3)) / sum(p.g[i] ** 2 * p.H[i, i] for i in range(3))
    ),
    ("1", "q2", "covariance of a sample"): lambda p, g, S, H, B: g @ g / (g @ H @ g + tr(S, H)),
    ("1", "q2", "product of traces"): lambda p, g, S, H, B: g @ g / (g @ H @ g + tr(S) * tr(H) / B),
    ("1", "q2", "stray half"): lambda p, g, S, H, B: g @ g / (g @ H @ g + tr(S, H) / B) / 2,
    ("1", "q3", "share upside down"): lambda p: scale(p) * (1 / p.share - 1),
    ("1", "q3", "one over the rest"): lambda p: scale(p) / (1 - p.share),
    ("1", "q4", "linear"): lambda p: p.tuned_lr * 4096 / 256,
    ("1", "q4", "square root"): lambda p: p.tuned_lr * sqrt(4096 / 256),
    ("1", "q5", "half missing"): lambda p, g, S, H, B, e: -e * (g @ g) + e * e * (g @ H @ g + tr(S, H) / B),
    ("1", "q5", "noise missing"): lambda p, g, S, H, B, e: -e * (g @ g) + e * e * (g @ H @ g) / 2,
    ("1", "q6", "swapped"): lambda p: [fitted(p, p.step_errors**-2.0)[k] for k in (1, 0, 3, 2)],
    ("1", "q6", "unweighted"): lambda p: fitted(p, np.full(8, 1 / np.mean(p.step_errors**2))),
    ("2", "q1", "noise of a sample"): lambda p: p.mean / sqrt(p.mean**2 + p.deviation**2),
    ("2", "q1", "sigma over B"): lambda p: p.mean / sqrt(p.mean**2 + (p.deviation / p.B) ** 2),
    ("2", "q1", "exact"): lambda p: erf(p.mean / x_sd(p) / sqrt(2)),
    ("2", "q1", "pi/2"): lambda p: p.mean / sqrt(p.mean**2 + np.pi / 2 * x_sd(p) ** 2),
    ("2", "q2", "B upside down"): lambda p, g, sigma, B: g / np.sqrt(g**2 + B * sigma**2),
    ("2", "q3", "deviation for error"): lambda p, *i: [signs(p, *i).mean(), signs(p, *i).std()],
    ("2", "q3", "one sample"): lambda p, g, s, B, n, seed: [
        signs(p, g, s, 1.0, n, seed).mean(),
        signs(p, g, s, 1.0, n, seed).std() / sqrt(n),
    ],
    ("2", "q4", "older constant"): lambda p: gap(np.pi / 4),
    ("2", "q5", "half-way point of the loss"): lambda p: signs_law(p)[0] * signs_law(p)[1] / signs_law(p)[2],
    ("2", "q5", "noise scale"): lambda p: signs_law(p)[0],
    ("2", "q7", "upside down"): lambda p: 1 / scalar_over_exact(p),
    ("3", "q1", "elementwise"): lambda p, G: np.sign(G),
    ("3", "q1", "unit length"): lambda p, G: G / np.sqrt(np.sum(G**2)),
    ("3", "q2", "not normalised"): lambda p, G, steps: iterated(G, steps, 1.0),
    ("3", "q2", "one step more"): lambda p, G, steps: iterated(G, steps + 1, float(np.linalg.norm(G))),
    ("3", "q3", "one too few"): lambda p: steps_of(p) - 1,
    ("3", "q3", "one too many"): lambda p: steps_of(p) + 1,
    ("3", "q4", "rows missing"): lambda p: p.columns * (p.entry_deviation / p.gradient_norm) ** 2,
    ("3", "q4", "columns missing"): lambda p: p.rows * (p.entry_deviation / p.gradient_norm) ** 2,
    ("3", "q4", "upside down"): lambda p: (p.gradient_norm / p.entry_deviation) ** 2 / p.rows / p.columns,
    ("3", "q5", "forms swapped"): lambda p: [sides(p)[k] for k in (1, 0, 2)],
    ("4", "q1", "one over one minus beta"): lambda p: sum(p.momentum**k for k in range(2000)),
    ("4", "q1", "upside down"): lambda p: (1 - p.momentum) / (1 + p.momentum),
    ("4", "q2", "t without end"): lambda p, beta, t: (1 - beta) / (1 + beta),
    ("4", "q2", "gain missing"): lambda p, beta, t: sum(((1 - beta) * beta**k) ** 2 for k in range(t)),
    ("4", "q3", "ratio of multipliers"): lambda p: (
        p.lr * (1 + p.new_momentum) / (1 - p.new_momentum) * (1 - p.old_momentum) / (1 + p.old_momentum)
    ),
    ("4", "q3", "upside down"): lambda p: p.lr * (1 - p.old_momentum) / (1 - p.new_momentum),
    ("4", "q3", "unchanged"): lambda p: p.lr,
    ("4", "q4", "16, 4, 4"): lambda p: [16, 4, 4],
    ("4", "q5", "no beta_2"): lambda p, rms, b1, b2, B: (
        B * (1 - rms**2) / (rms**2 - (1 - b1) / (1 + b1)) if rms**2 > (1 - b1) / (1 + b1) else np.nan
    ),
    ("4", "q5", "root for square"): lambda p, rms, b1, b2, B: B * (1 - rms) / (rms - level(b1, b2)),
    ("4", "q6", "v from m"): v_from_m,
}


@pytest.mark.parametrize(("task", "question", "slip"), SLIPS)
def test_slips_are_told_apart_and_hinted_at(task: Assignment, question: Question, slip: Any) -> None:
    outcome = marked(task, question, WRITTEN[task.name[0], question.name, slip.name])
    assert outcome.verdict == "keep working"
    assert (outcome.slip, outcome.hint) == (slip.name, slip.hint)
    assert outcome.share < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_right_and_others_are_not(name: str) -> None:
    for question in TASKS[name].questions:
        if question.expected is None:
            continue
        assert marked(TASKS[name], question, question.expected).verdict == "correct"
        assert marked(TASKS[name], question, lambda *_: 1e9).share < 0.5
        assert marked(TASKS[name], question, lambda *_: float("nan")).share < 0.5
        wrong = marked(TASKS[name], question, lambda *_: "a text")
        assert wrong.share == 0 and wrong.verdict == "keep working"


# --------------------------------------------------------------------------------- oracles from elsewhere
def answer(name: str, question: str, parameters: Any = None, *inputs: Any) -> Any:
    task = TASKS[name]
    expected = task.question(question).expected
    assert expected is not None
    return expected(task.parameters("ada") if parameters is None else parameters, *inputs)


def expected_loss(g: Any, S: Any, H: Any, B: float, rate: float, rng: np.random.Generator) -> float:
    """Mean loss change by simulation, with the noise's mean and covariance made exact."""
    draws = rng.standard_normal((4000, g.size))
    draws -= draws.mean(axis=0)
    draws = draws @ np.linalg.inv(np.linalg.cholesky(draws.T @ draws / len(draws)).T)
    batch = g + draws @ np.linalg.cholesky(S / B).T
    steps = -rate * batch
    return float(np.mean(steps @ g + np.einsum("ni,ij,nj->n", steps, H, steps) / 2))


def test_one_step_against_simulation(rng: np.random.Generator) -> None:
    p = TASKS["1-one-step"].parameters("ada")
    g, S, H, B = p.g, p.S, p.H, 24.0
    change = expected_loss(g, S, H, B, 0.1, rng)
    assert answer("1-one-step", "q5", p, g, S, H, B, 0.1) == pytest.approx(change)
    best = minimize_scalar(lambda eta: expected_loss(g, S, H, B, eta, np.random.default_rng(0)), (0, 1)).x
    assert answer("1-one-step", "q2", p, g, S, H, B) == pytest.approx(best, rel=1e-6)
    scale = answer("1-one-step", "q1", p)
    limit = g @ g / (g @ H @ g)
    assert answer("1-one-step", "q2", p, g, S, H, scale) == pytest.approx(limit / 2)
    progress = [rate**2 for rate in (answer("1-one-step", "q2", p, g, S, H, b) ** 0.5 for b in (1e12,))]
    size = answer("1-one-step", "q3", p)
    assert answer("1-one-step", "q2", p, g, S, H, size) / progress[0] == pytest.approx(p.share, rel=1e-6)
    ratio = (256 + p.tuned_noise_scale) / (4096 + p.tuned_noise_scale) * 16
    assert answer("1-one-step", "q4", p) == pytest.approx(p.tuned_lr * ratio)


def test_fit_against_scipy() -> None:
    p = TASKS["1-one-step"].parameters("ada")
    best, covariance = curve_fit(
        lambda B, s, e: s + e / B,
        p.batch_sizes,
        p.steps,
        (1e3, 1e5),
        sigma=p.step_errors,
        absolute_sigma=True,
    )
    assert answer("1-one-step", "q6", p) == pytest.approx([*best, *np.sqrt(np.diag(covariance))], rel=1e-4)


def test_mean_field_against_quadrature_and_search(rng: np.random.Generator) -> None:
    p = TASKS["2-mean-field"].parameters("ada")
    x = np.linspace(0, 6, 2001)
    gap = max(abs(t / sqrt(1 + t * t) - erf(t / sqrt(2))) for t in x)
    assert answer("2-mean-field", "q4", p) == pytest.approx(gap, rel=1e-3)
    value = p.mean / sqrt(p.mean**2 + p.deviation**2 / p.B)
    assert answer("2-mean-field", "q1", p) == pytest.approx(value)
    draws = np.sign(0.3 + 2 / sqrt(9) * rng.standard_normal(200_000))
    mean, error = answer("2-mean-field", "q3", p, 0.3, 2.0, 9.0, 200_000, 0)
    assert abs(draws.mean() - mean) < 4 * error
    assert draws.std() / sqrt(draws.size) == pytest.approx(error, rel=1e-3)
    for student in ("ada", "bob", "eve", "kim"):
        own = TASKS["2-mean-field"].parameters(student)
        s, scale = np.sign(own.g), own.variance.sum() / (own.g @ own.g)
        q, t = s @ own.H @ s, np.trace(own.H)

        def rate(log_size: float, scale: float = scale, q: float = q, t: float = t) -> float:
            beta = (1 + scale / np.exp(log_size)) ** -0.5
            return -beta / (t + beta**2 * (q - t))

        peak = answer("2-mean-field", "q5", own)
        found = minimize_scalar(rate, bounds=(-5, 25), method="bounded", options={"xatol": 1e-9}).x
        assert found > 20 if np.isinf(peak) else np.exp(found) == pytest.approx(peak, rel=1e-3)


def test_muon_against_newton_iterations() -> None:
    p = TASKS["3-muon"].parameters("ada")
    G = np.array([[3.0, 1.0], [0.5, 2.0], [1.0, -1.0]])
    X = G / np.sqrt(np.sum(G**2))
    for _ in range(60):  # the cubic, which settles
        X = 1.5 * X - 0.5 * X @ X.T @ X
    assert np.allclose(answer("3-muon", "q1", p, G), X)
    values, steps = p.smallest, 0
    while values <= 0.68:
        values, steps = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5, steps + 1
    assert answer("3-muon", "q3", p) == steps
    scale = p.rows * p.columns * (p.entry_deviation / p.gradient_norm) ** 2
    assert answer("3-muon", "q4", p) == pytest.approx(scale)


def test_momentum_against_sums() -> None:
    name = "4-momentum-and-adam"
    p = TASKS[name].parameters("ada")
    weights = (1 - p.momentum) * p.momentum ** np.arange(5000)
    assert answer(name, "q1", p) == pytest.approx(1 / np.sum(weights**2))
    weights = 0.9 ** np.arange(7)
    assert answer(name, "q2", p, 0.9, 7) == pytest.approx(np.sum(weights**2) / np.sum(weights) ** 2)
    old, new = (1 / (1 - beta) for beta in (p.old_momentum, p.new_momentum))
    assert answer(name, "q3", p) * new == pytest.approx(p.lr * old)
    small = SimpleNamespace(B=1e-9, noise_scale=1.0, beta=0.9)
    assert answer(name, "q4", small) == pytest.approx([16, 4, 4], rel=1e-3)


def test_project_network_is_that_of_the_notebook_and_its_noise_scale() -> None:
    from lrbs.coursework import project

    p = TASKS["5-project"].parameters("ada")
    gradients = project.network(p).per_sample_gradients(p.weights, project.data(p))
    mean = gradients.mean(axis=0)
    assert project.noise_scale(p) == pytest.approx(np.sum((gradients - mean) ** 2) / 400 / (mean @ mean))


# ------------------------------------------------------------------------------------------------- masters
def solved(name: str) -> dict[str, Any]:
    """Names of a master's notebook after all its cells, solutions included."""
    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for cell in read_master(MASTERS / f"{name}.ipynb").cells:
            if cell.kind == "code" and cell.source != 'STUDENT = "your id"':
                exec(cell.source, names)
    return names | {"said": said.getvalue()}


@needs_masters
@pytest.mark.parametrize("name", NAMES)
def test_solutions_of_the_masters_are_right(name: str) -> None:
    names = solved(name)
    task: Task = names["task"]
    for question in TASKS[name].questions:
        outcome = task.outcome(question, names[question.ask])
        assert outcome.verdict == ("handed in" if question.written else "correct"), (question.name, outcome)


@needs_masters
def test_the_given_network_has_the_gradients_of_the_laboratory() -> None:
    from lrbs.coursework import project

    names = solved("5-project")
    p = names["p"]
    net, data = project.network(p), project.data(p)
    assert names["loss"](p.weights) == pytest.approx(float(net.loss(p.weights, data)))
    expected = net.per_sample_gradients(p.weights, data)
    assert np.allclose(names["gradients"](p.weights, np.arange(400)), expected)


@needs_masters
def test_figures_lose_marks_for_what_they_lack() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    names = solved("2-mean-field")
    task, question = names["task"], TASKS["2-mean-field"].question("q8")
    sizes, rates = names["sizes"], np.array(names["rates"])

    def share(edit: Any) -> float:
        fig, ax = plt.subplots()
        ax.loglog(sizes, rates)
        ax.set(xlabel="batch size", ylabel="rate")
        edit(ax)
        plt.close(fig)
        return task.outcome(question, fig).share

    assert share(lambda ax: None) == 1
    assert share(lambda ax: ax.set(xlabel="", ylabel="")) == pytest.approx(3 / 5)
    assert share(lambda ax: ax.set(xscale="linear")) == pytest.approx(4 / 5)
    assert share(lambda ax: ax.lines[0].set_ydata(rates * 1.1)) == pytest.approx(4 / 5)
    assert share(lambda ax: (ax.lines[0].remove(), ax.loglog(sizes[:20], rates[:20]))) == pytest.approx(4 / 5)
    assert task.outcome(question, 3.0).verdict == "keep working"


@needs_masters
def test_project_answers_lose_marks_for_what_they_lack() -> None:
    names = solved("5-project")
    task = names["task"]

    def share(question: str, value: Any) -> float:
        return task.outcome(TASKS["5-project"].question(question), value).share

    estimate, low, high = names["noise"]
    assert share("q1", [estimate / 64, low / 64, high / 64]) == pytest.approx(2 / 4)
    assert share("q1", [estimate, 0.0, high]) == 0  # clipped
    assert share("q1", [estimate, estimate, estimate]) <= 0.5
    prediction = names["prediction"]
    assert share("q2", prediction | {"rates": names["best"]}) == pytest.approx(3 / 4)
    assert share("q2", prediction | {"seal": ""}) == pytest.approx(3 / 4)
    sweep = names["sweep"]
    cut = {"rates": [r[:5] for r in sweep["rates"]], "losses": [t[:5] for t in sweep["losses"]]}
    assert share("q3", sweep | {"losses": [t[:, :1] for t in sweep["losses"]]}) == pytest.approx(4 / 5)
    assert share("q3", sweep | cut) < 1
    assert share("q3", sweep | {"losses": [t * 0.8 for t in sweep["losses"]]}) == pytest.approx(4 / 5)
    assert share("q3", sweep | {"errors": [0, 0, 0]}) == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        (1.005, 1.0, True),
        (1.02, 1.0, False),
        ([1.0], 1.0, True),
        ([1.0, 1.0], 1.0, False),
        (float("nan"), 1.0, False),
        (float("nan"), float("nan"), True),
        (float("inf"), float("inf"), True),
        (1e300, float("inf"), False),
        ([0.0, 1.0], [0.0, 1.0], True),
        ([1e-3, 1.0], [0.0, 1.0], False),
        (True, True, True),
        (1, True, False),
    ],
)
def test_close(got: Any, expected: Any, same: bool) -> None:
    assert close(got, expected, 0.01) is same
