"""The package as others get it: built, installed in an empty environment, imported and run there."""

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_wheel_installs_and_runs_in_an_empty_environment(tmp_path: Path) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")

    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--constraint", ROOT / "requirements.txt", wheel)

    listed = json.loads(run(python, "-m", "lrbs", "formulas", "--json"))
    assert "11260.3" in {formula["id"] for formula in listed}
    installed = {entry["name"] for entry in json.loads(run(*pip, "list", "--format", "json"))}
    assert installed - {"pip", "setuptools"} == {"lrbs", "numpy", "scipy"}
