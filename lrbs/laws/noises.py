"""Noise that is not normal: a few standardised distributions, and what their signs say.

The sign of a number asks one thing of its noise: how much of it lies beyond zero. Means and variances do not
settle that; these distributions show by how much they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lrbs.laws.sign import mean_field_sign
from lrbs.validation import Array, plain, real_array

__all__ = ["NOISES", "Noise", "sign_bounds"]

# Half the distance of the two humps, in deviations: what is left of the variance blurs each of them.
HUMP = 0.95


@dataclass(frozen=True)
class Noise:
    """A symmetric continuous distribution of mean 0 and variance 1.

    Attributes
    ----------
    name : str
    below : callable
        Distribution function: the probability of a value below x.
    draw : callable
        ``(rng, shape)`` to independent values, as :func:`lrbs.simulated_step` takes it.
    """

    name: str
    below: Callable[[Array], Array]
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]

    def sign_mean(self, ratio: ArrayLike) -> Array:
        """E[sign(ratio + z)] = 1 - 2 P(z < -ratio), exactly.

        Parameters
        ----------
        ratio : array_like, mean over deviation

        Returns
        -------
        ndarray

        Examples
        --------
        >>> float(NOISES["uniform"].sign_mean(3**0.5 / 2))
        0.5
        """
        return plain(1 - 2 * self.below(-real_array(ratio, "ratio")))


def _two_humps_below(x: Array) -> Array:
    blur = np.sqrt(1 - HUMP**2)
    return plain(stats.norm.cdf((x - HUMP) / blur) + stats.norm.cdf((x + HUMP) / blur)) / 2


def _two_humps_draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.choice((-HUMP, HUMP), shape) + np.sqrt(1 - HUMP**2) * rng.standard_normal(shape)


_ALL = (
    Noise("normal", stats.norm.cdf, lambda rng, shape: rng.standard_normal(shape)),
    Noise("Laplace", stats.laplace(scale=0.5**0.5).cdf, lambda rng, shape: rng.laplace(0.0, 0.5**0.5, shape)),
    Noise(
        "Student t, 3 d.o.f.",
        stats.t(3, scale=3**-0.5).cdf,
        lambda rng, shape: rng.standard_t(3, shape) / 3**0.5,
    ),
    Noise(
        "uniform",
        stats.uniform(-(3**0.5), 2 * 3**0.5).cdf,
        lambda rng, shape: rng.uniform(-(3**0.5), 3**0.5, shape),
    ),
    Noise("two humps", _two_humps_below, _two_humps_draw),
)

NOISES: Mapping[str, Noise] = MappingProxyType({noise.name: noise for noise in _ALL})
"""Standardised noises by name: normal, two with heavier tails, two with none to speak of."""


def sign_bounds(mean: ArrayLike, deviation: ArrayLike) -> tuple[Array, Array]:
    """Least and largest mean of the sign over all distributions with this mean and deviation (Cantelli).

    Parameters
    ----------
    mean, deviation : array_like, mu and sigma of the number, broadcast

    Returns
    -------
    least, largest : ndarray
        2 m^2 - 1 and 1 for a positive mean, m the mean field; approached by two-point distributions.
        Source: lrbs.sign-bounds.
    """
    m = mean_field_sign(mean, deviation)
    return np.where(m > 0, 2 * m**2 - 1, -1.0), np.where(m < 0, 1 - 2 * m**2, 1.0)
