"""Every parser there is, host and device, with frames that it knows: what `hil_tests.fuzz_parsers` feeds on.

A subject is fed bytes and says what it understood.  Frames come from the tests' own framing, never from
the codec under test; what hosts read is what the simulated pumps answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Protocol

from firmware_bridge.dialect import Ask, HostDialect, SelfAnswering, Syringe, Timed
from firmware_bridge.dialects import make_dialect, parse_pump_url
from firmware_bridge.errors import BridgeError
from firmware_bridge.protocols.pumplink import FrameDecoder
from firmware_bridge.protocols.pumplink_device import DeviceSession
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.quantities import Duration, Rate, Volume
from hil_tests.pure.sim.alaris_host import framed as alaris
from hil_tests.pure.sim.alaris_host import golden as alaris_golden
from hil_tests.pure.sim.fresenius_host import framed as fresenius
from hil_tests.pure.sim.new_era_host import packet
from hil_tests.pure.sim.pumplink_host import LAYOUT, SCHEMA_HASH, packed
from hil_tests.pure.sim.pumplink_host import framed as pumplink
from sim.devices.kinds import PumpOptions, device_kind

Reframe = Callable[[Random, str], bytes]
"""A text in a frame whose checks are right."""


class Parser(Protocol):
    """One instance under test."""

    def feed(self, data: bytes, now: float) -> bytes:
        """What it made of these bytes: answers, or frames that it took."""

    def pause(self, now: float) -> bytes:
        """Nothing came until ``now``; what it made of that."""


@dataclass(frozen=True)
class Subject:
    """One parser.  ``probe``: a frame that it must understand, and what is then in what it says."""

    name: str
    make: Callable[[], Parser]
    texts: Sequence[str]
    reframe: Reframe
    probe: tuple[bytes, bytes]


@dataclass
class _Device:
    """A simulated pump.  ``before``: what it is told first."""

    dialect: str
    before: Sequence[bytes] = ()
    pump: Any = field(init=False)
    now: float = 0.0

    def __post_init__(self) -> None:
        kind = device_kind(self.dialect)
        self.pump = kind.make(PumpOptions(model=kind.models[0]))
        for frame in self.before:
            self.pump.feed(frame, 0.0)

    def feed(self, data: bytes, now: float) -> bytes:
        self.now = now
        return b"".join(piece for _, piece in self.pump.feed(data, now))

    def pause(self, now: float) -> bytes:
        self.now = now
        return b"".join(piece for _, piece in self.pump.advance(now))


@dataclass
class _Host:
    """A host's reader, as its link uses it."""

    dialect: str
    host: HostDialect = field(init=False)

    def __post_init__(self) -> None:
        self.host = make_dialect(parse_pump_url(f"{self.dialect}:/dev/null"))

    def feed(self, data: bytes, now: float) -> bytes:
        self._settle(now)
        return b"".join(frame.raw for frame in self.host.receive(data, now))

    def pause(self, now: float) -> bytes:
        return self.feed(b"", now)

    def _settle(self, now: float) -> None:
        at = self.host.discard_at()
        if at is not None and at <= now:
            self.host.discard(now)


class _Programs(_Host):
    """Everything a host can be asked to do, answered by whatever comes, and now and then by a pump."""

    program: Any = None
    asked: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pump = _Device(self.dialect)
        self._heard = b""

    def feed(self, data: bytes, now: float) -> bytes:
        self._settle(now)
        for frame in self.host.receive(self._heard + data, now):
            self._step(frame, now)
        self._heard = b""
        return b""

    def pause(self, now: float) -> bytes:
        self._settle(now)
        self._step(None, now)
        return b""

    def _step(self, frame: Any, now: float) -> None:
        if isinstance(self.host, Timed):
            self.host.it_is(now)
        try:
            if self.program is None:
                self.program = self._next()
                step = next(self.program)
            else:
                step = self.program.send(frame)
            self._ask_a_pump(step, now)
        except (StopIteration, BridgeError):
            self.program = None

    def _ask_a_pump(self, step: Any, now: float) -> None:
        """Of three questions one is answered as a pump does, one so and with a byte hurt."""
        owed = self.host.take_owed() if isinstance(self.host, SelfAnswering) else b""
        self.steps += 1
        if not isinstance(step, Ask) or self.steps % 3 == 0:
            return
        answer = bytearray(self._pump.feed(owed + step.frame, now))
        if answer and self.steps % 3 == 1:
            answer[self.steps % len(answer)] ^= 1 << self.steps % 7
        self._heard = bytes(answer)

    def _next(self) -> Any:
        host, lease = self.host, Duration(5_000)
        rate, volume = Rate.from_ml_h("60"), Volume.from_ml("2")
        programs: Sequence[Callable[[], Any]] = (
            host.connect,
            lambda: host.configure(Syringe(26_590, Volume.from_ml("60"))),
            lambda: host.start(rate, volume, lease),
            host.read,
            lambda: host.set_rate(rate),
            host.pause,
            lambda: host.resume(lease),
            host.stop,
            lambda: host.prove_dead_man(lease),
            host.relax,
            host.restore,
        )
        self.asked += 1
        return programs[self.asked % len(programs)]()


