"""What both ends of a `pumplink/1` link have in common: numbering, outgoing bytes, counters.

Pure bookkeeping.  Which frame means what, and what is sent again, is decided by `pumplink_host` and
`pumplink_device`.
"""

from __future__ import annotations

from firmware_bridge.messages import (
    Arm,
    Bolus,
    ClearCounters,
    Configure,
    Counters,
    Disarm,
    Message,
    Pause,
    Reset,
    Resume,
    Run,
    SelfTest,
    SetRate,
    Stop,
)
from firmware_bridge.protocols.pumplink import SCHEMA_HASH, FrameDecoder, Header, encode

Numbered = (
    Configure
    | Arm
    | Disarm
    | Bolus
    | Run
    | SetRate
    | Pause
    | Resume
    | Stop
    | ClearCounters
    | SelfTest
    | Reset
)
"""The commands with an id, each of which ends in a `Result`."""

_BEHIND = 8
"""How far behind the newest frame a number still means "seen before": a cable that repeats a burst
repeats a few frames, while a burst of losses would have to lose 249 in a row to look like that."""


class Endpoint:
    """One end of one link.  ``link_id`` 0 means: no link yet, or a connection that only stops."""

    def __init__(self, link_id: int, schema_hash: int = SCHEMA_HASH) -> None:
        self.link_id = link_id
        self.decoder = FrameDecoder(schema_hash)
        self.retransmits = 0
        self.duplicates = 0
        self._schema_hash = schema_hash
        self._next_seq = 0
        self._newest: int | None = None
        self._outgoing = bytearray()

    def send(self, message: Message, seq: int | None = None) -> int:
        """Queue ``message`` and return its number; ``seq`` repeats that number for a retransmission.

        Raises `errors.ConfigurationError` for a number that does not fit; nothing is then queued.
        """
        number = self._next_seq if seq is None else seq
        header = Header(number, self._newest or 0, self.link_id)
        self._outgoing += encode(header, message, self._schema_hash)
        if seq is None:
            self._next_seq = (number + 1) & 0xFF
        else:
            self.retransmits += 1
        return number

    def frame(self, message: Message) -> bytes:
        """``message`` under a number of its own, for whoever writes it past the queue."""
        number, self._next_seq = self._next_seq, (self._next_seq + 1) & 0xFF
        header = Header(number, self._newest or 0, self.link_id)
        return encode(header, message, self._schema_hash)

    def send_instead(self, frame: bytes) -> None:
        """``frame`` takes the place of everything that has not gone out."""
        self._outgoing[:] = frame

    def repeat(self, frame: bytes) -> None:
        """A pre-built frame goes out after what is waiting."""
        self._outgoing += frame

    def take(self) -> bytes:
        """The bytes to write; they are forgotten here."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def seen_before(self, seq: int) -> bool:
        """Whether the peer's frame ``seq`` came already; if not, it is the newest from now on."""
        if self._newest is not None and (self._newest - seq) & 0xFF < _BEHIND:
            return True
        self._newest = seq
        return False

    def forget_peer(self) -> None:
        """The peer begins to count anew."""
        self._newest = None

    def counters(self) -> Counters:
        """The health of this end since it was made."""
        decoder = self.decoder
        return Counters(
            frames=decoder.frames,
            crc_errors=decoder.crc_errors,
            retransmits=self.retransmits,
            duplicates=self.duplicates,
            oversize=decoder.oversize,
            resyncs=decoder.resyncs,
        )
