"""Lease, alarms and readings, to the millisecond and to the nanolitre."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.caps import load_caps
from firmware_bridge.dialect import Accepted, Reading
from firmware_bridge.gate import Closed
from firmware_bridge.messages import Arm, PumpAlarm, PumpState
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from firmware_bridge.supervision import Finding, Supervision

RATE = Rate.from_ml_h(60)
TARGET = Volume.from_ml(1)
LEASE = Duration(3_000)
NONE = PumpAlarm.NONE
ARM = Arm(1, RATE, TARGET, Volume.from_ml(5), Duration.from_s(100), Concentration.from_mg_ml(10))


def reading(state: PumpState, infused: Volume = Volume(0), alarms: PumpAlarm = NONE) -> Reading:
    return Reading(state, infused, alarms)


@pytest.fixture
def idle() -> Supervision:
    """Armed at 0 s; the pump stands still."""
    supervision = Supervision(load_caps(), 0.0)
    assert supervision.came_to_rest(reading(PumpState.STOPPED), 0.0) is NONE
    supervision.armed(ARM)
    return supervision


@pytest.fixture
def running(idle: Supervision) -> Supervision:
    """Started at 10 s with a lease of 3 s."""
    idle.starting(RATE, TARGET, LEASE, 10.0)
    assert idle.started(Accepted(RATE, TARGET), 10.1)
    return idle


# --- lease -----------------------------------------------------------------------------------------


def test_a_pump_at_rest_has_no_deadline(idle: Supervision) -> None:
    assert idle.deadline() is None
    assert idle.overdue(1e9) is None


@pytest.mark.parametrize(
    ("now", "why"), [(12.999, None), (13.0, Closed.LEASE_EXPIRED), (13.001, Closed.LEASE_EXPIRED)]
)
def test_the_lease_counts_from_the_arrival_of_the_start(
    running: Supervision, now: float, why: Closed | None
) -> None:
    assert running.deadline() == 13.0
    assert running.overdue(now) is why


def test_a_renewal_counts_from_its_own_arrival(running: Supervision) -> None:
    assert running.renewed(LEASE, 12.5)
    assert running.deadline() == 15.5


def test_a_renewal_that_comes_too_late_renews_nothing(running: Supervision) -> None:
    assert not running.renewed(LEASE, 13.0)
    assert running.overdue(13.0) is Closed.LEASE_EXPIRED


@pytest.mark.parametrize(
    ("lease_ms", "taken"), [(999, False), (1_000, True), (10_000, True), (10_001, False)]
)
def test_a_renewal_lies_within_the_bounds_of_the_caps(
    running: Supervision, lease_ms: int, taken: bool
) -> None:
    assert running.renewed(Duration(lease_ms), 11.0) is taken


@pytest.mark.parametrize(("lease_ms", "until"), [(1_000, 12.0), (3_000, 14.0), (9_000, 14.0)])
def test_a_renewal_may_shorten_the_lease_and_not_lengthen_it(
    running: Supervision, lease_ms: int, until: float
) -> None:
    running.renewed(Duration(lease_ms), 11.0)
    assert running.deadline() == until


def test_there_is_nothing_to_renew_for_a_pump_at_rest(idle: Supervision) -> None:
    assert not idle.renewed(LEASE, 1.0)


def test_the_motor_time_is_a_deadline_of_its_own(running: Supervision) -> None:
    for second in range(11, 110):
        assert running.renewed(LEASE, float(second))
    assert running.deadline() == 110.0
    assert running.overdue(109.999) is None
    assert running.overdue(110.0) is Closed.TIME_UP


# --- readings --------------------------------------------------------------------------------------


def test_a_start_that_was_sent_is_neither_running_nor_stopped(idle: Supervision) -> None:
    idle.starting(RATE, TARGET, LEASE, 10.0)
    assert idle.state is PumpState.UNKNOWN
    assert idle.delivering


def test_a_pump_that_takes_more_than_it_was_asked_is_noticed(idle: Supervision) -> None:
    for rate, volume, within in (
        (RATE, TARGET, True),
        (Rate(RATE.nl_h - 1), Volume(TARGET.nl - 1), True),
        (Rate(RATE.nl_h + 1), TARGET, False),
        (RATE, Volume(TARGET.nl + 1), False),
    ):
        idle.starting(RATE, TARGET, LEASE, 10.0)
        assert idle.started(Accepted(rate, volume), 10.0) is within
        assert idle.rate_changed(RATE, rate) is (rate <= RATE)
        idle.came_to_rest(reading(PumpState.STOPPED), 11.0)


@pytest.mark.parametrize(
    ("infused", "finding"),
    [
        (Volume(0), Finding.AS_EXPECTED),
        (TARGET, Finding.AS_EXPECTED),
        (Volume(1_010_000), Finding.AS_EXPECTED),
        (Volume(1_010_001), Finding.MUST_STOP),
    ],
)
def test_a_running_pump_may_be_a_hundredth_beyond_its_target(
    running: Supervision, infused: Volume, finding: Finding
) -> None:
    found, alarms = running.observed(reading(PumpState.RUNNING, infused), 11.0)
    assert found is finding
    assert alarms == (PumpAlarm.INTERNAL_FAULT if finding is Finding.MUST_STOP else NONE)


@pytest.mark.parametrize(("beyond_nl", "stops"), [(2_000, False), (2_001, True)])
def test_beyond_a_tiny_target_the_display_is_the_limit(
    idle: Supervision, beyond_nl: int, stops: bool
) -> None:
    tiny = Volume(10_000)
    idle.starting(RATE, tiny, LEASE, 10.0)
    idle.started(Accepted(RATE, tiny), 10.0)
    found, _ = idle.observed(reading(PumpState.RUNNING, Volume(tiny.nl + beyond_nl)), 11.0)
    assert (found is Finding.MUST_STOP) is stops


@pytest.mark.parametrize(
    ("said", "infused", "state"),
    [
        (PumpState.COMPLETED, TARGET, PumpState.COMPLETED),
        (PumpState.STOPPED, TARGET, PumpState.COMPLETED),
        (PumpState.STOPPED, Volume(TARGET.nl - 1), PumpState.STOPPED),
        (PumpState.PAUSED, Volume(1), PumpState.PAUSED),
    ],
)
def test_a_pump_that_stands_still_by_itself_has_ended(
    running: Supervision, said: PumpState, infused: Volume, state: PumpState
) -> None:
    assert running.observed(reading(said, infused), 11.0) == (Finding.ENDED, NONE)
    assert running.state is state
    assert not running.delivering
    assert running.deadline() is None
    assert running.is_underway is (state is PumpState.PAUSED)


def test_completed_stays_completed_where_the_pump_only_says_stopped(running: Supervision) -> None:
    running.observed(reading(PumpState.COMPLETED, TARGET), 11.0)
    running.observed(reading(PumpState.STOPPED, TARGET), 12.0)
    assert running.state is PumpState.COMPLETED


def test_what_was_delivered_is_settled_however_it_ended(running: Supervision) -> None:
    running.observed(reading(PumpState.PAUSED, Volume(400_000)), 11.0)
    assert running.gate.committed_total == TARGET
    running.observed(reading(PumpState.STOPPED, Volume(400_000)), 12.0)
    assert running.gate.committed_total == Volume(400_000)


@pytest.mark.parametrize("state", [PumpState.UNKNOWN, PumpState.ALARM])
def test_a_state_that_is_none_must_be_stopped(running: Supervision, state: PumpState) -> None:
    assert running.observed(reading(state), 11.0)[0] is Finding.MUST_STOP
    assert running.delivering


@pytest.mark.parametrize("alarm", [alarm for alarm in PumpAlarm if alarm])
@pytest.mark.parametrize("state", PumpState)
def test_any_alarm_of_a_delivering_pump_must_stop_it(
    running: Supervision, alarm: PumpAlarm, state: PumpState
) -> None:
    finding, alarms = running.observed(reading(state, alarms=alarm), 11.0)
    assert finding is Finding.MUST_STOP
    assert alarm in alarms


def test_a_pump_that_runs_though_nobody_told_it_must_be_stopped(idle: Supervision) -> None:
    found = idle.observed(reading(PumpState.RUNNING), 11.0)
    assert found == (Finding.MUST_STOP, PumpAlarm.INTERNAL_FAULT)


def test_a_dead_man_that_trips_idly_is_no_alarm(idle: Supervision) -> None:
    expired = reading(PumpState.ALARM, alarms=PumpAlarm.LEASE_EXPIRED)
    assert idle.observed(expired, 11.0) == (Finding.AS_EXPECTED, NONE)
    assert idle.state is PumpState.STOPPED
    assert idle.came_to_rest(expired, 12.0) is NONE


def test_another_alarm_beside_an_idle_dead_man_is_one(idle: Supervision) -> None:
    both = PumpAlarm.LEASE_EXPIRED | PumpAlarm.OCCLUSION
    found = idle.observed(reading(PumpState.ALARM, alarms=both), 11.0)
    assert found == (Finding.MUST_STOP, PumpAlarm.OCCLUSION)


@pytest.mark.parametrize("state", [PumpState.RUNNING, PumpState.PAUSED, PumpState.UNKNOWN])
def test_what_does_not_stand_still_has_not_come_to_rest(
    running: Supervision, state: PumpState
) -> None:
    assert running.came_to_rest(reading(state), 11.0) is None
    assert running.delivering


def test_after_a_loss_the_whole_target_stays_committed(running: Supervision) -> None:
    running.lost()
    assert running.state is PumpState.UNKNOWN
    assert running.gate.committed_total == TARGET
    running.came_to_rest(reading(PumpState.STOPPED, Volume(300_000)), 20.0)
    assert running.gate.committed_total == Volume(300_000)


@pytest.mark.parametrize(("now", "old"), [(12.1, False), (12.101, True)])
def test_a_delivering_pump_grows_old(running: Supervision, now: float, old: bool) -> None:
    assert running.is_old(now, 2.0) is old


def test_an_idle_pump_does_not_grow_old(idle: Supervision) -> None:
    assert not idle.is_old(1e6, 2.0)


def test_a_refused_start_leaves_the_pump_as_it_was(idle: Supervision) -> None:
    idle.starting(RATE, TARGET, LEASE, 10.0)
    idle.not_started(10.5)
    assert idle.state is PumpState.STOPPED
    assert idle.gate.committed_total == Volume(0)
    assert idle.deadline() is None


def test_a_resumed_delivery_has_the_lease_it_was_started_with(running: Supervision) -> None:
    running.observed(reading(PumpState.PAUSED, Volume(1)), 11.0)
    running.resuming(50.0)
    assert running.deadline() == 53.0
    assert running.delivering


# --- snapshots -------------------------------------------------------------------------------------


def test_a_snapshot_of_a_running_pump_tells_rate_rest_and_age(running: Supervision) -> None:
    running.observed(reading(PumpState.RUNNING, Volume(250_000)), 11.0)
    snapshot = running.snapshot(11.5)
    assert (snapshot.rate, snapshot.infused) == (RATE, Volume(250_000))
    assert snapshot.remaining == Volume(750_000)
    assert (snapshot.uptime, snapshot.age) == (Duration(11_500), Duration(500))


def test_a_held_pump_has_a_rest_and_no_rate(running: Supervision) -> None:
    running.observed(reading(PumpState.PAUSED, Volume(250_000)), 11.0)
    snapshot = running.snapshot(11.0)
    assert (snapshot.rate, snapshot.remaining) == (Rate(0), Volume(750_000))


def test_a_stopped_pump_has_neither(running: Supervision) -> None:
    running.came_to_rest(reading(PumpState.STOPPED, Volume(250_000)), 11.0)
    snapshot = running.snapshot(11.0)
    assert (snapshot.rate, snapshot.remaining) == (Rate(0), Volume(0))
    assert snapshot.infused == Volume(250_000)


def test_cleared_counters_start_from_nothing_until_the_next_start(running: Supervision) -> None:
    running.came_to_rest(reading(PumpState.STOPPED, Volume(250_000)), 11.0)
    running.counters_cleared()
    assert running.snapshot(11.0).infused == Volume(0)
    running.starting(RATE, TARGET, LEASE, 12.0)
    running.observed(reading(PumpState.RUNNING, Volume(1_000)), 13.0)
    assert running.snapshot(13.0).infused == Volume(1_000)


# --- alarms ----------------------------------------------------------------------------------------

LASTING = (PumpAlarm.LINK_LOST, PumpAlarm.STOP_UNCONFIRMED, PumpAlarm.ESTOP_LATCHED)
ALARMS = [alarm for alarm in PumpAlarm if alarm]


def test_an_alarm_is_new_once(idle: Supervision) -> None:
    assert idle.raised(PumpAlarm.AIR | PumpAlarm.EMPTY) == [PumpAlarm.EMPTY, PumpAlarm.AIR]
    assert idle.raised(PumpAlarm.AIR) == []


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_is_latched_until_acknowledged_and_its_cause_is_gone(
    idle: Supervision, alarm: PumpAlarm
) -> None:
    idle.raised(alarm)
    if alarm in LASTING:
        assert idle.acknowledged(alarm) == ([], [alarm])
        assert alarm in idle.alarms
    idle.cause_gone(alarm)
    assert alarm in idle.alarms
    assert idle.acknowledged(alarm) == ([alarm], [])
    assert idle.alarms is NONE


def test_acknowledging_what_was_not_raised_does_nothing(idle: Supervision) -> None:
    idle.raised(PumpAlarm.AIR)
    assert idle.acknowledged(PumpAlarm.BATTERY) == ([], [])
    assert idle.alarms is PumpAlarm.AIR


def test_a_reset_clears_the_emergency_stop_and_nothing_else(idle: Supervision) -> None:
    idle.raised(PumpAlarm.ESTOP_LATCHED | PumpAlarm.AIR)
    assert idle.unlatched() == [PumpAlarm.ESTOP_LATCHED]
    assert idle.alarms is PumpAlarm.AIR
    assert idle.unlatched() == []


readings = st.builds(
    Reading,
    state=st.sampled_from(PumpState),
    infused=st.integers(0, 2_000_000).map(Volume),
    alarms=st.integers(0, (1 << 11) - 1).map(PumpAlarm),
)


@given(st.lists(st.one_of(readings, st.just("stop"), st.just("start")), max_size=20))
def test_whatever_a_pump_says_it_is_stopped_or_accounted_for(history: list[Reading | str]) -> None:
    supervision = Supervision(load_caps(), 0.0)
    last = reading(PumpState.STOPPED)
    for now, step in enumerate(history):
        if step == "start" and not supervision.is_underway:
            supervision.starting(RATE, TARGET, LEASE, now)
        elif step == "stop":
            supervision.came_to_rest(last, now)
        elif isinstance(step, Reading):
            finding, _ = supervision.observed(step, now)
            if finding is not Finding.MUST_STOP:
                assert supervision.delivering is (step.state is PumpState.RUNNING)
        supervision.snapshot(now)
        assert supervision.delivering or supervision.overdue(now) is not Closed.LEASE_EXPIRED
