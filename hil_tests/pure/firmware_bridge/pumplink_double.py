"""A scripted pump behind `DeviceSession`, for tests of the dialect: it does what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from firmware_bridge.messages import (
    AlarmAck,
    Capability,
    Code,
    Command,
    Ending,
    Estop,
    EventKind,
    Hello,
    HelloAck,
    Lease,
    Message,
    PumpAlarm,
    PumpState,
    Result,
    Snapshot,
    SnapshotRequest,
    Stop,
)
from firmware_bridge.protocols.pumplink import FrameDecoder
from firmware_bridge.protocols.pumplink_device import DeviceSession
from firmware_bridge.protocols.pumplink_endpoint import Numbered
from firmware_bridge.quantities import Duration, Rate, Volume

PLAIN = (
    Capability.VOLUME_TARGET
    | Capability.DEAD_MAN
    | Capability.RATE_WHILE_RUNNING
    | Capability.INTEGRITY_CHECK
)
Answer = tuple[Ending, Code, str]
DONE: Answer = (Ending.DONE, Code.OK, "")


@dataclass
class Double:
    """``answers``: by the name of a command how it ends; ``None`` for silence.  The rest is done."""

    schema_hash: int | None = None
    answers: dict[str, Answer | None] = field(default_factory=dict)
    state: PumpState = PumpState.STOPPED
    infused: Volume = Volume(0)
    alarms: PumpAlarm = PumpAlarm.NONE
    boot_id: int = 7
    heard: list[Command] = field(default_factory=list)
    deaf: Callable[[Message], bool] = lambda _: False
    """What does not arrive."""

    def __post_init__(self) -> None:
        self.session = self._session()

    def _session(self) -> DeviceSession:
        identity = HelloAck(
            version=1,
            schema_hash=0,
            boot_id=self.boot_id,
            firmware="double 1",
            serial_number="D-1",
            capabilities=PLAIN,
            rate_min=Rate(1_000),
            rate_max=Rate(600_000_000),
            volume_step=Volume(10),
            lease_min=Duration(250),
            lease_max=Duration(10_000),
        )
        if self.schema_hash is None:
            return DeviceSession(identity)
        return DeviceSession(identity, schema_hash=self.schema_hash)

    def reboot(self) -> None:
        """Everything is forgotten."""
        self.boot_id += 1
        self.session = self._session()
        self.state, self.infused = PumpState.STOPPED, Volume(0)

    def feed(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        if any(self.deaf(message) for _, message in FrameDecoder().feed(data)):
            return []
        for command in self.session.receive(data, now):
            self.heard.append(command)
            self._obey(command)
        said = self.session.outgoing()
        return [(0.01, said)] if said else []

    def advance(self, now: float) -> None:
        """Nothing happens by itself."""

    def alarm(self, alarm: PumpAlarm, now: float) -> bytes:
        """What it says by itself."""
        self.alarms |= alarm
        number = alarm.bit_length() - 1
        self.session.event(EventKind.ALARM_RAISED, number, Duration(0), now)
        return self.session.outgoing()

    def names(self) -> list[str]:
        return [type(command).__name__ for command in self.heard]

    def _obey(self, command: Command) -> None:
        if isinstance(command, AlarmAck):
            self.alarms &= ~command.alarms
        if isinstance(command, AlarmAck | Lease | SnapshotRequest | Estop):
            self.session.answer(self._snapshot())
        elif not isinstance(command, Hello):
            assert isinstance(command, Numbered)
            if isinstance(command, Stop) and "Stop" not in self.answers:
                self.state = PumpState.STOPPED
            answer = self.answers.get(type(command).__name__, DONE)
            if answer is not None:
                ending, code, reason = answer
                rate, volume = getattr(command, "rate", Rate(0)), Volume(10)
                volume = getattr(command, "target", volume)
                self.session.answer(Result(command.command_id, ending, code, rate, volume, reason))

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            uptime=Duration(0),
            state=self.state,
            rate=Rate(0),
            infused=self.infused,
            remaining=Volume(0),
            pressure_pa=1_234,
            alarms=self.alarms,
            age=Duration(0),
        )
