"""The monitor's lines: vitals come in one JSON object a line, over a local socket, never through MQTT.

Total: whatever arrives, a line is either a mapping that `decide` can be shown or it is counted as noise.
The other way go the few things a simulated world must be told and a real one would see for itself: the
volume a real pump reports, and a drug that the clinician gives by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec

from firmware_bridge.errors import LinkError
from firmware_bridge.transports.base import Transport

LINE_BYTES_MAX = 4096
"""A sample is about 600 bytes; a line that grows beyond this is noise and is dropped whole."""

_Exact = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]  # what a float can hold as it is
_Scalar = _Exact | float | bool | str | None
_DECODER = msgspec.json.Decoder(dict[str, _Scalar | list[str] | dict[str, _Scalar]])


class VitalsLink:
    """Reads samples from a transport and hands each to ``on_sample``; ``on_lost`` is called once."""

    def __init__(
        self,
        transport: Transport,
        on_sample: Callable[[Mapping[str, object]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.noise = 0
        self._transport = transport
        self._on_sample = on_sample
        self._on_lost = on_lost
        self._rest = b""
        self._overlong = False
        transport.start(self._received, self._lost)

    def tell(self, fact: Mapping[str, float]) -> None:
        """Tell the simulated world one fact; nothing happens when it is gone or asleep (vitals then go stale)."""
        try:
            self._transport.write(msgspec.json.encode(fact) + b"\n")
        except LinkError:
            self.noise += 1

    def close(self) -> None:
        """Let go of the monitor.  Idempotent."""
        self._transport.close()

    def _received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._overlong:
                self._overlong = False
            else:
                self._line(line)
        if len(self._rest) > LINE_BYTES_MAX:
            self.noise += not self._overlong
            self._rest = b""
            self._overlong = True

    def _line(self, line: bytes) -> None:
        sample = parse_line(line)
        if sample is None:
            self.noise += 1
        else:
            self._on_sample(sample)

    def _lost(self, cause: Exception | None) -> None:
        del cause  # whatever it was, vitals are gone and that is unsafe
        self._on_lost()


def parse_line(line: bytes) -> Mapping[str, object] | None:
    """The object on one line, or None when it is anything else.  Never raises.

    Values are scalars, but for ``invalid`` (names) and one level of groups; numbers fit a float.
    """
    if len(line) > LINE_BYTES_MAX:
        return None
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
