"""The pump's stored settings: found, changed, and put back.

A New Era pump keeps every setting through power-off, so whatever a session changes would surprise the
next user: a pump left in safe mode, for example, does not answer software that speaks basic mode.
Answerable for recording, changing with read-back, and restoring; not for what values are wanted.
"""

from __future__ import annotations

import re

from firmware_bridge.dialect import Program
from firmware_bridge.errors import PumpRefused
from firmware_bridge.protocols.new_era_numbers import parse_thousandths
from firmware_bridge.protocols.new_era_replies import Shape
from firmware_bridge.protocols.new_era_wire import Wire

_WORDS = {
    "SAF": r"[0-9]{1,3}",
    "DIA": r"[0-9]*\.[0-9]*",
    "PHN": r"[0-9]{1,2}",
    "FUN": r"[A-Z]{2,3}[0-9.]*",
    "DIR": r"INF|WDR|REV|STK",
    "VOL": r"[0-9.]+(?:UL|ML)",
    "RAT": r"[0-9.]+(?:UM|MM|UH|MH)",
    "PF": r"[01]",
    "TRG": r"[A-Z][A-Z0-9]",
}
"""How the answer to each query looks; neighbours in every program here differ in it."""

PHASE = 1
"""The program phase that delivers."""

END_PHASE = 2
"""The phase behind it, which must be a stop: the pump runs on into whatever is stored there."""

_IN_PHASE = ("FUN", "DIR", "VOL", "RAT")
_END_FUNCTION = "FUN of phase 2"


def shape_of(mnemonic: str) -> Shape:
    """Whether data can be the answer to a query of ``mnemonic``."""
    pattern = re.compile(_WORDS[mnemonic], re.ASCII)
    return lambda data: pattern.fullmatch(data) is not None


SHAPES = {mnemonic: shape_of(mnemonic) for mnemonic in _WORDS}


