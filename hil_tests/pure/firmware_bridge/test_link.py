"""A pump on a port: programs in order, a stop that pushes in, a port that is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from firmware_bridge.conversation import PushedAside
from firmware_bridge.dialect import Frame, Program, Syringe
from firmware_bridge.errors import Disconnected, LinkError, NoAnswer, PumpRefused, UncertainDelivery
from firmware_bridge.link import QUEUE_MAX, PumpLink
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.base import Lost, Received
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.pure.firmware_bridge.new_era_double import Double, request_text, safe
from sim.virtual_loop import run_virtual

BD_20 = Syringe(19_050, Volume.from_ml(20))
RATE, TARGET, LEASE = Rate.from_ml_h("26.7"), Volume.from_ml(3), Duration.from_s(3)


class Bench:
    """A link with the double at the other end of a cable in memory."""

    def __init__(self, *, cable_to: Cable | None = None, cable_from: Cable | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.pump = Double()
        self.dialect = NewEra(port="bench")
        self.unsolicited: list[str] = []
        self.lost: list[Disconnected] = []
        here, self.far = pair(self.loop, a_name="bench", cable_ab=cable_to, cable_ba=cable_from)
        self.far.start(self._heard, lambda _cause: None)
        self.answers = True
        self.near: MemoryTransport = here
        self.link = PumpLink(
            here,
            self.dialect,
            self.loop,
            on_unsolicited=self._unsolicited,
            on_lost=self.lost.append,
        )

    def _unsolicited(self, frame: Frame) -> None:
        self.unsolicited.append(frame.text)

    def _heard(self, data: bytes) -> None:
        for frame in split(data):
            answer = self.pump.answer(frame)
            if answer is not None and self.answers:
                self.far.write(answer)

    async def start(self) -> None:
        await self.link.do(self.dialect.connect())
        await self.link.do(self.dialect.configure(BD_20))
        await self.link.do(self.dialect.start(RATE, TARGET, LEASE))
        self.pump.heard.clear()


def split(data: bytes) -> list[bytes]:
    """The host's frames in one write; a host writes whole frames."""
    frames = []
    while data:
        size = data[1] + 1 if data[0] == 2 else data.index(b"\r") + 1
        frames.append(data[:size])
        data = data[size:]
    return frames


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=1, budget_s=3600.0)


def test_programs_run_one_after_the_other() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        readings = await asyncio.gather(*(bench.link.do(bench.dialect.read()) for _ in range(4)))
        assert [reading.state for reading in readings] == [PumpState.RUNNING] * 4
        assert bench.pump.heard == ["0DIS"] * 4
        assert bench.unsolicited == []

    virtual(main)


def test_too_many_waiting_programs_are_refused() -> None:
    async def main() -> None:
        bench = Bench()
        bench.answers = False
        tasks = [
            asyncio.ensure_future(bench.link.do(bench.dialect.read())) for _ in range(QUEUE_MAX + 2)
        ]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in done].count(PumpRefused) == 1

    virtual(main)


def test_a_pump_that_says_nothing_costs_the_stated_time() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        began = bench.loop.time()
        with pytest.raises(NoAnswer):
            await bench.link.do(bench.dialect.read())
        assert bench.loop.time() - began == pytest.approx(0.5)

    virtual(main)


def test_an_alarm_with_nobody_asking_reaches_its_listener() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.far.write(safe("00A?T"))
        await asyncio.sleep(0.1)
        assert bench.unsolicited == ["00A?T"]
        reading = await bench.link.do(bench.dialect.read())
        assert reading.alarms == PumpAlarm.LEASE_EXPIRED

    virtual(main)


def test_a_stop_from_within_the_alarm_listener_is_allowed() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.link._on_unsolicited = lambda _frame: bench.link.stop_now()
        bench.far.write(safe("00A?S"))
        await asyncio.sleep(0.1)
        assert (await bench.link.stop()).state is PumpState.STOPPED

    virtual(main)


