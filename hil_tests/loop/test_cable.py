"""The cable of a served pump: pulled and put in, by hand and by itself, with whatever is wrong with its lines."""

from __future__ import annotations

import asyncio

import pytest

from firmware_bridge.errors import LinkError
from sim.devices.new_era import NewEraPump
from sim.ports import Received
from sim.serve import Served
from sim.virtual_loop import run_virtual


class FakePort:
    """A port that can be taken by somebody else, and keeps what the pump sends."""

    name = "fake"

    def __init__(self) -> None:
        self.taken = False
        self.heard: list[bytes] = []
        self.received: Received | None = None

    def open(self, received: Received) -> None:
        if self.taken:
            raise LinkError(self.name, "taken")
        self.received = received

    def write(self, frame: bytes) -> None:
        if self.received is not None:
            self.heard.append(frame)

    def close(self) -> None:
        self.received = None

    def is_there(self) -> bool:
        return self.received is not None

    def say(self, command: bytes) -> None:
        assert self.received is not None
        self.received(command)


def bench() -> tuple[FakePort, Served]:
    port = FakePort()
    return port, Served(NewEraPump(), asyncio.get_running_loop(), port)


@pytest.mark.parametrize("late", [{}, {"delay": {"delay_ms": 500}}])
def test_what_a_pump_says_while_the_cable_is_out_is_never_heard(
    late: dict[str, dict[str, float]],
) -> None:
    async def main() -> None:
        port, served = bench()
        for command in (b"\r", b"SAF10\r"):
            port.say(command)
        await asyncio.sleep(0.1)
        port.heard.clear()
        for kind, parameters in late.items():
            served.inject(kind, **parameters)
        await asyncio.sleep(9.0)
        served.inject("disconnect")
        await asyncio.sleep(1.1)  # the alarm is sent into nothing
        served.clear("disconnect")
        assert port.is_there()
        await asyncio.sleep(5.0)
        assert port.heard == []
        served.close()

    run_virtual(main)


def test_a_cable_that_hangs_up_comes_back_by_itself_once_its_port_can_be_had() -> None:
    async def main() -> None:
        port, served = bench()
        port.taken = True
        served.inject("hang_up", reopen_after_s=2)
        assert not port.is_there()
        await asyncio.sleep(7.5)
        assert not port.is_there()
        port.taken = False
        await asyncio.sleep(1.0)
        assert port.is_there()
        served.close()

    run_virtual(main)


def test_pulled_by_hand_it_does_not_come_back_by_itself() -> None:
    async def main() -> None:
        port, served = bench()
        served.inject("hang_up", reopen_after_s=2)
        served.inject("disconnect")
        await asyncio.sleep(10.0)
        assert not port.is_there()
        served.close()

    run_virtual(main)


def test_of_several_ports_all_are_opened_or_none() -> None:
    async def main() -> None:
        first, second = FakePort(), FakePort()
        second.taken = True
        with pytest.raises(LinkError):
            Served(NewEraPump(), asyncio.get_running_loop(), first, second)
        assert not first.is_there()
        second.taken = False
        served = Served(NewEraPump(), asyncio.get_running_loop(), first, second)
        served.unplug()
        second.taken = True
        with pytest.raises(LinkError):
            served.replug()
        assert not first.is_there()
        served.close()

    run_virtual(main)
