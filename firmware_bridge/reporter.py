"""What the controller is told, and what it is owed: alarms and states as they change, answers in time.

Answerable for saying each thing once and for never forgetting an answer; not for bytes (`upstream`) nor
for what the pump does.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.messages import Code, Ending, EventKind, PumpAlarm, PumpState
from firmware_bridge.supervision import Supervision
from firmware_bridge.upstream import Upstream


class Reporter:
    """Tells ``upstream`` about the pump that ``supervision`` accounts for."""

    def __init__(
        self, upstream: Upstream, supervision: Supervision, clock: Callable[[], float]
    ) -> None:
        self._upstream = upstream
        self._supervision = supervision
        self._clock = clock
        self._state_told = PumpState.UNKNOWN
        self._stops: list[int] = []
        self._snapshots = 0
        self._snapshot_at_rest = False

    # --- told ------------------------------------------------------------------------------------

    def raised(self, alarms: PumpAlarm) -> None:
        """Latch the alarms and tell of those that are new."""
        for alarm in self._supervision.raised(alarms):
            self._tell_alarm(EventKind.ALARM_RAISED, alarm)

    def acknowledged(self, alarms: PumpAlarm) -> None:
        """Tell which of them are cleared, and again of those whose cause remains."""
        cleared, remaining = self._supervision.acknowledged(alarms)
        for alarm in cleared:
            self._tell_alarm(EventKind.ALARM_CLEARED, alarm)
        for alarm in remaining:  # the session stopped repeating it, but it is not over
            self._tell_alarm(EventKind.ALARM_RAISED, alarm)

    def unlatched(self) -> None:
        """A person has reset the emergency stop."""
        for alarm in self._supervision.unlatched():
            self._tell_alarm(EventKind.ALARM_CLEARED, alarm)

    def state(self) -> None:
        """Tell the pump's state, if it is another than was told last."""
        state = self._supervision.state
        if state is not self._state_told:
            self._state_told = state
            self._tell(EventKind.STATE, state)

    def _tell_alarm(self, kind: EventKind, alarm: PumpAlarm) -> None:
        self._tell(kind, alarm.value.bit_length() - 1)

    def _tell(self, kind: EventKind, number: int) -> None:
        self._upstream.tell(kind, number, self._supervision.uptime(self._clock()))

    # --- owed ------------------------------------------------------------------------------------

    def under_way(self, command_id: int) -> None:
        """The command was taken and its ending will follow, however long it takes."""
        self._upstream.result(command_id, Ending.IN_PROGRESS, Code.OK)

    def owe_stop(self, command_id: int) -> None:
        """This stop is answered as done when the pump stands still."""
        self._stops.append(command_id)
        self.under_way(command_id)

    def owe_snapshot(self) -> None:
        """One more snapshot at the next `snapshots`."""
        self._snapshots += 1

    def owe_snapshot_at_rest(self) -> None:
        """One more snapshot when the pump stands still, also to somebody without a link."""
        self._snapshot_at_rest = True

    def snapshots(self) -> None:
        """Answer everybody who waits for a snapshot."""
        for _ in range(self._snapshots):
            self._upstream.answer(self._supervision.snapshot(self._clock()))
        self._snapshots = 0

    def at_rest(self) -> None:
        """The pump has confirmed that it stands still."""
        self.state()
        for command_id in self._stops:
            volume = self._supervision.infused
            self._upstream.result(command_id, Ending.DONE, Code.OK, volume=volume)
        self._stops.clear()
        snapshot = self._supervision.snapshot(self._clock())
        self._upstream.volunteer(snapshot, asked=self._snapshot_at_rest)
        self._snapshot_at_rest = False
