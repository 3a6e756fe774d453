"""After delivery: rescue, recovery, and the four ends.

Nothing in here starts a pump.  The rescue drug is given by the clinician; the product prompts its limits
by age or weight and by the time since the last dose, records what was given, and watches breathing.
"""

from __future__ import annotations

from controller.procedure import vitals_watch
from controller.procedure.draft import EARLY_S, Draft, Said
from controller.procedure.effects import Finish, Outcome
from controller.procedure.phase import Phase
from controller.procedure.questions import Answer, Value
from controller.procedure.table import State, Trigger

UNANSWERED_TIMER = "rescue_unanswered"
NEXT_DOSE_TIMER = "rescue_next_dose"
LONGEST_TIMER = "longest"
SHORTEST_TIMER = "recovering_min"
AGAIN_TIMER = "recovering_again"
TOO_LONG = "recovery_too_long"
AGAIN_S = 600.0
"""A patient who is not fit yet is asked about again after 10 min [design]."""

_WATCH = "Watch breathing: respiratory rate, SpO2, EtCO2. Their limits are narrower from the first dose on."
_SUPPORT = "Call for help; airway and oxygen, seizure control, circulation."

SEDATION_MAX, NAUSEA_MAX = 1.0, 1.0
"""Drowsy but awake, and mild nausea, are the most that fits a discharge [design]."""

_YES = Value("1 = yes, 0 = no", 0, 1)
_SCORE = Value("points", 0, 10)


# --- rescue ---------------------------------------------------------------------------------------


def _rescue_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.chart(rescued=True)
    draft.start_timer(LONGEST_TIMER, draft.visit.plan.times.recovering_s_max)
    _ask_rescue(draft)


def _ask_rescue(draft: Draft) -> None:
    """Ask for the first dose, or for a further one; a dose too early is refused when it is answered."""
    plan, chart, limits = draft.visit.plan, draft.visit.chart, draft.visit.plan.rescue
    draft.start_timer(UNANSWERED_TIMER, plan.times.observing_answer_s)
    most = limits.largest(chart.rescue_total, chart.rescue_doses)
    values = {limits.key: Value(limits.unit, limits.smallest, most, ("given",))} if most else {}
    unit = limits.unit
    lines = [
        f"{plan.drug} is over for this visit. {limits.drug} is given by the clinician, by hand.",
        f"{limits.basis}: usually {limits.soft_step:g} {unit} at a time, {limits.soft_total:g} {unit} in all",
        f"never more than {limits.first:g} {unit} first, {limits.step:g} {unit} each, {limits.total:g} {unit} in all",
    ]
    if chart.rescue_doses:
        left = _rescue_wait_s(draft)
        lines.append(
            f"Given so far: {chart.rescue_total:g} {unit} in {chart.rescue_doses} dose(s)."
        )
        lines.append(
            f"The next not before {left:.0f} s from now." if most else "No further dose is left."
        )
    lines.append(_WATCH if limits.vitals else _SUPPORT)
    first = Answer("given", {limits.key: min(limits.proposed, most)})
    draft.ask(
        "rescue_drug",
        "\n".join(lines),
        ("given", "declined")
        if not chart.rescue_doses
        else (("enough", "given") if most else ("enough",)),
        values=values,
        then="given asks about a further dose after "
        f"{limits.step_every_s / 60:g} min; declined and enough lead to recovery.",
        proposed=Answer("enough") if chart.rescue_doses else first,
    )


def _rescue_wait_s(draft: Draft) -> float:
    """Seconds until another dose may be given: what the last one does must be seen first."""
    at = draft.visit.chart.rescue_at
    every = draft.visit.plan.rescue.step_every_s
    return 0.0 if at is None else max(0.0, at + every - draft.now)


def _rescue_answered(draft: Draft, said: Said) -> None:
    choice, limits = said.answer.choice, draft.visit.plan.rescue
    if choice != "given":
        total = draft.visit.chart.rescue_total
        known = {f"total_{limits.unit.lower()}": total}
        draft.record("rescue", drug=limits.drug, choice=choice, by=said.by, **known)
        if choice == "declined":
            draft.chart(rescue_drug=choice)
        draft.go(Trigger.RESCUE_RECORDED)
        return
    left = _rescue_wait_s(draft)
    if left > EARLY_S:
        draft.not_taken(said.question, f"wait for what the last dose does: {left:.0f} s are left")
        return
    _rescue_given(draft, said.answer.values[limits.key], said)


