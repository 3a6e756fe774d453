"""The gate, condition by condition: dense at each limit, and every reason named."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.caps import Caps
from firmware_bridge.gate import Closed, Gate, Permit, Refusal, Situation
from firmware_bridge.messages import (
    AlarmAck,
    Arm,
    Bolus,
    ClearCounters,
    Code,
    Command,
    Configure,
    Direction,
    Disarm,
    Estop,
    Hello,
    Lease,
    Pause,
    PumpAlarm,
    PumpState,
    Reset,
    Resume,
    Run,
    SelfTest,
    SetRate,
    SnapshotRequest,
    Stop,
    TimeSync,
)
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

CAPS = Caps(
    rate_max=Rate.from_ml_h(100),
    volume_per_command_max=Volume.from_ml(10),
    volume_total_max=Volume.from_ml(20),
    time_max=Duration.from_s(7200),
    concentration_max=Concentration.from_mg_ml(100),
    lease_min=Duration.from_s(1),
    lease_max=Duration.from_s(10),
)
ARM = Arm(
    command_id=1,
    rate_max=Rate.from_ml_h(60),
    volume_per_command_max=Volume.from_ml(2),
    volume_total_max=Volume.from_ml(3),
    time_max=Duration.from_s(600),
    concentration=Concentration.from_mg_ml(10),
)
BOLUS = Bolus(2, Rate.from_ml_h(60), Volume.from_ml(1), Duration.from_s(3))
RUN = Run(3, Rate.from_ml_h(60), Volume.from_ml(1), Duration.from_s(3))
STILL = Situation(PumpState.STOPPED, PumpAlarm.NONE, latched=False)
RUNNING = replace(STILL, state=PumpState.RUNNING)
PAUSED = replace(STILL, state=PumpState.PAUSED)
LATCHED = replace(STILL, latched=True)
ALARMED = replace(STILL, alarms=PumpAlarm.OCCLUSION | PumpAlarm.AIR)


@pytest.fixture
def gate() -> Gate:
    """A gate opened by `ARM`."""
    gate = Gate(CAPS)
    assert gate.check(ARM, 0.0, STILL) == Permit()
    gate.open(ARM)
    return gate


def code_of(gate: Gate, command: Command, situation: Situation = STILL, now: float = 0.0) -> Code:
    verdict = gate.check(command, now, situation)
    return verdict.code if isinstance(verdict, Refusal) else Code.OK


def reasons_of(gate: Gate, command: Command, situation: Situation = STILL) -> str:
    return str(gate.check(command, 0.0, situation))


# --- opening and closing ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", [BOLUS, RUN])
def test_a_gate_nobody_armed_is_closed(command: Command) -> None:
    gate = Gate(CAPS)
    assert not gate.is_open
    assert code_of(gate, command) is Code.NOT_ARMED
    assert "never armed" in reasons_of(gate, command)


@pytest.mark.parametrize("why", Closed)
def test_each_cause_closes_it_and_is_named(gate: Gate, why: Closed) -> None:
    gate.close(why)
    assert not gate.is_open
    expected = Code.WRONG_STATE if why is Closed.LEASE_EXPIRED else Code.NOT_ARMED
    assert code_of(gate, BOLUS) is expected
    assert why.value in reasons_of(gate, BOLUS)


def test_the_first_cause_of_closing_stands_until_the_next_arm(gate: Gate) -> None:
    gate.close(Closed.LEASE_EXPIRED)
    gate.close(Closed.DISARMED)
    assert Closed.LEASE_EXPIRED.value in reasons_of(gate, BOLUS)
    gate.open(ARM)
    assert code_of(gate, BOLUS) is Code.OK


@pytest.mark.parametrize(
    ("field", "at_cap", "above", "named"),
    [
        ("rate_max", CAPS.rate_max, Rate(CAPS.rate_max.nl_h + 1), "rate: 100.000001 mL/h"),
        (
            "volume_per_command_max",
            CAPS.volume_per_command_max,
            Volume(CAPS.volume_per_command_max.nl + 1),
            "volume per command: 10.000001 mL",
        ),
        (
            "volume_total_max",
            CAPS.volume_total_max,
            Volume(CAPS.volume_total_max.nl + 1),
            "total volume: 20.000001 mL",
        ),
        ("time_max", CAPS.time_max, Duration(CAPS.time_max.ms + 1), "motor time: 7200.001 s"),
        (
            "concentration",
            CAPS.concentration_max,
            Concentration(CAPS.concentration_max.ug_ml + 1),
            "concentration: 100.001 mg/mL",
        ),
    ],
)
def test_an_arm_may_reach_a_cap_and_not_pass_it(
    field: str, at_cap: object, above: object, named: str
) -> None:
    gate = Gate(CAPS)
    assert code_of(gate, replace(ARM, **{field: at_cap})) is Code.OK  # type: ignore[arg-type]  # the field is a parameter of the test
    wide = replace(ARM, **{field: above})  # type: ignore[arg-type]  # as above
    assert code_of(gate, wide) is Code.OVER_LIMIT
    assert named in reasons_of(gate, wide)
    assert "above the cap of" in reasons_of(gate, wide)


@pytest.mark.parametrize("state", PumpState)
def test_an_arm_needs_a_pump_that_stands_still(state: PumpState) -> None:
    expected = Code.OK if state in (PumpState.STOPPED, PumpState.COMPLETED) else Code.WRONG_STATE
    assert code_of(Gate(CAPS), ARM, replace(STILL, state=state)) is expected


def test_an_arm_is_refused_while_the_latch_stands() -> None:
    assert code_of(Gate(CAPS), ARM, LATCHED) is Code.WRONG_STATE
    assert "latch" in reasons_of(Gate(CAPS), ARM, LATCHED)


def test_an_arm_may_come_before_alarms_are_acknowledged_but_a_start_may_not(gate: Gate) -> None:
    assert code_of(gate, ARM, ALARMED) is Code.OK
    assert code_of(gate, BOLUS, ALARMED) is Code.ALARM_PRESENT


def test_an_arm_cannot_wipe_the_account_of_an_unsettled_delivery(gate: Gate) -> None:
    gate.committed(BOLUS.volume, 0.0)
    assert code_of(gate, ARM) is Code.WRONG_STATE
    gate.settled(BOLUS.volume, 60.0)
    assert code_of(gate, ARM) is Code.OK


# --- what always passes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        Hello(1, 1, 0),
        Stop(1),
        Estop(),
        Disarm(1),
        Pause(1),
        Lease(Duration(3000)),
        SnapshotRequest(),
        TimeSync(0, 0),
        AlarmAck(PumpAlarm.RESET),
        Reset(1, 1),
    ],
)
@pytest.mark.parametrize("state", PumpState)
def test_stops_and_queries_pass_whatever_is_the_matter(command: Command, state: PumpState) -> None:
    worst = Situation(state, ~PumpAlarm.NONE, latched=True)
    assert Gate(CAPS).check(command, 1e9, worst) == Permit()


# --- a start, limit by limit -----------------------------------------------------------------------


def test_a_start_within_everything_is_permitted(gate: Gate) -> None:
    assert gate.check(BOLUS, 0.0, STILL) == Permit()
    assert gate.check(RUN, 0.0, STILL) == Permit()


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        (Rate(0), Code.BAD_ARGUMENT),
        (Rate(6_000_000), Code.OK),
        (Rate(60_000_000 - 1), Code.OK),
        (Rate(60_000_000), Code.OK),
        (Rate(60_000_000 + 1), Code.OVER_LIMIT),
    ],
)
def test_the_rate_may_reach_the_armed_rate_and_no_more(gate: Gate, rate: Rate, code: Code) -> None:
    assert code_of(gate, replace(BOLUS, rate=rate)) is code
    assert code_of(gate, replace(RUN, rate=rate)) is code
    assert code_of(gate, SetRate(1, rate), RUNNING) is code


@pytest.mark.parametrize(
    ("volume", "code"),
    [
        (Volume(0), Code.BAD_ARGUMENT),
        (Volume(1), Code.OK),
        (Volume(2_000_000 - 1), Code.OK),
        (Volume(2_000_000), Code.OK),
        (Volume(2_000_000 + 1), Code.OVER_LIMIT),
    ],
)
def test_a_command_may_reach_the_armed_volume_and_no_more(
    gate: Gate, volume: Volume, code: Code
) -> None:
    assert code_of(gate, replace(BOLUS, volume=volume)) is code
    assert code_of(gate, replace(RUN, target=volume)) is code


def test_no_volume_means_continuous_to_some_pumps_so_it_is_refused(gate: Gate) -> None:
    assert "volume: 0 mL is not above zero" in reasons_of(gate, replace(BOLUS, volume=Volume(0)))


def test_the_total_counts_what_was_delivered_since_the_arm(gate: Gate) -> None:
    gate.committed(Volume(2_000_000), 0.0)
    gate.settled(Volume(2_000_000), 1.0)
    assert code_of(gate, replace(BOLUS, volume=Volume(1_000_000))) is Code.OK
    over = replace(BOLUS, volume=Volume(1_000_001))
    assert code_of(gate, over) is Code.OVER_LIMIT
    assert "total volume: 2 mL and 1.000001 mL more are above 3 mL" in reasons_of(gate, over)


def test_a_stopped_delivery_gives_back_what_was_not_infused(gate: Gate) -> None:
    gate.committed(Volume(2_000_000), 0.0)
    assert gate.committed_total == Volume(2_000_000)
    gate.settled(Volume(500_000), 1.0)
    assert gate.committed_total == Volume(500_000)


def test_settling_twice_counts_once(gate: Gate) -> None:
    gate.committed(Volume(2_000_000), 0.0)
    gate.settled(Volume(500_000), 1.0)
    gate.settled(Volume(500_000), 2.0)
    assert gate.committed_total == Volume(500_000)


def test_a_pump_that_infused_more_than_its_target_counts_with_all_of_it(gate: Gate) -> None:
    gate.committed(Volume(1_000_000), 0.0)
    gate.settled(Volume(1_200_000), 1.0)
    assert gate.committed_total == Volume(1_200_000)


def test_an_uncertain_start_keeps_its_whole_target_and_bars_the_next(gate: Gate) -> None:
    gate.committed(Volume(1_000_000), 0.0)
    verdict = gate.check(BOLUS, 0.0, STILL)
    assert isinstance(verdict, Refusal)
    assert "has not been settled" in str(verdict)


def test_a_new_arm_starts_a_new_total(gate: Gate) -> None:
    gate.committed(Volume(2_000_000), 0.0)
    gate.settled(Volume(2_000_000), 120.0)
    gate.open(ARM)
    assert gate.committed_total == Volume(0)
    assert gate.motor_s(500.0) == 0.0


@pytest.mark.parametrize(
    ("lease", "code"),
    [
        (Duration(0), Code.BAD_ARGUMENT),
        (Duration(999), Code.BAD_ARGUMENT),
        (Duration(1000), Code.OK),
        (Duration(10_000), Code.OK),
        (Duration(10_001), Code.BAD_ARGUMENT),
    ],
)
def test_the_lease_lies_within_its_bounds(gate: Gate, lease: Duration, code: Code) -> None:
    assert code_of(gate, replace(BOLUS, lease=lease)) is code
    assert code_of(gate, replace(RUN, lease=lease)) is code
    assert code_of(gate, SelfTest(1, lease)) is code


def test_only_infusing_passes(gate: Gate) -> None:
    assert code_of(gate, replace(RUN, direction=Direction.WITHDRAW)) is Code.UNSUPPORTED


@pytest.mark.parametrize("state", PumpState)
@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        (BOLUS, {PumpState.STOPPED, PumpState.COMPLETED}),
        (RUN, {PumpState.STOPPED, PumpState.COMPLETED}),
        (SelfTest(1, Duration(3000)), {PumpState.STOPPED, PumpState.COMPLETED}),
        (Configure(1, 19_050, Volume.from_ml(20)), {PumpState.STOPPED, PumpState.COMPLETED}),
        (ClearCounters(1), {PumpState.STOPPED, PumpState.COMPLETED}),
        (SetRate(1, Rate.from_ml_h(60)), {PumpState.RUNNING}),
        (Resume(1), {PumpState.PAUSED}),
    ],
)
def test_each_command_has_the_states_it_makes_sense_in(
    gate: Gate, command: Command, allowed: set[PumpState], state: PumpState
) -> None:
    expected = Code.OK if state in allowed else Code.WRONG_STATE
    assert code_of(gate, command, replace(STILL, state=state)) is expected


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (BOLUS, PumpState.STOPPED),
        (RUN, PumpState.STOPPED),
        (SelfTest(1, Duration(3000)), PumpState.STOPPED),
        (Configure(1, 19_050, Volume.from_ml(20)), PumpState.STOPPED),
        (SetRate(1, Rate.from_ml_h(60)), PumpState.RUNNING),
        (Resume(1), PumpState.PAUSED),
    ],
)
def test_the_latch_refuses_whatever_changes_the_pump(
    gate: Gate, command: Command, state: PumpState
) -> None:
    assert code_of(gate, command, replace(LATCHED, state=state)) is Code.WRONG_STATE


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (BOLUS, PumpState.STOPPED),
        (RUN, PumpState.STOPPED),
        (SelfTest(1, Duration(3000)), PumpState.STOPPED),
        (SetRate(1, Rate.from_ml_h(60)), PumpState.RUNNING),
        (Resume(1), PumpState.PAUSED),
    ],
)
def test_a_pending_alarm_refuses_and_is_named(
    gate: Gate, command: Command, state: PumpState
) -> None:
    situation = replace(ALARMED, state=state)
    assert code_of(gate, command, situation) is Code.ALARM_PRESENT
    assert "OCCLUSION, AIR" in reasons_of(gate, command, situation)


@pytest.mark.parametrize(
    ("command", "state"),
    [(SetRate(1, Rate.from_ml_h(60)), PumpState.RUNNING), (Resume(1), PumpState.PAUSED)],
)
def test_a_closed_gate_refuses_to_go_on(gate: Gate, command: Command, state: PumpState) -> None:
    gate.close(Closed.DISARMED)
    assert code_of(gate, command, replace(STILL, state=state)) is Code.NOT_ARMED


def test_everything_wrong_at_once_is_said_at_once() -> None:
    run = Run(1, Rate(0), Volume(0), Duration(0), Direction.WITHDRAW)
    worst = Situation(PumpState.UNKNOWN, PumpAlarm.LINK_LOST, latched=True)
    verdict = Gate(CAPS).check(run, 0.0, worst)
    assert isinstance(verdict, Refusal)
    for word in ("direction", "latch", "never armed", "LINK_LOST", "UNKNOWN", "rate", "volume"):
        assert word in str(verdict)
    assert len(verdict.reasons) == 8


# --- motor time ------------------------------------------------------------------------------------


def test_a_start_must_fit_into_what_is_left_of_the_motor_time(gate: Gate) -> None:
    slow = Bolus(2, Rate.from_ml_h(6), Volume.from_ml(1), Duration(3000))  # 600 s: all of it
    assert code_of(gate, slow) is Code.OK
    slower = replace(slow, rate=Rate(slow.rate.nl_h - 100_000))
    assert code_of(gate, slower) is Code.OVER_LIMIT
    assert "motor time: 0.000 s used" in reasons_of(gate, slower)


def test_motor_time_counts_only_while_the_motor_is_on(gate: Gate) -> None:
    gate.committed(Volume.from_ml(1), 10.0)
    gate.paused(40.0)
    assert gate.motor_s(100.0) == 30.0
    assert gate.time_up_at() is None
    gate.resumed(100.0)
    assert gate.motor_s(110.0) == 40.0
    assert gate.time_up_at() == 100.0 + 600.0 - 30.0
    gate.settled(Volume(0), 110.0)
    assert gate.motor_s(999.0) == 40.0


def test_going_on_needs_motor_time_left(gate: Gate) -> None:
    gate.committed(Volume.from_ml(1), 0.0)
    set_rate = SetRate(1, Rate.from_ml_h(1))
    assert code_of(gate, set_rate, RUNNING, now=599.999) is Code.OK
    assert code_of(gate, set_rate, RUNNING, now=600.0) is Code.OVER_LIMIT
    gate.paused(600.0)
    assert code_of(gate, Resume(1), PAUSED, now=700.0) is Code.OVER_LIMIT


def test_a_closed_gate_has_no_time_that_could_run_out(gate: Gate) -> None:
    gate.committed(Volume.from_ml(1), 0.0)
    assert gate.time_up_at() == 600.0
    gate.close(Closed.DISARMED)
    assert gate.time_up_at() is None


# --- whatever came before --------------------------------------------------------------------------


@dataclass
class Bench:
    """A gate, and a second, simpler book-keeping of what it let through."""

    gate: Gate
    situation: Situation = STILL
    armed: Arm | None = None
    delivered: Volume = Volume(0)
    open_target: Volume | None = None

    def arm(self, limits: Arm, now: float) -> None:
        if self.gate.check(limits, now, self.situation) != Permit():
            return
        assert limits.rate_max <= CAPS.rate_max
        assert limits.volume_total_max <= CAPS.volume_total_max
        self.gate.open(limits)
        self.armed, self.delivered = limits, Volume(0)

    def start(self, command: Bolus | Run, now: float) -> None:
        if self.gate.check(command, now, self.situation) != Permit():
            return
        target = command.volume if isinstance(command, Bolus) else command.target
        assert self.armed is not None
        assert not self.situation.latched
        assert self.open_target is None
        assert Rate(0) < command.rate <= min(self.armed.rate_max, CAPS.rate_max)
        assert Volume(0) < target
        assert target <= min(self.armed.volume_per_command_max, CAPS.volume_per_command_max)
        assert self.delivered + target <= self.armed.volume_total_max
        self.gate.committed(target, now)
        self.open_target = target

    def settle(self, volume: Volume, now: float) -> None:
        infused = min(volume, self.open_target or Volume(0))
        self.gate.settled(infused, now)
        self.delivered = self.delivered + infused
        self.open_target = None

    def close(self, why: Closed) -> None:
        self.gate.close(why)
        self.armed = None


volumes = st.integers(0, 25_000_000).map(Volume)
rates = st.integers(0, 120_000_000).map(Rate)
leases = st.integers(0, 12_000).map(Duration)
arms = st.builds(
    Arm,
    command_id=st.just(1),
    rate_max=rates,
    volume_per_command_max=volumes,
    volume_total_max=volumes,
    time_max=st.integers(0, 8_000_000).map(Duration),
    concentration=st.integers(1, 120_000).map(Concentration),
)
boluses = st.builds(Bolus, command_id=st.just(2), rate=rates, volume=volumes, lease=leases)
runs = st.builds(
    Run,
    command_id=st.just(3),
    rate=rates,
    target=volumes,
    lease=leases,
    direction=st.sampled_from(Direction),
)
steps = st.one_of(
    arms, boluses, runs, st.sampled_from(Closed), volumes, st.sampled_from(PumpState), st.booleans()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=30))
def test_nothing_above_the_armed_limits_or_the_caps_is_ever_permitted(
    history: list[object],
) -> None:
    bench = Bench(Gate(CAPS))
    for now, step in enumerate(history):
        match step:
            case Arm():
                bench.arm(step, now)
            case Bolus() | Run():
                bench.start(step, now)
            case Closed():
                bench.close(step)
            case Volume():
                bench.settle(step, now)
            case PumpState():
                bench.situation = replace(bench.situation, state=step)
            case bool():
                bench.situation = replace(bench.situation, latched=step)
    assert bench.gate.committed_total <= CAPS.volume_total_max
