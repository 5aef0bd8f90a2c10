"""A learning rate that rises as a power of the batch size up to a corner, and a model of a run with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lrbs.validation import Array, plain, positive

__all__ = ["HeldFixed", "Run", "corner_law"]


def corner_law(
    batch_size: ArrayLike,
    limit: ArrayLike,
    corner: ArrayLike,
    exponent: ArrayLike = 0.75,
    sharpness: float = np.inf,
) -> Array:
    """limit (1 + (corner/B)^(a k))^(-1/k): B^a that turns level at the corner, sharply for large k.

    Parameters
    ----------
    batch_size : array_like
        B, in samples, positive; broadcast with the others.
    limit : array_like, learning rate far beyond the corner, positive
    corner : array_like, B_n, in samples, positive
    exponent : array_like, a > 0
    sharpness : float
        k > 0. Infinite, the default, makes it limit min(1, (B/corner)^a). The sign law is a = 1/2, k = 2,
        SGD's saturation a = k = 1, and :func:`lrbs.laws.power_saturation` of the exponent c has a = c,
        k = 1/c.

    Returns
    -------
    ndarray
        In units of `limit`. Source: lrbs.corner.

    Raises
    ------
    ValueError
        If an argument is not positive.

    Examples
    --------
    >>> [round(float(corner_law(B, 1.0, corner=256)), 6) for B in (16, 256, 4096)]
    [0.125, 1.0, 1.0]
    """
    share = positive(batch_size, "batch_size") / positive(corner, "corner")
    below = positive(exponent, "exponent") * np.log(share)
    if np.isposinf(sharpness):
        log = np.minimum(below, 0.0)
    else:
        k = float(positive(sharpness, "sharpness"))
        log = -np.logaddexp(0.0, -k * below) / k
    return plain(positive(limit, "limit") * np.exp(log))


class HeldFixed(NamedTuple):
    """Powers of the batch size with which a best learning rate rises.

    Attributes
    ----------
    steps, tokens, loss : float
        At equally many steps, at equally many tokens, at equal loss.
    """

    steps: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Run:
    """Final loss of a run of fixed length: a distance to be covered against noise that accumulates.

    Above the least loss, A (B^r / (eta D))^alpha + C (eta / B^s)^p. The first term is what is left of the
    way after D/B steps, the second what the noise adds. Rates above a largest one diverge.

    Attributes
    ----------
    tokens : float, D, in the unit of the batch size
    max_rate : float
        Largest learning rate at which the run is stable.
    distance, noise : float, A and C
    progress_exponent, noise_exponent : float, alpha and p
    progress_batch_exponent, noise_batch_exponent : float
        r and s. SGD has r = s = 1: D/B steps, and a cloud of variance eta/B. Signs of mostly noise have
        r = s = 1/2: a mean step goes as sqrt(B).

    Raises
    ------
    ValueError
        If one of them is not positive.
    """

    tokens: float
    max_rate: float = 1.0
    distance: float = 1.0
    noise: float = 1.0
    progress_exponent: float = 0.5
    noise_exponent: float = 1.0
    progress_batch_exponent: float = 1.0
    noise_batch_exponent: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, float(positive(value, name)))

    def loss(self, batch_size: ArrayLike, learning_rate: ArrayLike) -> Array:
        """Final loss above the least. Source: lrbs.run-loss.

        Parameters
        ----------
        batch_size, learning_rate : array_like, positive, broadcast

        Returns
        -------
        ndarray
            In units of the loss; infinite above `max_rate`.

        Raises
        ------
        ValueError
            If an argument is not positive.
        """
        B, eta = positive(batch_size, "batch_size"), positive(learning_rate, "learning_rate")
        way = B**self.progress_batch_exponent / (eta * self.tokens)
        cloud = self.noise * (eta / B**self.noise_batch_exponent) ** self.noise_exponent
        left = self.distance * way**self.progress_exponent
        return plain(np.where(eta > self.max_rate, np.inf, left + cloud))

    @property
    def exponent(self) -> float:
        """a = (r alpha + s p) / (alpha + p), with which the best rate rises below the corner."""
        return self._balance / (self.progress_exponent + self.noise_exponent)

    @property
    def tokens_exponent(self) -> float:
        """d = alpha / (alpha + p), with which it falls with the length of the run, as D^-d."""
        return self.progress_exponent / (self.progress_exponent + self.noise_exponent)

    @property
    def exponents(self) -> HeldFixed:
        """Powers of B with which the best rate rises below the corner, by what is held fixed.

        Equal tokens: a. Equal steps, D in proportion to B: a - d. Equal loss, at which the noise's part of
        the loss is the same: s. Source: lrbs.run-exponents.
        """
        return HeldFixed(self.exponent - self.tokens_exponent, self.exponent, self.noise_batch_exponent)

    @property
    def corner(self) -> float:
        """Batch size at which the best rate reaches `max_rate`."""
        alpha, p = self.progress_exponent, self.noise_exponent
        ratio = p * self.noise / (alpha * self.distance)
        reach = self.max_rate ** (alpha + p) * self.tokens**alpha
        return float((ratio * reach) ** (1 / self._balance))

    def best_rate(self, batch_size: ArrayLike) -> Array:
        """Learning rate of the lowest final loss: a sharp :func:`corner_law`. Source: lrbs.run-rate.

        Parameters
        ----------
        batch_size : array_like, in the unit of `tokens`, positive

        Returns
        -------
        ndarray
            In units of `max_rate`.
        """
        return corner_law(batch_size, self.max_rate, self.corner, self.exponent)

    @property
    def best_batch_size(self) -> float:
        """Batch size of the lowest loss at best rates, corner (s/r)^(1/(r alpha + s p)).

        Source: lrbs.run-batch. For s = r all batch sizes up to the corner are as good, and it is the largest.

        Raises
        ------
        ValueError
            If s < r, when the smallest batch is the best.
        """
        ratio = self.noise_batch_exponent / self.progress_batch_exponent
        if ratio < 1:
            raise ValueError(
                "noise_batch_exponent must be at least progress_batch_exponent for a best batch; got "
                f"{self.noise_batch_exponent:.6g} and {self.progress_batch_exponent:.6g}: "
                "the smaller the better"
            )
        return float(self.corner * ratio ** (1 / self._balance))

    @property
    def _balance(self) -> float:
        """r alpha + s p."""
        r, s = self.progress_batch_exponent, self.noise_batch_exponent
        return r * self.progress_exponent + s * self.noise_exponent
