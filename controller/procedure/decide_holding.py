"""Holding: delivery is stopped, and only a person goes on, or 30 minutes pass and recovery begins.

Resuming waits until the cause is gone: vitals safe, link up, pump alarms acknowledged, the stop
settled, and after a new bridge the self-test passed again.  Nothing resumes by itself.
"""

from __future__ import annotations

from controller.procedure import vitals_watch
from controller.procedure.decide_before import configure
from controller.procedure.decide_infusing import infusion_left
from controller.procedure.draft import STOP_TIMER, Draft, Said
from controller.procedure.effects import AcknowledgeAlarms
from controller.procedure.phase import Phase
from controller.procedure.questions import Question
from controller.procedure.table import CLOSED, State, Trigger
from controller.procedure.visit import Kind, Status, Visit

_RESUMED = {
    None: "",
    Trigger.RESUME_SELF_TEST: "resume begins again with the self-test, ",
    Trigger.RESUME_OBSERVING: "resume goes on observing (an interrupted dose is never completed), ",
    Trigger.RESUME_INFUSING: "resume asks to confirm what is left, ",
}
RESUME_TIMER = "resume"

_NOT_BY_RESUMING = ("vitals_", "ventilation_", "pump_", "link_lost", "near_empty", "empty")
"""Conditions that end by themselves; every other one ends when a person decides to go on."""

_AFTER_DRUG = CLOSED | {State.RESCUE, State.RECOVERING, State.HOLDING}


def resume_target(visit: Visit) -> tuple[Trigger | None, str]:
    """Where resuming leads from here, or None and why it is not possible."""
    chart, account, origin = visit.chart, visit.account, visit.chart.hold_origin
    if _unprepared(visit):
        done, items = chart.checked, len(visit.plan.checklist)
        return None, f"only {done} of the {items} items of the checklist were answered; begin anew"
    if chart.rescued:
        return None, f"{visit.plan.drug} delivery is over after {visit.plan.distress}"
    if origin is None or origin in _AFTER_DRUG:
        return None, "delivery was over before"
    if chart.interrupted and not account.any_started:
        return Trigger.RESUME_SELF_TEST, ""
    if origin not in (State.INFUSING, State.LOADING):
        return Trigger.RESUME_OBSERVING, ""
    last = account.last
    if last is not None and last.status is Status.UNCERTAIN:
        return None, "what was delivered is uncertain"
    if chart.disagreement:
        return None, chart.disagreement
    return Trigger.RESUME_INFUSING, ""


def _unprepared(visit: Visit) -> bool:
    """Whether the controller died before the checklist was complete: there is no visit to go on with."""
    return visit.chart.checked < len(visit.plan.checklist) and not visit.account.any_started


def _choices(visit: Visit, *, resumable: bool) -> tuple[str, ...]:
    if _unprepared(visit):
        return ("abort",)
    ends = ("recover", visit.plan.distress, "abort")
    return ("resume", *ends) if resumable else ends


def _entered(draft: Draft, previous: State) -> None:
    del previous
    _ask(draft, "")


def _ask(draft: Draft, note: str) -> None:
    visit = draft.visit
    target, why = resume_target(visit)
    choices = _choices(visit, resumable=target is not None)
    lines = [f"Holding: {visit.chart.hold_reason}", f"delivered so far: {visit.account.delivered}"]
    if target is Trigger.RESUME_INFUSING:
        lines.append(f"remaining of the infusion: {_remaining(visit)}")
    lines += [f"cannot be resumed: {why}"] if why else []
    lines += [note] if note else []
    left = visit.entered_at + visit.plan.times.holding_answer_s - draft.now
    draft.ask(
        "holding",
        "\n".join(lines),
        choices,
        then=_what_follows(visit, target),
        expires_after_s=max(0.0, left),
    )


def _what_follows(visit: Visit, target: Trigger | None) -> str:
    """Of the answers that are offered, and of none."""
    if _unprepared(visit):
        return "abort ends the visit, and so does no answer; nothing was given."
    return (
        f"{_RESUMED[target]}recover leads to recovery, {visit.plan.distress} to the rescue, abort ends "
        "the visit; without an answer recovery begins."
    )


def _remaining(visit: Visit) -> str:
    """What is left, as far as it is known: a person decides on this line."""
    if visit.pump.stopping:
        return "counted once the pump is seen to stand still"
    if not any(d.kind is Kind.INFUSION for d in visit.account.deliveries):
        return "all of it; nothing has been started"
    return str(infusion_left(visit))


