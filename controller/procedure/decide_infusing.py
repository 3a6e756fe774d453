"""The infusion: the dose by a named rule, its arithmetic, its confirmation, its two ends.

Volume ends it; a ceiling on motor-on time, independent of the volume, ends it too and raises an
alarm.  After a hold only the rest is given, at the rate it had, and only when confirmed again.
"""

from __future__ import annotations

from controller.dosing import (
    Programme,
    RuleResult,
    by_weight,
    hold_effect,
    multiple,
    programme,
    remainder,
)
from controller.effect_model import Dose
from controller.limits import largest_infusion, largest_soft_infusion
from controller.plan import Plan
from controller.procedure.decide_dosing import ask_supervision, supervised
from controller.procedure.delivering import CEILING_TIMER, confirmed, findings, propose
from controller.procedure.draft import Draft, Said
from controller.procedure.phase import Phase
from controller.procedure.pump_watch import near
from controller.procedure.questions import Answer, Question, Value
from controller.procedure.table import State, Trigger
from controller.procedure.visit import MOVED, Delivery, Kind, Visit
from firmware_bridge.quantities import Mass, Volume

JUMP = 10
"""From ten times away on a dose is taken for a slip of the decimal point, and confirmed as such."""
SMALLEST = Mass(100)
"""Below 0.1 mg an infusion is nothing; it is asked about instead of started."""


def _entered(draft: Draft, previous: State) -> None:
    del previous
    first = _first_infusion(draft.visit)
    if first is not None:
        _propose_rest(draft, first)
    elif draft.visit.chart.infusion_dose is not None:
        if (
            draft.visit.chart.ruled_dose is None
        ):  # lost with a controller: a slip must still be seen
            _note_rule(draft, _by_rule(draft.visit, draft.now))
        _propose(draft, draft.visit.chart.infusion_dose, ())
    else:
        _compute(draft)


def _first_infusion(visit: Visit) -> Delivery | None:
    started = (d for d in visit.account.deliveries if d.kind is Kind.INFUSION and d.status in MOVED)
    return next(started, None)


def infusion_left(visit: Visit) -> Volume:
    """What is left of an interrupted infusion; what may have been given counts as given."""
    first = _first_infusion(visit)
    return Volume(0) if first is None else first.volume.less(visit.account.infusion_counted)


def _propose_rest(draft: Draft, first: Delivery) -> None:
    left = infusion_left(draft.visit)
    if left <= near(first.volume):
        draft.go(Trigger.VOLUME_DELIVERED)
    elif draft.visit.account.motor_s(draft.now) >= draft.visit.plan.infusion.ceiling.s:
        _ceiling(draft)
    else:
        rest = remainder(left, first.rate, draft.visit.plan.concentration)
        _offer(draft, rest, "Resume the infusion: the remaining volume")


def _compute(draft: Draft) -> None:
    result = _by_rule(draft.visit, draft.now)
    for line in result.arithmetic:
        draft.record("arithmetic", line=line)
    _note_rule(draft, result)
    if result.mass < SMALLEST:
        _ask_dose(draft, "\n".join((*result.arithmetic, "the rule gives no dose: enter one")))
    else:
        _propose(draft, result.mass, result.arithmetic)


def _note_rule(draft: Draft, result: RuleResult) -> None:
    """Remember what the rule came to; a dose too small to be one is none."""
    draft.chart(ruled_dose=result.mass if result.mass >= SMALLEST else None)


def _by_rule(visit: Visit, now: float) -> RuleResult:
    rule, account = visit.plan.infusion, visit.account
    if rule.name == "multiple":
        return multiple(account.required, rule.k_milli)
    if rule.name == "previous":
        return _by_previous(visit.plan)
    if rule.name in ("per_kg", "rate_per_kg"):
        plan = visit.plan
        return by_weight(
            rule.name,
            rule.ug_kg,
            plan.dosing_weight_g,
            rule.duration,
            ideal=plan.limits.ideal_weight,
        )
    untimed = any(d.status in MOVED and d.started_at is None for d in account.deliveries)
    if untimed or visit.chart.response_at is None:
        why = "rule hold_effect: the times of the test doses were lost with the controller"
        return RuleResult(Mass(0), (why,))
    doses = [
        Dose(d.started_at, d.ended_at, d.delivered.mass_at(account.concentration).mg)
        for d in account.deliveries
        if d.started_at is not None and d.ended_at is not None and d.ended_at > d.started_at
    ]
    return hold_effect(
        visit.plan.subject.weight_kg,
        doses,
        seen_at_s=visit.chart.response_at,
        start_s=now,
        duration=rule.duration,
    )


def _by_previous(plan: Plan) -> RuleResult:
    proposal = plan.previous
    if proposal is None:
        why = "rule previous: no earlier session log was given (--previous LOG)"
        return RuleResult(Mass(0), (why,))
    return RuleResult(proposal.dose or Mass(0), proposal.lines)


def _propose(draft: Draft, dose: Mass, arithmetic: tuple[str, ...]) -> None:
    plan = draft.visit.plan
    order = programme(dose, plan.concentration, plan.infusion.duration)
    for line in order.arithmetic:
        draft.record("arithmetic", line=line)
    shown = Programme(order.mass, order.volume, order.rate, (*arithmetic, *order.arithmetic))
    title = f"Infuse {dose} {plan.drug} over {plan.infusion.duration.min:g} min?"
    _offer(draft, shown, title, changeable=True)


