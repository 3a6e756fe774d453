"""What must be in a Harvard pump before it may start: sent, and read back.

Answerable for syringe, targets, rate and whatever else would change a delivery; starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from firmware_bridge.dialect import Accepted, Program
from firmware_bridge.errors import BeyondPump, ProtocolError, PumpRefused
from firmware_bridge.protocols.harvard_numbers import (
    Told,
    lost_too_much,
    parse_diameter_um,
    parse_rate,
    parse_rate_limits,
    parse_volume,
    rate_down,
    volume_down,
    volume_text,
)
from firmware_bridge.protocols.harvard_plan import Mounted
from firmware_bridge.protocols.harvard_replies import Reply, Shape
from firmware_bridge.protocols.harvard_settings import (
    RAMP_NOT_SET,
    VOLUME_NOT_SET,
    Settings,
)
from firmware_bridge.protocols.harvard_wire import Refused, Wire
from firmware_bridge.quantities import Rate, Volume


class PumpProgram:
    """Puts syringe and delivery into one pump.  Every method raises `PumpRefused`, `NoAnswer`."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._wire = wire
        self._settings = settings

    # --- the syringe ------------------------------------------------------------------------------

    def mount(self, diameter: str, size: Volume) -> Program[None]:
        """Quick start to infuse, this diameter in millimetres, a syringe of this size."""
        yield from self._ensure_mode()
        yield from self._ensure_diameter(diameter)
        yield from self._ensure_size(size)

    def rate_limits(self) -> Program[tuple[Rate, Rate]]:
        """What the pump says it can do with the syringe it was told of."""
        reply = yield from self._wire.query("irate lim", _says(parse_rate_limits))
        limits = parse_rate_limits(reply.line)
        if limits is None:  # the shape asked for says otherwise
            raise ProtocolError("no limits of the rate", request=b"irate lim", raw=reply.raw)
        return limits

    def _ensure_mode(self) -> Program[None]:
        """The screen from which volumes and rates are obeyed."""
        found = yield from self._settings.note("load")
        if found in ("qs i", "qs iw"):
            return
        try:
            yield from self._settings.write("load", "qs i")
        except Refused:
            return  # a model without it has one screen only; if it has more, the next set says so
        taken = yield from self._settings.read("load")
        if taken != "qs i":
            raise PumpRefused("load", f"asked for qs i, the pump reads back {taken}")

    def _ensure_diameter(self, wanted: str) -> Program[None]:
        found = yield from self._settings.note("diameter")
        if found is not None and _same_diameter(f"{found} mm", wanted):
            return
        yield from self._settings.write("diameter", wanted)
        yield from self._expect_diameter(wanted, f"asked for {wanted} mm, the pump reads back")

    def _expect_diameter(self, wanted: str, complaint: str) -> Program[None]:
        reply = yield from self._shown(
            "diameter", _says(parse_diameter_um), lambda line: _same_diameter(line, wanted)
        )
        if not _same_diameter(reply.line, wanted):
            raise PumpRefused("diameter", f"{complaint} {reply.line}")

    def _ensure_size(self, size: Volume) -> Program[None]:
        """A pump may refuse a target above the size it was told.  Not every model asks for one."""
        found = yield from self._settings.note("svolume")
        if found is None or parse_volume(found) == size.nl:
            return
        told = volume_text(size)
        if told is None:
            raise BeyondPump("syringe size", f"{size} cannot be told to the pump")
        yield from self._settings.write("svolume", told.text)
        reply = yield from self._shown(
            "svolume", _says(parse_volume), lambda line: parse_volume(line) == told.amount
        )
        if parse_volume(reply.line) != told.amount:
            raise PumpRefused("svolume", f"sent {told.text}, the pump reads back {reply.line}")

    # --- a delivery -------------------------------------------------------------------------------

    def load(
        self, mounted: Mounted, rate: Rate, told_rate: Told, target: Volume, told_target: Told
    ) -> Program[Accepted]:
        """Counter cleared, no time target, this volume target, this rate, no ramp: all read back.

        Neighbours differ in how their answers look, and the counter is read last: no bare prompt can be
        outstanding when the start is sent.
        """
        yield from self._expect_diameter(
            mounted.diameter, f"set to {mounted.diameter} mm, but changed at the pump; it now reads"
        )
        yield from self._wire.set("civolume")
        yield from self._no_time_target()
        yield from self._settings.write("tvolume", "")
        yield from self._settings.write("tvolume", told_target.text)
        volume = yield from self._read_back("tvolume", parse_volume, target.nl, told_target)
        yield from self._settings.write("irate", told_rate.text)
        speed = yield from self._read_back("irate", parse_rate, rate.nl_h, told_rate)
        yield from self._no_ramp()
        counted = yield from self.infused(wanted=Volume(0))
        if counted.nl:
            raise PumpRefused("start", f"the counter was cleared and reads {counted}")
        return Accepted(rate_down(speed), volume_down(volume))

    def infused(self, *, wanted: Volume | None = None) -> Program[Volume]:
        """The pump's counter of what it infused since that was cleared."""
        reply = yield from self._shown(
            "ivolume",
            _says(parse_volume),
            lambda line: wanted is None or parse_volume(line) == wanted.nl,
        )
        return volume_down(parse_volume(reply.line) or Fraction(0))

    def _no_time_target(self) -> Program[None]:
        """A target time left over would end the delivery early."""
        found = yield from self._settings.read("ttime")
        if not found:
            return
        yield from self._settings.write("ttime", "")
        found = yield from self._settings.read("ttime")
        if found:
            raise PumpRefused("ttime", f"cleared, and the pump still reads back {found}")

    def _no_ramp(self) -> Program[None]:
        """A ramp left over would run in place of the rate."""
        try:
            reply = yield from self._shown("iramp", _is_ramp, _no_ramp)
        except Refused:
            return  # this model has none
        if not _no_ramp(reply.line):
            raise PumpRefused("iramp", f"a ramp is set up at the pump: {reply.line}")

    def _read_back(
        self, name: str, parse: Callable[[str], Fraction | None], asked: int, sent: Told
    ) -> Program[Fraction]:
        """What the pump took; refused if it is more than asked, or far less."""

        def good(line: str) -> bool:
            taken = parse(line)
            return taken is not None and not lost_too_much(asked, taken)

        reply = yield from self._shown(
            name, lambda reply: parse(reply.line) is not None or reply.line == VOLUME_NOT_SET, good
        )
        taken = parse(reply.line)
        if taken is None or not good(reply.line):
            raise PumpRefused(name, f"sent {sent.text}, the pump reads back {reply.line}")
        return taken

    def _shown(self, name: str, fits: Shape, good: Callable[[str], bool]) -> Program[Reply]:
        """What the pump shows; asked once more if it is not ``good``, since no checksum protects it."""
        reply = yield from self._wire.query(name, fits)
        if not good(reply.line):
            reply = yield from self._wire.query(name, fits)
        return reply


def _is_ramp(reply: Reply) -> bool:
    return "amp" in reply.line or " to " in reply.line


def _no_ramp(line: str) -> bool:
    return line.startswith(RAMP_NOT_SET)


def _same_diameter(line: str, wanted_mm: str) -> bool:
    return parse_diameter_um(line) == parse_diameter_um(f"{wanted_mm} mm")


def _says(reads: Callable[[str], object | None]) -> Shape:
    """A reply of one line that ``reads`` understands."""
    return lambda reply: reads(reply.line) is not None