def test_a_stop_pushes_everything_else_aside_and_is_the_next_frame() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        running = asyncio.ensure_future(bench.link.do(bench.dialect.read()))
        waiting = asyncio.ensure_future(bench.link.do(bench.dialect.set_rate(RATE)))
        await asyncio.sleep(0.1)
        bench.answers = True
        bench.link.stop_now()
        reading = await bench.link.stop()
        assert reading.state is PumpState.STOPPED
        assert bench.pump.heard[:2] == ["0DIS", "0STP"]
        assert set(bench.pump.heard[1:]) == {"0STP", "0DIS"}
        for task in (running, waiting):
            with pytest.raises(PushedAside, match="bench: a stop came first"):
                await task

    virtual(main)


def test_a_stop_is_written_before_stop_now_returns() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.link.stop_now()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bench.pump.heard[:1] == ["0STP"]
        assert bench.pump.status == "P"

    virtual(main)


def test_a_stop_while_the_start_is_out_makes_it_uncertain_and_stops_it() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.link.do(bench.dialect.connect())
        await bench.link.do(bench.dialect.configure(BD_20))
        bench.pump.lose_answer = lambda _number, text: text == "RUN"
        start = asyncio.ensure_future(bench.link.do(bench.dialect.start(RATE, TARGET, LEASE)))
        await asyncio.sleep(0.1)
        assert bench.pump.status == "I"
        assert (await bench.link.stop()).state is PumpState.STOPPED
        assert bench.pump.status == "S"
        with pytest.raises(UncertainDelivery):
            await start

    virtual(main)


def test_stops_join_and_a_repeated_one_only_sends_once_more() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.link.stop_now()
        bench.link.stop_now()
        first, second = await asyncio.gather(bench.link.stop(), bench.link.stop())
        assert first == second
        assert bench.pump.heard.count("0STP") <= 3
        assert bench.pump.status == "S"
        assert (await bench.link.do(bench.dialect.read())).state is PumpState.STOPPED

    virtual(main)


def test_cancelling_a_wait_for_a_stop_does_not_end_the_stop() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        task = asyncio.ensure_future(bench.link.stop())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(1.0)
        assert bench.pump.status == "S"

    virtual(main)


def test_a_stop_nobody_waits_for_may_fail_quietly() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        bench.link.stop_now()
        await asyncio.sleep(60.0)
        bench.answers = True
        assert (await bench.link.stop()).state is PumpState.STOPPED

    virtual(main)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_cancelled_waiter_is_never_sent_and_a_cancelled_runner_runs_on(stopped: bool) -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        runner = asyncio.ensure_future(bench.link.do(bench.dialect.read()))
        waiter = asyncio.ensure_future(bench.link.do(bench.dialect.pause()))
        await asyncio.sleep(0.1)
        runner.cancel()
        waiter.cancel()
        await asyncio.wait([runner, waiter])
        bench.answers = True
        if stopped:
            await bench.link.stop()
        else:
            await asyncio.sleep(1.0)
            assert bench.pump.heard == ["0DIS"]
        expected = PumpState.STOPPED if stopped else PumpState.RUNNING
        assert (await bench.link.do(bench.dialect.read())).state is expected

    virtual(main)


def test_a_lost_port_ends_everything_as_disconnected() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        tasks = [asyncio.ensure_future(bench.link.do(bench.dialect.read())) for _ in range(3)]
        await asyncio.sleep(0.1)
        bench.near.cut()
        for task in tasks:
            with pytest.raises(Disconnected, match="bench"):
                await task
        assert len(bench.lost) == 1
        with pytest.raises(Disconnected):
            await bench.link.do(bench.dialect.read())
        with pytest.raises(Disconnected):
            bench.link.stop_now()
        with pytest.raises(Disconnected):
            await bench.link.stop()

    virtual(main)


def test_a_port_lost_with_the_start_out_is_uncertain() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.link.do(bench.dialect.connect())
        await bench.link.do(bench.dialect.configure(BD_20))
        bench.pump.lose_answer = lambda _number, text: text == "RUN"
        start = asyncio.ensure_future(bench.link.do(bench.dialect.start(RATE, TARGET, LEASE)))
        await asyncio.sleep(0.1)
        bench.near.cut()
        with pytest.raises(UncertainDelivery):
            await start

    virtual(main)


def test_a_port_lost_during_a_stop_is_disconnected() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        stopping = asyncio.ensure_future(bench.link.stop())
        await asyncio.sleep(0.05)
        bench.near.cut()
        with pytest.raises(Disconnected):
            await stopping

    virtual(main)


