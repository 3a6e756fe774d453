"""Processes that the bench starts, and the client's end of their ports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tty
from collections.abc import Iterator, Mapping
from typing import Self

PEERS = "hil_tests.bench.peers"
INFUSOR = "controller"


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[str]:
    """A running ``python -m module``; gives the port it names in its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def sim_pump(*arguments: str) -> contextlib.AbstractContextManager[str]:
    """`infusor sim pump` with these options."""
    return child(INFUSOR, "sim", "pump", "--dialect", "new-era", *arguments)


def answering(kind: str, answers: Mapping[bytes, bytes]) -> contextlib.AbstractContextManager[str]:
    """The bare peer on the same kind of port, with the same answers."""
    known = {request.hex(): answer.hex() for request, answer in answers.items()}
    return child(PEERS, kind, json.dumps(known))


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """This process, and those it starts meanwhile, share one processor, where the system can do that.

    Client and server take turns anyway; on two processors the kernel's choice of them, made once for each
    server, decides a ratio more than the servers do.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Client:
    """A blocking client of a port, with nothing between it and the system calls."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        if port.startswith("socket://"):
            host, _, number = port.removeprefix("socket://").rpartition(":")
            self._socket = socket.create_connection((host, int(number)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._fd = self._socket.fileno()
        else:
            self._fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self._fd)

    def exchange(self, request: bytes, length: int) -> bytes:
        """The answer to ``request``, which has ``length`` bytes."""
        os.write(self._fd, request)
        answer = os.read(self._fd, 4096)
        while len(answer) < length:
            more = os.read(self._fd, 4096)
            if not more:
                raise ConnectionError(f"{self._port} was closed")
            answer += more
        return answer

    def ask(self, request: bytes, last: bytes) -> bytes:
        """The answer to ``request``, read until it ends in ``last``."""
        os.write(self._fd, request)
        answer = b""
        while not answer.endswith(last):
            answer += os.read(self._fd, 4096)
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
