"""Watching the vital signs: limits with persistence, missing and stale values, and what is unsafe now.

A value that is missing, invalid or too old is unsafe, never "the last good one".  Recovery of a value
clears its alarm; it never resumes a delivery.
"""

from __future__ import annotations

from dataclasses import replace

from controller.limits import VitalLimit
from controller.procedure.decision import Decision
from controller.procedure.draft import EARLY_S, VITALS_TIMER, Draft
from controller.procedure.events import VitalsArrived
from controller.procedure.phase import Phase
from controller.procedure.table import CLOSED, WATCHED, State
from controller.procedure.visit import Visit, VitalsWatch

STALE_ALARM = "vitals_stale"
CUFF_AGE = "nibp_age_s"
"""The age of every value whose key begins with ``nibp_``; a pressure without it may be of any age."""

_QUIET = CLOSED | {State.PREPARING}
"""Where nobody needs an alarm about vitals: the monitor is not attached yet, or no more."""


def arrived(state: State, visit: Visit, event: VitalsArrived, now: float, phase: Phase) -> Decision:
    """The visit after one sample.  Nearly all of them bring no news, and that must cost little."""
    watch = visit.vitals
    if event.seq <= watch.seq:
        return Decision(visit)  # late, repeated or frozen: it does not count as fresh
    breached = _breached(visit, event)
    if not breached and not watch.outside and not watch.stale and watch.good_since is not None:
        heard = VitalsWatch(
            event.sample, event.signs, event.seq, now, (), watch.good_since, stale=False
        )
        return Decision(visit.with_news(vitals=heard))
    draft = Draft(state, visit, now)
    _judge(draft, event, breached)
    phase.progressed(draft)
    return draft.decision()


def timer_fired(draft: Draft) -> None:
    """The time for which a sample counts as fresh may be over."""
    heard, age = draft.visit.vitals.heard_at, draft.visit.bounds.data_age_s
    left = age if heard is None else heard + age - draft.now
    if heard is not None and left > EARLY_S:
        draft.start_timer(VITALS_TIMER, left)
    elif not draft.visit.vitals.stale or heard is None:
        lost(draft, f"no vitals for {age:g} s")


def lost(draft: Draft, why: str) -> None:
    """There are no vitals any more: unsafe at once."""
    watch = replace(draft.visit.vitals, stale=True, good_since=None, sample={}, signs={})
    draft.change(vitals=watch)
    draft.cancel_timer(VITALS_TIMER)
    if draft.state in _QUIET:
        return
    age = draft.visit.bounds.data_age_s
    draft.raise_alarm(STALE_ALARM, why, limit=age, unit="s")
    if draft.state in WATCHED:
        draft.hold(why)


def limits_of(visit: Visit) -> tuple[VitalLimit, ...]:
    """The limits in force: those of the drug, and from the first rescue dose on those of that one too."""
    plan = visit.plan
    return (
        plan.limits.vitals + plan.rescue.vitals if visit.chart.rescue_doses else plan.limits.vitals
    )


def unsafe(visit: Visit) -> str:
    """Why the vital signs forbid to go on now, in one sentence; empty if they do not."""
    if visit.vitals.stale:
        return "there are no fresh vitals"
    limits = limits_of(visit)
    for index, _ in visit.vitals.outside:
        if limits[index].action != "warn":
            return _sentence(limits[index], visit.vitals.sample.get(limits[index].key))
    return ""


def _breached(visit: Visit, event: VitalsArrived) -> list[int]:
    """The limits that this sample is outside of, or has no usable value for."""
    sample = event.sample
    age_s = sample.get(CUFF_AGE)
    old_cuff = age_s is None or age_s > visit.plan.limits.nibp_age_s_max
    found = []
    for index, limit in enumerate(limits_of(visit)):
        value = sample.get(limit.key)
        inside = value is not None and limit.low <= value <= limit.high
        if not inside or (old_cuff and limit.key.startswith("nibp_")):
            found.append(index)
    return found


def _judge(draft: Draft, event: VitalsArrived, breached: list[int]) -> None:
    watch, now = draft.visit.vitals, draft.now
    since = dict(watch.outside)
    outside = tuple((index, since.get(index, now)) for index in breached)
    good_since = None if breached else (watch.good_since if watch.good_since is not None else now)
    fresh = VitalsWatch(event.sample, event.signs, event.seq, now, outside, good_since, stale=False)
    draft.change(vitals=fresh)
    if watch.stale:
        draft.clear_alarm(STALE_ALARM)
        draft.start_timer(VITALS_TIMER, draft.visit.bounds.data_age_s)
    limits = limits_of(draft.visit)
    for index in since:
        if index not in breached:
            draft.clear_alarm(limits[index].alarm_id)
    for index, start in outside:
        _report(draft, limits[index], now - start)


def _report(draft: Draft, limit: VitalLimit, lasted_s: float) -> None:
    """Alarm, and hold where the limit says so, once it has lasted long enough."""
    value = draft.visit.vitals.sample.get(limit.key)
    for_s = draft.visit.bounds.data_age_s if value is None else limit.for_s
    if draft.state in _QUIET or lasted_s < for_s:
        return
    bound = limit.low if value is not None and value < limit.low else limit.high
    unit = limit.key.rpartition("_")[2]
    text = _sentence(limit, value)
    known = None if value is None else bound
    draft.raise_alarm(limit.alarm_id, text, value=value, limit=known, unit=unit)
    if limit.action == "hold" and draft.state in WATCHED:
        draft.hold(text)


def _sentence(limit: VitalLimit, value: float | None) -> str:
    name, _, unit = limit.key.rpartition("_")
    if value is None:
        return f"{name} has no valid value"
    if value < limit.low:
        return f"{name} {value:g} {unit} is below {limit.low:g} {unit}"
    if value > limit.high:
        return f"{name} {value:g} {unit} is above {limit.high:g} {unit}"
    return f"{name} {value:g} {unit} is too old, or of an unknown age"
