"""What an unknown pump is asked to find out who it is, in which order, and how answers are told apart.

Pure.  `probe` opens the port and asks.

Every question here is a *query* of its own family, and no question is a command of another family, read
however that family reads.  What each makes of the others' bytes:

* ``VER`` CR first: New Era answers ``STX..ETX``, Harvard and the older Harvard set answer lines and a
  prompt, each in its own way, so one harmless question serves three.  Framed families (Alaris waits for
  ``!``, Fresenius for STX, pumplink for a zero) see noise.  A New Era pump with a pending alarm answers with
  that alarm, which is thereby acknowledged; infusor would do the same on opening.
* Alaris ``!INST_SERIALNO|457D`` CR: an unknown command to New Era (``?``) and Harvard (``Command error``).
* New Era's ``VER`` in safe mode, ``STX 08 .. ETX``, is no line: Harvard would keep it in front of its next
  line.  So a lone CR follows every framed question, an empty command to all: a status query to New Era, a
  prompt to Harvard.  To Fresenius its checksum is wrong (NAK).
* Fresenius ``LE;b`` (which modules are there), at its own 7E1, where others see parity errors.  STX and the
  digit behind it look to a New Era pump in safe mode like a long packet; it drops that after 0.5 s of
  silence, which follows.  Nothing is opened by it.
* pumplink ``HELLO`` last: to the others it is noise, and to a pumplink pump it is the one question that
  changes anything: it ends the link that was open, and with it a delivery.

None of them starts a pump or sets anything in it.
Dialects that others have installed are not asked: what their questions mean to other pumps is not known.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.protocols.harvard_frames import FrameReader as HarvardReader
from firmware_bridge.protocols.harvard_replies import parse_reply as parse_harvard
from firmware_bridge.protocols.new_era_frames import FrameReader as NewEraReader
from firmware_bridge.protocols.new_era_frames import safe_frame
from firmware_bridge.protocols.new_era_replies import is_version, parse_reply
from firmware_bridge.protocols.pumplink_host import HostSession

SILENCE_S = 0.6
"""Behind a framed question: longer than a New Era pump keeps an incomplete packet (0.5 s)."""

_LINK_ID = 0x1DF1
_LEGACY = re.compile(
    rb"(?:[0-9]*VER\r)?\r\n *([^\r\n]*?) *(?:\r\n)?\r\n ?([0-9]{0,2})[:><*/^]", re.ASCII
)
"""The older set begins its answers with CR LF, the newer one with LF alone."""
_ALARIS = re.compile(rb"!(INST_SERIALNO\^[ -\[\]-{}~]*)\|([0-9A-F]{4})\r", re.ASCII)
_FRESENIUS = re.compile(rb"\x02([0-5])([ -~]*?)([0-9A-F]{2})\x03", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered, as far as an answer shows it."""

    dialect: str
    address: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A harmless question at one kind of line, and who can answer it."""

    families: tuple[str, ...]
    bauds: tuple[int, ...]
    """The likeliest first."""
    asks: Callable[[int], bytes]
    """The bytes for the pump at an address."""
    reads: Callable[[bytes], Answer | None]
    """Who said these bytes, as soon as they show it.  Never raises."""
    within_s: float = 0.5
    addresses: tuple[int, ...] = (0,)
    """Where it may be, the likeliest first: a chain of ten pumps [design]."""
    framed: bool = False
    bytesize: int = 8
    parity: str = "N"


def _ver(address: int) -> bytes:
    return f"{address or ''}VER\r".encode()


def _read_line(data: bytes) -> Answer | None:
    legacy = _LEGACY.match(data)
    if legacy:
        said = legacy[1].decode("ascii", "replace")
        return Answer("harvard-legacy", int(legacy[2] or 0), said)
    return _read_new_era(data) or _read_harvard(data)


def _read_new_era(data: bytes) -> Answer | None:
    for frame in NewEraReader(idle_s=1.0).feed(data, 0.0):
        reply = parse_reply(frame.text, frame.raw)
        if reply is not None and (reply.status == "A" or is_version(reply.data) or reply.error):
            return Answer("new-era", reply.address, reply.status + reply.data)
    return None


def _read_harvard(data: bytes) -> Answer | None:
    """A whole reply: lines of a version, or an error, which a model without ``ver`` gives."""
    reader = HarvardReader(idle_s=1.0)
    frames = reader.feed(data, 0.0)
    reader.settle()
    for frame in (*frames, *reader.feed(b"", 0.0)):
        reply = parse_harvard(frame.raw)
        if reply is not None and reply.lines:
            return Answer("harvard", reply.address or 0, " ".join(" ".join(reply.lines).split()))
    return None


def _read_alaris(data: bytes) -> Answer | None:
    for match in _ALARIS.finditer(data):
        if crc_hqx(match[1], 0xFFFF) == int(match[2], 16):
            return Answer("alaris", 0, match[1].decode())
    return None


def _read_fresenius(data: bytes) -> Answer | None:
    for match in _FRESENIUS.finditer(data):
        if 0xFF - sum(match[1] + match[2]) % 256 == int(match[3], 16):
            return Answer("fresenius", int(match[1]), match[2].decode())
    return None


def _hello(_address: int) -> bytes:
    session = HostSession(_LINK_ID)
    session.hello(0.0)
    return b"\0" + session.outgoing()


def _read_pumplink(data: bytes) -> Answer | None:
    session = HostSession(_LINK_ID)
    session.hello(0.0)
    heard = session.receive(data, 0.0)
    return Answer("pumplink", 0, " ".join(type(one).__name__ for one in heard)) if heard else None


QUESTIONS = (
    Question(
        families=("harvard", "new-era", "harvard-legacy"),
        # Factory speeds first (115200 Harvard, 19200 New Era), then what hosts are seen to set.
        bauds=(115_200, 19_200, 9_600, 38_400, 57_600, 2_400, 1_200, 300),
        asks=_ver,
        reads=_read_line,
        addresses=tuple(range(10)),
    ),
    Question(
        families=("alaris",),
        bauds=(38_400,),
        asks=lambda _address: b"!INST_SERIALNO|457D\r",
        reads=_read_alaris,
        within_s=1.0,
    ),
    Question(
        families=("new-era",),
        bauds=(19_200, 9_600, 2_400, 1_200, 300),
        asks=lambda address: safe_frame(f"{address}VER"),
        reads=_read_new_era,
        addresses=tuple(range(10)),
        framed=True,
    ),
    Question(
        families=("fresenius",),
        bauds=(19_200,),
        asks=lambda _address: b"\x020LE;bA1\x03",
        reads=_read_fresenius,
        framed=True,
        bytesize=7,
        parity="E",
    ),
    Question(
        families=("pumplink",),
        bauds=(115_200,),
        asks=_hello,
        reads=_read_pumplink,
        framed=True,
    ),
)
"""In the order in which they are asked; see the module for why."""
