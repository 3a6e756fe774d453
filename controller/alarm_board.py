"""The alarms of a visit: which are active, which are latched, which is highest, what a person has seen.

An alarm that latches stays on the board when its condition is gone, until a person acknowledges it;
acknowledging silences and never clears a condition that still holds.  Whatever the board does comes
back as the changed alarm, so that log, terminal and dashboards are told the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.alarms import ALARMS, Priority
from controller.procedure.effects import AcknowledgeAlarm, ClearAlarm, RaiseAlarm, Scalar

RANK = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm condition.

    ``onset_ms`` is wall time; ``active`` says the condition still holds; ``by`` is who acknowledged it
    (empty: nobody yet); ``phase`` is what just happened to it (words of IHE PCD TF-2, B.8.5).
    """

    id: str
    text: str
    value: float | None
    limit: float | None
    unit: str
    onset_ms: int
    active: bool
    acknowledged: bool = False
    by: str = ""
    phase: str = "start"

    @property
    def priority(self) -> Priority:
        """The one its row in the table gives it."""
        return ALARMS[self.id].priority

    @property
    def rank(self) -> int:
        """1 low, 2 medium, 3 high."""
        return RANK[self.priority]

    @property
    def latched(self) -> bool:
        """The condition is gone, and nobody has acknowledged what asks to be acknowledged."""
        return not self.active and ALARMS[self.id].latching and not self.acknowledged

    @property
    def state(self) -> str:
        """active, latched or inactive."""
        if self.active:
            return "active"
        return "latched" if self.latched else "inactive"

    @property
    def inactivation(self) -> str:
        """enabled, or acknowledged."""
        return "acknowledged" if self.acknowledged else "enabled"

    def record(self) -> dict[str, Scalar]:
        """The alarm as the session log has it; what is not known is left out."""
        data: dict[str, Scalar] = {
            "alarm": self.id,
            "priority": self.priority.value,
            "active": self.active,
            "state": self.state,
            "phase": self.phase,
            "inactivation": self.inactivation,
            "text": self.text,
            "action": ALARMS[self.id].action,
        }
        if self.by:
            data["by"] = self.by
        for key, number in (("value", self.value), ("limit", self.limit)):
            if number is not None:
                data |= {key: number, "unit": self.unit}
        return data


class AlarmBoard:
    """Raises, clears and acknowledges alarms by id."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self.raised_ever: list[str] = []

    def changed(
        self, effect: RaiseAlarm | ClearAlarm | AcknowledgeAlarm, now_ms: int
    ) -> list[Alarm]:
        """Do it; every alarm that is different now, to be told."""
        match effect:
            case RaiseAlarm():
                return [self.raise_alarm(effect, now_ms)]
            case ClearAlarm():
                ended = self.clear(effect)
                return [] if ended is None else [ended]
            case AcknowledgeAlarm(alarm_id, by):
                return self.acknowledge(alarm_id, by)

    def raise_alarm(self, effect: RaiseAlarm, onset_ms: int) -> Alarm:
        """The alarm, now active; raised again while active it keeps its onset and who has seen it."""
        known = self._alarms.get(effect.alarm_id)
        still = known is not None and known.active
        alarm = Alarm(
            effect.alarm_id,
            effect.text,
            effect.value,
            effect.limit,
            effect.unit,
            known.onset_ms if known and still else onset_ms,
            active=True,
            acknowledged=known.acknowledged if known and still else False,
            by=known.by if known and still else "",
            phase="update" if still else "start",
        )
        self._alarms[alarm.id] = alarm
        if alarm.id not in self.raised_ever:
            self.raised_ever.append(alarm.id)
        return alarm

    def clear(self, effect: ClearAlarm) -> Alarm | None:
        """The alarm, whose condition is gone; None when it was not active."""
        known = self._alarms.get(effect.alarm_id)
        if known is None or not known.active:
            return None
        return self._keep(replace(known, active=False, phase="end"))

    def acknowledge(self, alarm_id: str, by: str) -> list[Alarm]:
        """Those that are acknowledged now: the one named, or with an empty id all that stand unseen."""
        wanted = [
            alarm
            for alarm in self.listed()
            if alarm_id in ("", alarm.id) and not alarm.acknowledged
        ]
        return [
            self._keep(replace(alarm, acknowledged=True, by=by, phase="acknowledged"))
            for alarm in wanted
        ]

    def listed(self) -> list[Alarm]:
        """Every alarm that stands: active before latched, high before low, old before new."""
        standing = [alarm for alarm in self._alarms.values() if alarm.active or alarm.latched]
        return sorted(standing, key=lambda a: (not a.active, -a.rank, a.onset_ms))

    @property
    def active(self) -> list[Alarm]:
        """Alarms whose condition holds now, the highest first."""
        return [alarm for alarm in self.listed() if alarm.active]

    def _keep(self, alarm: Alarm) -> Alarm:
        self._alarms[alarm.id] = alarm
        return alarm
