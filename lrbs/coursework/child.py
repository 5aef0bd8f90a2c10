"""The process inside the sandbox: runs a student's notebook, and answers what the marker asks.

It is started as a plain file, knows nothing of lrbs, of the key or of any right answer, and everything
that it says is the word of the student. One request a line of JSON comes on its standard input, one
reply a line goes to its standard output; the notebook itself has neither.
"""

from __future__ import annotations

import ast
import base64
import builtins
import io
import json
import os
import re
import resource
import signal
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

DEPTH = 20  # of nested lists, in a value
POINTS = 2000  # of a line, in a figure
MAGIC = re.compile(r"^\s*([%!?].*|[\w.\s,]+=\s*[%!].*|.*[\w)]\?{1,2}\s*)$")
MAGICS_AROUND_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")


class TimeUp(BaseException):
    """Raised inside what took too long; not an Exception, so that fewer handlers swallow it."""


# ------------------------------------------------------------------------------------------ values as JSON
def encode(value: Any, depth: int = DEPTH) -> Any:
    """A value of the notebook in JSON's types: numbers, texts, lists, arrays, dictionaries and figures.

    Raises
    ------
    TypeError
        For anything else, named; a number must be a number, and not merely behave like one.
    """
    if depth == 0:
        raise TypeError(f"lists nested more than {DEPTH} deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bool, int)):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (list, tuple)):
        return [encode(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key, 1), encode(item, depth - 1)] for key, item in value.items()]}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.generic):
            return encode(value.item(), depth)
        if not isinstance(value, numpy.ndarray) and callable(getattr(type(value), "__array__", None)):
            value = numpy.asarray(value)
        if isinstance(value, numpy.ndarray):
            if value.dtype.kind not in "biufOU":
                raise TypeError(f"an array of {value.dtype}")
            return {"array": encode(numpy.ndarray.tolist(value), depth)}
    if hasattr(value, "savefig") and hasattr(value, "axes"):
        return {"figure": _figure(value)}
    raise TypeError(type(value).__name__)


def decode(value: Any) -> Any:
    """The value again: arrays as NumPy's."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if "array" in value:
            import numpy as np

            return np.array(value["array"], dtype=np.float64)
        if "dict" in value:
            return {key: decode(item) for key, item in value["dict"]}
    return value


def _figure(figure: Any) -> dict[str, Any]:
    """What can be marked of a figure: words, scales, the points of its lines, and a picture."""
    axes = []
    for ax in figure.axes:
        lines = []
        for line in ax.get_lines():
            x, y = (encode(data)["array"][:POINTS] for data in (line.get_xdata(False), line.get_ydata(False)))
            lines.append({"label": str(line.get_label()), "x": x, "y": y})
        legend = ax.get_legend()
        axes.append(
            {
                **{name: str(getattr(ax, f"get_{name}")()) for name in ("xlabel", "ylabel", "title")},
                **{name: str(getattr(ax, f"get_{name}")()) for name in ("xscale", "yscale")},
                "xlim": [float(limit) for limit in ax.get_xlim()],
                "lines": lines,
                "collections": len(ax.collections),
                "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
            }
        )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=72)
    return {"axes": axes, "png": base64.b64encode(picture.getvalue()).decode()}


# ---------------------------------------------------------------------------------------------- the notebook
def python_of(source: str) -> str:
    """A cell's source without what only IPython understands: lines of ``%``, ``!`` and ``?``.

    Nothing is taken out of a cell that is Python as it stands.
    """
    if source.lstrip().startswith("%%"):
        first, _, rest = source.lstrip().partition("\n")
        return python_of(rest) if first.startswith(MAGICS_AROUND_PYTHON) else ""
    try:
        ast.parse(source)
        return source
    except SyntaxError:
        # An indented magic may be all there is in its block.
        return re.sub(r"(?m)^.*$", lambda line: _without_magic(line[0]), source)


def _without_magic(line: str) -> str:
    return line[: len(line) - len(line.lstrip())] + "pass" if MAGIC.match(line) else line


def _stubs(parameters: dict[str, dict[str, Any]]) -> None:
    """A package lrbs that has nothing but the student's parameters: functions are to be the student's own."""

    class Task:
        """Stands for lrbs.coursework.Task: gives the parameters, and checks nothing."""

        def __init__(self, assignment: str, student: str, **_: Any) -> None:
            name = " ".join(str(student).split()).lower()
            if name not in parameters:
                raise ValueError(f"STUDENT = {name!r} did not hand in this notebook")
            self.parameters = types.SimpleNamespace(**decode(parameters[name]))
            self.student = name

        def check(self, *_: Any, **__: Any) -> None:
            return None

        def seal(self, *_: Any, **__: Any) -> str:
            return ""

    def missing(name: str) -> Any:
        raise AttributeError(f"lrbs has no {name} when notebooks are marked: write it yourself")

    coursework = types.ModuleType("lrbs.coursework")
    coursework.Task = Task  # type: ignore[attr-defined]
    lrbs = types.ModuleType("lrbs")
    lrbs.__path__ = []
    lrbs.coursework = coursework  # type: ignore[attr-defined]
    lrbs.__getattr__ = missing  # type: ignore[method-assign]
    sys.modules.update({"lrbs": lrbs, "lrbs.coursework": coursework})


def _own_namespace() -> dict[str, Any]:
    """Names that a notebook finds there; its module is __main__, as pickle and dataclasses want it."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module

    def display(*_: Any, **__: Any) -> None:
        return None

    vars(module).update(display=display, get_ipython=lambda: types.SimpleNamespace(run_line_magic=display))
    return vars(module)


