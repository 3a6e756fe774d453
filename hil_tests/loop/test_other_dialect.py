"""A dialect of somebody else's, found by its entry point: both halves against each other, and at the bridge.

The halves share no code; what they agree on here, each read from the sheet in ``other_dialect/README.md``.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialect import Ask, Frame, HostDialect, Listen, Reading, Syringe
from firmware_bridge.dialects import dialect_kind, dialect_names, make_dialect, parse_pump_url
from firmware_bridge.errors import BeyondPump, NoAnswer, PumpInAlarm, UncertainDelivery
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import (
    Capability,
    Ending,
    Pause,
    PumpAlarm,
    PumpState,
    Resume,
    SelfTest,
    SetRate,
)
from firmware_bridge.pump import pump_on
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.memory import Cable, MemoryTransport, pair
from hil_tests.loop.bridge_rig import LEASE, ML, ML_H, Rig
from hil_tests.other_distribution import install
from sim.devices.base import Device
from sim.devices.kinds import PumpOptions, device_kind, device_names
from sim.serve import Served, serve_memory
from sim.virtual_loop import run_virtual

BD_20 = Syringe(19_050, Volume.from_ml(20))
CABLES: dict[str, Callable[[random.Random], Cable | None]] = {
    "clean": lambda _: None,
    "one byte at a time": lambda stream: Cable(
        stream=stream, one_byte_at_a_time=True, byte_s=10 / 9_600
    ),
    # Two readings lost in a row end a delivery at the bridge: a line worse than this would show only that.
    "lossy": lambda stream: Cable(stream=stream, loss=0.01, corrupt=0.01),
    "late": lambda stream: Cable(stream=stream, delay_s=0.05, jitter_s=0.1),
}
STROKE_NL = 200
"""One microstep of a 20 mL syringe on the simulated drive is about 180 nL."""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for path in reversed(install(tmp_path / "site")):
        monkeypatch.syspath_prepend(path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "drip":
            del sys.modules[name]


def new_host() -> HostDialect:
    return make_dialect(parse_pump_url("drip:bench"))


def new_device(*quirks: str) -> Device:
    return device_kind("drip").make(PumpOptions(model="drip-1", quirks=quirks))


def both_ways(cable: str) -> Callable[[], Cable | None]:
    """Makes one direction, then the other, each with chances of its own."""
    streams = [random.Random(seed) for seed in range(2)]
    return lambda: CABLES[cable](streams.pop())


class Bench:
    """A simulated pump with a cable, and the host's end of it."""

    def __init__(self, *quirks: str, cable: Callable[[], Cable | None] = lambda: None) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent: list[bytes] = []
        self.near: MemoryTransport
        self.near, far = pair(
            self.loop, a_name="bench", cable_ab=cable(), cable_ba=cable(), tap=self._tapped
        )
        self.served: Served = serve_memory(new_device(*quirks), far, self.loop)

    def _tapped(self, end: str, data: bytes) -> None:
        if end == "bench":
            self.sent.append(data)

    def delivered_nl(self) -> int:
        return self.served.truth().plunger_nl


def virtual(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run, seed=3, budget_s=100_000.0)


# --- that it is there ------------------------------------------------------------------------------


def test_both_halves_are_found_by_the_entry_point() -> None:
    assert "drip" in dialect_names()
    assert "drip" in device_names()
    assert parse_pump_url("drip:/dev/ttyACM0").baud == 9_600
    assert Capability.DEAD_MAN in (dialect_kind("drip").capabilities or Capability.NONE)
    assert device_kind("drip").quirks == {"count_after_power": ("lost", "kept")}


def test_a_process_that_needs_one_half_does_not_load_the_other() -> None:
    dialect_kind("drip")
    assert "drip.drip_device" not in sys.modules
    device_kind("drip")
    assert "drip.drip_device" in sys.modules


# --- each side against the sheet, by hand ---------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"#07 ID*2A\n", b"#07 DRIP-1 1.0 00042*2D\n"),
        (b"#08 SYR 26.590*46\n", b"#08 26.590*3E\n"),
        (b"#09 RATE*2B\n", b"#09 0.000*07\n"),
        (b"#10 GO*29\n", b"#10 ERR NOT HELD*34\n"),
        (b"#11 HOLD 0.500*24\n", b"#11 ERR RANGE*1A\n"),
        (b"#12 STAT*31\n", b"#12 IDLE 0.000 -*24\n"),
        (b"#13 SING*31\n", b"#13 ERR UNKNOWN*0F\n"),
        (b"noise#14 SY#15 ZERO*26\n", b"#15 IDLE 0.000 -*23\n"),
        (b"#16 STAT*00\n", b""),
        (b"#17 %s*00\n" % (b"9" * 90), b""),
    ],
)
def test_the_pump_answers_as_the_sheet_says(request_: bytes, answer: bytes) -> None:
    assert b"".join(frame for _, frame in new_device().feed(request_, 0.0)) == answer
    piecewise = new_device()
    pieces = [piecewise.feed(request_[i : i + 1], 0.0) for i in range(len(request_))]
    assert b"".join(frame for piece in pieces for _, frame in piece) == answer


