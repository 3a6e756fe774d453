"""The far end of a `pumplink/1` link, frame by frame, and what it is usually told."""

import itertools
from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge.protocols.pumplink import (
    SCHEMA_HASH,
    FrameDecoder,
    Header,
    encode,
)
from firmware_bridge.protocols.pumplink_device import DeviceSession
from firmware_bridge.protocols.pumplink_host import (
    HostSession,
)
from firmware_bridge.quantities import Duration, Rate, Volume

LINK = 0xBEEF
IDENTITY = m.HelloAck(
    version=1,
    schema_hash=SCHEMA_HASH,
    boot_id=0xB007,
    firmware="bench 1.0",
    serial_number="0042",
    capabilities=m.Capability.DEAD_MAN | m.Capability.VOLUME_TARGET,
    rate_min=Rate(1),
    rate_max=Rate.from_ml_h(100),
    volume_step=Volume(1),
    lease_min=Duration(1000),
    lease_max=Duration(10_000),
)
RUNNING = m.Snapshot(
    uptime=Duration(5000),
    state=m.PumpState.RUNNING,
    rate=Rate.from_ml_h(20),
    infused=Volume.from_ml(1),
    remaining=Volume.from_ml(4),
    pressure_pa=0,
    alarms=m.PumpAlarm.NONE,
    age=Duration(20),
)
LATCHED = replace(RUNNING, state=m.PumpState.STOPPED, alarms=m.PumpAlarm.ESTOP_LATCHED)
LEASE = Duration(3000)


def run(command_id: int) -> m.Run:
    return m.Run(command_id, Rate.from_ml_h(20), Volume.from_ml(5), LEASE)


def result(command_id: int, ending: m.Ending, reason: str = "") -> m.Result:
    return m.Result(command_id, ending, m.Code.OK, Rate(0), Volume(0), reason)


def done(command_id: int) -> m.Result:
    return result(command_id, m.Ending.DONE)


class Peer:
    """Writes and reads frames one by one, as the other end of the session under test."""

    def __init__(self, link_id: int = LINK) -> None:
        self.link_id = link_id
        self.seq = itertools.count()
        self.decoder = FrameDecoder()
        self.headers: list[Header] = []

    def says(self, *messages: m.Message, ack: int = 0, seq: int | None = None) -> bytes:
        frames = b""
        for message in messages:
            number = next(self.seq) & 0xFF if seq is None else seq
            frames += encode(Header(number, ack, self.link_id), message)
        return frames

    def reads(self, data: bytes) -> list[m.Message]:
        frames = self.decoder.feed(data)
        self.headers = [header for header, _ in frames]
        return [message for _, message in frames]


def opened_host(pump: Peer, *, reliable: bool = False) -> HostSession:
    host = HostSession(LINK, reliable=reliable)
    host.hello(0.0)
    (hello,) = pump.reads(host.outgoing())
    assert hello == m.Hello(1, 1, SCHEMA_HASH)
    assert host.receive(pump.says(IDENTITY), 0.1) == [IDENTITY]
    assert host.is_open
    return host


def opened_device(controller: Peer) -> DeviceSession:
    device = DeviceSession(IDENTITY)
    hello = m.Hello(1, 1, SCHEMA_HASH)
    assert device.receive(controller.says(hello), 0.0) == [hello]
    assert controller.reads(device.outgoing()) == [IDENTITY]
    assert device.is_open
    return device
