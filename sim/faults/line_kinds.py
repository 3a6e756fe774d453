"""What can go wrong between a pump and its host: kinds of the line, as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from sim.faults.fault_kind import FaultKind
from sim.faults.parameters import Amount, Choice, Parameter

BOTH = "both"
DIRECTION = Choice((BOTH, "to_pump", "from_pump"))
ROOM = "line"


def _kind(
    name: str,
    text: str,
    parameters: Mapping[str, Parameter],
    known: str = "",
    *,
    lasting: bool = True,
) -> FaultKind:
    directed = {"direction": DIRECTION, **parameters}
    return FaultKind(name, ROOM, text, directed, lasting, tuple(known.split()))


def _often(default: float) -> Mapping[str, Parameter]:
    return {"probability": Amount(default, 0, 1)}


LINE_KINDS = (
    _kind("byte_drop", "bytes are lost", _often(0.01), "F15"),
    _kind("byte_duplicate", "bytes come twice", _often(0.01), "F15"),
    _kind("bit_flip", "bytes come with one bit flipped", _often(0.01), "F15"),
    _kind("garbage", "frames are preceded by bytes that nobody sent", _often(0.1), "F15"),
    _kind("frame_duplicate", "frames come twice", _often(0.1), "F15 F19"),
    _kind("split", "bytes come one by one", {"gap_ms": Amount(0, 0, 10_000)}),
    _kind("merge", "frames are held back and come together", {"hold_ms": Amount(50, 1, 60_000)}),
    _kind(
        "line_break",
        "a break: so many zero bytes",
        {"count": Amount(1, 1, 1_000)},
        "F15",
        lasting=False,
    ),
    _kind(
        "delay",
        "everything is late",
        {"delay_ms": Amount(100, 0, 60_000), "jitter_ms": Amount(0, 0, 60_000)},
        "F19",
    ),
    _kind("slow_line", "bytes take as long as at this speed", {"baud": Amount(9_600, 50, 1e6)}),
    _kind("stall", "nothing comes, and all of it when this is over", {}, "F12 F19"),
    _kind("half_open", "one direction is dead", {}, "F12 F19 F22"),
    _kind("baud_mismatch", "every byte comes as another one", {}),
    FaultKind("echo", ROOM, "the host hears its own bytes"),
    FaultKind("disconnect", ROOM, "the cable is out; in again when this is over", known=("F12",)),
    FaultKind(
        "hang_up",
        ROOM,
        "the cable is out, and in again by itself",
        {"reopen_after_s": Amount(1, 0, 86_400)},
        lasting=False,
        known=("F12",),
    ),
)
