"""Break the formulas on purpose, one small change at a time: some test must fail for each.

    python tools/mutate.py lrbs/step.py              # one module, or several
    python tools/mutate.py                           # the whole core
    python tools/mutate.py --list lrbs/step.py       # the changes, without running anything
    python tools/mutate.py --only "eta**2" lrbs/step.py

A change swaps + and -, * and /, and and or, or the two sides of a comparison; turns a power into a product;
adds one to a number; drops a minus, a square root or the like; negates a condition. It is made inside
functions alone, and not in error messages, which the tests compare anyway.

For each change the package and its tests are copied to a temporary folder and tests run there until one
fails: tests/test_<module>.py, tests/test_*_<module>.py and tests/test_<folder>.py, the module's doctests,
then the properties and the tests that build on it; if all pass, the checks of the equations that the module
registers. Survivors are printed, and the exit status is 1 if there are any but those listed with a reason
in tools/equivalent_mutants.txt. About two seconds a change, fifteen for a survivor.
"""

import argparse
import ast
import copy
import importlib
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.txt"
CORE = ["operators", "model", "rules", "moments", "gaussian", "step", "simulate", "laws/sgd"]
CORE += ["tradeoff/law", "tradeoff/fit", "tradeoff/conversions", "tradeoff/varying"]
# Tests that also tell when a module is wrong, after its own.
FURTHER = ["tests/test_properties.py", "tests/test_step.py", "tests/test_simulate.py"]
CPU_SECONDS = 120  # a change may make a loop endless
# Imported once, before the tests fork off, for speed; never lrbs itself.
PRELOADED = [
    "hypothesis",
    "pytest",
    "scipy.integrate",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.stats",
    "sympy",
]

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
DROPPED = {"abs", "arcsin", "arcsinh", "cosh", "erf", "exp", "log", "sign", "sinh", "sqrt"}


@dataclass(frozen=True)
class Mutant:
    """One changed source file; `change` is the changed line, before and after."""

    path: str
    line: int
    change: str
    source: bytes

    @property
    def key(self) -> str:
        return f"{self.path}: {self.change}"


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may be put in the place of an expression."""
    changed = copy.copy(node)
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPPED:
        changed.op = SWAPPED[type(node.op)]()  # type: ignore[attr-defined]
        yield changed
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        changed.ops = [SWAPPED[type(node.ops[0])](), *node.ops[1:]]  # type: ignore[attr-defined]
        yield changed
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        if not isinstance(node.value, bool):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        if ast.unparse(node) != "-1":  # an axis
            yield node.operand
    elif isinstance(node, ast.Call) and len(node.args) == 1:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in DROPPED:
            yield node.args[0]


def expressions(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Expressions in function bodies, each with what may replace it."""
    if isinstance(node, (ast.If, ast.IfExp)):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)
    for variant in variants(node):
        yield node, variant
    if isinstance(node, ast.UnaryOp) and ast.unparse(node) == "-1":
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, (ast.Raise, ast.JoinedStr)):
                yield from expressions(child)


def mutants(path: str) -> Iterator[Mutant]:
    """All changes of a file."""
    source = (ROOT / path).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    inner = {child for function in functions for child in ast.walk(function) if child is not function}
    for function in functions:
        if function in inner or function.name == "__repr__":
            continue
        for statement in function.body:
            if isinstance(statement, ast.Raise):
                continue
            for node, variant in expressions(statement):
                start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
                end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
                new = ast.unparse(variant)
                new = new if isinstance(variant, (ast.Constant, ast.Name, ast.Call)) else f"({new})"
                changed = source[:start] + new.encode() + source[end:]
                first = source.rfind(b"\n", 0, start) + 1
                before = source[first : source.find(b"\n", end)].decode()
                after = changed[first : changed.find(b"\n", start + len(new.encode()))].decode()
                text = " => ".join(" ".join(piece.split()) for piece in (before, after))
                yield Mutant(path, node.lineno, text, changed)  # type: ignore[attr-defined]


