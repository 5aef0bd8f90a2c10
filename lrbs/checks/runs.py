"""Whole runs on small quadratics that the checks share: how many steps they take, and where they end."""

from collections.abc import Callable

import numpy as np
from scipy.special import gamma

from lrbs.checks.problems import lowest
from lrbs.laws.averaging import ema_step
from lrbs.laws.corner import Run
from lrbs.laws.curves import normalised_batch_size
from lrbs.laws.schedules import cosine
from lrbs.laws.sgd import saturation
from lrbs.validation import Array

# Number of directions and their curvatures in the runs of `sgd_to_target`.
CURVATURES = np.geomspace(1, 50, 200)


def run_lengths(
    batch_sizes: Array, noise_scale: float, runs: int = 12, seed: int = 12, share: float = 1.0
) -> Array:
    """Steps that SGD needs to a twentieth of its loss, at a share of the optimal learning rate of every step.

    The quadratic of `CURVATURES`, with noise of equal variance in each direction, scaled along the run so
    that B_noise stays at `noise_scale`. Shape (batch sizes, runs); the last step counts in part.
    """
    curvature = CURVATURES
    rng = np.random.default_rng(seed)
    lengths = np.empty((len(batch_sizes), runs))
    for index, batch_size in enumerate(batch_sizes):
        w = np.tile(curvature**-0.5, (runs, 1))
        start = loss = np.sum(curvature * w**2, axis=1) / 2
        done = np.full(runs, np.nan)
        count = 0
        while np.isnan(done).any():
            g = curvature * w
            gHg = np.sum(curvature * g**2, axis=1)
            eta = share * saturation(batch_size, np.sum(g**2, axis=1) / gHg, noise_scale)
            deviation = np.sqrt(noise_scale * gHg / curvature.sum() / batch_size)
            w = w - eta[:, None] * (g + deviation[:, None] * rng.standard_normal(w.shape))
            before, loss = loss, np.sum(curvature * w**2, axis=1) / 2
            reached = np.isnan(done) & (loss <= 0.05 * start)
            part = np.log(before / (0.05 * start)) / np.log(before / loss)
            done[reached] = count + part[reached]
            count += 1
        lengths[index] = done
    return lengths


def parabola_runs(
    learning_rate: float,
    noise_variance: float,
    momentum: float,
    *,
    steps: int,
    runs: int,
    rng: int,
    start: float = 0.0,
) -> Array:
    """Runs of SGD with momentum on the loss w^2 / 2 with normal noise: shape (steps + 1, runs)."""
    generator = np.random.default_rng(rng)
    path, m = np.full((steps + 1, runs), start), np.zeros(runs)
    for t in range(steps):
        gradient = path[t] + np.sqrt(noise_variance) * generator.standard_normal(runs)
        m = ema_step(m, gradient, momentum)
        path[t + 1] = path[t] - learning_rate * m
    return path


def sgd_to_target(
    batch_size: Callable[[Array], Array | float], runs: int, seed: int, share: float = 0.05
) -> tuple[Array, Array, Array]:
    """Steps and samples that SGD needs to a share of its loss, at the learning rate of the law in each step.

    The quadratic of `CURVATURES` whose noise does not change, so that B_noise grows as the gradient shrinks.
    Batch sizes are a function of the noise scales of all runs; infinity means exact gradients. The last step
    counts as the part needed. The third result is the mean noise scale over the runs, at each step.
    """
    rng = np.random.default_rng(seed)
    w = np.tile(CURVATURES**-0.5, (runs, 1))
    noise = 2 * np.sum(CURVATURES**3 * w[0] ** 2)  # tr(H Sigma): B_noise is 2 at first
    deviation = np.sqrt(noise / CURVATURES.sum())
    start = loss = np.sum(CURVATURES * w**2, axis=1) / 2
    done, samples = np.full(runs, np.nan), np.zeros(runs)
    path: list[float] = []
    while np.isnan(done).any():
        g = CURVATURES * w
        gHg = np.sum(CURVATURES * g**2, axis=1)
        scale = noise / gHg
        size = np.broadcast_to(batch_size(scale), scale.shape)
        eta = np.sum(g**2, axis=1) / gHg / (1 + scale / size)
        w = w - eta[:, None] * (g + deviation / np.sqrt(size)[:, None] * rng.standard_normal(w.shape))
        before, loss = loss, np.sum(CURVATURES * w**2, axis=1) / 2
        running = np.isnan(done)
        goal = share * start
        needed = np.log(before / goal) / np.log(before / np.minimum(loss, goal))
        part = np.where(loss <= goal, needed, 1.0)
        samples[running] += (part * size)[running]
        reached = running & (loss <= goal)
        done[reached] = len(path) + part[reached]
        path.append(float(scale.mean()))
    return done, samples, np.array(path)


