"""Kill make book and make test at random moments; the next run must succeed. By hand: it takes two hours.

    python -m tools.killed             # three kills during the installation, seven later
    python -m tools.killed --seed 7    # at other moments

All happens in a clone of the last commit, in a temporary folder. A kill is SIGKILL for the whole process
group: nothing can tidy up.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = ".venv/.installed"
STALE = ("status-quo", "schedules")  # chapters that each make book executes again here


def start(clone: Path, target: str, log: Path) -> "subprocess.Popen[bytes]":
    """Make in a process group of its own, as this machine calls it outside this environment."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
    with log.open("wb") as output:
        return subprocess.Popen(
            ["make", target], cwd=clone, env=variables, stdout=output, stderr=output, start_new_session=True
        )


def finish(clone: Path, target: str, log: Path) -> float:
    """Seconds that a run takes which nobody kills; SystemExit if it fails."""
    begun = time.monotonic()
    if start(clone, target, log).wait() != 0:
        sys.exit(f"make {target} failed:\n{log.read_text(errors='replace')[-4000:]}")
    return time.monotonic() - begun


def kill(clone: Path, target: str, after: float, log: Path) -> str:
    """Run and kill; what it had last said."""
    process = start(clone, target, log)
    try:
        status = process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    else:
        if status != 0:
            sys.exit(f"make {target} failed by itself:\n{log.read_text(errors='replace')[-4000:]}")
        return "done before"
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip()[:60] for line in reversed(lines) if line.strip()), "")


def unmake(clone: Path) -> None:
    """Bring back work for make book: what it fetched and built is gone, two chapters are not current."""
    for folder in ("_build", "vendor", "node_modules"):
        shutil.rmtree(clone / folder, ignore_errors=True)
    for name in STALE:
        path = clone / "chapters" / f"{name}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["metadata"].pop("lrbs", None)
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill make at random moments; the next run must succeed.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--installing", type=int, default=3, help="kills during the installation")
    parser.add_argument("--later", type=int, default=7, help="kills of make book and make test after it")
    arguments = parser.parse_args()
    choice = random.Random(arguments.seed)

    def kills(clone: Path, target: str, duration: float, log: Path) -> None:
        after = choice.uniform(0.5, duration)
        said = kill(clone, target, after, log)
        again = finish(clone, target, log)
        print(f"{target}: killed after {after:.1f} s ({said}); the next run took {again:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        clone, log = Path(folder) / "clone", Path(folder) / "log"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        duration = finish(clone, INSTALLED, log)
        print(f"installation: {duration:.0f} s", flush=True)
        for _ in range(arguments.installing):
            shutil.rmtree(clone / ".venv")
            kills(clone, INSTALLED, duration, log)
        unmake(clone)
        durations = {target: finish(clone, target, log) for target in ("book", "test")}
        for target, duration in durations.items():
            print(f"{target}: {duration:.0f} s", flush=True)
        for number in range(arguments.later):
            target = ("book", "test")[number % 2]
            if target == "book":
                unmake(clone)
            kills(clone, target, durations[target], log)
        finish(clone, "test", log)
    print(f"{arguments.installing + arguments.later} kills, and every next run succeeded")


if __name__ == "__main__":
    main()
