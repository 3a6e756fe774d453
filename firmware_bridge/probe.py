"""Finding out which pump is on a port: dialect, speed, parity and address of whoever answers.

A thin shell: it opens the port at one line setting after the other, asks what `probe_questions` says, and
listens.  It sends questions only; nothing that could start, stop or set a pump.

For the bench and for simulation only; never for a pump connected to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firmware_bridge.errors import ConfigurationError, LinkError
from firmware_bridge.probe_questions import QUESTIONS, SILENCE_S, Answer, Question
from firmware_bridge.transports.base import Transport
from firmware_bridge.transports.opening import has_line_speed, open_transport

SCHEME = "auto"
_SLOW_BAUD = 9_600
_SLOW_FACTOR = 3  # an exchange of 40 characters at 300 baud takes 1.3 s
_HEARD_MAX = 4_096
ADDRESS_MAX = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where to look: ``auto:PORT[?baud=..&address=..]``, checked."""

    port: str
    baud: int | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Somebody answered."""

    port: str
    answer: Answer
    baud: int | None
    """``None`` where the port has no line speed, so that any would have done."""
    frame: str
    """Of one byte: ``8N1`` or ``7E1``."""

    @property
    def url(self) -> str:
        """The pump URL that opens it."""
        options = {"baud": self.baud, "address": self.answer.address}
        given = "&".join(f"{name}={value}" for name, value in options.items() if value)
        return f"{self.answer.dialect}:{self.port}{'?' if given else ''}{given}"


@dataclass(frozen=True, slots=True)
class _Try:
    question: Question
    baud: int
    addresses: tuple[int, ...]


def parse_auto_url(text: str) -> Wanted:
    """Where to look.  Raises `ConfigurationError` naming option and value."""
    scheme, _, rest = text.partition(":")
    port, mark, query = rest.partition("?")
    if scheme != SCHEME or not port or not text.isprintable():
        raise ConfigurationError(f"pump URL {text!r} is not {SCHEME}:PORT[?baud=..&address=..]")
    options: dict[str, int] = {}
    for part in query.split("&") if mark else ():
        name, _, value = part.partition("=")
        if name not in ("baud", "address") or name in options:
            raise ConfigurationError(f"pump URL {text!r}: option {part!r} is not baud=, address=")
        if not (value.isascii() and value.isdigit() and len(value) < 8):
            raise ConfigurationError(f"pump URL {text!r}: {name} {value!r} is not a whole number")
        options[name] = int(value)
    if options.get("address", 0) > ADDRESS_MAX:
        raise ConfigurationError(
            f"pump URL {text!r}: address {options['address']} is above {ADDRESS_MAX}"
        )
    if options.get("baud") == 0:
        raise ConfigurationError(f"pump URL {text!r}: baud 0 is not a speed")
    return Wanted(port=port, baud=options.get("baud"), address=options.get("address"))


async def find_pump(wanted: Wanted, *, on_try: Callable[[str], None] = lambda _what: None) -> Found:
    """Whoever answers first.

    ``on_try`` is told of each setting before it is tried.  Raises `LinkError` when the port cannot be
    opened, or nobody answers at any setting; the sentence says what was tried.  If cancelled, the port is
    released.
    """
    loop = asyncio.get_running_loop()
    any_speed = not has_line_speed(wanted.port)
    for attempt in tries(wanted, any_speed=any_speed):
        question = attempt.question
        frame = f"{question.bytesize}{question.parity}1"
        on_try(f"{attempt.baud} baud {frame}: {', '.join(question.families)}")
        transport = await open_transport(
            wanted.port,
            baud=attempt.baud,
            bytesize=question.bytesize,
            parity=question.parity,
            loop=loop,
        )
        try:
            answer = await _Ear(transport, loop).ask(attempt)
        finally:
            transport.close()
        if answer is not None:
            return Found(
                port=wanted.port,
                answer=answer,
                baud=None if any_speed else attempt.baud,
                frame=frame,
            )
    families = ", ".join(sorted({name for question in QUESTIONS for name in question.families}))
    raise LinkError(
        wanted.port,
        f"nobody answers; asked for {families} at their usual speeds and addresses: check power and "
        "cable, whether remote control is allowed, or say ?baud= and ?address=",
    )


def tries(wanted: Wanted, *, any_speed: bool) -> Iterator[_Try]:
    """Every setting in order: first the likely address at every speed, then the other addresses.

    ``any_speed``: the port has no line speed, so that one is as good as any.
    """
    for further in (False, True):
        for question in QUESTIONS:
            if wanted.address is None:
                here = question.addresses[1:] if further else question.addresses[:1]
            else:
                here = () if further else (wanted.address,)
            bauds = question.bauds if wanted.baud is None else (wanted.baud,)
            if further:  # a chain of pumps at 300 baud would take minutes to be searched
                bauds = tuple(baud for baud in bauds if baud >= _SLOW_BAUD)
            for baud in bauds[:1] if any_speed else bauds:
                if here:
                    yield _Try(question, baud, here)


class _Ear:
    """One open port: what is heard behind each question."""

    def __init__(self, transport: Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._heard = bytearray()
        self._more = asyncio.Event()
        self._loop = loop
        self._gone: LinkError | None = None
        transport.start(self._received, self._lost)

    async def ask(self, attempt: _Try) -> Answer | None:
        """The first answer, if one comes.  Raises `LinkError` when the port goes."""
        question = attempt.question
        for address in attempt.addresses:
            self._heard.clear()
            self._transport.write(question.asks(address))
            slow = _SLOW_FACTOR if attempt.baud < _SLOW_BAUD else 1
            answer = await self._answer(question, question.within_s * slow)
            if question.framed:
                await asyncio.sleep(SILENCE_S if answer is None else 0)
                self._transport.write(b"\r")
                await asyncio.sleep(_AFTER_CR_S * slow)
            if answer is not None:
                return answer
        return None

    async def _answer(self, question: Question, within_s: float) -> Answer | None:
        """Read anew with every byte, until silence: a prompt may be the beginning of a line."""
        until = self._loop.time() + within_s
        while (left := until - self._loop.time()) > 0:
            self._more.clear()
            try:
                async with asyncio.timeout(_QUIET_S if self._heard else left):
                    await self._more.wait()
            except TimeoutError:
                answer = question.reads(bytes(self._heard))
                if answer is not None:
                    return answer
                if self._heard:
                    await asyncio.sleep(min(_QUIET_S, left))
            if self._gone is not None:
                raise self._gone
        return question.reads(bytes(self._heard))

    def _received(self, data: bytes) -> None:
        self._heard += data
        del self._heard[:-_HEARD_MAX]
        self._more.set()

    def _lost(self, cause: Exception | None) -> None:
        self._gone = LinkError(self._transport.name, f"lost: {cause or 'closed'}")
        self._more.set()


_QUIET_S = 0.1
"""An answer has ended when nothing came for so long."""
_AFTER_CR_S = 0.1
"""What a lone CR is answered with is let pass by."""
