"""Lines break where a typesetter would break them.

A formula keeps the punctuation beside it, a number its sign, its power of ten, its per cent sign and its
error; a long name in code breaks after a dot, an underscore or a bracket, an option not after its dashes.
"""

import re
from typing import Any

from sphinx.application import Sphinx

APART = re.compile(r"(<(pre|script|style|svg|code)\b.*?</\2>)", re.DOTALL)
FORMULA = r'<span class="math notranslate nohighlight">\\\((?:(?!</span>).)*?'
NUMBER = r"(?:<(?:span|strong)\b[^>]*>)*[−-]?\d[\d.]*(?:</(?:span|strong)>)*[.,;:)]*"
EQUALS_NUMBER = re.compile(rf"({FORMULA}=\\\)</span>)\s({NUMBER})", re.DOTALL)
PUNCTUATED = re.compile(rf"([(“]?)({FORMULA}\\\)</span>)([.,;:!?)”’]*)", re.DOTALL)
SPACES = (
    (re.compile(r"(?<=[\d>])\s%"), "&nbsp;%"),
    (re.compile(r"\s±\s"), "&nbsp;±&nbsp;"),
    (re.compile(r"&lt;\s(?=\d)"), "&lt;&nbsp;"),
)
# A tag or a formula; between them words, in which a hyphen may be a minus sign and 3e-4 is one number.
TAG = re.compile(r"(<[^>]*>|\\\(.*?\\\)|\\\[.*?\\\])", re.DOTALL)
WORDS = (
    (re.compile(r"(?:(?<=[\s(±≤])|^)-(?=\d)"), "−"),
    (re.compile(r"(?<=[^\W\d])'(?=[^\W\d])"), "’"),
    (re.compile(r"(?<=\d)\s(?=points?\b)"), "&nbsp;"),
    (re.compile(r"(?<=[×÷])\s(?=\d)"), "&nbsp;"),
    (re.compile(r"(?<=\b[A-Za-zα-ω])\s=\s(?=\d)"), "&nbsp;=&nbsp;"),
    (re.compile(r"(?<![\w.])\d[\d.]*e[-−+]\d+"), r'<span class="lrbs-together">\g<0></span>'),
)
OPTION = re.compile(r'(?<=<span class="pre">)--\w+-?')
NAME = re.compile(r'(<span class="pre">)([^<]+)(?=</span>)')
HEADING = re.compile(r"(<h[1-4]>)(lrbs[\w.]+)")
SOLUTION = re.compile(r"(Solution to)(<a [^>]*>) ")  # a link should not begin with a blank
SHORT = 12
JOINT = re.compile(r"(?<=[\w)])([._(=]+)(?=[A-Za-z])")


def together(opening: str, formula: str, closing: str) -> str:
    """HTML within which no line breaks, if anything stands beside the formula."""
    joined = opening + formula + closing
    return f'<span class="lrbs-together">{joined}</span>' if opening or closing else joined


def typeset(page: str) -> str:
    """The body of a page in HTML, with its line breaks in their places."""
    pieces, position = [], 0
    for apart in APART.finditer(page):
        pieces += [prose(page[position : apart.start()]), apart.group()]
        position = apart.end()
    page = "".join([*pieces, prose(page[position:])])
    page = OPTION.sub(r'<span class="lrbs-together">\g<0></span>', page)
    for names in (NAME, HEADING):
        page = names.sub(lambda found: found[1] + breakable(found[2]), page)
    return page


def breakable(name: str) -> str:
    """A name in code, in HTML, with places to break it; one as short as noise_scale stays whole."""
    return JOINT.sub(r"\1<wbr>", name) if len(name) > SHORT else name


def prose(text: str) -> str:
    """HTML outside of code and drawings."""
    text = EQUALS_NUMBER.sub(lambda found: together("", f"{found[1]}&nbsp;", found[2]), text)
    text = PUNCTUATED.sub(lambda found: together(*found.groups()), text)
    for space, kept in SPACES:
        text = space.sub(kept, text)
    pieces = TAG.split(text)
    for words, kept in WORDS:
        pieces[::2] = [words.sub(kept, piece) for piece in pieces[::2]]
    text = "".join(pieces)
    return SOLUTION.sub(r"\1 \2", text)


def on_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    context["body"] = typeset(context.get("body", ""))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", on_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
