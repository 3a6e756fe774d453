"""One New Era pump on one wire: single exchanges, and which answer belongs to which request.

Answerable for framing mode, address, time-outs, repeats and alarms met on the way; not for what the
exchanges are for (`new_era`).

The pump numbers nothing, so an answer is known by its content.  Three rules keep request and answer
together:

* A frame that cannot be the answer (wrong address, wrong shape) is skipped and the wait goes on.
* An alarm frame always ends the wait, since it may be the answer, which then means that *the command
  was not executed*; or the pump may have sent it by itself an instant before (safe mode).
* After a silence or an alarm it is open how many answers are still to come.  The pump answers in order,
  so the next exchange is preceded by a ``VER``: whatever arrives before its answer, which nothing else
  can look like, belongs to the past and is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from firmware_bridge.dialect import Ask, Frame, Listen, Program
from firmware_bridge.errors import NoAnswer, PumpInAlarm, PumpRefused
from firmware_bridge.messages import PumpAlarm
from firmware_bridge.protocols.new_era_frames import FrameReader, basic_request, safe_frame
from firmware_bridge.protocols.new_era_replies import (
    ERRORS,
    RETRYABLE,
    Reply,
    Shape,
    bare,
    is_version,
    parse_reply,
)
from firmware_bridge.quantities import Duration

_STRAYS = 4  # frames of no use that one request outlives; more is a babbling line
_ROUNDS = 8  # exchanges that one question may take, alarms and damaged packets included
_SILENCES = (
    3  # unanswered tries of one question: a line that loses one in twenty fails it once in 8000
)
_UNKNOWN = 2  # times that an unknown command is taken for one that was damaged, where no CRC tells
_NO_HUSH = Duration(0)
_DIGITS = re.compile(r"[0-9]{1,3}", re.ASCII)


def describe(alarm: PumpAlarm) -> str:
    """The alarm bits in words."""
    return " and ".join((bit.name or "?").lower().replace("_", " ") for bit in alarm)


def refusal(reply: Reply, what: str) -> PumpRefused:
    """The error that an answer with an alarm or an error code stands for."""
    if reply.alarm:
        return PumpInAlarm(what, f"the pump answered with alarm {describe(reply.alarm)}")
    return PumpRefused(what, f"{reply.error}: {ERRORS.get(reply.error, 'an unknown error')}")


class Wire:
    """The state of one conversation with one pump: mode, reader, alarms not yet passed on."""

    def __init__(self, port: str, address: int, within: Duration) -> None:
        self.port = port
        self.address = address
        self.within = within
        self.hush = Duration(within.ms * 6 // 5)
        """Longer than the pump keeps an incomplete packet: 0.6 s for 0.5 s (manual 10.2.3)."""
        self.reader = FrameReader(idle_s=within.s)
        self.safe = True
        """The framing in use.  Safe while in doubt: the pump takes a safe packet in either mode."""
        self.seen = PumpAlarm.NONE
        """Every alarm met since they were last passed on, solicited or not."""
        self.strays = 0
        self._stale = False
        self._built: dict[tuple[bool, str], bytes] = {}

    def receive(self, data: bytes, now: float) -> Sequence[Frame]:
        """The frames completed by ``data``; their alarms are remembered."""
        frames = self.reader.feed(data, now)
        for frame in frames:
            if "?" in frame.text:
                reply = parse_reply(frame.text, frame.raw)
                if reply is not None and reply.address == self.address:
                    self.seen |= reply.alarm
        return frames

    def take_seen(self) -> PumpAlarm:
        """The alarms not yet passed on, which from now on count as passed on."""
        seen, self.seen = self.seen, PumpAlarm.NONE
        return seen

    def frame(self, text: str) -> bytes:
        """``text`` for this pump, in the framing in use."""
        key = (self.safe, text)
        built = self._built.get(key)
        if built is None:
            addressed = f"{self.address}{text}"
            built = safe_frame(addressed) if self.safe else basic_request(addressed)
            if not any(letter.isdigit() for letter in text):
                self._built[key] = built  # commands without a number are few, so this stays small
        return built

    def request(
        self, text: str, fits: Shape, *, within: Duration | None = None, hush: Duration = _NO_HUSH
    ) -> Program[Reply | None]:
        """Send once; the answer, alarm and error included, or ``None``.  Raises what the link raises."""
        patience = within or self.within
        frame = yield Ask(self.frame(text), patience, hush)
        for _ in range(_STRAYS):
            if frame is None:
                break
            reply = parse_reply(frame.text, frame.raw)
            if (
                reply is not None
                and reply.address == self.address
                and (reply.status == "A" or reply.error or fits(reply.data))
            ):
                self._stale = self._stale or reply.status == "A"
                return reply
            self.strays += 1
            frame = yield Listen(patience)
        self._stale = True
        return None

    def fresh(self, text: str, fits: Shape, *, patient: bool = False) -> Program[Reply | None]:
        """`request`, after making sure that no older answer can be taken for this one's.

        Raises `PumpInAlarm` when that showed an alarm, unless ``patient``; `NoAnswer` when it failed.
        """
        if self._stale:
            alarms = yield from self._catch_up()
            if alarms and not patient:
                raise PumpInAlarm(text, f"the pump reported alarm {describe(alarms)}")
        return (yield from self.request(text, fits))

    def query(self, text: str, fits: Shape, *, patient: bool = False) -> Program[Reply]:
        """Ask until answered.  A question moves nothing, so it may be repeated, also after an alarm.

        Raises `NoAnswer`; `PumpRefused`; `PumpInAlarm` at an alarm, unless ``patient``.
        """
        silences = unknown = 0
        for _ in range(_ROUNDS):
            reply = yield from self.fresh(text, fits, patient=patient)
            if reply is None:
                silences += 1
                if silences == _SILENCES:
                    break
            elif reply.status == "A" and patient:
                continue
            elif reply.error == "?" and unknown < _UNKNOWN and self.reader.accept_basic:
                unknown += 1
            elif reply.status == "A" or (reply.error and reply.error not in RETRYABLE):
                raise refusal(reply, text)
            elif not reply.error:
                return reply
        raise NoAnswer(self.port, f"no usable answer to {text}")

    def set(self, text: str) -> Program[Reply]:
        """Send a setting until it is taken.  Not for what moves the plunger: this repeats.

        Raises as `query` does.
        """
        return (yield from self.query(text, bare))

    def change_safe_time(self, seconds: int) -> Program[None]:
        """The dead-man time is ``seconds`` (0: basic mode), read back.  Raises as `query` does.

        The packet is safe-framed in both modes, so that a repeat is understood whether or not the
        first one was; the answer comes in the new mode.
        """
        was_safe = self.safe
        self.safe = self.reader.accept_basic = True
        try:
            yield from self.set(f"SAF{seconds}")
        except NoAnswer:
            if was_safe:
                raise
            self.safe = False
            yield from self.set(f"SAF{seconds}")
        self.safe = seconds > 0
        found = yield from self.safe_time()
        if found != seconds:
            raise PumpRefused("SAF", f"asked for {seconds} s, the pump reads back {found} s")

    def safe_time(self, *, patient: bool = False) -> Program[int]:
        """The dead-man time in seconds, 0 in basic mode; sets the framing to suit."""
        reply = yield from self.query("SAF", is_digits, patient=patient)
        seconds = int(reply.data)
        self.safe = seconds > 0
        self.reader.accept_basic = not self.safe
        return seconds

    def _catch_up(self) -> Program[PumpAlarm]:
        """No answer of the past is outstanding any more; returns the alarms met.

        Raises `NoAnswer`.
        """
        alarms = PumpAlarm.NONE
        silences = 0
        for _ in range(_ROUNDS):
            reply = yield from self.request("VER", is_version)
            if reply is None:
                silences += 1
                if silences == _SILENCES:
                    break
            elif reply.status == "A":
                alarms |= reply.alarm
            elif not reply.error:
                self._stale = False
                return alarms
        raise NoAnswer(self.port, "no answer to VER")


def is_digits(data: str) -> bool:
    return _DIGITS.fullmatch(data) is not None
