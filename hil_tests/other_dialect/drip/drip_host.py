"""Drip, host side: what to exchange for each operation on the pump.  See the sheet in README.md.

Answerable for the order of exchanges, and for believing nothing that the pump did not say; not for single
exchanges (`drip_wire`).  Pure: every operation is a program in the sense of `firmware_bridge.dialect`; no clock,
no port, no log.

The dead-man is a handle, held for a time that each ``HOLD`` names.  In mid-delivery nothing but `read`, in
answer to the controller's lease, holds it: so a controller that hangs lets go.

For bench and simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from firmware_bridge.dialect import (
    Accepted,
    Frame,
    HostDialect,
    Identity,
    Limits,
    Program,
    Reading,
    Syringe,
)
from firmware_bridge.dialects import DialectKind, PumpUrl
from firmware_bridge.errors import (
    BeyondPump,
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.quantities import Duration, Rate, Volume

from .drip_wire import (
    NUMBER,
    STATUS,
    STEP,
    STOP,
    Status,
    Wire,
    encode,
    status_of,
    text_of,
    thousandths,
    understood,
)

HOLD_MIN, HOLD_MAX = Duration(1_000), Duration(60_000)
ALARMS = {
    "LETGO": PumpAlarm.LEASE_EXPIRED,
    "BLOCKED": PumpAlarm.OCCLUSION,
    "EMPTY": PumpAlarm.EMPTY,
    "STALL": PumpAlarm.STALL,
    "RESET": PumpAlarm.RESET,
}
"""Any other word is an `INTERNAL_FAULT`."""

_SETTINGS = ("SYR", "RATE", "VOL")
"""What a session changes, in the order in which it is put back."""
_STOP_TRIES = 12  # about 6 s against a dead line
_BETWEEN_READINGS = Duration(100)
_PROOF_MARGIN = Duration(500)
_PROOF_TRIES = 3  # of a GO that must be refused: the one that may be repeated

_LIMITS = re.compile(rf"({NUMBER.pattern}) ({NUMBER.pattern})", re.ASCII)
_IDENTITY = re.compile(r"(DRIP-\S+) (\S+) ([0-9]+)", re.ASCII)


class Drip:
    """One drip pump on one port.  See `dialect.HostDialect` for what each operation promises."""

    name = "drip"
    capabilities = (
        Capability.VOLUME_TARGET
        | Capability.RATE_WHILE_RUNNING
        | Capability.DEAD_MAN
        | Capability.INTEGRITY_CHECK
        | Capability.STALL_DETECTION
    )

    def __init__(self, *, port: str, reply_within: Duration) -> None:
        """``port`` goes into errors; ``reply_within`` is longer where the line or the clock asks for it."""
        self._wire = Wire(port, reply_within)
        self._identity: Identity | None = None
        self._found: dict[str, str] = {}
        self._changed: set[str] = set()
        self._syringe: Syringe | None = None
        self._limits: Limits | None = None
        self._target: Volume | None = None
        self._paused = False
        self._lease: Duration | None = None
        """While a delivery is on: how long each `read` holds the handle for."""
        self._heard = PumpAlarm.NONE

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data)

    def alarms_heard(self) -> PumpAlarm:
        return self._heard

    def discard_at(self) -> float | None:
        """Never: the next line's beginning ends an incomplete one."""
        return None

    def discard(self, now: float) -> None:
        self._wire.discard()

    def stop_frame(self) -> bytes:
        """Always the same bytes, so ``STOP`` has the number 00, and nothing else has."""
        return encode(0, STOP)

    # --- what several of the operations do ---------------------------------------------------------

    def _set(self, name: str, amount: int) -> Program[int]:
        """The setting has been sent; returns what the pump says it took, in thousandths."""
        text = text_of(amount)
        if self._found.get(name) != text:
            self._changed.add(name)
        return thousandths((yield from self._wire.ask(f"{name} {text}", NUMBER))[0])

    def _set_exactly(self, name: str, amount: int) -> Program[None]:
        """Raises `PumpRefused` when the pump took another value."""
        taken = yield from self._set(name, amount)
        if taken != amount:
            raise PumpRefused(name, f"sent {text_of(amount)}, the pump took {text_of(taken)}")

    def _note(self, status: Status) -> Program[None]:
        """The alarms are kept for the next reading, so the pump need not go on showing them.

        Each is acknowledged by its name, once: where that is lost, it is met again, and told again.
        """
        for word in status.alarms:
            self._heard |= ALARMS.get(word, PumpAlarm.INTERNAL_FAULT)
            yield from self._wire.once(f"ACK {word}")

    def _reading(self, status: Status) -> Reading:
        """Motion outranks an alarm, and an alarm the reason for standing still."""
        alarms, self._heard = self._heard, PumpAlarm.NONE
        state = PumpState.STOPPED
        if not status.running:
            self._lease = None
        if status.running:
            state = PumpState.RUNNING
        elif alarms:
            state = PumpState.ALARM
        elif self._target is not None and status.infused >= self._target:
            state = PumpState.COMPLETED
        elif self._paused:
            state = PumpState.PAUSED
        return Reading(state, status.infused, alarms)

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """Stopped, identified, recorded.  Raises `NoAnswer`, saying what to check.

        Met for the first time, what the pump shows is not about anything this session did; met again
        after its port was lost, it is, and what was recorded first stays what `restore` puts back.
        """
        self._forget_delivery()
        self._syringe = self._limits = None
        yield from self._stand()
        model, firmware, serial = (yield from self._wire.ask("ID", _IDENTITY)).groups()
        identity = Identity(model, firmware, serial, f"{model} {firmware} {serial}")
        if identity != self._identity:
            self._identity = identity
            self._heard = PumpAlarm.NONE
            self._changed.clear()
            for name in _SETTINGS:
                self._found[name] = (yield from self._wire.ask(name, NUMBER))[0]
        return identity

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """The pump holds this diameter; what it can do with it, by its own word.

        Raises `PumpRefused` naming the value that was not taken; `NoAnswer`.
        """
        self._forget_delivery()
        self._syringe = self._limits = None
        yield from self._set_exactly("SYR", syringe.diameter_um)
        slowest, fastest = (yield from self._wire.ask("LIM", _LIMITS)).groups()
        self._limits = Limits(
            rate_min=Rate(thousandths(slowest) * STEP),
            rate_max=Rate(thousandths(fastest) * STEP),
            volume_step=Volume(STEP),
            lease_min=HOLD_MIN,
            lease_max=HOLD_MAX,
        )
        self._syringe = syringe
        return self._limits

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """With the motor stopped, the handle was let go by silence, and a start was refused for it.

        The target is the smallest there is, so that even a pump that fails moves no more than 0.001 mL.
        """
        check_lease(lease)
        self._forget_delivery()
        before = yield from self._stand()
        yield from self._wire.status("ZERO")
        yield from self._set_exactly("VOL", 1)
        yield from self._set_exactly("RATE", 1_000)
        yield from self._wire.status(f"HOLD {text_of(lease.ms)}")
        yield from self._wire.silence(lease + _PROOF_MARGIN)
        answer = None
        for _ in range(_PROOF_TRIES):
            answer = answer or (yield from self._wire.once("GO"))
        after = yield from self._stand()
        if answer != "ERR NOT HELD" or after.infused.nl:
            raise PumpRefused(
                "self-test", f"after {lease} of silence a start was answered with {answer!r}"
            )
        return f"start refused after {lease} of silence, stopped at {before.infused}"

    def disown(self) -> None:
        """Nothing to do: no setting that a dead session leaves here keeps other software out."""

    def relax(self) -> Program[None]:
        """Nothing is sent: at rest this pump's handle may be let go without an alarm."""
        self._lease = None
        yield from ()

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """Syringe, rate and target are as `connect` found them; none of them touches the count."""
        status = yield from self._wire.status("STAT")
        if status.running:
            raise PumpRefused("restore", "the pump is not stopped")
        self._forget_delivery()
        self._syringe = self._limits = None
        report = [f"{name} {self._found[name]}" for name in _SETTINGS if name in self._changed]
        for line in report:
            yield from self._wire.ask(line, NUMBER)
        self._changed.clear()
        return report

    def _forget_delivery(self) -> None:
        self._target = self._lease = None
        self._paused = False

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Everything is programmed and said back by the pump, then ``GO`` is sent, once."""
        if self._limits is None or self._syringe is None:
            raise PumpRefused("start", "no syringe has been configured")
        told_rate, told_volume = self._told(rate), target.nl // STEP
        if not 0 < told_volume <= self._syringe.size.nl // STEP:
            limits = f"0.001 mL to the syringe's {self._syringe.size}"
            raise BeyondPump("volume", f"{target} is outside {limits}")
        check_lease(lease)
        self._forget_delivery()
        status = yield from self._wire.status("STAT")
        if status.running:
            raise PumpRefused("start", "the pump is running already")
        if status.alarms:
            yield from self._note(status)
            raise PumpInAlarm("start", f"the pump shows {' and '.join(status.alarms)}")
        diameter = yield from self._wire.ask("SYR", NUMBER)
        if thousandths(diameter[0]) != self._syringe.diameter_um:
            raise PumpRefused("SYR", f"now reads {diameter[0]}: changed at the pump")
        yield from self._set_exactly("VOL", told_volume)
        yield from self._set_exactly("RATE", told_rate)
        yield from self._wire.status("ZERO")
        accepted = Accepted(Rate(told_rate * STEP), Volume(told_volume * STEP))
        what = f"start of {accepted.rate} up to {accepted.volume}"
        yield from self._go(what, lease, Volume(0))
        self._target = accepted.volume
        return accepted

    def _told(self, rate: Rate) -> int:
        """The rate as the pump is told it, rounded down.  Raises `BeyondPump`."""
        if self._limits is None:
            raise PumpRefused("rate", "no syringe has been configured")
        low, high = self._limits.rate_min, self._limits.rate_max
        if not low <= rate <= high:
            raise BeyondPump("rate", f"{rate} is outside {low} to {high}")
        return rate.nl_h // STEP

    def _go(self, what: str, lease: Duration, standing_at: Volume) -> Program[None]:
        """The handle is held, ``GO`` was sent exactly once, and the pump says that it runs.

        Raises `PumpRefused` when it does not, `UncertainDelivery` when nobody knows.
        """
        status = yield from self._wire.status(f"HOLD {text_of(lease.ms)}")
        if status.infused != standing_at:
            raise PumpRefused(what, f"the count reads {status.infused}, not {standing_at}")
        try:
            answer = yield from self._wire.once("GO")
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if answer is None:
            raise UncertainDelivery(self._wire.port, what)
        if not status_of(understood("GO", answer, STATUS)).running:
            raise ProtocolError(
                f"{what}: it does not run", request=b"GO", raw=answer.encode("ascii")
            )
        self._paused = False
        self._lease = lease

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned.

        Raises `PumpRefused` when the old rate still runs, `UncertainDelivery` when nobody knows.
        """
        if self._lease is None:
            raise PumpRefused("rate", "nothing runs that was started in this session")
        told = self._told(rate)
        try:
            taken = yield from self._set("RATE", told)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, f"change of the rate to {rate}") from lost
        if taken != told:
            raise ProtocolError(
                "another rate was taken",
                request=text_of(told).encode(),
                raw=text_of(taken).encode(),
            )
        return Rate(taken * STEP)

    def read(self) -> Program[Reading]:
        """One exchange, never repeated: it holds the handle, which only the caller's lease may do."""
        words = "STAT" if self._lease is None else f"HOLD {text_of(self._lease.ms)}"
        answer = yield from self._wire.once(words)
        if answer is None:
            raise NoAnswer(self._wire.port, f"no answer to {words}")
        status = status_of(understood(words, answer, STATUS))
        yield from self._note(status)
        return self._reading(status)

    def pause(self) -> Program[Reading]:
        """This pump keeps count and target through a stop, so a pause is one."""
        status = yield from self._stand()
        self._paused = self._target is not None
        return self._reading(status)

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target.  Raises as `start` does."""
        if not self._paused:
            raise PumpRefused("resume", "nothing is paused that was started in this session")
        check_lease(lease)
        status = yield from self._wire.status("STAT")
        yield from self._go(f"resuming towards {self._target}", lease, status.infused)
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        """The pump stands, by two of its own readings.  Raises `NoAnswer` only when given up."""
        status = yield from self._stand()
        self._paused = False
        return self._reading(status)

    def _stand(self) -> Program[Status]:
        """``STOP`` until it says IDLE, then a reading with a number of its own that says the same."""
        standing: Volume | None = None
        last = "nothing"
        for _ in range(_STOP_TRIES):
            if standing is None:
                answer = yield from self._wire.once(STOP)
            else:
                answer = yield from self._wire.once("STAT", _BETWEEN_READINGS)
            found = STATUS.fullmatch(answer) if answer is not None else None
            if found is None:  # a lost reading takes nothing from the one before it
                continue
            last = found[0]
            status = status_of(found)
            if not status.running and status.infused == standing:
                yield from self._note(status)
                return status
            standing = None if status.running else status.infused
        raise NoAnswer(
            self._wire.port,
            f"a drip pump did not confirm the stop, and last said {last}: check power, cable and speed",
        )


def check_lease(lease: Duration) -> None:
    """Raises `BeyondPump` for a time that the handle cannot be held for."""
    if not HOLD_MIN <= lease <= HOLD_MAX:
        raise BeyondPump("lease", f"{lease} is outside {HOLD_MIN} to {HOLD_MAX}")


def _make(url: PumpUrl, reply_within: Duration) -> HostDialect:
    return Drip(port=url.port, reply_within=reply_within)


HOST = DialectKind(
    name="drip",
    make=_make,
    bauds=(9_600,),
    baud=9_600,
    address_max=0,
    capabilities=Drip.capabilities,
)