def _rescue_given(draft: Draft, amount: float, said: Said) -> None:
    chart, limits = draft.visit.chart, draft.visit.plan.rescue
    total = round(chart.rescue_total + amount, 6)
    soft = [
        f"{name} {value:g} {limits.unit} is above {limit:g} {limits.unit}"
        for name, value, limit in (
            ("dose", amount, limits.soft_step),
            ("total", total, limits.soft_total),
        )
        if value > limit
    ]
    draft.record(
        "rescue",
        drug=limits.drug,
        choice="given",
        by=said.by,
        number=chart.rescue_doses + 1,
        beyond_soft="; ".join(soft),
        **{limits.key: amount, f"total_{limits.unit.lower()}": total},
    )
    draft.chart(
        rescue_drug="given",
        rescue_doses=chart.rescue_doses + 1,
        rescue_total=total,
        rescue_at=draft.now,
    )
    draft.clear_alarm("rescue_unanswered")
    if limits.vitals:
        draft.record("prompt", text=_WATCH)
    draft.start_timer(NEXT_DOSE_TIMER, limits.step_every_s)
    _ask_rescue(draft)


def _rescue_timer(draft: Draft, name: str) -> None:
    if name == UNANSWERED_TIMER:
        draft.raise_alarm("rescue_unanswered", "the rescue is not recorded yet")
    elif name == NEXT_DOSE_TIMER:
        drug = draft.visit.plan.rescue.drug
        draft.record("prompt", text=f"a further dose of {drug} may be given now, or enough")
    elif name == LONGEST_TIMER:
        draft.abort("the rescue was not recorded to its end")
    else:
        draft.refuse(name, "no such timer here")


RESCUE = Phase(entered=_rescue_entered, answered=_rescue_answered, timer=_rescue_timer)


# --- recovering -----------------------------------------------------------------------------------


def _recovering_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.clear_alarm("unanswered")
    draft.clear_alarm("rescue_unanswered")
    draft.clear_alarm(TOO_LONG)
    times = draft.visit.plan.times
    draft.start_timer(LONGEST_TIMER, times.recovering_s_max)
    last = _last_dose_at(draft)
    left = 0.0 if last is None else last + times.recovering_s_min - draft.now
    draft.start_timer(SHORTEST_TIMER, left)


def _last_dose_at(draft: Draft) -> float | None:
    times = (draft.visit.account.last_end(), draft.visit.chart.rescue_at)
    return max((at for at in times if at is not None), default=None)


def _ask_scores(draft: Draft) -> None:
    note = draft.visit.chart.not_discharged
    draft.ask(
        "recovery_scores",
        (f"Not discharged: {note}.\n" if note else "")
        + "Recovery: pain 0 (none) to 10 (worst) and mood 0 (worst) to 10 (best) now; sedation 0 (awake) to "
        "4 (not rousable); nausea 0 (none) to 3 (vomiting); whether the patient walks safely",
        then=f"discharge is asked about if sedation is at most {SEDATION_MAX:g}, nausea at most "
        f"{NAUSEA_MAX:g}, walking safe and vitals within limits; otherwise again in "
        f"{AGAIN_S / 60:g} min.",
        values={
            "pain_0_10": _SCORE,
            "mood_0_10": _SCORE,
            "sedation_0_4": Value("grade", 0, 4),
            "nausea_0_3": Value("grade", 0, 3),
            "walking_ok": _YES,
        },
        proposed=Answer(
            "",
            {
                "pain_0_10": 3.0,
                "mood_0_10": 6.0,
                "sedation_0_4": 0.0,
                "nausea_0_3": 0.0,
                "walking_ok": 1.0,
            },
        ),
    )


def _recovering_answered(draft: Draft, said: Said) -> None:
    if TOO_LONG in draft.visit.alarms:
        draft.start_timer(LONGEST_TIMER, draft.visit.plan.times.recovering_s_max)  # not alone
    draft.close(said.question)
    if said.question.kind == "supervise":
        by = said.by or "unknown"
        draft.record("supervise", choice=said.answer.choice, by=by)
        draft.abort(f"handed over to further care, not fit for discharge, by {by}")
        return
    if said.question.kind == "recovery_scores":
        draft.record("recovery", by=said.by, **said.answer.values)
        draft.chart(recovery=said.answer.values)
        unfit = _unfit(draft)
        if unfit:
            _again(draft, unfit)
        else:
            _ask_discharge(draft)
        return
    why = _why_not_discharged(draft, said)
    if why:
        _again(draft, why)
        return
    draft.record("discharge", by=said.by, **said.answer.values, **_change(draft))
    draft.clear_alarm(TOO_LONG)
    draft.go(Trigger.DISCHARGE)


def _ask_discharge(draft: Draft) -> None:
    lines = ["Discharge? The escort is present, the patient does not drive, and has in writing:"]
    lines += [f"  {line}" for line in draft.visit.plan.instructions or ("the instructions",)]
    lines += [f"{key.replace('_', ' ')}: {value:+g}" for key, value in _change(draft).items()]
    draft.ask(
        "discharge",
        "\n".join(lines),
        ("discharge", "not_yet"),
        then=f"the visit ends; with not_yet, no escort or no instructions again in {AGAIN_S / 60:g} min.",
        values={
            "escort_present": Value(_YES.unit, 0, 1, ("discharge",)),
            "instructions_given": Value(_YES.unit, 0, 1, ("discharge",)),
        },
        proposed=Answer("discharge", {"escort_present": 1.0, "instructions_given": 1.0}),
    )


