"""Asking for signs of toxicity at intervals, in every state where the drug may act; any sign holds.

Which signs there are, and which of them are toxicity itself, is in the drug library; a drug without any
is not asked about.  No answer in time is no reassurance: delivery is held.
"""

from __future__ import annotations

from controller.procedure.draft import Draft, Said
from controller.procedure.questions import Question
from controller.procedure.table import DELIVERING, State

SIGNS_TIMER = "signs"
KIND = "signs"
NONE = "none"
ALARM = "toxicity_sign"
RECOVERING_FACTOR = 3
"""In recovery they are asked for a third as often: nothing flows in any more [design]."""
_AFTERWARDS = frozenset({State.HOLDING, State.RECOVERING})


def entered(draft: Draft) -> None:
    """Ask from now on, at the interval of the plan; at once where delivery has just been held."""
    if not draft.visit.plan.limits.signs or not _may_show(draft):
        return
    if draft.state is State.HOLDING:
        ask(draft)
        return
    last = draft.visit.chart.sign_asked_at
    since = 0.0 if last is None else draft.now - last
    draft.start_timer(SIGNS_TIMER, max(0.0, _interval_s(draft) - since))


def _may_show(draft: Draft) -> bool:
    """Where the drug acts, or is about to; who was given none shows no signs of it."""
    given = draft.visit.account.any_started
    return draft.state in DELIVERING or (draft.state in _AFTERWARDS and given)


def due(draft: Draft) -> None:
    """The interval is over: ask, but about no drug of which nothing was given yet, nor twice at once."""
    if draft.visit.account.any_started and draft.visit.question(KIND) is None:
        ask(draft)
    else:
        draft.start_timer(SIGNS_TIMER, _interval_s(draft))


def ask(draft: Draft) -> None:
    """Put the question; the next one follows an interval after this one."""
    visit = draft.visit
    signs = visit.plan.limits.signs
    draft.chart(sign_asked_at=draft.now)
    lines = ["Does the patient show or feel one of these? Name the worst, or none."]
    lines += [f"  {sign.key}: {sign.text}{' (toxicity)' if sign.severe else ''}" for sign in signs]
    if visit.chart.sign:
        lines.append(f"seen last time: {visit.chart.sign.replace('_', ' ')}")
    draft.ask(
        KIND,
        "\n".join(lines),
        (NONE, *(sign.key for sign in signs)),
        then=f"any sign holds delivery; toxicity ends it and prompts {visit.plan.rescue.drug}. "
        f"Asked again in {_interval_s(draft) / 60:g} min.",
        expires_after_s=visit.plan.times.signs_answer_s,
    )
    draft.start_timer(SIGNS_TIMER, _interval_s(draft))


def answered(draft: Draft, said: Said) -> None:
    """None takes the alarm away; any sign holds; a severe one ends delivery."""
    key, by = said.answer.choice, said.by or "unknown"
    sign = draft.visit.plan.limits.sign(key)
    draft.record("signs", sign=key, severe=sign is not None and sign.severe, by=by)
    draft.close(said.question)
    draft.clear_alarm("unanswered")
    if sign is None:
        draft.chart(sign="")
        draft.clear_alarm(ALARM)
        return
    draft.chart(sign=sign.key)
    if sign.severe:
        draft.toxicity(by, sign.key)
        return
    text = f"sign of toxicity: {sign.text}"
    draft.raise_alarm(ALARM, text)
    if draft.state in DELIVERING:
        draft.hold(text)


def expired(draft: Draft, question: Question) -> None:
    """Nobody said that there are no signs."""
    text = "the question about signs of toxicity was not answered"
    draft.refuse(question.kind, "expired")
    draft.raise_alarm("unanswered", text)
    if draft.state in DELIVERING:
        draft.hold(text)


def _interval_s(draft: Draft) -> float:
    every = draft.visit.plan.times.signs_every_s
    return every * RECOVERING_FACTOR if draft.state is State.RECOVERING else every
