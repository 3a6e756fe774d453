"""Failures of infusion pumps that are on public record, and others that follow from the parts: F1 to F24.

Where each stands is told as far as it was read: recall notices were read in reports of them, not in the
makers' letters; a year that those do not show is marked as inferred.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = {
    "FDA-P": "FDA, examples of infusion-pump problems, state of 2023-06-07, read in an archived copy",
    "GIP-H": (
        "Generic Infusion Pump hazard analysis and safety requirements v1.0, Arney, Jetley, Jones, Lee, Ray, "
        "Sokolsky, Zhang, 6 February 2009, UPenn MS-CIS-08-31: rows of its hazard table, read in a reformatted "
        "public copy"
    ),
    "LOOP": "LoopKit, PumpManagerError.swift and PumpManagerStatus.swift",
    "recall": "public notices of the makers and the FDA, read in reports of them",
    "physics": "of the mechanics themselves; see docs and data of the simulated drive, syringe and line",
    "own": "no public record: derived from the parts [design]",
}
"""Key -> what was read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``where``: the public record, by keys of `SOURCES` and in words."""

    number: str
    text: str
    where: str


FAILURES = (
    Failure(
        "F1",
        "key bounce: a digit doubles on entry, 10 becomes 100",
        "FDA seizure of Alaris pumps, 2006 (recall); FDA-P",
    ),
    Failure("F2", 'an "inoperable" error without a cause', "FDA-P"),
    Failure("F3", "no audible alarm: the audio unit has failed", "FDA-P; Plum A+, 2015 (recall)"),
    Failure(
        "F4",
        "a false occlusion; a force sensor that drifts, so that alarms are late or false",
        "FDA-P; Medfusion, 108 816 units, notice of 6 October, year not shown (recall)",
    ),
    Failure("F5", "units confused: lb and kg, mL/h and ug/h", "FDA-P; GIP-H 8.14"),
    Failure(
        "F6",
        'delivery goes on during a "motor not running" alarm',
        "Medfusion 4000, 14 February, year 2024 inferred (recall)",
    ),
    Failure(
        "F7",
        "a loading dose given twice; an interrupted bolus; a wrong total shown",
        "Medfusion 4000, the same notice (recall)",
    ),
    Failure(
        "F8",
        "a restart with wrong parameters or wrong last settings; a corrupt configuration",
        "Medfusion 3500, begun on 19 December 2023 (recall)",
    ),
    Failure(
        "F9",
        '"complete" with fluid left after occlusions: the volume counter is wrong',
        "Baxter Novum IQ, 2023 (recall)",
    ),
    Failure(
        "F10",
        "no alarm for a low or empty battery; a battery that fails",
        "BD Alaris, 2020; Plum, 2024 (recall)",
    ),
    Failure(
        "F11",
        "priorities of keeping the vein open and of the end of infusion are swapped",
        "BD Alaris, 2020 (recall)",
    ),
    Failure(
        "F12",
        "processor and keyboard lose each other, and the user stops the therapy",
        "Alaris PC 8015, 2013 (recall)",
    ),
    Failure("F13", "keys stuck or unresponsive", "Alaris 8100, 2021 (recall)"),
    Failure(
        "F14",
        "free flow or siphoning; an open clamp; a syringe that is not seated",
        "GIP-H 1.13; Rooke 1994",
    ),
    Failure(
        "F15",
        "a counter or timer wraps; a buffer overflows; frames too long or cut off",
        "a class known for pumps; no single record was read",
    ),
    Failure(
        "F16", "the wall clock jumps; daylight saving; a clock that is back in 1970", "GIP-H 4.2"
    ),
    Failure("F17", "a watchdog trips without a cause, or was never armed", "GIP-H 4.9, 4.10"),
    Failure(
        "F18",
        "an air alarm is missed, or raised by drops",
        "missed: FDA-P; false: a class, no record was read",
    ),
    Failure(
        "F19",
        "the acknowledgement of a start or bolus is lost, doubled, or late after a retry",
        "LOOP",
    ),
    Failure(
        "F20",
        "the log's disk is full, a sync is slow, a sensor is no number or frozen",
        "GIP-H 5.1, 4.11",
    ),
    Failure("F21", "lost steps, backlash, a syringe of another brand", "physics"),
    Failure("F22", "a stop is lost, or the pump ignores it", "GIP-H 5.10"),
    Failure(
        "F23",
        "a killed process, a blocked loop, a pause of 2 s, a suspended machine",
        "GIP-H 4.9, 5.10",
    ),
    Failure(
        "F24", "a flooded broker, an old START that is retained, messages with skewed clocks", "own"
    ),
)
"""In the order of their numbers."""
