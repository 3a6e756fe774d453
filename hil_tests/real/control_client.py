"""A client of the control channel that shares no code with it, and a simulated pump as a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]


class Client:
    """One connection."""

    def __init__(self, where: str) -> None:
        if "/" in where:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(10)
            self._socket.connect(where)
        else:
            host, _, port = where.rpartition(":")
            self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._lines = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def send(self, line: bytes) -> bytes:
        """The line that comes back; empty where the connection was ended instead."""
        try:
            self._lines.write(line)
            self._lines.flush()
            return self._lines.readline()
        except ConnectionError:
            return b""

    def request(self, method: str, **params: object) -> bytes:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.send(json.dumps(request).encode() + b"\n")

    def ask(self, method: str, **params: object) -> Any:
        answer = json.loads(self.request(method, **params))
        assert "error" not in answer, answer
        return answer["result"]


class Pump:
    """``infusor sim pump`` as a process that says it is ready."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller", "sim", "pump", *words],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, complaint = self.process.communicate(timeout=10)
            raise AssertionError(complaint)
        self.ready = json.loads(line)
        self.port: str = self.ready["port"]

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it said on stderr besides its notice."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        assert self.process.stderr is not None
        code = self.process.wait(10)
        said = self.process.stderr.read()
        notice, _, rest = said.partition("\n")
        assert notice.startswith("infusor sim pump: ")
        return code, rest


@contextlib.contextmanager
def pump(*words: str, **environment: str) -> Iterator[Pump]:
    made = Pump(*words, **environment)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()
