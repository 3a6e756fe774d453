"""Both ends of pumplink/1 joined by four cables: clean, byte by byte, lossy, late; all seeded."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.protocols.pumplink_device import DeviceSession
from firmware_bridge.protocols.pumplink_host import (
    Heard,
    HostSession,
    Silence,
)
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume
from hil_tests.pure.firmware_bridge.pumplink_peer import (
    IDENTITY,
    LATCHED,
    LEASE,
    LINK,
    RUNNING,
    Peer,
    done,
    opened_device,
    opened_host,
    result,
    run,
)


@dataclass
class Cable:
    """One direction of a cable: what is on its way, and when it arrives."""

    luck: random.Random
    loss: float = 0.0
    late_s: tuple[float, float] = (0.001, 0.001)
    one_byte: bool = False
    twice: float = 0.0
    carried: list[tuple[float, bytes]] = field(default_factory=list)

    def put(self, data: bytes, now: float) -> None:
        arrival = now + self.luck.uniform(*self.late_s)
        if self.carried:
            arrival = max(arrival, self.carried[-1][0])  # a cable delays, it does not reorder
        for frame in data.split(b"\0")[:-1]:
            damaged = bytearray(frame + b"\0")
            if self.luck.random() < self.loss:
                damaged[self.luck.randrange(len(damaged))] ^= 0x41
            for _ in range(2 if self.luck.random() < self.twice else 1):
                pieces = [bytes([b]) for b in damaged] if self.one_byte else [bytes(damaged)]
                self.carried += [(arrival, piece) for piece in pieces]

    def arrivals(self, now: float) -> list[bytes]:
        due = [data for at, data in self.carried if at <= now]
        del self.carried[: len(due)]
        return due


CABLES: dict[str, Callable[[random.Random], Cable]] = {
    "clean": Cable,
    "byte by byte": lambda luck: Cable(luck, one_byte=True),
    "lossy": lambda luck: Cable(luck, loss=0.15, twice=0.1, late_s=(0.001, 0.02)),
    "late": lambda luck: Cable(luck, late_s=(0.2, 1.2)),
}


class Bench:
    """A reliable host and a device on one cable, with a pump that takes its time, under one clock."""

    def __init__(self, cable: str, seed: int) -> None:
        luck = random.Random(seed)
        self.now = 0.0
        self.host = HostSession(LINK, reliable=True)
        self.device = DeviceSession(IDENTITY)
        self.down, self.up = CABLES[cable](luck), CABLES[cable](luck)
        self.luck = luck
        self.heard: list[Heard] = []
        self.done: list[m.Command] = []
        self.owed: list[tuple[float, m.Result]] = []

    def advance_to(self, end: float) -> None:
        for _ in range(20_000):
            self._carry()
            times = [self.host.wake_at(), self.device.wake_at()]
            times += [at for at, _ in self.owed[:1]]
            times += [cable.carried[0][0] for cable in (self.down, self.up) if cable.carried]
            at = min((time for time in times if time is not None), default=end)
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            if at >= end and not self._is_anything_due():
                return
            self.heard += self.host.on_timer(self.now)
            self.device.on_timer(self.now)
            self._pump()
        raise AssertionError("the link does not come to rest")

    def _is_anything_due(self) -> bool:
        times = [self.host.wake_at(), self.device.wake_at(), *(at for at, _ in self.owed)]
        times += [at for cable in (self.down, self.up) for at, _ in cable.carried]
        return any(time is not None and time <= self.now for time in times)

    def _carry(self) -> None:
        self.down.put(self.host.outgoing(), self.now)
        self.up.put(self.device.outgoing(), self.now)
        for data in self.down.arrivals(self.now):
            for command in self.device.receive(data, self.now):
                self._obey(command)
        for data in self.up.arrivals(self.now):
            self.heard += self.host.receive(data, self.now)
        self.down.put(self.host.outgoing(), self.now)
        self.up.put(self.device.outgoing(), self.now)

    def _obey(self, command: m.Command) -> None:
        self.done.append(command)
        if isinstance(command, m.Lease | m.SnapshotRequest | m.AlarmAck):
            self.device.answer(RUNNING)
        elif isinstance(command, m.Estop):
            self.device.answer(LATCHED)
        elif not isinstance(command, m.Hello | m.TimeSync | m.SensorsRequest):
            self.device.answer(result(command.command_id, m.Ending.ACCEPTED))
            takes = self.luck.choice([0.0, 0.05, 0.5, 4.0])
            self.owed.append((self.now + takes, done(command.command_id)))
            self.owed.sort(key=lambda owed: owed[0])

    def _pump(self) -> None:
        while self.owed and self.owed[0][0] <= self.now:
            self.device.answer(self.owed.pop(0)[1])


@pytest.fixture(params=CABLES)
def cable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def endings(heard: Sequence[Heard]) -> list[int]:
    """The commands that ended, in the order of their endings."""
    over = {m.Ending.DONE, m.Ending.REFUSED, m.Ending.UNCERTAIN}
    return [h.command_id for h in heard if isinstance(h, m.Result) and h.ending in over]


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_each_command_is_done_once_and_ends_once(cable: str, seed: int) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    assert bench.host.is_open
    commands: list[m.Run | m.SetRate | m.Arm] = [
        m.Arm(1, Rate(9), Volume(9), Volume(9), Duration(9), Concentration(9)),
        run(2),
        *(m.SetRate(command_id, Rate(command_id)) for command_id in range(3, 12)),
    ]
    for second, command in enumerate(commands):
        bench.host.command(command, bench.now)
        bench.advance_to(20.5 + second)
        bench.host.lease(LEASE, bench.now)
    bench.advance_to(120.0)
    numbered = [c for c in bench.done if isinstance(c, m.Run | m.SetRate | m.Arm)]
    assert numbered == commands
    given_up = [h.command_id for h in bench.heard if isinstance(h, Silence)]
    assert given_up == []
    assert sorted(endings(bench.heard)) == [command.command_id for command in commands]
    if cable in {"clean", "byte by byte"}:
        assert bench.device.counters.crc_errors == bench.host.counters.crc_errors == 0


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_an_alarm_is_heard_once_and_its_acknowledgement_arrives(
    cable: str, seed: int
) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    bench.device.event(m.EventKind.ALARM_RAISED, 1, Duration(1), bench.now)
    bench.advance_to(40.0)
    bench.host.ask(m.AlarmAck(m.PumpAlarm.OCCLUSION), bench.now)
    bench.advance_to(70.0)
    assert [h for h in bench.heard if isinstance(h, m.Event)] == [
        m.Event(0, m.EventKind.ALARM_RAISED, 1, Duration(1))
    ]
    assert m.AlarmAck(m.PumpAlarm.OCCLUSION) in bench.done
    assert bench.device.wake_at() is None


@pytest.mark.parametrize("seed", range(6))
def test_over_every_cable_an_emergency_stop_arrives_and_is_confirmed(cable: str, seed: int) -> None:
    bench = Bench(cable, seed)
    bench.host.hello(0.0)
    bench.advance_to(20.0)
    bench.host.command(run(1), bench.now)
    bench.host.command(m.SetRate(2, Rate(5)), bench.now)
    bench.advance_to(20.002)
    bench.host.estop(bench.now)
    bench.advance_to(60.0)
    stopped_at = bench.done.index(m.Estop())
    assert set(bench.done[stopped_at:]) == {m.Estop()}
    assert bench.host.wake_at() is None
    silent = [h for h in bench.heard if isinstance(h, Silence)]
    assert Silence(2, sent=False) in silent
    assert {silence.command_id for silence in silent} | {*endings(bench.heard)} == {1, 2}


@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_any_bytes_leave_both_ends_standing(chunks: list[bytes], reliable: bool) -> None:
    host, device = opened_host(Peer(), reliable=reliable), opened_device(Peer())
    for chunk in chunks:
        assert host.receive(chunk, 1.0) == []
        assert [c for c in device.receive(chunk, 1.0) if not isinstance(c, m.Estop)] == []
    assert host.wake_at() is device.wake_at() is None
