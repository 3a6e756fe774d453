"""Whatever happens, in whatever order: amounts stay in order, rescue is final, stop always stops."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.limits import per_kg
from controller.procedure.effects import StartBolus, StartInfusion
from controller.procedure.events import (
    EmergencyStopRequested,
    Event,
    Failed,
    LinkLost,
    LinkRestored,
    LogFailed,
    Started,
    StopConfirmed,
    StopUnconfirmed,
    VitalsLost,
)
from controller.procedure.table import CLOSED, DELIVERING, State
from controller.procedure.visit import Status
from controller.replay import replay
from firmware_bridge.messages import Ending, PumpAlarm
from firmware_bridge.quantities import Mass
from hil_tests.pure.controller.visit_driver import GOOD, LIBRARY, Stage, shipped_plan

PLAN = shipped_plan()
PLANS = {
    "lidocaine": shipped_plan("lidocaine-chronic-pain"),
    "load": shipped_plan("lidocaine-peri-operative"),
    "follow-up": shipped_plan("ketamine-follow-up"),
}

mishaps: st.SearchStrategy[Event] = st.sampled_from(
    [
        VitalsLost(),
        LinkLost("unplugged"),
        LinkRestored(7),
        LinkRestored(8),
        StopConfirmed(),
        StopUnconfirmed("no link"),
        LogFailed("disk full"),
        Failed("a bug"),
        EmergencyStopRequested("page"),
    ]
)
steps = st.one_of(
    st.tuples(st.just("agree"), st.floats(0, 1)),
    st.tuples(st.just("agree"), st.floats(0, 1)),
    st.tuples(st.just("choose"), st.floats(0, 1)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 20.0, 130.0, 605.0, 605.0, 2_000.0])),
    st.tuples(st.just("mishap"), mishaps),
    st.tuples(st.just("pump"), st.sampled_from(["refuse", "lose", "well", "alarm", "slow"])),
    st.tuples(st.just("vitals"), st.sampled_from([GOOD, {**GOOD, "hr_bpm": 170.0}, None])),
)


def play(stage: Stage, step: tuple[str, object]) -> None:
    verb, what = step
    open_questions = sorted(stage.questions.values(), key=lambda q: q.id)
    if verb == "wait" and isinstance(what, float):
        stage.run(what)
    elif verb == "agree":
        for question in open_questions:
            if question.kind == "checklist":  # proposes nothing: it is for a person to know
                stage.say(question, "yes", {})
                return
            if question.proposed is not None:
                stage.say(question, question.proposed.choice, question.proposed.values)
                return
        respond(stage, "dissociation")
    elif verb == "choose" and open_questions and isinstance(what, float):
        question = open_questions[int(what * 0.999 * len(open_questions))]
        choice = (
            question.choices[int(what * 997) % len(question.choices)] if question.choices else ""
        )
        values = {
            name: value.min + what * (value.max - value.min)
            for name, value in question.values.items()
        }
        stage.say(question, choice, values)
    elif verb == "mishap":
        stage.feed(what)  # type: ignore[arg-type]  # drawn from `mishaps`
    elif verb == "pump":
        tamper(stage, str(what))
    elif verb == "vitals":
        stage.vitals = dict(what) if isinstance(what, dict) else None


def respond(stage: Stage, response: str) -> None:
    if stage.asked("response"):
        stage.run(600)
        if stage.asked("response"):
            stage.answer("response", response)
    elif stage.asked("holding") and "resume" in stage.ask("holding").choices:
        stage.answer("holding", "resume")


def tamper(stage: Stage, how: str) -> None:
    starts = ("StartBolus", "StartInfusion")
    stage.pump.endings.clear()
    stage.pump.speed_pct, stage.pump.alarms = 100, PumpAlarm.NONE
    if how == "refuse":
        stage.pump.endings.update(dict.fromkeys(starts, Ending.REFUSED))
    elif how == "lose":
        stage.pump.endings.update(dict.fromkeys(starts, Ending.UNCERTAIN))
    elif how == "alarm":
        stage.pump.alarms = PumpAlarm.OCCLUSION
    elif how == "slow":
        stage.pump.speed_pct = 97


def check(stage: Stage, rescued_before: bool) -> None:
    account = stage.visit.account
    for delivery in account.deliveries:
        programmed = delivery.programmed_volume
        if programmed is not None:
            assert delivery.delivered <= programmed <= delivery.volume
        assert delivery.volume.mass_at(account.concentration) <= delivery.mass
    given_ = account.given(stage.now)
    limits, weight_g = stage.plan.limits, stage.plan.dosing_weight_g
    assert given_.visit <= min(limits.visit_hard, per_kg(limits.visit_hard_ug_kg, weight_g))
    assert given_.test <= Mass.from_mg(20)
    if rescued_before:
        assert stage.state not in DELIVERING
    last = account.last
    if last is not None and last.status in (Status.STARTING, Status.RUNNING):
        assert stage.state in DELIVERING
    log = [{"kind": record.kind, **record.data} for record in stage.records]
    assert replay(log).state is stage.state


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["begin", "observing", "infusing", "lidocaine", "load", "follow-up"]),
    st.lists(steps, max_size=14),
)
def test_delivered_programmed_ordered_and_limit_stay_in_this_order(
    where: str, played: list[tuple[str, object]]
) -> None:
    stage = Stage(PLANS.get(where, PLAN))
    if where in ("begin", "follow-up"):
        stage.feed(Started())
    elif where == "lidocaine":
        stage.to_infusing_at_once()
    elif where == "load":
        stage.to_loading()
    elif where == "observing":
        stage.to_observing()
    else:
        stage.to_infusing()
    check(stage, rescued_before=False)
    for step in played:
        rescued = State.RESCUE in stage.path
        starts = len(stage.pump.starts)
        play(stage, step)
        check(stage, rescued_before=rescued)
        if rescued or stage.path[-1] in CLOSED:
            assert len(stage.pump.starts) == starts or not rescued


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=12))
def test_from_wherever_it_got_to_an_emergency_stop_ends_it_for_good(
    played: list[tuple[str, object]],
) -> None:
    stage = Stage(PLAN).to_observing()
    for step in played:
        play(stage, step)
    stage.feed(EmergencyStopRequested("page"))
    assert stage.at(State.EMERGENCY_STOPPED)
    seen = len(stage.effects)
    for step in [("wait", 30.0), ("mishap", LinkRestored(8)), ("agree", 0.5), ("wait", 700.0)]:
        play(stage, step)
    assert stage.at(State.EMERGENCY_STOPPED)
    assert not [e for e in stage.effects[seen:] if isinstance(e, StartBolus | StartInfusion)]
    assert stage.outcomes[-1] == "emergency_stopped"


ENDS: st.SearchStrategy[Event | None] = st.sampled_from(
    [None, EmergencyStopRequested("page"), Failed("a bug")]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=10), st.booleans(), ENDS)
def test_every_end_is_reached_within_the_time_for_a_stop(
    played: list[tuple[str, object]], answers: bool, end: Event | None
) -> None:
    stage = Stage(PLAN).to_infusing()
    stage.pump.answers_stop = answers
    for step in played:
        play(stage, step)
    if end is not None:
        stage.feed(end)
    for kind in ("supervise", "holding"):
        if stage.asked(kind):
            stage.answer(kind, "abort")
    if stage.at(State.RESCUE) or stage.at(State.RECOVERING):
        stage.run(14_401)
    if stage.at(State.RECOVERING):
        stage.answer("supervise", "abort")
    stage.run(2 * stage.visit.bounds.stop_s + 1)
    # A stop under the latch is given up by the runner, not by a decision.
    latched = stage.at(State.FAULT) or stage.at(State.EMERGENCY_STOPPED)
    assert stage.outcomes or (latched and stage.visit.pump.stopping)
    assert stage.state in CLOSED


def test_the_library_of_these_tests_is_the_shipped_one() -> None:
    assert PLAN.library_sha256 == LIBRARY.sha256
