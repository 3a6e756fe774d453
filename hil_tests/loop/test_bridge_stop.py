"""Stopping: from every side, at any instant, for certain, and for good where it is an emergency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from firmware_bridge.dialect import Limits, Program, Reading, Syringe
from firmware_bridge.latch import FileLatch, MemoryLatch
from firmware_bridge.messages import (
    Code,
    Disarm,
    Ending,
    PumpAlarm,
    PumpState,
    Reset,
    SelfTest,
    SetRate,
    Stop,
)
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.quantities import Duration
from hil_tests.loop.bridge_rig import LEASE, ML_H, Rig, virtual
from hil_tests.loop.line_pump import LineDialect
from sim.virtual_loop import run_virtual

STOPS_AND_QUERIES = {"STOP", "READ", "ID"}


def is_latched(rig: Rig) -> bool:
    return rig.latch.is_set


def only_stops_and_queries_after_the_first_stop(rig: Rig, since: float) -> bool:
    lines = rig.pump.since(since)
    first = lines.index("STOP")
    return set(lines[first:]) <= STOPS_AND_QUERIES


# --- the controller is gone ------------------------------------------------------------------------


@virtual
async def test_the_end_of_the_pipe_is_a_stop_at_once_then_restore_and_no_latch(rig: Rig) -> None:
    await rig.running()
    await asyncio.sleep(1.0)
    at = rig.loop.time()
    assert await rig.end() is True
    assert rig.pump.since(at)[0] == "STOP"
    assert rig.pump.seen[-1][1] == "RESTORE"
    assert next(when for when, line in rig.pump.seen if line == "STOP" and when >= at) == at
    assert not is_latched(rig)


@virtual
async def test_without_a_controller_a_pump_that_never_confirms_is_given_up_after_a_minute(
    rig: Rig,
) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP", "READ")
    at = rig.loop.time()
    assert await rig.end() is False
    assert 60.0 < rig.loop.time() - at < 65.0
    assert rig.pump.since(at).count("STOP") > 100
    rig.pump.state = PumpState.STOPPED  # by its own dead-man, which this script has not


@virtual
async def test_a_pump_that_hears_again_is_stopped_however_late(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP", "READ")
    rig.controller.close()
    await asyncio.sleep(30.0)
    rig.pump.deaf_to = ()
    assert await rig.task is True


@virtual
async def test_a_cancelled_bridge_has_written_a_stop(rig: Rig) -> None:
    await rig.running()
    at = rig.loop.time()
    rig.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rig.task
    await asyncio.sleep(0.1)
    assert rig.pump.since(at) == ["STOP"]


@virtual
async def test_ending_twice_is_ending_once(rig: Rig) -> None:
    await rig.running()
    rig.bridge.end()
    rig.bridge.end()
    assert await rig.task is True


@virtual
async def test_an_emergency_while_the_settings_are_put_back_is_seen_through(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("RESTORE",)
    rig.controller.close()
    await rig.until(lambda: "RESTORE" in rig.pump.lines)
    rig.bridge.stop_now("late press")
    assert await rig.task is False
    assert rig.pump.lines[-1] == "READ"
    assert is_latched(rig)


# --- emergency stop --------------------------------------------------------------------------------


@virtual
async def test_an_emergency_stop_is_the_next_frame_and_only_stops_and_queries_follow(
    rig: Rig,
) -> None:
    await rig.running()
    at = rig.loop.time()
    rig.controller.estop()
    await asyncio.sleep(1.0)
    for command in (rig.run(), rig.configure(), rig.arm(), SelfTest(rig.next_id(), LEASE)):
        result = await rig.controller.ends(command)
        assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    await rig.controller.snapshot()
    await rig.end()
    assert rig.pump.since(at)[0] == "STOP"
    assert set(rig.pump.since(at)) <= STOPS_AND_QUERIES
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED
    assert PumpAlarm.ESTOP_LATCHED in rig.controller.snapshots[-1].alarms


@virtual
async def test_the_latch_outlives_the_bridge(rig: Rig) -> None:
    await rig.running()
    rig.controller.estop()
    await asyncio.sleep(1.0)
    await rig.end()
    rig.begin()
    await asyncio.sleep(1.0)
    result = await rig.controller.ends(rig.arm())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "latch" in result.reason
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.ESTOP_LATCHED]


@virtual
async def test_a_latched_pump_is_not_even_restored(rig: Rig) -> None:
    await rig.running()
    rig.controller.estop()
    assert await rig.end() is True
    assert "RESTORE" not in rig.pump.lines
    assert any("not put back" in line for line in rig.logged)


@virtual
async def test_acknowledging_does_not_unlatch(rig: Rig) -> None:
    await rig.running()
    rig.controller.estop()
    await asyncio.sleep(1.0)
    rig.controller.acknowledge(PumpAlarm.ESTOP_LATCHED)
    await asyncio.sleep(0.1)
    assert PumpAlarm.ESTOP_LATCHED in rig.controller.snapshots[-1].alarms
    assert (await rig.controller.ends(rig.arm())).ending is Ending.REFUSED


@virtual
async def test_a_reset_with_the_right_boot_id_unlatches_and_starts_nothing(rig: Rig) -> None:
    await rig.running()
    rig.controller.estop()
    await asyncio.sleep(1.0)
    wrong = await rig.controller.ends(Reset(rig.next_id(), 99))
    assert (wrong.ending, wrong.code) == (Ending.REFUSED, Code.BAD_ARGUMENT)
    assert is_latched(rig)
    at = rig.loop.time()
    assert (await rig.controller.ends(Reset(rig.next_id(), 1))).ending is Ending.DONE
    assert not is_latched(rig)
    assert rig.pump.since(at) == []
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED
    assert (await rig.controller.ends(rig.arm())).ending is Ending.DONE
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE


@virtual
async def test_a_reset_waits_for_a_pump_that_is_confirmed_stopped(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    rig.controller.estop()
    await asyncio.sleep(0.5)
    result = await rig.controller.ends(Reset(rig.next_id(), 1))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert is_latched(rig)
    rig.pump.deaf_to = ()


@virtual
async def test_a_reset_that_cannot_be_written_leaves_the_latch(rig: Rig) -> None:
    await rig.met()
    rig.bridge.stop_now("test")
    await asyncio.sleep(1.0)
    latch = rig.latch
    assert isinstance(latch, MemoryLatch)
    latch.clear = lambda: "read-only file system"  # type: ignore[method-assign]  # a disk that fails
    result = await rig.controller.ends(Reset(rig.next_id(), 1))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.NOT_CONFIRMED)
    assert "read-only" in result.reason
    assert latch.is_set


@virtual
async def test_a_latch_that_cannot_be_saved_stops_all_the_same_and_is_an_alarm(rig: Rig) -> None:
    await rig.running()
    latch = rig.latch
    assert isinstance(latch, MemoryLatch)
    latch.save = lambda: "no space left on device"  # type: ignore[method-assign]  # a disk that is full
    rig.controller.estop()
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED
    alarms = [alarm for _, alarm in rig.controller.alarms()]
    assert alarms == [PumpAlarm.ESTOP_LATCHED, PumpAlarm.INTERNAL_FAULT]
    assert (await rig.controller.ends(rig.arm())).ending is Ending.REFUSED


@virtual
async def test_a_stop_is_written_before_the_latch_is_saved(rig: Rig) -> None:
    await rig.running()
    latch = rig.latch
    assert isinstance(latch, MemoryLatch)
    at_save: list[tuple[bool, int]] = []
    sent = rig.sent_to_pump

    def save() -> None:
        at_save.append((latch.is_set, sent.count(b"STOP\n")))

    before = sent.count(b"STOP\n")
    latch.save = save  # type: ignore[method-assign]  # to look at the moment of saving
    rig.bridge.stop_now("test")
    assert at_save == [(True, before + 1)]


@virtual
async def test_a_flood_of_emergency_stops_is_one_stop(rig: Rig) -> None:
    await rig.running()
    at = rig.loop.time()
    for _ in range(1000):
        rig.bridge.stop_now("flood")
    await asyncio.sleep(1.0)
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED
    assert rig.pump.since(at).count("STOP") < 10


@virtual
async def test_an_emergency_stop_needs_no_greeting(rig: Rig) -> None:
    await rig.met()
    await rig.end()
    rig.begin()
    rig.controller.estop()
    await asyncio.sleep(1.0)
    assert is_latched(rig)


@virtual
async def test_nothing_looks_stopped_before_the_pump_has_said_so(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(rig.run())
    await asyncio.sleep(0.012)  # the start is out, its answer is not back
    rig.pump.deaf_to = ("STOP", "READ")
    rig.controller.estop()
    await asyncio.sleep(0.5)
    seen = await rig.controller.snapshot()
    assert seen.state not in (PumpState.STOPPED, PumpState.COMPLETED)
    rig.pump.deaf_to = ()


@pytest.mark.parametrize("order", ["start", "rate", "configure", "self-test", "disarm", "first"])
@pytest.mark.parametrize("seed", range(25))
def test_at_whatever_instant_it_comes_only_stops_and_queries_follow(order: str, seed: int) -> None:
    """The instants are spread over the whole of each order, whose exchanges take 5 ms each."""

    async def scenario() -> None:
        rig = Rig()
        if order == "first":
            rig.begin()
        elif order in ("rate", "disarm"):
            await rig.running()
        else:
            await rig.armed()
        commands: dict[str, Numbered] = {
            "start": rig.run(),
            "rate": SetRate(rig.next_id(), ML_H(30)),
            "configure": rig.configure(),
            "self-test": SelfTest(rig.next_id(), Duration(1000)),
            "disarm": Disarm(rig.next_id()),
        }
        if order in commands:
            rig.controller.give(commands[order])
        await asyncio.sleep(0.0013 * seed)
        at = rig.loop.time()
        rig.bridge.stop_now("any instant")
        await asyncio.sleep(3.0)
        assert only_stops_and_queries_after_the_first_stop(rig, at)
        assert rig.pump.state is not PumpState.RUNNING
        assert (await rig.controller.snapshot()).state is PumpState.STOPPED
        assert is_latched(rig)
        await rig.end()

    run_virtual(scenario, seed=seed, budget_s=500)


@pytest.mark.parametrize("seed", range(40))
def test_a_stop_between_two_programs_of_one_order_leaves_the_second_unsent(seed: int) -> None:
    """The syringe is programmed lazily after a reset, so that a start is two programs."""

    async def scenario() -> None:
        rig = Rig()
        await rig.armed()
        rig.pump.forget()
        await (
            rig.controller.snapshot()
        )  # the reset is noticed, everything has to be programmed anew
        await asyncio.sleep(1.0)
        rig.controller.acknowledge(PumpAlarm.RESET)
        await rig.controller.ends(rig.arm())
        rig.controller.give(rig.run())
        configured = rig.pump.lines.count("SYRINGE 19050")
        await rig.until(lambda: rig.pump.lines.count("SYRINGE 19050") > configured)
        await asyncio.sleep(rig.pump.think_s - 0.0005)  # as its answer comes
        at = rig.loop.time()
        rig.controller.give(Stop(rig.next_id()))
        await asyncio.sleep(3.0)
        assert only_stops_and_queries_after_the_first_stop(rig, at)
        assert rig.pump.state is PumpState.STOPPED
        await rig.end()

    run_virtual(scenario, seed=seed, budget_s=500)


class CallsAsItEnds(LineDialect):
    """A pump on whose last answer to a program something else happens in the same instant."""

    def __init__(self) -> None:
        super().__init__()
        self.call: Callable[[], None] | None = None

    def configure(self, syringe: Syringe) -> Program[Limits]:
        limits = yield from super().configure(syringe)
        self._happen()
        return limits

    def read(self) -> Program[Reading]:
        reading = yield from super().read()
        self._happen()
        return reading

    def _happen(self) -> None:
        call, self.call = self.call, None
        if call is not None:
            asyncio.get_running_loop().call_soon(call)


@pytest.mark.parametrize("kind", ["ordinary", "fault", "emergency"])
@pytest.mark.parametrize("lazily_configured", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_stop_in_the_instant_of_the_last_answer_before_a_start_prevents_it(
    seed: int, lazily_configured: bool, kind: str
) -> None:
    """The start has its permit already, or its syringe, and is about to be sent."""

    async def scenario() -> None:
        rig = Rig()
        dialect = CallsAsItEnds()
        rig.make_dialect = lambda: dialect
        await rig.armed()

        def stop() -> None:
            stops: dict[str, Callable[[str], None]] = {
                "ordinary": rig.bridge._keeper.halt,  # leaves the gate open
                "fault": rig.bridge.fault,
                "emergency": rig.bridge.stop_now,
            }
            stops[kind]("in the same instant")

        dialect.call = stop
        if lazily_configured:
            dialect.call = None
            rig.unplug()
            await asyncio.sleep(0.5)
            rig.replug()
            await asyncio.sleep(2.0)
            rig.controller.acknowledge(PumpAlarm.LINK_LOST)
            await rig.controller.ends(rig.arm())
            dialect.call = lambda: setattr(dialect, "call", stop)  # after the reading, the syringe
        at = rig.loop.time()
        result = await rig.controller.ends(rig.run())
        await asyncio.sleep(2.0)
        assert only_stops_and_queries_after_the_first_stop(rig, at)
        assert rig.pump.state is PumpState.STOPPED
        lines = rig.pump.since(at)
        if not {"LEASE 3000", "RUN 60000000 1000000"} & set(lines):
            assert (
                result.ending is Ending.REFUSED
            )  # nothing of it was sent, so nothing is uncertain
        await rig.end()

    run_virtual(scenario, seed=seed, budget_s=500)


@virtual
async def test_every_stop_is_on_the_wire_before_anything_else_happens(rig: Rig) -> None:
    await rig.running()
    rig.bridge.fault("test")
    assert rig.sent_to_pump[-1] == b"STOP\n"
    await asyncio.sleep(1.0)
    sent = len(rig.sent_to_pump)
    rig.bridge.end()
    assert rig.sent_to_pump[sent:] == [b"STOP\n"]


# --- stops that are hard to confirm ----------------------------------------------------------------


@virtual
async def test_a_stop_that_is_not_confirmed_is_an_alarm_after_a_second_and_goes_on(
    rig: Rig,
) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    at = rig.loop.time()
    stop = Stop(rig.next_id())
    rig.controller.give(stop)
    await asyncio.sleep(4.0)
    (when, alarm) = rig.controller.alarms()[0]
    assert alarm is PumpAlarm.STOP_UNCONFIRMED
    assert when == pytest.approx(at + 1.0, abs=0.01)
    assert rig.pump.since(at + 3.0).count("STOP") >= 2
    rig.pump.deaf_to = ()
    assert (await rig.controller.ending(stop.command_id)).ending is Ending.DONE
    rig.controller.acknowledge(PumpAlarm.STOP_UNCONFIRMED)
    await asyncio.sleep(0.1)
    assert rig.controller.snapshots[-1].alarms is PumpAlarm.NONE


@virtual
async def test_an_unconfirmed_stop_cannot_be_acknowledged_away(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    rig.controller.give(Stop(rig.next_id()))
    await asyncio.sleep(2.0)
    rig.controller.acknowledge(PumpAlarm.STOP_UNCONFIRMED)
    await asyncio.sleep(0.1)
    assert PumpAlarm.STOP_UNCONFIRMED in rig.controller.snapshots[-1].alarms
    rig.pump.deaf_to = ()


@virtual
async def test_orders_are_refused_while_a_stop_is_under_way(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    rig.controller.give(Stop(rig.next_id()))
    result = await rig.controller.ends(rig.configure())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "a stop is under way" in result.reason
    rig.pump.deaf_to = ()


@virtual
async def test_orders_that_waited_when_the_stop_came_are_refused(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(SelfTest(rig.next_id(), LEASE))
    await asyncio.sleep(0.1)
    run = rig.run()
    rig.controller.give(run)
    rig.controller.give(Stop(rig.next_id()))
    result = await rig.controller.ending(run.command_id)
    assert (result.ending, result.reason) == (Ending.REFUSED, "a stop came first")
    await asyncio.sleep(5.0)
    assert not any(line.startswith("RUN") for line in rig.pump.lines)


@virtual
async def test_leases_during_a_stop_renew_nothing(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    at = rig.loop.time()
    rig.controller.give(Stop(rig.next_id()))
    await rig.lease_for(3)
    assert set(rig.pump.since(at)) <= STOPS_AND_QUERIES
    rig.pump.deaf_to = ()


@virtual
async def test_a_fault_of_the_process_stops_closes_and_alarms(rig: Rig) -> None:
    await rig.running()
    rig.bridge.fault("the loop was blocked")
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.INTERNAL_FAULT]
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED
    assert not is_latched(rig)


@virtual
async def test_at_rest_is_true_only_once_the_pump_has_confirmed(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("STOP",)
    rig.bridge.stop_now("test")
    assert await rig.bridge.at_rest(3.0) is False
    rig.pump.deaf_to = ()
    assert await rig.bridge.at_rest(3.0) is True
    assert rig.pump.state is PumpState.STOPPED


@virtual
async def test_at_rest_is_false_while_delivering(rig: Rig) -> None:
    await rig.armed()
    assert await rig.bridge.at_rest(0.1) is True
    await rig.controller.ends(rig.run())
    assert await rig.bridge.at_rest(0.1) is False


def test_a_latch_file_found_at_the_start_refuses_arming(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("state") / "bench-1.latch"
    path.write_bytes(b"\x00garbage")

    async def scenario() -> None:
        rig = Rig(FileLatch(path))
        await rig.met()
        assert (await rig.controller.ends(rig.arm())).ending is Ending.REFUSED
        await rig.end()

    run_virtual(scenario, budget_s=100)
