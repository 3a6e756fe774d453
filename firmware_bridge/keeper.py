"""Keeping one pump: the one task that talks to it, and the stops that everybody else can write.

A STOP is written synchronously where it is decided; seeing it confirmed is the first thing the serving
task does next.  While the pump delivers, the task sends nothing but one reading for each wanted, orders,
and STOP.  Not answerable for who may start what (`gate`), what follows from a reading (`supervision`),
how an order ends (`orders`), opening and meeting the pump (`pump_port`), nor what the controller's
messages mean (`bridge`).

All methods belong to the loop's thread but `PumpKeeper.write_stop_frame`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from firmware_bridge.caps import Caps
from firmware_bridge.clock import at_least_wall, speed_of
from firmware_bridge.conversation import PushedAside
from firmware_bridge.dialect import Frame, HostDialect, Program, Reading, T
from firmware_bridge.errors import BridgeError, Disconnected, LinkError, PortGone
from firmware_bridge.gate import Closed
from firmware_bridge.latch import Latch
from firmware_bridge.messages import Bolus, PumpAlarm, Resume, Run, SelfTest
from firmware_bridge.order_queue import OrderQueue
from firmware_bridge.orders import Order, Orders
from firmware_bridge.pump_port import OpenPort, PumpPort
from firmware_bridge.quantities import Duration
from firmware_bridge.reporter import Reporter
from firmware_bridge.supervision import READING_OLD_S, Finding, Supervision
from firmware_bridge.upstream import Upstream

STOP_REPEAT_S = 0.1
"""Between two stop programs that both failed; within one, the dialect keeps its own time."""

STOP_UNCONFIRMED_S = 1.0
"""A stop that the pump has not confirmed by then is an alarm, and goes on being tried."""

END_WITHIN_S = 60.0
"""Without a controller: how long a pump that cannot be confirmed stopped is still tried."""

BEGIN_WITHIN_S = 5.0
"""How long a first stop may take before the controller is let in on a pump of unknown state."""

ARMS_DEAD_MAN = (Bolus, Resume, Run, SelfTest)
"""Orders that leave the pump's dead-man set to a lease."""