def slow_runs(power: float, factor: float, profile: Array) -> tuple[float, float]:
    """Steps and samples, over their limits, of a run counted step by step along a profile of B_noise.

    Each step makes 1/(1 + B_noise/B) of the progress of one with an exact gradient.
    """
    length, progress, S, E = 400.0, 0.0, 0.0, 0.0  # the first is S_min
    places = np.linspace(0, length, len(profile))
    batch = factor * profile**power
    gains = 1 / (1 + profile / batch)
    while progress < length:
        place = np.searchsorted(places, progress)
        S, E, progress = S + 1, E + batch[place], progress + gains[place]
    return S / length, E / (length * profile.mean())


def sign_run_lengths(
    batch_sizes: Array,
    safety: float,
    runs: int = 32,
    seed: int = 6,
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array] | None = None,
    put_back: bool = False,
    one_ratio: bool = False,
) -> Array:
    """Steps that SignSGD needs to a twentieth of its loss, at a fraction `safety` of the law's learning rate.

    The quadratic (sum w)^2/2 + |w|^2/2 in 8 dimensions from w = (1, ..., 1), with independent noise of one
    variance, scaled along the run so that B_simple stays 64; beta* stays (2/7)^(1/2). `draw` is
    ``(rng, shape)`` to noise of unit scale, normal unless told. With `put_back` each step ends in the
    direction (1, ..., 1) at the same loss; with `one_ratio` noise is in proportion to each |g_i|.
    Shape (len(batch_sizes), runs).
    """
    size, noise_scale = 8, 64.0
    rng = np.random.default_rng(seed)
    lengths = np.empty((len(batch_sizes), runs))
    for index, batch_size in enumerate(batch_sizes):
        w = np.ones((runs, size))
        start = loss = (w.sum(axis=1) ** 2 + (w**2).sum(axis=1)) / 2
        beta = float(normalised_batch_size(batch_size, noise_scale))
        done, count = np.full(runs, np.nan), 0
        while np.isnan(done).any():
            g = w.sum(axis=1, keepdims=True) + w
            signal = np.sign(g).sum(axis=1) ** 2 + size
            curvature = 2 * size + beta**2 * (signal - 2 * size)
            eta = safety * beta * np.abs(g).sum(axis=1) / curvature
            square = g**2 if one_ratio else (g**2).mean(axis=1, keepdims=True)
            deviation = np.sqrt(noise_scale * square / batch_size)
            noise = rng.standard_normal(w.shape) if draw is None else draw(rng, w.shape)
            w = w - eta[:, None] * np.sign(g + deviation * noise)
            before, loss = loss, (w.sum(axis=1) ** 2 + (w**2).sum(axis=1)) / 2
            if put_back:
                w = np.sqrt(loss / start)[:, None] * np.ones(size)
            reached = np.isnan(done) & (loss <= 0.05 * start)
            before, after = before[reached], loss[reached]
            done[reached] = count + np.log(before / (0.05 * start[reached])) / np.log(before / after)
            count += 1
        lengths[index] = done
    return lengths


