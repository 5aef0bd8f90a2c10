"""What else to change with the batch size: memories, and weight decay, counted in samples.

A decay of 0.95 a step forgets in steps. When each step shows k times as many samples, it forgets over k times
as many of them, unless it is changed.
"""

import math

from lrbs.validation import fraction, non_negative, positive

__all__ = ["decay_for_time_scale", "half_life", "memory_steps", "sde_decay"]


def half_life(decay: float, growth: float) -> float:
    """Decay of an average whose half-life in samples stays when the batch grows: decay^growth.

    Source: lrbs.half-life.

    Parameters
    ----------
    decay : float
        In [0, 1): beta_1 or beta_2, or the decay of an average of weights.
    growth : float
        k, new batch size over old; positive, below 1 for a smaller batch.

    Returns
    -------
    float
        Exists for every k. After the principle of arXiv 2507.07101 (for beta_2) and 2307.13813 (for
        averages of weights).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(half_life(0.95, growth=8), 3), round(half_life(0.95, growth=1 / 8), 4)
    (0.663, 0.9936)
    """
    return float(fraction(decay, "decay") ** float(positive(growth, "growth", 0)))


def sde_decay(decay: float, growth: float) -> float:
    """Decay by the scaling of the stochastic differential equation: 1 - decay grows as the batch does.

    The same as :func:`half_life` to first order in 1 - decay. Source: lrbs.sde-decay; after Malladi et al.,
    arXiv 2205.10287.

    Parameters
    ----------
    decay : float, in [0, 1)
    growth : float, k, new batch size over old

    Returns
    -------
    float, 1 - k (1 - decay)

    Raises
    ------
    ValueError
        If growth (1 - decay) >= 1: the rule then has no decay to offer.

    Examples
    --------
    >>> round(sde_decay(0.95, growth=8), 3)
    0.6
    """
    share = float(positive(growth, "growth", 0)) * (1 - fraction(decay, "decay"))
    if share >= 1:
        raise ValueError(
            f"growth (1 - decay) must be below 1 for the linear rule; got {growth:g} (1 - {decay:g}) = "
            f"{share:.3g}"
        )
    return 1 - share


def memory_steps(decay: float) -> float:
    """Steps after which an average from zero holds all but e^-2, 14 %, of its weights: about 2/(1 - decay).

    What a warm-up has to outlast, for the second average of Adam to know the gradients (arXiv 1910.04209).

    Parameters
    ----------
    decay : float, in [0, 1)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(memory_steps(0.95)), round(memory_steps(0.999))
    (40, 2000)
    """
    return 2 / (1 - fraction(decay, "decay"))


def decay_for_time_scale(
    weight_decay: float, learning_rate: float, new_learning_rate: float, growth: float
) -> float:
    """Weight decay that keeps the time scale of decay, 1/(eta lambda) steps, the same in samples.

    Source: lrbs.decay-time.

    Parameters
    ----------
    weight_decay : float
        lambda >= 0, of a rule that multiplies weights by 1 - eta lambda each step: AdamW, SGD, Muon.
    learning_rate, new_learning_rate : float, before and after the change
    growth : float, k, new batch size over old

    Returns
    -------
    float
        lambda k eta / eta'. With SGD's linear rule nothing changes.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> decay_for_time_scale(0.1, 3e-4, 6e-4, growth=4)
    0.2
    """
    before = float(positive(learning_rate, "learning_rate", 0))
    ratio = before / float(positive(new_learning_rate, "new_learning_rate", 0))
    old = non_negative(weight_decay, "weight_decay")
    return math.prod([old, ratio, float(positive(growth, "growth", 0))])
