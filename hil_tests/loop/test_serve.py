"""A simulated pump on a pair in memory: time moves it, timers come when due, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from firmware_bridge.transports import memory
from sim.devices.new_era import NewEraPump
from sim.faults.parameters import FaultError
from sim.serve import Served, serve_memory
from sim.virtual_loop import run_virtual


class Host:
    """The other end of the pair: collects frames with the time of their arrival."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.heard: list[tuple[float, bytes]] = []
        self.arrival = asyncio.Event()
        self.lost = 0
        self.served = serve_memory(NewEraPump(), self._new_end(), self.loop)

    def _new_end(self) -> memory.MemoryTransport:
        self.end, far = memory.pair(self.loop, a_name="host", b_name="pump")
        self.end.start(self._received, self._gone)
        return far

    def _received(self, data: bytes) -> None:
        self.heard.append((self.loop.time(), data))
        self.arrival.set()

    def _gone(self, _cause: Exception | None) -> None:
        self.lost += 1

    def reconnect(self) -> None:
        self.served.connect(self._new_end())

    async def ask(self, command: bytes) -> bytes:
        self.heard.clear()
        self.arrival.clear()
        self.end.write(command)
        await self.arrival.wait()
        return self.heard[0][1]

    async def run_at_60_ml_h(self) -> None:
        for command in (b"\r", b"RAT60MH\r", b"VOL1\r", b"RUN\r"):
            await self.ask(command)


def served_in_virtual_time() -> tuple[Host, Served]:
    host = Host()
    return host, host.served


def test_the_truth_follows_the_loop_s_clock() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.run_at_60_ml_h()
        began = served.truth().plunger_nl
        await asyncio.sleep(30.0)
        assert served.truth().plunger_nl - began == pytest.approx(500_000, abs=20)
        await asyncio.sleep(3_600.0)
        assert served.truth().plunger_nl == 1_000_000
        assert served.delivered_nl(host.loop.time()) == 1_000_000
        served.close()

    run_virtual(main)


def test_a_safe_mode_alarm_arrives_at_its_very_instant_and_polls_move_it() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.ask(b"\r")
        await host.ask(b"SAF5\r")
        await asyncio.sleep(3.0)
        await host.ask(b"\x02\x0506S\x03")
        asked = host.heard[0][0]
        await asyncio.sleep(10.0)
        assert [frame for _, frame in host.heard[1:]] == [b"\x02\x0900A?T\x05@\x03"]
        assert host.heard[1][0] - asked == pytest.approx(5.0, abs=0.001)
        served.close()

    run_virtual(main)


def test_waiting_for_an_hour_long_target_costs_hardly_a_wake_up() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.run_at_60_ml_h()
        await host.ask(b"STP\r")
        await host.ask(b"VOL60\r")
        await host.ask(b"RUN\r")
        await asyncio.sleep(3_700.0)
        assert await host.ask(b"\r") == b"\x0200S\x03"
        served.close()

    _, report = run_virtual(main)
    assert report.iterations < 200


def test_late_answers_come_late_and_an_unplugged_cable_loses_them() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        served.inject("reply_delay", delay_ms=400)
        asked = host.loop.time()
        await host.ask(b"\r")
        assert host.heard[0][0] - asked == pytest.approx(0.4, abs=0.01)
        host.heard.clear()
        host.end.write(b"\r")
        await asyncio.sleep(0.1)
        served.unplug()
        served.unplug()
        await asyncio.sleep(1.0)
        assert host.heard == []
        assert host.lost == 1
        served.clear()
        host.reconnect()
        assert await host.ask(b"\r") == b"\x0200S\x03"
        served.close()

    run_virtual(main)


def test_a_pump_goes_on_pumping_while_its_cable_is_out() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.run_at_60_ml_h()
        host.end.cut()
        await asyncio.sleep(100.0)
        assert served.truth().plunger_nl == 1_000_000
        served.inject("reboot")
        host.reconnect()
        assert await host.ask(b"\r") == b"\x0200A?R\x03"
        served.close()

    run_virtual(main)


def test_frames_for_nobody_are_lost_without_a_complaint() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.ask(b"\r")
        await host.ask(b"SAF1\r")
        served.device.feed(b"\x02\x0506S\x03", host.loop.time())
        host.end.cut()
        served.inject("reboot")
        await asyncio.sleep(5.0)
        assert host.lost == 1
        served.close()
        served.close()

    run_virtual(main)


def test_a_power_cycle_announces_itself_in_safe_mode() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        await host.ask(b"\r")
        await host.ask(b"SAF9\r")
        host.heard.clear()
        served.power_cycle()
        await asyncio.sleep(0.1)
        assert [frame for _, frame in host.heard] == [b"\x02\x0900A?Re\x86\x03"]
        served.close()

    run_virtual(main)


def test_an_event_that_became_earlier_is_not_missed() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        for command in (b"\r", b"RAT60MH\r", b"RUN\r"):
            await host.ask(command)
        served.inject("downstream_occlusion")
        await host.ask(b"RAT600\r")
        await host.ask(b"SAF9\r")
        await asyncio.sleep(7.0)
        assert [frame for _, frame in host.heard[1:]] == [b"\x02\x0900A?Su\xa7\x03"]
        assert served.truth().stored_nl == pytest.approx(1_000_000, abs=1)
        served.close()

    run_virtual(main)


def test_an_impossible_fault_is_refused_while_serving() -> None:
    async def main() -> None:
        host, served = served_in_virtual_time()
        with pytest.raises(FaultError, match="explode"):
            served.inject("explode")
        served.close()
        assert host.served is served

    run_virtual(main)
