"""Checks of the chapter on steps against examples: what each critical batch size means."""

from functools import partial

import numpy as np

from lrbs import SGD, LocalModel, simulated_step
from lrbs.checks.evidence import Rows, check, missed, stated
from lrbs.checks.problems import dense_model
from lrbs.checks.runs import CURVATURES, sgd_to_target
from lrbs.tradeoff import (
    batch_size_at_efficiency,
    batch_size_at_overhead,
    critical_average,
    fit_tradeoff,
    noiseless_steps,
)
from lrbs.validation import Array


# ------------------------------------------------------------------------ critical batch sizes compared
def gain_per_example(model: LocalModel, batch_size: float, seed: int) -> tuple[float, float]:
    """Loss decrease of a simulated step of SGD at its best learning rate, per example; standard error."""
    step = simulated_step(model, SGD(), batch_size, samples=40_000, rng=seed)
    return float(step.loss_decrease) / batch_size, float(step.loss_decrease_se) / batch_size


@check("Monte Carlo")
def efficiency_counted() -> Rows:
    """What simulated steps gain per example, at B_noise and elsewhere, against very small batches."""
    model = dense_model()
    # Per example the gain tends to Delta L_max / B_noise: from the model, and from the smallest batch.
    limit = model.max_loss_decrease / model.noise_scale
    small, error = gain_per_example(model, model.noise_scale / 1000, 20)
    yield "gain per example, B → 0", limit / 1.001, (small, error)
    for seed, share in enumerate((0.9, 0.5, 0.1), start=21):
        B = float(batch_size_at_efficiency(model.noise_scale, share))
        gain, error = gain_per_example(model, B, seed)
        yield f"share at B = {B / model.noise_scale:.3g} B_noise", share, (gain / limit, error / limit)


@check("Monte Carlo")
def overhead_counted() -> Rows:
    """Simulated steps against the line of linear scaling from three references."""
    model = dense_model()
    for seed, (reference, overhead) in enumerate(((0.01, 0.2), (0.3, 0.2), (1.0, 0.5)), start=30):
        start = reference * model.noise_scale
        B = float(batch_size_at_overhead(model.noise_scale, start, overhead))
        first, first_se = gain_per_example(model, start, seed)
        last, last_se = gain_per_example(model, B, seed + 10)
        ratio = first / last
        error = ratio * float(np.hypot(first_se / first, last_se / last))
        yield f"steps over linear, B₀ = {reference:g} B_noise", 1 + overhead, (ratio, error)
    yield stated("20 % from a small B₀, in B_noise", 0.2, batch_size_at_overhead(1, 1e-9), 1e-6)


# ---------------------------------------------------------------------------- a noise scale that changes
def descent(share: float) -> tuple[Array, Array]:
    """B_noise and progress along an exact descent by shares of the best step, where `sgd_to_target` runs."""
    w = CURVATURES**-0.5
    noise = 2 * np.sum(CURVATURES**3 * w**2)
    loss: list[float] = []
    gains, scales = [], []
    while not loss or loss[-1] > 0.05 * loss[0]:
        g = CURVATURES * w
        slope, bend = np.sum(g**2), np.sum(CURVATURES * g**2)
        loss.append(float(np.sum(CURVATURES * w**2)) / 2)
        gains.append(slope**2 / bend / 2)
        scales.append(noise / bend)
        w = w - share * slope / bend * g
    return np.array(scales), noiseless_steps(loss, gains)


@check(
    "approximation", where="SGD to a twentieth of the loss; the mean is over the path of the best exact steps"
)
def average_over_a_descent() -> Rows:
    """Runs of SGD whose B_noise grows on the way: the critical batch size fitted, and the mean over them.

    Along a smoother path the steep directions are spent early: B_noise is larger, the mean another run's.
    """
    sizes = 2.0 ** np.arange(1, 14, 2)
    runs = [sgd_to_target(partial(np.full_like, fill_value=B), 24, 40)[0].mean() for B in sizes]
    fitted = fit_tradeoff(sizes, runs).critical_batch_size
    scales, ds = descent(1.0)
    best, smooth = critical_average(scales, ds), critical_average(*descent(0.25))
    yield missed("mean of B_noise for the fitted B_crit", best, fitted, -0.11, 0.05)
    yield missed("... along quarter steps", smooth, fitted, 6.6, 0.1)
    yield stated("B_noise at the end over that at first", 87.0, scales[-1] / scales[0], 0.1)
    return abs(best / fitted - 1)
