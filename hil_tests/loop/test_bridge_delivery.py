"""The bridge while all is well: what reaches the pump, when, and what does not."""

from __future__ import annotations

import asyncio

from firmware_bridge.dialect import Program
from firmware_bridge.messages import (
    Capability,
    ClearCounters,
    Code,
    Disarm,
    Ending,
    Pause,
    PumpAlarm,
    PumpState,
    Resume,
    SelfTest,
    SetRate,
    Stop,
)
from firmware_bridge.quantities import Concentration, Duration, Volume
from hil_tests.loop.bridge_rig import LEASE, ML, ML_H, Rig, virtual
from hil_tests.loop.line_pump import LineDialect


@virtual
async def test_the_first_words_to_a_pump_are_stop_and_who_are_you(rig: Rig) -> None:
    await rig.met()
    assert rig.pump.lines[:2] == ["STOP", "ID"]
    assert set(rig.pump.lines) == {"STOP", "ID", "READ"}


@virtual
async def test_a_pump_found_running_is_standing_still_before_the_controller_is_let_in(
    rig: Rig,
) -> None:
    rig.pump.start_by_hand()
    await rig.met()
    assert (await rig.controller.snapshot()).state is PumpState.STOPPED


@virtual
async def test_hello_is_answered_with_pump_boot_and_caps(rig: Rig) -> None:
    await rig.met()
    said = rig.controller.acknowledgement
    assert (said.firmware, said.boot_id) == ("LP1 1.0", 1)
    assert Capability.DEAD_MAN in said.capabilities
    assert said.rate_max == ML_H(1200)
    assert (said.lease_min, said.lease_max) == (Duration(1_000), Duration(10_000))


@virtual
async def test_once_the_syringe_is_known_hello_tells_the_narrower_limits(rig: Rig) -> None:
    await rig.armed()
    rig.controller.session.hello(rig.loop.time())
    rig.controller.lease()  # flushes
    await asyncio.sleep(0.1)
    assert rig.controller.acknowledgement.rate_max == ML_H(1200)
    result = await rig.controller.ends(rig.configure())
    assert (result.rate, result.volume) == (ML_H(800), Volume(1_000))


@virtual
async def test_a_bolus_within_the_limits_is_delivered_and_ends_by_its_target(rig: Rig) -> None:
    await rig.armed()
    bolus = rig.bolus(volume=ML("0.05"))  # 3 s at 60 mL/h
    result = await rig.controller.ends(bolus)
    assert (result.ending, result.rate, result.volume) == (Ending.DONE, bolus.rate, bolus.volume)
    await rig.lease_for(5)
    last = rig.controller.snapshots[-1]
    assert (last.state, last.infused, last.remaining) == (
        PumpState.COMPLETED,
        bolus.volume,
        Volume(0),
    )
    assert not rig.controller.alarms()


@virtual
async def test_an_order_is_said_to_be_under_way_before_it_ends(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(rig.bolus())
    await asyncio.sleep(0.001)
    last = rig.controller.heard[-1][1]
    assert getattr(last, "ending", None) is Ending.IN_PROGRESS


@virtual
async def test_what_is_above_a_limit_is_refused_with_value_and_limit_and_never_sent(
    rig: Rig,
) -> None:
    await rig.armed()
    at = rig.loop.time()
    result = await rig.controller.ends(rig.run(rate=ML_H(61), volume=ML(4)))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.OVER_LIMIT)
    assert "rate: 61 mL/h is above 60 mL/h" in result.reason
    assert "volume: 4 mL is above 2 mL" in result.reason
    assert set(rig.pump.since(at)) <= {"READ"}


@virtual
async def test_a_gate_nobody_armed_lets_nothing_start(rig: Rig) -> None:
    await rig.met()
    await rig.controller.ends(rig.configure())
    result = await rig.controller.ends(rig.bolus())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.NOT_ARMED)
    assert not any(line.startswith("RUN") for line in rig.pump.lines)


