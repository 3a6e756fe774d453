"""The beginning of a visit whose controller died: account taken over, pump read, a person asked.

Nothing resumes by itself.  Where log and pump disagree, or the pump's count is not known, the more
careful of the two counts, and the infusion cannot be resumed.
"""

from __future__ import annotations

from dataclasses import replace

from controller.procedure.delivering import record_delivered
from controller.procedure.draft import VITALS_TIMER, Draft
from controller.procedure.events import Interrupted
from controller.procedure.table import State, Trigger
from controller.procedure.visit import Account, Delivery, Status, uncounted
from firmware_bridge.messages import PumpState, Snapshot
from firmware_bridge.quantities import Volume

AGREE = Volume(50_000)
"""Log and pump agree to within 0.05 mL or 1 %, whichever is more."""

_OPEN_ENDS = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING, Status.UNCERTAIN})


def interrupted(draft: Draft, event: Interrupted) -> None:
    """Enter holding with the account the log gives, corrected by what the pump says."""
    known = event.recovered
    deliveries = tuple(_ended(d, draft.now) for d in known.deliveries)
    pump, unknown = event.pump, "what the pump delivered is not known"
    if event.same_pump is False:
        deliveries, pump = uncounted(deliveries), None
        unknown = f"{unknown}: another pump answers"
    draft.change(
        account=Account(draft.visit.plan.concentration, deliveries),
        next_id=max(known.next_id, draft.visit.next_id),
        entered_at=draft.now,
    )
    origin = known.hold_origin if known.state is State.HOLDING else known.state
    draft.chart(
        started=True,
        interrupted=True,
        checked=known.checked,
        hold_reason="interrupted",
        hold_origin=origin,
        response=known.response,
        infusion_dose=known.infusion_dose,
        rescued=known.rescued,
        rescue_doses=known.rescue_doses,
        rescue_total=known.rescue_total,
        rescue_at=draft.now if known.rescue_doses else None,  # when is not known: it counts as now
        baseline=known.baseline,
        sign=known.sign,
    )
    draft.start_timer(VITALS_TIMER, draft.visit.bounds.data_age_s)
    counts = _counts(draft, pump)
    _reconcile(draft, pump, unknown)
    draft.record("interrupted", state=known.state.value, origin=(origin or known.state).value)
    text = f"the controller was interrupted in {known.state.value.replace('_', ' ')}{counts}"
    text += "; another pump answers than before" if event.same_pump is False else ""
    draft.raise_alarm("interrupted", text)
    if known.state is State.EMERGENCY_STOPPED:
        draft.emergency_stop("an earlier run")
    elif known.state is State.FAULT:
        draft.fail("an earlier run ended in a fault")
    else:
        draft.stop("interrupted")
        draft.go(Trigger.INTERRUPTED)


def _ended(delivery: Delivery, now: float) -> Delivery:
    """Its real times are of another clock: it counts as ended now, the most careful reading."""
    if delivery.status is Status.ORDERED:
        return replace(delivery, status=Status.NEVER_STARTED)
    return replace(delivery, started_at=None, ended_at=now)


def _counts(draft: Draft, pump: Snapshot | None) -> str:
    """What log and pump say about the delivery that was cut short, in words; empty if none was."""
    last = draft.visit.account.last
    if last is None or last.status not in _OPEN_ENDS:
        return ""
    known = pump is not None and pump.state is not PumpState.UNKNOWN
    said = f"the pump {pump.infused}" if pump is not None and known else "the pump nothing"
    return f"; of {last.volume} the log says {last.delivered}, {said}"


def _reconcile(draft: Draft, pump: Snapshot | None, unknown: str) -> None:
    last = draft.visit.account.last
    if last is None or last.status not in _OPEN_ENDS:
        return
    if pump is None or pump.state is PumpState.UNKNOWN or last.programmed_volume is None:
        record_delivered(draft, replace(last, status=Status.UNCERTAIN))
        _disagree(draft, unknown)
        return
    log, reported = last.delivered, pump.infused
    allowed = max(AGREE.nl, max(log.nl, reported.nl) // 100)
    if abs(log.nl - reported.nl) > allowed:
        _disagree(draft, f"the log says {log}, the pump {reported}")
    status = Status.UNCERTAIN if reported < log else Status.STOPPING
    record_delivered(draft, replace(last, delivered=max(log, reported), status=status))


def _disagree(draft: Draft, why: str) -> None:
    draft.chart(disagreement=why)
    draft.raise_alarm("delivery_disagreement", why)
