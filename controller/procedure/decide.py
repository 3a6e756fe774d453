"""What a visit does next: a pure function from state, visit, event and time to trigger and effects.

Here is what is the same in every state: answers are checked against the open question, timers
against their deadline, link, log and stop are kept account of; then the phase of the state decides.
Every state has an answer to every event; "refused" is one, and is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from controller.alarms import ALARMS
from controller.procedure import pump_watch, signs_watch, vitals_watch
from controller.procedure.decide_after import ENDED, RECOVERING, RESCUE
from controller.procedure.decide_before import (
    BASELINE,
    PREPARING,
    SELF_TEST,
    configured,
    started,
    test_ended,
)
from controller.procedure.decide_dosing import OBSERVING, TEST_BOLUS, TITRATING
from controller.procedure.decide_holding import HOLDING
from controller.procedure.decide_infusing import INFUSING
from controller.procedure.decide_loading import LOADING
from controller.procedure.decision import Decision
from controller.procedure.delivering import command_late, gate_answered, start_answered
from controller.procedure.draft import (
    COMMAND_TIMER,
    EARLY_S,
    STOP_TIMER,
    VITALS_TIMER,
    Draft,
    Said,
)
from controller.procedure.effects import AcknowledgeAlarm
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
from controller.procedure.interruption import interrupted
from controller.procedure.phase import Phase
from controller.procedure.questions import Answer, why_not
from controller.procedure.table import CLOSED, WATCHED, State
from controller.procedure.visit import Status, Visit
from firmware_bridge.messages import Ending, PumpAlarm

__all__ = ["Decision", "decide"]

PHASES: Mapping[State, Phase] = {
    State.PREPARING: PREPARING,
    State.SELF_TEST: SELF_TEST,
    State.BASELINE: BASELINE,
    State.LOADING: LOADING,
    State.TEST_BOLUS: TEST_BOLUS,
    State.OBSERVING: OBSERVING,
    State.TITRATING: TITRATING,
    State.INFUSING: INFUSING,
    State.HOLDING: HOLDING,
    State.RESCUE: RESCUE,
    State.RECOVERING: RECOVERING,
    State.DISCHARGED: ENDED,
    State.ABORTED: ENDED,
    State.EMERGENCY_STOPPED: ENDED,
    State.FAULT: ENDED,
}

_LATCHED = frozenset({State.EMERGENCY_STOPPED, State.FAULT})
_BEFORE_DRUG = frozenset({State.PREPARING, State.SELF_TEST, State.BASELINE})


def decide(state: State, visit: Visit, event: Event, now: float) -> Decision:
    """The decision on ``event``, which happened at ``now`` (seconds, loop time), in ``state``."""
    phase = PHASES[state]
    if isinstance(event, VitalsArrived):
        return vitals_watch.arrived(state, visit, event, now, phase)
    if isinstance(event, PumpReported):
        return pump_watch.reported(state, visit, event, now, phase)
    draft = Draft(state, visit, now)
    match event:
        case Entered():
            draft.change(entered_at=now)
            draft.record("state", to=state.value, **{"from": event.previous.value})
            phase.entered(draft, event.previous)
            if draft.trigger is None:
                signs_watch.entered(draft)
        case Answered():
            _answered(draft, phase, event)
        case TimerFired():
            _timer_fired(draft, phase, event.name)
        case EmergencyStopRequested():
            _emergency(draft, event.by)
        case Started() | Interrupted():
            _first(draft, event)
        case AlarmAcknowledged():
            _acknowledged(draft, event)
        case _:
            _news(draft, event)
            if draft.trigger is None:
                phase.progressed(draft)
    return draft.decision()


def _first(draft: Draft, event: Started | Interrupted) -> None:
    if draft.state is not State.PREPARING or draft.visit.chart.started:
        draft.refuse(type(event).__name__, "the visit has begun already")
    elif isinstance(event, Interrupted):
        interrupted(draft, event)
    else:
        started(draft)


def _emergency(draft: Draft, by: str) -> None:
    if draft.state is State.EMERGENCY_STOPPED:
        draft.refuse("EmergencyStopRequested", "stopped already")
    else:
        draft.emergency_stop(by)


def _acknowledged(draft: Draft, event: AlarmAcknowledged) -> None:
    if event.alarm_id and event.alarm_id not in ALARMS:
        draft.refuse("AlarmAcknowledged", f"there is no alarm {event.alarm_id!r}")
    elif not event.by:
        draft.refuse("AlarmAcknowledged", "an alarm is acknowledged by a named role")
    else:
        draft.do(AcknowledgeAlarm(event.alarm_id, event.by))


_News = (
    VitalsLost
    | CommandEnded
    | LinkLost
    | LinkRestored
    | SelfTestEnded
    | LogFailed
    | StopConfirmed
    | StopUnconfirmed
    | Failed
)


def _news(draft: Draft, event: _News) -> None:
    match event:
        case VitalsLost():
            vitals_watch.lost(draft, "the monitor is disconnected")
            draft.change(vitals=replace(draft.visit.vitals, seq=-1))
        case CommandEnded():
            _command_ended(draft, event)
        case LinkLost():
            _link_lost(draft, event.why)
        case LinkRestored():
            _link_restored(draft, event.boot_id)
        case SelfTestEnded():
            _self_test_ended(draft, event)
        case LogFailed():
            _log_failed(draft, event.why)
        case StopConfirmed():
            _stop_confirmed(draft)
        case StopUnconfirmed():
            _stop_unconfirmed(draft, event.why)
        case Failed():
            _failed(draft, event.why)
        case _:
            assert_never(event)


def _answered(draft: Draft, phase: Phase, event: Answered) -> None:
    question = next((q for q in draft.visit.questions if q.id == event.question_id), None)
    if question is None:
        draft.refuse("Answered", f"question {event.question_id} is not open")
        return
    answer = Answer(event.choice, event.values, event.token)
    why = why_not(question, answer)
    if why is not None:
        draft.not_taken(question, why)
    elif question.kind == signs_watch.KIND:
        signs_watch.answered(draft, Said(question, answer, event.by))
    else:
        phase.answered(draft, Said(question, answer, event.by))


def _timer_fired(draft: Draft, phase: Phase, name: str) -> None:
    deadline = draft.visit.deadlines.get(name)
    if deadline is None or draft.now < deadline - EARLY_S:
        return  # it was cancelled or started anew after it had fired
    left = {key: at for key, at in draft.visit.deadlines.items() if key != name}
    draft.change(deadlines=left)
    question = next((q for q in draft.visit.questions if f"answer.{q.id}" == name), None)
    if question is not None:
        draft.close(question)
        expired = signs_watch.expired if question.kind == signs_watch.KIND else phase.expired
        expired(draft, question)
        return
    if name == VITALS_TIMER:
        vitals_watch.timer_fired(draft)
    elif name == STOP_TIMER:
        _stop_unconfirmed(draft, "no confirmation of the stop came")
    elif name == COMMAND_TIMER:
        _command_late(draft)
    elif name == signs_watch.SIGNS_TIMER:
        signs_watch.due(draft)
    else:
        phase.timer(draft, name)
        return
    if draft.trigger is None:
        phase.progressed(draft)


# --- commands -------------------------------------------------------------------------------------


def _command_ended(draft: Draft, event: CommandEnded) -> None:
    result, pending = event.result, draft.visit.pending
    if result.ending is Ending.IN_PROGRESS:
        return
    awaited = pending is not None and pending.command_id == result.command_id
    if awaited:
        draft.change(pending=None)
        draft.cancel_timer(COMMAND_TIMER)
    delivery = draft.visit.account.by_id(result.command_id)
    if delivery is not None:
        start_answered(draft, delivery, event)
    elif event.what == "DisarmGate":
        latched = draft.state in _LATCHED  # the gate is closed by the latch already
        if result.ending not in (Ending.ACCEPTED, Ending.DONE) and not latched:
            draft.refuse(event.what, result.reason or result.ending.name.lower())
    elif not awaited or pending is None:
        draft.refuse(event.what, "no command of this id is open")
    elif pending.what == "ArmGate":
        gate_answered(draft, result)
    else:
        configured(draft, result)


def _command_late(draft: Draft) -> None:
    pending = draft.visit.pending
    if pending is not None and pending.what == "Configure":
        draft.change(pending=None)
        test_ended(draft, SelfTestEnded(ok=False, findings=("the syringe was not acknowledged",)))
    else:
        command_late(draft)


def _self_test_ended(draft: Draft, event: SelfTestEnded) -> None:
    if draft.visit.pump.testing:
        test_ended(draft, event)
    else:
        draft.refuse("SelfTestEnded", "no self-test is under way")


# --- link, log, stop ------------------------------------------------------------------------------


def _link_lost(draft: Draft, why: str) -> None:
    draft.pump(link_up=False, testing=False)
    if draft.visit.pending is not None and draft.visit.pending.what == "Configure":
        draft.change(pending=None)
        draft.cancel_timer(COMMAND_TIMER)
    if draft.state in CLOSED:
        return
    text = f"the pump cannot be reached{f': {why}' if why else ''}"
    draft.raise_alarm("link_lost", text)
    if draft.state in WATCHED:
        draft.hold(text)


def _link_restored(draft: Draft, boot_id: int) -> None:
    draft.pump(link_up=True)
    draft.clear_alarm("link_lost")
    draft.record("bridge", what="link restored", boot_id=boot_id)
    pump_watch.booted(draft, boot_id)
    last = draft.visit.account.last
    unsettled = last is not None and last.status in (Status.STOPPING, Status.UNCERTAIN)
    if (unsettled or draft.visit.pump.stopping) and draft.state not in WATCHED:
        draft.stop("the link is back: make sure that the pump stands still")


def _log_failed(draft: Draft, why: str) -> None:
    draft.chart(log_failed=True)
    if draft.state in CLOSED:
        return
    text = f"the session log cannot be written: {why}"
    draft.raise_alarm("log_not_writable", text)
    if draft.state in WATCHED:
        draft.hold(text)
    elif draft.state in _BEFORE_DRUG:
        draft.abort(text)


def _stop_confirmed(draft: Draft) -> None:
    draft.pump(stopping=False, stopped_at=draft.now)
    draft.cancel_timer(STOP_TIMER)
    draft.clear_alarm("stop_unconfirmed")
    draft.record("stop", confirmed=True)


def _stop_unconfirmed(draft: Draft, why: str) -> None:
    """A pump that may still run is a fault, unless the cable is out: then its dead-man bounds it.

    Under the latch it is an alarm and no more: the stop goes on until it is confirmed, or until the
    runner gives it up, which ends the visit.
    """
    draft.cancel_timer(STOP_TIMER)
    draft.record("stop", confirmed=False, why=why)
    text = f"the stop is not confirmed: {why or 'the counters did not stand still'}"
    draft.raise_alarm("stop_unconfirmed", text)
    if draft.state in _LATCHED:
        return
    pump = draft.visit.pump
    unplugged = not pump.link_up or bool(pump.alarms & PumpAlarm.LINK_LOST)
    if draft.state in CLOSED or not unplugged:
        draft.fail(text)


def _failed(draft: Draft, why: str) -> None:
    if draft.state in _LATCHED:
        draft.refuse("Failed", f"stopped already: {why}")
    else:
        draft.fail(why)