# A quadratic with curvatures k^-NU and, along the k-th direction, k^-MU of the first loss; a million
# directions, the later ones in blocks of `COUNT`.
NU, MU = 1.5, 1.6
EDGES = np.unique(np.geomspace(1, 1e6, 240).round())
COUNT = np.diff(EDGES)
POWERS = np.sqrt(EDGES[:-1] * (EDGES[1:] - 1)) ** -NU
FIRST_LOSS = COUNT * POWERS ** (MU / NU) / 2


def power_law_losses(
    batch_size: float, rates: Array, tokens: float, noise: float, *, decay: bool = False, signs: bool = False
) -> Array:
    """Mean loss on the quadratic of power laws after tokens/batch_size steps, at each of some rates.

    One sample's gradient has the variance `noise` times the curvature, as in regression. SGD exactly, step
    for step; signs in the mean field, direction by direction. Rates are constant or, with `decay`, the first
    of a cosine that ends at zero. Runs that diverge have an infinite loss.
    """
    steps = round(tokens / batch_size)
    square = np.tile(FIRST_LOSS / (COUNT * POWERS / 2), (len(rates), 1))  # of the weights
    variance = noise * POWERS / batch_size
    shares = cosine(np.arange(steps), steps, 1.0) if decay else np.ones(steps)
    with np.errstate(over="ignore", invalid="ignore"):
        for share in shares:
            eta = share * rates[:, None]
            if signs:
                pull = POWERS / np.sqrt(POWERS**2 * square + variance)
                square = np.maximum(square - 2 * eta * pull * square + eta**2, 0.0)
            else:
                square = (1 - eta * POWERS) ** 2 * square + eta**2 * variance
        losses = square @ (COUNT * POWERS) / 2
    return np.where(losses < 10 * FIRST_LOSS.sum(), losses, np.inf)


def best_rates(
    sizes: Array, rates: Array, tokens: float, noise: float, *, decay: bool = False, signs: bool = False
) -> tuple[Array, Array]:
    """Rate of the lowest :func:`power_law_losses` at each batch size, and that loss.

    A parabola through three rates, evenly apart in logarithms; beside one that diverges the best tried.
    """
    best, lowest = np.empty(len(sizes)), np.empty(len(sizes))
    for k, B in enumerate(sizes):
        losses = power_law_losses(B, rates, tokens, noise, decay=decay, signs=signs)
        i = int(losses.argmin())
        near = losses[max(i - 1, 0) : i + 2]
        inside = near.size == 3 and np.isfinite(near).all()
        bend = near[0] - 2 * near[1] + near[2] if inside else np.inf
        shift = (near[0] - near[-1]) / (2 * bend) if inside else 0.0
        best[k] = rates[i] * (rates[1] / rates[0]) ** shift
        lowest[k] = losses[i]
    return best, lowest


def sgd_loss(batch_size: float, learning_rate: float, tokens: float) -> float:
    """Mean loss of SGD on the quadratic of power laws after tokens/batch_size steps, in closed form."""
    shrink = (1 - learning_rate * POWERS) ** 2
    left = shrink ** (tokens / batch_size)
    cloud = learning_rate**2 * POWERS / batch_size * (1 - left) / (1 - shrink)
    return float(FIRST_LOSS @ left + COUNT * POWERS @ cloud / 2)


def model_of_sgd(tokens: float) -> Run:
    """The model with the numbers of that quadratic, none of them fitted: its sums as integrals."""
    alpha = (MU - 1) / NU
    return Run(
        tokens=tokens,
        max_rate=2 / POWERS[0],
        distance=gamma(alpha) * 2**-alpha / (2 * NU),
        noise=float(COUNT @ POWERS) / 4,
        progress_exponent=alpha,
        noise_exponent=1.0,
    )


def best_rate_of_sgd(batch_size: float, tokens: float) -> float:
    """Constant rate of the lowest mean loss, by search below the largest stable one."""
    ends = np.log(1e-5), np.log((2 - 1e-9) / POWERS[0])
    return float(np.exp(lowest(lambda log: sgd_loss(batch_size, np.exp(log), tokens), *ends, 1e-6)[0]))


def slope(x: Array, y: Array | list[float]) -> float:
    """Power with which y goes as x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
