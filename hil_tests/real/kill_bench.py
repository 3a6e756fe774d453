"""A simulated pump that outlives everything: in a thread of the test, on a pseudo-terminal.

The visits that drive it are real commands in processes of their own, so that they can be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from firmware_bridge.clock import WALL_FLOOR_S, new_loop
from hil_tests.real.command_line import PROCEDURE, REPOSITORY, Ended
from hil_tests.real.lateness import Lateness
from sim.devices.base import Reply
from sim.devices.new_era import NewEraPump
from sim.devices.new_era_state import Settings
from sim.serve import Served, serve_pty

SPEED = 60.0
LEASE_S = WALL_FLOOR_S * SPEED
"""3 s of lease, stretched to 250 ms of wall time."""

STOP_S = 0.3
LOOK_S = 0.01

_T = TypeVar("_T")

_SHORTER = {
    "duration_s = 2700": "duration_s = 600",
    "k = 2.5 ": "k = 0.5 ",
    "baseline_vitals_s = 120": "baseline_vitals_s = 10",
    "observing_s_min = 600": "observing_s_min = 60",
}
SCRIPT = """
[[answer]]
in = "observing"
after_s = 62
response = "dissociation"

[[answer]]
in = "holding"
after_s = 90
action = "resume"

[[answer]]
in = "infusing"
after_s = 240
action = "abort"
"""
"""The person who goes on, 1.5 s of wall time after the visit was held, and ends it 4 s later."""


OWN_SETTINGS = (b"DIA 14.43\r", b"VOL ML\r", b"VOL 7.5\r", b"RAT 12.5 MH\r", b"TRG LE\r", b"PF 1\r")
"""What somebody has left in this pump, and wants to find again."""


class _Watched(NewEraPump):
    """Remembers where the plunger stood when it was last spoken to."""

    spoken_to_nl = 0

    def feed(self, data: bytes, now: float) -> list[Reply]:
        replies = super().feed(data, now)
        self.spoken_to_nl = self.truth().plunger_nl
        return replies


@dataclass(frozen=True)
class Seen:
    """The pump at one moment: true volume, where it was at the last packet, commanded rate."""

    plunger_nl: int
    spoken_to_nl: int
    rate_nl_h: int


class PumpOnTheBench:
    """The pump, its cable, and its own thread of scaled time."""

    def __init__(self, link: Path) -> None:
        self._loop = new_loop(SPEED)
        self._pump = _Watched()
        self._served: Served
        self._thread = threading.Thread(target=self._loop.run_forever, name="pump")
        self._thread.start()
        self._served = self._there(lambda: serve_pty(self._pump, self._loop, link))
        self.url = f"new-era:{link}"
        for setting in OWN_SETTINGS:
            self._there(partial(self._set, setting))

    def see(self) -> Seen:
        def look() -> Seen:
            truth = self._served.truth()
            return Seen(truth.plunger_nl, self._pump.spoken_to_nl, truth.rate_nl_h)

        return self._there(look)

    def settings(self) -> Settings:
        """What the pump keeps when it is switched off."""
        return self._there(self._pump.snapshot).settings

    def unplug(self) -> None:
        self._there(self._served.unplug)

    def replug(self) -> None:
        self._there(self._served.replug)

    def until(self, there: Callable[[Seen], bool], within_s: float = 20.0) -> Seen:
        """Wait, in wall time, until the pump is seen like this."""
        for _ in range(int(within_s / LOOK_S)):
            seen = self.see()
            if there(seen):
                return seen
            time.sleep(LOOK_S)
        raise AssertionError(f"not within {within_s} s: {self.see()}")

    def infusing(self) -> Seen:
        """A minute into the infusion that follows the test bolus of 1 mL."""
        return self.until(lambda seen: seen.plunger_nl > 1_050_000 and seen.rate_nl_h > 0)

    def standing(self) -> Seen:
        """The motor is off."""
        return self.until(lambda seen: seen.rate_nl_h == 0, 5.0)

    def close(self) -> None:
        self._there(self._served.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _set(self, command: bytes) -> None:
        self._pump.feed(command, self._loop.time())

    def _there(self, call: Callable[[], _T]) -> _T:
        async def do() -> _T:
            return call()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(10)


class Bench:
    """One pump, one log folder, and the visits that are tried on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "visits"
        self.pump = PumpOnTheBench(home / "pump")
        (home / "run").mkdir(mode=0o700)
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "PYTHONPATH": str(REPOSITORY),
        }
        text = PROCEDURE.read_text()
        for usual, shorter in _SHORTER.items():
            assert usual in text
            text = text.replace(usual, shorter)
        head, _, _ = text.partition("[checklist]")
        (home / "short.toml").write_text(f'{head}[checklist]\niv = "The IV line is in place"\n')
        (home / "person.toml").write_text(SCRIPT)
        self._running: list[subprocess.Popen[str]] = []
        self.lateness = Lateness()

    def run(
        self, *, device: str = "bench-1", logs: Path | None = None, operator: str = ""
    ) -> Visit:
        """`infusor run` on this pump, with the person of `SCRIPT` unless another is named."""
        command = [sys.executable, "-m", "controller", "run", str(self.home / "short.toml")]
        command += ["--pump", self.pump.url, "--device", device, "--speed", f"{SPEED:g}"]
        command += ["--operator", operator or str(self.home / "person.toml")]
        command += ["--mqtt", "off", "--json"]
        command += ["--log-dir", str(logs or self.logs)]
        process = subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return Visit(process)

    def records(self) -> Iterator[dict[str, Any]]:
        """The log of the only session, as far as its lines are whole."""
        (path,) = self.logs.glob("*.jsonl")
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def close(self) -> None:
        self.lateness.close()
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.pump.close()


class Visit:
    """A running `infusor run`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def bridge(self) -> int:
        """The process id of its bridge."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        children = (line.split(maxsplit=2) for line in listed.splitlines())
        (pid,) = (
            int(pid)
            for pid, parent, command in children
            if int(parent) == self._process.pid and "firmware_bridge" in command
        )
        return pid

    def kill(self) -> None:
        """SIGKILL, and it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    def ends(self) -> Ended:
        """How it ended, within 25 s of wall time."""
        out, err = self._process.communicate(timeout=25)
        return Ended(self._process.returncode, out, err)
