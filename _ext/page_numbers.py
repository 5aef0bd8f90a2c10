"""Pages are numbered as one reads them, and figures, tables and exercises with them: Fig. 4.2 is on page 4.

Sphinx would begin anew in each part of the contents and give no number to a page below another; of figures
it counts only its own. Here every page of a part that is ``numbered`` in ``_toc.yml`` has its own number, and
figures and tables that code made are counted with the others. Each of them, and each exercise, shows a link
to itself under a pointer.

An exercise says in its title how hard it is and how long it takes: ``{exercise} Half-way ★ 10 min``.
"""

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from docutils import nodes
from sphinx.addnodes import toctree
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

MADE = re.compile(
    r'<(?P<kind>figure|table) class="(?P<class>lrbs-(?:live|still|table))"(?: id="(?P<id>[\w-]+)")?>'
    r"(?P<picture>.*?)<(?P<tag>figcaption|caption)>(?P<caption>.*?)</(?P=tag)>",
    re.DOTALL,
)
LINK = '<a class="headerlink" href="#{id}" title="Link to this {kind}">#</a>'
LEGEND = "chapters/notation"  # with an anchor "exercises"
EXERCISE = re.compile(
    r'(<div class="exercise admonition" id="([\w-]+)">\s*<p class="admonition-title">)(.*?)(</p>)', re.DOTALL
)
EFFORT = re.compile(r"\s*(★{1,3}) (\d+) min(?=\)|$)")
REPEATED = re.compile(r'(<p class="admonition-title">Solution to)(.*?)(</p>)', re.DOTALL)


class made_figure(nodes.Element):
    """Counts a figure in the HTML of an output; shows nothing."""


class made_table(nodes.Element):
    """Counts a table in the HTML of an output; shows nothing."""


class PageNumbers(TocTreeCollector):
    """Sphinx's counting, with one number for each page in the place of sections' numbers."""

    def assign_section_numbers(self, env: BuildEnvironment) -> list[str]:
        old, env.toc_secnumbers = env.toc_secnumbers, {}
        for number, page in enumerate(numbered_pages(env), start=1):
            env.titles[page]["secnumber"] = [number]
            sections: dict[str, tuple[int, ...]] = {}
            for entry in env.tocs[page].findall(nodes.reference):
                anchor = entry["anchorname"]  # none: the page itself
                sections[anchor] = () if anchor else (number,)
                entry["secnumber"] = sections[anchor] or None
            env.toc_secnumbers[page] = sections
        return [page for page, sections in env.toc_secnumbers.items() if sections != old.get(page)]


def numbered_pages(env: BuildEnvironment) -> Iterator[str]:
    """Pages of the numbered parts, in the order of reading."""

    def below(pages: list[str]) -> Iterator[str]:
        for page in pages:
            if page in env.tocs:
                yield page
                yield from below(env.toctree_includes.get(page, []))

    for part in env.get_doctree(env.config.root_doc).findall(toctree):
        if part.get("numbered"):
            yield from below(part["includefiles"])


def anchors() -> Callable[[re.Match[str]], str]:
    """Anchors of a page's figures and tables as they come: their own, or counted where they have none."""
    numbers = count(1)
    return lambda found: found["id"] or f"still-{next(numbers)}"


def count_made(app: Sphinx, doctree: nodes.document) -> None:
    """Put something that Sphinx counts ahead of each figure and table that code made."""
    anchor = anchors()
    for output in list(doctree.findall(nodes.raw)):
        for found in MADE.finditer(output.astext()):
            bundle: nodes.Element = output
            while bundle.parent.get("nb_element") in ("mime_bundle", "cell_code_output"):
                bundle = bundle.parent
            kind = made_figure if found["kind"] == "figure" else made_table
            bundle.parent.insert(bundle.parent.index(bundle), kind(ids=[anchor(found)]))


def show(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Write the numbers into captions, links beside them, and the effort behind the titles of exercises."""
    if "body" not in context:
        return
    numbers = app.env.toc_fignumbers.get(page, {})
    anchor = anchors()

    def numbered(found: re.Match[str]) -> str:
        kind, tag, id = found["kind"], found["tag"], anchor(found)
        number = ".".join(map(str, numbers.get(kind, {}).get(id, ())))
        words = app.config.numfig_format[kind] % number
        told = f'<span class="caption-number">{words} </span>' if number else ""
        return (
            f'<{kind} class="{found["class"]}" id="{id}">{found["picture"]}'
            f"<{tag}>{told}{found['caption']}{LINK.format(id=id, kind=kind)}</{tag}>"
        )

    legend = context["pathto"](LEGEND) + "#exercises"
    body = MADE.sub(numbered, context["body"])
    body = EXERCISE.sub(lambda found: with_effort(found, legend), body)
    context["body"] = REPEATED.sub(lambda found: found[1] + EFFORT.sub("", found[2]) + found[3], body)


def with_effort(found: re.Match[str], legend: str) -> str:
    """The title of an exercise, its effort behind it as a link to the legend, and a link to itself."""
    opening, anchor, title, closing = found.groups()
    told = EFFORT.search(title)
    if told:
        stars, minutes = told.groups()
        shown = stars + "☆" * (3 - len(stars))
        title = (
            f'{EFFORT.sub("", title)} <a class="lrbs-effort" href="{legend}">'
            f'<span role="img" aria-label="difficulty {len(stars)} of 3">{shown}</span> {minutes} min</a>'
        )
    return opening + title + LINK.format(id=anchor, kind="exercise") + closing


def unseen(translator: Any, node: nodes.Element) -> None:
    """It has no text of its own."""


def count_pages(app: Sphinx) -> None:
    """Let nobody else count: neither Sphinx nor what reads ``_toc.yml`` for it."""
    listeners = app.events.listeners["env-get-updated"]
    listeners[:] = [
        each
        for each in listeners
        if not isinstance(getattr(each.handler, "__self__", None), TocTreeCollector)
    ]
    app.connect("env-get-updated", PageNumbers().get_updated_docs)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", count_pages)
    for kind, name in ((made_figure, "figure"), (made_table, "table")):
        app.add_enumerable_node(kind, name, lambda node: "made by code", html=(unseen, unseen))
    app.connect("doctree-read", count_made)
    app.connect("html-page-context", show)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
