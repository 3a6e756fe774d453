"""What a person or a program sees of one pump driven by hand: plain data, sentences, a progress bar."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from firmware_bridge.lacking import lacking
from firmware_bridge.messages import Capability, HelloAck, PumpAlarm, PumpState, Snapshot
from firmware_bridge.quantities import Volume

BY_TARGET = "target"
BY_DEAD_MAN = "dead-man and target"


def names(flags: PumpAlarm | Capability) -> list[str]:
    """The set bits, as words."""
    return [str(flag.name).lower() for flag in flags]


def bounded_by(identity: HelloAck) -> str:
    """What ends a delivery when controller and bridge are both gone."""
    return BY_DEAD_MAN if Capability.DEAD_MAN in identity.capabilities else BY_TARGET


def identity_of(identity: HelloAck) -> dict[str, object]:
    """Who answered, and what it can do."""
    return {
        "firmware": identity.firmware,
        "serial_number": identity.serial_number,
        "capabilities": names(identity.capabilities),
        "bounded_by": bounded_by(identity),
        "lacks": lacks(identity),
    }


def lacks(identity: HelloAck) -> dict[str, str]:
    """What the pump cannot do by itself, and what becomes of it."""
    missing = lacking(identity.capabilities)
    return {str(part.name).lower(): words for part, words in missing.items()}


def status_of(snapshot: Snapshot) -> dict[str, object]:
    """One account of the pump; the volume counts since its last start."""
    return {
        "state": snapshot.state.name.lower(),
        "rate_ml_h": snapshot.rate.ml_h,
        "delivered_ml": snapshot.infused.ml,
        "remaining_ml": snapshot.remaining.ml,
        "alarms": names(snapshot.alarms),
        "age_s": snapshot.age.s,
    }


def sentence(snapshot: Snapshot) -> str:
    """The same in a line for a person."""
    left = f", {snapshot.remaining} left" if snapshot.remaining.nl else ""
    alarms = f", ALARM {', '.join(names(snapshot.alarms))}" if snapshot.alarms else ""
    return f"{snapshot.state.name.lower()}, {snapshot.rate}, {snapshot.infused} delivered{left}{alarms}"


class DeliveryBar:
    """A progress bar on a terminal, nothing in a pipe.  A context manager."""

    def __init__(self, target: Volume) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.3f} of {task.total:.3f} mL"),
            TimeRemainingColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("starting", total=target.ml)

    def told(self, snapshot: Snapshot) -> None:
        """The pump gave an account of itself."""
        state = snapshot.state
        text = f"{snapshot.rate}" if state is PumpState.RUNNING else state.name.lower()
        self._progress.update(self._task, completed=snapshot.infused.ml, description=text)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
