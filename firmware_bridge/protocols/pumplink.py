"""The bytes of `pumplink/1`: every message of `messages` as a frame, and frames out of a stream.

PROTOCOL.md is the contract; `ROWS` is that page's message table, and a test holds one against the
other.  Nothing here knows a link, an order of frames or a clock: those are `pumplink_host` and
`pumplink_device`.

Public: ``encode(header, message) -> bytes`` (whole frame with delimiter), ``decode(piece) ->
(Header, Message)``, ``FrameDecoder().feed(data) -> [(Header, Message)]``, ``ESTOP_FRAME``,
``SCHEMA_HASH``, ``VERSION``.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from enum import IntFlag
from operator import attrgetter
from typing import Any, NamedTuple

from firmware_bridge import messages
from firmware_bridge.errors import ConfigurationError, ProtocolError
from firmware_bridge.messages import (
    Capability,
    Code,
    Direction,
    Ending,
    EventKind,
    Input,
    Message,
    PumpAlarm,
    PumpState,
)
from firmware_bridge.protocols import cobs
from firmware_bridge.quantities import Concentration, Duration, Rate, Volume

VERSION = 1
PAYLOAD_MAX = 200
FRAME_MAX = 6 + PAYLOAD_MAX + 4  # header, payload, CRC-32
STUFFED_MAX = FRAME_MAX + 1  # COBS adds one byte to a frame shorter than 254


class Header(NamedTuple):
    """What stands before a payload; the type is left out, because the message says it."""

    seq: int
    ack: int
    link_id: int
    version: int = VERSION


class BadChecksum(ProtocolError):
    """The frame was damaged, or the peer was built from another page."""


# --- the page -------------------------------------------------------------------------------------

ROWS: tuple[tuple[int, str, str, type[Message], str], ...] = (
    (0x01, "HELLO", "host", messages.Hello, "version_min u8, version_max u8, schema_hash u32"),
    (
        0x02,
        "HELLO_ACK",
        "pump",
        messages.HelloAck,
        (
            "version u8, schema_hash u32, boot_id u32, firmware text80, serial_number text80, "
            "capabilities u32, rate_nl_h_min u32, rate_nl_h_max u32, volume_step_nl u32, "
            "lease_ms_min u16, lease_ms_max u16"
        ),
    ),
    (
        0x10,
        "CONFIGURE",
        "host",
        messages.Configure,
        "command_id u32, diameter_um u32, syringe_size_nl u32",
    ),
    (
        0x11,
        "BOLUS",
        "host",
        messages.Bolus,
        "command_id u32, rate_nl_h u32, volume_nl u32, lease_ms u16",
    ),
    (
        0x12,
        "RUN",
        "host",
        messages.Run,
        "command_id u32, rate_nl_h u32, target_nl u32, lease_ms u16, direction u8",
    ),
    (0x13, "SET_RATE", "host", messages.SetRate, "command_id u32, rate_nl_h u32"),
    (0x14, "PAUSE", "host", messages.Pause, "command_id u32"),
    (0x15, "RESUME", "host", messages.Resume, "command_id u32"),
    (0x16, "STOP", "host", messages.Stop, "command_id u32"),
    (0x17, "CLEAR_COUNTERS", "host", messages.ClearCounters, "command_id u32"),
    (0x18, "LEASE", "host", messages.Lease, "lease_ms u16"),
    (0x19, "ALARM_ACK", "host", messages.AlarmAck, "alarms u32"),
    (0x1A, "SNAPSHOT_REQ", "host", messages.SnapshotRequest, ""),
    (0x1B, "TIMESYNC", "both", messages.TimeSync, "t_host_us u64, t_pump_us u64"),
    (
        0x1C,
        "ARM",
        "host",
        messages.Arm,
        (
            "command_id u32, rate_nl_h_max u32, volume_per_command_nl_max u32, "
            "volume_total_nl_max u32, time_ms_max u32, concentration_ug_ml u32"
        ),
    ),
    (0x1D, "DISARM", "host", messages.Disarm, "command_id u32"),
    (0x1E, "RESET", "host", messages.Reset, "command_id u32, boot_id u32"),
    (0x1F, "SELF_TEST", "host", messages.SelfTest, "command_id u32, lease_ms u16"),
    (
        0x20,
        "RESULT",
        "pump",
        messages.Result,
        "command_id u32, ending u8, code u16, rate_nl_h u32, volume_nl u32, reason text184",
    ),
    (
        0x21,
        "SNAPSHOT",
        "pump",
        messages.Snapshot,
        (
            "uptime_ms u32, state u8, rate_nl_h u32, infused_nl u32, remaining_nl u32, "
            "pressure_pa u32, alarms u32, age_ms u32"
        ),
    ),
    (0x22, "EVENT", "pump", messages.Event, "event_seq u16, kind u8, id u16, uptime_ms u32"),
    (
        0x23,
        "COUNTERS",
        "both",
        messages.Counters,
        "frames u32, crc_errors u32, retransmits u32, duplicates u32, oversize u32, resyncs u32",
    ),
    (0x24, "SENSORS_REQ", "host", messages.SensorsRequest, ""),
    (
        0x25,
        "SENSORS",
        "pump",
        messages.Sensors,
        (
            "uptime_ms u32, inputs u32, pressure_pa u32, battery_s u32, steps_commanded u32, "
            "steps_counted u32"
        ),
    ),
    (0x7F, "ESTOP", "host", messages.Estop, ""),
)

_ENUMERATIONS = (
    ("state", PumpState),
    ("ending", Ending),
    ("code", Code),
    ("direction", Direction),
    ("event kind", EventKind),
    ("alarm bit", PumpAlarm),
    ("capability bit", Capability),
    ("input bit", Input),
)
_WITHOUT_HASH = frozenset(
    {0x01, 0x02, 0x7F}
)  # unequal peers can still introduce themselves and stop
_COUNTERS = ("frames", "crc_errors", "retransmits", "duplicates", "oversize", "resyncs")
_WRAPPING = frozenset({"uptime_ms", "steps_commanded", "steps_counted", *_COUNTERS})


def canonical_text() -> str:
    """The message table and the enumerations as PROTOCOL.md prints them; the schema hash is over it."""
    lines = [f"{code:02X}|{name}|{sender}|{payload}" for code, name, sender, _, payload in ROWS]
    for name, values in _ENUMERATIONS:
        bits = issubclass(values, IntFlag)
        members = [
            f"{m.value.bit_length() - 1 if bits else m.value} {str(m.name).lower()}" for m in values
        ]
        lines.append(f"{name}|" + ", ".join(members))
    return "\n".join(lines) + "\n"


SCHEMA_HASH = zlib.crc32(canonical_text().encode("ascii"))


# --- from the page to code ------------------------------------------------------------------------

_STRUCT_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
_HEADER = struct.Struct(">BBBBH")
_SHORTEST = _HEADER.size + 4  # a header and a checksum
_UNITS: dict[str, Callable[[int], object]] = {
    "nl_h": Rate,
    "nl": Volume,
    "ms": Duration,
    "ug_ml": Concentration,
}
_WITH_UNIT = re.compile(r"(?P<name>\w+?)_(?P<unit>nl_h|nl|ms|ug_ml)(?P<bound>_min|_max)?")


def _alarms(bits: int) -> PumpAlarm:
    """The alarm set; bits without a name are kept, because an unknown alarm is an alarm."""
    return PumpAlarm(bits) if bits else PumpAlarm.NONE


_MEANINGS: dict[str, Callable[[int], object]] = {
    "state": PumpState,
    "ending": Ending,
    "code": Code,
    "direction": Direction,
    "kind": EventKind,
    "alarms": _alarms,
    "capabilities": Capability,
    "inputs": Input,
}


class _Field:
    """One item of a payload: where it is in the message, its width, and what it becomes."""

    __slots__ = ("make", "name", "path", "size", "width")

    def __init__(self, text: str) -> None:
        self.name, self.width = text.split()
        self.size = 0 if self.width in _STRUCT_CODES else int(self.width.removeprefix("text"))
        unit = _WITH_UNIT.fullmatch(self.name)
        if unit is None:
            self.path = self.name
            self.make = _MEANINGS.get(self.name)
        else:
            self.path = f"{unit['name']}{unit['bound'] or ''}.{unit['unit']}"
            self.make = _UNITS[unit["unit"]]


class _Codec:
    """How one type of message is packed and unpacked; built once from its row."""

    def __init__(self, code: int, name: str, cls: type[Message], payload: str) -> None:
        self.code = code
        self.name = name
        self.fields = [_Field(item) for item in payload.split(", ") if item]
        self.hashed = code not in _WITHOUT_HASH
        self._make: Callable[..., Message] = cls
        self._makers = [field.make for field in self.fields]
        self._get = _getter([field.path for field in self.fields])
        fixed = all(field.width in _STRUCT_CODES for field in self.fields)
        self._struct = struct.Struct(_layout(f.width for f in self.fields)) if fixed else None

    def pack(self, header: Header, message: Message) -> bytes:
        """Header and payload.  Raises `ConfigurationError` naming a value that does not fit."""
        seq, ack, link_id, version = header
        values = self._get(message)
        if self._struct is not None:
            try:
                return self._struct.pack(version, self.code, seq, ack, link_id, *values)
            except struct.error:
                pass  # once in 49 days an uptime has to wrap; anything else is named below
        widths: list[str] = []
        fitted: list[int | bytes] = []
        for field, value in zip(self.fields, values, strict=True):
            if isinstance(value, str):
                text = _cut(value, field.size)
                widths.append("u8")
                widths.append(f"{len(text)}s")
                fitted += [len(text), text]
            else:
                widths.append(field.width)
                fitted.append(self._fitted(field, value))
        return struct.pack(_layout(widths), version, self.code, seq, ack, link_id, *fitted)

    def _fitted(self, field: _Field, value: int) -> int:
        most = (1 << int(field.width.removeprefix("u"))) - 1
        if field.name in _WRAPPING:
            return value & most
        if not 0 <= value <= most:
            what = f"{self.name}: {field.name} {value} does not fit {field.width} (0..{most})"
            raise ConfigurationError(what)
        return value

    def unpack(self, body: bytes) -> tuple[Header, Message]:
        """Raises `struct.error` or `ValueError` where ``body`` is no such message."""
        unpacked = self._struct.unpack(body) if self._struct else self._unpack_texts(body)
        version, _, seq, ack, link_id = unpacked[:5]
        message = self._make(
            *[
                value if make is None else make(value)
                for make, value in zip(self._makers, unpacked[5:], strict=True)
            ]
        )
        return Header(seq, ack, link_id, version), message

    def _unpack_texts(self, body: bytes) -> tuple[Any, ...]:
        values: list[Any] = list(_HEADER.unpack_from(body))
        position = _HEADER.size
        for field in self.fields:
            (number,) = struct.unpack_from(
                ">" + _STRUCT_CODES.get(field.width, "B"), body, position
            )
            position += _SIZES.get(field.width, 1)
            if not field.size:
                values.append(number)
                continue
            text = body[position : position + number]
            if len(text) != number:
                raise ValueError(f"{field.name} is cut off")
            position += number
            values.append(text.decode("utf-8"))
        if position != len(body):
            raise ValueError(f"{len(body) - position} bytes too many")
        return tuple(values)


def _layout(widths: Iterable[str]) -> str:
    return ">BBBBH" + "".join(_STRUCT_CODES.get(width, width) for width in widths)


def _getter(paths: Sequence[str]) -> Callable[[Message], tuple[Any, ...]]:
    """All the values of a message in one call; `attrgetter` alone returns one value bare."""
    if not paths:
        return lambda _: ()
    get: Callable[[Message], Any] = attrgetter(*paths)
    return get if len(paths) > 1 else lambda message: (get(message),)


def _cut(text: str, size: int) -> bytes:
    """UTF-8 of at most ``size`` bytes, cut between characters; texts are for people only."""
    data = text.encode("utf-8", "replace")
    return data if len(data) <= size else data[:size].decode("utf-8", "ignore").encode("utf-8")


_CODECS = [_Codec(code, name, cls, payload) for code, name, _, cls, payload in ROWS]
_BY_CODE = {codec.code: codec for codec in _CODECS}
_BY_CLASS = {row[3]: codec for row, codec in zip(ROWS, _CODECS, strict=True)}


# --- frames ---------------------------------------------------------------------------------------


def encode(header: Header, message: Message, schema_hash: int = SCHEMA_HASH) -> bytes:
    """The whole frame as it goes over the wire, delimiter included.

    Texts longer than their field are cut.  Raises `ConfigurationError` for a number that does not
    fit; nothing can then have been sent.
    """
    codec = _BY_CLASS[type(message)]
    body = codec.pack(header, message)
    return cobs.encode(body + _check(codec.hashed, body, schema_hash)) + b"\0"


def decode(piece: bytes, schema_hash: int = SCHEMA_HASH) -> tuple[Header, Message]:
    """The frame that ``piece`` (without its delimiter) is.  Raises only `ProtocolError`.

    `BadChecksum` says that the bytes are damaged or that the peer was built from another page.
    """
    raw = cobs.decode(piece)
    if len(raw) < _SHORTEST:
        raise ProtocolError(f"a frame of {len(raw)} bytes; the shortest has {_SHORTEST}", raw=raw)
    body = raw[:-4]
    code = raw[1]
    if raw[-4:] != _check(code not in _WITHOUT_HASH, body, schema_hash):
        raise BadChecksum("checksum differs", raw=raw)
    codec = _BY_CODE.get(code)
    if codec is None:
        raise ProtocolError(f"unknown type 0x{code:02X}", raw=raw)
    if raw[0] != VERSION and codec.hashed:
        raise ProtocolError(f"version {raw[0]}, not {VERSION}", raw=raw)
    try:
        return codec.unpack(body)
    except (struct.error, ValueError) as cause:
        raise ProtocolError(f"malformed {codec.name}: {cause}", raw=raw) from cause


def _check(hashed: bool, body: bytes, schema_hash: int) -> bytes:  # noqa: FBT001 - private, hot path
    tail = schema_hash.to_bytes(4, "big") if hashed else b"\0\0\0\0"
    return zlib.crc32(tail, zlib.crc32(body)).to_bytes(4, "big")


ESTOP_FRAME = b"\0" + encode(Header(0, 0, 0), messages.Estop())
"""Pre-built, and always the same; the leading delimiter ends whatever was cut before it."""


class FrameDecoder:
    """Takes frames out of a stream, however it was cut; never raises, and counts what it drops.

    At most one frame's length is kept between calls.
    """

    def __init__(self, schema_hash: int = SCHEMA_HASH) -> None:
        self.frames = 0
        self.crc_errors = 0
        self.oversize = 0
        self.resyncs = 0
        self._schema_hash = schema_hash
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[Header, Message]]:
        """The frames completed by ``data``, in order."""
        *pieces, rest = (self._rest + data).split(b"\0")
        self._rest = rest[
            : STUFFED_MAX + 1
        ]  # one more than a frame may have, so that it is counted
        found = []
        for piece in pieces:
            if not piece:
                continue
            if len(piece) > STUFFED_MAX:
                self.oversize += 1
                continue
            try:
                found.append(decode(piece, self._schema_hash))
            except BadChecksum:
                self.crc_errors += 1
            except ProtocolError:
                self.resyncs += 1
            else:
                self.frames += 1
        return found
