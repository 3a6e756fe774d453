"""Stands between somebody's software and a real pump, and writes down every byte that passes, with its time.

The software opens the new port (--pty or --tcp) in place of the pump's.  Bytes go on at once and are never
altered; speed and parity towards the pump are those given here, and neither a break nor the modem lines
are passed on.  Prints one line when ready, {"ready": true, "port": "..."}, and runs until Ctrl-C or
SIGTERM.  The file grows as bytes pass, so that it is whole whenever this ends.  `infusor sim pump
--replay FILE` answers as the pump did; `infusor sim diff` compares two recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.notice import NOTICE
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.opening import open_transport
from sim.ports import Port, PtyPort, TcpPort
from sim.pump_bench import host_and_port
from sim.recording import TO_HOST, TO_PUMP
from sim.recording_file import RecordingFile

PROG = "infusor sim record"
DONE, BROKE_OFF, BAD_USAGE, UNREACHABLE = 0, 1, 2, 3
BAUD_MAX = 4_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; values stay text here, so that every complaint is ours."""
    parser.add_argument(
        "--port",
        required=True,
        metavar="PORT",
        help="the pump's: /dev/ttyUSB0, COM3, socket://host:port, rfc2217://host:port",
    )
    parser.add_argument("--baud", default="9600", metavar="B", help="the pump's (default 9600)")
    parser.add_argument("--bytesize", default="8", metavar="N", help="5, 6, 7 or 8 (default 8)")
    parser.add_argument("--parity", default="N", metavar="P", help="N, E, O, M or S (default N)")
    parser.add_argument("--stopbits", default="1", metavar="N", help="1, 1.5 or 2 (default 1)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pty", metavar="LINK", help="a pseudo-terminal under this symbolic link")
    where.add_argument("--tcp", metavar="HOST:PORT", help="a TCP port; port 0 takes a free one")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the recording; a file that is not there yet"
    )


def run(arguments: argparse.Namespace) -> int:
    """Record until told to end.

    Exit codes: 0, 1 for a file that could not be written on, 2 for bad input, 3 for a port that cannot
    be had or was lost.
    """
    try:
        return asyncio.run(_record(arguments))
    except ConfigurationError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return BAD_USAGE
    except LinkError as problem:
        sys.stderr.write(f"{PROG}: {problem}\n")
        return UNREACHABLE


async def _record(arguments: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    host_port = _host_port(arguments, loop)
    settings = {
        "baud": _one_of("--baud", arguments.baud, range(1, BAUD_MAX + 1)),
        "bytesize": _one_of("--bytesize", arguments.bytesize, range(5, 9)),
    }
    parity = _word("--parity", arguments.parity.upper(), ("N", "E", "O", "M", "S"))
    stopbits = float(_word("--stopbits", arguments.stopbits, ("1", "1.5", "2")))
    file = RecordingFile(
        Path(arguments.out), loop.time(), port=arguments.port, baud=settings["baud"]
    )
    try:
        transport = await open_transport(
            arguments.port, loop=loop, parity=parity, stopbits=stopbits, **settings
        )
        middle = Middle(transport, host_port, file, loop)
        try:
            middle.start()
        except BaseException:
            transport.close()
            raise
    except BaseException:
        file.discard()
        raise
    try:
        return await _until_told(middle, host_port, loop)
    finally:
        host_port.close()
        transport.close()
        file.close()


async def _until_told(middle: Middle, host_port: Port, loop: asyncio.AbstractEventLoop) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(middle.end, None))
    sys.stderr.write(f"{PROG}: {NOTICE}\n")
    sys.stdout.write(json.dumps({"ready": True, "port": host_port.name}) + "\n")
    sys.stdout.flush()
    problem = await middle.ended
    if isinstance(problem, LinkError):
        raise problem
    if problem is not None:
        sys.stderr.write(f"{PROG}: the recording breaks off: {problem}\n")
        return BROKE_OFF
    return DONE


class Middle:
    """Hands bytes on, and then writes them down: a stop must not wait for a disk."""

    def __init__(
        self,
        pump: Transport,
        host: Port,
        file: RecordingFile,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._pump = pump
        self._host = host
        self._file = file
        self._loop = loop
        self.ended: asyncio.Future[Exception | None] = loop.create_future()

    def start(self) -> None:
        """Bytes go through from now on.  Raises what a port raises."""
        self._pump.start(self._from_pump, self._lost)
        self._host.open(self._from_host)

    def end(self, problem: Exception | None) -> None:
        """It is over, with or without a problem; the first one counts."""
        if not self.ended.done():
            self.ended.set_result(problem)

    def _from_host(self, data: bytes) -> None:
        now = self._loop.time()
        try:
            self._pump.write(data)
        except LinkError as problem:  # what the pump never got must not be in the recording
            self.end(problem)
        else:
            self._note(TO_PUMP, data, now)

    def _from_pump(self, data: bytes) -> None:
        now = self._loop.time()
        self._host.write(data)
        self._note(TO_HOST, data, now)

    def _lost(self, cause: Exception | None) -> None:
        self.end(LinkError(self._pump.name, f"lost: {cause or 'closed by the other side'}"))

    def _note(self, to: str, data: bytes, now: float) -> None:
        try:
            self._file.note(to, data, now)
        except OSError as problem:
            self.end(problem)


def _host_port(arguments: argparse.Namespace, loop: asyncio.AbstractEventLoop) -> Port:
    if arguments.pty is not None:
        return PtyPort(loop, Path(arguments.pty))
    return TcpPort(loop, *host_and_port("--tcp", arguments.tcp))


def _one_of(option: str, text: str, possible: range) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) in possible):
        limits = f"{possible.start}..{possible.stop - 1}"
        raise ConfigurationError(f"{option} {text}: it is a whole number in {limits}")
    return int(text)


def _word(option: str, text: str, possible: tuple[str, ...]) -> str:
    if text not in possible:
        raise ConfigurationError(f"{option} {text}: it is one of {', '.join(possible)}")
    return text
