"""Before any drug: checklist, self-test, baseline, and the confirmation of the first dose.

Whatever is answered with "no", fails, or takes longer than the plan allows, ends the visit.
"""

from __future__ import annotations

from controller.dosing import programme
from controller.limits import BolusOrder
from controller.plan import Item, Plan
from controller.procedure import vitals_watch
from controller.procedure.delivering import await_command, findings, propose
from controller.procedure.draft import EARLY_S, VITALS_TIMER, Draft, Said
from controller.procedure.effects import Configure, RunSelfTest
from controller.procedure.events import SelfTestEnded
from controller.procedure.phase import Phase
from controller.procedure.questions import Answer, Question, Value
from controller.procedure.table import State, Trigger
from controller.procedure.visit import Kind
from firmware_bridge.messages import Ending, Result

LIMIT_TIMER = "before_drug"
VITALS_GOOD_TIMER = "baseline_vitals"
SCORE = Value("points", 0, 10)


def _start_limit(draft: Draft) -> None:
    draft.start_timer(LIMIT_TIMER, draft.visit.plan.times.before_drug_s_max)


def _limit_over(draft: Draft, name: str) -> None:
    if name == LIMIT_TIMER:
        draft.abort(f"{draft.state.value} took too long")
    elif name == VITALS_GOOD_TIMER:
        _baseline_progressed(draft)
    else:
        draft.refuse(name, "no such timer here")


# --- preparing ------------------------------------------------------------------------------------


def started(draft: Draft) -> None:
    """The first item of the checklist is asked."""
    draft.chart(started=True)
    draft.change(entered_at=draft.now)
    draft.record("state", to=State.PREPARING.value, **{"from": ""})
    draft.start_timer(VITALS_TIMER, draft.visit.bounds.data_age_s)
    _start_limit(draft)
    _ask_next_item(draft)


def _ask_next_item(draft: Draft) -> None:
    items, number = draft.visit.plan.checklist, draft.visit.chart.checked
    item = items[number]
    last = number + 1 == len(items)
    draft.ask(
        "checklist",
        f"Checklist {number + 1} of {len(items)}, for the {item.role}: {_wording(draft.visit.plan, item)}",
        ("yes", "no"),
        then=f"{'the self-test of pump and link' if last else 'the next item'}; "
        "with no the visit ends before any drug.",
        role=item.role,
    )


def _wording(plan: Plan, item: Item) -> str:
    """The item with the names and amounts of this visit: what is confirmed is named."""
    text = item.text
    for name, value in (
        ("drug", plan.drug),
        ("concentration", plan.concentration),
        ("loaded", plan.syringe.loaded),
        ("syringe", plan.syringe.name),
    ):
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _checklist_answered(draft: Draft, said: Said) -> None:
    if not said.by:
        draft.not_taken(said.question, "every item is answered by a named role")
        return
    item = draft.visit.plan.checklist[draft.visit.chart.checked]
    draft.record(
        "checklist",
        item=item.key,
        role=item.role,
        choice=said.answer.choice,
        by=said.by,
        text=_wording(draft.visit.plan, item),
    )
    draft.close(said.question)
    if said.answer.choice == "no":
        draft.abort(f"checklist: {item.key} answered no")
        return
    draft.chart(checked=draft.visit.chart.checked + 1)
    if draft.visit.chart.checked < len(draft.visit.plan.checklist):
        _ask_next_item(draft)
    else:
        draft.go(Trigger.CHECKLIST_DONE)


PREPARING = Phase(answered=_checklist_answered, timer=_limit_over)


# --- self-test (also repeated in baseline and holding after a new bridge) ---------------------------


def _self_test_entered(draft: Draft, previous: State) -> None:
    del previous
    _start_limit(draft)
    _self_test_progressed(draft)


def _self_test_progressed(draft: Draft) -> None:
    if draft.trigger is None and draft.visit.pump.link_up:
        configure(draft)


def configure(draft: Draft) -> None:
    """Tell the pump its syringe, then test; does nothing while that is under way."""
    if draft.visit.pending is not None or draft.visit.pump.testing:
        return
    syringe, command_id = draft.visit.plan.syringe, draft.new_id()
    draft.do(Configure(command_id, syringe.diameter_um, syringe.size))
    await_command(draft, command_id, "Configure")


def configured(draft: Draft, result: Result) -> None:
    if result.ending in (Ending.ACCEPTED, Ending.DONE):
        draft.pump(testing=True)
        draft.do(RunSelfTest())
        return
    why = result.reason or "no reason given"
    test_ended(draft, SelfTestEnded(ok=False, findings=(f"syringe not accepted: {why}",)))


def test_ended(draft: Draft, event: SelfTestEnded) -> None:
    """Record the findings; a failed test ends a visit before drug, and keeps a held one held."""
    findings = "; ".join(event.findings)
    draft.record("self_test", ok=event.ok, findings=findings)
    draft.pump(testing=False)
    if event.ok:
        draft.clear_alarm("self_test")
        draft.pump(tested_boot_id=draft.visit.pump.boot_id)
        if draft.state is State.SELF_TEST:
            draft.go(Trigger.SELF_TEST_PASSED)
        return
    text = f"self-test failed: {findings or 'no findings given'}"
    draft.raise_alarm("self_test", text)
    if draft.state in (State.SELF_TEST, State.BASELINE):
        draft.abort(text)


