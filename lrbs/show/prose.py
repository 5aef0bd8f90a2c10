"""Numbers of the prose that come out of a cell."""

PREFIX = "application/papermill.record/"  # which shows nowhere


def glue(name: str, value: str) -> None:
    """Give a number to the text of the chapter, which holds it as ``0.0644<!--name-->``.

    Parameters
    ----------
    name : str
        Of letters, digits, ``_``, ``-`` and ``.``; once a chapter.
    value : str
        As the text is to show it, rounded so that another machine finds the same.

    Raises
    ------
    ValueError
        If the value is not text: how a number is rounded is for the chapter to say.
    """
    from IPython.display import display

    if not isinstance(value, str):
        raise ValueError(
            f"value must be text, rounded as the chapter is to show it; got {value!r} for {name}"
        )
    metadata = {"scrapbook": {"name": name, "mime_prefix": PREFIX}}
    display({f"{PREFIX}text/plain": value}, raw=True, metadata=metadata)  # type: ignore[no-untyped-call]
