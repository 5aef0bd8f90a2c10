"""Run tests and chapters as on other processors: under each kernel of OpenBLAS, with one thread and with two.

    make portable                                             # under each that the processor runs
    make portable ONLY="chapters --others 2 --threads 1"      # two kernels besides the machine's own: .ci/run

The linear algebra of NumPy and SciPy picks a kernel by the processor, and kernels differ in the last bit. The
variable OPENBLAS_CORETYPE picks another, and is ignored in silence where there is no such kernel: so both are
asked first whether they took it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Name for OPENBLAS_CORETYPE: the name that it then reports; from the oldest, which is slow, to the newest.
KERNELS = {
    "Prescott": "Katmai",
    "Nehalem": "Nehalem",
    "Sandybridge": "Sandybridge",
    "Haswell": "Haswell",
    "SkylakeX": "SkylakeX",
}
USUAL = ("Prescott", "Haswell", "SkylakeX")
PARTS = {"tests": ["--ignore", "tests/browser", "lrbs", "tests"], "chapters": ["--nbval", "chapters"]}
ASK = """import json, numpy, scipy.linalg, threadpoolctl
scipy.linalg.eigh(numpy.ones((99, 99)) @ numpy.ones((99, 99)))
print(json.dumps([[i["architecture"], i["num_threads"]] for i in threadpoolctl.threadpool_info()
                  if i["internal_api"] == "openblas"]))"""


@dataclass(frozen=True)
class Run:
    """What came of one part under one kernel."""

    kernel: str
    threads: int
    part: str
    passed: int
    skipped: int
    failed: list[str]
    seconds: float


def environment(kernel: str | None, threads: int) -> dict[str, str]:
    """Variables under which everything below runs; kernel None: the machine's own choice."""
    number = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    path = {"PYTHONPATH": str(ROOT)}  # for the kernels of notebooks
    return os.environ | number | path | ({} if kernel is None else {"OPENBLAS_CORETYPE": kernel})


def taken(kernel: str | None, threads: int = 1) -> set[tuple[str, int]]:
    """Kernels and threads that NumPy and SciPy report; none where they crash or use another library."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment(kernel, threads), capture_output=True, text=True
    )
    return {(name, number) for name, number in json.loads(asked.stdout)} if asked.returncode == 0 else set()


def can(kernel: str, threads: int = 1) -> bool:
    """Whether the processor runs the kernel, and OpenBLAS has it."""
    return taken(kernel, threads) == {(KERNELS[kernel], threads)}


def run(kernel: str, threads: int, part: str) -> Run:
    """Run one part under one kernel; its output goes to the terminal."""
    print(f"\n{part} under {kernel}, threads of BLAS: {threads}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        workers = max(1, (os.cpu_count() or 1) // threads)  # threads that wait for each other's core crawl
        command = [sys.executable, "-m", "pytest", "--quiet", "-n", str(workers), "--dist", "loadscope"]
        command += ["--nbval-current-env", f"--junitxml={report}", *PARTS[part]]
        status = subprocess.run(command, cwd=ROOT, env=environment(kernel, threads)).returncode
        cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    failed = [f"{case.get('classname')} {case.get('name')}" for case in bad]
    if status and not failed:
        failed = [f"pytest ended with status {status}"]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(bad) - skipped
    return Run(kernel, threads, part, passed, skipped, failed, time.monotonic() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests and chapters under other kernels of OpenBLAS.")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--others", type=int, help="so many kernels, the newest besides the machine's own")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of BLAS (default: 1 2)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}; got {', '.join(sorted(unknown))}")

    own = {name for name, _ in taken(None)}
    print(f"the machine's own kernel: {', '.join(sorted(own)) or 'none of OpenBLAS'}")
    kernels = [kernel for kernel in USUAL if can(kernel)]
    if arguments.others is not None:
        kernels = [kernel for kernel in reversed(KERNELS) if KERNELS[kernel] not in own and can(kernel)]
        kernels = kernels[: arguments.others]
        if len(kernels) < arguments.others:
            sys.exit(f"wanted {arguments.others} other kernels; this machine has {kernels}")
    for kernel in set(USUAL) - set(kernels):
        if arguments.others is None:
            print(f"{kernel}: left out, this machine does not run it")

    runs = []
    for kernel in kernels:
        for threads in arguments.threads:
            if not can(kernel, threads):
                sys.exit(f"{kernel} with {threads} threads was not taken: {taken(kernel, threads)}")
            runs += [run(kernel, threads, part) for part in arguments.parts]

    print(f"\n{'kernel':12}{'threads':>8}  {'part':10}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}")
    for each in runs:
        counts = f"{each.passed:8}{len(each.failed):8}{each.skipped:8}{each.seconds:9.0f}"
        print(f"{each.kernel:12}{each.threads:8}  {each.part:10}{counts}")
    for each in runs:
        for name in each.failed:
            print(f"failed under {each.kernel}, {each.threads}: {name}")
    return 1 if not runs or any(each.failed for each in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