def test_closing_is_idempotent_and_ends_what_waits() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.start()
        bench.answers = False
        task = asyncio.ensure_future(bench.link.do(bench.dialect.read()))
        await asyncio.sleep(0)
        bench.link.close()
        bench.link.close()
        with pytest.raises(Disconnected, match="closed"):
            await task
        assert bench.lost == []

    virtual(main)


def test_a_program_that_breaks_hands_its_error_to_its_caller_and_no_other() -> None:
    def broken() -> Program[None]:
        yield from NewEra().read()
        raise RuntimeError("a bug")

    async def main() -> None:
        bench = Bench()
        await bench.start()
        with pytest.raises(RuntimeError, match="a bug"):
            await bench.link.do(broken())
        assert (await bench.link.do(bench.dialect.read())).state is PumpState.RUNNING

    virtual(main)


class Wire:
    """A transport of which the test holds the other end in its hand."""

    name = "bench"

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False
        self.closed = 0

    def start(self, received: Received, lost: Lost) -> None:
        self.received, self.lost = received, lost

    def write(self, data: bytes) -> None:
        if self.broken:
            raise LinkError("bench", "too much is waiting")
        self.sent.append(data)

    write_now = write

    def close(self) -> None:
        self.closed += 1


def test_a_port_that_refuses_a_write_is_lost_to_everybody() -> None:
    async def main() -> None:
        wire, dialect = Wire(), NewEra()
        link = PumpLink(wire, dialect, asyncio.get_running_loop())
        wire.broken = True
        with pytest.raises(Disconnected, match="too much is waiting"):
            await link.do(dialect.read())
        wire.broken = False
        with pytest.raises(Disconnected):
            await link.do(dialect.read())
        assert wire.sent == []

    virtual(main)


def test_what_a_lost_port_still_says_is_ignored() -> None:
    async def main() -> None:
        wire, heard = Wire(), list[Frame]()
        link = PumpLink(wire, NewEra(), asyncio.get_running_loop(), on_unsolicited=heard.append)
        wire.lost(OSError(5, "gone"))
        wire.lost(None)
        wire.received(safe("00A?T"))
        assert heard == []
        assert link.name == "bench"
        with pytest.raises(Disconnected, match=r"lost: .*gone"):
            await link.do(NewEra().read())

    virtual(main)


def test_a_port_closed_by_the_other_side_says_so() -> None:
    async def main() -> None:
        wire, lost = Wire(), list[Disconnected]()
        PumpLink(wire, NewEra(), asyncio.get_running_loop(), on_lost=lost.append)
        wire.lost(None)
        assert str(lost[0]) == "bench: closed by the other side"

    virtual(main)


def test_an_alarm_without_a_listener_and_a_loss_without_one_are_survived() -> None:
    async def main() -> None:
        wire = Wire()
        PumpLink(wire, NewEra(), asyncio.get_running_loop())
        wire.received(safe("00A?T"))
        wire.lost(None)

    virtual(main)


@pytest.mark.parametrize("name", ["clean", "one byte at a time", "lossy", "late"])
def test_the_same_delivery_over_four_cables(name: str) -> None:
    def cable(seed: int) -> Cable | None:
        stream = random.Random(seed)
        if name == "one byte at a time":
            return Cable(stream=stream, one_byte_at_a_time=True, byte_s=0.0005)
        if name == "lossy":
            return Cable(stream=stream, loss=0.05, corrupt=0.05)
        if name == "late":
            return Cable(stream=stream, delay_s=0.1, jitter_s=0.1)
        return None

    async def main() -> None:
        bench = Bench(cable_from=cable(7))
        await bench.start()
        readings = 0
        for _ in range(60):
            await asyncio.sleep(1.0)
            try:
                reading = await bench.link.do(bench.dialect.read())
            except NoAnswer:
                continue
            readings += reading.state is PumpState.RUNNING
        assert readings > 50
        assert (await bench.link.stop()).state is PumpState.STOPPED
        assert bench.pump.status == "S"
        assert bench.pump.heard.count("0RUN") == 0

    virtual(main)


def test_a_request_is_read_back_as_it_was_written() -> None:
    assert [request_text(frame) for frame in split(safe("0DIS") + b"0STP\r")] == ["0DIS", "0STP\r"]
