"""A microcontroller pump that speaks pumplink/1, without a port: bytes in, bytes out, a real plunger.

Answerable for whose frame is heard, for power, faults and time.  The pieces: table and frames (bytes to
numbers), link (duplicates, delays), commands, motor (deliveries, the gate, the lease), alarms, sensors,
state.  No clock, no port, no randomness; the whole state is `PumplinkPump.state`.

For bench and simulation only: it stands in for pumps that are connected to nobody.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

from sim.devices import breakage
from sim.devices.base import NS_PER_S, Reply, to_ns, to_s_up, unheard
from sim.devices.breakage import Breakage
from sim.devices.pumplink_alarms import Alarms
from sim.devices.pumplink_commands import (
    Refusal,
    Said,
    done,
    obey,
    refused,
    tell,
    underway,
)
from sim.devices.pumplink_faults import WAYS
from sim.devices.pumplink_frames import VERSION, Bad, Frame
from sim.devices.pumplink_link import Link
from sim.devices.pumplink_motor import Motor
from sim.devices.pumplink_quirks import Quirks
from sim.devices.pumplink_sensors import ALARM_OF, Sensors
from sim.devices.pumplink_state import Doing, Memory, PumpState
from sim.devices.pumplink_table import (
    BY_NUMBER,
    SCHEMA_HASH,
    Alarm,
    Code,
    Ending,
    Row,
)
from sim.devices.pumplink_words import WARNINGS, boot_id, introduction, shown, snapshot
from sim.devices.supply import SILENT, goes_dark, supply
from sim.faults.parameters import FaultValue
from sim.mechanics import Drive, End, Line, Mechanics, Mount, Truth

MODELS = ("mcu",)
RESERVE_NS = 180 * NS_PER_S
"""With an empty battery it still speaks for 3 min, and then goes out [design]."""


class PumplinkPump:
    """A pump, switched on when it is built.  See `sim.devices.base.Device`."""

    def __init__(
        self,
        *,
        quirks: Quirks = Quirks(),
        mount: Mount = Mount(),
        line: Line = Line(),
        drive: Drive = Drive(),
    ) -> None:
        """A line without an air detector gets one right behind the syringe [design]."""
        if line.air_detector_nl is None:
            line = replace(line, air_detector_nl=0)
        self.quirks = quirks
        self.mechanics = Mechanics(mount, line, drive)
        self.state = PumpState(self.mechanics.state)
        self.link = Link(self.state, quirks.reply_delay_ms / 1_000)
        self.motor = Motor(self.state, self.mechanics, quirks)
        self.sensors = Sensors(self.state, self.mechanics, self.motor)
        self.alarms = Alarms(self.state, self.link, self.sensors.cause_is_there)
        self.on_command: Callable[[str], None] = unheard
        self._boot()

    # -- what is seen from the simulation ---------------------------------------------------------

    def truth(self) -> Truth:
        """What the plunger really did, up to the last `feed` or `advance`."""
        return self.mechanics.truth()

    @property
    def faults(self) -> Breakage:
        """What is broken on purpose."""
        return self.state.faults

    def snapshot(self) -> PumpState:
        """A copy of everything; quirks, line and drive are the pump's make, not its state."""
        return copy.deepcopy(self.state)

    def restore(self, state: PumpState) -> None:
        """The pump is as it was at that snapshot, which stays usable."""
        self.state = copy.deepcopy(state)
        for part in (self.link, self.motor, self.sensors, self.alarms):
            part.state = self.state
        self.mechanics.state = self.state.mechanics

    @property
    def boot_id(self) -> int:
        """Different after every boot."""
        return boot_id(self.state.lasting.boots)

    def tell_snapshot(self) -> None:
        """One consistent state; on a connection without a link it carries link id 0."""
        self.link.send("SNAPSHOT", snapshot(self))

    # -- what happens to it -----------------------------------------------------------------------

    def raise_alarm(self, alarm: Alarm) -> None:
        """It is latched; one that stops has ended the delivery and closed the gate."""
        self.alarms.happened(alarm)
        if alarm & ~WARNINGS:
            self._close()

    def lease_expired(self) -> None:
        """Nobody is in charge any more."""
        self.raise_alarm(Alarm.LEASE_EXPIRED)
        self.state.memory.lease_lost = True

    def stop(self) -> None:
        """A host ends the delivery, and a self-test."""
        self._end_self_test(refused(Code.WRONG_STATE, "stopped"))
        if not self.faults.stop_ignored:
            self.motor.halt()

    def disarm(self) -> None:
        """A host stops it and closes the gate."""
        self.stop()
        self.state.memory.limits = None

    def _close(self) -> None:
        """The pump itself stops and closes the gate."""
        self._end_self_test(refused(Code.WRONG_STATE, "stopped"))
        self.motor.halt()
        self.state.memory.limits = None

    def unlatch(self) -> None:
        """The emergency stop is over; nothing starts by that."""
        self.state.lasting.latched = False
        self.alarms.forget(Alarm.ESTOP_LATCHED)

    def notice(self) -> None:
        """What switches, supplies and sensors show now."""
        state = self.state
        power, silent = supply(self.mechanics), SILENT in self.faults.there
        if silent or self.faults.drained:
            goes_dark(self, empty=power.empty)
        if not self.faults.powered:
            return
        for alarm, there in self.sensors.standing():
            if there and self.alarms.began(alarm) and alarm & ~WARNINGS:
                self._close()
            elif not there:
                self.alarms.ended(alarm)
        self.alarms.clear_what_is_over()
        if not power.empty:
            state.reserve_ns = None
        elif state.reserve_ns is None:
            state.reserve_ns = state.now_ns + RESERVE_NS

    def _emergency_stop(self) -> None:
        self.state.lasting.latched = True
        self.disarm()
        if self.alarms.began(Alarm.ESTOP_LATCHED):
            self.state.memory.shown = shown(self.state.memory)
        self.tell_snapshot()

    def _end_self_test(self, said: Said) -> None:
        test, self.state.memory.self_test = self.state.memory.self_test, None
        if test is not None:
            self.link.result(test.command_id, said)

    # -- time -------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float | None:  # part of the Device interface
        """When a motion or a lease ends, an alarm is repeated, or a sensor is looked at."""
        due = self._due_ns()
        return None if due is None else to_s_up(due)

    def advance(self, now: float) -> list[Reply]:
        """It is ``now``; returns what the pump says unasked."""
        self._pass(to_ns(now))
        return self._said()

    def _pass(self, to: int) -> None:
        due = self._due_ns()
        while due is not None and due <= to:
            self._at(due)
            self._happen()
            self._settle()
            due = self._due_ns()
        self._at(to)

    def _due_ns(self) -> int | None:
        state, memory = self.state, self.state.memory
        timers = [self.mechanics.next_event_ns()]
        if self.faults.powered:
            test = memory.self_test
            own = (
                memory.lease_due,
                memory.repeat_due,
                memory.look_due,
                self.motor.time_up(),
                None if test is None else test.due_own_ns,
            )
            timers += [None if due is None else state.crystal.world(due) for due in own]
            timers += [self.mechanics.housing.battery.next_event_ns(state.now_ns), state.reserve_ns]
        return min((due for due in timers if due is not None), default=None)

    def _at(self, to_ns_: int) -> None:
        """Time passes, and a motion that ends on the way is acted on."""
        self.state.now_ns = max(self.state.now_ns, to_ns_)
        end = self.mechanics.advance(to_ns_)
        if end is None or not self.faults.powered:
            return
        if end.cause is not End.TARGET:
            self.raise_alarm(ALARM_OF[end.cause])
        elif self.state.memory.doing is Doing.RUNNING:
            self.motor.complete()

    def _happen(self) -> None:
        """Every timer that is over."""
        state, memory, own = self.state, self.state.memory, self.motor.own_ns
        if not self.faults.powered:
            return
        if memory.lease_due is not None and memory.lease_due <= own:
            self.lease_expired()
        test = memory.self_test
        if test is not None and test.due_own_ns <= own:
            self._end_self_test(done())
            self.lease_expired()
        time_up = self.motor.time_up()
        if time_up is not None and time_up <= own:
            self._close()
        if memory.look_due is not None and memory.look_due <= own:
            memory.look_due = None
            if memory.doing is Doing.RUNNING and self.sensors.stands():
                self.raise_alarm(Alarm.STALL)
            elif memory.doing is Doing.RUNNING and self.sensors.slipped():
                self.raise_alarm(Alarm.LOST_STEPS)
        self.notice()
        if memory.repeat_due is not None and memory.repeat_due <= own:
            self.alarms.repeat()
        if state.reserve_ns is not None and state.reserve_ns <= state.now_ns:
            goes_dark(self, empty=True)

    def _settle(self) -> None:
        """What changed by itself is told, and the next look at the sensors is planned."""
        if not self.faults.powered:
            return
        self.sensors.plan(self.alarms)
        memory, shows = self.state.memory, shown(self.state.memory)
        if shows is not memory.shown:
            memory.shown = shows
            self.alarms.changed(shows)

    def _said(self) -> list[Reply]:
        said = self.link.out[:]
        self.link.out.clear()
        return said

    # -- power ------------------------------------------------------------------------------------

    def power_cycle(self, now: float) -> list[Reply]:
        """Mains and battery off and on again."""
        return self.inject("reboot", now)

    def power_off(self) -> None:
        """The motor stops, nothing is heard and nothing is said."""
        state = self.state
        self.mechanics.stop()
        state.faults.powered = False
        state.reserve_ns = None
        state.memory = Memory()
        state.receiver.forget()

    def power_on(self) -> list[Reply]:
        """The pump boots, knowing only whether its latch is set."""
        if not self.faults.powered:
            self.faults.powered = True
            self._boot()
        return []

    def _boot(self) -> None:
        state = self.state
        state.lasting.boots += 1
        state.memory.booted_own_ns = self.motor.own_ns
        self.motor.clear_counter()
        if self.quirks.power_on == "alarm_reset":
            self.alarms.happened(Alarm.RESET)
        if state.lasting.latched:
            self.alarms.began(Alarm.ESTOP_LATCHED)
        self.notice()
        state.memory.shown = shown(state.memory)

    # -- faults -----------------------------------------------------------------------------------

    def inject(self, kind: str, now: float, **parameters: FaultValue) -> list[Reply]:
        """The fault is there; raises `FaultError` for a kind or parameter this pump does not have."""
        said = self.advance(now)
        breakage.inject(WAYS, self, kind, parameters)
        self.notice()
        self._settle()
        return said + self._said()

    def clear(self, kind: str | None, now: float) -> list[Reply]:
        """The fault is gone; ``None`` clears every kind.  Raises `FaultError` for an unknown one."""
        said = self.advance(now)
        breakage.clear(WAYS, self, kind)
        self.notice()
        self._settle()
        return said + self._said()

    # -- bytes ------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """What the pump answers to these bytes, after what was due by ``now``."""
        self._pass(to_ns(now))
        if not self.faults.powered:
            return self._said()
        for heard in self.state.receiver.take(data):
            if self._is_off():
                self.state.receiver.forget()
                break
            if isinstance(heard, Bad):
                self.link.noise(heard)
            elif self.faults.drop_to_pump:
                self.faults.drop_to_pump -= 1
            else:
                self._hear(heard)
                self.state.memory.shown = shown(self.state.memory)
                self._settle()
        if self._is_off():
            self.state.receiver.forget()
        return self._said()

    def _is_off(self) -> bool:
        return not self.faults.powered

    def _hear(self, frame: Frame) -> None:
        """A frame of this host, of another one, or of nobody who may send it."""
        row = BY_NUMBER.get(frame.number)
        values = None if row is None or row.sender == "pump" else row.read(frame.payload)
        link_id = self.state.memory.link.link_id
        if row is None or values is None:
            self.link.noise(Bad.RESYNC)
        elif row.name == "ESTOP":
            self._heard(row)
            self._emergency_stop()
        elif row.name == "HELLO":
            self._hello(frame, values)
        elif not link_id or frame.link_id != link_id:
            return
        elif row.has_command_id:
            self.link.is_new(frame)
            self._command(row, values, bytes([frame.number]) + frame.payload)
        elif not self.link.is_new(frame):
            self.link.duplicate()
        elif self._heard(row):
            tell(self, row.name, values)

    def _heard(self, row: Row) -> bool:
        """Whoever listens may break the pump; whether it can still obey."""
        self.on_command(row.name)
        if self.faults.unasked:
            self.faults.unasked -= 1
            self.alarms.changed(shown(self.state.memory))
        return self.faults.powered

    def _hello(self, frame: Frame, values: dict[str, int]) -> None:
        """A host introduces itself; one that cannot be understood is told so, and only stops are heard."""
        speaks = values["version_min"] <= VERSION <= values["version_max"]
        fits = speaks and values["schema_hash"] == SCHEMA_HASH
        if not frame.link_id:
            self.link.noise(Bad.RESYNC)
            return
        if frame.link_id != self.state.memory.link.link_id or not fits:
            self._close()
            self.link.close()
        if not fits:
            self.link.send("HELLO_ACK", introduction(self, 0), link_id=frame.link_id)
            return
        if frame.link_id == self.state.memory.link.link_id:
            self.link.is_new(frame)
        else:
            self.link.open(frame.link_id, frame.seq)
            self.alarms.tell_a_host()
        self.link.send("HELLO_ACK", introduction(self, VERSION))

    def _command(self, row: Row, values: dict[str, int], asked: bytes) -> None:
        """Obeyed once, answered as often as it comes; STOP is obeyed as often as it comes."""
        command_id, stop, link = values["command_id"], row.name == "STOP", self.link
        new = link.accepts(command_id)
        if not new and not stop:
            if not link.repeated(command_id, asked):
                text = f"command id: {command_id} is not above the newest, or another command's"
                link.answer(command_id, refused(Code.BAD_ARGUMENT, text))
            return
        if not self._heard(row):
            return
        if new:
            link.remember(command_id, asked, underway(Ending.ACCEPTED))
        if self.quirks.results == "accepted_first":
            link.answer(command_id, underway(Ending.ACCEPTED))
        said = self._obey(row, values)
        if self.quirks.reasons == "none":
            said["reason"] = ""
        if new:
            link.result(command_id, said)
        else:
            link.answer(command_id, said)

    def _obey(self, row: Row, values: dict[str, int]) -> Said:
        faults = self.faults
        if faults.refuse:
            faults.refuse -= 1
            return refused(Code.WRONG_STATE, "refused")
        if faults.pretend:
            faults.pretend -= 1
            return done(values.get("rate_nl_h", 0), values.get("volume_nl", 0))
        try:
            return obey(self, row.name, values)
        except Refusal as refusal:
            return refused(refusal.code, str(refusal))