def test_the_host_stops_first_and_hears_only_whole_frames() -> None:
    host = new_host()
    assert host.stop_frame() == b"#00 STOP*38\n"
    assert [frame.text for frame in host.receive(b"#00 IDLE 0.000 -*27\n", 0.0)] == [
        "00 IDLE 0.000 -"
    ]
    assert host.receive(b"#00 IDLE 0.001 -*27\n", 0.0) == []


def test_a_late_answer_to_an_earlier_question_is_not_taken_for_this_ones() -> None:
    host = new_host()
    reading = host.read()
    assert next(reading) == Ask(b"#01 STAT*33\n", Duration(500))
    assert isinstance(reading.send(Frame(b"", "99 RUN 9.999 -")), Listen)
    with pytest.raises(StopIteration) as ended:
        reading.send(Frame(b"", "01 IDLE 0.250 -"))
    assert ended.value.value == Reading(PumpState.STOPPED, ML("0.25"), PumpAlarm.NONE)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_leave_both_sides_in_step_after_one_line(pieces: list[bytes]) -> None:
    host, device = new_host(), new_device()
    for piece in pieces:
        host.receive(piece, 0.0)
        device.feed(piece, 0.0)
    host.receive(b"\n", 0.0)
    assert len(host.receive(b"#00 IDLE 0.000 -*27\n", 0.0)) == 1
    device.feed(b"\n", 0.0)
    assert len(device.feed(b"#12 STAT*31\n", 0.0)) == 1


# --- both sides ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cable", CABLES)
def test_a_delivery_over_every_cable_gives_what_was_asked_and_leaves_the_pump_as_found(
    cable: str,
) -> None:
    async def main() -> None:
        bench = Bench(cable=both_ways(cable))
        asked = Volume.from_ml(1)
        async with pump_on(bench.near, new_host()) as pump:
            assert pump.identity.raw == "DRIP-1 1.0 00042"
            limits = await pump.configure(Syringe(14_430, Volume.from_ml(10)))
            assert limits.rate_max == Rate.from_ml_h("490.618")
            done = await pump.infuse(Rate.from_ml_h("60.0009"), asked)
            assert (done.ended, done.delivered) == (PumpState.COMPLETED, asked)
            assert done.programmed.rate == Rate.from_ml_h(60)
        assert asked.nl - STROKE_NL <= bench.delivered_nl() <= asked.nl + STROKE_NL
        assert pump.restored == ("SYR 19.050", "RATE 0.000", "VOL 0.000")

    virtual(main)


def test_the_pump_lets_go_by_itself_when_nobody_renews() -> None:
    async def main() -> None:
        bench = Bench()
        dialect = new_host()
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        await link.do(dialect.start(ML_H(60), ML(2), LEASE))
        await asyncio.sleep(60.0)
        assert bench.delivered_nl() <= 3 * 60_000_000 // 3_600 + STROKE_NL
        reading = await link.do(dialect.read())
        assert (reading.state, reading.alarms) == (PumpState.ALARM, PumpAlarm.LEASE_EXPIRED)
        assert reading.infused == ML("0.05")
        link.close()

    virtual(main)


@pytest.mark.parametrize("kept", ["lost", "kept"])
def test_a_power_cut_in_mid_delivery_is_told_whatever_the_quirk(kept: str) -> None:
    async def main() -> None:
        bench = Bench(f"count_after_power={kept}")
        async with pump_on(bench.near, new_host()) as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(ML_H(60), ML(2)))
            await asyncio.sleep(30.5)
            bench.served.power_cycle()
            with pytest.raises(PumpInAlarm, match="RESET"):
                await infusing
            counted = (await pump.snapshot()).infused
            assert (counted > ML("0.4")) is (kept == "kept")

    virtual(main)


def test_a_start_whose_answer_is_lost_is_uncertain_and_is_sent_once() -> None:
    async def main() -> None:
        bench = Bench()
        async with pump_on(bench.near, new_host()) as pump:
            await pump.configure(BD_20)

            def lose_its_answer(name: str) -> None:
                if name == "GO":
                    bench.served.inject("frame_drop", direction="from_pump", for_commands=1)

            bench.served.device.on_command = lose_its_answer
            with pytest.raises(UncertainDelivery, match="ask the pump what it delivered"):
                await pump.infuse(ML_H(60), ML(2))
            assert sum(b" GO*" in frame for frame in bench.sent) == 1
            assert 0 < bench.delivered_nl() < 20_000

    virtual(main)


