"""What can go wrong beside the pump and its line: the host, its disk, the broker, people, the patient.

They have names, so that a script, the docs and a list of what was never tried can speak of them.  No
engine of this version does them, and each refuses them by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.faults.fault_kind import FaultKind
from sim.faults.parameters import Amount, Choice, Parameter

NO_ENGINE_ROOMS = ("host", "storage", "broker", "person", "patient", "monitor")
"""Rooms whose kinds no device and no line does; of ``monitor`` a rehearsal does the artefacts."""

_PROCESS = Choice(("controller", "bridge"))
_BLOCK = Amount(2_000, 1, 3_600_000)
_STAYS, _HAPPENS = True, False


def _room(
    room: str, *rows: tuple[str, str, Mapping[str, Parameter], bool, str]
) -> tuple[FaultKind, ...]:
    return tuple(
        FaultKind(kind, room, text, parameters, lasting, tuple(known.split()))
        for kind, text, parameters, lasting, known in rows
    )


OTHER_KINDS = (
    *_room(
        "host",
        (
            "kill",
            "a process is killed, and started again after a while",
            {"process": _PROCESS, "restart_after_s": Amount(2, 0, 86_400)},
            _HAPPENS,
            "F23",
        ),
        (
            "loop_block",
            "the event loop of a process does nothing for so long",
            {"process": _PROCESS, "block_ms": _BLOCK},
            _HAPPENS,
            "F23",
        ),
        (
            "gc_pause",
            "a process collects garbage for so long",
            {"process": _PROCESS, "block_ms": _BLOCK},
            _HAPPENS,
            "F23",
        ),
        (
            "suspend",
            "the whole computer sleeps for so long",
            {"block_ms": _BLOCK},
            _HAPPENS,
            "F23",
        ),
        (
            "wall_clock_jump",
            "the wall clock is put forward, or back",
            {"jump_s": Amount(3_600, -2e9, 2e9)},
            _HAPPENS,
            "F16",
        ),
        ("watchdog_false", "the watchdog trips without a cause", {}, _HAPPENS, "F17"),
        ("watchdog_unarmed", "the watchdog was never armed", {}, _STAYS, "F17"),
    ),
    *_room(
        "storage",
        ("disk_full", "nothing more can be written", {}, _STAYS, "F20"),
        (
            "sync_slow",
            "a sync takes so long",
            {"delay_ms": Amount(2_000, 0, 600_000)},
            _STAYS,
            "F20",
        ),
        ("sync_error", "a sync fails", {}, _STAYS, "F20"),
        ("torn_write", "the last record is written in half", {}, _HAPPENS, "F20 F8"),
    ),
    *_room(
        "broker",
        ("broker_down", "the broker is gone", {}, _STAYS, "F24"),
        (
            "broker_flood",
            "somebody floods the broker",
            {"messages_per_s": Amount(1_000, 1, 1e6)},
            _STAYS,
            "F24",
        ),
        ("retained_command", "an old command is retained", {}, _STAYS, "F24"),
        (
            "clock_skew",
            "messages carry another clock's time",
            {"skew_s": Amount(60, -1e6, 1e6)},
            _STAYS,
            "F24 F16",
        ),
    ),
    *_room(
        "person",
        (
            "unit_confusion",
            "a figure is entered as if it were in another unit",
            {"factor": Amount(2.2046, 1e-6, 1e6)},
            _HAPPENS,
            "F5",
        ),
        ("dose_twice", "a dose that was given is given again", {}, _HAPPENS, "F7"),
        ("alarm_unheard", "nobody hears the alarm", {}, _STAYS, "F3"),
    ),
    *_room(
        "patient",
        ("desaturation", "oxygen saturation falls", {"spo2_pct": Amount(85, 0, 100)}, _STAYS, ""),
        ("apnoea", "no breath is drawn", {}, _STAYS, ""),
        (
            "hypertension",
            "the blood pressure rises",
            {"nibp_sys_mmhg": Amount(200, 0, 300)},
            _STAYS,
            "",
        ),
        ("anxiety", "the patient is afraid", {}, _STAYS, ""),
    ),
)
"""Every kind of these rooms."""
