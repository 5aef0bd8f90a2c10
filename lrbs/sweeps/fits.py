"""Laws for the best learning rate, fitted to several sweeps at once, with errors and Akaike's criterion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from lrbs.laws.corner import corner_law
from lrbs.laws.curves import power_saturation
from lrbs.laws.scalar_law import ScalarLaw
from lrbs.laws.sgd import saturation
from lrbs.sweeps.table import Sweep
from lrbs.validation import Array, plain, positive

__all__ = ["CANDIDATES", "Candidate", "LawFit", "fit_law", "power_of_size_and_tokens", "resampled"]

# Noise scales and corners that are tried, in sequences: from far below the batches of sweeps to far above.
SCALES = np.geomspace(2, 65_536, 521)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A law for the best rate: a level for each sweep, perhaps a number of its own, perhaps shared ones.

    Attributes
    ----------
    curve : function
        Of batch size, the sweep's own number, and the shared ones by their names; 1 is the level.
    own : ndarray, shape (m,)
        Values tried of the number that each sweep has of its own, such as its noise scale. One value: none.
    shared : mapping from str to ndarray
        Values tried of each number that all sweeps share.
    """

    curve: Callable[..., Array]
    own: Array
    shared: Mapping[str, Array]


def _falling(B: Array, scale: Array, ratio: float) -> Array:
    """The sign law, and Adam's: s^T H s is `ratio` times what noise meets; it falls again from 2 on."""
    rise = ScalarLaw(ratio, ratio, 1.0, 1.0)
    return rise.optimal_lr(B / scale)


def _bent(B: Array, scale: Array, exponent: float, beyond: float) -> Array:
    """A corner with a power of its own beyond it."""
    return corner_law(B, 1.0, scale, exponent) * np.maximum(B / scale, 1.0) ** beyond


_NONE = np.ones(1)
_EXPONENTS = np.linspace(0.4, 1.2, 41)

#: Laws that the public sweeps are held against, by name.
CANDIDATES: Mapping[str, Candidate] = MappingProxyType(
    {
        "constant": Candidate(lambda B, _: np.ones(np.broadcast(B, _).shape), _NONE, {}),
        "power, one exponent": Candidate(lambda B, _, a: B**a * _, _NONE, {"a": np.linspace(-0.5, 1.5, 201)}),
        "power, own exponents": Candidate(lambda B, a: B**a, np.linspace(-0.5, 1.5, 401), {}),
        "sign law": Candidate(lambda B, scale: power_saturation(B, 1.0, scale), SCALES, {}),
        "saturation": Candidate(lambda B, scale: saturation(B, 1.0, scale), SCALES, {}),
        "power of saturation": Candidate(
            lambda B, scale, c: power_saturation(B, 1.0, scale, c), SCALES, {"c": np.geomspace(0.2, 5, 66)}
        ),
        "falls again": Candidate(_falling, SCALES, {"ratio": np.geomspace(1.0, 100.0, 41)}),
        "corner": Candidate(lambda B, scale, a: corner_law(B, 1.0, scale, a), SCALES, {"a": _EXPONENTS}),
        "smooth corner": Candidate(
            lambda B, scale, a, k: corner_law(B, 1.0, scale, a, k),
            SCALES[::4],
            {"a": _EXPONENTS[::2], "k": np.geomspace(0.5, 32, 19)},
        ),
        "corner, then a power": Candidate(
            lambda B, scale, a, b: _bent(B, scale, a, b),
            SCALES[::4],
            {"a": _EXPONENTS[::2], "b": np.linspace(-0.2, 0.2, 41)},
        ),
    }
)


