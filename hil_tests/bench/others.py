"""The served pump beside what else simulates instruments: sinstruments, tickit and lewis.

They run by an interpreter of an environment of their own, named by ``--others``, and share nothing with
ours.  Each is given the least device that it can have, which answers one text with another; ours answers
the same with its whole command table and a plunger behind it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from firmware_bridge.protocols.new_era_frames import basic_request
from hil_tests.bench.children import Client, answering, one_processor, sim_pump
from hil_tests.bench.commands import ETX, PORTS
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, Measure, closed_loop, taking_turns

REQUEST, ANSWER = b"DIS\r", b"\x0200SI0.000W0.000ML\x03"
UP_WITHIN_S = 20.0
_TEXT = ANSWER.decode("ascii")

_SINSTRUMENTS = f"""
from sinstruments.simulator import BaseDevice
class Tiny(BaseDevice):
    newline = b"\\r"
    def handle_message(self, message):
        return {ANSWER!r} if message.strip() == b"DIS" else b"?"
"""
_SINSTRUMENTS_FILE = """
devices:
- {{class: Tiny, package: tiny, name: tiny, transports: [
    {{type: tcp, url: "127.0.0.1:{port}"}}, {{type: serial, url: "{link}"}}]}}
"""
_TICKIT = f"""
import pydantic.v1.dataclasses
from tickit.adapters.io import TcpIo
from tickit.adapters.specifications import RegexCommand
from tickit.adapters.tcp import CommandAdapter
from tickit.core.adapter import AdapterContainer
from tickit.core.components.component import ComponentConfig
from tickit.core.components.device_component import DeviceComponent
from tickit.core.device import Device, DeviceUpdate
class Still(Device):
    def update(self, time, inputs):
        return DeviceUpdate({{}}, None)
class Answers(CommandAdapter):
    @RegexCommand(rb"DIS\\r")
    async def dispensed(self) -> bytes:
        return {ANSWER!r}
@pydantic.v1.dataclasses.dataclass
class Tiny(ComponentConfig):
    port: int = 0
    def __call__(self):
        io = TcpIo("127.0.0.1", self.port)
        return DeviceComponent(self.name, Still(), [AdapterContainer(Answers(), io)])
"""
_TICKIT_FILE = """
- {{type: tiny.Tiny, name: tiny, inputs: {{}}, port: {port}}}
"""
_LEWIS = f"""
from collections import OrderedDict
from lewis.adapters.stream import Cmd, StreamInterface
from lewis.core.statemachine import State
from lewis.devices import StateMachineDevice
class Still(StateMachineDevice):
    def _get_state_handlers(self):
        return {{"still": State()}}
    def _get_initial_state(self):
        return "still"
    def _get_transition_handlers(self):
        return OrderedDict()
class Answers(StreamInterface):
    commands = {{Cmd("dispensed", r"^DIS$")}}
    in_terminator, out_terminator = "\\r", ""
    def dispensed(self):
        return {_TEXT!r}
"""


@dataclass(frozen=True, slots=True)
class Other:
    """How one of them is started: files to write, and a command of its environment."""

    files: Mapping[str, str]
    command: tuple[str, ...]
    kinds: tuple[str, ...] = ("tcp",)


OTHERS: Mapping[str, Other] = {
    "sinstruments": Other(
        {"tiny.py": _SINSTRUMENTS, "tiny.yml": _SINSTRUMENTS_FILE},
        ("sinstruments-server", "-c", "tiny.yml"),
        ("tcp", "pty"),
    ),
    "tickit": Other(
        {"tiny.py": _TICKIT, "tiny.yaml": _TICKIT_FILE}, ("tickit", "all", "tiny.yaml")
    ),
    "lewis": Other(
        {"devices/tiny/__init__.py": _LEWIS, "devices/__init__.py": ""},
        (
            *("lewis", "-o", "none", "-a", ".", "-k", "devices", "tiny"),
            *("-p", "stream: {{bind_address: 127.0.0.1, port: {port}}}"),
        ),
    ),
}


def others(effort: Effort, interpreter: Path) -> Table:
    """One row for each simulator and each kind of port that it has."""
    with one_processor():
        rows = [_row("infusor", kind, None, effort) for kind in PORTS]
        for name, other in OTHERS.items():
            rows += [_row(name, kind, interpreter, effort) for kind in other.kinds]
    rows.sort(key=lambda row: (row.what.split()[0], -row.ours.median))
    return Table(
        "others",
        "commands a second, at the median, that a simulator answers one blocking client",
        "a bare asyncio server in its own process, answering the same bytes on the same kind of port",
        tuple(rows),
        (
            "start: from the start of the command to its first answer; memory: resident after the run",
        ),
    )


def _row(name: str, kind: str, interpreter: Path | None, effort: Effort) -> Row:
    with ExitStack() as stack:
        began = perf_counter()
        if interpreter is None:
            port, pid = stack.enter_context(sim_pump(*PORTS[kind])), 0
        else:
            port, pid = stack.enter_context(_running(OTHERS[name], kind, interpreter))
        ours = stack.enter_context(Client(port))
        _first_answer(ours)
        start_ms = (perf_counter() - began) * 1e3
        floor = stack.enter_context(Client(stack.enter_context(answering(kind, {REQUEST: ANSWER}))))
        count = effort.count(300)

        def loop(client: Client) -> Measure:
            return lambda: closed_loop(lambda: client.exchange(REQUEST, len(ANSWER)), count)

        found = taking_turns(effort.rounds(9), {"ours": loop(ours), "floor": loop(floor)})
        us, them = found["ours"], found["floor"]
        memory = f"; {_resident_mb(pid):.0f} MB" if pid else ""
        also = f"p50 {median(us['p50_us']):.0f} us, p99 {median(us['p99_us']):.0f} us; start {start_ms:.0f} ms"
        return Row.of(
            f"{kind} {name}",
            us["typical_per_s"],
            them["typical_per_s"],
            "commands/s",
            also + memory,
        )


def _first_answer(client: Client) -> None:
    """A pump that was just switched on says so first."""
    if client.ask(REQUEST, ETX) != ANSWER:
        client.ask(basic_request(""), ETX)


@contextlib.contextmanager
def _running(other: Other, kind: str, interpreter: Path) -> Iterator[tuple[str, int]]:
    """Its port, and its process."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        link = Path(folder, "port")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        for path, text in other.files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            # A module is written as it is; in a file of settings, places are filled in.
            file.write_text(text if path.endswith(".py") else text.format(port=port, link=link))
        program, *arguments = (word.format(port=port) for word in other.command)
        process = subprocess.Popen(
            [interpreter.parent / program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        place = f"socket://127.0.0.1:{port}" if kind == "tcp" else str(link)
        _wait_for(place, process)
        yield place, process.pid


def _wait_for(place: str, process: subprocess.Popen[bytes]) -> None:
    until = perf_counter() + UP_WITHIN_S
    while perf_counter() < until and process.poll() is None:
        with contextlib.suppress(OSError), Client(place):
            return
        sleep(0.002)
    raise RuntimeError(f"{process.args!r} was not up within {UP_WITHIN_S:g} s")


def _resident_mb(pid: int) -> float:
    """Linux only; 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    for line in status.read_text(encoding="ascii").splitlines() if status.exists() else ():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
