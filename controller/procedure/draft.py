"""A decision while it is being made: the visit so far, the effects so far, at most one trigger.

The phases write their decisions with these few verbs, so that what always belongs together stays
together: leaving a state withdraws its questions and timers, holding stops the pump and remembers
where from, an alarm is raised once.  A draft lives inside one call of `decide`; nothing keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.procedure.decision import Decision
from controller.procedure.effects import (
    Ask,
    CancelTimer,
    ClearAlarm,
    DisarmGate,
    Effect,
    RaiseAlarm,
    Record,
    Refuse,
    Scalar,
    StartTimer,
    StopPump,
    Withdraw,
)
from controller.procedure.questions import Answer, Question, Value
from controller.procedure.table import State, Trigger
from controller.procedure.visit import Delivery, Status, Visit

VITALS_TIMER = "vitals_stale"
STOP_TIMER = "stop"
COMMAND_TIMER = "command"
EARLY_S = 0.001
"""A loop may fire a timer earlier by the resolution of its clock; what is left counts as over."""

_OUTLIVE_A_STATE = frozenset({VITALS_TIMER, STOP_TIMER})

_AFTER_STOP = {
    Status.ORDERED: Status.NEVER_STARTED,
    Status.STARTING: Status.UNCERTAIN,
    Status.RUNNING: Status.STOPPING,
}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that fits its open question, and who gave it."""

    question: Question
    answer: Answer
    by: str


