"""The marker's side of the pipe: one notebook, run and asked, whatever it does.

Nothing that comes out of the pipe is trusted. A line that is no reply to the pending request is passed over; a
child that dies, hangs, or uses too much is killed with all that it started, and started anew without the cell
that did it.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrbs.coursework import sandbox as sandboxes
from lrbs.coursework.child import decode, encode
from lrbs.coursework.sandbox import Limits, Sandbox

GRACE = 1.0  # seconds between the alarm inside and the kill from outside
STARTING = 20.0  # seconds for the child to say that it is there
RESTARTS = 8


@dataclass(frozen=True)
class Reply:
    """What the notebook has to say to one request.

    Attributes
    ----------
    value : object
        Decoded; arrays are NumPy's.
    error : str
        Empty, or the class of what was raised, or ``Killed``.
    text : str
        Of the error, as the notebook words it.
    line : int
        In the cell.
    absent : bool
        The notebook has no such name.
    """

    value: Any = None
    error: str = ""
    text: str = ""
    line: int = 0
    absent: bool = False


@dataclass
class Session:
    """A notebook in a sandbox; use it in a ``with`` statement.

    Parameters
    ----------
    sandbox : Sandbox
    limits : Limits
    cells : sequence of str
        Sources of its code cells.
    parameters : dict
        For each name that the notebook may give as its student, the numbers.
    """

    sandbox: Sandbox
    limits: Limits
    cells: Sequence[str]
    parameters: dict[str, dict[str, Any]]
    errors: dict[int, Reply] = field(default_factory=dict)
    _child: _Child | None = None
    _left: float = 0.0
    _restarts: int = 0

    def __enter__(self) -> Session:
        self._left = self.limits.total
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self) -> dict[int, Reply]:
        """Run all cells; those that failed, by number from 1."""
        self._ready()
        return self.errors

    def value(self, name: str) -> Reply:
        """A variable of the notebook."""
        return self._ask({"do": "value", "name": name})

    def call(self, name: str, inputs: Sequence[Any]) -> Reply:
        """What a function of the notebook gives for these inputs."""
        return self._ask({"do": "call", "name": name, "inputs": encode(list(inputs))})

    def _ask(self, request: dict[str, Any]) -> Reply:
        if not self._ready():
            return Reply(error="Killed", text="the notebook used up its time")
        return self._request(request, self.limits.call)

    def _request(self, request: dict[str, Any], seconds: float) -> Reply:
        assert self._child is not None
        seconds = min(seconds, max(self._left, 0.1))
        begin = time.monotonic()
        reply = self._child.request({**request, "seconds": seconds}, seconds + GRACE)
        self._left -= time.monotonic() - begin
        if reply is not None:
            return reply
        why = self._child.why or f"stopped after {seconds:g} s" * (time.monotonic() - begin > seconds)
        self._stop()
        return Reply(error="Killed", text=why or "ended its process")

    def _ready(self) -> bool:
        """Whether there is a child that has run the cells, after a start if it must be."""
        while self._child is None:
            if self._restarts > RESTARTS or self._left <= 0:
                return False
            self._restarts += 1
            self._child = _Child(self.sandbox, self.limits)
            start = {"do": "start", "parameters": {n: encode_all(p) for n, p in self.parameters.items()}}
            if self._child.request(start, STARTING) is None:
                self._stop()
                continue
            for number, source in enumerate(self.cells, 1):
                if number in self.errors and self.errors[number].error == "Killed":
                    continue
                reply = self._request({"do": "cell", "source": source, "number": number}, self.limits.cell)
                if reply.error:  # the first run's, before any function was called
                    self.errors.setdefault(number, reply)
                if self._child is None:
                    break
        return True

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def encode_all(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the child reads them: names and their values, arrays marked as such."""
    return {"dict": [[name, encode(value)] for name, value in parameters.items()]}


