"""Break the formulas on purpose, one small change at a time: some test must fail for each.

    python -m tools.mutate                                   # every formula
    python -m tools.mutate --sample 40 --seed 7              # at most 40 changes of each module, at random
    python -m tools.mutate lrbs/step.py --only "eta**2"      # some modules, only lines that hold a text
    python -m tools.mutate lrbs/step.py --list               # the changes, without running anything

A change swaps + and -, * and /, and and or, or the two sides of a comparison; turns a power into a product;
adds one to a number; drops a minus, a square root or the like; negates a condition. It is made inside
functions alone, and not in error messages, which the tests compare anyway.

Tests and package are imported once, and the tests run once, to see how long each takes and which functions it
calls. For each change a process is forked off, the code of the function is exchanged in memory, and the tests
that call it run, the quickest first, until one fails; if all pass, the checks of the module's equations. What
no test can notice is listed with a reason in tools/equivalent_mutants.txt, where ... stands for any text. The
exit status is 1 for a survivor that is not listed, for a listed change that is noticed after all, and for a
line of the list that fits no change. TAKES
"""

import argparse
import ast
import copy
import gc
import json
import os
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryFile
from types import CodeType, FrameType, FunctionType
from typing import IO, NamedTuple

import pytest

from lrbs.checks import find
from lrbs.equations import load, resolve

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.txt"
FORMULAS = ["rules", "approximations", "noise_scale", "moments", "normal", "step", "model", "operators"]
FORMULAS += ["simulate", "laws", "tradeoff"]
TEST_FILES = 5  # of a module
OTHER_TESTS = re.compile("test_(book|checks|evidence|front|lab|show)")  # slow, and not about formulas
TEST_SECONDS = 15  # for a change, the quickest tests first
GOOD = ("noticed by tests", "noticed by checks alone", "listed")
CPU_SECONDS, MEMORY = 60, 2**33  # a change may make a loop endless, or an array
OPTIONS = ["-p", "no:terminal", "-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]

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
    """What may be put in the place of a node."""
    changed = copy.copy(node)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in SWAPPED:
        changed.op = SWAPPED[type(node.op)]()  # type: ignore[attr-defined]
        yield changed
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        changed.ops = [SWAPPED[type(node.ops[0])](), *node.ops[1:]]  # type: ignore[attr-defined]
        yield changed
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        if not isinstance(node.value, bool):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield node.operand
    elif isinstance(node, ast.Call) and len(node.args) == 1:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in DROPPED:
            yield node.args[0]


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """The nodes below one that can be changed, each with what may replace it."""
    if isinstance(node, (ast.Raise, ast.JoinedStr)) or ast.unparse(node) == "-1":  # an axis
        return
    if isinstance(node, (ast.If, ast.IfExp)):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)
    for variant in variants(node):
        yield node, variant
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from changes(child)


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
        for node, variant in (pair for statement in function.body for pair in changes(statement)):
            start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
            end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
            new = ast.unparse(variant)
            bare = isinstance(variant, (ast.AugAssign, ast.Constant, ast.Name, ast.Call))
            new = new if bare else f"({new})"
            changed = source[:start] + new.encode() + source[end:]
            first = source.rfind(b"\n", 0, start) + 1
            before = source[first : source.find(b"\n", end)].decode()
            after = changed[first : changed.find(b"\n", start + len(new.encode()))].decode()
            text = " => ".join(" ".join(piece.split()) for piece in (before, after))
            yield Mutant(path, node.lineno, text, changed)  # type: ignore[attr-defined]


def codes(code: CodeType) -> Iterator[CodeType]:
    """A piece of compiled code and all that is inside it, in the order of the source."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def changed_codes(mutant: Mutant) -> dict[str, CodeType]:
    """What a change makes of the functions it touches, by their names: the innermost and those around it."""
    file = str(ROOT / mutant.path)
    sources = (ROOT / mutant.path).read_bytes(), mutant.source
    pairs = zip(*(codes(compile(source, file, "exec")) for source in sources), strict=True)
    return {name_of(old): new for old, new in pairs if old != new}


def name_of(code: CodeType) -> str:
    return f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}"


def exchange(new: dict[str, CodeType]) -> None:
    """Put the changed code into the functions, whoever holds them."""
    files = {code.co_filename for code in new.values()}
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename in files:
            function.__code__ = new.get(name_of(function.__code__), function.__code__)


def test_files(path: str) -> list[str]:
    """The module, for its doctests, and the test files that name its functions, most mentions first."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    pattern = re.compile(rf"\b({'|'.join(names)})\b")
    mentions: Counter[str] = Counter()
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        if OTHER_TESTS.match(file.name):
            continue
        mentions[f"tests/{file.name}"] = len(pattern.findall(file.read_text(encoding="utf-8")))
    return [path, *(name for name, count in mentions.most_common(TEST_FILES) if count)]


def checked(path: str) -> bool:
    """Whether the checks of the equations of a module pass."""
    module = path.removesuffix(".py").replace("/", ".")
    names = {f.check for f in load().values() if resolve(f.function).__module__ == module}
    return all(find(name)().passed for name in sorted(names))


