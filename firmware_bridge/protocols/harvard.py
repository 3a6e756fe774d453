"""Harvard Pump 11 Elite, PHD Ultra and KDS Legato, host side: what to exchange for each operation.

Answerable for the order of exchanges and for believing nothing that was not read back; not for bytes
(`harvard_frames`), numbers (`harvard_numbers`) or single exchanges (`harvard_wire`).  Pure: every
operation is a program in the sense of `firmware_bridge.dialect`.

**This pump has no dead-man.**  Whoever drives it must stop it; the bridge does, when the lease ends.  If
the bridge dies too, only the volume target that was programmed before the start ends the delivery.
Procedures refuse such a pump; bench use says *bounded by target*.

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from firmware_bridge.dialect import Accepted, Frame, Identity, Limits, Program, Reading, Syringe
from firmware_bridge.errors import (
    BridgeError,
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.harvard_account import Account, near
from firmware_bridge.protocols.harvard_numbers import lost_too_much, parse_rate, rate_down
from firmware_bridge.protocols.harvard_plan import Mounted, diameter_of
from firmware_bridge.protocols.harvard_program import PumpProgram
from firmware_bridge.protocols.harvard_replies import (
    STATES,
    Reply,
    Status,
    bare,
    is_status,
    is_version,
    parse_identity,
    parse_status,
)
from firmware_bridge.protocols.harvard_settings import Settings, polling
from firmware_bridge.protocols.harvard_stop import moves, stop_until_still
from firmware_bridge.protocols.harvard_wire import WHO, Refused, Wire
from firmware_bridge.quantities import Duration, Rate, Volume

_OPENING_MOVES = 4
_PAUSES = 4
_AGAIN = 3
"""Times that a reading which would end a delivery is asked for again: no checksum protects it."""


class Harvard:
    """One pump at one address of one port.  See `dialect.HostDialect` for the operations."""

    name = "harvard"
    capabilities = (
        Capability.VOLUME_TARGET
        | Capability.TIME_TARGET
        | Capability.RATE_WHILE_RUNNING
        | Capability.STALL_DETECTION
        | Capability.WITHDRAW
    )

    def __init__(
        self,
        *,
        port: str = "harvard",
        address: int = 0,
        reply_within: Duration = Duration(500),
    ) -> None:
        """``port`` goes into errors; ``reply_within`` may be stretched for slow lines and clocks."""
        if not 0 <= address <= 99:
            raise ValueError(f"address {address} is outside 0 to 99")
        self._wire = Wire(port, address, reply_within)
        self._settings = Settings(self._wire)
        self._program = PumpProgram(self._wire, self._settings)
        self._account = Account()
        self._identity: Identity | None = None
        self._mounted: Mounted | None = None
        self._polled = False
        """Whether this session switched polling on, and the pump has not lost it since."""

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data, now)

    def alarms_heard(self) -> PumpAlarm:
        return self._wire.seen

    def discard_at(self) -> float | None:
        return self._wire.reader.discard_at()

    def discard(self, now: float) -> None:
        self._wire.reader.settle()

    def stop_frame(self) -> bytes:
        return self._wire.frame("stp")

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """Stop, switch polling on, identify, record.

        The same pump met again, after its port was lost: what was recorded first stays what `restore`
        puts back, and what it delivered stays in the account.
        Raises `NoAnswer`, saying what to check; `PumpRefused` for another command set.
        """
        self._mounted = None
        self._polled = False
        self._wire.reader.forget()
        yield from self._open()
        reply, status = yield from stop_until_still(self._wire)
        identity = yield from self._identify()
        if identity != self._identity:
            self._settings.forget()
            self._account = Account()
            self._wire.take_seen()
        self._identity = identity
        yield from self._poll()
        yield from self._settings.record()
        yield from self._settings.switch("echo", "off")
        yield from self._count(reply, status)
        return identity

    def _open(self) -> Program[None]:
        """Somebody answers a STOP: twice and more, since a screen that was touched wants a CR first."""
        for _ in range(_OPENING_MOVES):
            reply = yield from self._wire.request("stp", bare)
            if reply is not None:
                return
        raise NoAnswer(
            self._wire.port,
            f"no answer from a Harvard or KDS pump at address {self._wire.address}"
            f"{self._wire.instead()}: check power, cable, baud rate, address and command set",
        )

    def _identify(self) -> Program[Identity]:
        """``version`` says the firmware, ``ver`` the model; a model may know only one of them."""
        said: dict[str, tuple[str, ...]] = {}
        for question in WHO:
            try:
                reply = yield from self._wire.query(question, is_version)
            except Refused as refused:
                said[question] = ()
                why = refused
            else:
                said[question] = reply.lines
        if not any(said.values()):
            raise PumpRefused("identify", f"not the Pump 11 Elite command set: {why}")
        return parse_identity(said["version"], said["ver"])

    def _poll(self) -> Program[None]:
        """Every answer ends in an XON, and nothing comes unasked.  Raises `PumpRefused`, `NoAnswer`."""
        self._polled = yield from self._settings.switch("poll", "on")

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """Quick start to infuse, diameter and size, and no wear of the pump's memory: read back.

        Raises `PumpRefused` naming the value that was not taken; `NoAnswer`.
        """
        self._mounted = None
        diameter = diameter_of(syringe)
        yield from self._at_rest("configure")
        yield from self._poll()
        yield from self._settings.spare_memory()
        yield from self._program.mount(diameter, syringe.size)
        self._mounted = Mounted.of(syringe, (yield from self._program.rate_limits()))
        return self._mounted.limits

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """There is none.  Raises `PumpRefused`; sends nothing."""
        yield from ()
        raise PumpRefused("self-test", "this pump has no dead-man: a delivery is bounded by target")

    def disown(self) -> None:
        self._settings.disown()

    def relax(self) -> Program[None]:
        """Nothing to relax."""
        yield from ()

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """What this session changed is as `connect` found it, as far as it can be.

        Returns one line for each setting, failures included.  Raises `PumpRefused` unless the pump is
        stopped; `NoAnswer`.
        """
        self._mounted = None
        yield from self._at_rest("restore")
        report = yield from self._settings.restore(keep_count=keep_count)
        self._polled = False
        return report

    # --- readings ---------------------------------------------------------------------------------

    def _status(self) -> Program[tuple[Reply, Status]]:
        """Raises `NoAnswer`, `Refused`."""
        reply = yield from self._wire.query("status", is_status)
        return reply, _status_of(reply)

    def _at_rest(self, what: str) -> Program[Status]:
        """Raises `PumpRefused` unless the pump stands still."""
        reply, status = yield from self._status()
        if moves(reply, status):
            raise PumpRefused(what, f"the pump is not stopped; it says {reply.prompt!r}")
        return status

    def read(self) -> Program[Reading]:
        """One ``status``, which shows state and delivered volume; more only where it is odd.

        The alarms are all that were met since the last reading.  A silence is reported, not repaired.
        Raises `NoAnswer`.
        """
        reply = yield from self._wire.fresh("status", is_status)
        if reply is None:
            raise NoAnswer(self._wire.port, "no answer to status")
        if reply.error:  # a damaged request; asked again
            reply, _ = yield from self._status()
        return (yield from self._reading(reply, _status_of(reply)))

    def _reading(self, reply: Reply, status: Status) -> Program[Reading]:
        for _ in range(_AGAIN):
            if not self._account.is_turn(status.volume, moving=moves(reply, status)):
                break
            before = status.volume
            reply, status = yield from self._status()
            if status.volume == before:
                break
        yield from self._count(reply, status)
        yield from self._remembers(reply)
        return self._account.reading(reply, status, self._wire.take_seen())

    def _count(self, reply: Reply, status: Status) -> Program[None]:
        """The account holds what was infused; what shows a reset is among the alarms met."""
        counter = status.volume
        if not status.infusing:  # then the volume is that of the other direction
            try:
                counter = yield from self._program.infused()
            except Refused:  # a screen without volumes: nothing was infused from it
                counter = self._account.counter
        at_target = status.at_target or reply.prompt == "T*"
        self._wire.seen |= self._account.counted(counter, at_target=at_target)

    def _remembers(self, reply: Reply) -> Program[None]:
        """Where an answer came without XON, a byte was lost, or the pump forgot what it was told."""
        if not self._polled or reply.polled:
            return
        reply = yield from self._wire.query("poll", lambda reply: polling(reply.line) is not None)
        if polling(reply.line) == "off":
            self._polled = False
            self._wire.seen |= PumpAlarm.RESET

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Everything is programmed and read back, then ``irun`` is sent, once.

        ``lease`` is the bridge's alone.  Raises `PumpRefused` and `NoAnswer` when nothing was started,
        `UncertainDelivery` when the answer to ``irun`` was lost.
        """
        mounted = self._mounted
        if mounted is None:
            raise PumpRefused("start", "no syringe has been configured")
        told_rate, told_target = mounted.rate(rate), mounted.target(target)
        yield from self._at_rest("start")
        self._account.begun()
        accepted = yield from self._program.load(mounted, rate, told_rate, target, told_target)
        self._account.accepted = accepted
        yield from self._run(f"start of {accepted.rate} up to {accepted.volume}", accepted.volume)
        return accepted

    def _run(self, what: str, target: Volume) -> Program[None]:
        """``irun`` was sent exactly once, and the pump says that it runs, or has reached its target.

        Must follow a question that was answered with a line, so that no older bare prompt can be taken
        for this one's.
        """
        try:
            reply = yield from self._wire.request("irun", bare)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if reply is not None and reply.error:
            raise Refused(what, reply.error)
        if reply is not None and reply.prompt == ">":
            return
        try:
            after, status = yield from self._status()
        except BridgeError as silent:
            raise UncertainDelivery(self._wire.port, f"{what} (and then: {silent})") from silent
        there = after.prompt == "T*" and near(status.volume, target)
        if reply is not None and status.infusing and (moves(after, status) or there):
            return
        raise UncertainDelivery(
            self._wire.port,
            f"{what} (then the pump said {STATES[after.prompt].name.lower()}, "
            f"{status.volume} infused)",
        )

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned.

        Raises `PumpRefused` when the old rate still runs, `ProtocolError` when the pump took another
        rate than was sent (stop it), `UncertainDelivery` when no answer could be had.
        """
        mounted, accepted = self._mounted, self._account.accepted
        if mounted is None or accepted is None:
            raise PumpRefused("rate", "nothing was started in this session")
        told = mounted.rate(rate)
        what = f"change of the rate to {rate}"
        before = yield from self._wire.query("irate", _is_rate)
        if before.prompt != ">":
            raise PumpRefused(what, f"the pump is not infusing; it says {before.prompt!r}")
        try:
            reply = yield from self._wire.request(f"irate {told.text}", bare)
            after = yield from self._wire.query("irate", _is_rate)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        taken = parse_rate(after.line)
        if taken is not None and not lost_too_much(rate.nl_h, taken):
            self._account.accepted = Accepted(rate_down(taken), accepted.volume)
            return rate_down(taken)
        if after.line == before.line:
            why = reply.error if reply is not None else ""
            raise PumpRefused(what, why or f"the pump still reads back {after.line}")
        raise ProtocolError(
            f"{what}: the pump took another", request=told.text.encode(), raw=after.raw
        )

    def pause(self) -> Program[Reading]:
        """The delivery is held; an ended one is left as it is.

        The pump knows no pause: it is stopped, and `resume` programs the rest.
        Raises `NoAnswer`, `ProtocolError` if it will not stop.
        """
        for _ in range(_PAUSES):
            reply, status = yield from self._status()
            if not moves(reply, status):
                yield from self._count(reply, status)
                self._account.paused = STATES[reply.prompt] is PumpState.STOPPED and (
                    not self._account.is_complete
                )
                return self._account.reading(reply, status, self._wire.take_seen())
            yield from self._wire.fresh("stp", bare)
        raise ProtocolError("the pump does not stop", request=b"stp")

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target, which is programmed anew.

        Raises as `start` does; `PumpRefused` unless this session's delivery is paused.
        """
        mounted, account = self._mounted, self._account
        accepted = account.accepted
        if mounted is None or accepted is None or not account.paused:
            raise PumpRefused("resume", "nothing that this session started is paused")
        reply, status = yield from self._status()
        if moves(reply, status):
            raise PumpRefused("resume", f"the pump is not paused; it says {reply.prompt!r}")
        yield from self._count(reply, status)
        rest = accepted.volume.less(account.infused)
        told_rate, told_rest = mounted.rate(accepted.rate), mounted.target(rest)
        account.clearing = True
        taken = yield from self._program.load(mounted, accepted.rate, told_rate, rest, told_rest)
        account.continued(taken.rate, taken.volume)
        yield from self._run(f"resuming with {taken.volume} left", taken.volume)
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        """The pump is stopped, in status and counters.  Raises `NoAnswer` only when given up."""
        reply, status = yield from stop_until_still(self._wire)
        self._account.paused = False
        with suppress(NoAnswer, Refused):  # it stands still, whatever else it does not answer
            yield from self._count(reply, status)
            yield from self._remembers(reply)
        state = PumpState.COMPLETED if self._account.is_complete else PumpState.STOPPED
        return Reading(state, self._account.infused, self._wire.take_seen())


def _status_of(reply: Reply) -> Status:
    """The status in a reply that `is_status`; raises `ProtocolError` for any other."""
    status = parse_status(reply.line)
    if status is None:
        raise ProtocolError("no status", request=b"status", raw=reply.raw)
    return status


def _is_rate(reply: Reply) -> bool:
    return parse_rate(reply.line) is not None