@virtual
async def test_an_arm_beyond_a_cap_is_refused_naming_it(rig: Rig) -> None:
    await rig.met()
    result = await rig.controller.ends(rig.arm(rate_max=ML_H(1201)))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.OVER_LIMIT)
    assert result.reason == "rate: 1201 mL/h is above the cap of 1200 mL/h"
    wide = rig.arm(concentration=Concentration.from_mg_ml(101))
    assert "100 mg/mL" in (await rig.controller.ends(wide)).reason


@virtual
async def test_no_syringe_no_start(rig: Rig) -> None:
    await rig.met()
    await rig.controller.ends(rig.arm())
    result = await rig.controller.ends(rig.bolus())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "syringe" in result.reason


@virtual
async def test_while_delivering_the_pump_hears_one_question_per_lease_and_nothing_else(
    rig: Rig,
) -> None:
    await rig.running()
    at = rig.loop.time()
    await rig.lease_for(5)
    assert rig.pump.since(at) == ["READ"] * 5


@virtual
async def test_asking_for_a_snapshot_says_nothing_to_a_delivering_pump(rig: Rig) -> None:
    await rig.running()
    at = rig.loop.time()
    await asyncio.sleep(1.0)
    snapshot = await rig.controller.snapshot()
    assert rig.pump.since(at) == []
    assert snapshot.state is PumpState.RUNNING
    assert snapshot.age >= Duration(1_000)


@virtual
async def test_asking_for_a_snapshot_asks_a_pump_that_stands_still(rig: Rig) -> None:
    await rig.armed()
    at = rig.loop.time()
    snapshot = await rig.controller.snapshot()
    assert rig.pump.since(at) == ["READ"]
    assert snapshot.age < Duration(100)


@virtual
async def test_renewed_leases_carry_a_delivery_to_its_end(rig: Rig) -> None:
    await rig.running(volume=ML("0.5"))  # 30 s
    await rig.lease_for(32)
    assert rig.controller.snapshots[-1].state is PumpState.COMPLETED
    assert not rig.controller.alarms()


@virtual
async def test_without_renewal_the_pump_is_stopped_when_the_lease_ends(rig: Rig) -> None:
    await rig.armed()
    given_at = rig.loop.time()
    await rig.controller.ends(rig.run())
    await asyncio.sleep(5.0)
    stops = [when for when, line in rig.pump.seen if line == "STOP" and when > given_at]
    assert 0 <= stops[0] - (given_at + LEASE.s) < 0.001
    assert rig.pump.infused <= ML_H(60).times(Duration(LEASE.ms + 300))
    assert [alarm for _, alarm in rig.controller.alarms()] == [PumpAlarm.LEASE_EXPIRED]


@virtual
async def test_after_an_expired_lease_nothing_starts_before_acknowledgement_and_a_new_arm(
    rig: Rig,
) -> None:
    await rig.running()
    await asyncio.sleep(5.0)
    result = await rig.controller.ends(rig.run())
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "the lease expired" in result.reason
    await rig.controller.ends(rig.arm())
    assert (await rig.controller.ends(rig.run())).code is Code.ALARM_PRESENT
    rig.controller.acknowledge(PumpAlarm.LEASE_EXPIRED)
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE


@virtual
async def test_a_lease_outside_its_bounds_renews_nothing_and_says_nothing_to_the_pump(
    rig: Rig,
) -> None:
    await rig.running()
    at = rig.loop.time()
    for lease in (Duration(999), Duration(10_001)):
        rig.controller.lease(lease)
        await asyncio.sleep(0.5)
    assert rig.pump.since(at) == []
    await asyncio.sleep(3.0)
    assert rig.controller.snapshots[-1].state is PumpState.STOPPED


@virtual
async def test_a_renewal_never_reaches_further_than_the_lease_of_the_start(rig: Rig) -> None:
    await rig.running()
    at = rig.loop.time()
    rig.controller.lease(Duration(10_000))
    await asyncio.sleep(LEASE.s + 1.0)
    assert "STOP" in rig.pump.since(at)


