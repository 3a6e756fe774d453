"""The table as data, the machine made of it, and the walk over every state with every kind of event."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest

from controller.procedure.decide import PHASES, decide
from controller.procedure.effects import DisarmGate, StartBolus, StartInfusion
from controller.procedure.events import (
    AlarmAcknowledged,
    Answered,
    CommandEnded,
    EmergencyStopRequested,
    Entered,
    Event,
    Failed,
    Interrupted,
    LinkLost,
    LinkRestored,
    LogFailed,
    PumpReported,
    SelfTestEnded,
    Started,
    StopConfirmed,
    StopUnconfirmed,
    TimerFired,
    VitalsArrived,
    VitalsLost,
)
from controller.procedure.machine import IllegalTrigger, Procedure, as_mermaid
from controller.procedure.questions import Question
from controller.procedure.table import CLOSED, DELIVERING, TABLE, State, Trigger
from controller.procedure.visit import Recovered, Visit
from firmware_bridge.messages import Code, Ending, PumpAlarm, PumpState, Result
from firmware_bridge.quantities import Rate, Volume
from hil_tests.pure.controller.visit_driver import GOOD, Stage, shipped_plan, snapshot

# --- ways into every state --------------------------------------------------------------------------


def _holding(stage: Stage) -> Stage:
    stage.to_infusing().answer("supervise", "hold")
    return stage


def _rescue(stage: Stage) -> Stage:
    stage.to_observing().answer("response", "anxiety")
    return stage


def _titrating(stage: Stage) -> Stage:
    return stage.to_observing().respond("nothing", dose_mg=7.5)


def _self_test(stage: Stage) -> Stage:
    stage.pump.endings["Configure"] = Ending.IN_PROGRESS
    return stage.to_self_test()


def _preparing(stage: Stage) -> Stage:
    stage.feed(Started())
    return stage


def _after(way: Callable[[Stage], Stage], event: Event) -> Callable[[Stage], Stage]:
    def there(stage: Stage) -> Stage:
        way(stage).feed(event)
        return stage

    return there


WAYS: dict[State, Callable[[Stage], Stage]] = {
    State.PREPARING: _preparing,
    State.SELF_TEST: _self_test,
    State.BASELINE: Stage.to_baseline,
    State.TEST_BOLUS: Stage.to_test_bolus,
    State.OBSERVING: Stage.to_observing,
    State.TITRATING: _titrating,
    State.INFUSING: Stage.to_infusing,
    State.HOLDING: _holding,
    State.RESCUE: _rescue,
    State.RECOVERING: Stage.to_recovering,
    State.DISCHARGED: lambda stage: stage.to_recovering().discharge(),
    State.ABORTED: _after(Stage.to_baseline, LogFailed("disk full")),
    State.EMERGENCY_STOPPED: _after(Stage.to_infusing, EmergencyStopRequested("nurse")),
    State.FAULT: _after(Stage.to_infusing, Failed("a bug")),
    State.LOADING: Stage.to_loading,
}
PLANS = {State.LOADING: "lidocaine-peri-operative"}
_STAGES: dict[State, tuple[Visit, float]] = {}


def visit_in(state: State) -> tuple[Visit, float]:
    """A visit that came to ``state`` the ordinary way, and its time; made once."""
    if state not in _STAGES:
        stage = WAYS[state](Stage(shipped_plan(PLANS.get(state, "ketamine-first-visit"))))
        assert stage.at(state)
        _STAGES[state] = (stage.visit, stage.now)
    return _STAGES[state]


def representatives(visit: Visit) -> list[Event]:
    """At least one of every kind of event, and one for every branch an event's content opens."""
    command = visit.pending.command_id if visit.pending is not None else 10_000
    last = visit.account.last
    ids = [command] if last is None else [command, last.id]
    results = [
        CommandEnded(Result(i, ending, Code.OK, Rate(1), Volume(1)), what)
        for i in ids
        for ending in Ending
        for what in ("Configure", "ArmGate", "DisarmGate", "StartBolus", "StartInfusion")
    ]
    answers = [
        Answered(q.id, choice, dict.fromkeys(q.values, 1.0), by, token)
        for q in visit.questions
        for choice in (*q.choices, "", "perhaps")
        for by in ("nurse", "")
        for token in (q.token, "stale")
    ]
    bare = [
        Answered(q.id, choice, {}, "nurse", q.token)
        for q in visit.questions
        for choice in q.choices
    ]
    timers = [TimerFired(name) for name in (*visit.deadlines, "answer.99999", "unknown")]
    reports = [
        PumpReported(snapshot(state, Volume(nl), alarms, age_ms), boot)
        for state in PumpState
        for nl in (0, 500_000, 1_000_000, 9_000_000)
        for alarms in (PumpAlarm.NONE, *PumpAlarm)
        for age_ms in (0, 30_000)
        for boot in (7, 8)
    ]
    samples = [VitalsArrived(GOOD, 10**9), VitalsArrived({}, 10**9), VitalsArrived(GOOD, 0)]
    samples += [
        VitalsArrived({**GOOD, key: value}, 10**9) for key in GOOD for value in (-1.0, 999.0)
    ]
    recovered = [
        Recovered(state, origin, ()) for state in State for origin in (None, State.INFUSING)
    ]
    return [
        Started(),
        *(Interrupted(r, pump) for r in recovered for pump in (None, snapshot())),
        *(Entered(previous) for previous in State),
        *answers,
        *bare,
        Answered(99_999, "yes", {}, "nurse"),
        *timers,
        *samples,
        VitalsLost(),
        *reports,
        *results,
        LinkLost("unplugged"),
        LinkRestored(7),
        LinkRestored(8),
        SelfTestEnded(ok=True),
        SelfTestEnded(ok=False, findings=("no alarm",)),
        LogFailed("disk full"),
        EmergencyStopRequested("nurse"),
        StopConfirmed(),
        StopUnconfirmed(),
        Failed("another pump"),
        AlarmAcknowledged("nurse"),
        AlarmAcknowledged(""),
        AlarmAcknowledged("nurse", "no_such_alarm"),
    ]


