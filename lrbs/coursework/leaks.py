"""Whether a line of a solution or a rubric, or the key, stands in what students can read."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import lrbs
from lrbs.coursework.master import Master

SHORTEST = 18  # characters of a line, spaces apart, that are worth looking for
PLAIN = re.compile(r"(fig, ax = plt\.subplots|plt\.|_ = ax\.|rng = np\.random)")
ARCHIVES = (".zip", ".whl")
DEEPEST = 3  # archives within archives
TAG = re.compile(r"<[^<>]*>")
SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Leak:
    """A secret line, and where it stands."""

    where: str
    line: str

    def __str__(self) -> str:
        return f"{self.where}: {self.line}"


def secrets_of(masters: Sequence[Master], key: str = "") -> dict[str, str]:
    """Secret lines by what they are without spaces.

    No secret is what some master shows, what lrbs itself says, since students have it, and what every
    notebook that draws begins and ends with.
    """
    shown = "".join(_bare(path.read_text("utf-8")) for path in Path(lrbs.__file__).parent.rglob("*.py"))
    shown += "".join(
        _bare(cell.source)
        for master in masters
        for cell in master.cells
        if cell.tag in ("text", "given", "stub")
    )
    lines = {_bare(line): line for master in masters for line in master.secrets()}
    found = {
        bare: line
        for bare, line in lines.items()
        if len(bare) >= SHORTEST and bare not in shown and not PLAIN.match(line)
    }
    return found | ({_bare(key): "the key"} if key else {})


def leaks(places: Sequence[Path], secrets: Mapping[str, str]) -> Iterator[Leak]:
    """Every secret that stands in some file of these folders and files, archives included."""
    for place in places:
        if not place.exists():
            raise ValueError(f"there is nothing at {place}")
        for path in [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file()):
            yield from _in_data(str(path), path.read_bytes(), secrets, 0)


def _in_data(where: str, data: bytes, secrets: Mapping[str, str], depth: int) -> Iterator[Leak]:
    if where.lower().endswith(ARCHIVES) and depth < DEEPEST:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                for entry in packed.infolist():
                    if not entry.is_dir():
                        inside = packed.read(entry)
                        yield from _in_data(f"{where}/{entry.filename}", inside, secrets, depth + 1)
        except zipfile.BadZipFile:
            raise ValueError(f"{where} is no archive that can be read") from None
        return
    texts = list(_readings(where, data))
    for bare, line in secrets.items():
        if any(bare in text for text in texts):
            yield Leak(where, line)


def _readings(where: str, data: bytes) -> Iterator[str]:
    """A file as it is, without its tags, and with what JSON escapes, each without spaces."""
    text = data.decode("utf-8", "ignore")
    yield _bare(text)
    if where.endswith((".html", ".htm", ".xml", ".svg")):
        yield _bare(html.unescape(TAG.sub("", text)))
    if where.endswith((".ipynb", ".json", ".js", ".map")):
        yield _bare(_unescaped(text))


def _unescaped(text: str) -> str:
    """Text with the escapes of JSON's strings resolved, and strings of a list set end to end."""
    joined = re.sub(r'"\s*,\s*"', "", text)
    return re.sub(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])', _escape, joined)


def _escape(match: re.Match[str]) -> str:
    return str(json.loads(f'"{match[0]}"'))


def _bare(text: str) -> str:
    return SPACE.sub("", text)
