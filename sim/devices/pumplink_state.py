"""Everything a pumplink/1 microcontroller pump knows, as plain data.

`Lasting` is what survives the mains; the rest of `PumpMemory` is gone with them, except the mechanics,
which are outside the electronics.  Times are the pump's own (ns of its own crystal) unless said otherwise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from sim.devices.breakage import Breakage
from sim.devices.pumplink_frames import Receiver
from sim.devices.pumplink_table import Alarm, State, Value
from sim.mechanics import MechanicsState

MILLION = 1_000_000

SEEN_FRAMES = 8
REMEMBERED_COMMANDS = 32


class Doing(Enum):
    """What became of the last delivery."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"


@dataclass(slots=True)
class Crystal:
    """The pump's own clock, which may be fast or slow against the world's; both in ns."""

    ppm: int = 0
    own_ns: int = 0
    since_ns: int = 0

    def own(self, now_ns: int) -> int:
        """What it shows."""
        return self.own_ns + (now_ns - self.since_ns) * (MILLION + self.ppm) // MILLION

    def world(self, own_ns: int) -> int:
        """The first instant at which it shows this much."""
        return self.since_ns - -(own_ns - self.own_ns) * MILLION // (MILLION + self.ppm)

    def change(self, ppm: int, now_ns: int) -> None:
        """It goes so much faster from now on."""
        self.own_ns, self.since_ns = self.own(now_ns), now_ns
        self.ppm = ppm


@dataclass(slots=True)
class Remembered:
    """A command that was obeyed or refused, and what was last said of it."""

    asked: bytes
    """Its type and payload."""
    said: dict[str, Value]


@dataclass(slots=True)
class Counts:
    """Health of the link since it was opened."""

    frames: int = 0
    crc_errors: int = 0
    retransmits: int = 0
    duplicates: int = 0
    oversize: int = 0
    resyncs: int = 0


@dataclass(slots=True)
class LinkState:
    """One host; ``link_id`` 0 for none."""

    link_id: int = 0
    sent: int = 0
    """Frames sent on this link: the next ``seq``."""
    newest: int = 0
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=SEEN_FRAMES))
    commands: dict[int, Remembered] = field(default_factory=dict)
    """In the order in which they came."""
    newest_command: int = -1
    counts: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class Limits:
    """What ARM allows."""

    rate_nl_h: int
    each_nl: int
    total_nl: int
    time_ns: int


@dataclass(slots=True)
class Delivery:
    """The program of the last start.  Volumes in nl, ``began`` in parts of the motor's own count."""

    rate_nl_h: int = 0
    target_nl: int = 0
    withdraw: bool = False
    lease_ms: int = 0
    began: int = 0
    counted_from: int = 0
    """What the motor had moved when this delivery's counter was last cleared."""


@dataclass(slots=True)
class SelfTest:
    """The dead-man is to trip with the motor at rest."""

    command_id: int
    due_own_ns: int


@dataclass(slots=True)
class Memory:
    """What is gone with the power."""

    link: LinkState = field(default_factory=LinkState)
    diameter_um: int = 0
    """0 before CONFIGURE."""
    size_nl: int = 0
    limits: Limits | None = None
    lease_lost: bool = False
    """The gate was closed by a lease that expired."""
    settled_parts: int = 0
    """Moved since ARM by deliveries that are over."""
    motor_own_ns: int = 0
    """Motor time since ARM, up to ``motor_since``."""
    motor_since: int | None = None
    doing: Doing = Doing.STOPPED
    delivery: Delivery = field(default_factory=Delivery)
    lease_due: int | None = None
    self_test: SelfTest | None = None
    latched: Alarm = Alarm(0)
    unheard: dict[Alarm, int] = field(default_factory=dict)
    """Alarms that nobody has acknowledged -> their event_seq."""
    standing: Alarm = Alarm(0)
    """Alarms whose cause is there, as far as switches and supplies tell."""
    event_seq: int = 0
    repeat_due: int | None = None
    look_due: int | None = None
    """When the sensors are looked at again."""
    steps_from: int = 0
    """Steps that had been commanded when this motion began."""
    slip_from: int = 0
    """Steps that the encoder was behind when this motion began."""
    booted_own_ns: int = 0
    shown: State = State.STOPPED
    """What the host was last told, or has done itself."""


@dataclass(slots=True)
class Lasting:
    """What survives the mains: the emergency-stop latch, and how often it booted."""

    latched: bool = False
    boots: int = 0


@dataclass(slots=True)
class PumpState:
    """The whole pump."""

    mechanics: MechanicsState
    memory: Memory = field(default_factory=Memory)
    lasting: Lasting = field(default_factory=Lasting)
    receiver: Receiver = field(default_factory=Receiver)
    crystal: Crystal = field(default_factory=Crystal)
    faults: Breakage = field(default_factory=Breakage)
    reserve_ns: int | None = None
    """When an empty battery lets it go out (world's clock)."""
    steps_before: float = 0.0
    """Commanded microsteps before the syringe was last configured."""
    parts_before: int = 0
    """What the motor had moved by then."""
    now_ns: int = 0
    leaves_ns: int = 0
