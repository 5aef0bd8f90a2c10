"""Checks of the chapter for those who have a run: what is counted in samples."""

import numpy as np

from lrbs.checks.evidence import Rows, check, missed, near
from lrbs.laws.averaging import ema_step
from lrbs.laws.batch_change import decay_for_time_scale, half_life, sde_decay


@check("identity")
def half_life_counts_samples() -> Rows:
    """An average over single samples against one over batches of eight, of a series that is level in each."""
    series = np.random.default_rng(0).standard_normal(40)
    for decay in (0.9, 0.99):
        by_sample = by_batch = np.zeros(())
        for value in series:
            for _ in range(8):
                by_sample = ema_step(by_sample, value, decay)
            by_batch = ema_step(by_batch, value, half_life(decay, 8))
        yield near(f"average, decay {decay:g} a sample", by_batch, by_sample, tolerance=1e-9)


@check("approximation", where="decay 0.95, batch times 8")
def sde_decay_is_half_life_to_first_order() -> Rows:
    """The straight line against the power that it touches."""
    for decay, growth, off in ((0.999, 8, -2.8e-5), (0.95, 2, -0.00277), (0.95, 8, -0.0956)):
        yield missed(f"{decay:g}, times {growth}", sde_decay(decay, growth), decay**growth, off, 2e-2)


@check("identity")
def decay_keeps_its_time_scale() -> Rows:
    """Weights without gradients after as many samples, step by step."""
    for name, new_rate, growth in (
        ("AdamW, rate times 2, batch times 4", 6e-4, 4),
        ("batch / 8", 1e-4, 1 / 8),
    ):
        before = after = 1.0
        for _ in range(32_000):
            before *= 1 - 3e-4 * 0.1
        decay = decay_for_time_scale(0.1, 3e-4, new_rate, growth)
        for _ in range(round(32_000 / growth)):
            after *= 1 - new_rate * decay
        yield near(f"share of the weights left, {name}", after, before, tolerance=2e-4)
