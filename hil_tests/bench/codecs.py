"""What one frame costs in each codec, in microseconds, beside the standard library at its barest."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Callable

from firmware_bridge.messages import Lease, Message, PumpAlarm, PumpState, Snapshot
from firmware_bridge.protocols.new_era_frames import FrameReader, basic_request, safe_frame
from firmware_bridge.protocols.new_era_replies import parse_reply
from firmware_bridge.protocols.pumplink import FrameDecoder, Header, encode
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.bench.tables import Row, Table
from hil_tests.bench.timing import Effort, per_call, taking_turns
from sim.devices.new_era import NewEraPump

HEADER = Header(7, 6, 0x1234)
LEASE = Lease(Duration(3_000))
SNAPSHOT = Snapshot(
    Duration(123_456),
    PumpState.RUNNING,
    Rate.from_ml_h(60),
    Volume(123_000),
    Volume(877_000),
    0,
    PumpAlarm.NONE,
    Duration(12),
)
LEASE_LAYOUT = struct.Struct(">BBBBHH")
SNAPSHOT_LAYOUT = struct.Struct(">BBBBHIBIIIIII")
LEASE_VALUES = (1, 0x18, 7, 6, 0x1234, 3_000)
SNAPSHOT_VALUES = (1, 0x21, 7, 6, 0x1234, 123_456, 1, 60_000_000, 123_000, 877_000, 0, 0, 12)
REPLY_TEXT = "00I0.123W0.000ML"

Call = Callable[[], object]


def codecs(effort: Effort) -> Table:
    """Every codec that a visit goes through once a second, and the simulated pump's side."""
    rows = [_row(what, ours, floor, effort) for what, ours, floor in (*_pumplink(), *_new_era())]
    return Table(
        "codecs",
        "cost of one frame, whole: header, checksum, stuffing, and quantities instead of numbers",
        "struct pack or unpack of the same fields; crc_hqx of the same text for New Era",
        tuple(rows),
    )


def _row(what: str, ours: Call, floor: Call, effort: Effort) -> Row:
    count = effort.count(2_000)
    found = taking_turns(
        effort.rounds(15), {"ours": per_call(ours, count), "floor": per_call(floor, 4 * count)}
    )
    return Row.of(what, found["ours"]["us"], found["floor"]["us"], "us")


def _pumplink() -> list[tuple[str, Call, Call]]:
    decoder = FrameDecoder()

    def both(
        name: str, message: Message, layout: struct.Struct, values: tuple[int, ...]
    ) -> list[tuple[str, Call, Call]]:
        frame, packed = encode(HEADER, message), layout.pack(*values)
        return [
            (
                f"pumplink {name}, encode",
                lambda: encode(HEADER, message),
                lambda: layout.pack(*values),
            ),
            (
                f"pumplink {name}, decode",
                lambda: decoder.feed(frame),
                lambda: layout.unpack(packed),
            ),
        ]

    return [
        *both("LEASE", LEASE, LEASE_LAYOUT, LEASE_VALUES),
        *both("SNAPSHOT", SNAPSHOT, SNAPSHOT_LAYOUT, SNAPSHOT_VALUES),
    ]


def _new_era() -> list[tuple[str, Call, Call]]:
    reader = FrameReader(0.5)
    reply, text = safe_frame(REPLY_TEXT), REPLY_TEXT.encode("ascii")

    def parse() -> object:
        (frame,) = reader.feed(reply, 0.0)
        return parse_reply(frame.text, frame.raw)

    return [
        ("New Era DIS, host encodes", lambda: safe_frame("DIS"), lambda: crc_hqx(b"DIS", 0)),
        ("New Era DIS, host parses the answer", parse, lambda: crc_hqx(text, 0)),
        *(
            _device(mode, command)
            for mode in ("basic", "safe")
            for command in ("", "DIS", "RAT100MH")
        ),
    ]


def _device(mode: str, command: str) -> tuple[str, Call, Call]:
    pump = NewEraPump()
    if mode == "safe":
        pump.feed(safe_frame("SAF255"), 0.0)
        pump.feed(safe_frame(""), 0.0)
    request = safe_frame(command) if mode == "safe" else basic_request(command)
    data = command.encode("ascii")
    return (
        f"simulated pump, {mode}: {command or 'status query'}",
        lambda: pump.feed(request, 0.0),
        lambda: crc_hqx(data, 0),
    )
