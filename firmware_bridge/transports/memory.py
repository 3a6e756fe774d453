"""A connected pair of transports in memory, with a cable between them that can be as bad as a real one.

The only transport allowed in virtual time.  Each direction is a line of its own: frames wait, are in
transmission for as long as their bytes take, travel, and land.  Without a `Cable` a frame costs one
``call_soon`` and arrives as it was.  Bytes of one direction never overtake each other, whatever the
cable and whatever order the loop picks callbacks in.

Not answerable for framing: a cable damages whole writes, and a write is a frame by the contract of
`firmware_bridge.transports.base`.  Not for other threads either: virtual time has none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports.base import Lost, Received

Tap = Callable[[str, bytes], None]
"""Sees every write that leaves an end: the end's name and the bytes, before the cable touches them."""

WAITING_FRAMES_MAX = 1000
"""Far more than any session has outstanding; a writer that runs into it talks to nobody."""

_BITS_PER_BYTE = 8


class Stream(Protocol):
    """Where a cable's chances come from: a ``random.Random``, used through its one stable method."""

    def random(self) -> float:
        """The next value in [0, 1)."""


@dataclass(slots=True, kw_only=True)
class Cable:
    """What one direction does to the frames sent through it; chances are per frame, times in seconds.

    It may be changed while in use: ``loss = 1.0`` is a direction that went dead while the other lives.
    """

    stream: Stream
    loss: float = 0.0  # the frame never arrives
    duplicate: float = 0.0  # it arrives twice
    corrupt: float = 0.0  # one of its bits arrives flipped
    delay_s: float = 0.0
    jitter_s: float = 0.0  # further delay, uniform up to this
    byte_s: float = 0.0  # time one byte takes on the wire (10 bits at 9600 baud: 1.04 ms)
    one_byte_at_a_time: bool = False  # every byte arrives by itself

    def __post_init__(self) -> None:
        """Refuse, with a `ValueError`, what no cable can do."""
        for name in ("loss", "duplicate", "corrupt"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} = {getattr(self, name)}: a chance lies between 0 and 1")
        for name in ("delay_s", "jitter_s", "byte_s"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} = {getattr(self, name)}: a time is not negative")

    def chance(self, probability: float) -> bool:
        """Whether it happens this time.  What cannot happen draws nothing from the stream."""
        return probability > 0.0 and self.stream.random() < probability

    def damaged(self, frame: bytes) -> list[bytes]:
        """What arrives of a frame: nothing, it, or it twice, perhaps with a bit flipped, in pieces."""
        if self.chance(self.loss):
            return []
        if frame and self.chance(self.corrupt):
            bit = int(self.stream.random() * len(frame) * _BITS_PER_BYTE)
            hurt = bytearray(frame)
            hurt[bit // _BITS_PER_BYTE] ^= 1 << bit % _BITS_PER_BYTE
            frame = bytes(hurt)
        pieces = [frame]
        if self.one_byte_at_a_time:
            pieces = [frame[i : i + 1] for i in range(len(frame))]
        return pieces * 2 if self.chance(self.duplicate) else pieces

    def travel_s(self) -> float:
        """How long this frame is under way."""
        if self.jitter_s > 0.0:
            return self.delay_s + self.jitter_s * self.stream.random()
        return self.delay_s


class _Line:
    """One direction: a queue in front of the wire, the frame on it, and what is under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cable: Cable | None) -> None:
        self._loop = loop
        self._cable = cable
        self._waiting: deque[bytes] = deque()
        self._sending = False
        self._under_way: deque[bytes] = deque()
        self._lands_at = 0.0
        self._ends_after_this = False
        self.land: Callable[[bytes], None] = _ignore
        self.end: Callable[[], None] = _nothing
        self.overtaken = 0

    def put(self, frame: bytes) -> bool:
        """Take a frame; False when too much is waiting already."""
        if len(self._waiting) >= WAITING_FRAMES_MAX:
            return False
        self._waiting.append(frame)
        if self._cable is None:
            self._loop.call_soon(self._land_clean)
        elif not self._sending:
            self._send(self._cable)
        return True

    def put_next(self, frame: bytes) -> None:
        """Take a frame ahead of those not yet in transmission, which are dropped: see `write_now`."""
        keep = (
            1 if self._cable is None else 0
        )  # a clean line's first frame is the one in transmission
        while len(self._waiting) > keep:
            self._waiting.pop()
            self.overtaken += 1
        self.put(frame)

    def finish(self) -> None:
        """No more frames: the end follows what has been taken."""
        self._ends_after_this = True
        self._loop.call_soon(self._end_if_empty)

    def cut(self) -> None:
        """Everything that has not landed is gone."""
        self._waiting.clear()
        self._under_way.clear()
        self.land, self.end = _ignore, _nothing

    def _land_clean(self) -> None:
        if self._waiting:
            self.land(self._waiting.popleft())
            if self._ends_after_this:
                self._end_if_empty()

    def _send(self, cable: Cable) -> None:
        """Put the next frame on the wire, and the one after that when its bytes have gone."""
        while self._waiting:
            frame = self._waiting.popleft()
            if cable.byte_s > 0.0:
                self._sending = True
                self._loop.call_later(cable.byte_s * len(frame), self._sent, cable, frame)
                return
            self._travel(cable, frame)

    def _sent(self, cable: Cable, frame: bytes) -> None:
        self._sending = False
        self._travel(cable, frame)
        self._send(cable)
        if self._ends_after_this:
            self._end_if_empty()

    def _travel(self, cable: Cable, frame: bytes) -> None:
        travel_s = cable.travel_s()
        if travel_s > 0.0 or self._under_way:
            self._lands_at = max(self._lands_at, self._loop.time() + travel_s)
        for piece in cable.damaged(frame):
            self._under_way.append(piece)
            if self._lands_at > self._loop.time():
                self._loop.call_at(self._lands_at, self._land_first)
            else:
                self._loop.call_soon(self._land_first)

    def _land_first(self) -> None:
        if self._under_way:
            self.land(self._under_way.popleft())
            if self._ends_after_this:
                self._end_if_empty()

    def _end_if_empty(self) -> None:
        if not (self._waiting or self._sending or self._under_way):
            end, self.end = self.end, _nothing
            end()


def _ignore(_frame: bytes) -> None:
    """Where the bytes of a cut line go."""


def _nothing() -> None:
    """How a line that has ended once ends again."""


class MemoryTransport:
    """One end of a pair; see `firmware_bridge.transports.base.Transport`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, out: _Line, into: _Line, tap: Tap | None
    ) -> None:
        self._loop = loop
        self._name = name
        self._out = out
        self._into = into
        self._tap = tap
        self._received: Received | None = None
        self._lost: Lost | None = None
        self._early: list[bytes] = []
        self._gone: str | None = None
        self._cause: Exception | None = None
        self._peer: MemoryTransport | None = None
        into.land = self._land
        into.end = self._peer_closed

    @property
    def name(self) -> str:
        return self._name

    @property
    def overtaken(self) -> int:
        """Frames that were dropped because a STOP left in their place."""
        return self._out.overtaken

    def start(self, received: Received, lost: Lost) -> None:
        """Begin to hand over what arrives, and what has arrived already."""
        self._received, self._lost = received, lost
        if self._early:
            self._loop.call_soon(self._hand_over_early)
        elif self._gone is not None:
            self._loop.call_soon(self._announce)

    def write(self, data: bytes) -> None:
        """Send a frame.  Raises `Disconnected` after a loss, `LinkError` when too many frames already wait."""
        self._check()
        if not self._out.put(data):
            raise LinkError(
                self._name, f"not sent: {WAITING_FRAMES_MAX} frames wait and nobody takes them"
            )
        if self._tap is not None:
            self._tap(self._name, data)

    def write_now(self, data: bytes) -> None:
        self._check()
        if self._tap is not None:
            self._tap(self._name, data)
        self._out.put_next(data)

    def close(self) -> None:
        """What was written still arrives; then the peer is told that this end closed."""
        if self._gone is None:
            self._gone = "closed"
            self._received = self._lost = None
            self._into.cut()
            self._out.finish()

    def cut(self) -> None:
        """Unplug: what is under way is gone, and both ends learn of it."""
        self.unplugged()
        if self._peer is not None:
            self._peer.unplugged()

    def connect(self, peer: MemoryTransport) -> None:
        """Say who holds the other end."""
        self._peer = peer

    def unplugged(self) -> None:
        """This end has come out of its socket."""
        self._into.cut()
        self._out.cut()
        self._early.clear()
        if self._gone is None:
            self._lose("unplugged", Disconnected(self._name, "unplugged"))

    def _check(self) -> None:
        if self._gone is not None:
            raise Disconnected(self._name, self._gone)

    def _land(self, data: bytes) -> None:
        if self._received is None or self._early:
            self._early.append(data)
        else:
            self._received(data)

    def _hand_over_early(self) -> None:
        while self._early and self._received is not None:
            self._received(self._early.pop(0))
        if self._gone is not None:
            self._announce()

    def _peer_closed(self) -> None:
        if self._gone is None:
            self._lose("closed by the other end", None)

    def _lose(self, what: str, cause: Exception | None) -> None:
        self._gone, self._cause = what, cause
        if self._lost is not None and not self._early:
            self._loop.call_soon(self._announce)

    def _announce(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._cause)


def pair(
    loop: asyncio.AbstractEventLoop,
    *,
    a_name: str = "a",
    b_name: str = "b",
    cable_ab: Cable | None = None,
    cable_ba: Cable | None = None,
    tap: Tap | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Two ends, ``a`` and ``b``, joined by a cable per direction; ``None`` is a clean one."""
    ab, ba = _Line(loop, cable_ab), _Line(loop, cable_ba)
    a = MemoryTransport(loop, a_name, ab, ba, tap)
    b = MemoryTransport(loop, b_name, ba, ab, tap)
    a.connect(b)
    b.connect(a)
    return a, b
