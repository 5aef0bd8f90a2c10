"""What a public site says of itself: addresses, a sitemap, how a shared link looks, a page that helps.

All of it follows from the repository's address in ``_config.yml``. Without one, or on a host whose pages lie
elsewhere, ``html_baseurl`` says where the site is; without that either there is no address to give.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

LOST = """<h1>There is no such page</h1>
<p>It may have moved: the <a href="{home}">front page</a> and the contents lead to all there are, the
<a href="{home}search.html">search</a> knows every word of them, and the
<a href="{home}chapters/formula-index.html">formula index</a> every equation.</p>"""


def address(repository: str, base: str) -> str:
    """Where the pages of a repository are served, with a slash at the end, or nothing."""
    if base:
        return base.rstrip("/") + "/"
    found = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+?)(?:\.git)?/?", repository)
    return f"https://{found[1].lower()}.github.io/{found[2]}/" if found else ""


def setup(app: Sphinx) -> dict[str, Any]:
    site = address(app.config.html_theme_options.get("repository_url") or "", app.config.html_baseurl)
    if site:
        for extension in ("sphinx_sitemap", "sphinxext.opengraph", "notfound.extension"):
            app.setup_extension(extension)
        path = urlsplit(site).path
        for name, value in {
            "html_baseurl": site,
            "sitemap_url_scheme": "{link}",
            "ogp_site_url": site,
            "ogp_image": f"{site}_static/book.png",
            "ogp_image_alt": False,
            "ogp_social_cards": {"enable": False},
            "notfound_urls_prefix": path,
            "notfound_context": {"title": "There is no such page", "body": LOST.format(home=path)},
        }.items():
            setattr(app.config, name, value)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
