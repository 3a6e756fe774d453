"""One delivery from the order to its last nanolitre: propose, arm, start, count, settle.

Every start goes the same way.  A person confirms exact values; the gate is opened for these values
only; the start carries the pump's own volume target; what the pump accepted is compared with what
was ordered; what it reports is counted.  A start whose answer was lost is never repeated.
"""

from __future__ import annotations

from dataclasses import replace

from controller.dosing import Programme
from controller.limits import (
    BolusOrder,
    Finding,
    Findings,
    InfusionOrder,
    LoadOrder,
    Order,
    check,
)
from controller.procedure.draft import COMMAND_TIMER, Draft
from controller.procedure.effects import (
    ArmGate,
    DisarmGate,
    StartBolus,
    StartInfusion,
)
from controller.procedure.events import CommandEnded
from controller.procedure.questions import Answer
from controller.procedure.visit import Delivery, Kind, Pending, Status, Visit
from firmware_bridge.messages import Ending, Result
from firmware_bridge.quantities import Duration

CEILING_TIMER = "ceiling"
_BOLUS_CEILING_PCT = 110
_NEXT = {
    Kind.TEST: "the pump gives it at once and its response is observed; with refuse the visit ends.",
    Kind.FURTHER: "the pump gives it at once; with refuse nothing is given and observation goes on.",
    Kind.LOAD: "the pump gives it at once and the infusion follows; with refuse the visit ends.",
    Kind.INFUSION: "the pump starts at once and its volume ends it; with refuse the visit is held.",
}
_READ_BACK_PCT = 1
"""A pump may round an order down by this much; anything more, or any rounding up, is another order."""


def findings(visit: Visit, kind: Kind, order: Programme, now: float) -> Findings:
    """Every limit that giving this now would exceed, the content of the syringe included."""
    plan, given = visit.plan, visit.account.given(now)
    wanted: Order
    if kind is Kind.INFUSION:
        wanted = InfusionOrder(order.mass, order.rate, plan.concentration)
    elif kind is Kind.LOAD:
        wanted = LoadOrder(order.mass, order.rate.time_for(order.volume))
    else:
        wanted = BolusOrder(order.mass, order.rate.time_for(order.volume))
    found = check(plan.limits, wanted, weight_g=plan.dosing_weight_g, given=given)
    left = plan.syringe.loaded.less(visit.account.volume_counted)
    if order.volume <= left:
        return found
    empty = Finding("volume", order.volume.ml, left.ml, "mL left in the syringe")
    return Findings(found.soft, (*found.hard, empty))


def propose(
    draft: Draft,
    kind: Kind,
    order: Programme,
    title: str,
    soft: tuple[str, ...],
    *,
    changeable: bool = False,
) -> None:
    """Ask a person to confirm exactly this; `confirmed` starts it.  ``changeable``: or to enter a dose."""
    number = draft.new_id()
    proposal = Delivery(number, kind, order.mass, order.volume, order.rate)
    draft.chart(proposal=proposal)
    lines = [title, *order.arithmetic, *(f"beyond a soft limit: {finding}" for finding in soft)]
    token = f"{kind.value}-{number}-{order.volume.nl}nL-{order.rate.nl_h}nL/h"
    draft.ask(
        "confirm",
        "\n".join(lines),
        ("confirm", "change", "refuse") if changeable else ("confirm", "refuse"),
        then=_NEXT[kind] + (" With change, another dose can be entered." if changeable else ""),
        proposed=Answer("confirm"),
        soft=soft,
        token=token,
        expires_after_s=draft.visit.bounds.confirm_s,
    )


def confirmed(draft: Draft) -> None:
    """Open the gate for the confirmed delivery; the start follows when the gate says it is open."""
    delivery = draft.visit.chart.proposal
    if delivery is None:
        draft.hold("nothing was confirmed")
        return
    draft.chart(proposal=None)
    draft.delivery(delivery)
    _record(draft, delivery, "ordered")
    command_id = draft.new_id()
    draft.do(
        ArmGate(
            command_id,
            rate_max=delivery.rate,
            volume_per_command_max=delivery.volume,
            volume_total_max=delivery.volume,
            time_max=Duration.from_s(round(ceiling_s(draft.visit, delivery, draft.now), 3)),
            concentration=draft.visit.plan.concentration,
        )
    )
    await_command(draft, command_id, "ArmGate")


def await_command(draft: Draft, command_id: int, what: str) -> None:
    draft.change(pending=Pending(command_id, what))
    draft.start_timer(COMMAND_TIMER, draft.visit.bounds.command_s)


def ceiling_s(visit: Visit, delivery: Delivery, now: float) -> float:
    """The motor-on time in seconds after which this delivery is ended whatever the pump says."""
    if delivery.kind is Kind.INFUSION:
        return max(0.0, visit.plan.infusion.ceiling.s - visit.account.motor_s(now))
    planned = delivery.rate.time_for(delivery.volume).s
    return planned * _BOLUS_CEILING_PCT / 100 + visit.bounds.slack_s


