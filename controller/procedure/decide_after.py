"""After delivery: rescue, recovery, and the four ends.

Nothing in here starts a pump.  Midazolam is given by the clinician; the product prompts its limits
and records what was given.
"""

from __future__ import annotations

from controller.procedure import vitals_watch
from controller.procedure.draft import Draft, Said
from controller.procedure.effects import Finish, Outcome, Priority
from controller.procedure.phase import Phase
from controller.procedure.questions import Answer, Value
from controller.procedure.table import State, Trigger

UNANSWERED_TIMER = "rescue_unanswered"
LONGEST_TIMER = "longest"
SHORTEST_TIMER = "recovering_min"
AGAIN_TIMER = "recovering_again"
AGAIN_S = 600.0
"""A patient who is not fit yet is asked about again after 10 min [design]."""

SEDATION_MAX, NAUSEA_MAX = 1.0, 1.0
"""Drowsy but awake, and mild nausea, are the most that fits a discharge [design]."""

_YES = Value("1 = yes, 0 = no", 0, 1)
_SCORE = Value("points", 0, 10)


# --- rescue ---------------------------------------------------------------------------------------


def _rescue_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.chart(rescued=True)
    times, limits = draft.visit.plan.times, draft.visit.plan.rescue
    draft.start_timer(UNANSWERED_TIMER, times.observing_answer_s)
    draft.start_timer(LONGEST_TIMER, times.recovering_s_max)
    text = (
        "Ketamine delivery is over. Midazolam is given by the clinician: first dose at most "
        f"{limits.first}, then steps of at most {limits.step} every {limits.step_every.min:g} min, "
        f"{limits.total} in all at the age of {draft.visit.plan.subject.age_years}. Watch breathing: "
        "respiratory rate, SpO2, EtCO2. Enter the total given, or declined."
    )
    draft.ask(
        "rescue_drug",
        text,
        ("given", "declined"),
        values={"midazolam_mg": Value("mg", 0.1, limits.total.mg, ("given",))},
        proposed=Answer("given", {"midazolam_mg": limits.proposed.mg}),
    )


def _rescue_answered(draft: Draft, said: Said) -> None:
    given = said.answer.choice == "given"
    mg = said.answer.values["midazolam_mg"] if given else 0.0
    draft.record("rescue", drug="midazolam", choice=said.answer.choice, dose_mg=mg, by=said.by)
    at = draft.now if given else None
    draft.chart(rescue_drug=said.answer.choice, midazolam_mg=mg, rescue_at=at)
    draft.go(Trigger.RESCUE_RECORDED)


def _rescue_timer(draft: Draft, name: str) -> None:
    if name == UNANSWERED_TIMER:
        text = "the rescue drug is not recorded yet"
        draft.raise_alarm("unanswered", Priority.HIGH, text)
    elif name == LONGEST_TIMER:
        draft.abort("the rescue was never recorded")
    else:
        draft.refuse(name, "no such timer here")


RESCUE = Phase(entered=_rescue_entered, answered=_rescue_answered, timer=_rescue_timer)


# --- recovering -----------------------------------------------------------------------------------


def _recovering_entered(draft: Draft, previous: State) -> None:
    del previous
    draft.clear_alarm("unanswered")
    times = draft.visit.plan.times
    draft.start_timer(LONGEST_TIMER, times.recovering_s_max)
    last = _last_dose_at(draft)
    left = 0.0 if last is None else last + times.recovering_s_min - draft.now
    draft.start_timer(SHORTEST_TIMER, left)


def _last_dose_at(draft: Draft) -> float | None:
    times = (draft.visit.account.last_end(), draft.visit.chart.rescue_at)
    return max((at for at in times if at is not None), default=None)


def _ask_scores(draft: Draft) -> None:
    draft.ask(
        "recovery_scores",
        "Pain and mood now (0-10), sedation 0 (awake) to 4, nausea 0 to 3, walks safely (1) or not (0)",
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
    draft.close(said.question)
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
    draft.record("discharge", by=said.by, **said.answer.values)
    draft.go(Trigger.DISCHARGE)


def _ask_discharge(draft: Draft) -> None:
    draft.ask(
        "discharge",
        "Discharge? The escort is present, the patient does not drive, instructions are given in writing",
        ("discharge", "not_yet"),
        values={
            "escort_present": Value(_YES.unit, 0, 1, ("discharge",)),
            "instructions_given": Value(_YES.unit, 0, 1, ("discharge",)),
        },
        proposed=Answer("discharge", {"escort_present": 1.0, "instructions_given": 1.0}),
    )


def _unfit(draft: Draft) -> str:
    scores = draft.visit.chart.recovery or {}
    if scores.get("sedation_0_4", 4.0) > SEDATION_MAX:
        return f"sedation {scores.get('sedation_0_4', 4.0):g} is above {SEDATION_MAX:g}"
    if scores.get("nausea_0_3", 3.0) > NAUSEA_MAX:
        return f"nausea {scores.get('nausea_0_3', 3.0):g} is above {NAUSEA_MAX:g}"
    if scores.get("walking_ok", 0.0) < 1.0:
        return "the patient does not walk safely"
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
    draft.refuse("discharge", why)
    draft.start_timer(AGAIN_TIMER, AGAIN_S)


def _recovering_timer(draft: Draft, name: str) -> None:
    if name in (SHORTEST_TIMER, AGAIN_TIMER):
        _ask_scores(draft)
    elif name == LONGEST_TIMER:
        hours = draft.visit.plan.times.recovering_s_max / 3600
        text = f"the patient was not fit for discharge within {hours:g} h"
        draft.raise_alarm("recovery", Priority.MEDIUM, text)
        draft.abort(text)
    else:
        draft.refuse(name, "no such timer here")


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
    draft.chart(finished=True)
    draft.record(
        "finished",
        outcome=outcome.value,
        reason=draft.visit.chart.end_reason,
        delivered_mg=account.delivered.mass_at(conc).mg,
        delivered_ml=account.delivered.ml,
        counted_mg=account.volume_counted.mass_at(conc).mg,
        counted_ml=account.volume_counted.ml,
    )
    draft.do(Finish(outcome))


ENDED = Phase(entered=_closed_entered, progressed=closed_progressed)
