"""Simulated infusion pumps for tests of your driver: the fixture ``pump_sim``.

    def test_the_driver_sees_an_occlusion(pump_sim):
        pump = pump_sim(dialect="new-era", syringe="bd-10")
        driver = MyDriver(pump.port)
        pump.inject("downstream_occlusion")
        ...

The pumps come from ``infusor``, which is run as a program of its own: ``$INFUSOR``, or the one on the
PATH.  It may live in any environment; this module needs nothing but pytest, and importing it opens
nothing.  For bench and simulation only: never a pump connected to a person.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

VARIABLE = "INFUSOR"
START_S_MAX = 30.0
CALL_S_MAX = 60.0
END_S_MAX = 5.0
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "VIRTUAL_ENV")
"""Variables that describe the tests' environment, and would mislead the program in its own."""


class PumpSimError(ValueError):
    """The simulated pump cannot do what was asked; the message says what it can."""


class NoInfusor(RuntimeError):
    """There is no program ``infusor``, or it could not be started."""


class Piece(NamedTuple):
    """Bytes that went one way at one moment, in seconds from the start of the pump."""

    t_s: float
    to: str
    """``"pump"`` or ``"host"``."""
    data: bytes


class Truth(NamedTuple):
    """What really happened, whatever the pump says."""

    plunger_nl: int
    """Net displacement of the plunger, infusing positive; always ``delivered_nl + stored_nl``."""
    delivered_nl: int
    """What left the line towards the patient, released boluses included."""
    stored_nl: int
    """Held back by the elastic line; negative when it holds less than at rest."""
    pressure_mmhg: float
    """In the syringe; 0 is the pressure of the room."""
    rate_nl_h: int
    """The plunger's speed at this instant; 0 when it does not move."""
    steps: int
    """Microsteps made in either direction since the pump was there."""
    content_nl: int | None
    """What is left in the syringe; ``None`` for one without ends."""
    released_nl: int
    """Sum of the boluses that cleared occlusions let go."""


