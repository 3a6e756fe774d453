"""Alaris GH/Asena, host side: what to exchange for each operation on the pump.

Answerable for the order of exchanges and for believing nothing that was not read back; not for bytes
(`alaris_frames`), fields (`alaris_replies`) or single exchanges (`alaris_wire`).  Pure: every operation
is a program in the sense of `firmware_bridge.dialect`.

A clinical pump under *remote control*, which is a lease: a pump that misses its renewals for a time of
its own takes control back and raises ``AL_COMTO``.  That is its dead-man.  Its time cannot be set, so a
start needs a lease that is no shorter.  While the motor is on it is renewed by `read` alone, once each.

The pump does not say whether it runs.  What it does is told from its counter, its alarms and what it has
acknowledged (`counter_watch`).

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from firmware_bridge.dialect import (
    Accepted,
    Frame,
    Identity,
    Limits,
    Program,
    Reading,
    Syringe,
)
from firmware_bridge.errors import (
    BridgeError,
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.alaris_plan import Mounted, check_lease
from firmware_bridge.protocols.alaris_replies import (
    COMPLETE,
    GOES_ON,
    Fields,
    Fits,
    MountedSyringe,
    Status,
    alarm_of,
    identity_of,
    is_serial,
    parse_alarms,
    parse_infused,
    parse_rate,
    parse_response_max,
    parse_status,
    parse_syringe,
)
from firmware_bridge.protocols.alaris_settings import Settings
from firmware_bridge.protocols.alaris_stop import STOP_FRAME, prove_dead_man, stop_until_still
from firmware_bridge.protocols.alaris_wire import Wire, of
from firmware_bridge.protocols.counter_watch import STEP, CounterWatch
from firmware_bridge.protocols.new_era_numbers import lost_too_much
from firmware_bridge.quantities import Duration, Rate, Volume

LEASE = Duration(10_000)
"""How long the pump is taken to wait for its host.  Drivers renew every 1 to 4.5 s; no source says when
the pump gives up, so it is a setting, and `Alaris.prove_dead_man` shows whether it holds."""

_RESPONSE_MAX = Duration(10_000)
"""A pump that asks for more patience than this gets this much."""


class Alaris:
    """One Alaris pump on one port.  See `dialect.HostDialect` for the operations."""

    name = "alaris"
    capabilities = (
        Capability.CLINICAL
        | Capability.VOLUME_TARGET
        | Capability.RATE_WHILE_RUNNING
        | Capability.DEAD_MAN
        | Capability.INTEGRITY_CHECK
        | Capability.STALL_DETECTION
        | Capability.PRESSURE
    )

    def __init__(
        self,
        *,
        port: str = "alaris",
        reply_within: Duration = Duration(500),
        lease: Duration = LEASE,
    ) -> None:
        """``reply_within``: after so long a request is repeated; ``lease``: the pump's own time-out."""
        self.dead_man = lease
        """See `dialect.FixedDeadMan`."""
        self._wire = Wire(port, reply_within, lease)
        self._settings = Settings(self._wire)
        self._watch = CounterWatch()
        self._identity: Identity | None = None
        self._mounted: Mounted | None = None
        self._target: Volume | None = None
        """What the last start of this session may deliver."""
        self._rate = Rate(0)
        """The rate of that start, or its last change."""
        self._paused = False

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data, now)

    def alarms_heard(self) -> PumpAlarm:
        """None ever: this pump says nothing unasked, and its alarms are in every reading."""
        return PumpAlarm.NONE

    def discard_at(self) -> float | None:
        """Never: the next frame's beginning ends an incomplete one."""
        return None

    def discard(self, now: float) -> None:
        self._wire.reader.discard()

    def stop_frame(self) -> bytes:
        return STOP_FRAME

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """Stop, identify, take control and stop for certain, record, give control back.

        Raises `NoAnswer`, saying what to check; `PumpRefused` where remote control is not permitted.
        """
        wire = self._wire
        self._forget_delivery()
        self._mounted = None
        yield from wire.exchange(STOP_FRAME, of("INF_STOP"))
        try:
            serial = (yield from wire.query("INST_SERIALNO", is_serial))[1]
        except NoAnswer:
            raise NoAnswer(
                wire.port,
                "no answer from an Alaris pump: check power, cable, that the pump's software still has "
                "remote control (up to 2.3.6), and the speed, 38400 8N1",
            ) from None
        wire.know(serial)
        slowest = parse_response_max((yield from wire.query(*_named("COMMS_RESPONSE_MAX"))))
        if slowest is not None:
            wire.slowest = min(slowest, _RESPONSE_MAX) + wire.within  # and the way there and back
        protocol = (yield from wire.query(*_named("COMMS_PROTOCOL")))[-1]
        yield from wire.take_control()
        yield from stop_until_still(wire)
        identity = identity_of(serial, protocol)
        if identity != self._identity:
            self._settings.forget()
        self._identity = identity
        yield from self._settings.record()
        yield from wire.give_control_back()
        return identity

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """The syringe confirmed at the pump is of the size meant; the pump takes its diameter from that.

        Raises `PumpRefused` naming what is mounted; `NoAnswer`.
        """
        self._mounted = None
        yield from self._mounted_is(syringe.size)
        fields = yield from self._wire.query(*_named("INF_RATE_MAX_SYRINGE"))
        fastest = parse_rate(fields)
        if fastest is None:
            raise ProtocolError("no rate", request=b"INF_RATE_MAX_SYRINGE", raw=_raw(fields))
        self._mounted = Mounted.of(syringe.size, fastest, self._wire.lease)
        return self._mounted.limits

    def _mounted_is(self, size: Volume) -> Program[None]:
        """Raises `PumpRefused` unless a syringe of this nominal size is there and confirmed."""
        fields = yield from self._wire.query(*_named("SYRINGE_STATUS"))
        there: MountedSyringe | None = parse_syringe(fields)
        if there is None or not there.confirmed:
            raise PumpRefused("syringe", f"none is confirmed at the pump: {'^'.join(fields[1:])}")
        if there.size != size:
            raise PumpRefused(
                "syringe", f"{size} was asked for, at the pump {there.size} is confirmed"
            )

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """See `alaris_stop.prove_dead_man`.  Raises `BeyondPump` for a lease below the pump's own."""
        check_lease(lease, self._wire.lease)
        self._forget_delivery()
        return (yield from prove_dead_man(self._wire, self._settings))

    def disown(self) -> None:
        self._settings.disown()

    def relax(self) -> Program[None]:
        """The rate is what it was before the delivery, and the pump expects no renewals any more.

        Raises `NoAnswer`.
        """
        if self._wire.in_control:
            yield from self._wire.keep_control()
            yield from self._settings.slow_down()
            yield from self._wire.give_control_back()

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """Rate and target are as `connect` found them, remote control is given back.

        The pump's count of delivered volume is never touched by this.  Raises `PumpRefused` where the
        pump is moving or gives no control; `NoAnswer`.
        """
        self._mounted = None
        reading = yield from self._look()
        if reading.state is PumpState.RUNNING:
            raise PumpRefused("restore", "the pump is not stopped; its counter moves")
        self._forget_delivery()
        if not self._settings.changed and not self._wire.in_control:
            return []
        yield from self._wire.take_control()
        rate = yield from self._settings.slow_down()
        target = yield from self._settings.restore_target()
        yield from self._wire.give_control_back()
        return [line for line in (rate, target) if line]

    def _forget_delivery(self) -> None:
        self._target = None
        self._paused = False
        self._watch.forget()

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Everything is programmed and read back, then ``INF_START`` is sent, once.

        Raises `PumpRefused`, `PumpInAlarm` and `NoAnswer` when nothing was started, and
        `UncertainDelivery` when the answer to the start was lost.
        """
        mounted = self._mounted
        if mounted is None:
            raise PumpRefused("start", "no syringe has been configured")
        told_rate, told_target = mounted.rate(rate), mounted.target(target)
        check_lease(lease, self._wire.lease)
        self._forget_delivery()
        yield from self._ready(mounted, "start")
        yield from self._wire.query(*_named("INF_VI_CLEAR"))
        counted = parse_infused((yield from self._wire.query(*_named("INF_VI"))))
        if counted is None or counted.nl:
            raise PumpRefused("start", f"the counter was cleared and reads {counted}")
        yield from self._program(told_target, told_rate)
        accepted = Accepted(told_rate, told_target)
        yield from self._go(f"start of {told_rate} up to {told_target}", told_rate, Volume(0))
        self._target = told_target
        return accepted

    def _ready(self, mounted: Mounted, what: str) -> Program[None]:
        """The pump is under control, without alarm, and holds the syringe that was configured."""
        yield from self._wire.take_control()
        codes = parse_alarms((yield from self._wire.query(*_named("ALARM")))) or ()
        if codes and all(code in COMPLETE for code in codes):
            # It has been told; a pump may want it acknowledged, which a stop does, before it starts.
            yield from stop_until_still(self._wire)
        elif codes:
            raise PumpInAlarm(what, f"the pump shows {' and '.join(codes)}")
        yield from self._mounted_is(mounted.size)

    def _program(self, target: Volume, rate: Rate) -> Program[None]:
        """Raises `PumpRefused` unless the pump reads back exactly what was sent."""
        yield from self._wire.keep_control()
        yield from self._settings.set_target(target)
        yield from self._wire.keep_control()
        taken = yield from self._settings.set_rate(rate)
        if taken != rate:
            raise PumpRefused("INF_RATE", f"sent {rate}, the pump reads back {taken}")

    def _go(self, what: str, rate: Rate, infused: Volume) -> Program[None]:
        """``INF_START`` was sent exactly once, to a pump that stood at ``infused``, and was echoed."""
        yield from self._wire.keep_control()
        before = yield from self._status()
        if before.infused != infused:
            raise PumpRefused(
                what, f"the counter reads {before.infused} and not {infused}: it moves"
            )
        self._watch.stands_at(infused)
        yield from self._wire.catch_up()
        try:
            echo = yield from self._wire.request(*_named("INF_START"), within=self._wire.slowest)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if echo is None:
            raise UncertainDelivery(self._wire.port, what)
        self._paused = False
        self._rate = rate
        self._watch.started(rate, self._wire.heard_at)

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned.

        Raises `PumpRefused` when the old rate still runs, `ProtocolError` when the pump took another
        rate than was sent (stop it), `UncertainDelivery` when no answer could be had.
        """
        if self._mounted is None or self._target is None or self._paused:
            raise PumpRefused("rate", "nothing runs that was started in this session")
        told = self._mounted.rate(rate)
        what = f"change of the rate to {rate}"
        try:
            taken = yield from self._settings.set_rate(told)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if taken == told or not lost_too_much(rate.nl_h, taken.nl_h):
            self._rate = taken
            self._watch.started(taken, self._wire.heard_at)
            return taken
        if taken == self._rate:
            raise PumpRefused(what, f"the pump still reads back {taken}")
        raise ProtocolError(
            f"{what}: the pump took {taken}", request=f"INF_RATE {told}".encode(), raw=b""
        )

    def read(self) -> Program[Reading]:
        """The lease is renewed where one is held, then one status.  Raises `NoAnswer`.

        While the pump delivers, only the caller's own lease may lead here.
        """
        if self._wire.in_control:
            yield from self._wire.keep_alive()
        return (yield from self._look())

    def _look(self) -> Program[Reading]:
        """What the pump says and shows, without renewing anything.  Raises `NoAnswer`."""
        status = yield from self._status()
        codes = yield from self._codes(status)
        return self._reading(status, codes)

    def _codes(self, status: Status) -> Program[tuple[str, ...]]:
        """Every alarm there is: the status only shows that there is one, or one of them."""
        if not status.alarm:
            return ()
        fields = yield from self._wire.query(*_named("ALARM"))
        codes = parse_alarms(fields) or ()
        if not codes or status.alarm.startswith("AL_"):
            codes = (status.alarm, *codes)
        return tuple(dict.fromkeys(codes))

    def _status(self) -> Program[Status]:
        fields = yield from self._wire.query("INF", _is_status)
        status = parse_status(fields)
        if status is None:
            raise ProtocolError("no status", request=b"INF", raw=_raw(fields))
        return status

    def _reading(self, status: Status, codes: Sequence[str]) -> Reading:
        """Motion outranks an alarm, and an alarm the reason for standing still."""
        infused, target = status.infused, self._target
        reset = PumpAlarm.RESET if self._watch.went_back(infused) else PumpAlarm.NONE
        state = self._watch.state(infused, target, self._wire.heard_at)
        beyond = target is not None and infused > target and self._watch.moved
        if target is not None and infused + STEP >= target and not beyond:
            ended = [code for code in codes if code in COMPLETE]
            codes = [code for code in codes if code not in COMPLETE]
            if ended or (state is PumpState.STOPPED and not self._paused):
                state = PumpState.COMPLETED
                self._watch.stands_at(infused)
        if target is not None and self._watch.moved and status.rate not in (self._rate, Rate(0)):
            codes = [
                *codes,
                f"rate {status.rate}",
            ]  # changed at the keypad: no code has a name for it
        alarms = alarm_of(codes) | reset
        if any(code in GOES_ON for code in codes):
            state = PumpState.RUNNING
        elif alarms and not self._watch.moved:
            state = PumpState.ALARM
            self._watch.stands_at(infused)
        elif state is PumpState.STOPPED and self._paused:
            state = PumpState.PAUSED
        return Reading(state, infused, alarms, status.pressure_pa, " ".join(codes))

    def pause(self) -> Program[Reading]:
        """The delivery is held; an ended one is left as it is.  Raises `NoAnswer`."""
        reading = yield from self._look()
        if reading.state is not PumpState.RUNNING:
            return reading
        reading = yield from self._stopped()
        if reading.state is not PumpState.STOPPED:
            return reading
        self._paused = True
        return Reading(PumpState.PAUSED, reading.infused, reading.alarms, reading.pressure_pa)

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target, which is programmed anew.

        Raises as `start` does; `PumpRefused` unless this session's delivery is paused.
        """
        check_lease(lease, self._wire.lease)
        mounted, target = self._mounted, self._target
        if mounted is None or target is None or not self._paused:
            raise PumpRefused("resume", "nothing is paused that was started in this session")
        yield from self._ready(mounted, "resume")
        reading = yield from self._look()
        # The counter shows whole digits: up to one of them may have been delivered beyond it.
        rest = target.less(reading.infused + STEP)
        if not rest.nl:
            raise PumpRefused("resume", f"nothing is left of {target}")
        yield from self._program(rest, self._rate)
        yield from self._go(f"resuming towards {target}", self._rate, reading.infused)
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        """The pump stands.  Raises `NoAnswer` only when given up.

        Control that was taken for this stop alone is given back.
        """
        held = self._wire.in_control
        reading = yield from self._stopped()
        self._paused = False
        if self._wire.in_control and not held:
            with contextlib.suppress(BridgeError):  # then the pump's lease runs out at rest
                yield from self._wire.give_control_back()
        return reading

    def _stopped(self) -> Program[Reading]:
        status = yield from stop_until_still(self._wire)
        infused, target = status.infused, self._target
        reset = PumpAlarm.RESET if self._watch.went_back(infused) else PumpAlarm.NONE
        self._watch.stands_at(infused)
        complete = target is not None and infused >= target
        at_target = target is not None and infused + STEP >= target
        try:
            codes = yield from self._codes(status)
        except NoAnswer:  # the stop is certain, and the next reading asks again
            codes = (status.alarm,)
        codes = tuple(code for code in codes if not (at_target and code in COMPLETE))
        return Reading(
            PumpState.COMPLETED if complete else PumpState.STOPPED,
            infused,
            alarm_of(codes) | reset,
            status.pressure_pa,
            " ".join(codes),
        )


def _named(request: str) -> tuple[str, Fits]:
    """A request without arguments, and what answers it."""
    return request, of(request)


def _raw(fields: Fields) -> bytes:
    return "^".join(fields).encode()


def _is_status(fields: Fields) -> bool:
    return fields[0] == "INF" and parse_status(fields) is not None