def test_files(path: str) -> list[list[str]]:
    """What to run for a module: its own tests, and only then the others."""
    stem, room = Path(path).stem, Path(path).parent.name
    patterns = (f"test_{stem}.py", f"test_*_{stem}.py", f"test_{room}.py")
    files = [file for pattern in patterns for file in sorted((ROOT / "tests").glob(pattern))]
    own = [*(str(file.relative_to(ROOT)) for file in files), path]
    return [own, [name for name in FURTHER if name not in own]]


def verdict(mutant: Mutant, folder: Path) -> str:
    """Run in a forked process: "" for a survivor, else what found the change."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    import pytest

    options = ["-x", "-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]
    for files in test_files(mutant.path):
        if pytest.main([*options, *files]) != 0:
            return "tests"
    lrbs, checks = importlib.import_module("lrbs"), importlib.import_module("lrbs.checks")
    module = mutant.path.removesuffix(".py").replace("/", ".")
    for id, entry in list(lrbs.formulas.items()):
        if entry.function.__module__ == module and not checks.run(id).passed:
            return "checks"
    return ""


EXIT_STATUS = {"": 0, "tests": 1, "checks": 2}


def run(mutant: Mutant, template: Path, folder: Path) -> int:
    """Start a process that tries a change; its id."""
    if not folder.exists():
        shutil.copytree(template, folder)
    source = folder / mutant.path
    source.write_bytes(mutant.source)
    # Compiled code is told from stale code by the second of its writing: too coarse here.
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*"):
        compiled.unlink()
    process = os.fork()
    if process:
        return process
    status = EXIT_STATUS["tests"]  # whatever breaks has been noticed
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = EXIT_STATUS[verdict(mutant, folder)]
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def try_all(changes: list[Mutant], jobs: int) -> dict[Mutant, int]:
    """Exit status of each change."""
    results: dict[Mutant, int] = {}
    running: dict[int, tuple[Mutant, Path]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        template = Path(temporary) / "template"
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("lrbs", "tests"):
            shutil.copytree(ROOT / name, template / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", template)
        free = [Path(temporary) / str(job) for job in range(jobs)]
        waiting = list(changes)
        while waiting or running:
            if waiting and free:
                mutant, folder = waiting.pop(0), free.pop()
                running[run(mutant, template, folder)] = mutant, folder
                continue
            process, status = os.wait()
            mutant, folder = running.pop(process)
            free.append(folder)
            results[mutant] = os.waitstatus_to_exitcode(status)
            if not mutant.line and status:
                raise SystemExit((folder / "log").read_text() + "the tests fail before any change")
            if mutant.line and not status:
                print(f"  line {mutant.line}: {mutant.change}", flush=True)
            if len(results) % 25 == 0:
                print(f"  {len(results)} of {len(changes)}", flush=True)
    return results


def equivalents() -> set[str]:
    """Changes that make no difference, as listed with their reasons: the lines that do not begin with #."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths",
        nargs="*",
        default=[f"lrbs/{stem}.py" for stem in CORE],
        help="modules (default: the whole core)",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--only", default="", help="only changes of lines that hold this text")
    parser.add_argument("--list", action="store_true", help="print the changes and stop")
    arguments = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: one core for each change

    known = equivalents()
    survivors = 0
    for path in arguments.paths:
        changes = [m for m in mutants(path) if arguments.only in m.change and m.key not in known]
        if arguments.list:
            print("\n".join(f"{m.path}:{m.line}: {m.change}" for m in changes))
            continue
        for name in PRELOADED:
            importlib.import_module(name)
        unchanged = Mutant(path, 0, "unchanged", (ROOT / path).read_bytes())
        try_all([unchanged], 1)
        results = try_all(changes, arguments.jobs)
        left = [mutant for mutant in changes if results[mutant] == 0]
        by_checks = sum(status == EXIT_STATUS["checks"] for status in results.values())
        survivors += len(left)
        print(f"{path}: {len(changes)} changes, {len(left)} not noticed, {by_checks} by the checks alone")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
