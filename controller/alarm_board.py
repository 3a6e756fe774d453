"""The alarms of a visit: which are active, which are latched, which is highest.

An alarm stays on the board when its condition is gone (``latched``), to the end of the session, so that
nothing that was raised can vanish unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.procedure.effects import ClearAlarm, Priority, RaiseAlarm

RANK = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm condition.  ``onset_ms`` is wall time; ``active`` says the condition still holds."""

    id: str
    priority: Priority
    text: str
    value: float | None
    limit: float | None
    unit: str
    onset_ms: int
    active: bool

    @property
    def rank(self) -> int:
        """1 low, 2 medium, 3 high."""
        return RANK[self.priority]


class AlarmBoard:
    """Raises and clears alarms by id; each change is returned so that it can be told."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self.raised_ever: list[str] = []

    def raise_alarm(self, effect: RaiseAlarm, onset_ms: int) -> Alarm:
        """The alarm, now active; an alarm raised again keeps its first onset while it stays active."""
        known = self._alarms.get(effect.alarm_id)
        onset = known.onset_ms if known and known.active else onset_ms
        alarm = Alarm(
            effect.alarm_id,
            effect.priority,
            effect.text,
            effect.value,
            effect.limit,
            effect.unit,
            onset,
            active=True,
        )
        self._alarms[alarm.id] = alarm
        if alarm.id not in self.raised_ever:
            self.raised_ever.append(alarm.id)
        return alarm

    def clear(self, effect: ClearAlarm) -> Alarm | None:
        """The alarm, now only latched; None when it was not active."""
        known = self._alarms.get(effect.alarm_id)
        if known is None or not known.active:
            return None
        self._alarms[known.id] = replace(known, active=False)
        return self._alarms[known.id]

    def listed(self) -> list[Alarm]:
        """Every alarm on the board: active before latched, high before low, old before new."""
        return sorted(self._alarms.values(), key=lambda a: (not a.active, -a.rank, a.onset_ms))

    @property
    def active(self) -> list[Alarm]:
        """Alarms whose condition holds now, the highest first."""
        return [alarm for alarm in self.listed() if alarm.active]
