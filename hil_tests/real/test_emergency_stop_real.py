"""Emergency stop on the real clock: a controller whose loop is blocked, a key pressed, a stop by a broker.

The pump is in this process, on a pseudo-terminal; the controller and its bridge are processes.  What is
timed is when the motor stands.  `make test` does five of each; with ``INFUSOR_LONG=1`` it is twenty.
Nothing is asserted more finely than `ALLOWANCE_S`, because a busy machine schedules as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from firmware_bridge.estop import StopOutcome, stop_all
from hil_tests.real.command_line import REPOSITORY, CommandLine
from hil_tests.real.mqtt_bench import Amqtt, Mosquitto
from sim.devices.base import Reply
from sim.devices.new_era import NewEraPump
from sim.mechanics import Mount
from sim.serve import serve_pty

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

TIMES = 20 if os.environ.get("INFUSOR_LONG") == "1" else 5
AT_ONCE = 5
"""Visits side by side: more would measure the scheduler."""

ALLOWANCE_S = 0.5
"""What two busy cores may add to any of the times below."""

STANDS_WITHIN_S = 0.3
"""ES-1: simulated motion is zero 300 ms after an emergency stop, on a clean line."""

LEASE_S = 3.0
AT_ONCE_S = 0.05
"""An exchange that had begun when the block began is over by then."""

STEP_S = 0.01
"""How finely the motor is watched."""

BOLUS_NL_H = 60_000_000
"""1 mL in 60 s: the test bolus of the shipped procedure."""

STROKE_NL = 30


class HeardPump(NewEraPump):
    """The simulated pump, which also remembers what reached it, and when (loop seconds)."""

    def __init__(self) -> None:
        super().__init__(mount=Mount(19_050, 20_000_000, 20_000_000))
        self.heard: list[tuple[float, str]] = []

    def feed(self, data: bytes, now: float) -> list[Reply]:
        text = data[2:-3] if data.startswith(b"\x02") else data.rstrip(b"\r")
        self.heard.append((now, text.decode("latin-1").lstrip("0123456789")))
        return super().feed(data, now)


@dataclass(slots=True)
class Visit:
    """One visit of `blocking_visit`, its pump, and what both have said so far."""

    device: str
    pump: HeardPump
    truth: Callable[[], Any]
    process: asyncio.subprocess.Process
    folder: Path
    news: dict[str, Any] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    errors: str = ""

    async def until(self, key: str) -> Any:
        """What it says under this key; it must say it within 40 s."""
        assert self.process.stdout is not None
        async with asyncio.timeout(40):
            while key not in self.news:
                line = await self.process.stdout.readline()
                if not line:
                    self.errors = await self.complaints()
                assert line, f"{key} was never said: {self.news}\n{self.errors}"
                said = json.loads(line)
                self.news |= said
                self.states += [said["state"]] if "state" in said else []
        return self.news[key]

    async def complaints(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def stands(self, within_s: float) -> float:
        """When the motor stood (loop time), to `STEP_S`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s):
            while self.truth().rate_nl_h:  # noqa: ASYNC110 - a motor sends no event when it stops
                await asyncio.sleep(STEP_S)
        return loop.time()

    @property
    def latch(self) -> Path:
        return self.folder / "state" / "infusor" / f"{self.device}.latch"

    @property
    def runtime(self) -> Path:
        return self.folder / "run" / "infusor"


@contextlib.asynccontextmanager
async def visiting(
    folder: Path, device: str, *, block_s: float, after_s: float, mqtt: str = "off"
) -> AsyncIterator[Visit]:
    """A visit on a pump of its own, in a home of its own."""
    (folder / "run").mkdir(mode=0o700, parents=True)
    pump = HeardPump()
    served = serve_pty(pump, asyncio.get_running_loop())
    given = {
        "pump": f"new-era:{served.port}",
        "device": device,
        "folder": str(folder / "visits"),
        "block_s": block_s,
        "after_s": after_s,
        "mqtt": mqtt,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hil_tests.real.blocking_visit",
        json.dumps(given),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PYTHONPATH": str(REPOSITORY),
        },
        start_new_session=True,
    )
    try:
        yield Visit(device, pump, served.truth, process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        served.close()


async def side_by_side(folder: Path, one: Callable[[Path, int], Awaitable[float]]) -> list[float]:
    """`TIMES` visits, `AT_ONCE` together; what each of them measured, sorted."""
    measured: list[float] = []
    for first in range(0, TIMES, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, TIMES))
        measured += await asyncio.gather(*(one(folder / str(n), n) for n in numbers))
    return sorted(measured)


