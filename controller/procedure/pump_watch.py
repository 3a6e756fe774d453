"""Watching the pump: its alarms, its counter, whether it runs when it should and only then.

"Delivered" comes from here and from nowhere else.  Counters that go back, run ahead or lag behind,
a motor that runs unasked, a bridge that was replaced: each stops, holds and says so.
"""

from __future__ import annotations

from dataclasses import replace

from controller.procedure.decision import Decision
from controller.procedure.delivering import completed, record_delivered
from controller.procedure.draft import Draft
from controller.procedure.events import PumpReported
from controller.procedure.phase import Phase
from controller.procedure.table import CLOSED, DELIVERING, WATCHED, State, Trigger
from controller.procedure.visit import Account, Delivery, Status, Visit
from firmware_bridge.messages import PumpAlarm, PumpState, Snapshot
from firmware_bridge.quantities import Volume

RECORD_STEP = Volume(20_000)
"""Progress is written every 0.02 mL, so that after a crash log and pump agree to within 0.05 mL."""

NEAR_EMPTY_PCT = 10
"""Of the loaded volume: enough to be told of in time at any rate of the shipped procedures [design]."""

DIGIT = Volume(10_000)
"""The coarsest step of a counter of four digits up to 99 mL: at a tenth of a millilitre an hour it
stands still for minutes."""

_FATAL = PumpAlarm.STOP_UNCONFIRMED | PumpAlarm.IDENTITY_CHANGED
_LATCHED = frozenset({State.EMERGENCY_STOPPED, State.FAULT})
"""Where the latch of the pump side is our own doing, and no news."""

_UNTESTED = frozenset({State.PREPARING, State.SELF_TEST})
_COUNTING = frozenset({Status.RUNNING, Status.STOPPING, Status.UNCERTAIN})
_STILL = frozenset({PumpState.STOPPED, PumpState.PAUSED, PumpState.COMPLETED, PumpState.ALARM})


def reported(state: State, visit: Visit, event: PumpReported, now: float, phase: Phase) -> Decision:
    """The visit after one report of the pump.  One that says what is known already costs nothing."""
    if _no_news(visit, event):
        return Decision(visit)
    if _steady(visit, event, now):
        return Decision(_counted(visit, event.snapshot.infused))
    draft = Draft(state, visit, now)
    booted(draft, event.boot_id)
    _alarms(draft, event.snapshot.alarms)
    _count(draft, event.snapshot)
    _supplied(draft)
    _unasked(draft, event.snapshot)
    if draft.trigger is None:
        phase.progressed(draft)
    return draft.decision()