def _jump(visit: Visit, dose: Mass) -> tuple[str, ...]:
    """A dose ten times what the rule gives, or a tenth of it, looks like a slip of a decimal point."""
    ruled = visit.chart.ruled_dose
    if ruled is None or (ruled.ug < dose.ug * JUMP and dose.ug < ruled.ug * JUMP):
        return ()
    return (f"infusion dose {dose} is {JUMP} times away from {ruled}, which the rule gives",)


def _offer(draft: Draft, order: Programme, title: str, *, changeable: bool = False) -> None:
    found = findings(draft.visit, Kind.INFUSION, order, draft.now)
    if found.hard:
        reasons = [f"beyond a hard limit: {finding}" for finding in found.hard]
        for reason in reasons:
            draft.refuse("infusion", reason)
        if _first_infusion(draft.visit) is not None:
            draft.hold(f"the rest cannot be given: {'; '.join(reasons)}")
        else:
            _ask_dose(draft, "\n".join((*order.arithmetic, *reasons, "enter a lower dose")))
        return
    if draft.visit.question("supervise") is None:
        ask_supervision(draft)
    soft = tuple(map(str, found.soft))
    if changeable:
        soft += _jump(draft.visit, order.mass)
    propose(draft, Kind.INFUSION, order, title, soft, changeable=changeable)


def _ask_dose(draft: Draft, text: str) -> None:
    plan, weight_g = draft.visit.plan, draft.visit.plan.dosing_weight_g
    span = plan.infusion.duration
    given = draft.visit.account.given(draft.now)
    most = largest_infusion(plan.limits, weight_g=weight_g, duration=span, given=given)
    left = plan.syringe.loaded.less(draft.visit.account.volume_counted)
    most = min(most, left.mass_at(plan.concentration))
    if most < SMALLEST:
        draft.hold("no infusion dose is left within the limits")
        return
    if draft.visit.question("supervise") is None:
        ask_supervision(draft)
    soft = largest_soft_infusion(plan.limits, weight_g=weight_g, duration=span)
    draft.ask(
        "infusion_dose",
        text,
        values={"dose_mg": Value("mg", SMALLEST.mg, most.mg)},
        then=f"volume and rate over {span.min:g} min are shown with their arithmetic, to be confirmed.",
        proposed=_entry_proposed(draft.visit, min(most, soft)),
        expires_after_s=plan.times.observing_answer_s,
    )


def _entry_proposed(visit: Visit, within_soft: Mass) -> Answer | None:
    """The rule's dose as far as it needs no second confirmation; nothing where no rule gave any."""
    plan = visit.plan
    if plan.infusion.name == "previous" and visit.chart.ruled_dose is None:
        return None
    return Answer("", {"dose_mg": min(within_soft, visit.chart.ruled_dose or within_soft).mg})


def _answered(draft: Draft, said: Said) -> None:
    if said.question.kind == "supervise":
        supervised(draft, said)
    elif said.answer.choice == "change":
        draft.record("change", by=said.by)
        draft.chart(proposal=None)
        draft.close(said.question)
        _ask_dose(draft, "Enter another dose for the infusion, within the limits")
    elif said.question.kind == "infusion_dose":
        dose = Mass.from_mg(said.answer.values["dose_mg"])
        draft.record("infusion_dose", dose_mg=dose.mg, by=said.by)
        draft.chart(infusion_dose=dose)
        draft.close(said.question)
        _propose(draft, dose, (f"dose entered by {said.by or 'unknown'}",))
    elif said.answer.choice == "confirm":
        draft.record("confirmed", token=said.question.token, by=said.by)
        draft.close(said.question)
        _confirmed(draft)
    else:
        _not_confirmed(draft, f"refused by {said.by or 'unknown'}")


def _confirmed(draft: Draft) -> None:
    proposal = draft.visit.chart.proposal
    if proposal is not None and _first_infusion(draft.visit) is None:
        draft.chart(infusion_dose=proposal.mass)
    confirmed(draft)


def _expired(draft: Draft, question: Question) -> None:
    draft.refuse(question.kind, "expired")
    _not_confirmed(draft, "expired")


def _not_confirmed(draft: Draft, reason: str) -> None:
    draft.record("not_confirmed", reason=reason)
    draft.chart(proposal=None)
    draft.hold(f"not confirmed ({reason})")


def _timer(draft: Draft, name: str) -> None:
    if name == CEILING_TIMER:
        _ceiling(draft)
    else:
        draft.refuse(name, "no such timer here")


def _ceiling(draft: Draft) -> None:
    ceiling = draft.visit.plan.infusion.ceiling
    text = f"motor-on time reached {ceiling.min:g} min: the infusion ends"
    limit_min = ceiling.min
    draft.raise_alarm("time_ceiling", text, limit=limit_min, unit="min")
    draft.stop(text)
    draft.go(Trigger.TIME_CEILING_REACHED)


INFUSING = Phase(entered=_entered, answered=_answered, expired=_expired, timer=_timer)