def _limited(seconds: float, action: Callable[[], Any]) -> dict[str, Any]:
    """What an action gives, or the name and the text of what it raised."""

    def ring(*_: Any) -> None:
        raise TimeUp

    try:
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return {"value": action()}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except BaseException as error:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            name = type(error).__name__
            text, line = "", 0
            text = str(error)[:300]
            trace = error.__traceback__
            while trace is not None:
                if trace.tb_frame.f_code.co_filename.startswith("<cell"):
                    line = trace.tb_lineno
                trace = trace.tb_next
        except BaseException:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return {"error": str(name), "text": text, "line": line}


def _run(request: dict[str, Any], names: dict[str, Any]) -> None:
    exec(compile(python_of(request["source"]), f"<cell {request['number']}>", "exec"), names)


def _call(function: Any, inputs: Any) -> Any:
    return encode(function(*decode(inputs)))


def _answers(requests: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    names: dict[str, Any] = {}
    for request in requests:
        kind, seconds = request["do"], float(request.get("seconds", 10))
        if kind == "start":
            _stubs(request["parameters"])
            names = _own_namespace()
            reply: dict[str, Any] = {"value": True}
        elif kind == "cell":
            reply = _limited(seconds, partial(_run, request, names))
        elif request["name"] not in names:
            reply = {"absent": True}
        elif kind == "value":
            reply = _limited(seconds, partial(encode, names[request["name"]]))
        else:
            reply = _limited(seconds, partial(_call, names[request["name"]], request["inputs"]))
        yield request["id"], reply


def limit(name: str, value: int) -> None:
    """Lower a limit of this process for good; one that is lower already stays."""
    number = getattr(resource, name)
    _, most = resource.getrlimit(number)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(number, (value, value))


def main() -> None:
    limits = json.loads(sys.argv[1])
    for name, value in limits["rlimits"].items():
        limit(name, value)
    source, target = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.setrecursionlimit(2000)
    # A notebook may replace what it likes; that is its own loss, and not that of its other answers.
    globals().update({name: value for name, value in vars(builtins).items() if name not in globals()})
    loads, dumps, write, flush = json.loads, json.dumps, target.write, target.flush
    most = int(limits["reply"])
    for number, reply in _answers(loads(line) for line in source):
        try:
            line = dumps({"id": number, **reply})
        except BaseException as error:
            line = dumps({"id": number, "error": type(error).__name__, "text": "", "line": 0})
        if len(line) > most:
            line = dumps({"id": number, "error": "TooLarge", "text": f"more than {most} bytes", "line": 0})
        write(line + "\n")
        flush()


if __name__ == "__main__":
    main()