@dataclass(frozen=True, eq=False)
class LawFit:
    """A law fitted to sweeps; least squares of ln(learning rate), each divided by its error.

    Attributes
    ----------
    law : Candidate
    shared : dict
        The shared numbers.
    limits : ndarray, shape (sweeps,)
        Level of each sweep.
    own, own_error : ndarray, shape (sweeps,)
        Number of each sweep's own, 1 for a law without one; half the width, in logarithms, of what raises
        its chi squared by one at the shared numbers found, nan for a law without one.
    residuals : tuple of ndarray
        ln of found over fitted rate, a sweep each.
    chi_squared : ndarray, shape (sweeps,)
    parameters : int
        Numbers fitted.
    profile : ndarray, shape (sweeps, ...)
        Chi squared of each sweep at all values tried of the shared numbers, the rest at its best.
    """

    law: Candidate
    shared: dict[str, float]
    limits: Array
    own: Array
    own_error: Array
    residuals: tuple[Array, ...]
    chi_squared: Array
    parameters: int
    profile: Array

    def rate(self, sweep: int, batch_size: ArrayLike) -> Array:
        """Fitted best rate of one of the sweeps.

        Parameters
        ----------
        sweep : int
            Which, counted from 0.
        batch_size : array_like
            In sequences, positive.

        Returns
        -------
        ndarray
            Shaped like `batch_size`.

        Raises
        ------
        ValueError
            If a batch size is not positive.
        """
        curve = self.law.curve(positive(batch_size, "batch_size"), self.own[sweep], **self.shared)
        return plain(self.limits[sweep] * curve)

    @property
    def points(self) -> int:
        """Rates fitted."""
        return sum(r.size for r in self.residuals)

    @property
    def rms(self) -> float:
        """Root mean square residual of ln(learning rate), every rate alike."""
        return float(np.sqrt(np.mean(np.concatenate(self.residuals) ** 2)))

    @property
    def scatter(self) -> float:
        """`rms`, for as many degrees of freedom as are left: what a further rate is off."""
        return float(self.rms * np.sqrt(self.points / (self.points - self.parameters)))

    @property
    def aicc(self) -> float:
        """Akaike's criterion, corrected, with one unknown scale of all errors: only differences count."""
        n, k = self.points, self.parameters + 1
        return float(n * np.log(self.chi_squared.sum() / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def fit_law(
    law: Candidate, sweeps: Sequence[Sweep], *, shape: str | None = None, equal_errors: bool = False,
    edges: bool = False,
) -> LawFit:  # fmt: skip
    """Fit a law to the best rates of sweeps, by a search through all values that it names.

    Parameters
    ----------
    law : Candidate
        One of `CANDIDATES`, or of your own.
    sweeps : sequence of Sweep
    shape : str, optional
        Take the best rates of one shape of the loss, not the mean of all.
    equal_errors : bool
        Give all rates one error, 0.1, instead of their own.
    edges : bool
        Keep rates that lie at an end of what was tried.

    Returns
    -------
    LawFit

    Raises
    ------
    ValueError
        If a sweep has fewer than four rates left.
    """
    names = list(law.shared)
    trials = list(product(*law.shared.values()))
    tables, data = [], []
    for sweep in sweeps:
        kept = ~sweep.at_edge | edges
        if kept.sum() < 4:
            raise ValueError(f"sweeps must have four rates or more each; {sweep.name} has {kept.sum()}")
        rates = sweep.learning_rate if shape is None else sweep.shapes[shape]
        error = np.full(rates.size, 0.1) if equal_errors else sweep.rate_error
        B, y, weight = sweep.batch_size[kept], np.log(rates[kept]), error[kept] ** -2
        own = law.own[:, None]
        gap = np.stack([y - np.log(law.curve(B, own, **dict(zip(names, t, strict=True)))) for t in trials])
        level = gap @ weight / weight.sum()
        tables.append((gap - level[..., None]) ** 2 @ weight)  # of trials and own numbers
        data.append((gap, level))
    chi = np.stack(tables)
    profile = chi.min(axis=2)
    best = int(profile.sum(axis=0).argmin())
    at = chi[:, best].argmin(axis=1)
    has_own = law.own.size > 1
    return LawFit(
        law,
        dict(zip(names, map(float, trials[best]), strict=True)),
        np.exp([level[best, k] for (_, level), k in zip(data, at, strict=True)]),
        law.own[at],
        np.array([_half_width(law.own, c) if has_own else np.nan for c in chi[:, best]]),
        tuple(gap[best, k] - level[best, k] for (gap, level), k in zip(data, at, strict=True)),
        profile[:, best],
        len(sweeps) * (1 + has_own) + len(names),
        profile.reshape(len(sweeps), *(v.size for v in law.shared.values())),
    )


def _half_width(values: Array, chi: Array) -> float:
    """Half the logarithmic width of the values whose chi squared is within one of the least."""
    within = values[chi <= chi.min() + 1]
    return float(np.log(within.max() / within.min()) / 2) if values.min() > 0 else float(np.ptp(within) / 2)


def resampled(sweeps: int, draws: int = 400, seed: int = 0) -> Array:
    """How often each sweep is drawn when as many are drawn with replacement.

    Parameters
    ----------
    sweeps, draws, seed : int

    Returns
    -------
    ndarray, shape (draws, sweeps)
    """
    counts = np.random.default_rng(seed).multinomial(sweeps, np.full(sweeps, 1 / sweeps), size=draws)
    return counts.astype(np.float64)


def power_of_size_and_tokens(
    values: ArrayLike, sweeps: Sequence[Sweep], counts: ArrayLike | None = None
) -> Array:
    """Exponents of tokens and size in values ~ D^p N^q, one value a sweep.

    Parameters
    ----------
    values : array_like, shape (sweeps,)
        Positive.
    sweeps : sequence of Sweep
    counts : array_like, shape (..., sweeps), optional
        How often each sweep counts: of :func:`resampled`, for errors.

    Returns
    -------
    ndarray, shape (..., 3)
        ln of the value at a billion tokens and a hundred million parameters, p, q. Source: lrbs.sweep-powers.

    Raises
    ------
    ValueError
        If a value is not positive.
    """
    X = design(sweeps)
    weight = np.ones(len(sweeps)) if counts is None else np.asarray(counts, dtype=np.float64)
    normal = np.einsum("ki,...k,kj->...ij", X, weight, X)
    right = np.einsum("ki,...k,k->...i", X, weight, np.log(positive(values, "values")))
    return np.linalg.solve(normal, right[..., None])[..., 0]


def design(sweeps: Sequence[Sweep]) -> Array:
    """1, ln D and ln N in billions and hundred millions, shape (sweeps, 3)."""
    return np.array([[1.0, np.log(s.tokens / 1e9), np.log(s.parameters / 1e8)] for s in sweeps])
