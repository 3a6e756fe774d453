"""New Era NE-1000 family, host side: what to exchange for each operation on the pump.

Answerable for the order of exchanges and for believing nothing that was not read back; not for bytes
(`new_era_frames`), numbers (`new_era_numbers`) or single exchanges (`new_era_wire`).  Pure: every
operation is a program in the sense of `firmware_bridge.dialect`.

The pump delivers in *safe mode*: packets carry a CRC, alarms are announced unasked, and a pump that
hears no valid packet for ``SAF`` seconds stops by itself.  That is its dead-man, and ``start`` sets it
no longer than the lease.  A start programs everything, reads everything back, and sends ``RUN`` once.

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import Capability, PumpAlarm, PumpState
from firmware_bridge.protocols.new_era_numbers import (
    PumpNumber,
    lost_too_much,
    parse_rate,
    parse_volume,
)
from firmware_bridge.protocols.new_era_plan import Mounted, lease_seconds
from firmware_bridge.protocols.new_era_replies import (
    STATES,
    Counters,
    Reply,
    bare,
    counters_of,
    is_counters,
    is_version,
    parse_counters,
    parse_identity,
)
from firmware_bridge.protocols.new_era_settings import SHAPES, Settings
from firmware_bridge.protocols.new_era_stop import prove_dead_man, stop_until_still
from firmware_bridge.protocols.new_era_wire import Wire, refusal
from firmware_bridge.quantities import Duration, Rate, Volume

_OPENING_MOVES = 6
_PAUSES = 4
_STOP_ONLY_TRIGGERS = ("SP", "P2", "SL", "SH")
"""External triggers that can stop the pump and never start it (NE-500 manual 1200-02, section 9)."""


REST_S = 255
"""The longest time of the safe mode, in seconds (user manual, SAF)."""


class NewEra:
    """One New Era pump at one address of one port.  See `dialect.HostDialect` for the operations."""

    name = "new-era"
    capabilities = (
        Capability.VOLUME_TARGET
        | Capability.RATE_WHILE_RUNNING
        | Capability.DEAD_MAN
        | Capability.INTEGRITY_CHECK
        | Capability.UNSOLICITED_ALARMS
        | Capability.STALL_DETECTION
        | Capability.WITHDRAW
    )

    def __init__(
        self,
        *,
        port: str = "new-era",
        address: int = 0,
        reply_within: Duration = Duration(500),
    ) -> None:
        """``port`` goes into errors; ``reply_within`` may be stretched for slow lines and clocks."""
        if not 0 <= address <= 99:
            raise ValueError(f"address {address} is outside 0 to 99")
        self.alarms_at_connect = PumpAlarm.NONE
        """What was pending when the session began, and so is not about anything it started."""
        self._identity: Identity | None = None
        self._wire = Wire(port, address, reply_within)
        self._settings = Settings(self._wire)
        self._mounted: Mounted | None = None
        self._target: Volume | None = None
        """What the last start of this session may deliver."""
        self._unit: str | None = None
        """The rate unit of that start."""

    # --- bytes ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data, now)

    def alarms_heard(self) -> PumpAlarm:
        return self._wire.seen

    def discard_at(self) -> float | None:
        return self._wire.reader.discard_at()

    def discard(self, now: float) -> None:
        self._wire.reader.discard()

    def stop_frame(self) -> bytes:
        return self._wire.frame("STP")

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """Stop, identify, record.  Works whichever mode the pump was left in, alarm pending or not.

        The same pump met again, after its port was lost: what was recorded first stays what `restore`
        puts back, and alarms found are in the next reading.
        Raises `NoAnswer`, saying what to check; `PumpRefused` for a pump without a safe mode.
        """
        self._mounted = self._target = self._unit = None
        yield from self._open()
        yield from stop_until_still(self._wire)
        answer = yield from self._wire.query("VER", is_version, patient=True)
        identity = parse_identity(answer.data)
        seconds = yield from self._wire.safe_time(patient=True)
        met_again = identity == self._identity
        self._identity = identity
        if not met_again:
            self._settings.forget()
            self.alarms_at_connect = self._wire.take_seen()
        yield from self._settings.record(seconds)
        return identity

    def _open(self) -> Program[None]:
        """Find the framing in which the pump answers a STOP.

        Safe first, since it is understood in both modes; each twice and more, since some pumps ignore
        the first command after power-up; with silence between, which ends a packet that an earlier
        host left incomplete.
        """
        wire = self._wire
        wire.reader.accept_basic = True
        for move in range(_OPENING_MOVES):
            wire.safe = move % 2 == 0
            hush = wire.hush if move and wire.safe else Duration(0)
            reply = yield from wire.request("STP", bare, hush=hush)
            if reply is not None:
                return
        raise NoAnswer(
            wire.port,
            f"no answer from a New Era pump at address {wire.address}, in safe or basic mode: "
            "check power, cable, baud rate, address and command set",
        )

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """Diameter, phases, direction, no restart after power failure, no external start: read back.

        Raises `PumpRefused` naming the value that was not taken; `PumpInAlarm`; `NoAnswer`.
        """
        self._mounted = self._target = self._unit = None
        mounted = Mounted.of(syringe)
        yield from self._counters_at_rest("configure")
        yield from self._settings.ensure_phases()
        yield from self._settings.ensure("DIA", mounted.diameter)
        yield from self._settings.ensure("DIR", "INF")
        yield from self._settings.ensure("PF", "0")
        yield from self._settings.ensure("TRG", "SP", also=_STOP_ONLY_TRIGGERS)
        self._mounted = mounted
        return mounted.limits

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """See `new_era_stop.prove_dead_man`."""
        seconds = lease_seconds(lease)
        self._target = self._unit = None
        return (yield from prove_dead_man(self._wire, self._settings, seconds))

    def disown(self) -> None:
        self._settings.disown()

    def relax(self) -> Program[None]:
        """Safe mode and its checksums stay; its time is the longest there is.  Raises `NoAnswer`."""
        if self._wire.safe:
            yield from self._settings.safe_time(REST_S)

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """What this session changed is as `connect` found it, basic mode included.

        With ``keep_count`` all but the diameter, which clears both counters when it changes.
        Returns one line for each setting, failures included.  Raises `PumpRefused` unless the pump is
        stopped; `NoAnswer`.
        """
        self._mounted = self._target = self._unit = None
        yield from self._counters_at_rest("restore", patient=True)
        return (yield from self._settings.restore(keep_count=keep_count))

    def _counters_at_rest(self, what: str, *, patient: bool = False) -> Program[Counters]:
        """The counters of a pump that is stopped, neither running nor paused; else `PumpRefused`."""
        reply, counters = yield from self._dis(patient=patient)
        if reply.status != "S":
            raise PumpRefused(what, f"the pump is not stopped; it says {reply.status!r}")
        return counters

    def _dis(self, *, patient: bool) -> Program[tuple[Reply, Counters]]:
        """The answer to ``DIS`` and its counters; the shape asked for makes sure that it has some."""
        reply = yield from self._wire.query("DIS", is_counters, patient=patient)
        return reply, counters_of(reply)

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """Everything is programmed and read back, then ``RUN`` is sent, once.

        Raises `PumpRefused`, `PumpInAlarm` and `NoAnswer` when nothing was started, and
        `UncertainDelivery` when the answer to ``RUN`` was lost.
        """
        mounted = self._mounted
        if mounted is None:
            raise PumpRefused("start", "no syringe has been configured")
        pump_rate, pump_target = mounted.rate(rate), mounted.target(target)
        seconds = lease_seconds(lease)
        self._target = self._unit = None
        yield from self._still_configured(mounted)
        yield from self._settings.safe_time(seconds)
        yield from self._wire.set("CLDINF")
        counters = yield from self._counters_at_rest("start")
        if counters.infused.nl:
            raise PumpRefused("start", f"the counter was cleared and reads {counters.infused}")
        if counters.unit != pump_target.unit:
            yield from self._settings.write("VOL", pump_target.unit)
        yield from self._settings.write("VOL", pump_target.text)
        volume = yield from self._read_back("VOL", parse_volume, target.nl, pump_target)
        yield from self._settings.write("RAT", pump_rate.text + pump_rate.unit)
        speed = yield from self._read_back("RAT", parse_rate, rate.nl_h, pump_rate)
        accepted = Accepted(Rate(speed), Volume(volume))
        self._target, self._unit = accepted.volume, pump_rate.unit
        yield from self._run(f"start of {accepted.rate} up to {accepted.volume}", Volume(0))
        return accepted

    def _still_configured(self, mounted: Mounted) -> Program[None]:
        """What decides over the dose is as `configure` left it; a keypad can change it."""
        yield from self._settings.expect("PHN", "1")
        yield from self._settings.expect("DIA", mounted.diameter)
        yield from self._settings.expect("DIR", "INF")

    def _read_back(
        self,
        mnemonic: str,
        parse: Callable[[str], PumpNumber | None],
        asked: int,
        sent: PumpNumber,
    ) -> Program[int]:
        """What the pump took; raises `PumpRefused` if it is more than asked, or far less."""
        reply = yield from self._wire.query(mnemonic, SHAPES[mnemonic])
        taken = parse(reply.data)
        if taken is None or taken.unit != sent.unit or lost_too_much(asked, taken.amount):
            raise PumpRefused(
                mnemonic, f"sent {sent.text}{sent.unit}, the pump reads back {reply.data}"
            )
        return taken.amount

    def _run(self, what: str, infused_before: Volume) -> Program[None]:
        """``RUN`` was sent exactly once, and the pump says that it runs.

        Must follow a question that was answered, so that no older answer can be taken for this one's.
        """
        try:
            reply = yield from self._wire.request("RUN", bare)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if reply is not None and not reply.alarm:
            if reply.error:
                raise refusal(reply, what)
            if reply.status != "I":
                raise ProtocolError(
                    f"{what}: the pump says {reply.status!r}", request=b"RUN", raw=reply.raw
                )
            return
        try:
            after, counters = yield from self._dis(patient=True)
        except BridgeError as silent:
            raise UncertainDelivery(self._wire.port, f"{what} (and then: {silent})") from silent
        # An alarm is a refusal if it was the answer.  If the answer was lost and the alarm came after
        # it, something may have been delivered: the counter tells.
        if reply is not None and counters.infused == infused_before and after.status == "S":
            raise refusal(reply, what)
        raise UncertainDelivery(
            self._wire.port,
            f"{what} (then the pump said {STATES[after.status].name.lower()}, "
            f"{counters.infused} infused)",
        )

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned; the unit of the start is kept.

        Raises `PumpRefused` when the old rate still runs, `ProtocolError` when the pump took another
        rate than was sent (stop it), `UncertainDelivery` when no answer could be had.
        """
        mounted, unit = self._mounted, self._unit
        if mounted is None or unit is None:
            raise PumpRefused("rate", "nothing was started in this session")
        number = mounted.rate(rate, (unit,))
        before = yield from self._wire.query("RAT", SHAPES["RAT"])
        what = f"change of the rate to {rate}"
        if before.status != "I":
            raise PumpRefused(what, f"the pump is not infusing; it says {before.status!r}")
        try:
            # Without a unit: the unit of a running program cannot be named, let alone changed.
            reply = yield from self._wire.request(f"RAT{number.text}", bare)
            if reply is not None and (reply.alarm or reply.error):
                raise refusal(reply, what)
            after = yield from self._wire.query("RAT", SHAPES["RAT"])
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        taken = parse_rate(after.data)
        if taken is not None and not lost_too_much(rate.nl_h, taken.amount):
            return Rate(taken.amount)
        if after.data == before.data:
            raise PumpRefused(what, f"the pump still reads back {after.data}")
        raise ProtocolError(
            f"{what}: the pump took another", request=number.text.encode(), raw=after.raw
        )

    def read(self) -> Program[Reading]:
        """One ``DIS``, which shows state and delivered volume; more only after an alarm or a silence.

        The alarms are all that were met since the last reading.  A silence is reported, not repaired:
        every packet extends the pump's dead-man, and only the caller's lease may do that.
        Raises `NoAnswer`.
        """
        reply = yield from self._wire.fresh("DIS", is_counters, patient=True)
        if reply is None:
            raise NoAnswer(self._wire.port, "no answer to DIS")
        counters = parse_counters(reply.data)
        if counters is None:  # an alarm or a damaged packet came instead
            reply, counters = yield from self._dis(patient=True)
        return self._reading(reply, counters, self._wire.take_seen())

    def _reading(self, reply: Reply, counters: Counters, alarms: PumpAlarm) -> Reading:
        """Motion outranks an alarm, and an alarm the reason for standing still."""
        state = STATES[reply.status]
        if state is PumpState.STOPPED:
            if alarms:
                state = PumpState.ALARM
            elif self._target is not None and counters.infused >= self._target:
                state = PumpState.COMPLETED
        return Reading(state, counters.infused, alarms)

    def pause(self) -> Program[Reading]:
        """The delivery is held and the program kept; an ended one is left as it is.

        A second ``STP`` would cancel the program, so none is sent unless the pump still says it runs.
        Raises `NoAnswer`, `ProtocolError` if it will not pause.
        """
        for _ in range(_PAUSES):
            reply, counters = yield from self._dis(patient=True)
            if STATES[reply.status] is not PumpState.RUNNING:
                return self._reading(reply, counters, self._wire.take_seen())
            yield from self._wire.fresh("STP", bare, patient=True)
        raise ProtocolError("the pump does not pause", request=b"STP")

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target.

        Raises as `start` does; `PumpRefused` unless this session's delivery is paused.
        """
        seconds = lease_seconds(lease)
        mounted = self._mounted
        if mounted is None or self._target is None:
            raise PumpRefused("resume", "nothing was started in this session")
        yield from self._still_configured(mounted)
        yield from self._settings.safe_time(seconds)
        reply, counters = yield from self._dis(patient=False)
        if reply.status != "P":
            raise PumpRefused("resume", f"the pump is not paused; it says {reply.status!r}")
        yield from self._run(f"resuming towards {self._target}", counters.infused)
        return (yield from self.read())

    def stop(self) -> Program[Reading]:
        """The pump is stopped, in status and counters.  Raises `NoAnswer` only when given up."""
        counters = yield from stop_until_still(self._wire)
        complete = self._target is not None and counters.infused >= self._target
        state = PumpState.COMPLETED if complete else PumpState.STOPPED
        return Reading(state, counters.infused, self._wire.take_seen())
