"""Drip, device side: a pump without a port.  See the sheet in README.md.

Answerable for what the pump says, and for when its motor runs; what the plunger then does is
`sim.mechanics`.  Shares no code with the host side: a misreading of the sheet would cancel out.  No clock,
no port, no chance; time is what `feed` and `advance` are told, and all that the pump knows is `Drip.state`.

For bench and simulation only: it stands in for a pump that is connected to nobody.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sim.devices import breakage
from sim.devices.base import NS_PER_S, Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import COMMON_WAYS, Breakage
from sim.devices.kinds import DeviceKind, PumpOptions
from sim.devices.leaving import leaving_ns
from sim.devices.quirks import parse_quirks, quirk_values
from sim.faults.parameters import FaultValue
from sim.mechanics import PARTS_PER_NL, Drive, End, Line, Mechanics, MechanicsState, Mount, Truth
from sim.mechanics_make import travel_nl

LONGEST = 64
SLOWEST = 100
"""0.100 mL/h; like every number of the sheet, in thousandths."""
FASTEST_UM_H = 3_000_000
"""The fastest travel of the pusher, 3 m/h [design]."""
DIAMETERS = range(1_000, 50_001)
DIAMETER = 19_050
HOLDS = range(1_000, 60_001)
NS_PER_MS = 1_000_000
PARTS = 1_000 * PARTS_PER_NL
"""One thousandth of a millilitre, in the mechanics' own unit."""

ALARM_OF = {End.OCCLUSION: "BLOCKED", End.EMPTY: "EMPTY", End.STALL: "STALL"}


@dataclass(frozen=True, slots=True)
class Quirks:
    """What the sheet leaves open."""

    count_after_power: Literal["lost", "kept"] = "lost"


class Refused(Exception):
    """The reason goes after ``ERR``."""


@dataclass(slots=True)
class State:
    """All that the pump knows; numbers in thousandths."""

    mechanics: MechanicsState
    faults: Breakage = field(default_factory=Breakage)
    buffer: bytearray = field(default_factory=bytearray)
    diameter: int = DIAMETER
    rate: int = 0
    volume: int = 0
    counted_from: int = 0
    """What the motor had moved when the count was 0.000, in parts."""
    held_until_ns: int = 0
    alarms: list[str] = field(default_factory=list)
    leaves_ns: int = 0
    """When the last answer left."""


