"""Text of the chapters that reads the same on the site, in JupyterLab, on a repository's host and in print.

A role of MyST shows its key, or a warning, wherever it is not carried out. So numbers, equations and sources
are plain text and plain links, and ``make chapters`` keeps them right:

- ``0.0644<!--half-->`` is the number that a cell gave by ``glue("half", "0.0644")``; write ``?<!--half-->``
  where none is known yet.
- ``[(11260.3)]()`` gets the address of the equation, wherever it stands; and an equation gets its number as a
  ``\\tag`` too, for viewers that do not show its label.
- ``*Reading: about 25 minutes.`` is followed by what the last run of the chapter cost.
- ``[Li et al. 2024](references.md#li2024)``, or ``Li et al. [(2024)](references.md#li2024)``, leads to the
  source; the page of references is made from references.bib.

On the site `_ext/plain_links.py` turns the last two into references that know their targets.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from pybtex.backends.plaintext import Backend
from pybtex.database import Entry, parse_file
from pybtex.plugin import find_plugin

from lrbs import formulas
from tools import whole

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = ROOT / "chapters" / "references.bib"
NUMBER = r"[-−+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?"
LABELLED = re.compile(r"^(\$\$\n.*?)(?:\\tag\{[\w.-]+\})?(\n\$\$ \(([\w.-]+)\))$", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r"\[\(([\w.-]+)\)\]\([^)\s]*\)")
PLAIN = Backend()
SOURCE = re.compile(r"\[([^][]*)\]\(references\.md#(\w+)\)")


# ---------------------------------------------------------------------------- numbers


def glued(notebook: Any) -> dict[str, str]:
    """What the cells of a notebook gave to its prose, by name."""
    return {
        output.metadata["scrapbook"]["name"]: output.data["application/papermill.record/text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }


def with_numbers(text: str, values: dict[str, str]) -> str:
    """The text with each number as it was computed last.

    Raises
    ------
    ValueError
        If a name is unknown, or if other words than before stand around the numbers of a value: such a
        sentence wants to be read again, with ? in the place of the value.
    """
    for name in re.findall(r"<!--([\w.-]+)-->", text):
        if name not in values:
            raise ValueError(f"no cell gives {name!r} to the prose; there are {sorted(values)}")
        words = re.split(NUMBER, values[name])
        before = rf"(?:\?|{NUMBER.join(map(re.escape, words))})(?=<!--{re.escape(name)}-->)"
        text, count = re.subn(before, values[name].replace("\\", r"\\"), text)
        if count != len(re.findall(rf"<!--{re.escape(name)}-->", text)):
            raise ValueError(f"{name!r} is now {values[name]!r}: read its sentence again and put ? there")
    return text


def readme(text: str) -> str:
    """The README, whose numbers are those of chapters: ``16<!--index.ix_one_step-->`` is the front page's."""
    names = re.findall(r"<!--([\w-]+)\.([\w-]+)-->", text)
    values: dict[str, str] = {}
    for page in {page for page, _ in names}:
        found = glued(nbformat.read(ROOT / "chapters" / f"{page}.ipynb", as_version=4))
        values |= {f"{page}.{name}": value for name, value in found.items()}
    return with_numbers(text, values)


# ---------------------------------------------------------------------------- equations


def with_equations(text: str, page: str) -> str:
    """The text of a page, named by its stem, with equations numbered and each link to one leading there."""

    def link(found: re.Match[str]) -> str:
        return formulas[found[1]].link(page) if found[1] in formulas else found[0]

    return EQUATION.sub(link, LABELLED.sub(r"\1\\tag{\3}\2", text))


# ---------------------------------------------------------------------------- sources


@cache
def sources() -> dict[str, Entry]:
    """The entries of references.bib by their keys, by author and year."""
    entries: dict[str, Entry] = parse_file(BIBLIOGRAPHY).entries
    return dict(sorted(entries.items(), key=lambda item: (folded(label(item[1])), item[0])))


def folded(text: str) -> str:
    """Letters without accents, for the order of the alphabet."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()


def family_name(person: Any) -> str:
    parts = (*person.rich_prelast_names, *person.rich_last_names)
    return " ".join(part.render(PLAIN) for part in parts)  # render_as looks for its plugin each time: 0.07 s


def label(entry: Entry) -> str:
    """Names and year, such as "Li et al. 2024"; with the archive's number for the articles of the series."""
    names = [family_name(person) for person in entry.persons["author"]]
    who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
    archive = re.search(r"archive (\d+)", entry.fields.get("howpublished", ""))
    return f"{who} {entry.fields['year']}" + (f", {archive[1]}" if archive else "")


def year(entry: Entry) -> str:
    """What of the label stands behind names that the sentence says itself: "2024"."""
    return re.sub(r"^.* (?=\d{4}\b)", "", label(entry))


def check_sources(text: str) -> None:
    """Refuse a link to a source that is unknown, or that does not read as names and year, or as the year."""
    for shown, key in SOURCE.findall(text):
        if key not in sources():
            raise ValueError(f"references.bib has no {key!r}")
        known = {label(sources()[key]), year(sources()[key])}
        if shown.strip("()") not in known:
            raise ValueError(f"a link to {key} must read as one of {sorted(known)}; it reads {shown!r}")


def references() -> str:
    """The page of references."""
    style = find_plugin("pybtex.style.formatting", "unsrt")()
    backend = find_plugin("pybtex.backends", "markdown")()
    entries = []
    for key, entry in zip(sources(), style.format_entries(sources().values()), strict=True):
        text = re.sub(r"\\([.()+#-])", r"\1", entry.text.render(backend)).replace("\n", " ")
        entries.append(f'<a id="{key}"></a>**{label(sources()[key])}.** {text}')
    head = "# References\n\nThe articles of the series are in Chinese; their titles are translated here.\n"
    return "\n\n".join([head, *entries]).replace("\n\n\n", "\n\n") + "\n"


# ---------------------------------------------------------------------------- what a run costs

READING = re.compile(r"^(\*Reading: about \d+ minutes\.)(?: Running: [^.]*\.)?", re.MULTILINE)


def with_cost(text: str, cost: dict[str, int] | None) -> str:
    """The text of a page that says how long it takes to read, with what a run of it took."""
    if not cost:
        return text
    seconds, megabytes = cost["seconds"], cost["megabytes"]
    time = f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    memory = f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.0f} GB"
    return READING.sub(rf"\1 Running: about {time} of a processor, {memory}.", text)


# ---------------------------------------------------------------------------- all of it


def settled(text: str, page: str, values: dict[str, str]) -> str:
    """The text of a page with numbers and links as they are to be; ValueError where a person must look."""
    check_sources(text)
    return with_equations(with_numbers(text, values), page)


def settle_pages() -> None:
    """Write the pages that are no notebooks as they are to be."""
    for path in (ROOT / "chapters").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        new = settled(references() if path.stem == "references" else text, path.stem, {})
        if new != text:
            whole.write(path, new)


def settle_readme() -> None:
    """Write the README with the numbers that chapters have stored."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    if (new := readme(text)) != text:
        whole.write(path, new)
