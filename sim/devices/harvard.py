"""A Harvard Pump 11 Elite, PHD Ultra or KDS Legato without a port: bytes in, bytes out, and a plunger.

Answerable for addresses, prompts, echo, errors, power, and time.  The pieces: frames (bytes to lines),
numbers, commands and system (the table), run (motor, targets, ramps), syringes, models, quirks, mechanics
(physics).  No clock, no port, no randomness; the whole state is `HarvardPump.state`.

The family has no dead-man: what it was told to do, it does until its target.

For bench and simulation only: it stands in for a pump that is connected to nobody.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from sim.devices import breakage
from sim.devices.base import Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage, in_vain
from sim.devices.harvard_commands import NOTHING, STOPS, Command, Lines, Panel, kept_rate
from sim.devices.harvard_faults import WAYS
from sim.devices.harvard_frames import CR, answer, read, take
from sim.devices.harvard_models import identity
from sim.devices.harvard_numbers import ArgumentRefused
from sim.devices.harvard_quirks import Quirks
from sim.devices.harvard_run import IDLE, TARGET, CommandRefused, Runner
from sim.devices.harvard_state import DeviceState, Settings
from sim.devices.harvard_system import acts, find
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth

EXPLANATION_MAX = 80
"""Characters of an explanation, and of an argument that is given back."""


class HarvardPump:
    """One pump, switched on when it is built.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        model: str = "legato-100",
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
        self.runner = Runner(self.state, self.mechanics, quirks)
        self.panel = Panel(self.state, self.runner, quirks, identity(model, quirks.profile))
        self.mechanics.fit(round(self.state.settings.diameter / 10))
        self._boot()

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""
        return self.mechanics.truth()

    @property
    def prompt(self) -> str:
        """The prompt that stands for the pump's state."""
        return self.state.motion.prompt

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
        self.runner.state = self.panel.state = self.state

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a target, an obstacle or the next piece of a ramp is due."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; returns the prompts that a pump sends unasked when poll mode is off."""
        replies: list[Reply] = []
        to = to_ns(now)
        due = self._due_ns()
        while due is not None and due <= to:
            self._happen(due, replies)
            due = self._due_ns()
        self.mechanics.advance(to)
        return replies

    def _due_ns(self) -> int | None:
        end, timed = self.mechanics.next_event_ns(), self.runner.due_ns()
        if end is None or timed is None:
            return timed if end is None else end
        return min(end, timed)

    def _happen(self, due_ns: int, replies: list[Reply]) -> None:
        """The one thing that is due happens, at its own instant."""
        end = self.mechanics.advance(due_ns)
        if not self.state.motion.running:
            return
        if end is not None:
            self.runner.motion_ended(end.cause)
        else:
            self.runner.time_came()
        motion = self.state.motion
        if not motion.running and self._speaks_up(motion.prompt):
            self._send(replies, (), addressed=False)

    def _speaks_up(self, prompt: str) -> bool:
        if self.state.poll != "off" or not self.state.faults.powered:
            return False
        which = self.quirks.unasked_prompts
        return which == "all" or (which == "target" and prompt == TARGET)

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: counters, targets and run state are gone, settings stay."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        self.runner.halt(IDLE)
        self.state.faults.powered = False
        self.state.buffer.clear()

    def power_on(self) -> list[Reply]:
        """The pump boots, in silence."""
        if not self.state.faults.powered:
            self.state.faults.powered = True
            self._boot()
        return []

    def _boot(self) -> None:
        state = self.state
        state.infuse, state.withdraw = map(
            kept_rate, (state.settings.infuse, state.settings.withdraw)
        )
        state.infuse_ramp = state.withdraw_ramp = state.target_fl = state.target_ns = None
        state.poll, state.echo, state.nvram = self.quirks.poll_default, False, True
        state.motion.withdrawing = False
        for withdrawing in (False, True):
            self.runner.clear_volume(withdrawing=withdrawing)
            self.runner.clear_time(withdrawing=withdrawing)

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this pump does not have."""
        due = self.advance(now)
        return due + breakage.inject(WAYS, self, kind, parameters)

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        due = self.advance(now)
        return due + breakage.clear(WAYS, self, kind)

    def keyed(self, name: str, *arguments: str) -> None:
        """Somebody does this at the screen; raises what a command raises."""
        find(name)[1](self.panel, list(arguments))

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        replies = self.advance(now)
        while data and self.state.faults.powered:
            end = data.find(CR) + 1 or len(data)
            piece, data = data[:end], data[end:]
            if self.state.faults.touched:
                self._unheard(piece)
                continue
            if self.state.echo:
                self._emit(replies, piece)
            self.state.buffer += piece
            raw = take(self.state.buffer)
            if raw is not None:
                self._line(raw, replies)
        return replies

    def _unheard(self, piece: bytes) -> None:
        """The link was dropped at the screen; the end of a line brings it back, and is no more than that."""
        self.state.buffer.clear()
        self.state.faults.touched = piece[-1] != CR

    def _line(self, raw: bytes, replies: list[Reply]) -> None:
        """Obey a line that is for this pump."""
        address, text = read(raw)
        own = self.state.settings.address
        everybody = self.quirks.port == "usb" or own == 0
        if address != own and not (address is None and everybody):
            return
        words = text.split()
        if self.on_command is not unheard:
            self.on_command(words[0].lower() if words else "")
        faults = self.state.faults
        if faults.drop_to_pump:
            faults.drop_to_pump -= 1
        elif faults.powered:
            self._command(words, replies, addressed=address is not None)

    def _command(self, words: list[str], replies: list[Reply], *, addressed: bool) -> None:
        before = self.state.settings.address
        prompt: str | None = None
        lines: Lines = ()
        try:
            if words:
                name, command = find(words[0])
                if name in STOPS and self.state.faults.stop_ignored:
                    prompt = IDLE
                else:
                    prompt, lines = self._obey(name, command, words[1:])
        except CommandRefused as refusal:
            lines = ("Command error:", f"   {refusal}")
        except ArgumentRefused as refusal:
            argument = refusal.argument[:EXPLANATION_MAX]
            lines = (f"Argument error: {argument}", f"   {refusal.why}")
        moved = self.state.settings.address != before
        self._send(replies, lines, addressed=addressed, prompt=prompt, moved=moved)

    def _obey(self, name: str, command: Command, arguments: list[str]) -> tuple[str | None, Lines]:
        """The prompt to answer with, where it is not the pump's own, and the lines before it."""
        faults = self.state.faults
        if not (faults.refuse or faults.pretend) or not acts(name, arguments):
            return None, command(self.panel, arguments)
        if faults.refuse:
            faults.refuse -= 1
            raise CommandRefused("Not available now")
        faults.pretend -= 1
        return in_vain(self, lambda: (self._prompt_after(command, arguments), NOTHING))

    def _prompt_after(self, command: Command, arguments: list[str]) -> str:
        command(self.panel, arguments)
        return self.state.motion.prompt

    # -- answers ----------------------------------------------------------------------------------

    def _send(
        self,
        replies: list[Reply],
        lines: Lines,
        *,
        addressed: bool,
        prompt: str | None = None,
        moved: bool = False,
    ) -> None:
        """Text lines and the prompt leave; ``moved``: the address is new, which the lines do not carry."""
        faults, poll = self.state.faults, self.state.poll != "off"
        own, now = self._prefix(addressed=addressed), self.state.motion.prompt
        if faults.unasked:
            faults.unasked -= 1
            unasked = answer((), now, line_prefix="", prompt_prefix=own, poll=poll)
            self._emit(replies, unasked)
        for prefix in faults.addresses(own):
            frame = answer(
                lines,
                now if prompt is None else prompt,
                line_prefix="" if moved or not prefix else f"{prefix}:",
                prompt_prefix=prefix,
                poll=poll,
            )
            self._emit(replies, frame)

    def _prefix(self, *, addressed: bool) -> str:
        own = self.state.settings.address
        how = self.quirks.address0_prefix
        if own or how == "00" or (how == "when_addressed" and addressed):
            return f"{own:02d}"
        return ""

    def _emit(self, replies: list[Reply], frame: bytes) -> None:
        """Bytes leave, unless the pump is broken in a way that keeps them."""
        faults = self.state.faults
        if faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        replies.append((faults.held_s(), frame))