def _answered(draft: Draft, said: Said) -> None:
    choice, by = said.answer.choice, said.by or "unknown"
    if choice == "resume":
        _resume_wanted(draft, said)
        return
    draft.record("holding", choice=choice, by=by)
    if choice == "recover":
        draft.go(Trigger.RECOVER)
    elif choice == draft.visit.plan.distress:
        draft.distress(by)
    else:
        draft.abort(f"aborted by {by}")


def _resume_wanted(draft: Draft, said: Said) -> None:
    target, why = resume_target(draft.visit)
    blocked = why if target is None else _blocked(draft.visit)
    if blocked:
        draft.not_taken(said.question, f"not resumed: {blocked}")
        return
    draft.record("holding", choice="resume", by=said.by or "unknown")
    draft.chart(resuming=True, acknowledged=False)
    draft.clear_alarm("self_test")
    draft.start_timer(RESUME_TIMER, draft.visit.bounds.resume_s)
    _progressed(draft)


def _blocked(visit: Visit) -> str:
    """A cause that only the world can take away."""
    if visit.chart.log_failed:
        return "the session log cannot be written"
    if not visit.pump.link_up:
        return "the pump cannot be reached"
    if visit.chart.sign:
        return f"a sign of toxicity is not over: {visit.chart.sign.replace('_', ' ')}"
    if visit.question("signs") is not None:
        return "the question about signs of toxicity is open"
    return vitals_watch.unsafe(visit)


def _progressed(draft: Draft) -> None:
    """Go on with a resume that a person asked for, as far as it goes now."""
    visit = draft.visit
    if draft.trigger is not None or not visit.chart.resuming:
        return
    blocked = _blocked(visit) or _test_failed(visit)
    if blocked:
        _not_resumed(draft, blocked)
    elif visit.pump.alarms:
        if not visit.chart.acknowledged:
            draft.chart(acknowledged=True)
            draft.do(AcknowledgeAlarms(visit.pump.alarms))
    elif visit.pump.stopping and STOP_TIMER not in visit.deadlines:
        # The last stop went unconfirmed while the cable was out: it must be confirmed now.
        draft.stop("make sure that the pump stands still")
    elif _settled(visit):
        _test_or_resume(draft)


def _test_or_resume(draft: Draft) -> None:
    """A bridge that was not tested is tested first, unless resuming leads to the self-test anyway.

    Only once the count is settled: telling a pump its syringe may clear its counter.
    """
    target, _ = resume_target(draft.visit)
    tested = draft.visit.pump.tested_boot_id == draft.visit.pump.boot_id
    if tested or target is Trigger.RESUME_SELF_TEST:
        _resume(draft)
    else:
        configure(draft)


def _test_failed(visit: Visit) -> str:
    return "the self-test failed" if "self_test" in visit.alarms and not visit.pump.testing else ""


def _settled(visit: Visit) -> bool:
    last = visit.account.last
    unsettled = last is not None and last.status in (Status.STOPPING, Status.STARTING)
    return not visit.pump.stopping and not unsettled


def _resume(draft: Draft) -> None:
    target, why = resume_target(draft.visit)
    if target is None:
        _not_resumed(draft, why)
        return
    draft.chart(resuming=False, hold_reason="", hold_origin=None)
    for alarm_id in sorted(draft.visit.alarms):
        if not alarm_id.startswith(_NOT_BY_RESUMING):
            draft.clear_alarm(alarm_id)
    draft.go(target)


def _not_resumed(draft: Draft, why: str) -> None:
    draft.chart(resuming=False)
    draft.cancel_timer(RESUME_TIMER)
    draft.refuse("resume", why)
    _ask(draft, f"not resumed: {why}")


def _expired(draft: Draft, question: Question) -> None:
    draft.refuse(question.kind, "expired")
    if _unprepared(draft.visit):
        draft.abort("the checklist was not complete")
        return
    text = "holding was not answered: recovery begins"
    draft.raise_alarm("unanswered", text)
    draft.go(Trigger.RECOVER)


def _timer(draft: Draft, name: str) -> None:
    if name == RESUME_TIMER:
        _not_resumed(draft, "the cause is not gone")
    else:
        draft.refuse(name, "no such timer here")


HOLDING = Phase(
    entered=_entered,
    answered=_answered,
    expired=_expired,
    timer=_timer,
    progressed=_progressed,
)
