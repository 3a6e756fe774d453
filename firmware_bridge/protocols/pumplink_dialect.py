"""A microcontroller pump that speaks `pumplink/1` itself, host side: what to exchange for each operation.

Answerable for the order of exchanges, and for what the pump's states and alarms mean to the bridge; not
for single exchanges (`pumplink_wire`), repetition (`pumplink_host`) or bytes (`pumplink`).  Pure: every
operation is a program in the sense of `firmware_bridge.dialect`.

The pump has a gate of its own, which is opened for each delivery with exactly its volume, and a lease of
its own, which `read` alone renews while the motor is on, once each.

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

from collections.abc import Sequence

from firmware_bridge.dialect import (
    Accepted,
    Frame,
    Identity,
    Limits,
    Listen,
    Program,
    Reading,
    Syringe,
)
from firmware_bridge.errors import (
    BeyondPump,
    LinkError,
    NoAnswer,
    ProtocolError,
    PumpInAlarm,
    PumpRefused,
    UncertainDelivery,
)
from firmware_bridge.messages import (
    Arm,
    Capability,
    Code,
    Configure,
    Disarm,
    Ending,
    HelloAck,
    Pause,
    PumpAlarm,
    PumpState,
    Result,
    Resume,
    Run,
    SelfTest,
    Sensors,
    SetRate,
    Snapshot,
)
from firmware_bridge.protocols.pumplink_wire import Wire
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

_STANDING = (PumpState.STOPPED, PumpState.COMPLETED, PumpState.ALARM)

_WARNINGS = PumpAlarm.BATTERY | PumpAlarm.MAINS_LOST
"""They are told once: while their cause lasts, a pump that was acknowledged starts all the same."""

_ROUNDS = 22
_GREET_AFTER = 4
"""So many rounds without a word from the pump, and it may have been reset: it is greeted again."""

_BETWEEN = Duration(100)
"""Between two readings that show a standstill [design]."""

_CLOCK_SLOW_PER_CENT = 10
"""A dead-man whose clock is slower than this is none [design]."""

_TIME_MAX_MS = 0xFFFFFFFF
_MS_PER_H = 3_600_000
_UNKNOWN_DRUG = Concentration(1)
"""The pump keeps no drug library; the bridge's gate, which knows the drug, has been passed."""


