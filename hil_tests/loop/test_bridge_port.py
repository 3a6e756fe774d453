"""The bridge when the world misbehaves: ports that vanish, pumps that forget, lie, move and fall silent."""

from __future__ import annotations

import asyncio

import pytest

from firmware_bridge.errors import LinkError, NoAnswer
from firmware_bridge.messages import (
    Code,
    Ending,
    Pause,
    PumpAlarm,
    PumpState,
    Resume,
    SetRate,
    Stop,
)
from firmware_bridge.quantities import Duration
from hil_tests.loop.bridge_rig import ML, ML_H, Rig, virtual

# --- a port that vanishes --------------------------------------------------------------------------


@virtual
async def test_an_unplugged_pump_is_unknown_at_once_and_an_alarm(rig: Rig) -> None:
    await rig.running()
    at = rig.loop.time()
    rig.unplug()
    await asyncio.sleep(0.1)
    (when, alarm) = rig.controller.alarms()[0]
    assert (alarm, when - at < 0.05) == (PumpAlarm.LINK_LOST, True)
    assert (await rig.controller.snapshot()).state is PumpState.UNKNOWN
    result = await rig.controller.ends(rig.run())
    assert (result.ending, result.reason) == (Ending.REFUSED, "the port is lost")
    rig.replug()
    await asyncio.sleep(5.0)


@virtual
async def test_a_replugged_pump_is_stopped_first_and_never_resumed(rig: Rig) -> None:
    await rig.running()
    rig.unplug()
    await asyncio.sleep(2.0)
    at = rig.loop.time()
    rig.replug()
    await rig.lease_for(10)
    lines = rig.pump.since(at)
    assert lines[0] == "STOP"
    assert set(lines) <= {"STOP", "ID", "READ"}
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED


@virtual
async def test_after_replugging_everything_is_programmed_anew_before_the_next_start(
    rig: Rig,
) -> None:
    await rig.running()
    rig.unplug()
    await asyncio.sleep(2.0)
    rig.replug()
    await asyncio.sleep(5.0)
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED
    rig.controller.acknowledge(PumpAlarm.LINK_LOST)
    await rig.controller.ends(rig.arm())
    at = rig.loop.time()
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE
    lines = rig.pump.since(at)
    assert lines.index("SYRINGE 19050") < lines.index("RUN 60000000 1000000")


@virtual
async def test_a_lost_port_is_tried_at_growing_intervals(rig: Rig) -> None:
    await rig.met()
    rig.unplug()
    await asyncio.sleep(21.0)
    waits = [later - earlier for earlier, later in zip(rig.tries, rig.tries[1:], strict=False)][1:]
    assert waits[:5] == pytest.approx([0.25, 0.5, 1.0, 2.0, 2.0])
    assert max(waits) == pytest.approx(2.0)
    assert sum("no such port" in line for line in rig.logged) == 1
    rig.replug()


@virtual
async def test_a_lost_link_cannot_be_acknowledged_away(rig: Rig) -> None:
    await rig.met()
    rig.unplug()
    await asyncio.sleep(1.0)
    rig.controller.acknowledge(PumpAlarm.LINK_LOST)
    await asyncio.sleep(0.1)
    assert PumpAlarm.LINK_LOST in rig.controller.snapshots[-1].alarms
    rig.replug()
    await asyncio.sleep(5.0)
    rig.controller.acknowledge(PumpAlarm.LINK_LOST)
    await asyncio.sleep(0.1)
    assert rig.controller.snapshots[-1].alarms is PumpAlarm.NONE


@virtual
async def test_a_stop_on_a_lost_port_is_answered_when_the_pump_is_back_and_stopped(
    rig: Rig,
) -> None:
    await rig.running()
    rig.unplug()
    stop = Stop(rig.next_id())
    await asyncio.sleep(1.0)
    rig.controller.give(stop)
    await asyncio.sleep(3.0)
    rig.replug()
    assert (await rig.controller.ending(stop.command_id)).ending is Ending.DONE
    assert rig.pump.state is PumpState.STOPPED
    assert PumpAlarm.STOP_UNCONFIRMED not in [alarm for _, alarm in rig.controller.alarms()]


