"""A pumplink/1 pump's alarms: latched until somebody acknowledged them and their cause is gone.

Answerable for the set of alarms and for the events that tell of them, which are repeated until heard.
Not answerable for what raises them, nor for what stops because of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.devices.base import NS_PER_S
from sim.devices.pumplink_link import Link
from sim.devices.pumplink_state import Memory, PumpState
from sim.devices.pumplink_table import U32, Alarm, EventKind, State
from sim.devices.pumplink_words import WARNINGS

REPEAT_NS = NS_PER_S


@dataclass(slots=True)
class Alarms:
    """``cause_is_there``: whether the cause of an alarm that only happened can still be seen."""

    state: PumpState
    link: Link
    cause_is_there: Callable[[Alarm], bool]

    @property
    def _memory(self) -> Memory:
        return self.state.memory

    @property
    def own_ns(self) -> int:
        """The pump's own clock."""
        return self.state.crystal.own(self.state.now_ns)

    @property
    def uptime_ms(self) -> int:
        """Since the boot, as it goes over the wire."""
        return self.uptime_us // 1_000 & U32

    @property
    def uptime_us(self) -> int:
        """Since the boot, as TIMESYNC tells it."""
        return (self.own_ns - self._memory.booted_own_ns) // 1_000

    def in_the_way(self) -> Alarm:
        """What keeps the pump from starting."""
        memory = self._memory
        heard = Alarm(memory.latched & ~_all(memory.unheard))
        return memory.latched & ~(heard & WARNINGS)

    # -- what happens -----------------------------------------------------------------------------

    def happened(self, alarm: Alarm) -> None:
        """It is latched, and told from now on until somebody acknowledges it."""
        memory = self._memory
        if alarm in memory.unheard:
            return
        memory.latched |= alarm
        memory.unheard[alarm] = self._event(EventKind.ALARM_RAISED, _index(alarm))
        self.tell_a_host()

    def began(self, alarm: Alarm) -> bool:
        """Its cause is there; whether it was not before."""
        if alarm in self._memory.standing:
            return False
        self._memory.standing |= alarm
        self.happened(alarm)
        return True

    def ended(self, alarm: Alarm) -> None:
        """Its cause is gone."""
        self._memory.standing &= ~alarm
        self.clear_what_is_over()

    def acknowledge(self, alarms: Alarm) -> None:
        """Somebody has seen these."""
        memory = self._memory
        for alarm in list(memory.unheard):
            if alarm in alarms:
                del memory.unheard[alarm]
        if not memory.unheard:
            memory.repeat_due = None
        self.clear_what_is_over()

    def forget(self, alarm: Alarm) -> None:
        """It is over, acknowledged or not."""
        self._memory.standing &= ~alarm
        self._memory.unheard.pop(alarm, None)
        self.clear_what_is_over()

    def clear_what_is_over(self) -> None:
        """Acknowledged, and no cause any more."""
        memory = self._memory
        for alarm in self.acknowledged():
            if alarm not in memory.standing and not self.cause_is_there(alarm):
                memory.latched &= ~alarm
                self._event(EventKind.ALARM_CLEARED, _index(alarm))

    def acknowledged(self) -> list[Alarm]:
        """What is latched only because its cause lasts."""
        memory = self._memory
        return [alarm for alarm in Alarm if alarm in memory.latched and alarm not in memory.unheard]

    # -- telling ----------------------------------------------------------------------------------

    def changed(self, state: State) -> None:
        """The pump did this by itself; said once."""
        self._event(EventKind.STATE, state)

    def tell_a_host(self) -> None:
        """There is one, or there may be: what nobody has acknowledged is said to him every second."""
        memory = self._memory
        if memory.unheard and memory.link.link_id and memory.repeat_due is None:
            memory.repeat_due = self.own_ns + REPEAT_NS

    def repeat(self) -> None:
        """Every alarm that nobody has acknowledged, again; without a host it is not even counted."""
        memory = self._memory
        memory.repeat_due = None
        if memory.link.link_id:
            for alarm, event_seq in memory.unheard.items():
                self._tell(event_seq, EventKind.ALARM_RAISED, _index(alarm))
        self.tell_a_host()

    def _event(self, kind: EventKind, number: int) -> int:
        event_seq = self._memory.event_seq
        self._memory.event_seq = (event_seq + 1) % 65_536
        if self._memory.link.link_id:
            self._tell(event_seq, kind, number)
        return event_seq

    def _tell(self, event_seq: int, kind: EventKind, number: int) -> None:
        uptime = self.uptime_ms
        self.link.send(
            "EVENT", {"event_seq": event_seq, "kind": kind, "id": number, "uptime_ms": uptime}
        )


def _index(alarm: Alarm) -> int:
    return alarm.bit_length() - 1


def _all(alarms: dict[Alarm, int]) -> Alarm:
    together = Alarm(0)
    for alarm in alarms:
        together |= alarm
    return together