def near(programmed: Volume) -> Volume:
    """How much may be missing at a target that counts as reached: 0.5 %, but no less than 0.002 mL."""
    return Volume(max(2_000, programmed.nl // 200))


def _no_news(visit: Visit, event: PumpReported) -> bool:
    pump, snapshot = visit.pump, event.snapshot
    if event.boot_id != pump.boot_id or snapshot.alarms != pump.alarms or visit.chart.resuming:
        return False
    last = visit.account.last
    if last is None or last.status not in _COUNTING:
        settled = last is None or snapshot.infused <= last.delivered
        return (
            settled
            and snapshot.state is not PumpState.RUNNING
            and "delivery_unasked" not in visit.alarms
        )
    return False


def _steady(visit: Visit, event: PumpReported, now: float) -> bool:
    """Whether a delivery goes on as expected, with nothing to write down yet: most seconds of a visit."""
    pump, snapshot, last = visit.pump, event.snapshot, visit.account.last
    return (
        last is not None
        and last.status is Status.RUNNING
        and snapshot.state is PumpState.RUNNING
        and event.boot_id == pump.boot_id
        and snapshot.alarms == pump.alarms
        and last.started_at is not None
        and now - snapshot.age.s >= last.started_at
        and last.delivered.nl <= snapshot.infused.nl < last.recorded.nl + RECORD_STEP.nl
        and snapshot.infused.nl <= last.volume.nl
        and not _off_pace(last, snapshot.infused, now, visit.bounds.slack_s)
        and supply(visit, snapshot.infused.less(last.delivered)) in (*visit.alarms, "")
    )


def supply(visit: Visit, more: Volume = Volume(0)) -> str:
    """The alarm for what is left in the syringe, once ``more`` is gone too; empty while there is enough."""
    loaded = visit.plan.syringe.loaded
    left = loaded.less(visit.account.delivered).less(more)
    if left.nl == 0:
        return "empty"
    return "near_empty" if left.nl * 100 < loaded.nl * NEAR_EMPTY_PCT else ""


def _counted(visit: Visit, infused: Volume) -> Visit:
    *before, last = visit.account.deliveries
    counted = replace(last, delivered=infused)
    account = Account(visit.account.concentration, (*before, counted))
    return visit.with_news(account=account)


def booted(draft: Draft, boot_id: int) -> None:
    """A boot id never seen before means another bridge: what was tested is gone."""
    known = draft.visit.pump.boot_id
    if boot_id == known:
        return
    if known == 0 and draft.visit.pump.tested_boot_id == 0:
        draft.pump(tested_boot_id=boot_id)
    draft.pump(boot_id=boot_id)
    if known != 0:
        draft.record("bridge", what="new boot", boot_id=boot_id)
        if draft.state in WATCHED:
            draft.raise_alarm("bridge_restarted", "the bridge was restarted")
            draft.hold("the bridge was restarted")


def _alarms(draft: Draft, alarms: PumpAlarm) -> None:
    known = draft.visit.pump.alarms
    if alarms == known:
        return
    if alarms & PumpAlarm.ESTOP_LATCHED and draft.state not in _LATCHED:
        draft.pump(alarms=alarms)
        draft.emergency_stop("the pump side")
        return
    if draft.state in _UNTESTED or draft.visit.pump.testing:
        return  # the self-test trips alarms on purpose, and acknowledges what a pump wakes up with
    draft.pump(alarms=alarms)
    for bit in PumpAlarm:
        alarm_id = f"pump_{(bit.name or '').lower()}"
        if alarms & bit:
            text = f"pump alarm: {(bit.name or '').lower().replace('_', ' ')}"
            draft.raise_alarm(alarm_id, text)
        else:
            draft.clear_alarm(alarm_id)
    new = alarms & ~known
    if new & _FATAL and draft.state not in CLOSED:
        draft.fail(f"the pump reports {_names(new & _FATAL)}")
    elif new and draft.state in WATCHED:
        draft.hold(f"pump alarm: {_names(new)}")


def _names(alarms: PumpAlarm) -> str:
    return ", ".join(
        (bit.name or "").lower().replace("_", " ") for bit in PumpAlarm if alarms & bit
    )


def _count(draft: Draft, snapshot: Snapshot) -> None:
    last = draft.visit.account.last
    if last is None or last.programmed_volume is None or snapshot.state is PumpState.UNKNOWN:
        return
    taken_at = draft.now - snapshot.age.s
    if last.started_at is not None and taken_at < last.started_at:
        return  # read before this start: it counts an earlier one
    if last.status is Status.RUNNING and draft.trigger is None:
        _count_running(draft, last, last.programmed_volume, snapshot)
    elif last.status in _COUNTING:
        _settle(draft, last, snapshot)
    elif snapshot.infused > last.delivered and snapshot.state in _STILL:
        record_delivered(draft, replace(last, delivered=snapshot.infused))


def _count_running(draft: Draft, last: Delivery, programmed: Volume, snapshot: Snapshot) -> None:
    if snapshot.infused < last.delivered:
        draft.delivery(replace(last, status=Status.UNCERTAIN, ended_at=draft.now))
        text = f"the pump's counter went back from {last.delivered} to {snapshot.infused}"
        _stop_for(draft, "delivery_counter", text)
        return
    counted = replace(last, delivered=snapshot.infused)
    if counted.delivered.nl >= counted.recorded.nl + RECORD_STEP.nl:
        record_delivered(draft, counted)
    else:
        draft.delivery(counted)
    reached = snapshot.infused + near(programmed) >= programmed
    if snapshot.infused > programmed + near(programmed):
        text = f"the pump delivered {snapshot.infused} of {programmed}"
        _stop_for(draft, "delivery_over", text)
    elif snapshot.state is PumpState.RUNNING:
        _pace(draft, counted)
    elif reached and snapshot.state is not PumpState.ALARM:
        _reached(draft, counted)
    else:
        text = f"the pump stopped early, at {snapshot.infused} of {programmed}"
        _stop_for(draft, "delivery_short", text)


def _reached(draft: Draft, counted: Delivery) -> None:
    completed(draft, counted)
    ended = Trigger.VOLUME_DELIVERED if draft.state is State.INFUSING else Trigger.TARGET_REACHED
    draft.go(ended)


def _off_pace(running: Delivery, infused: Volume, now: float, slack_s: float) -> bool:
    """Whether counter and clock disagree by more than 10 %, the slack of a report and one digit."""
    rate = running.programmed_rate or running.rate
    expected = running.estimated(now).nl
    late = int(rate.nl_h * slack_s / 3_600)
    return abs(infused.nl - expected) > expected // 10 + late + DIGIT.nl


def _pace(draft: Draft, running: Delivery) -> None:
    if _off_pace(running, running.delivered, draft.now, draft.visit.bounds.slack_s):
        expected = running.estimated(draft.now)
        text = f"the pump counts {running.delivered} where {expected} is expected by now"
        _stop_for(draft, "delivery_pace", text)


def _settle(draft: Draft, last: Delivery, snapshot: Snapshot) -> None:
    """After a stop: the count is final at the first report after the stop was confirmed."""
    if snapshot.infused < last.delivered:
        if last.status is not Status.UNCERTAIN:
            draft.delivery(replace(last, status=Status.UNCERTAIN))
            text = "the pump's counter went back: what was delivered is uncertain"
            draft.raise_alarm("delivery_counter", text)
        return
    counted = replace(last, delivered=snapshot.infused)
    final = not draft.visit.pump.stopping and draft.visit.pump.stopped_at is not None
    if final and snapshot.state in _STILL:
        record_delivered(draft, replace(counted, status=Status.STOPPED))
        draft.clear_alarm("delivery_uncertain")
    elif counted != last:
        draft.delivery(counted)


def _supplied(draft: Draft) -> None:
    """Loaded volume minus delivered: near empty is told, and nothing flows from an empty syringe."""
    alarm_id = supply(draft.visit)
    loaded = draft.visit.plan.syringe.loaded
    left = loaded.less(draft.visit.account.delivered)
    if alarm_id == "near_empty":
        limit = loaded.ml * NEAR_EMPTY_PCT / 100
        text = f"the syringe is nearly empty: {left} of {loaded}"
        draft.raise_alarm(alarm_id, text, value=left.ml, limit=limit, unit="mL")
    elif alarm_id == "empty":
        draft.clear_alarm("near_empty")
        text = f"the syringe is empty: {loaded} loaded, {draft.visit.account.delivered} delivered"
        draft.raise_alarm(alarm_id, text, value=0.0, limit=0.0, unit="mL")
        if draft.state in DELIVERING:
            draft.hold(text)


def _unasked(draft: Draft, snapshot: Snapshot) -> None:
    """The motor runs only while a delivery of ours does."""
    if snapshot.state is not PumpState.RUNNING:
        draft.clear_alarm("delivery_unasked")
        return
    last, pump = draft.visit.account.last, draft.visit.pump
    if last is not None and last.status in (Status.STARTING, Status.RUNNING):
        return
    stopped_at = pump.stopped_at
    if pump.stopping or (stopped_at is not None and draft.now - snapshot.age.s <= stopped_at):
        return  # a stop is on its way, or this was read before it
    text = "the pump runs although nothing was started"
    draft.raise_alarm("delivery_unasked", text)
    if draft.state in WATCHED:
        draft.hold(text)
    elif draft.trigger is None:
        draft.stop(text)


def _stop_for(draft: Draft, alarm_id: str, text: str) -> None:
    draft.raise_alarm(alarm_id, text)
    draft.hold(text)