class Trial:
    """Tries the changes in the place where pytest, having collected the tests, would run them."""

    def __init__(self, groups: dict[str, list[Mutant]], known: list[re.Pattern[str]]) -> None:
        self.groups = groups
        self.known = known
        self.wrong = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        with TemporaryFile("w+") as log:
            fork(partial(watch, session, log))
            log.seek(0)
            watched = [Watched(*json.loads(line)) for line in log]
        for item, seen in zip(session.items, watched, strict=True):
            if seen.failed:
                print(f"left out, for it fails before any change: {item.nodeid}", flush=True)
        for path, group in self.groups.items():
            start = time.monotonic()
            results: Counter[str] = Counter()
            for mutant in group:
                new = changed_codes(mutant)
                callers = [place for place, seen in enumerate(watched) if seen.calls(new)]
                callers.sort(key=lambda place: watched[place].seconds)
                until = accumulate(watched[place].seconds for place in callers)
                tests = [
                    session.items[place]
                    for place, end in zip(callers, until, strict=True)
                    if end < TEST_SECONDS
                ]
                status = fork(partial(attempt, mutant.path, new, tests, session))
                outcome = {0: "survived", 2: "noticed by checks alone"}.get(status, "noticed by tests")
                if any(pattern.fullmatch(mutant.key) for pattern in self.known):
                    outcome = "listed" if outcome == "survived" else f"listed, yet {outcome}"
                results[outcome] += 1
                if outcome not in GOOD:
                    self.wrong += 1
                    print(f"  {outcome}, line {mutant.line}: {mutant.change}", flush=True)
            text = ", ".join(f"{count} {outcome}" for outcome, count in results.items())
            print(f"{path}: {len(group)} changes, {text}; {time.monotonic() - start:.0f} s", flush=True)
        return True


def fork(task: Callable[[], int]) -> int:
    """What a task returns in a process of its own; 1 if that fails, or runs out of time or memory."""
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        status = task()
    finally:
        os._exit(status)


def note(seen: dict[int, CodeType], frame: FrameType, event: str, arg: object) -> None:
    """Keep the code that a profile comes across."""
    seen[id(frame.f_code)] = frame.f_code


class Watched(NamedTuple):
    """How long a test takes, which functions of lrbs it calls, and whether it fails as things are."""

    seconds: float
    names: list[str]
    failed: bool

    def calls(self, new: dict[str, CodeType]) -> bool:
        return not self.failed and not new.keys().isdisjoint(self.names)


def watch(session: pytest.Session, log: IO[str]) -> int:
    """Run all tests, and write down what is to be known of each."""
    folder = str(ROOT / "lrbs")
    for item in session.items:
        seen: dict[int, CodeType] = {}
        start, failed = time.process_time(), session.testsfailed
        sys.setprofile(partial(note, seen))
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        sys.setprofile(None)
        names = [name_of(code) for code in seen.values() if code.co_filename.startswith(folder)]
        row = Watched(time.process_time() - start, names, session.testsfailed > failed)
        print(json.dumps(row), file=log, flush=True)
    return 0


def attempt(path: str, new: dict[str, CodeType], tests: list[pytest.Item], session: pytest.Session) -> int:
    """Which notice a change: 0 nothing, 1 the tests, 2 only the checks."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    exchange(new)
    for item in tests:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            return 1
    try:
        return 0 if checked(path) else 2
    except Exception:
        return 2


def formulas() -> Iterator[str]:
    """The modules that hold formulas."""
    for name in FORMULAS:
        folder = ROOT / "lrbs" / name
        for file in sorted(folder.glob("[!_]*.py")) or [folder.with_suffix(".py")]:
            yield str(file.relative_to(ROOT))


def equivalents() -> dict[str, re.Pattern[str]]:
    """The lines of the list, which do not begin with #, as patterns."""
    lines = [line.strip() for line in EQUIVALENT.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    return {line: re.compile(re.escape(line).replace(re.escape("..."), ".*")) for line in lines}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", help="modules (default: all formulas)")
    parser.add_argument("--sample", type=int, default=sys.maxsize, help="at most so many changes of a module")
    parser.add_argument("--seed", type=int, default=random.randrange(1000), help="of the sample")
    parser.add_argument("--only", default="", help="only changes of lines that hold this text")
    parser.add_argument("--list", action="store_true", help="print the changes and stop")
    arguments = parser.parse_args()

    found = {path: list(mutants(path)) for path in formulas()}
    if strange := set(arguments.paths) - set(found):
        parser.error(f"not among the modules of formulas: {', '.join(sorted(strange))}")
    known = equivalents()
    keys = [mutant.key for group in found.values() for mutant in group]
    stale = [line for line, pattern in known.items() if not any(map(pattern.fullmatch, keys))]
    print("".join(f"listed, but there is no such change: {line}\n" for line in stale), end="")
    groups = {}
    for path in arguments.paths or found:
        group = [mutant for mutant in found[path] if arguments.only in mutant.change]
        choice = random.Random(f"{arguments.seed} {path}")
        groups[path] = choice.sample(group, arguments.sample) if arguments.sample < len(group) else group
    if arguments.list:
        print("\n".join(f"{m.path}:{m.line}: {m.change}" for group in groups.values() for m in group))
        return 0
    print(f"seed {arguments.seed}")
    trial = Trial(groups, list(known.values()))
    pytest.main([*OPTIONS, *sorted({file for path in groups for file in test_files(path)})], plugins=[trial])
    return 1 if trial.wrong or stale else 0


if __name__ == "__main__":
    sys.exit(main())
