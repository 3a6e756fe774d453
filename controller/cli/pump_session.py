"""One command to one pump: simulated pump and bridge around it, what can be asked for, the ending.

Opened from the outside in and closed from the pump outwards, as a visit is.  What was not started ends
with one line; what was started ends with an account of what was delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from contextlib import AsyncExitStack
from types import FrameType

from controller.bench_pump import BenchPump, EmergencyStopped, Order, OrderRefused, OrderUncertain
from controller.cli.outcome import DONE, ENDED_BADLY, NotNow, Unreachable, Usage
from controller.cli.pump_spec import PumpSpec
from controller.cli.pump_view import (
    BY_TARGET,
    DeliveryBar,
    bounded_by,
    identity_of,
    lacks,
    names,
    sentence,
    status_of,
)
from controller.cli.sim_pump_child import start_sim_pump
from controller.plain_text import spelt_out
from firmware_bridge.clock import fresh_u16
from firmware_bridge.declaration import undeclared
from firmware_bridge.errors import BridgeError, ConfigurationError
from firmware_bridge.latch import FileLatch
from firmware_bridge.messages import PumpAlarm, PumpState
from firmware_bridge.notice import NOTICE
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.runtime import latch_path
from firmware_bridge.spawn import BridgeProcess, Left, spawn_bridge

STOP_WITHIN_S = 10.0
"""How long an emergency stop is waited for before it counts as not confirmed."""
LEAVE_S = 70.0
"""Seconds that a bridge may take to stop and restore its pump; it gives a lost one up after 60."""
WATCH_S = 1.0
LINE_WIDTH = 78


class PumpSession:
    """Carries one `PumpSpec` out; `run` returns the exit code."""

    def __init__(self, spec: PumpSpec) -> None:
        self._spec = spec
        self._loop = asyncio.get_running_loop()
        self._latch = FileLatch(latch_path(spec.device))
        self._interrupts = 0
        self._watching: asyncio.Task[None] | None = None
        self._stop_confirmed: bool | None = None
        self._why = ""
        self._pump: BenchPump
        self._bridge: BridgeProcess

    async def run(self) -> int:
        """Raises `CommandProblem` where nothing was started."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            began = self._loop.time()
            try:
                code = await self._act()
            finally:
                duration_s = self._loop.time() - began
                self._pump.close()
                left = await self._bridge_left()
            if left.code:
                self._why = self._why or "the pump was not confirmed stopped, or not put back"
            code = ENDED_BADLY if code or left.code or self._stopped else DONE
            self._tell(left, duration_s)
            return code

    @property
    def _stopped(self) -> bool:
        """Whether Ctrl-C was an emergency stop; one that ends a watch is none."""
        return self._interrupts > 0 and self._spec.action != "watch"

    # --- opening and closing ------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> None:
        spec = self._spec
        url = spec.url
        if spec.pump.simulated:
            child = await start_sim_pump(spec.pump.dialect)
            stack.push_async_callback(child.end)
            url = f"{spec.pump.dialect}:{child.port}"
        try:
            transport, self._bridge = await spawn_bridge(
                url,
                spec.device,
                disown=spec.action == "restore",
                on_log=_show if spec.verbose else None,
            )
            self._pump = BenchPump(transport, HostSession(fresh_u16() or 1))
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, self._interrupted))
            await self._greeted()
        except ConfigurationError as error:
            raise Usage(str(error)) from error
        except BridgeError as error:
            raise Unreachable(str(error)) from error

    async def _greeted(self) -> None:
        """The bridge has said who is there.  Raises `NotNow` after Ctrl-C, when it has stopped and left."""
        try:
            await self._pump.greet()
        except EmergencyStopped as stopped:
            await self._let_go()
            raise NotNow(
                "emergency stop before anything was started; "
                f"latched: infusor estop --device {self._spec.device} --reset clears it"
            ) from stopped
        problem = undeclared(self._pump.identity.capabilities, self._spec.declared)
        if problem and self._spec.action != "stop" and not self._spec.pump.simulated:
            await self._let_go()
            raise Usage(problem)

    async def _let_go(self) -> None:
        self._pump.close()
        await self._bridge_left()

    async def _bridge_left(self) -> Left:
        """The pump is restored when this returns, or the bridge has had its time."""
        if self._interrupts > 1:
            return Left(ENDED_BADLY, ())
        try:
            async with asyncio.timeout(LEAVE_S):
                return await self._bridge.left()
        except TimeoutError:  # it goes on trying by itself
            return Left(ENDED_BADLY, ())

    # --- what can be asked for ------------------------------------------------------------------------

    async def _act(self) -> int:
        spec = self._spec
        try:
            if spec.order is not None:
                return await self._deliver(spec.order)
            if spec.action == "watch":
                return await self._watch()
            if spec.action == "stop":
                await self._pump.stop()
                self._stop_confirmed = True
            else:
                await self._pump.look()
        except EmergencyStopped:
            self._stop_confirmed = await self._pump.stands_within(STOP_WITHIN_S)
            self._why = "emergency stop"
            return ENDED_BADLY
        except (OrderUncertain, BridgeError) as error:
            self._why = str(error)
            return ENDED_BADLY
        return DONE

    async def _deliver(self, order: Order) -> int:
        if bounded_by(self._pump.identity) == BY_TARGET:
            sys.stderr.write("this pump has no dead-man: the delivery is bounded by target\n")
        try:
            with DeliveryBar(order.volume) as bar:
                snapshot = await self._pump.deliver(order, bar.told)
        except OrderRefused as error:
            problem = Usage if error.beyond else NotNow
            raise problem(f"not started: {error}") from error
        except OrderUncertain:
            with contextlib.suppress(OrderRefused, OrderUncertain, BridgeError):
                await self._pump.stop()  # the bridge stops it anyway; this waits until it stands
            raise
        if snapshot.state is PumpState.COMPLETED:
            return DONE
        self._why = f"ended before its target: {sentence(snapshot)}"
        return ENDED_BADLY

    async def _watch(self) -> int:
        """Lines until Ctrl-C; the pump's own troubles are in the lines and end nothing."""
        if self._interrupts:
            return DONE  # while it was still being opened
        self._watching = self._loop.create_task(self._lines())
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching
        return DONE

    async def _lines(self) -> None:
        live = sys.stdout.isatty() and not self._spec.json
        began = self._loop.time()
        while True:
            snapshot = await self._pump.look()
            if live:
                sys.stdout.write(f"\r{sentence(snapshot):<{LINE_WIDTH}}")
            else:
                t_s = round(self._loop.time() - began, 1)
                sys.stdout.write(json.dumps({"t_s": t_s, **status_of(snapshot)}) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(WATCH_S)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C: stop at once, from the signal handler itself; a second one leaves."""
        self._interrupts += 1
        if self._interrupts > 1:
            raise KeyboardInterrupt
        if self._spec.action == "watch":
            self._loop.call_soon_threadsafe(self._end_watch)
            return
        self._latch.set(f"emergency stop by {signal.Signals(number).name}")
        self._pump.emergency_stop()
        self._loop.call_soon_threadsafe(self._save_latch)

    def _save_latch(self) -> None:
        problem = self._latch.save()
        if problem:
            sys.stderr.write(f"infusor pump: {problem}\n")

    def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    # --- the ending -----------------------------------------------------------------------------------

    def _tell(self, left: Left, duration_s: float) -> None:
        if self._why:
            sys.stderr.write(f"infusor pump: {spelt_out(self._why)}\n")
        if self._spec.action == "watch":
            return
        result = self._result(left, duration_s)
        if self._spec.json:
            sys.stdout.write(json.dumps(result) + "\n")
        else:
            sys.stdout.write(self._text(left))

    @property
    def _latched(self) -> bool:
        seen = self._pump.snapshot
        return self._latch.is_set or (seen is not None and PumpAlarm.ESTOP_LATCHED in seen.alarms)

    def _result(self, left: Left, duration_s: float) -> dict[str, object]:
        pump = self._pump
        result: dict[str, object] = {
            "device": self._spec.device,
            "pump": self._spec.url,
            "action": self._spec.action,
            "identity": identity_of(pump.identity),
            "status": status_of(pump.snapshot) if pump.snapshot else None,
            "latched": self._latched,
            "stop_confirmed": self._stop_confirmed,
            "restored": list(left.restored),
        }
        if self._spec.answered is not None:
            result["answered"] = dict(self._spec.answered)
        if self._spec.declared:
            result["declared_not_connected"] = self._spec.declared
        if self._spec.order is not None:
            accepted = pump.accepted
            result |= {
                "rate_ml_h": accepted.rate.ml_h if accepted else None,
                "volume_ml": accepted.volume.ml if accepted else None,
                "delivered_ml": pump.snapshot.infused.ml if pump.snapshot else None,
                "duration_s": round(duration_s, 3),
            }
        return result

    def _text(self, left: Left) -> str:
        pump, identity = self._pump, self._pump.identity
        lines = [f"{identity.firmware} {identity.serial_number}".strip()]
        if self._spec.action == "identify":
            lines.append(f"can: {', '.join(names(identity.capabilities))}")
            lines += [f"no {name}: {words}" for name, words in lacks(identity).items()]
        if self._spec.declared:
            lines.append(f"connected to nobody: declared by {self._spec.declared}")
        if pump.accepted is not None:
            took = f"{pump.accepted.volume} at {pump.accepted.rate}"
            lines.append(f"the pump took {took}, bounded by {bounded_by(identity)}")
        if pump.snapshot is not None:
            lines.append(sentence(pump.snapshot))
        if self._stop_confirmed is not None:
            confirmed = "confirmed by the pump" if self._stop_confirmed else "NOT CONFIRMED"
            lines.append(f"stop {confirmed}")
        if self._latched:
            lines.append(f"latched: infusor estop --device {self._spec.device} --reset clears it")
        lines.append(f"put back: {', '.join(left.restored) or 'nothing had been changed'}")
        return spelt_out("\n".join((*lines, NOTICE, "")), keep="\n")


def _show(line: str) -> None:
    """A line of the bridge's log, for ``--verbose``."""
    sys.stderr.write(f"{spelt_out(line)}\n")