class Drip:
    """One pump, switched on when it is built.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        self.mechanics = Mechanics(mount, line, drive)
        self.quirks = quirks
        self.state = State(self.mechanics.state)
        self.on_command: Callable[[str], None] = unheard
        self.mechanics.fit(self.state.diameter)

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        return self.mechanics.truth()

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose; `sim.devices.breakage` asks for it."""
        return self.state.faults

    def snapshot(self) -> State:
        """A copy of everything, for the control channel."""
        return copy.deepcopy(self.state)

    def restore(self, state: State) -> None:
        """The pump is as it was at that snapshot, which stays usable."""
        self.state = copy.deepcopy(state)
        self.mechanics.state = self.state.mechanics

    # -- time -------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the motor turns."""
        return self.mechanics.state.rate_nl_h > 0

    def next_event(self, now: float) -> float | None:
        """When the motor ends by itself, or the handle is let go in mid-delivery."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; this pump says nothing unasked."""
        to = to_ns(now)
        while (due := self._due_ns()) is not None and due <= to:
            self._at(due)
            if self.running and due >= self.state.held_until_ns:
                self._alarm("LETGO")
        self._at(to)
        return []

    def _due_ns(self) -> int | None:
        """Each thing happens at its own instant, however far `advance` is told to go."""
        if not self.running:
            return None
        end = self.mechanics.next_event_ns()
        return self.state.held_until_ns if end is None else min(end, self.state.held_until_ns)

    def _at(self, ns: int) -> None:
        end = self.mechanics.advance(ns)
        if end is not None and end.cause is not End.TARGET:
            self._alarm(ALARM_OF.get(end.cause, "FAULT"))

    def _alarm(self, word: str) -> None:
        self.mechanics.stop()
        if word not in self.state.alarms:
            self.state.alarms.append(word)

    # -- power and faults -------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        self.mechanics.stop()
        self.state.faults.powered = False
        self.state.buffer.clear()

    def power_on(self) -> list[Reply]:
        """Only the syringe is remembered, and perhaps the count."""
        state = self.state
        if not state.faults.powered:
            state.faults.powered = True
            state.rate = state.volume = state.held_until_ns = 0
            state.alarms = ["RESET"]
            if self.quirks.count_after_power == "lost":
                state.counted_from = self.mechanics.infused_parts
        return []

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        self.advance(now)
        return breakage.inject(COMMON_WAYS, self, kind, parameters)

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        self.advance(now)
        return breakage.clear(COMMON_WAYS, self, kind)

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        self.advance(now)
        replies: list[Reply] = []
        if not self.state.faults.powered:
            return replies
        buffer = self.state.buffer
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            self._hear(line, replies)
        del buffer[:-LONGEST]
        return replies

    def _hear(self, line: bytes, replies: list[Reply]) -> None:
        words = _words(line)
        if not words:
            return
        number, name, *values = words
        self.on_command(name)
        faults = self.state.faults
        if not faults.powered:  # whoever listened has just switched it off
            return
        if faults.drop_to_pump:
            faults.drop_to_pump -= 1
            return
        try:
            answer = self._obey(name, values)
        except Refused as refused:
            answer = f"ERR {refused}"
        self._answer(f"{number} {answer}", replies)

    def _answer(self, body: str, replies: list[Reply]) -> None:
        """It leaves at once, unless the pump is broken in a way that keeps it."""
        faults, now_ns = self.state.faults, self.mechanics.state.now_ns
        if faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        self.state.leaves_ns = leaving_ns(now_ns, faults.held_s(), self.state.leaves_ns)
        frame = f"#{body}*{_check(body.encode('ascii'))}\n".encode("ascii")
        replies.append(((self.state.leaves_ns - now_ns) / NS_PER_S, frame))

    # -- commands ---------------------------------------------------------------------------------

    def _obey(self, name: str, values: list[str]) -> str:
        state = self.state
        match name, values:
            case "ID", []:
                return "DRIP-1 1.0 00042"
            case "LIM", []:
                return f"{_shown(SLOWEST)} {_shown(self._fastest())}"
            case "SYR" | "RATE" | "VOL", [] | [_]:
                return self._setting(name, values)
            case "HOLD", [text]:
                held = _number(text)
                _require(held in HOLDS, "RANGE")
                state.held_until_ns = self.mechanics.state.now_ns + held * NS_PER_MS
            case "ZERO", []:
                self._at_rest()
                state.counted_from = self.mechanics.infused_parts
            case "GO", []:
                self._go()
            case "STOP", []:
                self._stop()
            case "ACK", [word]:
                state.alarms[:] = filter(word.__ne__, state.alarms)
            case "STAT", []:
                pass
            case _:
                raise Refused("UNKNOWN")
        return self._status()

    def _status(self) -> str:
        motor = "RUN" if self.running else "IDLE"
        return f"{motor} {_shown(self._count() // PARTS)} {','.join(self.state.alarms) or '-'}"

    def _setting(self, name: str, values: list[str]) -> str:
        """Set, if there is a value; what it is afterwards."""
        state = self.state
        value = _number(values[0]) if values else None
        match name:
            case "SYR":
                if value is not None:
                    self._at_rest()
                    _require(value in DIAMETERS, "RANGE")
                    state.diameter = value
                    self.mechanics.fit(value)
                return _shown(state.diameter)
            case "RATE":
                if value is not None:
                    idle = value == 0 and not self.running
                    _require(idle or SLOWEST <= value <= self._fastest(), "RANGE")
                    state.rate = value
                    if self.running:
                        self._drive()
                return _shown(state.rate)
            case _:
                if value is not None:
                    self._at_rest()
                    state.volume = value
                return _shown(state.volume)

    def _go(self) -> None:
        state = self.state
        _require(not state.alarms, "ALARM")
        _require(state.held_until_ns > self.mechanics.state.now_ns, "NOT HELD")
        _require(state.rate > 0, "NO RATE")
        _require(state.volume > 0, "NO VOLUME")
        _require(self._count() < state.volume * PARTS, "DONE")
        self._drive()

    def _stop(self) -> None:
        if not self.state.faults.stop_ignored:
            self.mechanics.stop()

    def _drive(self) -> None:
        """The motor turns at the rate, for what is left of the target."""
        left = self.state.volume * PARTS - self._count()
        self.mechanics.start(self.state.rate * 1_000, left)

    def _count(self) -> int:
        return self.mechanics.infused_parts - self.state.counted_from

    def _fastest(self) -> int:
        return int(travel_nl(self.state.diameter, FASTEST_UM_H)) // 1_000

    def _at_rest(self) -> None:
        _require(not self.running, "RUNNING")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise Refused(reason)


def _words(line: bytes) -> list[str]:
    """Number, command and its values; nothing for a line that is to be ignored."""
    start = line.rfind(b"#")
    body, _, check = line[start + 1 :].rpartition(b"*")
    if start < 0 or len(line) - start > LONGEST or not body.isascii():
        return []
    if check != _check(body).encode("ascii"):
        return []
    words = body.decode("ascii").split(" ")
    numbered = len(words) > 1 and len(words[0]) == 2 and words[0].isdigit()
    return words if numbered and all(word.isprintable() for word in words) else []


def _check(body: bytes) -> str:
    check = 0
    for byte in body:
        check ^= byte
    return f"{check:02X}"


def _number(text: str) -> int:
    whole, point, part = text.partition(".")
    digits = whole.isdigit() and part.isdigit() and point
    _require(bool(digits) and len(whole) <= 4 and len(part) == 3, "RANGE")
    return int(whole + part)


def _shown(thousandths: int) -> str:
    whole, part = divmod(thousandths, 1_000)
    return f"{whole}.{part:03}"


def _make(options: PumpOptions) -> Drip:
    return Drip(
        quirks=parse_quirks(Quirks, options.quirks),
        mount=options.mount,
        line=options.line,
        drive=options.drive,
    )


DEVICE = DeviceKind(
    name="drip",
    models=("drip-1",),
    make=_make,
    quirks=quirk_values(Quirks),
    address_max=0,
    faults=tuple(COMMON_WAYS),
)
