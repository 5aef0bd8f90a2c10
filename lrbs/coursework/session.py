"""The marker's side of a notebook: it is run and asked, whatever it does.

A child that dies, hangs or uses too much is killed with all that it started, and started anew without the
cell that did it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lrbs.coursework.child import encode
from lrbs.coursework.process import Child, Reply
from lrbs.coursework.sandbox import Limits, Sandbox

GRACE = 1.0  # seconds between the alarm inside and the kill from outside
STARTING = 20.0  # seconds for the child to say that it is there
RESTARTS = 8
STOPPED = {"MemoryError": "used up the memory", "TimeUp": "took too long"}


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
    _child: Child | None = None
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
            self._child = Child(self.sandbox, self.limits)
            start = {"do": "start", "parameters": {n: encode_all(p) for n, p in self.parameters.items()}}
            if self._child.request(start, STARTING) is None:
                self._stop()
                continue
            for number, source in enumerate(self.cells, 1):
                if number in self.errors and self.errors[number].error == "Killed":
                    continue
                reply = self._request({"do": "cell", "source": source, "number": number}, self.limits.cell)
                if reply.error in STOPPED:  # what it began may go on, what it filled stay full
                    self._stop()
                    reply = Reply(error="Killed", text=STOPPED[reply.error])
                if reply.error:  # the first run's, before any function was called
                    self.errors.setdefault(number, reply)
                if not self._running:
                    break
        return True

    @property
    def _running(self) -> bool:
        return self._child is not None

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def encode_all(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the child reads them: names and their values, arrays marked as such."""
    return {"dict": [[name, encode(value)] for name, value in parameters.items()]}