class Pumplink:
    """One such pump on one port.  See `dialect.HostDialect` for the operations."""

    name = "pumplink"
    capabilities = (
        Capability.VOLUME_TARGET
        | Capability.RATE_WHILE_RUNNING
        | Capability.DEAD_MAN
        | Capability.INTEGRITY_CHECK
    )
    """What the protocol asks of every pump; once one was met, what that one says of itself."""

    def __init__(self, *, port: str = "pumplink", reply_within: Duration = Duration(500)) -> None:
        self._wire = Wire(port, reply_within)
        self._pump: HelloAck | None = None
        self._configured = False
        self._lease: Duration | None = None
        """That of the delivery under way."""
        self._warned = PumpAlarm.NONE
        self._was_reset = False

    # --- bytes ------------------------------------------------------------------------------------

    def it_is(self, now: float) -> None:
        """See `dialect.Timed`."""
        self._wire.now = now

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        return self._wire.receive(data, now)

    def alarms_heard(self) -> PumpAlarm:
        """Of a reset the boot id tells, and not an alarm that may be older than this link."""
        return _meant(self._wire.told & ~PumpAlarm.RESET)

    def discard_at(self) -> float | None:
        """Never: a delimiter ends an incomplete frame, and every STOP begins with one."""
        return None

    def discard(self, now: float) -> None:
        self._wire.now = now

    def stop_frame(self) -> bytes:
        return self._wire.stop_frame()

    # --- before a delivery ------------------------------------------------------------------------

    def connect(self) -> Program[Identity]:
        """A new link, which ends what an older one had begun; stopped for certain; identified.

        Raises `NoAnswer`, saying what to check; `ProtocolError` for a pump of another page.
        """
        self._forget_delivery()
        self._configured = False
        try:
            pump = yield from self._wire.greet()
        except NoAnswer:
            raise NoAnswer(
                self._wire.port,
                "no answer from a pumplink/1 pump: check power, cable and speed, 115200 8N1",
            ) from None
        self._met(pump)
        yield from self._stopped()
        yield from self._wire.acknowledge(PumpAlarm.RESET)  # of any boot before this link
        return Identity("pumplink/1", pump.firmware, pump.serial_number, repr(pump))

    def _met(self, pump: HelloAck) -> None:
        before, self._pump = self._pump, pump
        self.capabilities = pump.capabilities
        if before is None:
            return
        if (before.serial_number, before.boot_id) != (pump.serial_number, pump.boot_id):
            self._was_reset = self._was_reset or before.serial_number == pump.serial_number
            self._configured = False
            self._forget_delivery()

    def configure(self, syringe: Syringe) -> Program[Limits]:
        """The pump took this syringe.  Raises `PumpRefused`, `NoAnswer`."""
        pump, wire = self._known(), self._wire
        self._configured = False
        order = Configure(wire.command_id(), syringe.diameter_um, syringe.size)
        result = yield from wire.command(order)
        _demand("syringe", result)
        self._configured = True
        return Limits(
            rate_min=pump.rate_min,
            rate_max=min(pump.rate_max, result.rate),
            volume_step=result.volume,
            lease_min=pump.lease_min,
            lease_max=pump.lease_max,
        )

    def _known(self) -> HelloAck:
        if self._pump is None:
            raise PumpRefused("pump", "it has not been met")
        return self._pump

    def prove_dead_man(self, lease: Duration) -> Program[str]:
        """The pump's own lease ran out with the motor stopped, by a clock as fast as ours, and it says so.

        Raises `PumpRefused` where any of that is not so; `NoAnswer`.
        """
        wire = self._wire
        before = yield from wire.clocks()
        result = yield from wire.command(SelfTest(wire.command_id(), lease))
        _demand("self-test", result)
        after = yield from wire.clocks()
        snapshot = yield from wire.snapshot()
        if PumpAlarm.LEASE_EXPIRED not in snapshot.alarms or snapshot.state not in _STANDING:
            raise PumpRefused("self-test", f"the pump shows {snapshot}")
        ours, its = (
            after.t_host_us - before.t_host_us,
            after.t_pump_us - before.t_pump_us,
        )
        if its * 100 < ours * (100 - _CLOCK_SLOW_PER_CENT):
            raise PumpRefused("self-test", f"its clock is slow: {its} us in {ours} us of ours")
        yield from wire.acknowledge(PumpAlarm.LEASE_EXPIRED)
        wire.told &= ~PumpAlarm.LEASE_EXPIRED
        return f"lease expired after {lease} of silence, {its} us by its own clock in {ours} us"

    def disown(self) -> None:
        """Nothing is kept in the pump that outlives its link."""

    def relax(self) -> Program[None]:
        """The pump's lease rests with the motor: there is nothing to do."""
        yield from ()

    def restore(self, *, keep_count: bool = False) -> Program[Sequence[str]]:
        """The pump's gate is closed; nothing else was changed in it.  Raises `NoAnswer`, `PumpRefused`."""
        reading = yield from self._look()
        if reading.state is PumpState.RUNNING:
            raise PumpRefused("restore", "the pump is not stopped")
        if self._configured:
            _demand("disarm", (yield from self._wire.command(Disarm(self._wire.command_id()))))
        return []

    def _forget_delivery(self) -> None:
        self._lease = None

    # --- delivery ---------------------------------------------------------------------------------

    def start(self, rate: Rate, target: Volume, lease: Duration) -> Program[Accepted]:
        """The pump's gate is opened for this much, then RUN is given; a repetition of it cannot dose twice.

        Raises `PumpRefused`, `PumpInAlarm` and `NoAnswer` when nothing was started, and
        `UncertainDelivery` when nobody knows.
        """
        pump, wire = self._known(), self._wire
        if not self._configured:
            raise PumpRefused("start", "no syringe has been configured")
        self._forget_delivery()
        slowest_ms = target.nl * _MS_PER_H // max(1, pump.rate_min.nl_h) + 1
        limits = Arm(
            wire.command_id(),
            rate_max=pump.rate_max,
            volume_per_command_max=target,
            volume_total_max=target,
            time_max=Duration(min(_TIME_MAX_MS, slowest_ms)),
            concentration=_UNKNOWN_DRUG,
        )
        _demand("arming", (yield from wire.command(limits)))
        what = f"start of {rate} up to {target}"
        result = yield from self._moving(what, Run(wire.command_id(), rate, target, lease))
        self._lease = lease
        return Accepted(result.rate, result.volume)

    def _moving(self, what: str, order: Run | Resume | SetRate) -> Program[Result]:
        """What the pump took.  Raises `UncertainDelivery` where it may have obeyed."""
        try:
            result = yield from self._wire.command(order)
        except LinkError as lost:
            raise UncertainDelivery(self._wire.port, what) from lost
        if result.ending is Ending.UNCERTAIN:
            raise UncertainDelivery(self._wire.port, f"{what}: {result.reason}")
        _demand(what, result)
        return result

    def set_rate(self, rate: Rate) -> Program[Rate]:
        """The running delivery goes on at the rate returned.

        Raises `PumpRefused` when the old rate still runs, `UncertainDelivery` when nobody knows.
        """
        order = SetRate(self._wire.command_id(), rate)
        return (yield from self._moving(f"change of the rate to {rate}", order)).rate

    def read(self) -> Program[Reading]:
        """The pump's lease is renewed while it delivers, then what it shows.  Raises `NoAnswer`.

        While the pump delivers, only the caller's own lease may lead here.
        """
        if self._lease is None:
            return (yield from self._look())
        snapshot = yield from self._wire.renew(self._lease, self._known().lease_min)
        return (yield from self._reading(snapshot))

    def _look(self) -> Program[Reading]:
        """What the pump shows, without renewing anything.  Raises `NoAnswer`."""
        return (yield from self._reading((yield from self._wire.snapshot())))

    def pause(self) -> Program[Reading]:
        """The delivery is held; an ended one is left as it is.  Raises `NoAnswer`."""
        result = yield from self._wire.command(Pause(self._wire.command_id()))
        if result.ending is Ending.DONE:
            self._lease = None
        elif result.code is not Code.WRONG_STATE:
            _demand("pause", result)
        return (yield from self._look())

    def resume(self, lease: Duration) -> Program[Reading]:
        """A paused delivery goes on with the rest of its target.  Raises as `start` does.

        The pump takes the length of its lease from the start.
        """
        yield from self._moving("resuming", Resume(self._wire.command_id()))
        self._lease = lease
        return (yield from self.read())

    # --- stopping ---------------------------------------------------------------------------------

    def stop(self) -> Program[Reading]:
        """The pump stands.  Raises `NoAnswer` only when given up."""
        self._forget_delivery()
        return (yield from self._reading((yield from self._stopped())))

    def _stopped(self) -> Program[Snapshot]:
        """STOP until it is confirmed and two snapshots show the same volume and no motion."""
        wire, confirmed, silent = self._wire, False, 0
        last: Snapshot | None = None
        for _ in range(_ROUNDS):
            if silent and silent % _GREET_AFTER == 0 and wire.is_open:
                confirmed = (yield from self._greeted_again()) and confirmed
            if not confirmed:
                try:
                    confirmed = yield from wire.stop()
                except (NoAnswer, ProtocolError):
                    silent += 1
                    continue
            if last is not None:
                yield Listen(_BETWEEN)
            try:
                snapshot = yield from wire.snapshot(tries=1)
            except NoAnswer:
                silent += 1
                continue
            silent = 0
            moved = last is None or snapshot.infused != last.infused
            last = snapshot
            if snapshot.state not in _STANDING:
                confirmed = False
            elif confirmed and not moved:
                return snapshot
        shown = "nothing" if last is None else f"{last.state.name}, {last.infused} infused"
        raise NoAnswer(wire.port, f"the stop is not confirmed; the pump last said {shown}")

    def _greeted_again(self) -> Program[bool]:
        try:
            self._met((yield from self._wire.greet_again()))
        except (NoAnswer, ProtocolError):
            return False
        return True

    # --- readings ---------------------------------------------------------------------------------

    def _reading(self, snapshot: Snapshot) -> Program[Reading]:
        """What it means; alarms are acknowledged at the pump, because the bridge keeps them from here on."""
        wire = self._wire
        alarms = snapshot.alarms | wire.told
        wire.told = PumpAlarm.NONE
        if snapshot.state is not PumpState.RUNNING:
            self._lease = None
        told_before = self._warned & alarms
        self._warned = alarms & _WARNINGS
        new = alarms & ~told_before
        words = ""
        if new:
            words = yield from self._words(snapshot, new)
            yield from wire.acknowledge(new)
        meant = _meant(new & ~PumpAlarm.RESET)
        if self._was_reset:
            self._was_reset, meant = False, meant | PumpAlarm.RESET
        state = snapshot.state
        return Reading(state, snapshot.infused, meant, snapshot.pressure_pa, words)

    def _words(self, snapshot: Snapshot, alarms: PumpAlarm) -> Program[str]:
        """Its alarms by name, and what its sensors show, where it has them and stands."""
        names = " ".join(str(alarm.name) for alarm in alarms)
        if Capability.SENSORS not in self.capabilities or snapshot.state is PumpState.RUNNING:
            return names
        try:
            return f"{names} ({_shown((yield from self._wire.sensors()))})"
        except NoAnswer:
            return names


def _meant(alarms: PumpAlarm) -> PumpAlarm:
    """As the bridge uses the bits: the pump's own latch is not the bridge's, and only a person undoes it."""
    if PumpAlarm.ESTOP_LATCHED in alarms:
        return alarms & ~PumpAlarm.ESTOP_LATCHED | PumpAlarm.INTERNAL_FAULT
    return alarms


def _shown(sensors: Sensors) -> str:
    inputs = [str(each.name).lower().replace("_", " ") for each in sensors.inputs]
    behind = (sensors.steps_commanded - sensors.steps_counted) % (1 << 32)
    return ", ".join(
        [
            f"{sensors.pressure_pa} Pa",
            f"{behind} steps behind",
            f"battery {sensors.battery_s} s",
            *inputs,
        ]
    )


def _demand(what: str, result: Result) -> None:
    """Raises the `PumpRefused` that anything but *done* stands for."""
    if result.ending is Ending.DONE:
        return
    reason = result.reason or result.code.name.lower().replace("_", " ")
    if result.code is Code.OVER_LIMIT:
        raise BeyondPump(what, reason)
    raise (PumpInAlarm if result.code is Code.ALARM_PRESENT else PumpRefused)(what, reason)
