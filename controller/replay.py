"""From a session log back to where the visit stood: last state and dose account.

Used to recover after a crash and to show a log.  Folds the records of kind ``state``, ``checklist``,
``baseline``, ``dose``, ``hold``, ``interrupted``, ``response``, ``signs``, ``rescue``, ``infusion_dose`` and
``finished`` that `decide` writes, and ``identity`` of the self-test; every other kind is passed over.
Not answerable for the integrity of the log (`log_format`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.procedure.table import State
from controller.procedure.visit import Delivery, Kind, Recovered, Status, uncounted
from firmware_bridge.quantities import Mass, QuantityError, Rate, Volume

Record = Mapping[str, object]

ENDING = frozenset({"anxiety", "toxicity"})
"""Responses after which the drug is over for the visit."""

SCORES = ("pain_0_10", "mood_0_10")
"""What is asked before any drug, to be compared with in recovery."""

_STATUS = {
    "ordered": Status.ORDERED,
    "starting": Status.STARTING,
    "programmed": Status.RUNNING,
    "never_started": Status.NEVER_STARTED,
}


class ReplayError(ValueError):
    """A record does not say what its kind must say; nothing may be concluded from the log."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Where a log ends.  ``outcome`` is empty while the visit was not finished."""

    state: State = State.PREPARING
    outcome: str = ""
    checked: int = 0
    pump: str = ""
    hold_origin: State | None = None
    deliveries: tuple[Delivery, ...] = ()
    infusion_dose: Mass | None = None
    response: str = ""
    rescued: bool = False
    rescue_doses: int = 0
    rescue_total: float = 0.0
    sign: str = ""
    baseline: Mapping[str, float] | None = None

    @property
    def recovered(self) -> Recovered:
        """The same as what a new controller is told (`events.Interrupted`)."""
        return Recovered(
            state=self.state,
            checked=self.checked,
            pump=self.pump,
            hold_origin=self.hold_origin,
            deliveries=self.deliveries,
            infusion_dose=self.infusion_dose,
            response=self.response,
            rescued=self.rescued,
            rescue_doses=self.rescue_doses,
            rescue_total=self.rescue_total,
            sign=self.sign,
            baseline=self.baseline,
            next_id=max((d.id for d in self.deliveries), default=0) + 1,
        )


def replay(records: Iterable[Record]) -> Replayed:
    """Where these records, in order, leave the visit.  Raises `ReplayError`."""
    now = Replayed()
    for record in records:
        try:
            now = _fold(now, record)
        except (KeyError, TypeError, ValueError, QuantityError) as error:
            raise ReplayError(f"record {record.get('seq', '?')}: {error!r}") from error
    return now


def _fold(now: Replayed, record: Record) -> Replayed:
    match record.get("kind"):
        case "state":
            return _state(now, State(str(record["to"])))
        case "checklist":
            return replace(now, checked=now.checked + (record["choice"] == "yes"))
        case "baseline":
            return replace(now, baseline={key: float(_number(record, key)) for key in SCORES})
        case "identity":
            return _identity(now, str(record["pump"]))
        case "dose":
            return _dose(now, record)
        case "hold" | "interrupted":
            return replace(now, hold_origin=State(str(record["origin"])))
        case "response":
            response = str(record["response"])
            return replace(now, response=response, rescued=now.rescued or response in ENDING)
        case "rescue" if record["choice"] == "given":
            total = float(_number(record, "total_ml" if "total_ml" in record else "total_mg"))
            return replace(now, rescue_doses=now.rescue_doses + 1, rescue_total=total)
        case "signs":
            sign = str(record["sign"])
            return replace(now, sign="" if sign == "none" else sign)
        case "infusion_dose":
            return replace(now, infusion_dose=Mass.from_mg(_number(record, "dose_mg")))
        case "finished":
            return replace(now, outcome=str(record["outcome"]))
        case _:
            return now


def _state(now: Replayed, state: State) -> Replayed:
    origin = now.hold_origin if state is State.HOLDING else None
    return replace(now, state=state, hold_origin=origin, outcome="")


def _identity(now: Replayed, pump: str) -> Replayed:
    """The pump that was tested; what an earlier one was delivering, it cannot have counted."""
    if now.pump not in ("", pump):
        now = replace(now, deliveries=uncounted(now.deliveries))
    return replace(now, pump=pump)


def _dose(now: Replayed, record: Record) -> Replayed:
    what, number = str(record["what"]), record["delivery_id"]
    if not isinstance(number, int):
        raise TypeError(f"delivery_id {number!r}")
    known = next((d for d in now.deliveries if d.id == number), None)
    if what == "ordered":
        return _ordered(now, record, number)
    if known is None:
        raise ValueError(f"delivery {number} was never ordered")
    if what == "delivered":
        volume = Volume.from_ml(_number(record, "volume_ml"))
        status = Status(str(record["status"]))
        return _with(now, replace(known, delivered=volume, recorded=volume, status=status))
    if what == "programmed":
        volume = Volume.from_ml(_number(record, "volume_ml"))
        rate = Rate.from_ml_h(_number(record, "rate_ml_h"))
        known = replace(known, programmed_volume=volume, programmed_rate=rate)
    return _with(now, replace(known, status=_STATUS[what]))


def _ordered(now: Replayed, record: Record, number: int) -> Replayed:
    delivery = Delivery(
        number,
        Kind(str(record["use"])),
        Mass.from_mg(_number(record, "dose_mg")),
        Volume.from_ml(_number(record, "volume_ml")),
        Rate.from_ml_h(_number(record, "rate_ml_h")),
    )
    first = delivery.kind is Kind.INFUSION and now.infusion_dose is None
    dose = delivery.mass if first else now.infusion_dose
    return replace(now, deliveries=(*now.deliveries, delivery), infusion_dose=dose)


def _with(now: Replayed, changed: Delivery) -> Replayed:
    kept = tuple(changed if d.id == changed.id else d for d in now.deliveries)
    return replace(now, deliveries=kept)


def _number(record: Record, key: str) -> int | float:
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} = {value!r} is not a number")
    return value
