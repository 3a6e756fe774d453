"""An older Harvard pump (11 Plus, 22, 44, PHD2000, Microliter OEM) without a port.

Answerable for lines, addresses, prompts, errors, power, and time.  The pieces: numbers, commands (the
table), state (what it knows, and the motor), models, quirks, mechanics (physics).  No clock, no port, no
randomness; the whole state is `LegacyPump.state`.

Host to pump: ``NN`` and three letters, arguments, CR.  Pump to host: ``CR LF value CR LF NN prompt``, or
``CR LF NN prompt`` (as hosts of these pumps read it; 9600 baud, 8N2).

For bench and simulation only: it stands in for a pump that is connected to nobody.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

from sim.devices import breakage
from sim.devices.base import NS_PER_S, Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage, in_vain
from sim.devices.harvard_frames import CR, take
from sim.devices.harvard_legacy_commands import STOP, Command, Panel, acts, find, mnemonic
from sim.devices.harvard_legacy_faults import WAYS
from sim.devices.harvard_legacy_models import MODELS
from sim.devices.harvard_legacy_numbers import NOT_NOW, OUT_OF_RANGE, SYNTAX, Refusal
from sim.devices.harvard_legacy_quirks import Quirks
from sim.devices.harvard_legacy_state import STOPPED, DeviceState, Motor, Settings
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth

BYTE_NS = 11 * NS_PER_S // 9_600
"""One byte on the line: a start bit, eight data bits, two stop bits."""

_LINE = re.compile(r"([0-9]{1,2})?(.*)")
_DELETED = bytes(range(0x21)) + b"\x7f"


class LegacyPump:
    """One pump, switched on when it is built.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        model: str = "11-plus",
        address: int = 0,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        self.on_command: Callable[[str], None] = unheard
        self.mechanics = Mechanics(mount, line, drive)
        self.quirks = quirks
        self.state = DeviceState(Settings(address), self.mechanics.state)
        self.motor = Motor(self.state, self.mechanics, quirks)
        self.panel = Panel(self.state, self.motor, quirks, MODELS[model])
        self.mechanics.fit(self.state.settings.diameter)

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""
        return self.mechanics.truth()

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose."""
        return self.state.faults

    def snapshot(self) -> DeviceState:
        """A copy of everything; model, quirks, line and drive are the pump's make, not its state."""
        return copy.deepcopy(self.state)

    def restore(self, state: DeviceState) -> None:
        """The pump is as it was at that snapshot, which stays usable."""
        self.state = copy.deepcopy(state)
        self.mechanics.state = self.state.mechanics
        self.motor.state = self.panel.state = self.state

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a target or an obstacle is due."""
        due = self.mechanics.next_event_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; these pumps say nothing unasked."""
        to = to_ns(now)
        due = self.mechanics.next_event_ns()
        while due is not None and due <= to:
            end = self.mechanics.advance(due)
            if end is not None and self.state.running:
                self.motor.motion_ended(end.cause)
            due = self.mechanics.next_event_ns()
        self.mechanics.advance(to)
        return []

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: counters, target and run state are gone, settings stay."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        self.motor.halt(STOPPED)
        self.state.faults.powered = False
        self.state.buffer.clear()

    def power_on(self) -> list[Reply]:
        """The pump boots, in silence."""
        state = self.state
        if not state.faults.powered:
            state.faults.powered = True
            state.withdrawing = state.volume_mode = False
            state.target_nl = 0
            self.motor.clear(withdrawn_only=False)
        return []

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this pump does not have."""
        due = self.advance(now)
        return due + breakage.inject(WAYS, self, kind, parameters)

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        due = self.advance(now)
        return due + breakage.clear(WAYS, self, kind)

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        replies = self.advance(now)
        while data and self.state.faults.powered:
            end = data.find(CR) + 1 or len(data)
            self.state.buffer += data[:end]
            data = data[end:]
            raw = take(self.state.buffer)
            if raw is not None:
                self._line(raw, replies)
        return replies

    def _line(self, raw: bytes, replies: list[Reply]) -> None:
        """Obey a line that is for this pump; no address is address 0."""
        match = _LINE.fullmatch(raw.translate(None, _DELETED).upper().decode("latin-1"))
        digits, text = (None, SYNTAX) if match is None else (match[1], match[2])
        if int(digits or "0") != self.state.settings.address:
            return
        if self.on_command is not unheard:
            self.on_command(mnemonic(text))
        faults = self.state.faults
        if faults.drop_to_pump:
            faults.drop_to_pump -= 1
        elif faults.powered:
            value, prompt = self._obey(text)
            self._send(replies, value, prompt, asked=len(raw) + 1)

    def _obey(self, text: str) -> tuple[str | None, str]:
        """The value, if any, and the prompt of the answer."""
        value: str | None = None
        try:
            if text:
                name, command, argument = find(text)
                if name == STOP and self.state.faults.stop_ignored:
                    return None, STOPPED
                if acts(name, argument) and self._astray():
                    return None, in_vain(self, lambda: self._prompt_after(command, argument))
                value = command(self.panel, argument)
        except Refusal as refusal:
            value = str(refusal)
            if value == OUT_OF_RANGE and self.quirks.out_of_range == "words":
                value = "Out of range"
        return value, self.state.prompt

    def _astray(self) -> bool:
        """Whether a command is answered in vain; raises `Refusal` for one that is refused on purpose."""
        faults = self.state.faults
        if faults.refuse:
            faults.refuse -= 1
            raise Refusal(NOT_NOW)
        if faults.pretend:
            faults.pretend -= 1
            return True
        return False

    def _prompt_after(self, command: Command, argument: str) -> str:
        command(self.panel, argument)
        return self.state.prompt

    def _send(self, replies: list[Reply], value: str | None, prompt: str, *, asked: int) -> None:
        """One answer leaves, unless the pump is broken in a way that keeps it."""
        faults = self.state.faults
        if faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        address = self.state.settings.address
        padding = "0" if address < 10 and self.quirks.address_digits == "2" else ""
        first = "" if value is None else f"\r\n{value}"
        for digits in faults.addresses(f"{padding}{address}"):
            frame = f"{first}\r\n{digits}{prompt}".encode("latin-1")
            replies.append((faults.held_s() + self._on_the_line(asked + len(frame)), frame))

    def _on_the_line(self, count: int) -> float:
        """Seconds until that many bytes more are through."""
        if self.quirks.line == "instant":
            return 0.0
        now = self.state.mechanics.now_ns
        self.state.sent_ns = max(now, self.state.sent_ns) + count * BYTE_NS
        return (self.state.sent_ns - now) / NS_PER_S
