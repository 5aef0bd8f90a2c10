"""A Content-Security-Policy on every page: the site's own scripts, and nothing from another host.

Scripts that are written into a page are allowed by their hashes, so that none can be slipped in. Styles may
be written into a page, because MathJax lays out formulas by them.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL)
CHARSET = re.compile(r'<meta charset="?utf-8"? */?>', re.IGNORECASE)
POLICY = re.compile(r'\s*<meta http-equiv="Content-Security-Policy"[^>]*>')


def policy(page: str) -> str:
    """The policy of a page, given its HTML."""
    written = [
        text
        for attributes, text in SCRIPT.findall(page)
        if "src=" not in attributes and "json" not in attributes
    ]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in written]
    scripts = " ".join(["'self'", *sorted({f"'sha256-{digest}'" for digest in digests})])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"
    )


def with_policy(page: str) -> str:
    """A page with its policy, ahead of all that it governs."""
    page = POLICY.sub("", page)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}">'
    page, count = CHARSET.subn(rf"\g<0>\n    {tag}", page, count=1)
    if not count:
        raise ValueError(f"a page must begin with its character set; got {page[:200]!r}")
    return page


def write(app: Sphinx, exception: Exception | None) -> None:
    """Put the policy on each page of a finished site."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        path.write_text(with_policy(path.read_text("utf-8")), "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", write, priority=900)  # after all that changes pages
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