def _change(draft: Draft) -> dict[str, float]:
    """How pain and mood have changed since the baseline."""
    before, after = draft.visit.chart.baseline or {}, draft.visit.chart.recovery or {}
    return {
        f"{name}_change": after[f"{name}_0_10"] - before[f"{name}_0_10"]
        for name in ("pain", "mood")
        if f"{name}_0_10" in before and f"{name}_0_10" in after
    }


def _unfit(draft: Draft) -> str:
    scores = draft.visit.chart.recovery or {}
    if scores.get("sedation_0_4", 4.0) > SEDATION_MAX:
        return f"sedation {scores.get('sedation_0_4', 4.0):g} is above {SEDATION_MAX:g}"
    if scores.get("nausea_0_3", 3.0) > NAUSEA_MAX:
        return f"nausea {scores.get('nausea_0_3', 3.0):g} is above {NAUSEA_MAX:g}"
    if scores.get("walking_ok", 0.0) < 1.0:
        return "the patient does not walk safely"
    sign = draft.visit.chart.sign
    if sign:
        return f"a sign of toxicity is not over: {sign.replace('_', ' ')}"
    return vitals_watch.unsafe(draft.visit)


def _why_not_discharged(draft: Draft, said: Said) -> str:
    if draft.visit.pump.stopping:
        return "the pump's stop is not confirmed: it may still run"
    if said.answer.choice == "not_yet":
        return f"not yet, says {said.by or 'unknown'}"
    if said.answer.values["escort_present"] < 1.0:
        return "there is no escort"
    if said.answer.values["instructions_given"] < 1.0:
        return "the instructions are not given"
    return _unfit(draft)


def _again(draft: Draft, why: str) -> None:
    draft.chart(not_discharged=why)
    draft.refuse("discharge", why)
    draft.start_timer(AGAIN_TIMER, AGAIN_S)


def _recovering_timer(draft: Draft, name: str) -> None:
    if name in (SHORTEST_TIMER, AGAIN_TIMER):
        _ask_scores(draft)
    elif name == LONGEST_TIMER:
        _too_long(draft)
    else:
        draft.refuse(name, "no such timer here")


def _too_long(draft: Draft) -> None:
    """Tell a person, watch on and ask on.  Only where nobody answers for as long again, it is over."""
    longest_s = draft.visit.plan.times.recovering_s_max
    hours = longest_s / 3600
    if TOO_LONG in draft.visit.alarms:
        draft.abort(f"nobody has answered in recovery for {hours:g} h")
        return
    text = f"the patient was not fit for discharge within {hours:g} h"
    draft.raise_alarm(TOO_LONG, text)
    draft.start_timer(LONGEST_TIMER, longest_s)
    draft.ask(
        "supervise",
        f"{text[0].upper()}{text[1:]}. The monitor is watched and the scores are asked for as before. "
        "At any time: abort, once the patient has been handed over to further care",
        ("abort",),
        then="abort ends the visit here, as aborted; without any answer it ends by itself in "
        f"{hours:g} h.",
    )


RECOVERING = Phase(
    entered=_recovering_entered, answered=_recovering_answered, timer=_recovering_timer
)


# --- ends -----------------------------------------------------------------------------------------

_OUTCOMES = {
    State.ABORTED: Outcome.ABORTED,
    State.EMERGENCY_STOPPED: Outcome.EMERGENCY_STOPPED,
    State.FAULT: Outcome.FAULT,
}


def _closed_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.chart(finished=False)
    closed_progressed(draft)


def closed_progressed(draft: Draft) -> None:
    """The visit is finished once a stop that is under way has been confirmed, or given up."""
    waiting = draft.visit.pump.stopping and draft.state is not State.DISCHARGED
    if draft.trigger is not None or waiting or draft.visit.chart.finished:
        return
    discharged = Outcome.RESCUED if draft.visit.chart.rescued else Outcome.COMPLETED
    outcome = _OUTCOMES.get(draft.state, discharged)
    account, conc = draft.visit.account, draft.visit.plan.concentration
    scores = {
        f"{name}_{when}_0_10": found[f"{name}_0_10"]
        for when, found in (
            ("before", draft.visit.chart.baseline or {}),
            ("after", draft.visit.chart.recovery or {}),
        )
        for name in ("pain", "mood")
        if f"{name}_0_10" in found
    }
    draft.chart(finished=True)
    draft.record(
        "finished",
        outcome=outcome.value,
        reason=draft.visit.chart.end_reason,
        delivered_mg=account.delivered.mass_at(conc).mg,
        delivered_ml=account.delivered.ml,
        counted_mg=account.volume_counted.mass_at(conc).mg,
        counted_ml=account.volume_counted.ml,
        **scores,
    )
    draft.do(Finish(outcome))


ENDED = Phase(entered=_closed_entered, progressed=closed_progressed)
