"""One direction of a serial line, clean or as bad as a real one.  Pure: told the time, never asking for it.

What goes in leaves in order, later, and perhaps hurt: bytes are paced, travel, are lost, doubled or
flipped, come one by one or several frames at once, wait while the line is stalled, and vanish while it is
dead.  A frame is one write; a line knows no more of frames than that.  Not answerable for ports or timers
(`sim.wire`), nor for what the bytes mean.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

PENDING_BYTES_MAX = 1_000_000
"""What may be under way; more is lost, as from a port whose buffer is full."""
_BITS_PER_BYTE = 8
_ANY_BYTE = 256


class Chance(Protocol):
    """Where a line's chances come from: a ``random.Random`` of its own."""

    def random(self) -> float:
        """The next value in [0, 1)."""


@dataclass(slots=True)
class Wear:
    """What is wrong with one direction now; probabilities per byte or per frame, times in seconds."""

    byte_drop: float = 0.0
    byte_duplicate: float = 0.0
    bit_flip: float = 0.0
    """That a byte arrives with one bit flipped."""
    garbage: float = 0.0
    """That a frame is preceded by one to eight bytes that nobody sent."""
    frame_duplicate: float = 0.0
    garbled: bool = False
    """Every byte arrives as another one: the two sides disagree about speed or parity."""
    split_gap_s: float | None = None
    """Bytes arrive one by one, at this distance."""
    hold_s: float = 0.0
    """Frames are kept for so long and arrive together."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    byte_s: float = 0.0
    """What a byte takes on the wire: start + data + parity + stop bits over the baud rate."""
    stalled: bool = False
    """Nothing arrives; all of it comes when this is over."""
    dead: bool = False
    """Nothing arrives, and nothing of it ever will."""

    @property
    def clean(self) -> bool:
        """Whether bytes pass at once and unhurt."""
        return self == _CLEAN


_CLEAN = Wear()


class FaultPipe:
    """One direction.  ``wear`` may be changed at any time; what is under way keeps its arrival."""

    def __init__(self, chance: Chance) -> None:
        self.wear = Wear()
        self._chance = chance
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._pending = 0
        self._wire_free = 0.0
        self._last_at = 0.0
        self.lost_bytes = 0

    @property
    def idle(self) -> bool:
        """Clean, with nothing under way: bytes may pass it by."""
        return not self._under_way and self.wear.clean

    def put(self, data: bytes, now: float) -> None:
        """A frame enters the line."""
        wear = self.wear
        if wear.dead or self._pending + len(data) > PENDING_BYTES_MAX:
            self.lost_bytes += len(data)
            return
        for piece in self._hurt(data):
            self._send(piece, now)

    def due(self, now: float) -> list[bytes]:
        """What has arrived by ``now``, in order."""
        arrived: list[bytes] = []
        while not self.wear.stalled and self._under_way and self._under_way[0][0] <= now:
            _, piece = self._under_way.popleft()
            self._pending -= len(piece)
            if self.wear.dead:
                self.lost_bytes += len(piece)
            else:
                arrived.append(piece)
        return arrived

    def next_due(self) -> float | None:
        """When `due` will have something, if nothing changes."""
        return None if self.wear.stalled or not self._under_way else self._under_way[0][0]

    def flush(self) -> None:
        """The cable is out: what was under way is gone."""
        self._under_way.clear()
        self._pending = 0

    # --- what happens to a frame ------------------------------------------------------------------

    def _send(self, piece: bytes, now: float) -> None:
        wear = self.wear
        self._wire_free = max(self._wire_free, now) + wear.byte_s * len(piece)
        at = self._wire_free + wear.delay_s
        if wear.jitter_s > 0.0:
            at += wear.jitter_s * self._chance.random()
        if wear.hold_s > 0.0 and self._joins(piece, now):
            return
        self._last_at = max(at + wear.hold_s, self._last_at)
        if wear.split_gap_s is None:
            self._append(self._last_at, piece)
            return
        for number in range(len(piece)):
            self._last_at += wear.split_gap_s if number else 0.0
            self._append(self._last_at, piece[number : number + 1])

    def _append(self, at: float, piece: bytes) -> None:
        self._under_way.append((at, piece))
        self._pending += len(piece)

    def _joins(self, piece: bytes, now: float) -> bool:
        """Whether the frame went into one that is being held back already."""
        if not self._under_way or self._under_way[-1][0] <= now:
            return False
        at, held = self._under_way.pop()
        self._under_way.append((at, held + piece))
        self._pending += len(piece)
        return True

    def _hurt(self, data: bytes) -> list[bytes]:
        """What becomes of a frame before it travels: nothing, it, or it twice."""
        wear = self.wear
        if wear.garbage and self._happens(wear.garbage):
            data = self._noise() + data
        if wear.byte_drop or wear.byte_duplicate or wear.bit_flip or wear.garbled:
            data = b"".join(self._hurt_byte(byte) for byte in data)
        if not data:
            return []
        return [data, data] if self._happens(wear.frame_duplicate) else [data]

    def _hurt_byte(self, byte: int) -> bytes:
        wear = self.wear
        if self._happens(wear.byte_drop):
            self.lost_bytes += 1
            return b""
        if wear.garbled:
            byte ^= 1 + int(self._chance.random() * (_ANY_BYTE - 1))
        elif self._happens(wear.bit_flip):
            byte ^= 1 << int(self._chance.random() * _BITS_PER_BYTE)
        return bytes([byte] * 2) if self._happens(wear.byte_duplicate) else bytes([byte])

    def _noise(self) -> bytes:
        count = 1 + int(self._chance.random() * 8)
        return bytes(int(self._chance.random() * _ANY_BYTE) for _ in range(count))

    def _happens(self, probability: float) -> bool:
        """What cannot happen draws nothing from the stream."""
        return probability > 0.0 and self._chance.random() < probability