@virtual
async def test_an_order_whose_lease_ran_out_while_it_waited_is_not_sent(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(SelfTest(rig.next_id(), Duration(5_000)))
    run = rig.run(lease=Duration(1_000))
    result = await rig.controller.ends(run)
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "before it could be sent" in result.reason


@virtual
async def test_the_armed_motor_time_ends_a_delivery(rig: Rig) -> None:
    await rig.armed(time_max=Duration.from_s(61))
    await rig.controller.ends(rig.run(volume=ML(1)))  # 60 s
    await rig.controller.ends(SetRate(rig.next_id(), ML_H(6)))
    at = rig.loop.time()
    await rig.lease_for(63)
    stop = next(when for when, line in rig.pump.seen if line == "STOP" and when > at)
    assert stop < at + 61.5
    result = await rig.controller.ends(rig.run(volume=ML("0.01")))
    assert "motor time is used up" in result.reason


@virtual
async def test_the_rate_can_be_changed_within_the_limits(rig: Rig) -> None:
    await rig.running()
    lower = await rig.controller.ends(SetRate(rig.next_id(), ML_H(30)))
    assert (lower.ending, lower.rate) == (Ending.DONE, ML_H(30))
    higher = await rig.controller.ends(SetRate(rig.next_id(), ML_H(61)))
    assert (higher.ending, higher.code) == (Ending.REFUSED, Code.OVER_LIMIT)
    assert rig.pump.rate_nl_h == ML_H(30).nl_h
    rig.controller.lease()
    await asyncio.sleep(0.1)
    assert rig.controller.snapshots[-1].rate == ML_H(30)


@virtual
async def test_a_held_delivery_goes_on_under_a_lease_of_its_own(rig: Rig) -> None:
    await rig.running(volume=ML("0.1"))
    assert (await rig.controller.ends(Pause(rig.next_id()))).ending is Ending.DONE
    await rig.lease_for(10)
    assert rig.controller.snapshots[-1].state is PumpState.PAUSED
    at = rig.loop.time()
    assert (await rig.controller.ends(Resume(rig.next_id()))).ending is Ending.DONE
    await asyncio.sleep(5.0)
    stop = next(when for when, line in rig.pump.seen if line == "STOP" and when > at)
    assert 0 <= stop - (at + LEASE.s) < 0.1


@virtual
async def test_only_a_running_pump_can_be_held_and_only_a_held_one_resumed(rig: Rig) -> None:
    await rig.armed()
    for command in (Pause(rig.next_id()), Resume(rig.next_id())):
        assert (await rig.controller.ends(command)).code is Code.WRONG_STATE


@virtual
async def test_stop_is_answered_with_what_was_infused_and_leaves_the_gate_open(rig: Rig) -> None:
    await rig.running()
    await asyncio.sleep(1.0)
    result = await rig.controller.ends(Stop(rig.next_id()))
    assert result.ending is Ending.DONE
    assert result.volume == rig.pump.infused
    assert (await rig.controller.ends(rig.run())).ending is Ending.DONE


@virtual
async def test_disarming_stops_a_delivery_first_and_closes_the_gate(rig: Rig) -> None:
    await rig.running()
    assert (await rig.controller.ends(Disarm(rig.next_id()))).ending is Ending.DONE
    assert rig.pump.state is PumpState.STOPPED
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED


@virtual
async def test_disarming_an_idle_pump_says_nothing_to_it(rig: Rig) -> None:
    await rig.armed()
    at = rig.loop.time()
    assert (await rig.controller.ends(Disarm(rig.next_id()))).ending is Ending.DONE
    assert rig.pump.since(at) == []


@virtual
async def test_the_self_test_trips_the_dead_man_and_proves_the_stop_path(rig: Rig) -> None:
    await rig.armed()
    at = rig.loop.time()
    result = await rig.controller.ends(SelfTest(rig.next_id(), LEASE))
    assert (result.ending, result.reason) == (Ending.DONE, "tripped")
    assert "STOP" in rig.pump.since(at)
    assert not rig.controller.alarms()


@virtual
async def test_a_failed_self_test_stops_the_pump_and_closes_the_gate(rig: Rig) -> None:
    await rig.armed()
    rig.pump.refuses = ("TRIP",)
    at = rig.loop.time()
    result = await rig.controller.ends(SelfTest(rig.next_id(), LEASE))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.NOT_CONFIRMED)
    await asyncio.sleep(1.0)
    assert "STOP" in rig.pump.since(at)
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED


