"""Every start of the pump in a log, its four amounts kept apart.

*Ordered*: a person confirmed it.  *Programmed*: the pump accepted it.  *Delivered*: the pump counted it.
*Estimated*: programmed rate times the time between the records of its start and of its end, rounded as
it comes, never more than programmed; a check of the count from outside the pump.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from controller.log_format import Kind
from controller.reading import number_in, text_in
from controller.report.story import Moment, Story

OVER = frozenset({"stopped", "completed", "uncertain", "never_started"})


@dataclass(frozen=True, slots=True)
class Amount:
    """A dose, the volume that holds it and the rate it is given at; None where nobody said."""

    dose_mg: float | None = None
    volume_ml: float | None = None
    rate_ml_h: float | None = None


@dataclass(frozen=True, slots=True)
class Dose:
    """One delivery, from the order to the last count."""

    id: int
    use: str
    ordered_s: float
    ordered: Amount
    programmed: Amount | None = None
    delivered: Amount | None = None
    status: str = "ordered"
    started_s: float | None = None
    ended_s: float | None = None

    def estimated(self, end_s: float, conc_mg_ml: float | None) -> Amount | None:
        """What rate and time say, where a start was recorded; ``end_s`` is the end of the log."""
        rate = self.programmed.rate_ml_h if self.programmed else None
        most = self.programmed.volume_ml if self.programmed else None
        if self.started_s is None or rate is None or most is None:
            return None
        until = end_s if self.ended_s is None else self.ended_s
        volume = min(most, rate * max(0.0, until - self.started_s) / 3600)
        return Amount(None if conc_mg_ml is None else volume * conc_mg_ml, volume)


def doses(story: Story) -> tuple[Dose, ...]:
    """Every delivery that was ordered, in order."""
    known: dict[int, Dose] = {}
    for moment in story.of_kind(Kind.DOSE):
        number = number_in(moment.record, "delivery_id")
        if number is None:
            continue
        key = int(number)
        found = known.get(key)
        if found is None:
            found = Dose(key, text_in(moment.record, "use"), moment.at_s, Amount())
        known[key] = _after(found, moment)
    return _stopped(story, tuple(known.values()))


def total_mg(amounts: Iterable[Amount | None]) -> float:
    """The sum of the doses that are known."""
    return sum(amount.dose_mg or 0.0 for amount in amounts if amount)


def total_ml(amounts: Iterable[Amount | None]) -> float:
    """The sum of the volumes that are known."""
    return sum(amount.volume_ml or 0.0 for amount in amounts if amount)


def _stopped(story: Story, given: tuple[Dose, ...]) -> tuple[Dose, ...]:
    """The dose that an emergency stop cut off has no last record of its own: the stop ended it.

    What the pump had counted at the end, and no other dose has, is its amount.
    """
    cut = [dose for dose in given if dose.started_s is not None and dose.ended_s is None]
    if len(cut) != 1 or cut[0].started_s is None:
        return given
    dose, begun_s = cut[0], cut[0].started_s
    stops = (m for m in story.of_kind("stop") if m.record.get("confirmed") is True)
    ended_s = next((stop.at_s for stop in stops if stop.at_s >= begun_s), None)
    if ended_s is None:
        return given
    others = [other.delivered for other in given if other is not dose]
    final = next((moment.record for moment in story.of_kind("finished")), {})
    mg, ml = number_in(final, "delivered_mg"), number_in(final, "delivered_ml")
    counted = dose.delivered
    if mg is not None and ml is not None and ml >= total_ml([*others, counted]):
        counted = Amount(mg - total_mg(others), ml - total_ml(others))
    ended = replace(dose, delivered=counted, status="stopped", ended_s=ended_s)
    return tuple(ended if one is dose else one for one in given)


def _after(dose: Dose, moment: Moment) -> Dose:
    record, what = moment.record, text_in(moment.record, "what")
    amount = Amount(
        number_in(record, "dose_mg"), number_in(record, "volume_ml"), number_in(record, "rate_ml_h")
    )
    match what:
        case "ordered":
            return replace(dose, ordered=amount)
        case "programmed":
            return replace(dose, programmed=amount, status="running", started_s=moment.at_s)
        case "delivered":
            status = text_in(record, "status")
            ended = moment.at_s if status in OVER and dose.ended_s is None else dose.ended_s
            return replace(dose, delivered=amount, status=status, ended_s=ended)
        case _:  # starting, never_started: how far it came
            return replace(dose, status=what)
