"""An Alaris GH / Asena syringe pump without a port: frames in, frames out, and a plunger that moves.

Answerable for remote control and its time-out, for what is answered and what is not, for power, faults
and time.  The pieces: frames (bytes to messages), messages (the table), infusion (what the pump does),
state.  The pump never speaks first.  No clock, no port, no randomness; the whole state is
`AlarisPump.state`.

For bench and simulation only: it stands in for a pump that is connected to nobody.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from sim.devices import breakage
from sim.devices.alaris_faults import WAYS, supplied
from sim.devices.alaris_frames import DAMAGED, crc_text, frame, take
from sim.devices.alaris_infusion import DIAMETER_50_UM, Infusion
from sim.devices.alaris_messages import Refused, command, query
from sim.devices.alaris_quirks import Quirks
from sim.devices.alaris_state import AlarisState
from sim.devices.base import NS_PER_S, Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage, in_vain
from sim.devices.leaving import leaving_ns
from sim.devices.supply import supply_due_ns
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth

MODELS = {"asena-gh": True, "asena-gh-later": False}
"""Model -> whether it has remote control: pump software up to 2.3.6 has it, later software has not."""

SERIAL = "8002-51740"
"""As in recorded traffic; its CRC, 3CC1, is the security code."""

CONTROL, CONFIGURATION = "REMOTE_CTRL", "REMOTE_CFG"
"""Two leases; only the first is needed by any known message, and only its end is an alarm [design]."""

_NS_PER_MS = 1_000_000


class AlarisPump:
    """One pump, switched on when it is built, its syringe confirmed.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        model: str = "asena-gh",
        serial: str = SERIAL,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        self.mechanics = Mechanics(mount, line, drive)
        self.quirks = quirks
        self.serial = serial
        self.state = AlarisState(self.mechanics.state)
        self.infusion = Infusion(self.state, self.mechanics, quirks)
        self.on_command: Callable[[str], None] = unheard
        self._remote = MODELS[model]
        self._code = crc_text(serial.encode("ascii")).decode("ascii")
        self.mechanics.fit(mount.diameter_um or DIAMETER_50_UM)

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""
        return self.mechanics.truth()

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose."""
        return self.state.faults

    @property
    def alarm(self) -> str:
        """The gravest pending alarm, or ``AL_NOALM``."""
        return self.infusion.alarm

    def snapshot(self) -> AlarisState:
        """A copy of everything; model, serial, quirks, line and drive are the pump's make, not its state."""
        return copy.deepcopy(self.state)

    def restore(self, state: AlarisState) -> None:
        """The pump is as it was at that snapshot, which stays usable."""
        self.state = copy.deepcopy(state)
        self.mechanics.state = self.state.mechanics
        self.infusion.state = self.state

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a target, an obstacle, the near end or the end of remote control is due."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; this pump says nothing unasked."""
        to = to_ns(now)
        due = self._due_ns()
        while due is not None and due <= to:
            self._happen(due)
            due = self._due_ns()
        self._at(to)
        supplied(self)
        return []

    def _due_ns(self) -> int | None:
        state = self.state
        timers = (
            self.mechanics.next_event_ns(),
            state.near_end_due_ns,
            supply_due_ns(self.mechanics),
            *state.leases_ns.values(),
        )
        return min((due for due in timers if due is not None), default=None)

    def _at(self, to_ns: int) -> None:
        """Time passes, and a motion that ends on the way is acted on."""
        self.state.now_ns = max(self.state.now_ns, to_ns)
        end = self.mechanics.advance(to_ns)
        if end is not None:
            self.infusion.motion_ended(end.cause)

    def _happen(self, due_ns: int) -> None:
        """What is due happens, at its own instant."""
        state = self.state
        self._at(due_ns)
        if state.near_end_due_ns is not None and state.near_end_due_ns <= due_ns:
            self.infusion.near_end()
        supplied(self)
        for lost in [name for name, until in state.leases_ns.items() if until <= due_ns]:
            del state.leases_ns[lost]
            if lost == CONTROL:
                self.control_lost()

    def control_lost(self) -> None:
        """Nobody asked for remote control again in time."""
        if self.quirks.lease_lost == "stop":
            self.infusion.hold()
        self.infusion.happened("AL_COMTO")

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: counter, run state and remote control are gone."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        state = self.state
        self.infusion.hold()
        state.faults.powered = False
        state.leases_ns.clear()
        state.buffer.clear()

    def power_on(self) -> list[Reply]:
        """The pump boots, on hold."""
        state = self.state
        if state.faults.powered:
            return []
        state.faults.powered = True
        state.latched.clear()
        if self.quirks.power_on == "clear":
            state.rate_nl_h = 0
            self.infusion.clear_vtbi()
        self.infusion.clear_counter()
        self.infusion.log()
        return []

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this pump does not have."""
        self.advance(now)
        said = breakage.inject(WAYS, self, kind, parameters)
        supplied(self)
        return said

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        self.advance(now)
        said = breakage.clear(WAYS, self, kind)
        supplied(self)
        return said

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        replies = self.advance(now)
        if not self.state.faults.powered:
            return replies
        self.state.buffer += data
        while (message := take(self.state.buffer)) is not None:
            self.on_command(message.partition("^")[0])
            self._hear(message, replies)
        return replies

    def _hear(self, message: str, replies: list[Reply]) -> None:
        """One frame, unless the pump has just been broken in a way that loses it."""
        faults = self.state.faults
        if not faults.powered:
            return
        if faults.drop_to_pump:
            faults.drop_to_pump -= 1
        elif message != DAMAGED:
            self._answer(replies, self._obey(message))

    def _obey(self, message: str) -> str | None:
        """The answer, or ``None`` where the pump stays silent."""
        fields = message.split("^")
        try:
            if fields[0] in (CONTROL, CONFIGURATION):
                return self._lease(fields)
            answer = query(self.infusion, self.serial, fields)
            if answer is not None:
                return answer
            self._require_remote(fields)
            return self._command(fields)
        except Refused:
            return message if self.quirks.unknown_message == "echo" else None

    def _command(self, fields: list[str]) -> str:
        faults = self.state.faults
        if faults.refuse:
            faults.refuse -= 1
            raise Refused
        if not faults.pretend:
            return command(self.infusion, fields)
        faults.pretend -= 1
        return in_vain(self, lambda: command(self.infusion, fields))

    @property
    def has_remote(self) -> bool:
        """Whether a host can do more than look."""
        return self._remote

    def _lease(self, fields: list[str]) -> str:
        """Remote control, or configuration, is enabled for a while, or given back."""
        name = fields[0]
        until = self.state.now_ns + self.quirks.lease_ms * _NS_PER_MS
        match fields[1:]:
            case ["ENABLED", code] if self._remote and code == self._code:
                self.state.leases_ns[name] = until
                return f"{name}^ENABLED^****^PERMIT^0^ms"
            case ["DISABLED"] if self._remote:
                self.state.leases_ns.pop(name, None)
                echo = self.quirks.disable_reply == "echo"
                return f"{name}^DISABLED" + ("" if echo else "^****^PERMIT^0^ms")
        raise Refused

    def _require_remote(self, fields: list[str]) -> None:
        stop = fields == ["INF_STOP"] and self.quirks.stop_without_remote == "obeyed"
        if CONTROL not in self.state.leases_ns and not stop:
            raise Refused

    def _answer(self, replies: list[Reply], message: str | None) -> None:
        """The answer leaves after a while, unless the pump is broken in a way that keeps it."""
        state, faults = self.state, self.state.faults
        if message is None or faults.mute:
            return
        if faults.drop_from_pump:
            faults.drop_from_pump -= 1
            return
        delay_s = self.quirks.reply_delay_ms / 1_000 + faults.held_s()
        state.leaves_ns = leaving_ns(state.now_ns, delay_s, state.leaves_ns)
        replies.append(((state.leaves_ns - state.now_ns) / NS_PER_S, frame(message)))
