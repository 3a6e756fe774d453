"""When the faults of a script begin and end: told what happens, it says what is to be broken or mended.

Pure: no clock and no port; chance comes from a stream that is passed in.  Told of the time, of states,
true volumes, signals and commands, it answers with cues in the order of the script.  Not answerable for
carrying them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.faults.kinds import find
from sim.faults.script import (
    AfterVolume,
    AtTime,
    Entry,
    InState,
    NthCommand,
    Perhaps,
    Trigger,
    When,
)


class Chance(Protocol):
    """The stream of faults, a ``random.Random``."""

    def random(self) -> float:
        """The next value in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Cue:
    """``begins``: break it; otherwise mend it."""

    entry: Entry
    begins: bool


@dataclass(slots=True)
class _Running:
    """One entry on its way: when it is to begin next, when what it has begun ends."""

    entry: Entry
    begin_at: float | None = None
    end_at: float | None = None
    commands_left: int | None = None
    fired: bool = False
    repeats_left: int = 0
    heard: int = 0

    @property
    def waiting(self) -> bool:
        """Whether its trigger is still to come."""
        return not self.fired and self.begin_at is None


class Director:
    """Follows one script from ``started_s`` on."""

    def __init__(self, entries: Sequence[Entry], chance: Chance, *, started_s: float = 0.0) -> None:
        self._chance = chance
        self._running = [_Running(entry, repeats_left=entry.repeat) for entry in entries]
        for one in self._running:
            if isinstance(one.entry.trigger, AtTime):
                one.begin_at = started_s + one.entry.trigger.at_s

    @property
    def watches_volume(self) -> bool:
        """Whether `delivered` may still fire something."""
        return any(isinstance(one.entry.trigger, AfterVolume) for one in self._waiting())

    def waiting(self) -> list[Entry]:
        """Those that have not begun."""
        return [one.entry for one in self._running if not one.fired]

    def next_due(self) -> float | None:
        """When `time` will have something to say, if nothing else happens."""
        moments = [
            at for one in self._running for at in (one.begin_at, one.end_at) if at is not None
        ]
        return min(moments, default=None)

    def time(self, now: float) -> list[Cue]:
        """It is ``now``."""
        cues: list[Cue] = []
        for one in self._running:
            while (moment := self._next_of(one)) is not None and moment <= now:
                if moment == one.end_at:
                    cues.append(self._end(one))
                else:
                    cues.append(self._begin(one, moment))
        return cues

    def entered(self, state: str, now: float) -> list[Cue]:
        """The visit is in this state from now on."""
        for one in self._waiting():
            trigger = one.entry.trigger
            if isinstance(trigger, InState) and trigger.state == state:
                one.begin_at = now + trigger.after_s
        return self.time(now)

    def delivered(self, nl: int, now: float) -> list[Cue]:
        """So much has truly been delivered."""
        return self._fired(
            now,
            (
                one
                for one in self._waiting()
                if isinstance(one.entry.trigger, AfterVolume) and nl >= one.entry.trigger.nl
            ),
        )

    def signals(self, values: Mapping[str, float], now: float) -> list[Cue]:
        """Signals of the world have these values."""
        return self._fired(
            now,
            (one for one in self._waiting() if _beyond(one.entry.trigger, values)),
        )

    def commanded(self, name: str, now: float) -> list[Cue]:
        """The pump is about to obey a command."""
        cues = self._count_down()
        fired = []
        for one in self._waiting():
            trigger = one.entry.trigger
            if isinstance(trigger, NthCommand) and trigger.command in ("", name):
                one.heard += 1
                if one.heard == trigger.n:
                    fired.append(one)
            elif isinstance(trigger, Perhaps) and self._chance.random() < trigger.probability:
                fired.append(one)
        cues += self._fired(now, fired)
        for one in fired:  # this command is the first of those that it lasts for
            if one.commands_left is not None:
                one.commands_left -= 1
        return cues

    # --- begin and end ----------------------------------------------------------------------------

    def _waiting(self) -> Iterator[_Running]:
        return (one for one in self._running if one.waiting)

    def _fired(self, now: float, those: Iterator[_Running] | Sequence[_Running]) -> list[Cue]:
        return [self._begin(one, now) for one in list(those)]

    @staticmethod
    def _next_of(one: _Running) -> float | None:
        moments = [at for at in (one.begin_at, one.end_at) if at is not None]
        return min(moments, default=None)

    def _begin(self, one: _Running, moment: float) -> Cue:
        """It begins, perhaps to end by itself, perhaps to come again."""
        entry = one.entry
        one.fired, one.begin_at = True, None
        if find(entry.kind).lasting:
            one.end_at = None if entry.for_s is None else moment + entry.for_s
            one.commands_left = entry.for_commands
        if one.repeats_left:
            one.repeats_left -= 1
            one.begin_at = moment + entry.every_s
        return Cue(entry, begins=True)

    def _end(self, one: _Running) -> Cue:
        one.end_at = one.commands_left = None
        return Cue(one.entry, begins=False)

    def _count_down(self) -> list[Cue]:
        """A command more for those that last for so many; the one after the last is spared."""
        cues: list[Cue] = []
        for one in self._running:
            if one.commands_left is not None:
                if one.commands_left == 0:
                    cues.append(self._end(one))
                else:
                    one.commands_left -= 1
        return cues


def _beyond(trigger: Trigger, values: Mapping[str, float]) -> bool:
    if not isinstance(trigger, When) or trigger.signal not in values:
        return False
    return trigger.holds(values[trigger.signal])