SELF_TEST = Phase(entered=_self_test_entered, timer=_limit_over, progressed=_self_test_progressed)


# --- baseline -------------------------------------------------------------------------------------


def _baseline_entered(draft: Draft, previous: State) -> None:
    del previous
    _start_limit(draft)
    draft.ask(
        "baseline_scores",
        "Pain now, 0 (none) to 10 (worst), and mood now, 0 (worst) to 10 (best)",
        values={"pain_0_10": SCORE, "mood_0_10": SCORE},
        then=f"{_first_step(draft)}, once vitals were within limits for "
        f"{draft.visit.plan.times.baseline_vitals_s / 60:g} min.",
        proposed=Answer("", {"pain_0_10": 6.0, "mood_0_10": 4.0}),
    )
    if draft.visit.vitals.stale and VITALS_TIMER not in draft.visit.deadlines:
        vitals_watch.lost(draft, "there are no vitals yet")
    _baseline_progressed(draft)


def _baseline_progressed(draft: Draft) -> None:
    """Ask for the test bolus while scores, vitals, link and self-test allow it, and only then."""
    if draft.trigger is not None:
        return
    pump = draft.visit.pump
    if pump.link_up and pump.tested_boot_id != pump.boot_id:
        configure(draft)
    ready = _vitals_good(draft) and not _not_ready(draft)
    asked = draft.visit.question("confirm") is not None
    if ready and not asked:
        _propose_first(draft)
    elif asked and not ready:
        draft.withdraw("confirm")


def _vitals_good(draft: Draft) -> bool:
    """Within all limits for the whole time asked for; otherwise a timer looks again."""
    good_since = draft.visit.vitals.good_since
    if good_since is None:
        draft.cancel_timer(VITALS_GOOD_TIMER)
        return False
    until = max(good_since, draft.visit.entered_at) + draft.visit.plan.times.baseline_vitals_s
    if draft.now >= until - EARLY_S:
        return True
    if VITALS_GOOD_TIMER not in draft.visit.deadlines:
        draft.start_timer(VITALS_GOOD_TIMER, until - draft.now)
    return False


def _not_ready(draft: Draft) -> str:
    visit = draft.visit
    if visit.chart.baseline is None:
        return "the baseline scores are missing"
    if not visit.pump.link_up:
        return "the pump cannot be reached"
    if visit.pump.tested_boot_id != visit.pump.boot_id:
        return "the bridge has not passed its self-test"
    if visit.pump.alarms:
        return "the pump is in alarm"
    if visit.vitals.good_since is None:
        return vitals_watch.unsafe(visit) or "a vital sign is outside its limits"
    return ""


def _first_step(draft: Draft) -> str:
    plan = draft.visit.plan
    if plan.has_test_dose:
        return "the test bolus is proposed"
    return "the infusion is proposed" if plan.load is None else "the load is proposed"


def _propose_first(draft: Draft) -> None:
    """The test bolus, or the load; without either the infusion is computed and proposed there."""
    plan = draft.visit.plan
    if plan.has_test_dose:
        kind, name, dose = Kind.TEST, "test bolus", plan.test_bolus
    elif plan.load is not None:
        kind, name, dose = Kind.LOAD, "load", BolusOrder(plan.load.dose, plan.load.duration)
    else:
        draft.go(Trigger.NO_TEST_DOSE)
        return
    order = programme(dose.dose, plan.concentration, dose.duration)
    found = findings(draft.visit, kind, order, draft.now)
    if found.hard:
        draft.abort(f"{name} beyond a hard limit: {'; '.join(map(str, found.hard))}")
        return
    title = f"Give the {name}: {order.mass} {plan.drug} over {dose.duration.s:g} s?"
    propose(draft, kind, order, title, tuple(map(str, found.soft)))


def _baseline_answered(draft: Draft, said: Said) -> None:
    if said.question.kind == "baseline_scores":
        draft.record("baseline", by=said.by, **said.answer.values)
        draft.chart(baseline=said.answer.values)
        draft.close(said.question)
        _baseline_progressed(draft)
        return
    draft.close(said.question)
    if said.answer.choice == "refuse":
        draft.abort(f"first dose refused by {said.by or 'unknown'}")
        return
    draft.record("confirmed", token=said.question.token, by=said.by)
    has_load = draft.visit.plan.load is not None
    draft.go(Trigger.LOAD_CONFIRMED if has_load else Trigger.BASELINE_DONE)


def _baseline_expired(draft: Draft, question: Question) -> None:
    draft.refuse(question.kind, "expired")
    _baseline_progressed(draft)


BASELINE = Phase(
    entered=_baseline_entered,
    answered=_baseline_answered,
    expired=_baseline_expired,
    timer=_limit_over,
    progressed=_baseline_progressed,
)
