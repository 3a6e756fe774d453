"""The barest thing that could stand in the place of ours, each in a process of its own.

``echo``: blocking read and write on a pseudo-terminal.  ``pty`` and ``tcp``: asyncio and nothing else,
answering known bytes with known bytes, given as a JSON object of hexadecimal texts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tty
from collections.abc import Mapping


def main() -> None:
    """Serve until killed; the first line on stdout is where."""
    kind = sys.argv[1]
    if kind == "echo":
        _echo()
        return
    answers = {bytes.fromhex(k): bytes.fromhex(v) for k, v in json.loads(sys.argv[2]).items()}
    asyncio.run(_pty(answers) if kind == "pty" else _tcp(answers))


def _say(port: str) -> None:
    sys.stdout.write(json.dumps({"ready": True, "port": port}) + "\n")
    sys.stdout.flush()


def _open_pty() -> tuple[int, int]:
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    _say(os.ttyname(slave))
    return master, slave


def _echo() -> None:
    master, _ = _open_pty()
    while data := os.read(master, 4096):
        os.write(master, data)


async def _pty(answers: Mapping[bytes, bytes]) -> None:
    master, _ = _open_pty()

    def readable() -> None:
        os.write(master, answers[os.read(master, 4096)])

    asyncio.get_running_loop().add_reader(master, readable)
    await asyncio.Event().wait()


class _Answering(asyncio.Protocol):
    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._answers[data])


async def _tcp(answers: Mapping[bytes, bytes]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(answers), "127.0.0.1", 0)
    _say(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


if __name__ == "__main__":
    main()
