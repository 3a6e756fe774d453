"""A Fresenius Orchestra base with its syringe modules, without a port: bytes in, bytes out, real plungers.

Answerable for addresses, sessions, power, faults and time.  The pieces: frames (bytes to messages and
signs), link (acknowledgements, keep-alive, spontaneous messages), commands (the table), module (what one
pump does), state.  No clock, no port, no randomness; the whole state is `OrchestraPump.state`.

For bench and simulation only: it stands in for pumps that are connected to nobody.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from sim.devices import breakage
from sim.devices.base import Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage, in_vain
from sim.devices.fresenius_commands import Refusal, acts, obey
from sim.devices.fresenius_faults import WAYS, supplied
from sim.devices.fresenius_frames import (
    ACK,
    BAD_ADDRESS,
    ENQ,
    NOT_READY,
    Heard,
    Sign,
    refusal,
)
from sim.devices.fresenius_link import Link
from sim.devices.fresenius_module import DIAMETER_50_UM, Module
from sim.devices.fresenius_quirks import Quirks
from sim.devices.fresenius_state import (
    BASE,
    MANUAL,
    MODULES,
    Alarm,
    Doing,
    ModuleState,
    OrchestraState,
    Station,
)
from sim.devices.supply import supply_due_ns
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, Line, Mechanics, Mount, Truth

MODELS = {"orchestra": True, "module": False}
"""Model -> whether there is a base; a module of its own is spoken to without an address."""

ONLY = 1
"""The number under which a module without a base is kept here."""


class OrchestraPump:
    """A rack, switched on when it is built.  See `sim.devices.base.Device`.

    ``address``: the module under test, to whose mechanics `truth` and the faults belong.
    """

    def __init__(
        self,
        *,
        model: str = "orchestra",
        address: int = 1,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        self.has_base = MODELS[model]
        present = [number for number in MODULES if quirks.modules >> (number - 1) & 1]
        self.quirks = quirks
        self.address = address if self.has_base else ONLY
        self.modules: dict[int, Module] = {}
        for number in present if self.has_base else [ONLY]:
            mechanics = Mechanics(mount, line, drive)
            mechanics.fit(mount.diameter_um or DIAMETER_50_UM)
            self.modules[number] = Module(ModuleState(mechanics.state), mechanics, quirks, line)
        addresses = [BASE, *self.modules] if self.has_base else [ONLY]
        self.state = OrchestraState(
            {number: module.state for number, module in self.modules.items()},
            {number: Station() for number in addresses},
        )
        self.modules[self.address].faults = self.state.faults
        self.on_command: Callable[[str], None] = unheard
        self.link = Link(self.state, quirks, self._look, self._mark)

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger of the module under test really did, up to the last `feed` or `advance`."""
        return self.truth_of(self.address)

    def truth_of(self, address: int) -> Truth:
        """The same of any module that is there; raises `KeyError` for another."""
        return self.modules[address].mechanics.truth()

    @property
    def mechanics(self) -> Mechanics:
        """Those of the module under test."""
        return self.modules[self.address].mechanics

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose."""
        return self.state.faults

    def snapshot(self) -> OrchestraState:
        """A copy of everything; model, quirks, line and drive are the rack's make, not its state."""
        return copy.deepcopy(self.state)

    def restore(self, state: OrchestraState) -> None:
        """The rack is as it was at that snapshot, which stays usable."""
        self.state = self.link.state = copy.deepcopy(state)
        for number, module in self.modules.items():
            module.state = self.state.modules[number]
            module.mechanics.state = module.state.mechanics
            module.apply_pressure()
        self.modules[self.address].faults = self.state.faults

    # -- what the commands ask and do -------------------------------------------------------------

    def reachable(self, address: int) -> bool:
        """Whether that module is there and on."""
        module = self.modules.get(address)
        return module is not None and not module.state.switched_off

    def value(self, address: int, name: str) -> str | None:
        """A measured variable, without its letter; ``None`` where there is none."""
        if address != BASE:
            return self.modules[address].value(name)
        there = [number for number in self.modules if self.reachable(number)]
        match name:
            case "b":
                return f"{sum(1 << (number - 1) for number in there):02X}"
            case "i":
                return f"{len(there):02X}"
            case "m":
                return f"{MANUAL:02X}"
            case "a" | "e":
                return "0000"
        return None

    def adjusted(self, address: int, name: str) -> str | None:
        """A set variable, without its letter; ``None`` where there is none."""
        return None if address == BASE else self.modules[address].adjusted(name)

    def watch(self, address: int, letter: str, names: str) -> None:
        """Spontaneous messages for these identifiers from now on."""
        watch = self.state.stations[address].watches[letter]
        watch.ids = "".join(dict.fromkeys(watch.ids + names))

    def opened(self, address: int) -> None:
        """A session has begun."""
        self.state.stations[address].open = True
        self._keep_alive()

    def closed(self, address: int) -> None:
        """A session is over, and with that of the base all of them; the keypad has the modules again."""
        for number in list(self.state.stations) if address == BASE else [address]:
            self.state.stations[number].close()
            if number != BASE:
                self.modules[number].state.mode = MANUAL
        self._keep_alive()

    def switch_off(self, address: int) -> None:
        """Until its mains were off."""
        self.closed(address)
        if address == BASE or not self.has_base:
            self.state.switched_off = True
        else:
            self.modules[address].state.switched_off = True

    def _keep_alive(self) -> None:
        first = BASE if self.has_base else ONLY
        self.link.keep_alive(wanted=self.state.stations[first].open)

    def _look(self, address: int, letter: str, name: str) -> str | None:
        return self.value(address, name) if letter == "E" else self.adjusted(address, name)

    def _mark(self, address: int) -> str:
        return str(address) if self.has_base else ""

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a motion ends, ENQ is due, or something was not acknowledged in time."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; returns what the rack says unasked."""
        self._pass(to_ns(now))
        return self._said()

    def _pass(self, to: int) -> None:
        due = self._due_ns()
        while due is not None and due <= to:
            self._at(due)
            supplied(self)
            if self.link.happen(due):
                self.lose_host()
            self.link.tell()
            due = self._due_ns()
        self._at(to)
        supplied(self)

    def _due_ns(self) -> int | None:
        timers = [module.mechanics.next_event_ns() for module in self.modules.values()]
        timers += [self.link.due_ns(), supply_due_ns(self.mechanics)]
        return min((due for due in timers if due is not None), default=None)

    def _at(self, to_ns: int) -> None:
        """Time passes for every module, and a motion that ends on the way is acted on."""
        self.state.now_ns = max(self.state.now_ns, to_ns)
        for module in self.modules.values():
            end = module.mechanics.advance(to_ns)
            if end is not None:
                module.motion_ended(end.cause)

    def lose_host(self) -> None:
        """Nobody answers any more."""
        for number, module in self.modules.items():
            spoken_to = self.state.stations[number].open
            pumping = module.state.doing is not Doing.PAUSED
            if self.quirks.host_lost == "stop" and spoken_to and pumping:
                module.happened(Alarm.HOST_LOST)
        self.closed(BASE if self.has_base else ONLY)

    def _said(self) -> list[Reply]:
        said = self.link.out[:]
        self.link.out.clear()
        return said

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains off and on again: sessions, counters and settings are gone."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motors stop, nothing is heard and nothing is said."""
        state = self.state
        state.faults.powered = False
        for module in self.modules.values():
            module.begin(Doing.PAUSED)
        for station in state.stations.values():
            station.close()
        state.receiver.forget()
        state.waiting.clear()
        state.tick_due_ns = None
        self._keep_alive()

    def power_on(self) -> list[Reply]:
        """The rack boots, every module paused and without a rate."""
        if self.state.faults.powered:
            return []
        self.state.faults.powered = True
        self.state.switched_off = False
        for module in self.modules.values():
            module.state.switched_off = False
            module.reset()
        return []

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this rack does not have."""
        said = self.advance(now)
        said += breakage.inject(WAYS, self, kind, parameters)
        supplied(self)
        self.link.tell()
        return said + self._said()

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        said = self.advance(now)
        said += breakage.clear(WAYS, self, kind)
        supplied(self)
        self.link.tell()
        return said + self._said()

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the rack answers to these bytes, after what was due by ``now``."""
        self._pass(to_ns(now))
        for byte in data:
            state = self.state
            if not state.faults.powered or state.switched_off:
                break
            heard = state.receiver.take(byte)
            if heard is not None:
                self._hear(heard)
        return self._said()

    def _hear(self, heard: Heard) -> None:
        link, faults = self.link, self.state.faults
        if heard.sign is Sign.FRAME:
            name = self._addressed(heard.text)[1][:2]
            if name not in ("E", "M"):
                self.on_command(name)
        match heard.sign:
            case _ if not faults.powered:
                return
            case Sign.ACK:
                link.acknowledged()
            case Sign.NAK:
                link.refused()
            case Sign.DC4:
                link.alive()
            case _ if faults.drop_to_pump:
                faults.drop_to_pump -= 1
            case Sign.DAMAGED:
                link.say(refusal(heard.text))
            case Sign.FRAME:
                self._frame(heard.text)

    def _frame(self, text: str) -> None:
        """A whole frame: for nobody here, the echo of a spontaneous message, or a command."""
        address, message = self._addressed(text)
        if address is None:
            self.link.say(refusal(BAD_ADDRESS))
            return
        faults = self.state.faults
        if faults.refuse and acts(message):
            faults.refuse -= 1
            self.link.say(refusal(NOT_READY))
            return
        self.link.say(bytes([ACK]))
        if message in ("E", "M"):
            if address in self.state.stations:
                self.link.echoed(address, message)
        else:
            self._reply(address, message)
        self.link.tell()

    def _addressed(self, text: str) -> tuple[int | None, str]:
        """Whom it is for; a base wants a digit in front, a module of its own none."""
        digit = text[0] if text[0] in "0123456789" else ""
        if not self.has_base:
            return (None if digit else ONLY), text
        if not digit or int(digit) not in (BASE, *MODULES):
            return None, text
        return int(digit), text[1:]

    def _reply(self, address: int, message: str) -> None:
        """What is answered leaves, unless the rack is broken in a way that says it as somebody else."""
        text = self._answer(address, message)
        faults = self.state.faults
        if faults.unasked:
            faults.unasked -= 1
            self.link.say(bytes([ENQ]))
        for mark in faults.addresses(self._mark(address)) if self.has_base else ("",):
            self.link.send(mark + text)

    def _obey(self, address: int, message: str) -> str:
        faults = self.state.faults
        if not (faults.pretend and acts(message)):
            return obey(self, address, message)
        faults.pretend -= 1
        return in_vain(self, lambda: obey(self, address, message))

    def _answer(self, address: int, message: str) -> str:
        try:
            data = self._obey(address, message)
        except Refusal as refused:
            return f"I;{refused.code}"
        return f"C;{data}" if data else "C"
