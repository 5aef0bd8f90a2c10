"""Results as tables, with a caption, that read on pages, in notebooks and in a terminal."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrbs.labels import as_html


@dataclass(frozen=True)
class Table:
    """What :func:`table` returns: HTML in a notebook and on a page, aligned text elsewhere.

    Attributes
    ----------
    rows : list of tuple of str
    columns : tuple of str
    caption : str
    """

    rows: list[tuple[str, ...]]
    columns: tuple[str, ...]
    caption: str

    @property
    def name(self) -> str:
        """Id of the table on its page: a hash of its words, for its numbers differ by machine."""
        words = "\n".join([self.caption, *self.columns])
        return "table-" + hashlib.sha256(words.encode()).hexdigest()[:10]

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = [
            "  ".join([line[0].ljust(widths[0]), *(map(str.rjust, line[1:], widths[1:]))]).rstrip()
            for line in lines
        ]
        return "\n".join([self.caption, *texts])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{as_html(column)}</th>' for column in self.columns)
        body = "\n".join(
            f'<tr><th scope="row">{as_html(first)}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in others)
            + "</tr>"
            for first, *others in self.rows
        )
        return (
            f'<table class="lrbs-table" id="{self.name}"><caption>{as_html(self.caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        )


def table(rows: Iterable[Sequence[str]], columns: Sequence[str], caption: str) -> Table:
    """A table of results, its numbers rounded by the chapter.

    Parameters
    ----------
    rows : iterable of sequence of str
        The first cell of a row says what the row is; the others are as a reader is to see them.
    columns : sequence of str
        One name for each cell of a row; the first may be empty.
    caption : str
        What the numbers are, in which units and with which errors.

    Returns
    -------
    Table
        The last line of a cell shows it.

    Raises
    ------
    ValueError
        If there are no rows, a row has more or fewer cells than there are columns, or a cell is not text.

    Examples
    --------
    >>> from lrbs.show import table
    >>> table([("SGD", "0.46 ± 0.03"), ("Adam", "1.2 ± 0.1")], ["", "slope"], "Slopes, ± s.e.")
    Slopes, ± s.e.
                slope
    SGD   0.46 ± 0.03
    Adam    1.2 ± 0.1
    """
    made = Table([tuple(row) for row in rows], tuple(columns), caption)
    if not made.rows:
        raise ValueError("rows must be one or more; got none")
    for row in made.rows:
        if len(row) != len(made.columns):
            raise ValueError(f"each row must have {len(made.columns)} cells, as there are columns; got {row}")
        for cell in row:
            if not isinstance(cell, str):
                raise ValueError(f"cells must be text, rounded as the chapter shows them; got {cell!r}")
    return made
