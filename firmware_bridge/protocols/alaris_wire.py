"""One Alaris pump on one wire: single exchanges, which answer belongs to which request, and the lease.

Answerable for time-outs, repeats and remote control; not for what the exchanges are for (`alaris`).

The pump may take seconds to answer (``COMMS_RESPONSE_MAX``), so a late answer is normal.  What keeps
request and answer together:

* An answer names its request in its first field; anything else is skipped and the wait goes on.
* After a silence or a repeat it is open how many answers are still to come.  The pump answers in order,
  so the next exchange is preceded by a question whose answer never changes: whatever arrives before that
  answer belongs to the past and is dropped.
* The pump has no error answers; what it refuses it leaves unanswered.

Remote control is a lease: ``REMOTE_CTRL`` and ``REMOTE_CFG`` have to be repeated, and a pump that misses
them takes control back.  Only `keep_alive` and `take_control` send them, never a question.
"""

from __future__ import annotations

from collections.abc import Sequence

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer, PumpRefused
from firmware_bridge.protocols.alaris_frames import ABORT, FrameReader, check_text, encode
from firmware_bridge.protocols.alaris_replies import Fields, Fits, split
from firmware_bridge.quantities import Duration

_STRAYS = 64  # frames of no use that one request outlives: a slow pump answers a row of stops late
_SENDS = 3  # drivers of this pump send a request twice; a third time, since a question is free
_NO_HUSH = Duration(0)
_CONTROLS = ("REMOTE_CTRL", "REMOTE_CFG")
_FENCES = ("COMMS_PROTOCOL", "COMMS_RESPONSE_MAX")
"""Questions whose answers never change, so that an answer to an earlier one does no harm elsewhere."""

SLOWEST = Duration(4_000)
"""How long a pump may take to answer until it says otherwise (seen: ``COMMS_RESPONSE_MAX^4000^ms``)."""


def of(name: str, count: int = 0) -> Fits:
    """Whether fields answer the request ``name``, with ``count`` fields in all where one is given."""
    return lambda fields: fields[0] == name and (not count or len(fields) == count)


class Wire:
    """The state of one conversation with one pump: reader, remote control, what may still come."""

    def __init__(self, port: str, within: Duration, lease: Duration) -> None:
        self.port = port
        self.within = within
        self.slowest = SLOWEST + within
        self.lease = lease
        """The pump's own: how long it leaves control to a host that it does not hear."""
        self.reader = FrameReader()
        self.heard_at = 0.0
        """When the last whole frame came, in seconds of the loop's clock."""
        self.in_control = False
        """Whether remote control was granted and not yet given back; the pump may see it otherwise."""
        self.code = ""
        """The security code, once the pump's serial number is known."""
        self._granted_at = 0.0
        self._stale = False
        self._fence = 0

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        frames = self.reader.feed(data)
        if frames:
            self.heard_at = now
        return frames

    # --- single exchanges -------------------------------------------------------------------------

    def request(
        self, text: str, fits: Fits, *, within: Duration | None = None, hush: Duration = _NO_HUSH
    ) -> Program[Fields | None]:
        """Send once; the fields that fit, or ``None``.

        Only after `catch_up` is that certainly no older answer.  Raises what the link raises.
        """
        return (yield from self.exchange(encode(text), fits, within=within, hush=hush))

    def exchange(
        self, frame: bytes, fits: Fits, *, within: Duration | None = None, hush: Duration = _NO_HUSH
    ) -> Program[Fields | None]:
        """`request` with a frame that is built already."""
        patience = within or self.within
        answer = yield Ask(frame, patience, hush)
        until = self.heard_at + patience.s  # from the first stray on, if there is one
        for _ in range(_STRAYS):
            if answer is None:
                break
            fields = split(answer.text)
            if fits(fields):
                return fields
            left_ms = int((until - self.heard_at) * 1_000)
            if left_ms <= 0:
                break
            answer = yield Listen(Duration(left_ms))
        self._stale = True
        return None

    def query(self, text: str, fits: Fits) -> Program[Fields]:
        """Send until answered, the last time with all the patience the pump asks for.

        For questions and for settings, which may be repeated; never for what starts the motor.
        Raises `NoAnswer`.
        """
        yield from self.catch_up()
        return (yield from self._patiently(text, fits))

    def _patiently(self, text: str, fits: Fits) -> Program[Fields]:
        for send in range(_SENDS):
            within = self.slowest if send == _SENDS - 1 else self.within
            # Again with ESC first: the frame before may have arrived without its end.
            frame = (ABORT if send else b"") + encode(text)
            fields = yield from self.exchange(frame, fits, within=within)
            if fields is not None:
                return fields
        raise NoAnswer(self.port, f"no usable answer to {text}")

    def catch_up(self) -> Program[None]:
        """No answer of the past is outstanding any more.  Raises `NoAnswer`."""
        if self._stale:
            self._fence = (self._fence + 1) % len(_FENCES)
            name = _FENCES[self._fence]
            yield from self._patiently(name, of(name))
            self._stale = False

    # --- remote control ---------------------------------------------------------------------------

    def know(self, serial: str) -> None:
        """The pump's serial number, whose CRC is the code that remote control needs."""
        self.code = check_text(serial)

    def take_control(self) -> Program[None]:
        """The pump takes orders, for one lease of its own from now on.  Raises `PumpRefused`, `NoAnswer`."""
        for name in _CONTROLS:
            fields = yield from self.query(f"{name}^ENABLED^{self.code}", of(name))
            if not granted(fields):
                raise PumpRefused(name, f"the pump does not give control away: {'^'.join(fields)}")
        self._granted_at = self.heard_at
        self.in_control = True

    def ask_control(self, within: Duration) -> Program[None]:
        """Part of a stop: the pump may have taken control back, and then obeys none."""
        text = f"{_CONTROLS[0]}^ENABLED^{self.code}"
        fields = yield from self.request(text, of(_CONTROLS[0]), within=within)
        if fields is not None and granted(fields):
            self.in_control = True

    def keep_control(self) -> Program[None]:
        """Take control again if it was taken a while ago.  With the motor off only: see `keep_alive`."""
        if self.heard_at - self._granted_at > self.lease.s / 3:
            yield from self.take_control()

    def keep_alive(self) -> Program[None]:
        """The lease is renewed, once: in answer to a renewal by the controller, or to a stop.

        Sent once each and not waited for longer than usual: what is repeated later would stretch the
        pump's dead-man beyond what the controller renewed.
        """
        for name in _CONTROLS:
            fields = yield from self.request(f"{name}^ENABLED^{self.code}", of(name))
            if fields is not None and granted(fields):
                self._granted_at = self.heard_at

    def give_control_back(self) -> Program[None]:
        """The pump expects to hear nothing more.  Raises `NoAnswer`."""
        for name in reversed(_CONTROLS):
            yield from self.query(f"{name}^DISABLED", _given_back(name))
        self.in_control = False


def _given_back(name: str) -> Fits:
    """The answer is seen both as an echo and as ``^DISABLED^****^PERMIT^0^ms``."""
    return lambda fields: fields[:2] == (name, "DISABLED")


def granted(fields: Fields) -> bool:
    """Whether an answer to ``REMOTE_CTRL^ENABLED`` or ``REMOTE_CFG^ENABLED`` says yes."""
    return "ENABLED" in fields[1:] and "PERMIT" in fields[1:]