class _Child:
    """One process, its pipe and its watchdog."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self.why = ""
        self._limits, self._sandbox = limits, sandbox
        self._user = sandboxes.some_user()
        self._process = subprocess.Popen(
            sandbox.command(limits, self._user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=sandbox.environment(),
            start_new_session=True,
        )
        self._buffer = b""
        self._ended = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, daemon=True)
        self._watchdog.start()

    def request(self, request: dict[str, Any], seconds: float) -> Reply | None:
        """The reply, or None when there is none within the time: then nothing more can be asked."""
        deadline = time.monotonic() + seconds
        number = secrets.token_hex(8)
        line = json.dumps({"id": number, **request}).encode() + b"\n"
        if not self._send(line, deadline):
            return None
        room = 2 * self._limits.reply  # for what is no reply
        while True:
            received = self._line(deadline, room)
            if received is None:
                return None
            room -= len(received)
            reply = _parsed(received, number)
            if reply is not None:
                return reply

    def _send(self, line: bytes, deadline: float) -> bool:
        """Write without waiting for ever on a child that does not read."""
        assert self._process.stdin is not None
        target = self._process.stdin.fileno()
        os.set_blocking(target, False)
        while line:
            try:
                line = line[os.write(target, line) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return False
            if time.monotonic() > deadline:
                return False
        return True

    def _line(self, deadline: float, room: int) -> bytes | None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if len(self._buffer) > room:
                    self.why = "said too much"
                    return None
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                part = os.read(self._process.stdout.fileno(), 1 << 16)
                if not part:
                    return None
                self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line if room > 0 else None

    def kill(self) -> None:
        """End the process and all that it started, and wait until they are gone."""
        self._ended.set()
        members = _tree(self._process.pid)
        _kill(self._process.pid, group=True)
        if self._sandbox.name != "bubblewrap":  # whose processes die with it, since they cannot leave it
            for member in members:
                _kill(member)
        if self._sandbox.drops and self._sandbox.name == "setpriv":
            user = str(self._user)
            all_of_them = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "kill", "-9", "-1"]
            subprocess.run(all_of_them, capture_output=True, timeout=10)
        self._process.wait()
        self._watchdog.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        deadline = time.monotonic() + 5
        while any(map(_alive, members)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def _watch(self) -> None:
        """Count memory and processes of the whole tree; end it when they are too many."""
        while not self._ended.wait(0.05) and self._process.poll() is None:
            members = _tree(self._process.pid)
            if len(members) > self._limits.processes:
                self.why = f"started more than {self._limits.processes} processes"
            # Resident memory is cheap to read and counts what is shared several times; so only above the
            # limit is it worth asking for each process's proportional part.
            elif sum(map(_resident, members)) > self._limits.memory:
                if sum(map(_proportional, members)) > self._limits.memory:
                    self.why = f"used more than {self._limits.memory >> 20} MB of memory"
            if self.why:
                _kill(self._process.pid, group=True)
                for member in members:
                    _kill(member)
                return


def _parsed(line: bytes, number: str) -> Reply | None:
    """The reply to request `number`, or None for whatever else a notebook may write."""
    try:
        reply = json.loads(line)
        if not isinstance(reply, dict) or reply.get("id") != number:
            return None
        if reply.get("absent"):
            return Reply(absent=True)
        if "error" in reply:
            return Reply(
                error=str(reply["error"])[:80], text=str(reply["text"])[:300], line=int(reply["line"])
            )
        return Reply(value=decode(reply["value"]))
    except Exception:  # too deep, too long an integer, not UTF-8, ragged: all the notebook's own doing
        return Reply(error="Unreadable") if number.encode() in line else None


def _tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    found, stack = [], [root]
    while stack:
        process = stack.pop()
        found.append(process)
        try:
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children") as children:
                    stack += map(int, children.read().split())
        except OSError:
            continue
    return found


def _alive(process: int) -> bool:
    """Whether a process still runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _resident(process: int) -> int:
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _proportional(process: int) -> int:
    try:
        with open(f"/proc/{process}/smaps_rollup") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except PermissionError:
        return _resident(process)
    except OSError:
        return 0


def _kill(process: int, group: bool = False) -> None:
    try:
        if group:
            os.killpg(process, signal.SIGKILL)
        os.kill(process, signal.SIGKILL)
    except OSError:
        pass