@virtual
async def test_another_pump_on_the_port_is_an_alarm(rig: Rig) -> None:
    await rig.running()
    rig.unplug()
    rig.pump.identity = "LP2 9.9"
    await asyncio.sleep(1.0)
    rig.replug()
    await asyncio.sleep(5.0)
    assert PumpAlarm.IDENTITY_CHANGED in [alarm for _, alarm in rig.controller.alarms()]
    assert (await rig.controller.ends(rig.run())).ending is Ending.REFUSED


@virtual
async def test_a_pump_that_does_not_answer_after_replugging_is_asked_until_it_does(
    rig: Rig,
) -> None:
    await rig.running()
    rig.unplug()
    await asyncio.sleep(1.0)
    rig.pump.deaf_to = ("STOP", "ID")
    rig.replug()
    await asyncio.sleep(5.0)
    assert PumpAlarm.STOP_UNCONFIRMED not in [alarm for _, alarm in rig.controller.alarms()]
    rig.pump.deaf_to = ()
    await asyncio.sleep(2.0)
    assert (await rig.controller.snapshot()).state is PumpState.STOPPED


@virtual
async def test_unplugging_during_a_start_leaves_it_uncertain(rig: Rig) -> None:
    await rig.armed()
    run = rig.run()
    rig.controller.give(run)
    await asyncio.sleep(0.012)  # RUN is out, its answer is not back
    rig.unplug()
    assert (await rig.controller.ending(run.command_id)).ending is Ending.UNCERTAIN
    rig.replug()
    await asyncio.sleep(5.0)
    assert rig.pump.lines.count("RUN 60000000 1000000") == 1


@virtual
async def test_without_a_port_there_is_no_bridge(rig: Rig) -> None:
    rig.unplug()
    rig.begin()
    with pytest.raises(LinkError, match="no such port"):
        await rig.task
    await asyncio.sleep(0.1)
    assert rig.controller.lost


@virtual
async def test_without_an_answer_there_is_no_bridge_but_a_stop_was_said(rig: Rig) -> None:
    rig.pump.deaf_to = ("STOP", "ID")
    rig.begin()
    with pytest.raises(NoAnswer):
        await rig.task
    assert rig.pump.lines[-1] == "STOP"


# --- a pump that misbehaves ------------------------------------------------------------------------


@virtual
async def test_an_alarm_the_pump_tells_by_itself_is_passed_on_and_stops_it_at_once(
    rig: Rig,
) -> None:
    await rig.running()
    await asyncio.sleep(0.4)
    at = rig.loop.time()
    rig.pump.say(PumpAlarm.OCCLUSION)
    await asyncio.sleep(0.5)
    (when, alarm) = rig.controller.alarms()[0]
    assert (alarm, when - at < 0.01) == (PumpAlarm.OCCLUSION, True)
    assert rig.pump.since(at)[0] == "STOP"
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED


@virtual
async def test_an_alarm_found_in_a_reading_stops_closes_and_is_passed_on(rig: Rig) -> None:
    await rig.running()
    rig.pump.pending = PumpAlarm.AIR
    rig.controller.lease()
    await asyncio.sleep(0.5)
    assert rig.pump.state is PumpState.STOPPED
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.AIR]
    refused = await rig.controller.ends(rig.run())
    assert (refused.code, "the pump raised an alarm" in refused.reason) == (Code.NOT_ARMED, True)


@virtual
async def test_an_alarm_of_an_idle_pump_is_passed_on_too(rig: Rig) -> None:
    await rig.armed()
    rig.pump.say(PumpAlarm.BATTERY)
    await asyncio.sleep(1.0)
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.BATTERY]


@virtual
async def test_a_dead_man_that_trips_on_an_idle_pump_has_nothing_to_tell(rig: Rig) -> None:
    await rig.armed()
    rig.pump.say(PumpAlarm.LEASE_EXPIRED)
    await asyncio.sleep(1.0)
    assert rig.controller.alarms() == []
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE


