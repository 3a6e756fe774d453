"""Fresenius Orchestra, host side: what to exchange for each operation on one module of a base.

Answerable for the order of exchanges; not for bytes (`fresenius_frames`), texts (`fresenius_replies`) or
single exchanges (`fresenius_wire`).  Pure: every operation is a program in the sense of
`firmware_bridge.dialect`.

A clinical pump.  Setting a rate (``PR``) starts it and ``PO`` holds it.  No source says that the pump
stops when its ENQ is not answered, so that is **no dead-man**: what bounds a delivery when bridge and
controller are gone is the volume limit (``PV``), set before every start.  A limit cannot be read back;
its acknowledgement, under a checksum, is all there is.  The rate is read back once it runs.

The pump does not say whether it runs.  What it does is told from its counter, its alarm variable and
what it has acknowledged (`counter_watch`).

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

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
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.counter_watch import STEP, CounterWatch
from firmware_bridge.protocols.fresenius_plan import Mounted
from firmware_bridge.protocols.fresenius_replies import (
    RATE_STEP,
    VOLUME_STEP,
    Reply,
    SetArgument,
    bare,
)
from firmware_bridge.protocols.fresenius_session import Session
from firmware_bridge.protocols.fresenius_stop import stop_until_still
from firmware_bridge.protocols.fresenius_wire import REPLY_WITHIN, Wire
from firmware_bridge.quantities import Duration, Rate, Volume

MODULES = (1, 5)
"""The lowest and the highest address of a module."""

_DUE_SLACK_PARTS = (
    50  # a target counts as due two per cent early: pump and host keep different time
)


class Fresenius:
    """One module of one base on one port.  See `dialect.HostDialect` for the operations."""

    name = "fresenius"
    capabilities = (
        Capability.CLINICAL
        | Capability.VOLUME_TARGET
        | Capability.INTEGRITY_CHECK
        | Capability.UNSOLICITED_ALARMS
        | Capability.STALL_DETECTION
    )

    def __init__(
        self,
        *,
        port: str = "fresenius",
        address: int = 1,
        reply_within: Duration = REPLY_WITHIN,
        set_argument: SetArgument = SetArgument.HEX,
    ) -> None:
        """``address``: the module, 1 to 5; ``set_argument``: how this pump takes its numbers."""
        if not MODULES[0] <= address <= MODULES[1]:
            raise ValueError(f"address {address} is outside 1 to 5")
        self._wire = Wire(port, address, reply_within)
        self._session = Session(self._wire)
        self._numbers = set_argument
        self._watch = CounterWatch()
        self._mounted: Mounted | None = None
        self._target: Volume | None = None
        """What the last start of this session may deliver."""
        self._rate = Rate(0)
        """The rate of that start, or its last change."""
        self._before = Volume(0)
        """What that start had delivered when a pause ended and the pump's counter was cleared."""
        self._last = Volume(0), 0.0
        """The last count since that start, and when it was read."""
        self._paused = False
        self._limit_set = False

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data, now)

    def take_owed(self) -> bytes:
        """What the link layer owes; see `dialect.SelfAnswering`."""
        return self._wire.link.take_owed()

    def alarms_heard(self) -> PumpAlarm:
        """An alarm the pump told of by itself, unless it may only say that the target is reached."""
        if not self._wire.told or self._is_due():
            return PumpAlarm.NONE
        return PumpAlarm.INTERNAL_FAULT

    def _is_due(self) -> bool:
        if self._target is None or self._paused:
            return False
        infused, at = self._last
        ran = Duration(max(0, int((self._wire.heard_at - at) * 1_000)))
        slack = Volume(self._target.nl // _DUE_SLACK_PARTS) + STEP
        return infused + self._rate.times(ran) + slack >= self._target

    def discard_at(self) -> float | None:
        """Never: the next frame's beginning ends an incomplete one."""
        return None

    def discard(self, now: float) -> None:
        self._wire.link.discard()

    def stop_frame(self) -> bytes:
        return self._wire.frame("PO")

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """Stop, open base and module for remote control, stop for certain, identify.

        Raises `NoAnswer`, saying what to check; `PumpRefused` where remote control is not authorised.
        """
        wire = self._wire
        self._mounted = None
        self._forget_delivery()
        wire.take_told()
        first = yield from wire.request("PO", bare, sends=1)
        self._session.met(first)
        try:
            yield from self._session.open()
        except NoAnswer as silent:
            raise NoAnswer(
                wire.port,
                f"no answer from Fresenius module {wire.address} ({silent.what}): check power, cable, the "
                "address of the module, and the speed, 19200 7E1",
            ) from silent
        yield from stop_until_still(wire, self._session.open)
        kind = yield from wire.query("LF;b", _anything)
        serial = yield from wire.query("LN", _anything)
        model = "" if kind.error else kind.data.removeprefix("b")
        return Identity(
            f"Fresenius {model}".strip(), "", "" if serial.error else serial.data, kind.data
        )

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """What the pump can do; it takes the syringe from its own keypad and does not say which it is.

        Raises `PumpRefused` where the pump does not answer as one that can be driven; `NoAnswer`.
        """
        self._mounted = None
        yield from self._session.ask("r")
        self._mounted = Mounted(syringe.size, self._numbers)
        return self._mounted.limits

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """There is none to prove.  Raises `PumpRefused`; sends nothing."""
        yield from ()
        raise PumpRefused(
            "self-test", "no source says that this pump stops when its host is silent"
        )

    def disown(self) -> None:
        """Nothing a session changes in this pump outlives its closing."""

    def relax(self) -> Program[None]:
        """Nothing to relax: the pump is content with DC4."""
        yield from ()

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """Spontaneous messages off, manual mode, closed.  The count of delivered volume stays.

        The volume limit cannot be read, so it stays as the last start set it, which is said.
        Raises `PumpRefused` where the pump is moving; `NoAnswer`.
        """
        self._mounted = None
        reading = yield from self.read()
        if reading.state is PumpState.RUNNING:
            raise PumpRefused("restore", "the pump is not stopped; its counter moves")
        self._forget_delivery()
        report = yield from self._session.close()
        if self._limit_set:
            report.append("not PV, which cannot be read: the volume limit stays")
        self._limit_set = False
        return report

    def _forget_delivery(self) -> None:
        self._target = None
        self._before = Volume(0)
        self._paused = False
        self._watch.forget()

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Counter cleared and limit set, then ``PR`` is sent, once; then the rate is read back.

        ``lease`` is the bridge's alone.  Raises `PumpRefused`, `PumpInAlarm` and `NoAnswer` when nothing
        was started, `UncertainDelivery` when the answer to the start was lost, `ProtocolError` when the
        pump runs at another rate than was sent (stop it).
        """
        mounted = self._mounted
        if mounted is None:
            raise PumpRefused("start", "no syringe has been configured")
        told_rate, told_target = mounted.rate(rate), mounted.target(target)
        self._forget_delivery()
        yield from self._without_alarm("start")
        yield from self._limit("start", told_target)
        yield from self._go(f"start of {told_rate} up to {told_target}", told_rate)
        self._target = told_target
        return Accepted(told_rate, told_target)

    def _without_alarm(self, what: str) -> Program[None]:
        """Raises `PumpInAlarm` while the pump shows one that silencing it does not end."""
        self._wire.take_told()
        if (yield from self._session.ask("a")):
            yield from self._wire.query("SI", bare)  # a target reached before may still be shown
        alarm = yield from self._session.ask("a")
        if alarm:
            raise PumpInAlarm(what, f"the pump shows alarm a{alarm:04X}")
        if self._session.reset:
            raise PumpInAlarm(what, "the pump was reset")

    def _limit(self, what: str, volume: Volume) -> Program[None]:
        """The pump's counter is at nothing and stands, and it stops at ``volume``."""
        yield from self._session.command("RV")
        self._limit_set = True
        yield from self._session.command(f"PV;{self._numbers.volume(volume)}")
        counted = yield from self._session.ask("r")
        if counted:
            raise PumpRefused(
                what, f"the counter was cleared and reads {Volume(counted * VOLUME_STEP)}"
            )
        if self._session.reset:  # and with that the limit may be forgotten
            raise PumpInAlarm(what, "the pump was reset")
        self._watch.stands_at(Volume(0))

    def _go(self, what: str, rate: Rate) -> Program[None]:
        """``PR`` was sent exactly once and accepted, and the pump shows that rate."""
        wire = self._wire
        yield from wire.catch_up()
        try:
            reply = yield from wire.request(f"PR;{self._numbers.rate(rate)}", bare, sends=1)
        except LinkError as lost:
            raise UncertainDelivery(wire.port, what) from lost
        if reply is None:
            raise UncertainDelivery(wire.port, what)
        if reply.error:
            raise (yield from self._session.refusal(what, reply))
        self._paused = False
        self._rate = rate
        self._watch.started(rate, wire.heard_at)
        self._last = self._before, wire.heard_at
        yield from self._expect_rate(what, rate)

    def _expect_rate(self, what: str, rate: Rate) -> Program[None]:
        """Raises `ProtocolError` or `UncertainDelivery` unless the pump runs at ``rate``."""
        try:
            taken = Rate((yield from self._session.ask("d")) * RATE_STEP)
        except (LinkError, PumpRefused) as silent:
            raise UncertainDelivery(self._wire.port, f"{what} (and then: {silent})") from silent
        if taken != rate:
            raise ProtocolError(
                f"{what}: the pump shows {taken}",
                request=self._numbers.rate(rate).encode(),
                raw=f"d{taken.nl_h // RATE_STEP:04X}".encode(),
            )

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned, where the pump permits that at all.

        Raises `PumpRefused` when the old rate still runs, `ProtocolError` when the pump took another
        rate than was sent (stop it), `UncertainDelivery` when no answer could be had.
        """
        if self._mounted is None or self._target is None or self._paused:
            raise PumpRefused("rate", "nothing runs that was started in this session")
        told = self._mounted.rate(rate)
        what = f"change of the rate to {rate}"
        reading = yield from self.read()
        if reading.state is not PumpState.RUNNING or reading.alarms:
            raise PumpRefused(what, f"the pump is {reading.state.name}, not RUNNING")
        wire = self._wire
        try:
            yield from wire.catch_up()
            reply = yield from wire.request(f"PR;{self._numbers.rate(told)}", bare)
        except LinkError as lost:
            raise UncertainDelivery(wire.port, what) from lost
        if reply is None:
            raise UncertainDelivery(wire.port, what)
        if reply.error:
            raise (yield from self._session.refusal(what, reply))
        yield from self._expect_rate(what, told)
        self._rate = told
        self._watch.started(told, wire.heard_at)
        return told

    def read(self) -> Program[Reading]:
        """Counter, alarm and rate, one question each.  Raises `NoAnswer`, `PumpRefused`."""
        shown = Volume((yield from self._session.ask("r")) * VOLUME_STEP)
        counted_at = self._wire.heard_at
        alarm = yield from self._session.ask("a")
        speed = Rate((yield from self._session.ask("d")) * RATE_STEP)
        return self._reading(shown, counted_at, alarm, speed)

    def _reading(self, shown: Volume, at: float, alarm: int, speed: Rate) -> Reading:
        """Motion outranks an alarm, and an alarm the reason for standing still."""
        alarms, words = PumpAlarm.NONE, self._wire.take_told()
        if self._watch.went_back(shown) or self._session.reset:
            alarms |= PumpAlarm.RESET
            self._session.reset = False
        infused, target = self._before + shown, self._target
        self._last = infused, at
        state = self._watch.state(shown, None if target is None else target.less(self._before), at)
        beyond = target is not None and infused > target and self._watch.moved
        at_target = target is not None and infused + STEP >= target and not beyond
        if alarm and f"a{alarm:04X}" not in " ".join(words):
            words.append(f"a{alarm:04X}")
        if at_target and (words or (state is PumpState.STOPPED and not self._paused)):
            state, words = PumpState.COMPLETED, []
            self._watch.stands_at(shown)
        if target is not None and self._watch.moved and speed not in (self._rate, Rate(0)):
            words.append(f"rate {speed}")
        if words:
            alarms |= PumpAlarm.INTERNAL_FAULT
        if alarms and not self._watch.moved:
            state = PumpState.ALARM
            self._watch.stands_at(shown)
        elif state is PumpState.STOPPED and self._paused:
            state = PumpState.PAUSED
        return Reading(state, infused, alarms, words=" ".join(words))

    def pause(self) -> Program[Reading]:
        """The delivery is held; an ended one is left as it is.  Raises `NoAnswer`, `PumpRefused`."""
        reading = yield from self.read()
        if reading.state is not PumpState.RUNNING or reading.alarms:
            return reading
        reading = yield from self.stop()
        if reading.state is not PumpState.STOPPED:
            return reading
        self._paused = True
        return Reading(PumpState.PAUSED, reading.infused, reading.alarms, words=reading.words)

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target.

        The counter is cleared and the limit set anew: whether the pump counts its limit from the counter
        or from the start, it then means the same.  Raises as `start` does; `PumpRefused` unless this
        session's delivery is paused.
        """
        target = self._target
        if target is None or not self._paused:
            raise PumpRefused("resume", "nothing is paused that was started in this session")
        yield from self._without_alarm("resume")
        infused = (yield from self.read()).infused
        # The counter shows whole digits: up to one of them may have been delivered beyond it.
        rest = target.less(infused + STEP)
        if not rest.nl:
            raise PumpRefused("resume", f"nothing is left of {target}")
        yield from self._limit("resume", rest)
        self._before = infused
        yield from self._go(f"resuming towards {target}", self._rate)
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        """The pump stands.  Raises `NoAnswer` only when given up."""
        shown = yield from stop_until_still(self._wire, self._session.open_again)
        alarms, words = PumpAlarm.NONE, self._wire.take_told()
        if self._watch.went_back(shown) or self._session.reset:
            alarms |= PumpAlarm.RESET
            self._session.reset = False
        self._watch.stands_at(shown)
        self._paused = False
        infused, target = self._before + shown, self._target
        self._last = infused, self._wire.heard_at
        at_target = target is not None and infused + STEP >= target
        if words and not at_target:
            alarms |= PumpAlarm.INTERNAL_FAULT
        complete = target is not None and infused >= target
        return Reading(
            PumpState.COMPLETED if complete else PumpState.STOPPED,
            infused,
            alarms,
            words="" if at_target else " ".join(words),
        )


def _anything(_reply: Reply) -> bool:
    """A name may be any text, or none."""
    return True
