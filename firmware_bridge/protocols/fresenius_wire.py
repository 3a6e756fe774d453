"""One Fresenius module on one wire: single exchanges, and which answer belongs to which request.

Answerable for time-outs, repeats, and what the pump says by itself; not for what the exchanges are for
(`fresenius`).

The pump numbers nothing and answers most commands alike, so what keeps request and answer together is:

* An answer counts only when the pump has acknowledged our frame first (the link layer's ACK): an answer
  that it repeats comes without one.
* What it says by itself (``E;``, ``M;``) is remembered and skipped.
* After a silence it is open how many answers are still to come.  The pump answers in order, so the next
  exchange is preceded by a question to the *base*, which nothing else is asked: whatever arrives before
  its answer belongs to the past and is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer
from firmware_bridge.protocols.fresenius_frames import LinkLayer, encode, is_nak
from firmware_bridge.protocols.fresenius_replies import (
    Fits,
    Reply,
    parse_reply,
    spontaneous_alarm,
    variable,
)
from firmware_bridge.quantities import Duration

REPLY_WITHIN = Duration(1_000)
"""How long the pump's hosts wait before they send a request once more."""

_STRAYS = 16  # frames of no use that one request outlives: a pump may have a lot to tell by itself
_SENDS = 2
_ROUNDS = 3  # requests, each sent twice, that one question may take
_NO_HUSH = Duration(0)
_TOLD_MAX = 8  # different alarms at once; more are told by the reading
_FENCE = "0LE;i"


class Wire:
    """The state of one conversation with one module: link layer, alarms not yet passed on."""

    def __init__(self, port: str, address: int, within: Duration) -> None:
        self.port = port
        self.address = address
        self.within = max(within, REPLY_WITHIN)
        self.link = LinkLayer()
        self.heard_at = 0.0
        """When the last whole frame came, in seconds of the loop's clock."""
        self.told: list[str] = []
        """Alarms that the pump has told of by itself and no reading has carried yet, in its words."""
        self.unsettled = False
        """Whether an answer may still be on its way."""
        self._stale = False

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        frames = self.link.feed(data)
        if frames:
            self.heard_at = now
        for frame in frames:
            if spontaneous_alarm(frame.text) and frame.text not in self.told[:_TOLD_MAX]:
                self.told = [*self.told, frame.text][-_TOLD_MAX:]
        return frames

    def take_told(self) -> list[str]:
        """The alarms told of, which from now on count as passed on."""
        told, self.told = self.told, []
        return told

    def frame(self, message: str) -> bytes:
        """``message`` for this module."""
        return encode(f"{self.address}{message}")

    # --- exchanges --------------------------------------------------------------------------------

    def request(
        self,
        message: str,
        fits: Fits,
        *,
        sends: int = _SENDS,
        within: Duration | None = None,
        hush: Duration = _NO_HUSH,
    ) -> Program[Reply | None]:
        """Send to the module; its answer, a refusal included, or ``None``.

        What the pump says it did not get whole (NAK) is sent again even where ``sends`` is 1: that frame
        certainly did nothing.  Raises what the link raises.
        """
        return (
            yield from self._exchange(
                self.frame(message),
                self.address,
                fits,
                sends=sends,
                within=within or self.within,
                hush=hush,
            )
        )

    def _exchange(
        self,
        frame: bytes,
        address: int,
        fits: Fits,
        *,
        sends: int,
        within: Duration,
        hush: Duration,
    ) -> Program[Reply | None]:
        self.unsettled = True
        for send in range(_SENDS):
            reply, refused = yield from self._once(frame, address, fits, within, hush)
            if reply is not None:
                self.unsettled = False
                return reply
            if not refused and send + 1 >= sends:
                break
        self._stale = True
        return None

    def _once(
        self, frame: bytes, address: int, fits: Fits, within: Duration, hush: Duration
    ) -> Program[tuple[Reply | None, bool]]:
        """One sending: the answer, or whether the pump said that it did not get it whole."""
        acknowledged, echoes = self.link.acknowledged, self.link.echoes
        heard = yield Ask(frame, within, hush)
        for _ in range(_STRAYS):
            if heard is None:
                break
            if is_nak(heard):
                if self.link.echoes == echoes:
                    return None, True
                # It may be about an answer of our link layer instead.
            else:
                reply = parse_reply(heard.text, heard.raw)
                if (
                    reply is not None
                    and reply.address == address
                    and self.link.acknowledged > acknowledged
                    and (reply.error or fits(reply))
                ):
                    return reply, False
            heard = yield Listen(within)
        self._stale = True
        return None, False

    def query(self, message: str, fits: Fits) -> Program[Reply]:
        """Ask until answered, a refusal included.  Never for what starts the motor.

        Raises `NoAnswer`.
        """
        for _ in range(_ROUNDS):
            yield from self.catch_up()
            reply = yield from self.request(message, fits)
            if reply is not None:
                return reply
        raise NoAnswer(self.port, f"no usable answer to {message}")

    def base(self, message: str, fits: Fits) -> Program[Reply]:
        """As `query`, to the base that the modules sit on."""
        for _ in range(_ROUNDS):
            reply = yield from self._exchange(
                encode(f"0{message}"), 0, fits, sends=_SENDS, within=self.within, hush=_NO_HUSH
            )
            if reply is not None:
                return reply
        raise NoAnswer(self.port, f"no usable answer of the base to {message}")

    def catch_up(self) -> Program[None]:
        """No answer of the past is outstanding any more.  Raises `NoAnswer`."""
        if self._stale:
            yield from self.base(_FENCE[1:], lambda reply: variable(reply.data, "i") is not None)
            self._stale = False
