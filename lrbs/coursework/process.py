"""One process of a sandbox: its pipe, its watchdog, and its end.

Nothing that comes out of the pipe is trusted: a line that is no reply to the pending request is passed over.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbs.coursework import sandbox as sandboxes
from lrbs.coursework.child import decode
from lrbs.coursework.sandbox import Limits, Sandbox


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


class Child:
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
            all_of_them = [
                "setpriv",
                f"--reuid={user}",
                f"--regid={user}",
                "--clear-groups",
                "kill",
                "-9",
                "-1",
            ]
            subprocess.run(all_of_them, capture_output=True, timeout=10)
        self._process.wait()
        self._watchdog.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
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
            elif all(sum(map(used, members)) > self._limits.memory for used in (_resident, _proportional)):
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
    with contextlib.suppress(OSError):
        if group:
            os.killpg(process, signal.SIGKILL)
        os.kill(process, signal.SIGKILL)
