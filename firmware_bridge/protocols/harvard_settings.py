"""The pump's settings: found, changed, and put back.

Answerable for recording, changing with read-back, and restoring; not for what values are wanted.

One of them cannot be read: whether the pump writes its settings to non-volatile memory, which frequent
changes of the rate wear out.  That is switched off (``nvram none``; older firmware knows only ``off``),
and said when leaving.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_bridge.dialect import Program
from firmware_bridge.errors import PumpRefused
from firmware_bridge.protocols.harvard_numbers import parse_diameter_um, parse_rate, parse_volume
from firmware_bridge.protocols.harvard_replies import Reply
from firmware_bridge.protocols.harvard_wire import Refused, Wire

VOLUME_NOT_SET = "Target volume not set"
TIME_NOT_SET = "Target time not set"
RAMP_NOT_SET = "Ramp not set up"
_POLLING = re.compile(r"Polling mode is (ON|OFF)", re.IGNORECASE)
_ECHO = re.compile(r"Echo is (ON|OFF)", re.IGNORECASE)
_MODE = re.compile(r".*\((qs (?:i|w|iw))\)", re.IGNORECASE)
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) seconds?", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{2,4}:[0-9]{2}:[0-9]{2}")
NVRAM = "nvram"


def polling(line: str) -> str | None:
    """``on`` or ``off`` in the answer to ``poll``."""
    match = _POLLING.fullmatch(line)
    return match[1].lower() if match else None


def _echoing(line: str) -> str | None:
    match = _ECHO.fullmatch(line)
    return match[1].lower() if match else None


def mode(line: str) -> str | None:
    """``qs i``, ``qs w`` or ``qs iw`` in the answer to ``load``; nothing for a method."""
    match = _MODE.fullmatch(line)
    return match[1].lower() if match else None


def target_time(line: str) -> str | None:
    """What ``ttime`` is to be told for the same time again; empty where none is set."""
    if line == TIME_NOT_SET:
        return ""
    match = _SECONDS.fullmatch(line)
    if match:
        return match[1]
    return line if _CLOCK.fullmatch(line) else None


def _target_volume(line: str) -> str | None:
    if line == VOLUME_NOT_SET:
        return ""
    return line if parse_volume(line) is not None else None


def _millimetres(line: str) -> str | None:
    return line.removesuffix("mm").strip() if parse_diameter_um(line) is not None else None


def _rate(line: str) -> str | None:
    return line if parse_rate(line) else None  # a rate of nothing cannot be put back


def _volume(line: str) -> str | None:
    return line if parse_volume(line) else None


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is read and told."""

    reads: Callable[[str], str | None]
    """The argument that would set what the answer says; ``None``: not an answer to this question."""
    clear: str = ""
    """What is sent where the argument is empty."""


SETTINGS = {
    "poll": Setting(polling),
    "echo": Setting(_echoing),
    "load": Setting(mode),
    "diameter": Setting(_millimetres),
    "svolume": Setting(_volume),
    "irate": Setting(_rate),
    "tvolume": Setting(_target_volume, clear="ctvolume"),
    "ttime": Setting(target_time, clear="cttime"),
}
_RECORDED = ("echo", "load", "diameter", "svolume", "irate", "tvolume", "ttime")
_PUT_BACK = ("diameter", "svolume", "irate", "tvolume", "ttime", "load", "echo", "poll")
"""The diameter before the rate, which depends on it; ``poll`` last, since it changes how answers end."""


class Settings:
    """What was found in one pump, and which of it has been changed since."""

    def __init__(self, wire: Wire) -> None:
        self.found: dict[str, str] = {}
        self._changed: set[str] = set()
        self._wire = wire

    def forget(self) -> None:
        """Nothing is known any more, as at the start of a session."""
        self.found.clear()
        self._changed.clear()

    def read(self, name: str) -> Program[str | None]:
        """The argument that would set it to what it is; ``None`` if this model does not say.

        What looks otherwise is believed only when no answer of the past can be outstanding any more.
        Raises `NoAnswer`.
        """
        reads = SETTINGS[name].reads
        reply = yield from self._wire.fresh(name, lambda reply: reads(reply.line) is not None)
        if reply is None or reply.error:
            try:
                reply = yield from self._wire.query(name, _has_lines)
            except Refused:
                return None
        return reads(reply.line)

    def record(self) -> Program[None]:
        """Every setting that this session may change is recorded, unless it was before."""
        for name in _RECORDED:
            yield from self.note(name)

    def note(self, name: str) -> Program[str | None]:
        """Recorded once; returns what it is now.  A setting that this model does not have is left out."""
        value = yield from self.read(name)
        if value is not None:
            self.found.setdefault(name, value)
        return value

    def write(self, name: str, argument: str) -> Program[None]:
        """The setting was sent and acknowledged; reading it back is the caller's next step."""
        self._changed.add(name)
        yield from self._wire.set(f"{name} {argument}" if argument else SETTINGS[name].clear)

    def switch(self, name: str, wanted: str) -> Program[bool]:
        """A setting of words reads back as ``wanted``; written only if it did not.

        False where this model does not have it.  Raises `PumpRefused`, `NoAnswer`.
        """
        found = yield from self.note(name)
        if found is None:
            return False
        if found == wanted:
            return True
        yield from self.write(name, wanted)
        taken = yield from self.read(name)
        if taken != wanted:
            raise PumpRefused(name, f"asked for {wanted}, the pump reads back {taken}")
        return True

    def spare_memory(self) -> Program[None]:
        """The pump writes no setting to its non-volatile memory.  Raises `NoAnswer`."""
        for word in ("none", "off"):
            try:
                yield from self._wire.set(f"{NVRAM} {word}")
            except Refused:
                continue
            self._changed.add(NVRAM)
            return

    def disown(self) -> None:
        """What was found is an earlier session's doing: `restore` takes away what would surprise.

        That is polling, in which answers end in a byte that other software may not expect, and the
        target, which would end the next delivery early.
        """
        for name, usual in (("poll", "off"), ("tvolume", ""), ("ttime", "")):
            if self.found.get(name, usual) != usual:
                self.found[name] = usual
                self._changed.add(name)

    def restore(self, *, keep_count: bool) -> Program[Sequence[str]]:
        """What was changed is as it was found; returns one line for each, failures included.

        ``keep_count``: but for the diameter, since a pump may clear its count with it.
        Raises `NoAnswer` when the pump no longer answers.
        """
        report: list[str] = []
        for name in _PUT_BACK:
            if name in self._changed and name in self.found:
                if name == "diameter" and keep_count:
                    report.append(f"not diameter {self.found[name]}, which might clear the count")
                else:
                    yield from self._put_back(name, report)
            elif name == "load" and name in self._changed:
                report.append("not the method that was loaded, which cannot be named")
        if NVRAM in self._changed:
            report.append(
                "not nvram, which cannot be read: set at the pump whether it keeps its settings"
            )
        self._changed.clear()
        return report

    def _put_back(self, name: str, report: list[str]) -> Program[None]:
        value = self.found[name]
        command = f"{name} {value}" if value else SETTINGS[name].clear
        try:
            yield from self._wire.set(command)
        except PumpRefused as refused:
            report.append(f"{command} could not be put back: {refused.reason}")
        else:
            report.append(command)


def _has_lines(reply: Reply) -> bool:
    return bool(reply.lines)
