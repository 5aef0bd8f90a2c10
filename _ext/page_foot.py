"""At the foot of each page, beside the date of its last change: the version, and where to report an error.

With a public repository in ``_config.yml`` that is a link to a new issue there, the page's name filled in.
"""

import html
from typing import Any
from urllib.parse import urlencode

from sphinx.application import Sphinx

import lrbs

ALONE = "An error? Tell whom you have this copy from, with the page and this version."


def report(repository: str, page: str, title: str) -> str:
    """How to report an error on a page, as HTML."""
    if not repository:
        return ALONE
    query = {
        "title": f"An error on the page \N{LEFT DOUBLE QUOTATION MARK}{title}\N{RIGHT DOUBLE QUOTATION MARK}",
        "body": f"Page: {page}, version {lrbs.__version__}\n\nWhat is wrong, and what would be right:\n",
    }
    address = f"{repository.rstrip('/').removesuffix('.git')}/issues/new?{urlencode(query)}"
    return f'<a href="{html.escape(address)}">Report an error on this page</a>.'


def foot(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Add them to what stands at the foot of every page."""
    if page not in app.env.titles:
        return  # the search, the page for addresses that lead nowhere
    told = report(context.get("theme_repository_url") or "", page, app.env.titles[page].astext())
    context["theme_extra_footer"] = f"Version {lrbs.__version__}. {told}<br>{context['theme_extra_footer']}"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", foot)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
