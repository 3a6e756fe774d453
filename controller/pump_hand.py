"""The hand on the pump: carries out what was decided, over one bridge at a time, and keeps its lease.

It gives wire ids to commands and turns answers back into events; it renews the lease while something is
being delivered, and only when the consumer of events has caught up; it opens a new bridge when one is
gone.  It decides nothing: every bound it sends came with the effect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from controller.bridge_link import BridgeLink
from controller.procedure import effects as do
from controller.procedure import events as told
from controller.runner_face import RunnerFace
from controller.self_test import SelfTest
from firmware_bridge import messages as msg
from firmware_bridge.clock import speed_of
from firmware_bridge.errors import BridgeError, LinkError
from firmware_bridge.messages import Code, Ending, PumpAlarm, PumpState, Result
from firmware_bridge.protocols.pumplink_host import (
    Heard,
    HostSession,
    LinkQuiet,
    ProtocolMismatch,
    Silence,
)
from firmware_bridge.quantities import Duration, Rate, Volume
from firmware_bridge.transports.base import Transport

LATCHED = "the stop latch is set"
MS = 0.001  # ages are in whole milliseconds, rounded down
REOPEN_WALL_S_MAX = 30.0
"""The longest wait between two attempts to start a bridge: each of them starts a process."""
STANDING = frozenset({PumpState.STOPPED, PumpState.COMPLETED, PumpState.PAUSED, PumpState.ALARM})


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the bridge is spoken to and how long is waited, in seconds of the loop's clock.

    A scaled run stretches them, so that none is shorter than 250 ms of wall time.
    """

    lease: Duration = Duration(3_000)  # WD-1: default 3 s, renewed every second
    renew_s: float = 1.0
    idle_s: float = 5.0
    reopen_s: float = 1.0
    stop_alarm_s: float = 1.0  # ES-5: "stop not confirmed" is an alarm after 1 s
    stop_give_up_s: float = 30.0


