"""What a public site says of itself, and that a site without an address says nothing."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONF = """import sys
sys.path.insert(0, {ext!r})
extensions = ["public_address"]
project = title = "A book"
html_theme = "sphinx_book_theme"
html_theme_options = {{"repository_url": {url!r}}}
html_baseurl = {base!r}
"""


def built(folder: Path, url: str, base: str = "") -> Path:
    """A site of two pages, without a warning."""
    (folder / "chapters").mkdir()
    (folder / "conf.py").write_text(CONF.format(ext=str(ROOT / "_ext"), url=url, base=base), encoding="utf-8")
    (folder / "index.rst").write_text(
        "A book\n======\n\nWhat it asks.\n\n.. toctree::\n\n   chapters/one\n", encoding="utf-8"
    )
    (folder / "chapters" / "one.rst").write_text("One\n===\n\nHow does it follow?\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", folder, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.parametrize(
    ("url", "base", "home"),
    [
        ("https://github.com/Owner/name", "", "https://owner.github.io/name/"),
        ("https://gitlab.com/owner/name", "https://book.example.org/en", "https://book.example.org/en/"),
    ],
)
def test_a_public_site_says_where_it_is(tmp_path: Path, url: str, base: str, home: str) -> None:
    site = built(tmp_path, url, base)
    page = (site / "chapters" / "one.html").read_text(encoding="utf-8")
    assert f'<link rel="canonical" href="{home}chapters/one.html"' in page
    assert f'property="og:url" content="{home}chapters/one.html"' in page
    assert f'property="og:image" content="{home}_static/book.png"' in page
    assert 'name="description" content="How does it follow?"' in page
    listed = [
        entry.text for entry in ElementTree.parse(site / "sitemap.xml").iter() if entry.tag.endswith("loc")
    ]
    assert {f"{home}index.html", f"{home}chapters/one.html"} <= set(listed)
    lost = (site / "404.html").read_text(encoding="utf-8")
    path = home.removeprefix("https://").partition("/")[2]
    assert f'href="/{path}search.html"' in lost and f'href="/{path}_static/' in lost


def test_a_site_without_an_address_says_nothing(tmp_path: Path) -> None:
    site = built(tmp_path, "")
    page = (site / "chapters" / "one.html").read_text(encoding="utf-8")
    assert "canonical" not in page and "og:" not in page
    assert not (site / "sitemap.xml").exists() and not (site / "404.html").exists()