def test_a_stop_that_the_pump_ignores_is_never_called_confirmed() -> None:
    async def main() -> None:
        bench = Bench()
        async with pump_on(bench.near, new_host()) as pump:
            await pump.configure(BD_20)
            infusing = asyncio.ensure_future(pump.infuse(ML_H(60), ML(2)))
            await asyncio.sleep(5.5)
            bench.served.inject("stop_ignored")
            with pytest.raises(NoAnswer, match="did not confirm the stop, and last said RUN"):
                await pump.stop()
            bench.served.clear()
            await pump.stop()
            await asyncio.wait([infusing])

    virtual(main)


def test_an_order_beyond_the_pump_sends_nothing() -> None:
    async def main() -> None:
        bench = Bench()
        dialect = new_host()
        link = PumpLink(bench.near, dialect, bench.loop)
        await link.do(dialect.connect())
        await link.do(dialect.configure(BD_20))
        bench.sent.clear()
        for rate, volume, lease, why in (
            (ML_H(2_000), ML(1), LEASE, "rate: 2000 mL/h is outside 0.1 mL/h to 855.068 mL/h"),
            (ML_H(60), ML(21), LEASE, "syringe's 20 mL"),
            (ML_H(60), ML(1), Duration(500), "lease: 0.5 s is outside 1 s to 60 s"),
        ):
            with pytest.raises(BeyondPump, match=why):
                await link.do(dialect.start(rate, volume, lease))
        assert bench.sent == []
        link.close()

    virtual(main)


def test_the_example_in_the_docs_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "docs/dialects.md", "exec"), dict(globals()))


# --- behind bridge and gate --------------------------------------------------------------------------


class DripRig(Rig):
    """The rig of the bridge's own tests, with a drip pump on the port."""

    def __init__(self) -> None:
        super().__init__()
        self.make_dialect = new_host
        self.served: Served | None = None
        self.cable: Callable[[], Cable | None] = lambda: None

    async def met(self) -> None:
        """The controller has been let in, however long the cable makes that take."""
        self.begin()
        await self.until(lambda: self.controller.session.is_open, step_s=0.05)

    async def _open_port(self) -> Transport:
        near, far = pair(self.loop, cable_ab=self.cable(), cable_ba=self.cable(), tap=self._tap)
        self.served = serve_memory(new_device(), far, self.loop)
        return near

    def moved_nl(self) -> int:
        assert self.served is not None
        return self.served.truth().plunger_nl


def at_the_bridge(scenario: Callable[[DripRig], Awaitable[None]]) -> None:
    """However the scenario went, the pump stands at its end, and was put back."""

    async def main() -> None:
        rig = DripRig()
        await scenario(rig)
        assert await rig.end()
        before = rig.moved_nl()
        await asyncio.sleep(60.0)
        assert rig.moved_nl() == before
        assert rig.served is not None
        ((_, rate),) = rig.served.device.feed(b"#09 RATE*2B\n", rig.loop.time())
        assert rate == b"#09 0.000*07\n"

    virtual(main)


@pytest.mark.parametrize("cable", CABLES)
def test_through_bridge_and_gate_it_is_delivered_paused_changed_and_completed(cable: str) -> None:
    async def scenario(rig: DripRig) -> None:
        rig.cable = both_ways(cable)
        await rig.armed()
        assert (await rig.controller.ends(SelfTest(rig.next_id(), LEASE))).ending is Ending.DONE
        assert rig.moved_nl() == 0
        result = await rig.controller.ends(rig.run(volume=ML("0.5")))
        assert (result.ending, result.volume) == (Ending.DONE, ML("0.5"))
        await rig.lease_for(10)
        for command in (Pause(rig.next_id()), Resume(rig.next_id())):
            assert (await rig.controller.ends(command)).ending is Ending.DONE
        await rig.lease_for(2)
        changed = await rig.controller.ends(SetRate(rig.next_id(), ML_H(50)))
        assert (changed.ending, changed.rate) == (Ending.DONE, ML_H(50))
        await rig.lease_for(30)
        assert (await rig.controller.snapshot()).state is PumpState.COMPLETED
        assert abs(rig.moved_nl() - 500_000) <= STROKE_NL
        assert rig.controller.alarms() == []

    at_the_bridge(scenario)


def test_an_order_above_what_was_armed_never_reaches_the_wire() -> None:
    async def scenario(rig: DripRig) -> None:
        await rig.armed()
        result = await rig.controller.ends(rig.run(rate=ML_H(61)))
        assert (result.ending, result.reason) == (
            Ending.REFUSED,
            "rate: 61 mL/h is above 60 mL/h",
        )
        assert not any(b"61.000" in frame or b" GO" in frame for frame in rig.sent_to_pump)

    at_the_bridge(scenario)


def test_an_occlusion_reaches_the_controller_by_name() -> None:
    async def scenario(rig: DripRig) -> None:
        await rig.running(ML(2))
        assert rig.served is not None
        rig.served.inject("downstream_occlusion")
        await rig.lease_for(120)
        assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.OCCLUSION]
        rig.served.clear()

    at_the_bridge(scenario)
