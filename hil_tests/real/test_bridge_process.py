"""The bridge as a process, on a real pseudo-terminal with a simulated pump behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firmware_bridge.errors import BridgeError, ConfigurationError, LinkError, PortGone
from firmware_bridge.estop import running, stop_all
from firmware_bridge.latch import FileLatch
from firmware_bridge.messages import Arm, Configure, Ending, PumpAlarm, Result, Run, Snapshot
from firmware_bridge.process import _Port, settings_from
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.protocols.pumplink_host import Heard, HostSession
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from firmware_bridge.spawn import BridgeProcess, spawn_bridge
from firmware_bridge.transports.base import Transport
from firmware_bridge.watchdog import Watchdog
from sim.devices.new_era import NewEraPump
from sim.serve import Served, serve_pty

pytestmark = pytest.mark.real

LEASE = Duration(1_000)
CONFIGURE = Configure(1, 19_050, Volume.from_ml(20))
ARM = Arm(
    2,
    Rate.from_ml_h(60),
    Volume.from_ml(1),
    Volume.from_ml(1),
    Duration.from_s(600),
    Concentration.from_mg_ml(10),
)
RUN = Run(3, Rate.from_ml_h(60), Volume.from_ml(1), LEASE)


async def until(happened: Callable[[], bool], within_s: float) -> None:
    """Wait for something to have happened."""
    for _ in range(int(within_s / 0.01)):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it did not happen within {within_s} s")


class Controller:
    """The smallest controller: gives commands, remembers what it heard."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.session = HostSession(0x0101)
        self.heard: list[Heard] = []
        self.lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        transport.start(self._received, lambda _cause: self.lost.set())

    def _received(self, data: bytes) -> None:
        self.heard += self.session.receive(data, self._loop.time())
        self.flush()

    def flush(self) -> None:
        data = self.session.outgoing()
        if data:
            self.transport.write(data)

    async def ends(self, command: Numbered) -> Result:
        self.session.command(command, self._loop.time())
        self.flush()

        def endings() -> list[Result]:
            results = [heard for heard in self.heard if isinstance(heard, Result)]
            mine = [result for result in results if result.command_id == command.command_id]
            return [result for result in mine if result.ending is not Ending.IN_PROGRESS]

        await until(lambda: bool(endings()), 10)
        return endings()[0]

    async def start(self) -> None:
        """A delivery is under way, and nobody renews its lease."""
        self.session.hello(self._loop.time())
        self.flush()
        await until(lambda: self.session.is_open, 10)
        for command in (CONFIGURE, ARM, RUN):
            result = await self.ends(command)
            assert result.ending is Ending.DONE, result


class Bench:
    """A pump on a pseudo-terminal, and the bridges and controllers of one test."""

    def __init__(self, served: Served, state: Path) -> None:
        self.served = served
        self.state = state
        self.url = f"new-era:{served.port}"
        self._open: list[tuple[Transport, BridgeProcess]] = []

    async def bridge(self, device: str = "bench-1") -> tuple[Controller, BridgeProcess]:
        transport, process = await spawn_bridge(self.url, device, state_dir=self.state)
        self._open.append((transport, process))
        return Controller(transport), process

    def moving(self) -> bool:
        return self.served.truth().rate_nl_h > 0

    async def still(self, within_s: float) -> None:
        """The plunger stands still within so long."""
        await until(lambda: not self.moving(), within_s)

    async def close(self) -> None:
        for transport, process in self._open:
            transport.close()
            async with asyncio.timeout(20):
                await process.wait()
        self.served.close()


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    bench = Bench(serve_pty(NewEraPump(), asyncio.get_running_loop()), tmp_path / "state")
    yield bench
    await bench.close()


async def test_a_bridge_has_a_process_group_of_its_own_and_leaves_with_its_controller(
    bench: Bench,
) -> None:
    controller, process = await bench.bridge()
    assert os.getpgid(process.pid) == process.pid
    await controller.start()
    assert running() == {"bench-1"}
    controller.transport.close()
    await bench.still(1.0)
    assert await process.wait() == 0
    assert running() == set()
    assert not FileLatch(bench.state / "bench-1.latch").is_set


async def test_a_bridge_says_at_the_end_what_it_put_back(bench: Bench) -> None:
    controller, process = await bench.bridge()
    await controller.start()
    controller.transport.close()
    left = await process.left()
    assert left.code == 0
    assert "SAF 0" in left.restored