class PumpKeeper:
    """One pump's owner.  It tells ``upstream`` how orders and stops ended and what happened.

    ``met`` is called when somebody has answered on the port, or its limits have become known.
    """

    def __init__(
        self,
        open_port: OpenPort,
        dialect: HostDialect,
        upstream: Upstream,
        *,
        loop: asyncio.AbstractEventLoop,
        caps: Caps,
        latch: Latch,
        log: Callable[[str], None],
        met: Callable[[], None],
    ) -> None:
        self.port = PumpPort(open_port, dialect, loop, self._unsolicited, self._port_lost)
        self.supervision = Supervision(caps, loop.time())
        self.reporter = Reporter(upstream, self.supervision, loop.time)
        self.orders = Orders(self, self.supervision, dialect, loop.time)
        self.stopping = False
        self._pressed = False
        self.restored: tuple[str, ...] = ()
        self.count_is_settled = True
        """Whether the controller has closed its account of everything that was started."""
        self._dialect = dialect
        self._upstream = upstream
        self._loop = loop
        self._latch = latch
        self.introduce = met
        self._log = log
        self._speed = speed_of(loop)
        self._ending = False
        self._give_up_at = float("inf")
        self._waiting = OrderQueue(upstream, loop.time)
        self._read_wanted = False
        self._ordered = False
        self._taut = False
        self._wake = asyncio.Event()
        self._rest = asyncio.Event()
        self._lease_timer: asyncio.TimerHandle | None = None
        self._unconfirmed_timer: asyncio.TimerHandle | None = None
        if latch.is_set:
            self.reporter.raised(PumpAlarm.ESTOP_LATCHED)

    # --- life ------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """The port is open, the pump has said who it is, and has been told to stop.

        Raises `BridgeError` when the port cannot be opened or nobody answers.
        """
        await self.port.open()
        await self._meet()
        until = self._loop.time() + at_least_wall(BEGIN_WITHIN_S, self._speed)
        while self.stopping and self.port.is_open and self._loop.time() < until:
            await self._come_to_rest()

    async def serve(self) -> bool:
        """Serve until `end`; true if the pump then stood still, and as it was found."""
        await self._serve()
        restored = await self._restore()
        if self.stopping:  # somebody pressed stop while the settings were being put back
            await self._serve()
        return restored and not self.stopping

    def close(self) -> None:
        """Release the port, with a last STOP unless the pump is known to stand still.  Idempotent."""
        for timer in (self._lease_timer, self._unconfirmed_timer):
            if timer is not None:
                timer.cancel()
        if not self._rest.is_set():
            self._write_stop()
        self.port.drop()

    async def _serve(self) -> None:
        """Do what is due, the most urgent first, until the controller is gone and the pump at rest."""
        while not self._is_over():
            if not self.port.is_open:
                await self._reopen()
            elif not self.port.is_met:
                await self._meet_again()
            elif self.stopping:
                await self._come_to_rest()
            elif self._read_wanted:
                await self._look()
            elif self._waiting:
                await self._next_order()
            elif self._taut and not self.supervision.delivering and not self._latch.is_set:
                await self._relax()
            else:
                self._wake.clear()
                await self._wake.wait()
            self.reporter.state()
            self._upstream.flush()

    async def _reopen(self) -> None:
        try:
            await self.port.reopen(self._log)
        except PortGone:
            self._give_up_at = self._loop.time()  # in vain, as soon as nobody asks for it

    async def _next_order(self) -> None:
        order, arrived = self._waiting.take()
        self._ordered = True
        self._taut = self._taut or isinstance(order, ARMS_DEAD_MAN)
        try:
            self._upstream.answer(await self.orders.carry_out(order, arrived))
        finally:
            self._ordered = False

    async def _relax(self) -> None:
        """Nothing is delivered: the pump's dead-man is given time, so that it is quiet at rest."""
        self._taut = False
        try:
            await self.do(self._dialect.relax())
        except BridgeError as error:
            self._log(f"the pump's dead-man stays short: {error}")

    def _is_over(self) -> bool:
        return self._ending and (not self.stopping or self._loop.time() > self._give_up_at)

    async def _restore(self) -> bool:
        """Put back what was changed in the pump, unless a latch allows stops and queries only."""
        if self.stopping:
            self._log("the pump could not be confirmed stopped")
            return False
        if self._latch.is_set:
            self._log("stop latch set: settings changed in the pump are not put back")
            return True
        try:
            report = await self.do(self._dialect.restore(keep_count=not self.count_is_settled))
        except BridgeError as error:
            self._log(f"settings could not be put back: {error}")
            return False
        self.restored = tuple(report)
        if report:
            self._log(f"put back: {', '.join(report)}")
        return True

    # --- stopping --------------------------------------------------------------------------------

    def stop_now(self, why: str) -> None:
        """Emergency stop: latched, and STOP written, before this returns.  Never raises."""
        first, self._pressed = not self._pressed, True
        self._latch.set(why)
        # Further presses on one stop leave it to the dialect to repeat.
        if first or not self.stopping:
            self._write_stop()
        self._log(f"emergency stop: {why}")
        self._rest_wanted(Closed.EMERGENCY_STOP)
        self.reporter.raised(PumpAlarm.ESTOP_LATCHED)
        self._upstream.flush()
        error = self._latch.save()
        if error is not None:
            self._log(error)
            self.reporter.raised(PumpAlarm.INTERNAL_FAULT)
            self._upstream.flush()

    def halt(
        self, why: str, close: Closed | None = None, alarms: PumpAlarm = PumpAlarm.NONE
    ) -> None:
        """Ordinary stop: STOP is written before this returns.  Never raises."""
        if not self.stopping:
            self._write_stop()
        self._log(f"stop: {why}")
        self._rest_wanted(close)
        self.reporter.raised(alarms)

    def end(self) -> None:
        """Stop, restore, leave: as if the controller had gone.  Idempotent."""
        if not self._ending:
            self._ending = True
            self._give_up_at = self._loop.time() + at_least_wall(END_WITHIN_S, self._speed)
            self.halt("the controller is gone", Closed.ENDING)

    def write_stop_frame(self) -> None:
        """One STOP on the wire and nothing else; from a signal handler or another thread.

        Raises `errors.Disconnected` when the port is gone.
        """
        self.port.write_now(self._dialect.stop_frame())

    async def at_rest(self, within_s: float) -> bool:
        """Whether the pump has confirmed, within so many loop seconds, that it stands still."""
        try:
            async with asyncio.timeout(within_s):
                await self._rest.wait()
        except TimeoutError:
            return False
        return True

    def _write_stop(self) -> None:
        try:
            self.port.stop_now()
        except LinkError as error:
            self._port_lost(error)

    def _rest_wanted(self, close: Closed | None) -> None:
        """From here on nothing but stopping happens until the pump stands still."""
        if close is not None:
            self.supervision.gate.close(close)
        self._rest.clear()
        self._wake.set()
        if not self.stopping:
            self.stopping = True
            self._expect_confirmation()
        self._waiting.refuse_all("a stop came first")
        self.reporter.snapshots()

    def _expect_confirmation(self) -> None:
        if self._unconfirmed_timer is not None:
            self._unconfirmed_timer.cancel()
        patience_s = at_least_wall(STOP_UNCONFIRMED_S, self._speed)
        self._unconfirmed_timer = self._loop.call_later(patience_s, self._unconfirmed)

    def _unconfirmed(self) -> None:
        """A pump behind a lost port cannot confirm; that it is lost has been said."""
        if self.stopping and self.port.is_open:
            self._log("the stop is not confirmed")
            self.reporter.raised(PumpAlarm.STOP_UNCONFIRMED)
            self._upstream.flush()

    async def _come_to_rest(self) -> None:
        try:
            reading = await self.port.stop()
        except Disconnected as error:
            self._port_lost(error)
            return
        except BridgeError as error:
            self._log(str(error))
            await asyncio.sleep(STOP_REPEAT_S)
            return
        supervision, now = self.supervision, self._loop.time()
        alarms = supervision.came_to_rest(reading, now)
        if alarms is None:
            return  # whatever it does, it does not stand still: stop it again
        self.stopping = self._pressed = False
        if reading.words:
            self._log(f"the pump says {reading.words}")
        supervision.cause_gone(PumpAlarm.STOP_UNCONFIRMED | PumpAlarm.LINK_LOST)
        self._mind(alarms)
        self._rest.set()
        self.reporter.at_rest()

    # --- the pump --------------------------------------------------------------------------------

    async def do(self, program: Program[T]) -> T:
        """Run one program, unless a stop is due.  Raises `BridgeError`."""
        if self.stopping:
            program.close()
            raise PushedAside(self.port.name, "a stop came first")
        try:
            return await self.port.do(program)
        except Disconnected as error:
            self._port_lost(error)
            raise

    async def bring_to_rest(self) -> Reading:
        """The stop path as such, for the self-test.  Raises `BridgeError`."""
        return await self.port.stop()

    def latched(self) -> bool:
        return self._latch.is_set

    def took(self, reading: Reading) -> None:
        """Act on what the pump said while nobody was stopping it."""
        supervision, now = self.supervision, self._loop.time()
        finding, alarms = supervision.observed(reading, now)
        supervision.cause_gone(PumpAlarm.LINK_LOST)
        if finding is Finding.MUST_STOP:
            self.halt(f"the pump says {reading}", None if reading.alarms else Closed.FAULT)
        self._mind(alarms)
        self.reporter.state()
        self.watch()

    def _mind(self, alarms: PumpAlarm) -> None:
        """Alarms from the pump close the gate; a reset also means that it has forgotten things."""
        if PumpAlarm.RESET in alarms:
            self.orders.pump_forgot()
            self.supervision.gate.close(Closed.PUMP_RESET)
        if alarms:
            self.supervision.gate.close(Closed.PUMP_ALARM)
            self.reporter.raised(alarms)

    async def _meet(self) -> None:
        """The first words to a pump are STOP, and who are you.  Raises `BridgeError`."""
        try:
            changed = await self.port.meet()
        except PushedAside:  # the stop that pushed has been sent; ask again who that was
            changed = await self.port.meet()
        self.orders.pump_forgot()
        self.introduce()
        if changed:
            self._log(f"another pump answers now: {self.port.identity}")
            self.reporter.raised(PumpAlarm.IDENTITY_CHANGED)
        self.stopping = True  # also where nothing runs: the state is known once it was seen twice
        self._expect_confirmation()

    async def _meet_again(self) -> None:
        try:
            await self._meet()
        except Disconnected as error:
            self._port_lost(error)
        except BridgeError as error:
            self._log(str(error))
            await asyncio.sleep(STOP_REPEAT_S)

    async def _look(self) -> None:
        """One exchange with the pump, for everybody who waits for a snapshot."""
        self._read_wanted = False
        try:
            self.took(await self.do(self._dialect.read()))
        except BridgeError as error:
            self._log(str(error))
            patience_s = at_least_wall(READING_OLD_S, self._speed)
            if self.supervision.is_old(self._loop.time(), patience_s):
                self.halt("the pump does not answer", Closed.LINK_LOST, PumpAlarm.LINK_LOST)
        self.reporter.snapshots()

    def _unsolicited(self, frame: Frame) -> None:
        """The pump spoke by itself.  A delivery is stopped for an alarm; anything else can be asked."""
        alarms = self._dialect.alarms_heard()
        if not alarms:
            return
        if self.supervision.is_underway:
            self.halt(f"the pump says by itself {frame.text!r}", Closed.PUMP_ALARM)
            self.reporter.raised(alarms)
        elif alarms != PumpAlarm.LEASE_EXPIRED:
            self._read_wanted = True
            self._wake.set()
        self._upstream.flush()

    def _port_lost(self, cause: LinkError) -> None:
        """Nothing is known of the pump until the port is back and it has been stopped."""
        if not self.port.is_open:
            return
        self._log(str(cause))
        self.port.drop()
        self.supervision.lost()
        self._rest_wanted(Closed.LINK_LOST)
        self.reporter.raised(PumpAlarm.LINK_LOST)
        self.reporter.state()
        self._upstream.flush()

    # --- time ------------------------------------------------------------------------------------

    def watch(self) -> None:
        """One timer for the next deadline; a renewal moves the deadline and not the timer."""
        if self.supervision.delivering:
            self.count_is_settled = False
            self._rest.clear()
        elif not self.stopping:
            self._rest.set()
        due = self.supervision.deadline()
        timer = self._lease_timer
        if due is None or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._lease_timer = self._loop.call_at(due, self._deadline_came)

    def renew(self, lease: Duration) -> bool:
        """The controller is in charge, as of now; false where that is too late or nothing to renew."""
        renewed = self.supervision.renewed(lease, self._loop.time())
        if renewed:
            self.watch()
        return renewed

    def _deadline_came(self) -> None:
        self._lease_timer = None
        why = self.supervision.overdue(self._loop.time())
        if self.stopping:
            return
        if why is None:
            self.watch()
            return
        expired = why is Closed.LEASE_EXPIRED
        self.halt(why.value, why, PumpAlarm.LEASE_EXPIRED if expired else PumpAlarm.NONE)
        self._upstream.flush()

    # --- what the bridge asks for ----------------------------------------------------------------

    def take(self, order: Order) -> None:
        """``order`` will be carried out in its turn, or is refused at once."""
        if self.stopping:
            reason = "a stop is under way" if self.port.is_open else "the port is lost"
            self._waiting.refuse(order, reason)
        elif self._waiting.put(order):
            self.reporter.under_way(order.command_id)
            self._wake.set()

    def stop(self, command_id: int, why: str) -> None:
        """STOP is written before this returns; the command is answered once the pump stands still."""
        self.halt(why)
        self.reporter.owe_stop(command_id)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything that a stop would end."""
        return self.supervision.is_underway or self.stopping or bool(self._waiting)

    def want_snapshot(self, *, read: bool) -> None:
        """A snapshot will be answered: after a reading of its own, or at once with what is known.

        At once while an order keeps a standing pump busy: it may take longer than anybody waits.
        """
        self.reporter.owe_snapshot()
        busy = self._ordered and not self.supervision.delivering
        if read and not self.stopping and not busy:
            self._read_wanted = True
            self._wake.set()
        elif not self._read_wanted:
            self.reporter.snapshots()