def gate_answered(draft: Draft, result: Result) -> None:
    """The gate is open, or it is not and nothing starts."""
    delivery = draft.visit.account.last
    if delivery is not None and result.ending in (Ending.ACCEPTED, Ending.DONE):
        _start(draft, delivery)
    else:
        _not_started(draft, f"the gate did not open: {_reason(result)}")


def start_answered(draft: Draft, delivery: Delivery, event: CommandEnded) -> None:
    """The start ended one of three ways: running, refused, or uncertain (then it is never repeated)."""
    result = event.result
    if result.ending is Ending.REFUSED:
        if delivery.status in (Status.STARTING, Status.UNCERTAIN):
            draft.delivery(replace(delivery, status=Status.NEVER_STARTED))
        if delivery.status is Status.STARTING:
            _not_started(draft, f"the pump refused: {_reason(result)}")
    elif result.ending is Ending.UNCERTAIN:
        if delivery.status is Status.STARTING:
            uncertain(draft, f"the answer to {event.what} was lost")
    elif delivery.status is Status.STARTING:
        _running(draft, delivery, result)
    elif delivery.status is Status.UNCERTAIN and delivery.programmed_volume is None:
        # Accepted after all, but a stop was sent behind it: what it moved can be counted now.
        draft.delivery(
            replace(
                delivery,
                status=Status.STOPPING,
                programmed_volume=result.volume,
                programmed_rate=result.rate,
            )
        )


def command_late(draft: Draft) -> None:
    """No answer in time is the same as a lost one."""
    pending = draft.visit.pending
    draft.change(pending=None)
    what = pending.what if pending is not None else "a command"
    if pending is not None and pending.what == "ArmGate":
        _not_started(draft, "the gate did not answer")
    else:
        uncertain(draft, f"{what} was not answered")


def uncertain(draft: Draft, why: str) -> None:
    text = f"{why}: what was delivered is uncertain; it is not repeated"
    draft.raise_alarm("delivery_uncertain", text)
    draft.hold(text)


def completed(draft: Draft, delivery: Delivery) -> None:
    """The volume target was reached: the gate closes behind it."""
    done = replace(delivery, status=Status.COMPLETED, ended_at=draft.now)
    record_delivered(draft, done)
    draft.do(DisarmGate(draft.new_id()))


def record_delivered(draft: Draft, delivery: Delivery) -> None:
    """Write what the pump says was delivered, and remember that it is written."""
    noted = replace(delivery, recorded=delivery.delivered)
    draft.delivery(noted)
    dose = noted.delivered.mass_at(draft.visit.plan.concentration)
    draft.record(
        "dose",
        what="delivered",
        delivery_id=noted.id,
        use=noted.kind.value,
        dose_mg=dose.mg,
        volume_ml=noted.delivered.ml,
        status=noted.status.value,
    )


def _start(draft: Draft, delivery: Delivery) -> None:
    starting = replace(delivery, status=Status.STARTING)
    draft.delivery(starting)
    _record(draft, starting, "starting")
    start = StartInfusion if delivery.kind is Kind.INFUSION else StartBolus
    draft.do(start(delivery.id, delivery.rate, delivery.volume, delivery.mass))
    await_command(draft, delivery.id, start.__name__)


def _running(draft: Draft, delivery: Delivery, result: Result) -> None:
    running = replace(
        delivery,
        status=Status.RUNNING,
        programmed_volume=result.volume,
        programmed_rate=result.rate,
        started_at=draft.now,
    )
    draft.delivery(running)
    draft.record(
        "dose",
        what="programmed",
        delivery_id=running.id,
        use=running.kind.value,
        dose_mg=result.volume.mass_at(draft.visit.plan.concentration).mg,
        volume_ml=result.volume.ml,
        rate_ml_h=result.rate.ml_h,
    )
    if _differs(delivery.volume.nl, result.volume.nl) or _differs(
        delivery.rate.nl_h, result.rate.nl_h
    ):
        text = (
            f"the pump accepted {result.volume} at {result.rate} "
            f"where {delivery.volume} at {delivery.rate} was ordered"
        )
        draft.raise_alarm("delivery_read_back", text)
        draft.hold(text)
        return
    # The ceiling counts motor-on time, of which this delivery has had none yet.
    draft.start_timer(CEILING_TIMER, ceiling_s(draft.visit, running, draft.now))


def _differs(ordered: int, accepted: int) -> bool:
    return accepted > ordered or (ordered - accepted) * 100 > ordered * _READ_BACK_PCT


def _not_started(draft: Draft, why: str) -> None:
    last = draft.visit.account.last
    if last is not None:
        draft.delivery(replace(last, status=Status.NEVER_STARTED))
        _record(draft, last, "never_started")
    draft.raise_alarm("delivery_refused", why)
    draft.hold(why)


def _reason(result: Result) -> str:
    return result.reason or result.code.name.lower().replace("_", " ")


def _record(draft: Draft, delivery: Delivery, what: str) -> None:
    draft.record(
        "dose",
        what=what,
        delivery_id=delivery.id,
        use=delivery.kind.value,
        dose_mg=delivery.mass.mg,
        volume_ml=delivery.volume.ml,
        rate_ml_h=delivery.rate.ml_h,
    )