@pytest.mark.parametrize("state", list(State))
def test_every_state_answers_every_event_with_what_the_table_allows(state: State) -> None:
    visit, now = visit_in(state)
    seen = set()
    for event in representatives(visit):
        for at in (now, now + 100_000.0):
            decision = decide(state, visit, event, at)
            seen.add(type(event))
            assert decision.trigger is None or (state, decision.trigger) in TABLE, event
            ids = [effect.question.id for effect in decision.effects if hasattr(effect, "question")]
            assert len(ids) == len(set(ids))
    assert seen == set(get_args(Event))


@pytest.mark.parametrize("state", list(State))
def test_only_states_that_deliver_ever_send_a_start(state: State) -> None:
    visit, now = visit_in(state)
    for event in representatives(visit):
        effects = decide(state, visit, event, now).effects
        if any(isinstance(effect, StartBolus | StartInfusion) for effect in effects):
            assert state in DELIVERING


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_an_end_is_left_only_by_an_emergency_stop_or_a_fault(state: State) -> None:
    visit, now = visit_in(state)
    for event in representatives(visit):
        trigger = decide(state, visit, event, now).trigger
        assert trigger in (None, Trigger.EMERGENCY_STOP, Trigger.FAIL)


@pytest.mark.parametrize("state", [s for s in State if s is not State.EMERGENCY_STOPPED])
def test_an_emergency_stop_leads_from_every_state_to_emergency_stopped(state: State) -> None:
    visit, now = visit_in(state)
    decision = decide(state, visit, EmergencyStopRequested("nurse"), now)
    assert decision.trigger is Trigger.EMERGENCY_STOP
    assert TABLE[state, Trigger.EMERGENCY_STOP] is State.EMERGENCY_STOPPED