class _Decoder:
    """What both ends of a pumplink/1 link read frames with."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()

    def feed(self, data: bytes, now: float) -> bytes:
        del now
        return repr(self._decoder.feed(data)).encode()

    def pause(self, now: float) -> bytes:
        del now
        return b""


class _HostSession:
    """What the controller reads from its bridge."""

    def __init__(self) -> None:
        self._session = HostSession(0xBEEF)
        self._session.hello(0.0)

    def feed(self, data: bytes, now: float) -> bytes:
        heard = self._session.receive(data, now)
        self._session.outgoing()
        return repr(heard).encode()

    def pause(self, now: float) -> bytes:
        self._session.on_timer(now)
        self._session.outgoing()
        return b""


class _DeviceSession:
    """What the bridge reads from its controller."""

    def __init__(self) -> None:
        self._session = DeviceSession()

    def feed(self, data: bytes, now: float) -> bytes:
        commands = self._session.receive(data, now)
        self._session.outgoing()
        return repr(commands).encode()

    def pause(self, now: float) -> bytes:
        self._session.on_timer(now)
        self._session.outgoing()
        return b""


# -- frames -------------------------------------------------------------------------------------------

_NEW_ERA = (
    *("DIA14.43", "DIA", "RAT26.7MH", "RAT", "VOL2", "VOL", "RUN", "STP", "DIS", "CLDINF", "SAF5"),
    *("VER", "PHN1", "FUNRAT", "DIRINF", "00DIA", "01DIA", "*RESET", "1RUN*2STP*", ""),
)
_HARVARD = (
    *("diameter 14.43", "diameter", "irate 26.7 m/h", "irate", "tvolume 2 ml", "tvolume", "irun"),
    *("stp", "status", "ver", "version", "ivolume", "cvolume", "poll on", "addr", "nvram none", ""),
    *("iramp 1 ml/min 2 ml/min 10", "syrmanu bdp 10 ml", "load qs i", "05:irun", "@irun"),
)
_LEGACY = (
    *("00MMD14.43", "00DIA", "00MLH26.7", "00RAT", "00MLT2", "00TGT", "00RUN", "00STP", "00VOL"),
    *("00CLV", "00VER", "00MOD", "00DIR", "00REV", "05RUN", "00"),
)
_FRESENIUS = (
    *(
        "0DC",
        "1DC",
        "1MO;2",
        "1PR;010B",
        "1PV;0007D0",
        "1PB;000064;0258",
        "1PO",
        "1LE;adr",
        "1LM;d",
    ),
    *("0LE;b", "1DE;ad", "1RV", "1SI", "1PP;00C8", "1E", "1FC", "0FC", "1EN;bed 4", "1LN", "0LF;b"),
)


def _line(_chance: Random, text: str) -> bytes:
    return text.encode("latin-1") + b"\r"


def _safe(_chance: Random, text: str) -> bytes:
    return packet(text[:240]) if text.isascii() else b""


def _either(chance: Random, text: str) -> bytes:
    return _safe(chance, text) if chance.random() < 0.5 else b"\x02" + _bare(text) + b"\x03"


def _bare(text: str) -> bytes:
    return text.encode("latin-1")


def _alaris(_chance: Random, text: str) -> bytes:
    return alaris(text) if text.isascii() else b""


def _fresenius(_chance: Random, text: str) -> bytes:
    return fresenius(text) if text.isascii() else b""


def _pumplink(chance: Random, text: str) -> bytes:
    """The name of a message; its fields are any, and its payload is sometimes of another length."""
    name = text if text in LAYOUT else list(LAYOUT)[int(chance.random() * len(LAYOUT))]
    number, fields = LAYOUT[name]
    if any(kind.startswith("text") for _, kind in fields) or chance.random() < 0.2:
        payload = bytes(int(chance.random() * 256) for _ in range(int(chance.random() * 60)))
    else:
        values = {key: int(chance.random() ** 3 * 2 ** int(kind[1:])) for key, kind in fields}
        payload = packed(name, **values)
    return pumplink(number, payload, int(chance.random() * 256), int(chance.random() * 256))


def _as_it_is(_chance: Random, text: str) -> bytes:
    """What Harvard pumps say has no check."""
    return _bare(text)


HELLO = pumplink(
    LAYOUT["HELLO"][0], packed("HELLO", version_min=1, version_max=1, schema_hash=SCHEMA_HASH)
)


def _answers(dialect: str, *frames: bytes) -> list[bytes]:
    """What a simulated pump says to these."""
    device = _Device(dialect)
    said = [device.feed(frame, float(number)) for number, frame in enumerate(frames)]
    return [answer for answer in said if answer]


def _texts(answers: Sequence[bytes], first: int, last: int) -> list[str]:
    """What is in frames of that many bytes around it."""
    return [answer[first : len(answer) - last].decode("latin-1") for answer in answers]


def subjects() -> list[Subject]:
    """All of them."""
    new_era = _answers("new-era", *(_bare(text) + b"\r" for text in _NEW_ERA if text != "SAF5"))
    harvard = _answers("harvard", *(_bare(text) + b"\r" for text in _HARVARD))
    asena = _answers(
        "alaris", alaris_golden()["REMOTE_CTRL^ENABLED^3CC1"], *alaris_golden().values()
    )
    base = ["0C", "1C;a0000;d010B;r0003E8", "1I;1E", "1E;a0001", "1M;d0032"]
    names = list(LAYOUT)
    asked = [frame[1:-6].decode("latin-1") for frame in alaris_golden().values()]
    rate, read = alaris("INF_RATE^5.00^ml/h"), fresenius("1C;d0032")
    found = {
        "new-era": (_texts(new_era, 1, 1), _either, (new_era[-1], new_era[-1])),
        "harvard": (_texts(harvard, 0, 0), _as_it_is, (b"\n445 ul/min\r\n:", b"445 ul/min")),
        "alaris": (_texts(asena, 1, 6), _alaris, (rate, rate)),
        "fresenius": (base, _fresenius, (read, read)),
        "pumplink": (names, _pumplink, (b"", b"")),
    }
    hosts = []
    for name, (texts, reframe, (frame, seen)) in found.items():
        made = (texts, reframe)
        hosts += [
            Subject(f"host {name}", partial(_Host, name), *made, (frame, seen)),
            Subject(f"host {name} programs", partial(_Programs, name), *made, (b"", b"")),
        ]
    return [
        *hosts,
        Subject("both pumplink frames", _Decoder, names, _pumplink, (HELLO, b"Hello")),
        Subject("host pumplink session", _HostSession, names, _pumplink, (b"", b"")),
        Subject("bridge pumplink session", _DeviceSession, names, _pumplink, (HELLO, b"Hello")),
        Subject(
            "device new-era",
            lambda: _Device("new-era", [b"\r"]),
            _NEW_ERA,
            _line,
            (b"DIA\r", b"26.59"),
        ),
        Subject(
            "device new-era, safe mode",
            lambda: _Device("new-era", [b"\r", b"SAF50\r"]),
            _NEW_ERA,
            _safe,
            (packet("DIA"), b"26.59"),
        ),
        Subject(
            "device harvard", lambda: _Device("harvard"), _HARVARD, _line, (b"diameter\r", b" mm")
        ),
        Subject(
            "device harvard-legacy",
            lambda: _Device("harvard-legacy"),
            _LEGACY,
            _line,
            (b"00DIA\r", b"14.43"),
        ),
        Subject(
            "device alaris", lambda: _Device("alaris"), asked, _alaris, (alaris("INF"), b"!INF^")
        ),
        Subject(
            "device fresenius",
            lambda: _Device("fresenius"),
            _FRESENIUS,
            _fresenius,
            (fresenius("0DC"), b"\x020C"),
        ),
        Subject(
            "device pumplink",
            lambda: _Device("pumplink"),
            names,
            _pumplink,
            (HELLO, b"infusor-sim"),
        ),
    ]