@virtual
async def test_a_dead_man_that_trips_during_a_delivery_is_an_alarm(rig: Rig) -> None:
    await rig.running()
    rig.pump.say(PumpAlarm.LEASE_EXPIRED)
    await asyncio.sleep(1.0)
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.LEASE_EXPIRED]


@virtual
async def test_a_dead_man_that_trips_on_a_held_delivery_is_an_alarm(rig: Rig) -> None:
    await rig.running()
    await rig.controller.ends(Pause(rig.next_id()))
    rig.pump.say(PumpAlarm.LEASE_EXPIRED)
    await asyncio.sleep(1.0)
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.LEASE_EXPIRED]
    assert (await rig.controller.ends(Resume(rig.next_id()))).ending is Ending.REFUSED


@virtual
async def test_a_reset_closes_the_gate_and_everything_is_programmed_before_the_next_start(
    rig: Rig,
) -> None:
    await rig.running()
    rig.pump.forget()
    rig.controller.lease()
    await asyncio.sleep(1.0)
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.RESET]
    refused = await rig.controller.ends(rig.run())
    assert "the pump was reset" in refused.reason
    rig.controller.acknowledge(PumpAlarm.RESET)
    await rig.controller.ends(rig.arm())
    at = rig.loop.time()
    await rig.controller.ends(rig.run())
    assert "SYRINGE 19050" in rig.pump.since(at)


@virtual
async def test_a_start_whose_answer_is_lost_is_uncertain_stopped_and_not_repeated(
    rig: Rig,
) -> None:
    await rig.armed()
    rig.pump.mute_to = ("RUN",)
    result = await rig.controller.ends(rig.run())
    assert (result.ending, result.code) == (Ending.UNCERTAIN, Code.NOT_CONFIRMED)
    await asyncio.sleep(2.0)
    assert rig.pump.lines.count("RUN 60000000 1000000") == 1
    snapshot = await rig.controller.snapshot()
    assert snapshot.state is PumpState.STOPPED
    assert snapshot.infused == rig.pump.infused > ML(0)
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED


@virtual
async def test_a_start_that_the_pump_refuses_is_refused_and_counts_nothing(rig: Rig) -> None:
    await rig.armed(volume_total_max=ML(1))
    rig.pump.refuses = ("RUN",)
    assert (await rig.controller.ends(rig.run())).ending is Ending.REFUSED
    rig.pump.refuses = ()
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE


@virtual
async def test_a_start_into_an_alarm_is_refused_and_the_alarm_is_found_out(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(rig.run())
    await asyncio.sleep(0.008)  # after the reading before the start
    rig.pump.pending = PumpAlarm.EMPTY
    await asyncio.sleep(1.0)
    result = await rig.controller.ending(rig.last_id)
    assert (result.ending, result.code) == (Ending.REFUSED, Code.ALARM_PRESENT)
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.EMPTY]


@virtual
async def test_a_pump_that_stays_silent_while_being_programmed_was_not_started(rig: Rig) -> None:
    await rig.armed()
    rig.pump.deaf_to = ("LEASE",)
    result = await rig.controller.ends(rig.run())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.NOT_CONFIRMED)
    await asyncio.sleep(1.0)
    assert not any(line.startswith("RUN") for line in rig.pump.lines)


@virtual
async def test_a_pump_that_cannot_be_asked_is_not_started(rig: Rig) -> None:
    await rig.armed()
    rig.pump.deaf_to = ("READ",)
    result = await rig.controller.ends(rig.run())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.NOT_CONFIRMED)
    rig.pump.deaf_to = ()


@virtual
async def test_a_syringe_that_the_pump_does_not_take_is_refused(rig: Rig) -> None:
    await rig.met()
    rig.pump.refuses = ("SYRINGE",)
    assert (await rig.controller.ends(rig.configure())).code is Code.NOT_CONFIRMED
    rig.pump.refuses, rig.pump.deaf_to = (), ("SYRINGE",)
    assert (await rig.controller.ends(rig.configure())).code is Code.NOT_CONFIRMED


@virtual
async def test_a_pump_that_takes_more_than_it_was_told_is_stopped(rig: Rig) -> None:
    await rig.armed()
    rig.pump.adds_to_rate = 1
    result = await rig.controller.ends(rig.run(rate=ML_H(30)))
    assert result.ending is Ending.UNCERTAIN
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.INTERNAL_FAULT]