class WithoutDeadMan(LineDialect):
    """A family of pumps that goes on for ever."""

    capabilities = Capability.VOLUME_TARGET


@virtual
async def test_a_pump_without_a_dead_man_cannot_pass_the_self_test(rig: Rig) -> None:
    rig.make_dialect = WithoutDeadMan
    await rig.armed()
    result = await rig.controller.ends(SelfTest(rig.next_id(), LEASE))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.UNSUPPORTED)


@virtual
async def test_a_self_test_is_refused_while_something_runs(rig: Rig) -> None:
    await rig.running()
    result = await rig.controller.ends(SelfTest(rig.next_id(), LEASE))
    assert (result.ending, result.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "TRIP" not in rig.pump.lines


@virtual
async def test_snapshots_are_answered_while_a_long_order_keeps_the_pump_busy(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(SelfTest(rig.next_id(), LEASE))
    await asyncio.sleep(1.0)
    at = rig.loop.time()
    await rig.controller.snapshot()
    assert rig.loop.time() - at < 0.1


@virtual
async def test_cleared_counters_count_from_there(rig: Rig) -> None:
    await rig.armed()
    await rig.controller.ends(rig.bolus(volume=ML("0.02")))
    await rig.lease_for(3)
    assert rig.controller.snapshots[-1].infused == ML("0.02")
    await rig.controller.ends(ClearCounters(rig.next_id()))
    assert (await rig.controller.snapshot()).infused == Volume(0)
    await rig.controller.ends(rig.bolus(volume=ML("0.01")))
    await rig.lease_for(3)
    assert rig.controller.snapshots[-1].infused == ML("0.01")


@virtual
async def test_orders_that_nobody_waits_for_do_not_pile_up(rig: Rig) -> None:
    await rig.armed()
    rig.controller.give(SelfTest(rig.next_id(), LEASE))
    await asyncio.sleep(0.1)
    extra = [rig.configure() for _ in range(17)]
    for command in extra:
        rig.controller.give(command)
    refused = await rig.controller.ending(extra[-1].command_id)
    assert (refused.ending, refused.code) == (Ending.REFUSED, Code.WRONG_STATE)
    assert "16 orders" in refused.reason
    assert (await rig.controller.ending(extra[0].command_id)).ending is Ending.DONE


@virtual
async def test_a_new_controller_on_the_same_pipe_finds_pump_stopped_and_gate_closed(
    rig: Rig,
) -> None:
    await rig.running()
    rig.controller.greet_anew()
    await asyncio.sleep(1.0)
    assert rig.pump.state is PumpState.STOPPED
    assert (await rig.controller.ends(rig.run())).code is Code.NOT_ARMED


class Relaxing(LineDialect):
    """A pump whose dead-man would cry at rest, as New Era's does."""

    def relax(self) -> Program[None]:
        yield from self._ask("RELAX")


@virtual
async def test_a_dead_man_is_given_time_once_nothing_is_delivered_and_not_before(rig: Rig) -> None:
    rig.make_dialect = Relaxing
    await rig.armed()
    await rig.controller.ends(rig.bolus(volume=ML("0.05")))  # 3 s
    await rig.lease_for(2)
    assert "RELAX" not in rig.pump.lines
    await rig.lease_for(4)
    assert rig.pump.lines.count("RELAX") == 1


@virtual
async def test_a_latched_pump_is_not_relaxed(rig: Rig) -> None:
    rig.make_dialect = Relaxing
    await rig.running()
    rig.controller.estop()
    await asyncio.sleep(3.0)
    assert "RELAX" not in rig.pump.lines


@virtual
async def test_a_dead_man_that_cannot_be_relaxed_is_logged_and_no_more(rig: Rig) -> None:
    rig.make_dialect = Relaxing
    rig.pump.deaf_to = ("RELAX",)
    await rig.running()
    assert (await rig.controller.ends(Stop(rig.next_id()))).ending is Ending.DONE
    await asyncio.sleep(2.0)
    assert rig.pump.lines.count("RELAX") == 1
    assert any("dead-man stays short" in line for line in rig.logged)
    assert rig.controller.alarms() == []
