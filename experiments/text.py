"""The text: the Python files of the installed SciPy, which every reader of the book has."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import scipy
import torch

ROOT = Path(scipy.__file__).parent
OF_A_MACHINE = ("__config__.py", "_distributor_init.py")  # what a build writes
HELD_OUT = 10  # every tenth file
SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))
VOCABULARY = len(SYMBOLS) + 1  # and one for all other characters


@cache
def files() -> tuple[str, ...]:
    """Contents of the files without tests, sorted by name."""
    paths = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
    kept = [p for p in paths if "tests" not in p.split("/") and p.split("/")[-1] not in OF_A_MACHINE]
    return tuple((ROOT / path).read_text(encoding="utf-8").replace("\r\n", "\n") for path in kept)


@cache
def digest() -> str:
    """Hash of the text."""
    return hashlib.sha256("\0".join(files()).encode()).hexdigest()[:16]


@cache
def training() -> torch.Tensor:
    """Symbols of nine files in ten, one after the other."""
    return _symbols([text for k, text in enumerate(files()) if k % HELD_OUT != HELD_OUT - 1])


@cache
def held_out() -> torch.Tensor:
    """Symbols of every tenth file."""
    return _symbols(list(files()[HELD_OUT - 1 :: HELD_OUT]))


def windows(text: torch.Tensor, shape: tuple[int, ...], length: int, seed: torch.Generator) -> torch.Tensor:
    """Random pieces of the text, (*shape, length + 1): the last `length` symbols of each are to be told."""
    starts = torch.randint(len(text) - length, (*shape, 1), generator=seed)
    return text[starts + torch.arange(length + 1)]


def _symbols(texts: list[str]) -> torch.Tensor:
    number = {symbol: k for k, symbol in enumerate(SYMBOLS)}
    return torch.tensor([number.get(c, VOCABULARY - 1) for c in "\n".join(texts)], dtype=torch.int16).long()
