"""Pack the built site and all that it was built from into _build/html/lrbs-book.zip, to read and run offline.

The same files give the same archive, byte for byte, on every machine with the same zlib.
"""

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
ARCHIVE = SITE / "lrbs-book.zip"
TOP = "lrbs-book"
FOLDERS = (
    ".binder",
    ".ci",
    ".github",
    "_ext",
    "assets",
    "benchmarks",
    "chapters",
    "docs",
    "examples",
    "experiments",
    "lrbs",
    "tests",
    "tools",
)
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".ruff_cache", ARCHIVE.name}
FILES = (
    ".gitattributes",
    ".gitignore",
    ".npmrc",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "_config.yml",
    "_toc.yml",
    "conftest.py",
    "package-lock.json",
    "package.json",
    "pyproject.toml",
    "requirements-torch.txt",
    "requirements.txt",
)


def below(folder: Path) -> Iterator[Path]:
    """All files below a folder but those that tools leave there."""
    for path in folder.iterdir():
        if path.name not in LEFT_OUT:
            yield from below(path) if path.is_dir() else [path]


def pack(archive: Path) -> None:
    """Write the archive: the repository, with the built site in a folder of its own."""
    sources = [ROOT / name for name in FILES]
    for folder in filter(Path.exists, (ROOT / name for name in FOLDERS)):
        sources += below(folder)
    entries = [(f"{TOP}/{path.relative_to(ROOT).as_posix()}", path) for path in sources]
    entries += [(f"{TOP}/site/{path.relative_to(SITE).as_posix()}", path) for path in below(SITE)]
    with zipfile.ZipFile(archive, "w") as packed:
        for name, path in sorted(entries):
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    if not SITE.exists():
        sys.exit("there is no built site: run make book first")
    pack(ARCHIVE)