def same_value(one: str, other: str) -> bool:
    """Equal as numbers where both are numbers (``01`` and ``1``), else as texts."""
    first, second = parse_thousandths(one), parse_thousandths(other)
    if first is None or second is None:
        return one == other
    return first == second


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

    def record(self, safe_s: int) -> Program[None]:
        """Every setting that can be read without changing one is recorded, unless it was before."""
        self.found.setdefault("SAF", str(safe_s))
        for mnemonic in ("DIA", "PHN", "TRG", "PF"):
            yield from self._note(mnemonic)
        if same_value(self.found.get("PHN", ""), str(PHASE)):
            yield from self._record_phase()

    def _record_phase(self) -> Program[None]:
        for mnemonic in _IN_PHASE:
            yield from self._note(mnemonic)

    def _note(self, mnemonic: str) -> Program[None]:
        """Record once.  A setting that this model does not have is left out."""
        if mnemonic in self.found:
            return
        try:
            reply = yield from self._wire.query(mnemonic, SHAPES[mnemonic], patient=True)
        except PumpRefused:
            return
        if mnemonic == "RAT" and not parse_thousandths(reply.data[:-2]):
            return  # none was ever set, and the pump does not take a rate of nothing back
        self.found[mnemonic] = reply.data

    def write(self, mnemonic: str, value: str) -> Program[None]:
        """The setting was sent and acknowledged; reading it back is the caller's next step."""
        self._changed.add(mnemonic)
        yield from self._wire.set(mnemonic + value)

    def expect(self, mnemonic: str, wanted: str) -> Program[None]:
        """Raises `PumpRefused` unless the pump still reads back what this session set."""
        reply = yield from self._wire.query(mnemonic, SHAPES[mnemonic])
        if not same_value(reply.data, wanted):
            raise PumpRefused(
                mnemonic, f"set to {wanted}, but now reads {reply.data}: changed at the pump"
            )

    def ensure(
        self, mnemonic: str, wanted: str, *, also: tuple[str, ...] = (), key: str = ""
    ) -> Program[str]:
        """The setting reads back as ``wanted`` or one of ``also``; written only if it did not.

        Raises `PumpRefused` when the pump takes something else; as `Wire.query` does.
        """
        reply = yield from self._wire.query(mnemonic, SHAPES[mnemonic])
        if reply.data in also or same_value(reply.data, wanted):
            return reply.data
        self._changing(key or mnemonic, reply.data)
        yield from self._wire.set(mnemonic + wanted)
        reply = yield from self._wire.query(mnemonic, SHAPES[mnemonic])
        if not same_value(reply.data, wanted):
            raise PumpRefused(mnemonic, f"asked for {wanted}, the pump reads back {reply.data}")
        return reply.data

    def ensure_phases(self) -> Program[None]:
        """Phase 1 delivers at a rate and phase 2 stops; phase 1 is selected.

        Raises as `ensure` does.
        """
        yield from self.ensure("PHN", str(END_PHASE))
        yield from self.ensure("FUN", "STP", key=_END_FUNCTION)
        yield from self.ensure("PHN", str(PHASE))
        yield from self._record_phase()
        yield from self.ensure("FUN", "RAT")

    def safe_time(self, seconds: int) -> Program[None]:
        """The dead-man time is ``seconds``, read back; written only if it was another."""
        found = yield from self._wire.safe_time()
        if found != seconds:
            self._changing("SAF", str(found))
            yield from self._wire.change_safe_time(seconds)

    def _changing(self, name: str, found: str) -> None:
        self.found.setdefault(name, found)
        self._changed.add(name)

    def disown(self) -> None:
        """Safe mode was left on by a session that did not end properly: `restore` ends it.

        Of all that such a session changes, only this shows, and only this locks other software out.
        """
        if self.found.get("SAF", "0") != "0":
            self.found["SAF"] = "0"
            self._changed.add("SAF")

    def restore(self, *, keep_count: bool = False) -> Program[list[str]]:
        """What was changed is as it was found; returns one line for each, failures included.

        ``keep_count``: but for the diameter, because a pump whose diameter changes forgets its count.
        Raises `NoAnswer` when the pump no longer answers.
        """
        report: list[str] = []
        if self._changed & {*_IN_PHASE, _END_FUNCTION, "PHN"}:
            yield from self._restore_phases(report, keep_count=keep_count)
        for mnemonic in ("PF", "TRG"):
            yield from self._put_back(mnemonic, report)
        if "SAF" in self._changed and "SAF" in self.found:
            yield from self._wire.change_safe_time(int(self.found["SAF"]))
            report.append(f"SAF {self.found['SAF']}")
        self._changed.clear()
        return report

    def _restore_phases(self, report: list[str], *, keep_count: bool) -> Program[None]:
        if _END_FUNCTION in self._changed:
            yield from self._wire.set(f"PHN{END_PHASE}")
            yield from self._put_back("FUN", report, key=_END_FUNCTION)
        yield from self._wire.set(f"PHN{PHASE}")
        if not keep_count:
            yield from self._put_back("DIA", report)  # first: it sets the default volume unit
        elif "DIA" in self._changed:
            report.append(f"not DIA {self.found['DIA']}, which would clear the count")
        for mnemonic in _IN_PHASE:
            yield from self._put_back(mnemonic, report)
        yield from self._wire.set(
            f"PHN{int(self.found['PHN'])}"
        )  # found before any phase was touched

    def _put_back(self, mnemonic: str, report: list[str], *, key: str = "") -> Program[None]:
        name = key or mnemonic
        if name not in self._changed or name not in self.found:
            return
        value = self.found[name]
        texts = [mnemonic + value]
        if mnemonic == "VOL":  # unit and value are separate commands
            texts = ["VOL" + value[-2:], "VOL" + value[:-2]]
        try:
            for text in texts:
                yield from self._wire.set(text)
        except PumpRefused as refused:
            report.append(f"{name} {value} could not be put back: {refused.reason}")
        else:
            report.append(f"{name} {value}")
