"""Drive a pump from Python, directly, without a bridge process: ``async with open_pump(url) as pump``.

For the bench and for simulation only; never for a pump connected to a person.

There is no procedure here, no drug and no gate but the pump's own limits and the syringe's size.  Every
delivery has a volume target, programmed before it starts.  While a delivery is awaited this module
renews the pump's dead-man itself, once a second; so what bounds a delivery is its target, and, when the
program that awaits it hangs or dies, the dead-man.  A pump without one (`Capability.DEAD_MAN`) is then
bounded by its target alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from firmware_bridge.clock import at_least_wall, speed_of
from firmware_bridge.declaration import declared_by, undeclared
from firmware_bridge.dialect import Accepted, HostDialect, Identity, Limits, Reading, Syringe
from firmware_bridge.dialects import REPLY_WITHIN, make_dialect, parse_pump_url
from firmware_bridge.errors import (
    BridgeError,
    ConfigurationError,
    NoAnswer,
    PumpInAlarm,
    PumpRefused,
)
from firmware_bridge.link import PumpLink
from firmware_bridge.messages import Capability, PumpAlarm, PumpState, Snapshot
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.opening import open_transport

LEASE = Duration.from_s(3)
"""How long the pump goes on without being asked: the product's usual lease."""

_RENEW_S = 1.0
_SILENCES = 4
"""Questions in a row that may stay unanswered before a delivery is stopped and given up.  The pump's
dead-man does the same by then, if it is the way to the pump that is broken."""

_MARGIN_S = 0.1
"""How long after the expected end of a delivery it is asked for."""

