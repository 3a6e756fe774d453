"""A New Era NE-1000 syringe pump without a port: bytes in, bytes out, and a plunger that really moves.

Answerable for addresses, alarms that stand in the way of commands, the two framings, the safe-mode
timer, power, and time.  The pieces: frames (bytes to text), numbers, commands (the table), program
(run state), mechanics (physics), faults, quirks.  No clock, no port, no randomness; the whole state is
`NewEraPump.state`.

For bench and simulation only: it stands in for a pump that is connected to nobody.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import lru_cache

from sim.devices import breakage
from sim.devices.base import NS_PER_S, Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage
from sim.devices.new_era_commands import SAFE_S_MAX, Command, find
from sim.devices.new_era_faults import WAYS
from sim.devices.new_era_frames import (
    DAMAGED,
    FORGET_AFTER_NS,
    basic_frame,
    forget,
    safe_frame,
    take,
    whole_packet,
)
from sim.devices.new_era_inputs import level_changed
from sim.devices.new_era_models import MODELS
from sim.devices.new_era_numbers import BAD_PACKET, NOT_NOW, Refusal
from sim.devices.new_era_program import Program
from sim.devices.new_era_quirks import Quirks
from sim.devices.new_era_state import DeviceState, Run, factory_settings
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth

ALARM_RESET = "R"
ALARM_TIMEOUT = "T"

_ADDRESS = re.compile("[0-9]{1,2}")
_DIGITS = frozenset("0123456789")
_SYSTEM = "*"
_SAFE = "SAF"
_OF_THE_LINE = (_SAFE, "ADR", "RESET")
_SHORT = 64
"""Bytes of a packet that is looked up rather than taken apart."""
_ACTIONS = frozenset({"RUN", "STP", "PUR", "CLDINF", "CLDWDR"})
"""Commands without an argument that are no questions."""
_MNEMONIC = re.compile("[0-9*]*([A-Z]{2,5})")


class NewEraPump:
    """One pump, switched on when it is built.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        model: str = "ne-1000",
        address: int = 0,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        self.on_command: Callable[[str], None] = unheard
        self.mechanics = Mechanics(mount, line, drive)
        self.quirks = quirks
        digits = 2 if quirks.reply_address_digits == "2" else 1
        self._own = tuple(f"{number:0{digits}d}" for number in range(100))
        make = MODELS[model]
        settings = factory_settings(make, quirks, address)
        self.state = DeviceState(settings, self.mechanics.state)
        self.program: Program = Program(self.state, self.mechanics, quirks, make)
        self.mechanics.fit(settings.diameter)
        self._boot()

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""
        return self.mechanics.truth()

    @property
    def status(self) -> str:
        """The status letter of the protocol, without any pending alarm."""
        return self.state.run.status

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose."""
        return self.state.faults

    @property
    def alarms(self) -> tuple[str, ...]:
        """Pending alarm letters, the oldest first."""
        return tuple(self.state.alarms)

    def snapshot(self) -> DeviceState:
        """A copy of everything; model, quirks, line and drive are the pump's make, not its state."""
        return copy.deepcopy(self.state)

    def restore(self, state: DeviceState) -> None:
        """The pump is as it was at that snapshot, which stays usable."""
        self.state = copy.deepcopy(state)
        self.mechanics.state = self.state.mechanics
        self.program.state = self.state

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a target, an obstacle, a timed pause or the safe-mode timer is due."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; returns the alarms that a pump in safe mode sends by itself."""
        replies: list[Reply] = []
        to = to_ns(now)
        while (due := self._due_ns()) is not None and due <= to:
            self._happen(due, replies)
        self.mechanics.advance(to)
        return replies

    def _due_ns(self) -> int | None:
        state = self.state
        due = state.mechanics.end_ns
        if state.safe_due_ns is not None and (due is None or state.safe_due_ns < due):
            due = state.safe_due_ns
        if state.run.status == "T" and state.run.wait_ns is not None:
            due = state.run.wait_ns if due is None else min(due, state.run.wait_ns)
        return due

    def _happen(self, due_ns: int, replies: list[Reply]) -> None:
        """The one thing that is due happens, at its own instant."""
        state, pending = self.state, len(self.state.alarms)
        end = self.mechanics.advance(due_ns)
        if end is not None:
            self.program.motion_ended(end.cause)
        elif state.run.status == "T" and state.run.wait_ns == due_ns:
            self.program.wait_ended()
        else:
            state.safe_due_ns = None
            self.program.end()
            self.program.raise_alarm(ALARM_TIMEOUT)
        self._announce(replies, state.alarms[pending:])

    def announced(self, letter: str) -> list[Reply]:
        """What the pump says by itself of an alarm that has just become pending."""
        replies: list[Reply] = []
        self._announce(replies, [letter])
        return replies

    def _announce(self, replies: list[Reply], letters: list[str]) -> None:
        """Auto-alarm: in safe mode new alarms are sent at once, and stay pending."""
        if self.state.settings.safe_s:
            for letter in letters:
                self._send(replies, f"A?{letter}", safe=True)

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: counters and run state are gone, settings stay."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        self.mechanics.stop()
        self.state.faults.powered = False
        self.state.safe_due_ns = None
        self.state.buffer.clear()
        if self.state.run.status == "T":
            self.state.run.wait_ns = None

    def power_on(self) -> list[Reply]:
        """The pump boots; in safe mode it announces that it was reset."""
        if self.state.faults.powered:
            return []
        self.state.faults.powered = True
        return self._boot()

    def _boot(self) -> list[Reply]:
        state, replies = self.state, list[Reply]()
        restart = state.run.running and state.settings.power_fail == 1
        state.run = Run()
        state.alarms.clear()
        state.buzzer = state.output = 0
        for phase in state.settings.phases:
            phase.rate = phase.rate_stored
        self.program.clear_counters()
        state.ignore_next = self.quirks.power_on == "ignore_first_command"
        if self.quirks.power_on == "alarm_R":
            self.program.raise_alarm(ALARM_RESET)
        if restart:
            self.program.start(None)
        self._announce(replies, state.alarms)
        return replies

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this pump does not have."""
        due = self.advance(now)
        return due + breakage.inject(WAYS, self, kind, parameters)

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        due = self.advance(now)
        return due + breakage.clear(WAYS, self, kind)

    # -- the TTL inputs, and a hand at the keys ---------------------------------------------------

    def ttl(self, pin: int, level: int, now: float) -> list[Reply]:
        """From now on this level is at that input; raises `ValueError` for a pin that is none."""
        replies, pending = self.advance(now), len(self.state.alarms)
        if self.state.faults.powered:
            level_changed(self.program, pin, level)
            self._announce(replies, self.state.alarms[pending:])
        return replies

    def choose(self, label: int, now: float) -> list[Reply]:
        """Who stands at a pump that waits at ``PRI`` chooses a label.  Raises `Refusal` otherwise."""
        replies, pending = self.advance(now), len(self.state.alarms)
        self.program.choose(label)
        self._announce(replies, self.state.alarms[pending:])
        return replies

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        state, to, due = self.state, round(now * NS_PER_S), self._due_ns()
        replies: list[Reply] = []
        if due is None or to < due:
            self.mechanics.advance(to)
        else:
            replies = self.advance(now)
        if not state.faults.powered:
            return replies
        now_ns = state.mechanics.now_ns
        if not state.buffer:
            if len(data) <= _SHORT and self._known(data, replies):
                state.last_byte_ns = now_ns
                return replies
        elif now_ns - state.last_byte_ns >= FORGET_AFTER_NS:
            forget(state.buffer, safe=state.settings.safe_s > 0)
        state.last_byte_ns = now_ns
        state.buffer += data
        while state.buffer:
            text = take(state.buffer, safe=state.settings.safe_s > 0)
            if text is None:
                break
            self._packet(text, replies)
        return replies

    def _known(self, data: bytes, replies: list[Reply]) -> bool:
        """Answer what a host asks of a pump in order; False, and nothing done, for all else.

        The short way, on which a packet is not taken apart each time: `_packet` does the same.
        """
        state = self.state
        settings = state.settings
        safe = settings.safe_s > 0
        packet = _plain(data, safe)
        if (
            packet is None
            or state.alarms
            or state.ignore_next
            or state.faults.there
            or self.on_command is not unheard
        ):
            return False
        address, command, argument = packet
        if address != settings.address:
            return True
        try:
            said = command(self.program, argument)
        except Refusal as refusal:
            said = refusal.data
        text = f"A?{state.alarms.pop(0)}" if state.alarms else state.run.status + said
        if safe:
            state.safe_due_ns = state.mechanics.now_ns + settings.safe_s * NS_PER_S
        frame = safe_frame if safe else basic_frame
        replies.append((0.0, frame(self._own[address] + text)))
        return True

    def _packet(self, text: str, replies: list[Reply]) -> None:
        """One packet: for this pump or for others, a burst for several, or damaged."""
        if self.on_command is not unheard:
            self.on_command(_mnemonic(text))
        faults = self.state.faults
        if not faults.powered:
            return
        if faults.drop_to_pump:
            faults.drop_to_pump -= 1
        elif text == DAMAGED:
            if self.quirks.com_resets_saf_timer == "yes":
                self._restart_timer()
            self._answer(replies, BAD_PACKET)
        elif _SYSTEM not in text:
            self._addressed(text, 2, replies)
        else:
            self._starred(text, replies)

    def _starred(self, text: str, replies: list[Reply]) -> None:
        """A system command, before which some hosts put an address all the same; or a burst."""
        before, _, after = text.partition(_SYSTEM)
        if not before or (_ADDRESS.fullmatch(before) and after[:1].isalpha()):
            self._command(after, replies)
            return
        served = set[str]()
        for part in text.split(_SYSTEM):
            if not part or (self.quirks.burst_same_address == "first" and part[:1] in served):
                continue
            served.add(part[:1])
            self._addressed(part, 1, replies)

    def _addressed(self, text: str, digits: int, replies: list[Reply]) -> None:
        """Obey what is for this address."""
        address, command = _split(text, digits)
        if address == self.state.settings.address:
            self._command(command, replies)

    def _command(self, text: str, replies: list[Reply]) -> None:
        """A valid packet for this pump: the timer restarts; an alarm is answered before anything else."""
        state = self.state
        if state.ignore_next:
            state.ignore_next = False
            return
        settings = state.settings
        baud, safe = settings.baud, settings.safe_s > 0
        try:
            data = self._obey(text) if text or state.alarms else ""
        except Refusal as refusal:
            data = refusal.data
        self._restart_timer()
        if settings.baud != baud:
            state.safe_due_ns = None
        asked = text.startswith(_SAFE)
        framed = self._framing(text, data, safe=safe) if asked else settings.safe_s > 0
        self._answer(replies, data, safe=framed)

    def _obey(self, text: str) -> str:
        """The data of the answer: the command's, or the alarm that stands in its way, or that it raised."""
        alarms, data = self.state.alarms, ""
        if text:
            command, argument = find(text)
            if not (alarms or (self.state.faults.there and self._astray(text, argument))):
                data = command(self.program, argument)
        return f"A?{alarms.pop(0)}" if alarms else data

    def _astray(self, text: str, argument: str) -> bool:
        """Whether a command is not obeyed although it could be; raises `Refusal` if it says so."""
        faults = self.state.faults
        if not (faults.refuse or faults.pretend) or not (argument or text in _ACTIONS):
            return False
        if faults.refuse:
            faults.refuse -= 1
            raise Refusal(NOT_NOW)
        faults.pretend -= 1
        return True

    def _framing(self, text: str, data: str, *, safe: bool) -> bool:
        """Whether the answer to this ``SAF`` is safe-framed; ``safe``: the mode in which it arrived."""
        if text == _SAFE:
            return self.state.settings.safe_s > 0
        if not data.startswith("A?"):
            return safe if self.quirks.saf_reply_mode == "old" else self.state.settings.safe_s > 0
        seconds = text[len(_SAFE) :]
        asks = seconds.isascii() and seconds.isdigit() and len(seconds) < 5
        if self.quirks.saf_alarm_framing == "current" or not asks or int(seconds) > SAFE_S_MAX:
            return safe
        return int(seconds) > 0

    def _restart_timer(self) -> None:
        state = self.state
        seconds = state.settings.safe_s
        state.safe_due_ns = state.mechanics.now_ns + seconds * NS_PER_S if seconds else None

    # -- answers ----------------------------------------------------------------------------------

    def _answer(self, replies: list[Reply], data: str, *, safe: bool | None = None) -> None:
        """Status and data; an alarm replaces both."""
        text = data if data.startswith("A?") else self.state.run.status + data
        framed = self.state.settings.safe_s > 0 if safe is None else safe
        self._send(replies, text, safe=framed)

    def _send(self, replies: list[Reply], text: str, *, safe: bool) -> None:
        """One frame leaves, unless the pump is broken in a way that keeps it."""
        faults = self.state.faults
        frame = safe_frame if safe else basic_frame
        own = self._own[self.state.settings.address]
        if not faults.there:
            replies.append((0.0, frame(own + text)))
            return
        if faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        if faults.unasked:
            faults.unasked -= 1
            replies.append((faults.delay_s, frame(f"{own}A?{ALARM_RESET}")))
        replies.extend(
            (faults.held_s(), frame(f"{digits}{text}")) for digits in faults.addresses(own)
        )


def _status(_program: Program, _argument: str) -> str:
    """An empty command."""
    return ""


@lru_cache(maxsize=512)
def _plain(data: bytes, safe: bool) -> tuple[int, Command, str] | None:  # noqa: FBT001  # remembered by position
    """Address, command and argument of bytes that are one packet, whole and for one pump at most.

    ``None`` also for commands after which the line itself is another: `SAF`, `ADR`, `RESET`.
    """
    text = whole_packet(data, safe=safe)
    if text is None or text == DAMAGED or _SYSTEM in text:
        return None
    address, command = _split(text, 2)
    if not command:
        return address, _status, ""
    if command.startswith(_OF_THE_LINE):
        return None
    try:
        return address, *find(command)
    except Refusal:
        return None


@lru_cache(maxsize=512)
def _split(text: str, digits: int) -> tuple[int, str]:
    """Address and command; no address is address 0."""
    length = 0
    while length < digits and text[length : length + 1] in _DIGITS:
        length += 1
    return int(text[:length]) if length else 0, text[length:]


def _mnemonic(text: str) -> str:
    """The letters of a command behind its address; empty for a poll, or for noise."""
    found = _MNEMONIC.match(text)
    return found[1] if found else ""
