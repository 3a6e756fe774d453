"""The test dose and its answer: test_bolus, observing, titrating.

A standing question, `supervise`, lets a person hold, stop or end at any moment; the answers to it
are the same in every state that delivers or observes.
"""

from __future__ import annotations

from controller.dosing import programme
from controller.limits import largest_bolus
from controller.procedure.delivering import CEILING_TIMER, confirmed, findings, propose
from controller.procedure.draft import EARLY_S, Draft, Said
from controller.procedure.phase import Phase
from controller.procedure.questions import Question, Value
from controller.procedure.table import State, Trigger
from controller.procedure.visit import Kind
from firmware_bridge.quantities import Mass

UNANSWERED = "unanswered"


def ask_supervision(draft: Draft) -> None:
    """Let a person intervene at any moment; it need never be answered."""
    distress = draft.visit.plan.distress
    what = "the patient is anxious" if distress == "anxiety" else "signs of toxicity"
    draft.ask(
        "supervise",
        f"At any time: hold, emergency stop, {distress} ({what}), or abort",
        ("hold", "estop", distress, "abort"),
        then="each of them stops the pump at once; hold can be resumed by a person, "
        f"{distress} ends {draft.visit.plan.drug} for this visit and leads to the rescue.",
    )


def supervised(draft: Draft, said: Said) -> None:
    """A person intervened."""
    by = said.by or "unknown"
    choice = said.answer.choice
    draft.record("supervise", choice=choice, by=by)
    if choice == "hold":
        draft.hold(f"held by {by}")
    elif choice == "estop":
        draft.emergency_stop(by)
    elif choice == draft.visit.plan.distress:
        draft.distress(by)
    else:
        draft.abort(f"aborted by {by}")


def bolus_timer(draft: Draft, name: str) -> None:
    """A bolus, or a load, that takes longer than its volume can."""
    if name == CEILING_TIMER:
        text = f"the {'load' if draft.state is State.LOADING else 'bolus'} took too long"
        draft.raise_alarm("bolus_time_ceiling", text)
        draft.hold(text)
    else:
        draft.refuse(name, "no such timer here")


# --- test_bolus -----------------------------------------------------------------------------------


def _test_bolus_entered(draft: Draft, previous: State) -> None:
    del previous
    ask_supervision(draft)
    confirmed(draft)


TEST_BOLUS = Phase(entered=_test_bolus_entered, answered=supervised, timer=bolus_timer)


# --- observing ------------------------------------------------------------------------------------


def _observing_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.chart(further_dose=None)
    ask_supervision(draft)
    most, least = _further_limits(draft)
    values, times = {}, draft.visit.plan.times
    given = draft.visit.account.required
    limit = draft.visit.plan.limits.test_total_hard
    text = f"How does the patient respond? Test doses so far: {given} of at most {limit}."
    if most >= least:
        values["dose_mg"] = Value("mg", least.mg, most.mg, ("nothing",))
        nothing = f"nothing to a further dose of {least.mg:g} to {most.mg:g} mg"
    else:
        nothing = "nothing to recovery, since the limit of test doses is used up"
    draft.ask(
        "response",
        text,
        ("anxiety", "analgesia", "dissociation", "nothing"),
        then=f"not before {times.observing_s_min / 60:g} min after the dose, but for anxiety: analgesia "
        f"and dissociation lead to the infusion, {nothing}, anxiety to the rescue.",
        values=values,
        expires_after_s=times.observing_answer_s,
    )


def _further_limits(draft: Draft) -> tuple[Mass, Mass]:
    """The largest and the smallest further dose; largest below smallest means: used up."""
    plan = draft.visit.plan
    given = draft.visit.account.given(draft.now)
    by_limits = largest_bolus(plan.limits, weight_g=plan.dosing_weight_g, given=given)
    return min(by_limits, plan.further_max), plan.further_min


def _observing_answered(draft: Draft, said: Said) -> None:
    if said.question.kind == "supervise":
        supervised(draft, said)
        return
    response = said.answer.choice
    if response == "anxiety":
        draft.anxiety(said.by)
        return
    early = _too_early(draft)
    if early:
        draft.not_taken(said.question, early)
        return
    draft.record("response", response=response, by=said.by, **said.answer.values)
    draft.chart(response=response, response_at=draft.now)
    if response != "nothing":
        draft.go(Trigger.RESPONSE_FOUND)
    elif "dose_mg" in said.question.values:
        draft.chart(further_dose=Mass.from_mg(said.answer.values["dose_mg"]))
        draft.go(Trigger.FURTHER_DOSE_CHOSEN)
    else:
        draft.go(Trigger.LIMIT_USED_UP)


def _too_early(draft: Draft) -> str:
    last = draft.visit.account.last_end()
    since = draft.visit.entered_at if last is None else last
    least = draft.visit.plan.times.observing_s_min
    left = since + least - draft.now
    if left <= EARLY_S:
        return ""
    return f"observe for at least {least:g} s after the dose: {left:.0f} s are left"


def _observing_expired(draft: Draft, question: Question) -> None:
    minutes = draft.visit.plan.times.observing_answer_s / 60
    text = f"the question about the response was not answered within {minutes:g} min"
    draft.refuse(question.kind, "expired")
    draft.raise_alarm(UNANSWERED, text)
    draft.hold(text)


OBSERVING = Phase(
    entered=_observing_entered, answered=_observing_answered, expired=_observing_expired
)


# --- titrating ------------------------------------------------------------------------------------


def _titrating_entered(draft: Draft, previous: State) -> None:
    del previous
    plan, dose = draft.visit.plan, draft.visit.chart.further_dose
    if dose is None:
        draft.go(Trigger.NOT_CONFIRMED)
        return
    order = programme(dose, plan.concentration, plan.further_duration)
    found = findings(draft.visit, Kind.FURTHER, order, draft.now)
    if found.hard:
        draft.refuse("further dose", "; ".join(map(str, found.hard)))
        draft.go(Trigger.NOT_CONFIRMED)
        return
    ask_supervision(draft)
    title = f"Give a further dose: {dose} {plan.drug} over {plan.further_duration.s:g} s?"
    propose(draft, Kind.FURTHER, order, title, tuple(map(str, found.soft)))


def _titrating_answered(draft: Draft, said: Said) -> None:
    if said.question.kind == "supervise":
        supervised(draft, said)
    elif said.answer.choice == "confirm":
        draft.record("confirmed", token=said.question.token, by=said.by)
        draft.close(said.question)
        confirmed(draft)
    else:
        draft.record("not_confirmed", reason="refused", by=said.by)
        draft.chart(proposal=None)
        draft.go(Trigger.NOT_CONFIRMED)


def _titrating_expired(draft: Draft, question: Question) -> None:
    draft.record("not_confirmed", reason="expired", by="")
    draft.chart(proposal=None)
    draft.refuse(question.kind, "expired")
    draft.go(Trigger.NOT_CONFIRMED)


TITRATING = Phase(
    entered=_titrating_entered,
    answered=_titrating_answered,
    expired=_titrating_expired,
    timer=bolus_timer,
)