class PumpHand:
    """Everything between an effect and the frame that leaves, and between a frame and the event."""

    def __init__(
        self,
        *,
        open_bridge: Callable[[], Awaitable[Transport]],
        new_session: Callable[[], HostSession],
        pace: Pace,
        self_test: SelfTest,
    ) -> None:
        self.identity: msg.HelloAck | None = None
        self.snapshot: msg.Snapshot | None = None
        self.stop_confirmed_s: float | None = None
        self.stop_is_late = False
        self.pace = pace
        self._open_bridge = open_bridge
        self._new_session = new_session
        self._self_test = self_test
        self._runner: RunnerFace
        self._loop: asyncio.AbstractEventLoop
        self._link: BridgeLink | None = None
        self._up = False
        self._leased = False
        self._renewal_owed = False
        self._ids = count(1)
        self._given: dict[int, tuple[int, str]] = {}
        self._stop_owed: int | None = None
        self._beat_handle: asyncio.TimerHandle | None = None
        self._next_beat = 0.0
        self._closed = False
        self._stop_at: float | None = None

    # --- opening and closing ------------------------------------------------------------------------

    def attach(self, runner: RunnerFace) -> None:
        """Take the runner whose effects come here and whose queue hears the news."""
        self._runner = runner
        self._loop = runner.loop

    async def connect(self) -> None:
        """Start a bridge and say hello; news comes as events.  Raises `BridgeError`."""
        transport = await self._open_bridge()
        self._link = BridgeLink(transport, self._new_session(), self._heard, self._lost)
        self._schedule_beat(self.pace.renew_s)

    def quiet(self) -> None:
        """The visit is over: ask for nothing more.  The lease ends, the gate closes."""
        self._leased = False
        if self._beat_handle is not None:
            self._beat_handle.cancel()

    def close(self) -> None:
        """Let go of the bridge, which stops the pump and restores it.  Idempotent.

        The last word is DISARM: the account is closed, so the pump need not keep its count any longer.
        """
        if self._closed:
            return
        self._closed = True
        self.quiet()
        if self._link is not None:
            with contextlib.suppress(LinkError):
                self._link.command(msg.Disarm(next(self._ids)))
            self._link.close()

    # --- stopping -----------------------------------------------------------------------------------

    def estop(self) -> None:
        """Write the emergency stop; any thread, any signal handler, never raises."""
        link = self._link
        if link is not None:
            link.estop_now()

    def repeat_stop_until_confirmed(self) -> None:
        """Go on stopping until the pump shows that it stands; alarm after a second, give up at last.

        Giving up is the only end of a stop that is not confirmed: the alarm changes nothing.
        """
        self._leased = False
        self._stop_at = self._loop.time()
        if self._link is not None:
            self._link.estop_until_standing()
        self._loop.call_later(self.pace.stop_alarm_s, self._stop_is_late)
        self._loop.call_later(self.pace.stop_give_up_s, self._stop_given_up)
        self._schedule_beat(min(self.pace.renew_s, self.pace.stop_alarm_s) / 4)

    def _stop_is_late(self) -> None:
        if self.stop_confirmed_s is None and not self._closed:
            self.stop_is_late = True
            self._runner.post(told.StopUnconfirmed("the pump does not show that it stands still"))

    def _stop_given_up(self) -> None:
        if self.stop_confirmed_s is None and not self._closed:
            self._runner.give_up_stopping()

    # --- effects ------------------------------------------------------------------------------------

    def carry_out(self, effect: do.Effect) -> None:
        """Do one thing to the pump."""
        match effect:
            case do.Configure(command_id, diameter_um, size):
                wire = self._number(command_id, "Configure")
                self._send(msg.Configure(wire, diameter_um, size))
            case do.ArmGate():
                self._arm(effect)
            case do.DisarmGate(command_id):
                self._send(msg.Disarm(self._number(command_id, "DisarmGate")))
            case do.StartBolus() | do.StartInfusion():
                self._start(effect)
            case do.StopPump(command_id, why):
                self._stop(command_id, why)
            case do.AcknowledgeAlarms(alarms):
                self._acknowledge(alarms)
            case do.RunSelfTest():
                self._run_self_test()
            case _:
                raise TypeError(f"no effect on a pump: {effect!r}")

    def _arm(self, effect: do.ArmGate) -> None:
        self._send(
            msg.Arm(
                self._number(effect.command_id, "ArmGate"),
                effect.rate_max,
                effect.volume_per_command_max,
                effect.volume_total_max,
                effect.time_max,
                effect.concentration,
            )
        )

    def _start(self, effect: do.StartBolus | do.StartInfusion) -> None:
        what = type(effect).__name__
        wire = self._number(effect.command_id, what)
        if self._runner.latch.is_set:
            self._ended(wire, Ending.REFUSED, LATCHED)
            return
        lease = self.lease
        message: msg.Bolus | msg.Run = (
            msg.Bolus(wire, effect.rate, effect.volume, lease)
            if isinstance(effect, do.StartBolus)
            else msg.Run(wire, effect.rate, effect.volume, lease)
        )
        seq = self._runner.record(
            "intent",
            {
                "command": what,
                "command_id": effect.command_id,
                "rate_ml_h": effect.rate.ml_h,
                "volume_ml": effect.volume.ml,
                "dose_mg": effect.mass.mg,
            },
        )

        def send() -> None:
            if self._runner.latch.is_set:  # it may have come while the intent was being written
                self._ended(wire, Ending.REFUSED, LATCHED)
                return
            self._leased = True
            self._schedule_beat(self.pace.renew_s)
            self._send(message)

        self._runner.outbox.put(
            seq, send, lambda why: self._ended(wire, Ending.REFUSED, f"not sent: {why}")
        )

    def _stop(self, command_id: int, why: str) -> None:
        self._leased = False
        self._runner.outbox.void_all(f"stopped: {why}")
        if self._up:
            self._send(msg.Stop(self._number(command_id, "StopPump")))
        else:
            self._stop_owed = command_id  # a bridge that comes up stops first; that settles it

    def _acknowledge(self, alarms: PumpAlarm) -> None:
        if self._link is not None and self._up:
            self._link.ask(msg.AlarmAck(alarms))

    def _run_self_test(self) -> None:
        self._self_test.begin(self._runner)
        if self.identity is None or not self._up:
            self._self_test_ended(Ending.REFUSED, "no link to the bridge")
            return
        wire = self._number(0, "SelfTest")
        self._send(msg.SelfTest(wire, self.lease))

    def _self_test_ended(self, ending: Ending, saw: str) -> None:
        dead_man = (ending is Ending.DONE, saw)
        ok, findings = self._self_test.finish(self._runner, self.identity, dead_man=dead_man)
        self._runner.post(told.SelfTestEnded(ok, findings))

    def _number(self, command_id: int, what: str) -> int:
        wire = next(self._ids)
        self._given[wire] = (command_id, what)
        return wire

    def _send(
        self,
        message: msg.Configure
        | msg.Arm
        | msg.Disarm
        | msg.Bolus
        | msg.Run
        | msg.Stop
        | msg.SelfTest,
    ) -> None:
        if self._link is None or not self._up:
            self._ended(message.command_id, Ending.REFUSED, "no link to the pump")
            return
        if self._runner.latch.is_set and not isinstance(message, msg.Stop):
            # The bridge would refuse it too; either of the two gates is enough.
            self._ended(message.command_id, Ending.REFUSED, LATCHED)
            return
        try:
            self._link.command(message)
        except LinkError as error:
            self._ended(message.command_id, Ending.REFUSED, str(error))

    # --- news ---------------------------------------------------------------------------------------

    def _heard(self, heard: Heard) -> None:
        match heard:
            case msg.Snapshot():
                self._snapshot(heard)
            case msg.Result():
                self._result(heard)
            case msg.HelloAck():
                self._greeted(heard)
            case msg.Event():
                self._ask_snapshot()
            case Silence(command_id, sent):
                ending = Ending.UNCERTAIN if sent else Ending.REFUSED
                self._ended(command_id, ending, "no answer" if sent else "never sent")
            case LinkQuiet():
                if self._up:
                    self._set_down("the bridge does not answer")
            case ProtocolMismatch():
                self._runner.post(told.Failed("the bridge speaks another protocol page"))
            case _:
                pass  # counters and clocks are read where they are wanted

    @property
    def lease(self) -> Duration:
        """As long as is wanted, or as a pump with a fixed dead-man takes it."""
        known = self.identity
        return self.pace.lease if known is None else max(self.pace.lease, known.lease_min)

    def _greeted(self, ack: msg.HelloAck) -> None:
        self.identity = ack
        self._ask_snapshot()

    def _snapshot(self, snapshot: msg.Snapshot) -> None:
        self.snapshot = snapshot
        if self.identity is None:
            return
        if _is_lost(snapshot):
            self._set_down("the pump does not answer its bridge")
        elif not self._up:
            self._up = True
            self._runner.post(told.LinkRestored(self.identity.boot_id))
        if PumpAlarm.IDENTITY_CHANGED in snapshot.alarms:
            self._runner.post(told.Failed("another pump answers than the one that was tested"))
        confirmed = self._confirms_a_stop(snapshot)
        # What was delivered first: a confirmed stop may end the visit, and its account with it.
        self._runner.pump_reported(snapshot, self.identity.boot_id)
        if confirmed:
            self._runner.post(told.StopConfirmed())

    def _confirms_a_stop(self, snapshot: msg.Snapshot) -> bool:
        stands = snapshot.state in STANDING and PumpAlarm.STOP_UNCONFIRMED not in snapshot.alarms
        if self._stop_at is not None and self.stop_confirmed_s is None:
            since_s = self._loop.time() - self._stop_at
            seen = snapshot.age.s + MS < since_s and PumpAlarm.ESTOP_LATCHED in snapshot.alarms
            confirmed = stands and seen  # by a reading that was made behind this stop
            self.stop_confirmed_s = since_s if confirmed else None
        else:
            confirmed = stands and self._stop_owed is not None
        if confirmed:
            self._stop_owed = None
        if self._leased and snapshot.state in STANDING and not self._start_is_open():
            self._leased = False
        return confirmed

    def _start_is_open(self) -> bool:
        return any(what.startswith("Start") for _, what in self._given.values())

    def _result(self, result: Result) -> None:
        if result.ending in {Ending.ACCEPTED, Ending.IN_PROGRESS}:
            return
        command_id, what = self._given.pop(result.command_id, (0, ""))
        if what == "SelfTest":
            self._self_test_ended(result.ending, result.reason)
        elif what == "StopPump":
            if result.ending is Ending.DONE:
                self._stop_owed = command_id  # settled by the reading that comes right behind
            else:
                self._runner.post(told.StopUnconfirmed(result.reason))
        elif what:
            if what.startswith("Start") and result.ending is not Ending.DONE:
                self._leased = False
            mine = Result(
                command_id,
                result.ending,
                result.code,
                result.rate,
                result.volume,
                result.reason,
            )
            self._runner.post(told.CommandEnded(mine, what))

    def _ended(self, wire: int, ending: Ending, why: str) -> None:
        self._result(Result(wire, ending, Code.NOT_CONFIRMED, Rate(0), Volume(0), why))

    # --- losing and finding bridges -------------------------------------------------------------------

    def _set_down(self, why: str) -> None:
        self._leased = False
        if self._up:
            self._up = False
            self._runner.post(told.LinkLost(why))

    def _lost(self, cause: Exception | None) -> None:
        self._link = None
        self.identity = None
        for wire in list(self._given):
            if self._given[wire][1] == "StopPump":
                self._stop_owed = self._given.pop(wire)[0]
            else:
                self._ended(wire, Ending.UNCERTAIN, "the bridge was lost")
        self._set_down(f"the bridge is gone{f': {cause}' if cause else ''}")
        if not self._closed:
            self._loop.call_later(self.pace.reopen_s, self._start_reopening)

    def _start_reopening(self) -> None:
        if not self._closed:
            self._runner.spawn_even_if_stopped(self._reopen(), "reopen bridge")

    async def _reopen(self) -> None:
        """Try until there is a bridge: ever more seldom, but for a stop that waits for one."""
        wait_s, longest_s = self.pace.reopen_s, REOPEN_WALL_S_MAX * speed_of(self._loop)
        while not self._closed:
            try:
                await self.connect()
            except BridgeError:
                await asyncio.sleep(self.pace.reopen_s if self._runner.latched else wait_s)
                wait_s = min(2 * wait_s, max(longest_s, self.pace.reopen_s))
            else:
                if self._runner.latched and self._link is not None:
                    self._link.estop_until_standing()
                return

    # --- the lease ------------------------------------------------------------------------------------

    def _schedule_beat(self, after_s: float) -> None:
        if self._beat_handle is not None:
            self._beat_handle.cancel()
        self._next_beat = self._loop.time() + after_s
        self._beat_handle = self._loop.call_at(self._next_beat, self._beat)

    def _beat(self) -> None:
        """Once a second while something is delivered, every few seconds otherwise."""
        period = self.pace.renew_s if self._leased else self.pace.idle_s
        if self._stop_at is not None and self.stop_confirmed_s is None:
            period = self.pace.renew_s
        now = self._loop.time()
        self._next_beat = max(self._next_beat + period, now)
        self._beat_handle = self._loop.call_at(self._next_beat, self._beat)
        if not self._leased:
            self._ask_snapshot()
        elif self._runner.backlog:
            self._renewal_owed = True  # the consumer is behind: the lease waits for it
        else:
            self._renew()

    def consumer_is_idle(self) -> None:
        """The consumer of events has caught up."""
        if self._renewal_owed:
            self._renewal_owed = False
            if self._leased:
                self._renew()

    def _renew(self) -> None:
        if self._link is not None and self._up:
            self._link.renew(self.lease)

    def _ask_snapshot(self) -> None:
        if self._link is not None and self.identity is not None:
            self._link.ask(msg.SnapshotRequest())


def _is_lost(snapshot: msg.Snapshot) -> bool:
    """Whether the bridge does not reach its pump now.

    The alarm alone says less: it stays until a person has acknowledged it, and a state in which the pump
    stands comes from a reading that was made after the loss.
    """
    lost = PumpAlarm.LINK_LOST in snapshot.alarms and snapshot.state not in STANDING
    return lost or snapshot.state is PumpState.UNKNOWN
