"""Drug can never follow rescue: a walk over everything that can happen from there, and chance beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.procedure.decide import decide
from controller.procedure.decide_holding import resume_target
from controller.procedure.effects import ArmGate, StartBolus, StartInfusion
from controller.procedure.events import (
    CommandEnded,
    Entered,
    Interrupted,
    PumpReported,
    StopConfirmed,
)
from controller.procedure.table import CLOSED, DELIVERING, TABLE, State, Trigger
from controller.procedure.visit import Visit, begin
from controller.replay import replay
from firmware_bridge.messages import Code, Ending, PumpAlarm, PumpState, Result
from firmware_bridge.quantities import Rate, Volume
from hil_tests.pure.controller.test_procedure_properties import play, steps
from hil_tests.pure.controller.test_procedure_table import representatives
from hil_tests.pure.controller.visit_driver import Stage, shipped_plan, snapshot

MOVES_DRUG = (ArmGate, StartBolus, StartInfusion)
NODES_MAX = 1_000


def anxious(stage: Stage) -> Stage:
    stage.to_observing().answer("response", "anxiety")
    return stage


def anxious_while_held(stage: Stage) -> Stage:
    stage.to_infusing().answer("supervise", "hold")
    stage.answer("holding", "anxiety")
    return stage


def anxious_while_the_gate_opens(stage: Stage) -> Stage:
    """Its answer is still on the way when the patient is anxious."""
    stage.pump.endings["ArmGate"] = Ending.IN_PROGRESS
    stage.to_confirm().agree("confirm")
    stage.answer("supervise", "anxiety")
    return stage


def toxic(stage: Stage) -> Stage:
    stage.to_infusing_at_once().run(300)
    stage.answer("signs", "seizure")
    return stage


def toxic_in_the_load(stage: Stage) -> Stage:
    stage.to_loading().answer("supervise", "toxicity")
    return stage


WAYS: list[tuple[str, Callable[[Stage], Stage]]] = [
    ("ketamine-first-visit", anxious),
    ("ketamine-first-visit", anxious_while_held),
    ("ketamine-first-visit", anxious_while_the_gate_opens),
    ("lidocaine-chronic-pain", toxic),
    ("lidocaine-peri-operative", toxic_in_the_load),
]


def kind_of(state: State, visit: Visit) -> tuple[object, ...]:
    """What of a visit decides about the next step; two visits of one kind need not both be walked."""
    last = visit.account.last
    return (
        state,
        frozenset(q.kind for q in visit.questions),
        last and last.status,
        (visit.pump.link_up, visit.pump.stopping),
        min(visit.chart.rescue_doses, 2),
    )


def tells_more(event: object) -> bool:
    """Representatives, without the hundreds of pump reports and results that say the same here."""
    if isinstance(event, PumpReported):
        seen = event.snapshot
        return (
            seen.state in (PumpState.RUNNING, PumpState.STOPPED)
            and seen.alarms in (PumpAlarm.NONE, PumpAlarm.OCCLUSION)
            and seen.infused.nl in (0, 1_000_000)
            and not seen.age.ms
        )
    if isinstance(event, CommandEnded):
        return event.what in ("ArmGate", "StartBolus")
    return not isinstance(event, Interrupted | Entered)


@pytest.mark.parametrize(("procedure", "way"), WAYS)
def test_whatever_happens_after_a_rescue_nothing_ever_moves_drug_again(
    procedure: str, way: Callable[[Stage], Stage]
) -> None:
    stage = way(Stage(shipped_plan(procedure)))
    assert stage.at(State.RESCUE)
    gate = [e.command_id for e in stage.effects if isinstance(e, ArmGate)][-1]
    late = CommandEnded(Result(gate, Ending.DONE, Code.OK, Rate(0), Volume(0)), "ArmGate")
    fresh = [(stage.state, stage.visit, stage.now)]
    known = {kind_of(stage.state, stage.visit)}
    states = set()
    while fresh and len(known) < NODES_MAX:
        state, visit, now = fresh.pop()
        states.add(state)
        assert state not in DELIVERING
        assert resume_target(visit)[0] is None
        for event in (late, *filter(tells_more, representatives(visit))):
            for at in (now, now + 5_000.0):
                decision = decide(state, visit, event, at)
                assert not any(isinstance(e, MOVES_DRUG) for e in decision.effects), event
                after, then = state, decision.visit
                if decision.trigger is not None:
                    after = TABLE[state, decision.trigger]
                    entered = decide(after, then, Entered(state), at)
                    assert not any(isinstance(e, MOVES_DRUG) for e in entered.effects)
                    then = entered.visit
                kind = kind_of(after, then)
                if kind not in known and after not in CLOSED:
                    known.add(kind)
                    fresh.append((after, then, at))
    assert not fresh, "the walk did not come to its end"
    assert {State.RESCUE, State.RECOVERING} <= states


@pytest.mark.parametrize(("procedure", "way"), WAYS)
def test_nor_does_a_crash_open_a_way_back(procedure: str, way: Callable[[Stage], Stage]) -> None:
    stage = way(Stage(shipped_plan(procedure)))
    recovered = replay([{"kind": r.kind, **r.data} for r in stage.records]).recovered
    assert recovered.rescued
    again = Stage(stage.plan)
    again.visit = begin(stage.plan)
    again.feed(Interrupted(recovered, snapshot()))
    again.feed(StopConfirmed())
    assert again.at(State.HOLDING)
    assert "resume" not in again.ask("holding").choices
    assert resume_target(replace(again.visit, chart=replace(again.visit.chart)))[0] is None


def crashed(before: Stage) -> Stage:
    """Another controller takes up the log; the pump answers as it stands."""
    log = [{"kind": record.kind, **record.data} for record in before.records]
    again = Stage(before.plan)
    again.now, again.pump, again.records = before.now, before.pump, list(before.records)
    again.pump.state = PumpState.STOPPED
    again.feed(Interrupted(replay(log).recovered, snapshot(infused=again.pump.infused)))
    return again


def opened_late(stage: Stage) -> Stage:
    """The answer to an opening of the gate, from before the rescue or whenever, comes now."""
    for effect in [e for e in stage.effects if isinstance(e, ArmGate)][-1:]:
        result = Result(effect.command_id, Ending.DONE, Code.OK, Rate(0), Volume(0))
        stage.feed(CommandEnded(result, "ArmGate"))
    return stage


afterwards = st.one_of(steps, steps, st.sampled_from([("crash", 0), ("late", 0)]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(WAYS), st.lists(afterwards, min_size=2, max_size=10))
def test_nor_does_chance_find_a_way_back(
    way: tuple[str, Callable[[Stage], Stage]], played: list[tuple[str, object]]
) -> None:
    procedure, to_rescue = way
    stage = to_rescue(Stage(shipped_plan(procedure)))
    stage.pump.endings.clear()
    starts = len(stage.pump.starts)
    for step in played:
        if step[0] == "crash" and stage.state not in CLOSED:
            stage = crashed(stage)
        elif step[0] == "late":
            stage = opened_late(stage)
        else:
            play(stage, step)
        assert stage.state not in DELIVERING
        assert len(stage.pump.starts) == starts


def test_in_the_table_no_way_leads_from_rescue_to_a_state_that_delivers_or_asks_about_a_dose() -> (
    None
):
    reachable: set[State] = set()
    fresh = {State.RESCUE}
    while fresh:
        reachable |= fresh
        fresh = {to for (source, _), to in TABLE.items() if source in fresh} - reachable
    assert reachable == {State.RESCUE, State.RECOVERING} | CLOSED
    assert {t for (s, t), to in TABLE.items() if to is State.RESCUE} == {
        Trigger.ANXIETY,
        Trigger.TOXICITY,
    }