@virtual
async def test_a_rate_that_grows_on_its_way_stops_the_pump(rig: Rig) -> None:
    await rig.running()
    rig.pump.adds_to_rate = 1
    result = await rig.controller.ends(SetRate(rig.next_id(), ML_H(30)))
    assert result.ending is Ending.UNCERTAIN
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED


@virtual
async def test_a_rate_whose_answer_is_lost_stops_the_pump(rig: Rig) -> None:
    await rig.running()
    rig.pump.mute_to = ("RATE",)
    assert (await rig.controller.ends(SetRate(rig.next_id(), ML_H(30)))).ending is Ending.UNCERTAIN
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED


@virtual
async def test_a_rate_that_the_pump_refuses_leaves_the_old_one(rig: Rig) -> None:
    await rig.running()
    rig.pump.refuses = ("RATE",)
    assert (await rig.controller.ends(SetRate(rig.next_id(), ML_H(30)))).ending is Ending.REFUSED
    rig.controller.lease()
    await asyncio.sleep(0.1)
    assert rig.controller.snapshots[-1].state is PumpState.RUNNING


@virtual
async def test_a_hold_that_may_not_have_worked_becomes_a_stop(rig: Rig) -> None:
    await rig.running()
    rig.pump.deaf_to = ("PAUSE",)
    assert (await rig.controller.ends(Pause(rig.next_id()))).ending is Ending.UNCERTAIN
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED


@virtual
async def test_a_resumption_whose_answer_is_lost_becomes_a_stop(rig: Rig) -> None:
    await rig.running()
    await rig.controller.ends(Pause(rig.next_id()))
    rig.pump.mute_to = ("RESUME",)
    assert (await rig.controller.ends(Resume(rig.next_id()))).ending is Ending.UNCERTAIN
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED


@virtual
async def test_a_pump_that_moves_unbidden_is_stopped(rig: Rig) -> None:
    await rig.armed()
    rig.pump.start_by_hand()
    await rig.controller.snapshot()
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.INTERNAL_FAULT]


@virtual
async def test_a_pump_that_goes_beyond_its_target_is_stopped(rig: Rig) -> None:
    await rig.running(volume=ML("0.02"))
    rig.pump.target_nl *= 10
    await rig.lease_for(3)
    assert rig.pump.state is PumpState.STOPPED
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.INTERNAL_FAULT]


@virtual
async def test_a_stop_at_the_keypad_is_told_and_is_no_alarm(rig: Rig) -> None:
    await rig.running()
    rig.pump.state = PumpState.STOPPED
    rig.controller.lease()
    await asyncio.sleep(0.5)
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED
    assert rig.controller.alarms() == []


@virtual
async def test_one_lost_answer_is_survived_and_shows_in_the_age(rig: Rig) -> None:
    await rig.running()
    rig.pump.mute_to = ("READ",)
    rig.controller.lease()
    await asyncio.sleep(1.0)
    assert rig.controller.snapshots[-1].age >= Duration(200)
    rig.pump.mute_to = ()
    await rig.lease_for(2)
    assert rig.controller.snapshots[-1].state is PumpState.RUNNING
    assert rig.controller.alarms() == []


@virtual
async def test_a_delivering_pump_that_stays_silent_for_two_seconds_is_lost_and_stopped(
    rig: Rig,
) -> None:
    await rig.running()
    await rig.lease_for(2)
    at = rig.loop.time()
    rig.pump.mute_to = ("READ",)
    await rig.lease_for(3)
    alarms = {alarm: when for when, alarm in rig.controller.alarms()}
    assert alarms[PumpAlarm.LINK_LOST] - at < 2.5
    assert "STOP" in rig.pump.since(at)
    rig.pump.mute_to = ()
    await asyncio.sleep(3.0)
    rig.controller.acknowledge(PumpAlarm.LINK_LOST | PumpAlarm.STOP_UNCONFIRMED)
    await asyncio.sleep(0.1)
    assert rig.controller.snapshots[-1].alarms is PumpAlarm.NONE
