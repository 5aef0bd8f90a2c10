"""Run all that is not there yet: ``python -m experiments``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from experiments import horizon, one_step, runs
from experiments.records import RESULTS

SCRIPTS = {"runs": runs, "one_step": one_step, "horizon": horizon}


def show(label: str, done: int, total: int) -> None:
    """A bar on the terminal; a line where there is none."""
    bar = "#" * round(30 * done / total)
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{label}: [{bar:30s}] {done} of about {total}", end=end, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="experiments", description=__doc__)
    parser.add_argument("scripts", nargs="*", choices=[*SCRIPTS, []], help="all unless named")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSV files")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as executor:
        for name in options.scripts or SCRIPTS:
            SCRIPTS[name].main(executor, options.results, show)


if __name__ == "__main__":
    main()
