"""The Sphinx extension that numbers equations by their ids."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = r"""# A page

By {eq}`11260.3` and {eq}`lrbs.momentum`.

$$ a = b $$ (11260.3)

$$
c = d
$$ (lrbs.momentum)
"""


def test_equations_are_numbered_and_cited_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / '_ext')!r})\n"
        "extensions = ['myst_parser', 'equation_ids']\n"
        "myst_enable_extensions = ['dollarmath']\nmath_numfig = False\nnumfig = True\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-j", "2", tmp_path, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    for label, anchor, tex in (
        ("11260.3", "equation-11260-3", "a = b"),
        ("lrbs.momentum", "equation-lrbs-momentum", "c = d"),
    ):
        assert (
            f'<span class="eqno"><a href="#{anchor}" title="Link to this equation">({label})</a></span>'
            in page
        )
        assert f'id="{anchor}"' in page
        assert f'href="#{anchor}" data-tex="{tex}">({label})</a>' in page