def words_after(visit: Visit, at_s: float) -> list[str]:
    return words_between(visit, at_s, math.inf)


def words_between(visit: Visit, from_s: float, to_s: float) -> list[str]:
    return [text for at, text in visit.pump.heard if from_s <= at < to_s]


def only_stop_and_queries(words: list[str]) -> bool:
    return words[0] == "STP" and all(word.isalpha() and word != "RUN" for word in words)


async def ends_stopped(visit: Visit, stood_s: float) -> None:
    """The controller says so once its loop turns again, the latch is there, and nothing moved since."""
    steps = visit.truth().steps
    assert await visit.until("final_state") == "emergency_stopped"
    assert visit.news["stop_confirmed"] is True
    assert await visit.process.wait() == 0
    assert visit.latch.exists()
    assert visit.truth().steps == steps
    assert abs(visit.news["delivered_ml"] * 1e6 - visit.truth().plunger_nl) <= 10_000


# --- a blocked loop -------------------------------------------------------------------------------------


async def test_the_stop_socket_stops_while_the_controllers_loop_is_blocked(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    draw = random.Random("stop socket")

    async def one(folder: Path, number: int) -> float:
        after_s, wait_s = draw.random(), draw.random() * 0.3
        async with visiting(folder, f"bench-{number}", block_s=1.0, after_s=after_s) as visit:
            blocked_at: float = await visit.until("blocked_at")
            await asyncio.sleep(wait_s)
            pressed_at = loop.time()
            pressing = asyncio.create_task(pressed(visit))
            stood_at = await visit.stands(within_s=5.0)
            outcome = await pressing
            assert outcome.confirmed
            assert only_stop_and_queries(words_after(visit, pressed_at))
            await visit.until("turns_at")
            await ends_stopped(visit, stood_at)
        print(
            f"  pressed {pressed_at - blocked_at:.3f} s into the block, motor stood after "
            f"{stood_at - pressed_at:.3f} s, confirmed after {outcome.latency_ms} ms"
        )
        return stood_at - pressed_at

    stood = await side_by_side(tmp_path, one)
    print(f"blocked for 1 s, stop socket, {TIMES} times: {spread(stood)}")
    assert stood[-1] <= STANDS_WITHIN_S + ALLOWANCE_S


async def pressed(visit: Visit) -> StopOutcome:
    (outcome,) = await asyncio.to_thread(stop_all, visit.device, folder=visit.runtime)
    return outcome


async def test_the_lease_stops_a_pump_whose_controller_is_blocked(tmp_path: Path) -> None:
    draw = random.Random("lease")
    loop = asyncio.get_running_loop()

    async def one(folder: Path, number: int) -> float:
        async with visiting(folder, f"bench-{number}", block_s=5.0, after_s=draw.random()) as visit:
            blocked_at: float = await visit.until("blocked_at")
            before = visit.truth()
            looked_at = loop.time()
            stood_at = await visit.stands(within_s=LEASE_S + STANDS_WITHIN_S + 2.0)
            moved_nl = visit.truth().plunger_nl - before.plunger_nl
            late_s = looked_at - blocked_at + ALLOWANCE_S
            bound_nl = BOLUS_NL_H * (LEASE_S + STANDS_WITHIN_S + late_s) / 3600 + STROKE_NL
            assert moved_nl <= bound_nl
            assert "turns_at" not in visit.news
            turns_at = await visit.until("turns_at")
            words = words_between(visit, blocked_at + AT_ONCE_S, turns_at)
            # No latch yet: once the pump stands, its settings may be put in order, but nothing starts.
            assert words[0] == "STP", words
            assert "RUN" not in words, words
            await ends_stopped(visit, stood_at)
            assert "holding" in visit.states
        print(f"  motor stood {stood_at - blocked_at:.3f} s after the block began")
        return stood_at - blocked_at

    stood = await side_by_side(tmp_path, one)
    print(f"blocked for 5 s, no stop given, {TIMES} times: {spread(stood)}")
    assert stood[-1] <= LEASE_S + STANDS_WITHIN_S + ALLOWANCE_S


def spread(values: list[float]) -> str:
    middle = values[len(values) // 2]
    return (
        f"motor stood after {values[0]:.3f} to {values[-1]:.3f} s, median {middle:.3f} s "
        f"(allowance for scheduling {ALLOWANCE_S} s)"
    )


async def test_a_stop_by_the_broker_stops_while_the_controllers_loop_is_blocked(
    tmp_path: Path, broker: Amqtt | Mosquitto
) -> None:
    loop = asyncio.get_running_loop()
    url = f"mqtt://127.0.0.1:{broker.port}"
    async with (
        aiomqtt.Client("127.0.0.1", broker.port) as dashboard,
        visiting(tmp_path / "home", "bench-1", block_s=1.5, after_s=0.2, mqtt=url) as visit,
    ):
        await visit.until("blocked_at")
        pressed_at = loop.time()
        await dashboard.publish("infusion/v1/bench-1/cmd/estop", b"{}", qos=1)
        stood_at = await visit.stands(within_s=5.0)
        assert only_stop_and_queries(words_after(visit, pressed_at))
        await visit.until("turns_at")
        assert stood_at < visit.news["turns_at"]
        await ends_stopped(visit, stood_at)
    print(f"stop by MQTT, loop blocked: motor stood after {stood_at - pressed_at:.3f} s")


# --- a key ----------------------------------------------------------------------------------------------


async def test_one_interrupt_stops_though_the_loop_is_blocked(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with visiting(tmp_path / "home", "bench-1", block_s=1.5, after_s=0.2) as visit:
        await visit.until("blocked_at")
        pressed_at = loop.time()
        visit.process.send_signal(signal.SIGINT)
        stood_at = await visit.stands(within_s=5.0)
        assert only_stop_and_queries(words_after(visit, pressed_at))
        await visit.until("turns_at")
        assert stood_at < visit.news["turns_at"]
        await ends_stopped(visit, stood_at)
    print(f"SIGINT, loop blocked: motor stood after {stood_at - pressed_at:.3f} s")


async def test_a_second_interrupt_leaves_at_once_and_the_bridge_stays_with_the_pump(
    tmp_path: Path,
) -> None:
    loop = asyncio.get_running_loop()
    async with visiting(tmp_path / "home", "bench-1", block_s=8.0, after_s=0.2) as visit:
        await visit.until("blocked_at")
        visit.process.send_signal(signal.SIGINT)
        stood_at = await visit.stands(within_s=5.0)
        steps = visit.truth().steps
        visit.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(4.0):
            await visit.process.wait()
        left_s = loop.time() - stood_at
        assert "turns_at" not in visit.news
        assert visit.latch.exists()
        async with asyncio.timeout(5.0):
            while visit.runtime.joinpath("bench-1.stop").exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(STEP_S)
        assert visit.truth().steps == steps
    print(f"two SIGINT: the controller left {left_s:.3f} s after the second")


async def test_the_command_left_by_two_interrupts_exits_with_one(tmp_path: Path) -> None:
    user = CommandLine(tmp_path)
    reachable = user.sockets / "infusor" / "bench-1.stop"
    words = ("--device", "bench-1", "--log-dir", str(tmp_path / "visits"), "--mqtt", "off")
    with user.running("run", "ketamine-first-visit", *words) as process:
        async with asyncio.timeout(30):
            while not reachable.exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(STEP_S)
        await asyncio.sleep(1.0)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.02)
        assert await asyncio.to_thread(process.wait, 10) == 1