def test_nothing_leaves_emergency_stopped() -> None:
    assert not [pair for pair in TABLE if pair[0] is State.EMERGENCY_STOPPED]
    visit, now = visit_in(State.EMERGENCY_STOPPED)
    for event in representatives(visit):
        assert decide(State.EMERGENCY_STOPPED, visit, event, now).trigger is None


def test_rescue_never_leads_back_to_a_state_that_delivers() -> None:
    reachable, fresh = set(), {State.RESCUE}
    while fresh:
        reachable |= fresh
        fresh = {to for (source, _), to in TABLE.items() if source in fresh} - reachable
    assert not reachable & (DELIVERING | {State.OBSERVING, State.HOLDING, State.BASELINE})


def test_every_state_can_be_reached_and_every_open_one_can_be_aborted() -> None:
    targets = set(TABLE.values()) | {State.PREPARING}
    assert targets == set(State)
    for state in State:
        assert ((state, Trigger.ABORT) in TABLE) == (state not in CLOSED)
        assert state in PHASES


def test_every_trigger_is_in_the_table() -> None:
    assert {trigger for _, trigger in TABLE} == set(Trigger)


def test_the_machine_moves_as_the_table_says_and_refuses_the_rest() -> None:
    for state in State:
        for trigger in Trigger:
            machine = Procedure(state)
            if (state, trigger) in TABLE:
                assert machine.fire(trigger) is state
                assert machine.state is TABLE[state, trigger]
            else:
                with pytest.raises(IllegalTrigger, match=f"{trigger.value} is not legal"):
                    machine.fire(trigger)
                assert machine.state is state


def test_the_machine_has_no_way_around_the_table() -> None:
    machine = Procedure()._machine
    assert not [name for name in dir(machine) if name.startswith("to_")]
    assert not machine.has_queue


def test_the_diagram_shows_every_transition_that_is_not_open_to_all() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", as_mermaid(), flags=re.MULTILINE))
    everywhere = {Trigger.ABORT, Trigger.EMERGENCY_STOP, Trigger.FAIL}
    expected = {(s.value, to.value, t.value) for (s, t), to in TABLE.items() if t not in everywhere}
    assert drawn == expected
    assert as_mermaid().startswith("stateDiagram-v2")


@pytest.mark.parametrize("state", list(State))
def test_a_timer_or_a_question_that_is_none_of_this_states_is_refused_aloud(state: State) -> None:
    visit, now = visit_in(state)
    odd = Question(77_777, state, "odd", "?", ("yes",))
    visit = replace(visit, deadlines={"odd": now, "answer.77777": now})
    assert "no such timer" in str(decide(state, visit, TimerFired("odd"), now).effects)
    asked = replace(visit, questions=(odd,))
    if state in CLOSED | {State.SELF_TEST}:
        answered = decide(state, asked, Answered(odd.id, "yes", {}, "nurse"), now)
        assert "not asked here" in str(answered.effects)
        expired = decide(state, asked, TimerFired("answer.77777"), now)
        assert "expired" in str(expired.effects)


def test_an_entry_nobody_expects_is_refused_aloud() -> None:
    visit, now = visit_in(State.PREPARING)
    decision = decide(State.PREPARING, visit, Entered(State.BASELINE), now)
    assert decision.trigger is None
    assert any("no way leads here" in str(effect) for effect in decision.effects)


def test_a_command_nobody_waits_for_is_refused_but_a_closed_gate_is_not_news() -> None:
    visit, now = visit_in(State.OBSERVING)
    done = Result(4711, Ending.DONE, Code.OK, Rate(0), Volume(0))
    assert decide(State.OBSERVING, visit, CommandEnded(done, "ArmGate"), now).effects
    assert not decide(State.OBSERVING, visit, CommandEnded(done, "DisarmGate"), now).effects
    failed = replace(done, ending=Ending.REFUSED, reason="busy")
    told = decide(State.OBSERVING, visit, CommandEnded(failed, "DisarmGate"), now).effects
    assert "busy" in str(told)
    assert not any(isinstance(effect, DisarmGate) for effect in told)