_ENDS = (PumpState.STOPPED, PumpState.COMPLETED, PumpState.ALARM)
_NOTHING = Accepted(Rate(0), Volume(0))


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a delivery ended.  ``ended`` is `COMPLETED`, or `STOPPED` if somebody stopped it before."""

    programmed: Accepted
    delivered: Volume
    ended: PumpState


@asynccontextmanager
async def open_pump(url: str, *, declared_not_connected: str = "") -> AsyncIterator[Pump]:
    """The pump at ``url`` (``new-era:/dev/ttyUSB0?baud=19200``), stopped and identified.

    ``declared_not_connected``: who says that a clinical pump is connected to nobody; without a name
    there, such a pump is not opened.  On leaving, the pump is stopped, every setting that was changed is put back, and the port is
    released, also after an error or a cancellation.  Raises `ConfigurationError`; `LinkError` when the
    port is absent or busy; `NoAnswer` when nobody answers on it.
    """
    parsed = parse_pump_url(url)
    if parsed.simulated:
        raise ConfigurationError(
            f"pump URL {url!r} names no port; start `infusor sim pump` and use the port it prints"
        )
    loop = asyncio.get_running_loop()
    within = Duration.from_s(at_least_wall(REPLY_WITHIN.s, speed_of(loop)))
    dialect = make_dialect(parsed, reply_within=within)
    declared = declared_by(declared_not_connected) if declared_not_connected else ""
    problem = undeclared(dialect.capabilities, declared)
    if problem:
        raise ConfigurationError(f"pump URL {url!r}: {problem}")
    transport = await open_transport(
        parsed.port,
        baud=parsed.baud,
        bytesize=parsed.bytesize,
        parity=parsed.parity,
        stopbits=parsed.stopbits,
        loop=loop,
    )
    async with pump_on(transport, dialect) as pump:
        yield pump


@asynccontextmanager
async def pump_on(transport: Transport, dialect: HostDialect) -> AsyncIterator[Pump]:
    """As `open_pump`, on a transport that is open already and is closed afterwards."""
    link = PumpLink(transport, dialect, asyncio.get_running_loop())
    try:
        pump = Pump(link, await link.do(dialect.connect()))
        try:
            yield pump
        finally:
            await pump.leave()
    finally:
        link.close()


class Pump:
    """One open pump.  Not for use by several tasks at once, except `stop`, which may push in."""

    def __init__(self, link: PumpLink, identity: Identity) -> None:
        self.identity = identity
        """Who answered when the port was opened."""
        self.alarms = PumpAlarm.NONE
        """Latched alarms; none is forgotten before `acknowledge`, and none permits a start."""
        self.restored: tuple[str, ...] = ()
        """After leaving: what was put back in the pump, and what could not be."""
        self._link = link
        self._dialect = link.dialect
        self._loop = asyncio.get_running_loop()
        self._opened_at = self._loop.time()
        self._programmed = _NOTHING
        speed = speed_of(self._loop)
        self._lease = Duration.from_s(at_least_wall(LEASE.s, speed))
        self._renew_s = at_least_wall(_RENEW_S, speed)

    @property
    def capabilities(self) -> Capability:
        """What this family of pumps can do by itself."""
        return self._dialect.capabilities

    async def identify(self) -> Identity:
        """Ask again who is there; the pump is stopped by it.  Raises `BridgeError`."""
        self.identity = await self._link.do(self._dialect.connect())
        return self.identity

    async def configure(self, syringe: Syringe) -> Limits:
        """The syringe and all that must hold before a start are programmed and read back.

        Returns what the pump can do with it.  Raises `PumpRefused`, `NoAnswer`.
        """
        await self._idle_alarms()
        limits = await self._link.do(self._dialect.configure(syringe))
        self._lease = max(self._lease, limits.lease_min)  # some pumps have a fixed dead-man
        return limits

    async def infuse(self, rate: Rate, volume: Volume) -> Delivery:
        """``volume`` has been delivered at ``rate``, or somebody stopped the pump before.

        Both are rounded down to what the pump can be told; `Delivery.programmed` says to what.  Raises
        `PumpRefused` when nothing was started, `UncertainDelivery` when that is not known,
        `PumpInAlarm` and `NoAnswer` when it was cut short.  If cancelled, or in any other error, the
        pump is stopped first.
        """
        await self._idle_alarms()
        if self.alarms:
            raise PumpInAlarm("infuse", f"alarms not acknowledged: {self.alarms.name}")
        try:
            self._programmed = await self._link.do(self._dialect.start(rate, volume, self._lease))
            reading = await self._until_it_stands()
            await self._link.do(self._dialect.relax())
        except PumpRefused:  # nothing was started
            raise
        except BaseException:
            await self._stop_in_need()
            raise
        if reading.alarms:
            raise PumpInAlarm(
                f"infuse {self._programmed.volume}",
                f"cut short after {reading.infused} by alarm {reading.alarms.name} "
                f"{reading.words}".rstrip(),
            )
        return Delivery(self._programmed, reading.infused, reading.state)

    async def bolus(self, volume: Volume, rate: Rate) -> Delivery:
        """``volume`` has been delivered, as by `infuse`; the two names keep a protocol readable."""
        return await self.infuse(rate, volume)

    async def stop(self) -> Reading:
        """The pump stands still, by its own status and counters.  Raises `NoAnswer`, `Disconnected`."""
        return self._noted(await self._link.stop())

    async def snapshot(self) -> Snapshot:
        """State, delivered volume and alarms at this moment.  Raises `NoAnswer`, `Disconnected`.

        Asking also renews the pump's dead-man.
        """
        reading = self._noted(await self._link.do(self._dialect.read()))
        running = reading.state is PumpState.RUNNING
        return Snapshot(
            uptime=Duration.from_s(self._loop.time() - self._opened_at),
            state=reading.state,
            rate=self._programmed.rate if running else Rate(0),
            infused=reading.infused,
            remaining=self._programmed.volume.less(reading.infused),
            pressure_pa=reading.pressure_pa,
            alarms=self.alarms,
            age=Duration(0),
        )

    def acknowledge(self) -> PumpAlarm:
        """The latched alarms are forgotten; returns which they were."""
        alarms, self.alarms = self.alarms, PumpAlarm.NONE
        return alarms

    async def leave(self) -> None:
        """Stopped, and put back as it was found.  Called on leaving `open_pump`.

        Raises nothing that would hide why one leaves: what failed is in `restored`.
        """
        try:
            await self._link.stop()
            self.restored = tuple(await self._link.do(self._dialect.restore()))
        except BridgeError as error:
            self.restored = (f"the pump could not be put back as it was found: {error}",)

    def _noted(self, reading: Reading) -> Reading:
        self.alarms |= reading.alarms
        return reading

    async def _idle_alarms(self) -> None:
        """Alarms pending in a pump at rest are latched, but for its dead-man's.

        Between deliveries nobody keeps the pump alive, and nothing that its dead-man could stop is
        under way; so that alarm says nothing.
        """
        reading = await self._ask_patiently()
        self.alarms |= reading.alarms & ~PumpAlarm.LEASE_EXPIRED
        if reading.state is PumpState.RUNNING:
            raise PumpRefused("pump", "it is running already")

    async def _until_it_stands(self) -> Reading:
        """Ask once a second, which keeps the pump alive, until the delivery has ended.

        A pause at the keypad is waited for: there is no time limit on motion, only on answers.
        """
        left = self._programmed.volume
        while True:
            expected = self._programmed.rate.time_for(left).s + _MARGIN_S
            await asyncio.sleep(min(self._renew_s, expected))
            reading = self._noted(await self._ask_patiently())
            if reading.state in _ENDS:
                return reading
            left = self._programmed.volume.less(reading.infused)

    async def _ask_patiently(self) -> Reading:
        for _ in range(_SILENCES - 1):
            with contextlib.suppress(NoAnswer):
                return await self._link.do(self._dialect.read())
        return await self._link.do(self._dialect.read())

    async def _stop_in_need(self) -> None:
        """Stop without hiding the error that made it necessary; `leave` stops once more."""
        with contextlib.suppress(BridgeError):
            await self._link.stop()
