"""One Harvard pump on one wire: single exchanges, and which answer belongs to which request.

Answerable for address, echo, time-outs, repeats and what was met on the way; not for what the exchanges
are for (`harvard`).

The pump numbers nothing and an answer names no request, so an answer is known by its content:

* A reply with another pump's address, or without ours, is skipped and the wait goes on; so is one that
  cannot be the answer (wrong shape), and one behind the echo of another request.
* An error can be the answer to anything.
* After a silence it is open how many answers are still to come.  The pump answers in order, so the next
  exchange is preceded by a ``version``: whatever arrives before its answer, which nothing else can look
  like, belongs to the past and is dropped.
* The acknowledgement of a set is a bare prompt, like that of any other; so it counts for little, and the
  value that is read back for everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer, PumpRefused
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.protocols.harvard_frames import FrameReader, request
from firmware_bridge.protocols.harvard_replies import (
    ALARMS,
    Reply,
    Shape,
    bare,
    is_version,
    parse_reply,
)
from firmware_bridge.quantities import Duration

_STRAYS = 6  # replies of no use that one request outlives; more is a babbling line
_SILENCES = 3  # unanswered tries of one question
_ERRORS = 3  # a refusal counts when it was given so often: nothing else tells a damaged request
WHO = ("version", "ver")
"""Questions whose answer looks like no other; each model knows at least one of them."""
_IDLE_PARTS = 5  # an answer may pause for a fifth of the time it may take: 100 ms of 500 ms


class Refused(PumpRefused):
    """The pump knows the request and said no, or does not know it."""


class Wire:
    """The state of one conversation with one pump: reader, alarms not yet passed on."""

    def __init__(self, port: str, address: int, within: Duration) -> None:
        self.port = port
        self.address = address
        self.within = within
        self.reader = FrameReader(idle_s=within.s / _IDLE_PARTS)
        self.seen = PumpAlarm.NONE
        """Every alarm met since they were last passed on, solicited or not."""
        self.strays = 0
        self.others: set[int | None] = set()
        """Addresses that answered instead of ours."""
        self._stale = False

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        """The replies completed by ``data``; the alarms in their prompts are remembered."""
        frames = self.reader.feed(data, now)
        for frame in frames:
            reply = parse_reply(frame.raw)
            if reply is not None and self._is_ours(reply):
                self.seen |= ALARMS.get(reply.prompt, PumpAlarm.NONE)
        return frames

    def take_seen(self) -> PumpAlarm:
        """The alarms not yet passed on, which from now on count as passed on."""
        seen, self.seen = self.seen, PumpAlarm.NONE
        return seen

    def frame(self, text: str) -> bytes:
        return request(self.address, text)

    def _is_ours(self, reply: Reply) -> bool:
        """At address 0 some pumps write ``00`` and others nothing; elsewhere the digits must be there."""
        return reply.address == self.address or (reply.address is None and self.address == 0)

    def request(
        self,
        text: str,
        fits: Shape,
        *,
        within: Duration | None = None,
        hush: Duration = Duration(0),
        any_echo: bool = False,
    ) -> Program[Reply | None]:
        """Send once; the answer, an error included, or ``None``.  Raises what the link raises.

        ``any_echo``: the answer to an earlier request will do as well.
        """
        patience = within or self.within
        sent = self.frame(text)
        echo = sent.decode("ascii").strip()
        frame = yield Ask(sent, patience, hush)
        for _ in range(_STRAYS):
            if frame is None:
                break
            reply = parse_reply(frame.raw)
            if reply is not None and not self._is_ours(reply):
                self.others.add(reply.address)
            elif (
                reply is not None
                and (reply.head in ("", echo) or (any_echo and "@" in reply.head))
                and (reply.error or fits(reply))
            ):
                return reply
            self.strays += 1
            frame = yield Listen(patience)
        self._stale = True
        return None

    def fresh(self, text: str, fits: Shape) -> Program[Reply | None]:
        """`request`, after making sure that no older answer can be taken for this one's.

        Raises `NoAnswer` when that failed.
        """
        if self._stale:
            yield from self._catch_up()
        return (yield from self.request(text, fits))

    def query(self, text: str, fits: Shape) -> Program[Reply]:
        """Ask until answered.  A question moves nothing, so it may be repeated.

        Raises `NoAnswer`; `Refused` with the pump's own explanation.
        """
        silences = errors = 0
        while silences < _SILENCES:
            reply = yield from self.fresh(text, fits)
            if reply is None:
                silences += 1
            elif not reply.error:
                return reply
            else:
                errors += 1
                if errors == _ERRORS:
                    raise Refused(text, reply.error)
        raise NoAnswer(self.port, f"no usable answer to {text}{self.instead()}")

    def set(self, text: str) -> Program[Reply]:
        """Send a setting until it is taken.  Not for what moves the plunger: this repeats.

        Raises as `query` does.
        """
        return (yield from self.query(text, bare))

    def _catch_up(self) -> Program[None]:
        """No answer of the past is outstanding any more.  Raises `NoAnswer`."""
        for number in range(2 * _SILENCES):  # a model that does not know the one may know the other
            reply = yield from self.request(WHO[number % 2], is_version)
            if reply is not None and not reply.error:
                self._stale = False
                return
        raise NoAnswer(self.port, f"no answer to version{self.instead()}")

    def instead(self) -> str:
        """What was heard that may explain a silence."""
        others = ", ".join("none" if one is None else str(one) for one in _in_order(self.others))
        if others:
            return f"; address {others} answered instead of {self.address}"
        if self.strays or self.reader.noise_bytes:
            return "; what came was not an answer of this command set: check baud rate and model"
        return ""


def _in_order(addresses: set[int | None]) -> list[int | None]:
    """In order, with the pump that wrote no address first."""
    return sorted(addresses, key=lambda one: -1 if one is None else one)
