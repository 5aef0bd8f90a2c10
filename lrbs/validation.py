"""Checks of arguments: each error names the argument, what came and what was needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# A matrix counts as symmetric when its asymmetry is at the level of rounding errors.
SYMMETRY_TOLERANCE = 1e-8


class NotFinite(ValueError):
    """An entry is inf or nan, as after a step that overflowed."""


def real_array(
    value: ArrayLike,
    name: str,
    ndim: int | tuple[int, ...] | None = None,
    *,
    finite: bool = True,
    hint: str = "",
) -> Array:
    """`value` as a float64 array without nan or inf, with a number of dimensions that is allowed.

    Tensors of PyTorch are taken as they are: bfloat16, on a device, with gradients to come. `hint` says what
    to do about entries that are not finite; where they may be, `finite` is False.
    """
    array = value if type(value) is np.ndarray and value.dtype == np.float64 else _converted(value, name)
    if ndim is not None:
        allowed = (ndim,) if isinstance(ndim, int) else ndim
        if array.ndim not in allowed:
            wanted = " or ".join(f"{n}-D" if n else "a number" for n in allowed)
            raise ValueError(f"{name} must be {wanted}; got shape {array.shape}")
    if finite and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        raise NotFinite(
            f"{name} must be finite; got nan or inf in {len(bad)} of {array.size} entries, the first "
            f"{array[tuple(bad[0])]} at {bad[0].tolist()}{hint and '; ' + hint}"
        )
    return array


def _converted(value: Any, name: str) -> Array:
    """Anything that holds real numbers, as an array of float64."""
    try:
        array = np.asarray(_unwrapped(value))
        if array.dtype.kind not in "biufO":
            kind = "complex numbers" if array.dtype.kind == "c" else f"entries of type {array.dtype}"
            raise TypeError(kind)
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be an array of real numbers; got {type(value).__name__}: {error}"
        ) from None


def _unwrapped(value: Any) -> Any:
    """Tensors as arrays, also those in lists; anything else as it is."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        return (tensor if tensor.is_complex() else tensor.double()).numpy()
    if isinstance(value, list | tuple) and _holds_tensors(value):
        return [_unwrapped(part) for part in value]
    return value


def _holds_tensors(value: Any) -> bool:
    """Whether a list, or the first list in it, begins with a tensor."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return hasattr(value, "detach")


def plain(values: ArrayLike) -> Array:
    """An array as it is, and a number instead of an array of no dimension: scalars in, scalars out."""
    return np.asarray(values, dtype=np.float64)[()]


def vector(value: ArrayLike, name: str, size: int | None = None, *, hint: str = "") -> Array:
    """A finite vector, of a given size if one is given."""
    array = real_array(value, name, ndim=1, hint=hint)
    if array.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {array.shape}")
    if size is not None and array.size != size:
        raise ValueError(f"{name} must have {size} entries, one per parameter; got shape {array.shape}")
    return array


def symmetric_matrix(value: ArrayLike, name: str) -> Array:
    """A finite square matrix that equals its transpose up to rounding."""
    array = real_array(value, name, ndim=2)
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be square; got shape {array.shape}")
    scale = np.abs(array).max(initial=0.0)
    asymmetry = np.abs(array - array.T).max(initial=0.0)
    if asymmetry > SYMMETRY_TOLERANCE * scale:
        raise ValueError(
            f"{name} must be symmetric; its largest |A - A^T| is {asymmetry:.3g} "
            f"where the largest |A| is {scale:.3g} (symmetrise it with (A + A.T) / 2 if that is meant)"
        )
    return array


def positive(
    value: ArrayLike, name: str, ndim: int | tuple[int, ...] | None = None, *, hint: str = ""
) -> Array:
    """A finite array whose entries are all above zero."""
    array = real_array(value, name, ndim, hint=hint)
    if not (array > 0).all():
        raise ValueError(f"{name} must be positive; the smallest entry that came is {array.min():.6g}")
    return array


def none_negative(value: ArrayLike, name: str) -> Array:
    """A finite array without an entry below zero."""
    array = real_array(value, name)
    if (array < 0).any():
        raise ValueError(f"{name} must not be negative; the smallest entry that came is {array.min():.6g}")
    return array


def fraction(value: float, name: str) -> float:
    """A number in [0, 1), such as a momentum."""
    number = _number(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be in [0, 1); got {number:.6g}")
    return number


def non_negative(value: float, name: str) -> float:
    """A number that is zero or more."""
    number = _number(value, name)
    if number < 0:
        raise ValueError(f"{name} must not be negative; got {number:.6g}")
    return number


def count(value: int, name: str, least: int = 1) -> int:
    """An integer that is at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be an integer; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def _number(value: float, name: str) -> float:
    return float(real_array(value, name, ndim=0))