class PumpSim:
    """One running simulated pump."""

    def __init__(self, words: list[str], *, held: bool) -> None:
        """Raises `PumpSimError` for options it cannot have, `NoInfusor` where it cannot be started."""
        self._folder = Path(tempfile.mkdtemp(prefix="infusor-"))
        self._process: subprocess.Popen[str] | None = None
        self._control: _Control | None = None
        try:
            self.port = self._start(words)
            if held:
                self._ask("time.pause")
            self._ask("record.start")
        except BaseException:
            self.close()
            raise

    def _start(self, words: list[str]) -> str:
        control = self._folder / "control"
        command = [_infusor(), "sim", "pump", *words, "--control", str(control), "--until-eof"]
        if "--tcp" not in words and "--rfc2217" not in words:
            command += ["--pty", str(self._folder / "pump")]
        complaints = self._folder / "stderr"
        environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        with complaints.open("w") as stderr:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                )
            except OSError as error:
                raise NoInfusor(f"{command[0]}: {error.strerror}") from error
        self._process = process
        ready = _first_line(process)
        if not ready:
            process.wait(END_S_MAX)
            said = complaints.read_text().strip().splitlines()
            what = said[-1] if said else f"ended with {process.returncode}"
            raise PumpSimError(what) if process.returncode == 2 else NoInfusor(what)
        self._control = _Control(control)
        return str(json.loads(ready)["port"])

    @property
    def transcript(self) -> list[Piece]:
        """Every piece of bytes that went over the line since the pump was there."""
        _, *lines = self._ask("record.get")["recording"].splitlines()
        told = map(json.loads, lines)
        return [Piece(one["t_s"], one["to"], bytes.fromhex(one["hex"])) for one in told]

    def inject(self, kind: str, **params: float | str) -> None:
        """The fault is there (``infusor sim faults`` lists them).  Raises `PumpSimError` for none."""
        self._ask("fault.add", kind=kind, **params)

    def clear(self, kind: str | None = None) -> None:
        """The fault, or every one, is gone.  Raises `PumpSimError` for a kind that is none."""
        self._ask("fault.clear", **({} if kind is None else {"kind": kind}))

    def truth(self) -> Truth:
        """What the plunger really did until now, whatever the pump says."""
        told = self._ask("truth.get")
        return Truth(*(told[name] for name in Truth._fields))

    def unplug(self) -> None:
        """The driver finds its port gone; the pump goes on with what it was doing."""
        self._ask("cable.unplug")

    def replug(self) -> None:
        """The port is there again under its name."""
        self._ask("cable.replug")

    def power_cycle(self) -> None:
        """Mains off and on again; the cable stays where it is."""
        self._ask("power.cycle")

    def advance(self, seconds: float) -> None:
        """So many seconds of the pump pass at once.  Raises `PumpSimError` outside 0 to a day."""
        self._ask("time.step", seconds=seconds)

    def close(self) -> None:
        """The pump is gone, and its port.  Idempotent."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            _end(self._process)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        if self._control is None:
            raise NoInfusor("this pump has ended with its test")
        return self._control.ask(method, params)


class PumpSims:
    """Makes pumps, and ends all of them on leaving."""

    def __init__(self) -> None:
        self._pumps: list[PumpSim] = []

    def __enter__(self) -> PumpSims:
        return self

    def __exit__(self, *_: object) -> None:
        for pump in self._pumps:
            pump.close()

    def __call__(
        self,
        *,
        dialect: str,
        model: str | None = None,
        address: int = 0,
        syringe: str | None = None,
        loaded_ml: float | None = None,
        quirks: Mapping[str, str] | None = None,
        seed: int = 0,
        faults: str | os.PathLike[str] | None = None,
        port: str = "pty",
        held: bool = False,
    ) -> PumpSim:
        """A running pump.  Raises `PumpSimError`, a `ValueError`, for an option that it cannot have.

        ``port``: "pty", "tcp" or "rfc2217", on this machine's loopback.  ``faults``: the path of a fault
        script.  ``held``: its time moves only by `PumpSim.advance`, and it answers all the same; otherwise
        its time is the wall's, and `PumpSim.advance` adds to it.
        """
        if port not in ("pty", "tcp", "rfc2217"):
            raise PumpSimError(f"port {port!r}: it is one of pty, tcp, rfc2217")
        words = ["--dialect", dialect, "--address", str(address), "--seed", str(seed)]
        words += [] if model is None else ["--model", model]
        words += [] if syringe is None else ["--syringe", syringe]
        words += [] if loaded_ml is None else ["--loaded-ml", str(loaded_ml)]
        words += [] if faults is None else ["--faults", str(Path(faults).absolute())]
        words += [] if port == "pty" else [f"--{port}", "127.0.0.1:0"]
        for name, value in (quirks or {}).items():
            words += ["--quirk", f"{name}={value}"]
        pump = PumpSim(words, held=held)
        self._pumps.append(pump)
        return pump


@pytest.fixture
def pump_sim() -> Iterator[PumpSims]:
    """``pump_sim(dialect=..., **options)`` is a running simulated pump; all of them end with the test."""
    with PumpSims() as pumps:
        yield pumps


class _Control:
    """The control channel of one pump: JSON-RPC, a line each, over a socket of this user's alone."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(CALL_S_MAX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rwb")
        self._lock = threading.Lock()

    def ask(self, method: str, params: Mapping[str, object]) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        with self._lock:
            self._lines.write(json.dumps(request).encode() + b"\n")
            self._lines.flush()
            line = self._lines.readline()
        if not line:
            raise NoInfusor("the simulated pump has ended by itself")
        answer = json.loads(line)
        if "error" in answer:
            raise PumpSimError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _infusor() -> str:
    """The program.  Raises `NoInfusor`."""
    named = os.environ.get(VARIABLE)
    found = shutil.which(named or "infusor")
    if found is None:
        where = f"${VARIABLE} is {named}, which is no program" if named else "none on the PATH"
        raise NoInfusor(
            f"pump_sim needs the program infusor ({where}): install it in an environment of its own, "
            f"for example with `uv tool install infusor` or `pipx install infusor`, or name it in ${VARIABLE}"
        )
    return str(Path(found).absolute())


def _first_line(process: subprocess.Popen[str]) -> str:
    """What it says when it is ready; nothing if it ends, or is not ready in time."""
    assert process.stdout is not None  # noqa: S101  # it was asked for
    too_late = threading.Timer(START_S_MAX, process.kill)
    too_late.start()
    try:
        return process.stdout.readline()
    finally:
        too_late.cancel()


def _end(process: subprocess.Popen[str]) -> None:
    """By the end of its input, and if that does not do it, by force."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
