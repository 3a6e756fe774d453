"""A pumplink/1 host for tests of the simulated pump, made from PROTOCOL.md alone.

It frames and unframes with its own few lines, takes the layout of payloads from the page's table, and
knows nothing of the product's codecs.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

from sim.devices.pumplink import PumplinkPump
from sim.devices.pumplink_quirks import Quirks
from sim.faults.parameters import FaultValue
from sim.mechanics import Line, Mount

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")
CANONICAL = PAGE.split("```text canonical\n")[1].split("```")[0]
SCHEMA_HASH = zlib.crc32(CANONICAL.encode("ascii"))

LAYOUT: dict[str, tuple[int, list[tuple[str, str]]]] = {
    row[1]: (int(row[0], 16), [tuple(field.split()) for field in row[3].split(", ") if field])  # type: ignore[misc]  # two words each, by the page
    for line in CANONICAL.splitlines()
    if re.match(r"[0-9A-F]{2}\|", line)
    for row in [line.split("|")]
}
NAMES = {number: name for name, (number, _) in LAYOUT.items()}

UNHASHED = (0x01, 0x02, 0x7F)
LINK = 0xBEEF
ACCEPTED, REFUSED, IN_PROGRESS, DONE = range(4)
OK, BAD_ARGUMENT, OVER_LIMIT, WRONG_STATE, ALARM_PRESENT, NOT_ARMED = range(6)
STOPPED, RUNNING, PAUSED, COMPLETED, ALARM = range(5)

LEASE_EXPIRED, OCCLUSION, EMPTY, AIR, BATTERY, RESET, ESTOP_LATCHED, INTERNAL_FAULT = (
    1 << bit for bit in range(8)
)
STALL, LOST_STEPS, DOOR_OPEN, CLAMP_SHUT, BATTERY_DEPLETED, MAINS_LOST = (
    1 << bit for bit in range(11, 17)
)


def golden() -> dict[str, tuple[bytes, bytes]]:
    """What, and when and which way -> a frame before stuffing and on the wire."""
    text = (ROOT / "hil_tests/vectors/pumplink_device.txt").read_text(encoding="utf-8")
    frames = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, raw, wire = (part.strip() for part in line.split("|"))
            frames[name] = (bytes.fromhex(raw), bytes.fromhex(wire))
    return frames


def framed(number: int, payload: bytes, seq: int = 0, ack: int = 0, link: int = LINK) -> bytes:
    """As a third party would make it."""
    body = bytes([1, number, seq, ack]) + link.to_bytes(2, "big") + payload
    covered = 0 if number in UNHASHED else SCHEMA_HASH
    raw = body + zlib.crc32(body + covered.to_bytes(4, "big")).to_bytes(4, "big")
    return b"".join(bytes([len(run) + 1]) + run for run in raw.split(b"\0")) + b"\0"


def packed(name: str, **values: int) -> bytes:
    """The payload of a host's message; what is not named is 0."""
    return b"".join(
        values.get(field, 0).to_bytes(int(kind[1:]) // 8, "big") for field, kind in LAYOUT[name][1]
    )


Said = dict[str, Any]


def understood(frame: bytes) -> Said:
    """What a pump's frame says; ``name``, ``seq``, ``ack``, ``link`` and its fields."""
    assert frame.endswith(b"\0")
    assert frame.count(b"\0") == 1
    raw, place = bytearray(), 0
    while frame[place]:
        length = frame[place]
        raw += frame[place + 1 : place + length]
        place += length
        if frame[place]:
            raw.append(0)
    body, number = bytes(raw[:-4]), raw[1]
    covered = 0 if number in UNHASHED else SCHEMA_HASH
    assert zlib.crc32(body + covered.to_bytes(4, "big")).to_bytes(4, "big") == raw[-4:]
    link = int.from_bytes(body[4:6], "big")
    said: Said = {"name": NAMES[number], "seq": body[2], "ack": body[3], "link": link}
    rest = body[6:]
    for field, kind in LAYOUT[NAMES[number]][1]:
        size = rest[0] + 1 if kind.startswith("text") else int(kind[1:]) // 8
        part, rest = rest[:size], rest[size:]
        text = kind.startswith("text")
        said[field] = part[1:].decode() if text else int.from_bytes(part, "big")
    assert not rest
    return said


class Host:
    """Speaks to one pump; each answer is what came back at once.  ``now`` is the loop's time."""

    def __init__(self, pump: PumplinkPump) -> None:
        self.pump = pump
        self.now = 0.0
        self.seq = 0
        self.command_id = 0
        self.link = LINK
        self.heard: list[Said] = []
        """What the pump said by itself while time passed."""

    def feed(self, data: bytes) -> list[Said]:
        return [understood(frame) for _, frame in self.pump.feed(data, self.now)]

    def frame(self, name: str, **values: int) -> bytes:
        """The next frame of this host."""
        self.seq = (self.seq + 1) % 256
        return framed(LAYOUT[name][0], packed(name, **values), self.seq, link=self.link)

    def send(self, name: str, **values: int) -> list[Said]:
        """All that comes back."""
        return self.feed(self.frame(name, **values))

    def order(self, name: str, **values: int) -> Said:
        """A command with a fresh id; its last RESULT."""
        self.command_id += 1
        said = self.send(name, command_id=self.command_id, **values)
        return [each for each in said if each["name"] == "RESULT"][-1]

    def ask(self, name: str, **values: int) -> Said:
        """The one answer to a question."""
        (said,) = [each for each in self.send(name, **values) if each["name"] != "EVENT"]
        return said

    def snapshot(self) -> Said:
        return self.ask("SNAPSHOT_REQ")

    def hello(self, link: int = LINK, **changed: int) -> Said:
        self.link, self.seq = link, 0
        values = {"version_min": 1, "version_max": 1, "schema_hash": SCHEMA_HASH} | changed
        return self.feed(framed(0x01, packed("HELLO", **values), link=link))[0]

    def arm(self, ml: int = 50) -> Said:
        return self.order(
            "ARM",
            rate_nl_h_max=1_200_000_000,
            volume_per_command_nl_max=ml * 1_000_000,
            volume_total_nl_max=ml * 1_000_000,
            time_ms_max=4 * 3_600_000,
            concentration_ug_ml=10_000,
        )

    def run(
        self, ml_h: float = 60, ml: float = 10, lease_ms: int = 3_000, direction: int = 0
    ) -> Said:
        rate, target = round(ml_h * 1e6), round(ml * 1e6)
        return self.order(
            "RUN", rate_nl_h=rate, target_nl=target, lease_ms=lease_ms, direction=direction
        )

    def wait(self, seconds: float, lease_ms: int | None = None) -> list[Said]:
        """Time passes; with a lease once a second.  Returns what the pump said by itself."""
        until, said = self.now + seconds, []
        while self.now < until:
            self.now = min(until, self.now + 1.0)
            said += [understood(frame) for _, frame in self.pump.advance(self.now)]
            if lease_ms is not None:
                said += [s for s in self.send("LEASE", lease_ms=lease_ms) if s["name"] == "EVENT"]
        self.heard += said
        return said

    def inject(self, kind: str, **parameters: FaultValue) -> list[Said]:
        return [understood(frame) for _, frame in self.pump.inject(kind, self.now, **parameters)]

    def clear(self, kind: str | None = None) -> list[Said]:
        return [understood(frame) for _, frame in self.pump.clear(kind, self.now)]

    def alarms(self) -> int:
        bits = self.snapshot()["alarms"]
        assert isinstance(bits, int)
        return bits


def opened(quirks: Quirks = Quirks(), mount: Mount = Mount(), line: Line = Line()) -> Host:
    """A pump whose boot was acknowledged and whose syringe is known."""
    host = Host(PumplinkPump(quirks=quirks, mount=mount, line=line))
    assert host.hello()["version"] == 1
    host.send("ALARM_ACK", alarms=RESET)
    done = host.order("CONFIGURE", diameter_um=26_590, syringe_size_nl=60_000_000)
    assert done["ending"] == DONE
    return host


def running(**how: Any) -> Host:  # as `opened` takes them
    """One that infuses 60 mL/h towards 10 mL."""
    host = opened(**how)
    assert host.arm()["ending"] == DONE
    assert host.run()["ending"] == DONE
    return host
