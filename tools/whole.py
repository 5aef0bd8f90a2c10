"""Write a file whole or not at all, at whatever moment the run is ended."""

from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put the text into the place of what the file held."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
