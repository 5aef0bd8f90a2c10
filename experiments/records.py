"""Small CSV files of results, with what they came from in their head; a killed run goes on from them."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.digests import ROOT, without_prose

RESULTS = ROOT / "lrbs" / "sweeps" / "recorded"


def modules(script: str) -> list[str]:
    """Files that a module of this repository imports, itself first, and that these import."""
    found: list[str] = []
    ahead = [script]
    while ahead:
        name = ahead.pop()
        path = _file(name)
        if path is None or path in found:
            continue
        found.append(path)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                ahead += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                ahead += [alias.name for alias in node.names]
    return [found[0], *sorted(found[1:])]


def digests(script: str) -> dict[str, str]:
    """Of each of these files, less comments and docstrings."""
    return {path: _hash(without_prose((ROOT / path).read_text(encoding="utf-8"))) for path in modules(script)}


def source_digest(script: str) -> str:
    """Of all of them."""
    return _hash(repr(sorted(digests(script).items())))


def head(script: str, text: str, seeds: Iterable[int]) -> dict[str, str]:
    """What stands above the rows."""
    packages = ("torch", "numpy", "scipy")
    return {
        "script": script,
        "source": source_digest(script),
        "text": text,
        "seeds": " ".join(map(str, seeds)),
        "versions": " ".join(
            [f"python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]
        ),
        "machine": f"{platform.machine()} {_processor()}, {os.cpu_count()} cores, one thread a process",
    }


def read(path: Path) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Head and rows; a last line that a kill has cut is left out."""
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    told = [line[2:].partition(": ") for line in lines if line.startswith("# ")]
    rows = csv.DictReader(line for line in lines if not line.startswith("# "))
    return {key: value for key, _, value in told}, list(rows)


class Table:
    """A file of results that grows, a group of rows at a time.

    Rows that are there already are kept if script, modules and text are those that made them; else the file
    begins anew.
    """

    def __init__(self, path: Path, head: Mapping[str, str], columns: Iterable[str]) -> None:
        self.path, self.head, self.columns = path, dict(head), tuple(columns)
        self.rows: list[dict[str, str]] = []
        if path.exists():
            told, rows = read(path)
            if all(told.get(key) == head[key] for key in ("source", "text", "seeds")):
                self.head, self.rows = told, rows
        self._write()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows that belong together: after a kill all of them are there, or none counts."""
        new = [{key: str(row[key]) for key in self.columns} for row in rows]
        self.rows += new
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(self._lines(new))

    def keep(self, group: Any, size: int) -> None:
        """Leave out groups of rows that a kill has cut: fewer than `size` alike in `group` of the row."""
        counts = Counter(group(row) for row in self.rows)
        self.rows = [row for row in self.rows if counts[group(row)] == size]
        self._write()

    def close(self, order: Any) -> None:
        """The same rows in an order that does not depend on which was ready first."""
        self.rows.sort(key=order)
        self._write()

    def _write(self) -> None:
        told = "".join(f"# {key}: {value}\n" for key, value in self.head.items())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        beside.write_text(
            told + ",".join(self.columns) + "\n" + self._lines(self.rows), encoding="utf-8", newline=""
        )
        beside.replace(self.path)

    def _lines(self, rows: Iterable[Mapping[str, str]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _file(module: str) -> str | None:
    if module.split(".")[0] not in ("experiments", "lrbs") or module == __name__:  # this one makes no number
        return None
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate.relative_to(ROOT).as_posix()
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
