"""What a host-side dialect is: parsing, and programs of exchanges; no I/O, no clock.

An operation on a pump is a *program*: a generator that yields what should go over the wire next and is
sent what came back.  ``link.PumpLink`` runs one program at a time over a transport; a test runs it over
a list.  STOP is the one program that may push another aside.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.quantities import Duration, Rate, Volume


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a frame and wait for its answer; ``silence_before`` keeps the wire quiet first."""

    frame: bytes
    within: Duration
    silence_before: Duration = Duration(0)


@dataclass(frozen=True, slots=True)
class Listen:
    """Send nothing; wait for whatever the pump says by itself, at most so long."""

    within: Duration


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame from the pump, checked for integrity, not yet understood.

    ``solicited`` is the parser's verdict by content: an alarm packet that nobody asked for is not.
    """

    raw: bytes
    text: str


Step = Ask | Listen
T = TypeVar("T")
Program = Generator[Step, Frame | None, T]
"""Yields steps, is sent the frame that answered (``None``: nothing came in time), returns its result."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered."""

    model: str
    firmware: str
    serial_number: str
    raw: str


@dataclass(frozen=True, slots=True)
class Syringe:
    """The mounted syringe: inner diameter and nominal size."""

    diameter_um: int
    size: Volume


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pump itself can do with the mounted syringe."""

    rate_min: Rate
    rate_max: Rate
    volume_step: Volume
    lease_min: Duration
    lease_max: Duration


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the pump took after quantising: read back, never assumed."""

    rate: Rate
    volume: Volume


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pump says at one moment."""

    state: PumpState
    infused: Volume
    alarms: PumpAlarm
    pressure_pa: int = 0
    """In the line, where `Capability.PRESSURE` says that the pump shows it."""
    words: str = ""
    """The pump's own words for its alarms, where the bits of `PumpAlarm` alone would hide them."""


class HostDialect(Protocol):
    """One pump family, seen from the host.  Programs raise only `errors.BridgeError`.

    Instances are stateful (parser buffer, recorded settings) and belong to one port.
    """

    name: str
    capabilities: Capability

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        """Frames completed by ``data``, however the stream was cut.  Never raises; noise is counted."""

    def alarms_heard(self) -> PumpAlarm:
        """The alarms that the pump has told of and no `Reading` has carried yet."""

    def discard_at(self) -> float | None:
        """When an incomplete frame is to be given up by calling `discard`, if one is pending."""

    def discard(self, now: float) -> None:
        """Give up an incomplete frame whose time has passed.

        Where silence ends a frame, the next `receive` hands it out, which follows at once.
        """

    def connect(self) -> Program[Identity]:
        """Stop, then identify, then record every setting this session may change."""

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """Program and read back the syringe and everything that must hold before a start."""

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Arm the pump's dead-man, program the target, read everything back, then start.

        Raises `PumpRefused` before the start, `UncertainDelivery` when the start's answer was lost.
        """

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """Change the rate while running; returns what the pump took."""

    def read(self) -> Program[Reading]:
        """One exchange that shows state and delivered volume."""

    def pause(self) -> Program[Reading]:
        """Hold, keeping the program."""

    def resume(self, lease: Duration) -> Program[Reading]:
        """Go on with the rest of the target."""

    def stop(self) -> Program[Reading]:
        """Stop until the pump's own counters stand still.  Raises `NoAnswer` only when given up."""

    def stop_frame(self) -> bytes:
        """The pre-built first frame of `stop`, for the synchronous path."""

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """Trip the dead-man with the motor stopped; returns what was seen, raises `PumpRefused` if not."""

    def disown(self) -> None:
        """What `connect` found was left by a session that did not end properly: do not keep it.

        `restore` then makes the pump usable for other software, as far as that is possible without
        knowing what the pump was like before.
        """

    def relax(self) -> Program[None]:
        """The pump stands, and its dead-man need not hear from us every few seconds any more.

        Otherwise it would sound its alarm at rest.  `start` and `resume` arm it again.
        """

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """Put back what `connect` recorded; returns what was changed, for the record.

        ``keep_count``: leave, and name, what would clear the pump's count of delivered volume.
        """


@runtime_checkable
class SelfAnswering(Protocol):
    """A dialect whose link layer answers frames outside programs: acknowledgements, replies to an ENQ.

    Optional.  What is owed goes out at once, before anything a program says next, also where no program
    is under way.  It may only ever answer the pump: a dialect starts nothing this way.
    """

    def take_owed(self) -> bytes:
        """What the bytes received so far must be answered with; from now on it counts as sent."""


@runtime_checkable
class Timed(Protocol):
    """A dialect whose programs reckon with time: a patience that adapts to the line, a lease half over.

    Optional.
    """

    def it_is(self, now: float) -> None:
        """Told before each step of a program: the loop's time in seconds."""


@runtime_checkable
class FixedDeadMan(Protocol):
    """A dialect whose pump stops by itself after a time that nobody can set.

    Optional.  A start then needs a lease that is no shorter, which has to be known before a syringe is.
    """

    dead_man: Duration
    """The pump's own time-out."""
