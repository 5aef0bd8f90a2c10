"""A bar for what takes more than a second."""

import html
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["progress"]

Item = TypeVar("Item")


def progress(items: Sequence[Item], label: str) -> Iterator[Item]:
    """The items one by one, with a bar in the notebook that says how many are done, and goes at the end.

    Outside notebooks there is no bar. Interrupting the kernel stops the loop.

    Parameters
    ----------
    items : sequence
        Bounded: its length is the length of the bar.
    label : str
        What is being done, such as ``"batch sizes"``.

    Yields
    ------
    object
        The items.

    Examples
    --------
    >>> [size**2 for size in progress([1, 4, 16], "batch sizes")]
    [1, 16, 256]
    """
    bar = _bar()
    for done, item in enumerate(items):
        bar(f"{label}: {done} of {len(items)}", done, len(items))
        yield item
    bar("", 0, 0)


def _bar() -> Any:
    """A function that shows (text, done, total); an empty text clears the place."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return lambda *_: None
    if getattr(get_ipython(), "kernel", None) is None:
        return lambda *_: None
    # It begins as it ends, empty: what is stored does not depend on when one looks.
    empty = {"text/plain": "", "text/html": ""}
    place = display(empty, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def show(text: str, done: int, total: int) -> None:
        page = f'<progress max="{total}" value="{done}"></progress> {html.escape(text)}' if text else ""
        place.update({"text/plain": text, "text/html": page}, raw=True)

    return show