class Draft:
    """See the module."""

    __slots__ = ("effects", "now", "state", "trigger", "visit")

    def __init__(self, state: State, visit: Visit, now: float) -> None:
        self.state = state
        self.visit = visit
        self.now = now
        self.effects: list[Effect] = []
        self.trigger: Trigger | None = None

    def decision(self) -> Decision:
        return Decision(self.visit, self.trigger, tuple(self.effects))

    # --- what is known ---

    def change(self, **changes: Any) -> None:  # noqa: ANN401  (typed by `Visit`'s own constructor)
        self.visit = replace(self.visit, **changes)

    def chart(self, **changes: Any) -> None:  # noqa: ANN401  (typed by `Chart`'s own constructor)
        self.change(chart=replace(self.visit.chart, **changes))

    def pump(self, **changes: Any) -> None:  # noqa: ANN401  (typed by `PumpWatch`'s own constructor)
        self.change(pump=replace(self.visit.pump, **changes))

    def delivery(self, changed: Delivery) -> None:
        """Put ``changed`` in the place of the delivery with its id, or at the end."""
        old = self.visit.account.deliveries
        kept = tuple(changed if d.id == changed.id else d for d in old)
        if self.visit.account.by_id(changed.id) is None:
            kept = (*old, changed)
        self.change(account=replace(self.visit.account, deliveries=kept))

    def new_id(self) -> int:
        number = self.visit.next_id
        self.change(next_id=number + 1)
        return number

    # --- what is done ---

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def record(self, kind: str, **data: Scalar) -> None:
        self.effects.append(Record(kind, data))

    def refuse(self, what: str, why: str) -> None:
        """The written answer to an event that changes nothing here."""
        self.record("refused", what=what, state=self.state.value, why=why)

    def start_timer(self, name: str, seconds: float) -> None:
        seconds = max(0.0, seconds)
        self.change(deadlines={**self.visit.deadlines, name: self.now + seconds})
        self.do(StartTimer(name, seconds))

    def cancel_timer(self, name: str) -> None:
        if name in self.visit.deadlines:
            left = {key: at for key, at in self.visit.deadlines.items() if key != name}
            self.change(deadlines=left)
            self.do(CancelTimer(name))

    def raise_alarm(
        self,
        alarm_id: str,
        text: str,
        *,
        value: float | None = None,
        limit: float | None = None,
        unit: str = "",
    ) -> None:
        """Raised once; while it is active, raising it again does nothing."""
        if alarm_id not in self.visit.alarms:
            self.change(alarms=self.visit.alarms | {alarm_id})
            self.do(RaiseAlarm(alarm_id, text, value, limit, unit))

    def clear_alarm(self, alarm_id: str) -> None:
        if alarm_id in self.visit.alarms:
            self.change(alarms=self.visit.alarms - {alarm_id})
            self.do(ClearAlarm(alarm_id))

    # --- questions ---

    def ask(
        self,
        kind: str,
        text: str,
        choices: tuple[str, ...] = (),
        *,
        then: str,
        values: Mapping[str, Value] | None = None,
        proposed: Answer | None = None,
        soft: tuple[str, ...] = (),
        token: str = "",
        expires_after_s: float | None = None,
        role: str = "",
    ) -> None:
        """Ask, in the place of an open question of the same kind; `Phase.expired` hears of an expiry.

        ``then`` says what happens next; every number that is asked for is named with unit and limits.
        """
        self.withdraw(kind)
        question = Question(
            id=self.new_id(),
            state=self.state,
            kind=kind,
            text="\n".join((text, *_wanted(values or {}, expires_after_s), f"Next: {then}")),
            choices=choices,
            values=values or {},
            proposed=proposed and replace(proposed, token=token),
            soft=soft,
            token=token,
            expires_after_s=expires_after_s,
            role=role,
        )
        self.change(questions=(*self.visit.questions, question))
        self.do(Ask(question))
        if expires_after_s is not None:
            self.start_timer(f"answer.{question.id}", expires_after_s)

    def withdraw(self, kind: str) -> None:
        question = self.visit.question(kind)
        if question is not None:
            self.close(question)

    def close(self, question: Question) -> None:
        left = tuple(q for q in self.visit.questions if q.id != question.id)
        self.change(questions=left)
        self.do(Withdraw(question.id))
        self.cancel_timer(f"answer.{question.id}")

    def not_taken(self, question: Question, why: str) -> None:
        """The answer is refused with its reason; the question stands."""
        self.refuse(question.kind, why)
        self.do(Refuse(question.id, why))

    # --- moving on ---

    def go(self, trigger: Trigger) -> None:
        """Leave the state: its questions and timers end with it.  The first trigger of a draft wins."""
        if self.trigger is not None:
            return
        self.trigger = trigger
        for question in self.visit.questions:
            self.close(question)
        for name in tuple(self.visit.deadlines):
            if name not in _OUTLIVE_A_STATE:
                self.cancel_timer(name)
        if self.visit.pending is not None:
            self.change(pending=None)

    def stop(self, why: str) -> None:
        """Stop the pump; what it was delivering has ended, its final count is open until confirmed.

        A bridge that cannot be reached cannot be told to close its gate either: losing us closed it.
        """
        last = self.visit.account.last
        if last is not None and last.status in _AFTER_STOP:
            status = _AFTER_STOP[last.status]
            self.delivery(replace(last, status=status, ended_at=self.now))
        self.pump(stopping=True, stopped_at=None)
        self.do(StopPump(self.new_id(), why))
        if self.visit.account.deliveries and self.visit.pump.link_up:
            self.do(DisarmGate(self.new_id()))
        self.start_timer(STOP_TIMER, self.visit.bounds.stop_s)

    def hold(self, reason: str) -> None:
        """Stop, and wait for a person.  Only from a watched state; once per draft."""
        if self.trigger is not None:
            return
        self.chart(hold_reason=reason, hold_origin=self.state, resuming=False)
        self.record("hold", reason=reason, origin=self.state.value)
        self.stop(reason)
        self.go(Trigger.HOLD)

    def toxicity(self, by: str, sign: str) -> None:
        """A severe sign, or a person's word: no more of the drug in this visit."""
        self.record("response", response="toxicity", sign=sign, by=by)
        self.chart(response="toxicity", rescued=True)
        self.clear_alarm("toxicity_sign")  # an early sign may have raised it: now it says more
        self.raise_alarm(
            "toxicity_sign", f"toxicity: {sign.replace('_', ' ') or 'as a person says'}"
        )
        self.stop("toxicity")
        self.go(Trigger.TOXICITY)

    def distress(self, by: str) -> None:
        """Anxiety or toxicity, whichever ends delivery for good in this visit."""
        if self.visit.plan.distress == "toxicity":
            self.toxicity(by, self.visit.chart.sign)
        else:
            self.anxiety(by)

    def anxiety(self, by: str) -> None:
        """Ketamine delivery is over for this visit."""
        self.record("response", response="anxiety", by=by)
        self.chart(response="anxiety", rescued=True)
        self.stop("anxiety")
        self.go(Trigger.ANXIETY)

    def abort(self, reason: str) -> None:
        """End the visit; a pump that was ever told to deliver is stopped, and the end waits for that.

        A stop that nobody waits for any more, given up while the cable was out, is waited for again.
        """
        self.record("aborting", reason=reason, state=self.state.value)
        self.chart(end_reason=reason)
        if self.visit.pump.stopping:
            if STOP_TIMER not in self.visit.deadlines:
                self.start_timer(STOP_TIMER, self.visit.bounds.stop_s)
        elif self.visit.account.deliveries:
            self.stop(reason)
        self.go(Trigger.ABORT)

    def emergency_stop(self, by: str) -> None:
        self.raise_alarm("emergency_stop", f"emergency stop by {by or 'unknown'}")
        self.chart(end_reason=f"emergency stop by {by or 'unknown'}")
        self.stop("emergency stop")
        self.go(Trigger.EMERGENCY_STOP)

    def fail(self, why: str) -> None:
        self.raise_alarm("fault", why)
        self.chart(end_reason=why)
        self.stop(why)
        self.go(Trigger.FAIL)


def _wanted(values: Mapping[str, Value], expires_after_s: float | None) -> list[str]:
    """Every number that is asked for: its name, unit and limits, with which answers; and until when."""
    lines = []
    for name, value in values.items():
        only = f", with {' or '.join(value.needed_for)}" if value.needed_for else ""
        span = f"{value.min:g} to {value.max:g} {value.unit}"
        lines.append(f"  {name}: {'yes or no' if value.is_yes_or_no else span}{only}")
    if expires_after_s is not None:
        whole = expires_after_s >= 120
        span = f"{expires_after_s / 60:.0f} min" if whole else f"{expires_after_s:.0f} s"
        lines.append(f"Answer within {span}.")
    return lines