async def test_infusor_estop_stops_latches_and_is_confirmed_by_the_pump(bench: Bench) -> None:
    controller, process = await bench.bridge()
    await controller.start()
    (outcome,) = await asyncio.to_thread(stop_all)
    assert outcome.confirmed
    assert outcome.latency_ms is not None
    assert outcome.latency_ms < 1000
    assert not bench.moving()
    await asyncio.sleep(0.1)
    last = [heard for heard in controller.heard if isinstance(heard, Snapshot)][-1]
    assert PumpAlarm.ESTOP_LATCHED in last.alarms
    controller.transport.close()
    assert await process.wait() == 0
    again, _ = await bench.bridge()
    again.session.hello(0.0)
    again.flush()
    await asyncio.sleep(0.3)
    assert (await again.ends(ARM)).ending is Ending.REFUSED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_stops_the_pump_and_ends_the_bridge(
    bench: Bench, number: signal.Signals
) -> None:
    controller, process = await bench.bridge()
    await controller.start()
    os.kill(process.pid, number)
    await bench.still(1.0)
    assert await process.wait() == 0
    await controller.lost.wait()


async def test_without_renewal_the_bridge_stops_the_pump(bench: Bench) -> None:
    controller, _ = await bench.bridge()
    await controller.start()
    await bench.still(LEASE.s + 0.5)
    allowed = RUN.rate.times(Duration(LEASE.ms + 300))
    assert bench.served.truth().plunger_nl <= allowed.nl + 500  # and one stroke


async def test_a_killed_bridge_leaves_the_pump_to_its_own_dead_man(bench: Bench) -> None:
    controller, process = await bench.bridge()
    await controller.start()
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    await bench.still(LEASE.s + 0.5)
    await controller.lost.wait()


async def test_a_new_bridge_waits_for_a_former_one_and_first_of_all_stops(bench: Bench) -> None:
    controller, _ = await bench.bridge()
    await controller.start()
    second = asyncio.create_task(bench.bridge())
    await asyncio.sleep(0.5)
    assert not second.done()
    controller.transport.close()
    _, process = await second
    assert not bench.moving()
    assert running() == {"bench-1"}
    assert process.pid > 0


async def test_a_port_that_is_busy_with_another_device_is_refused_after_a_wait(
    bench: Bench,
) -> None:
    await bench.bridge("bench-1")
    with pytest.raises(LinkError, match="busy"):
        await bench.bridge("bench-2")


async def test_an_absent_port_is_a_link_error_that_names_it(bench: Bench) -> None:
    bench.url = "new-era:/dev/does-not-exist"
    with pytest.raises(LinkError, match="/dev/does-not-exist: ") as raised:
        await bench.bridge()
    assert str(raised.value).count("/dev/does-not-exist") == 1


@pytest.mark.parametrize(
    ("url", "device", "named"),
    [
        ("old-era:/dev/null", "bench-1", "old-era"),
        ("sim:new-era", "bench-1", "names no port"),
        ("new-era:/dev/null", "Bench", "Bench"),
    ],
)
async def test_what_cannot_be_meant_is_a_configuration_error(
    bench: Bench, url: str, device: str, named: str
) -> None:
    bench.url = url
    with pytest.raises(ConfigurationError, match=named):
        await bench.bridge(device)


def test_hardware_runs_at_its_own_speed() -> None:
    arguments = ["--fd", "3", "--pump", "new-era:/dev/ttyUSB0", "--device", "a", "--speed", "60"]
    with pytest.raises(ConfigurationError, match="speed 60: /dev/ttyUSB0 is hardware"):
        settings_from(arguments)


# --- the watchdog ----------------------------------------------------------------------------------


class Watched:
    """What a bridge is to its watchdog."""

    def __init__(self, error: BridgeError | None = None) -> None:
        self.stops: list[float] = []
        self.faults: list[str] = []
        self._error = error

    def write_stop(self) -> None:
        self.stops.append(time.perf_counter())
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [None, LinkError("tty", "gone")])
async def test_a_loop_that_is_blocked_is_stopped_for_by_the_watchdog(
    error: BridgeError | None,
) -> None:
    watched = Watched(error)
    watchdog = Watchdog(
        asyncio.get_running_loop(),
        write_stop=watched.write_stop,
        tripped=watched.faults.append,
        patience_s=0.3,
    )
    watchdog.start()
    await asyncio.sleep(0.7)
    assert watched.stops == []
    blocked_at = time.perf_counter()
    time.sleep(0.9)  # noqa: ASYNC251 - the loop is blocked on purpose
    assert watched.stops
    assert 0.2 <= watched.stops[0] - blocked_at <= 0.6
    await asyncio.sleep(0.1)
    assert "blocked for 0.3 s" in watched.faults[0]
    watchdog.stop()


async def test_a_numbered_terminal_that_has_gone_is_not_opened_again() -> None:
    """Its number is the next terminal's: whoever opens one finds no STOP in it."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    told = ["--fd", "0", "--pump", f"new-era:{name}", "--device", "d"]
    port = _Port(settings_from(told), asyncio.get_running_loop())
    transport = await port.open()
    transport.close()
    with pytest.raises(PortGone, match="another terminal's by now"):
        await port.open()
    os.close(master)
    os.close(slave)
