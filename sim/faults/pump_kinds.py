"""What can go wrong in a pump: mechanics, sensors, power, protocol, and hands at its keys.

The numbers F1 to F24 are those of docs/faults.md, which tells where each failure is on public record.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.faults.fault_kind import FaultKind
from sim.faults.parameters import Amount, Choice, Parameter

_COMMANDS = Amount(1, 1, 1_000_000)
_NONE: Mapping[str, Parameter] = {}


def _room(room: str, *rows: tuple[str, str, Mapping[str, Parameter], bool, str]) -> list[FaultKind]:
    return [
        FaultKind(kind, room, text, parameters, lasting, tuple(known.split()))
        for kind, text, parameters, lasting, known in rows
    ]


_STAYS, _HAPPENS = True, False

PUMP_KINDS = (
    *_room(
        "mechanics",
        ("downstream_occlusion", "nothing leaves the line; pressure rises", _NONE, _STAYS, ""),
        (
            "upstream_occlusion",
            "shut before the pressure sensor, which sees nothing of it",
            _NONE,
            _STAYS,
            "F4",
        ),
        ("empty", "the plunger stands at the bottom of the syringe", _NONE, _STAYS, ""),
        ("motor_stall", "the motor cannot turn", _NONE, _STAYS, ""),
        ("lost_steps", "steps are not made", {"loss_pct": Amount(5, 0, 100)}, _STAYS, "F21"),
        ("backlash", "the nut has play", {"backlash_um": Amount(50, 0, 10_000)}, _STAYS, "F21"),
        (
            "wrong_syringe",
            "another diameter than was programmed",
            {"diameter_mm": Amount(29.7, 0.1, 100)},
            _STAYS,
            "F21",
        ),
        (
            "free_flow",
            "nothing holds the plunger",
            {"rate_ml_h": Amount(10, 0, 100_000)},
            _STAYS,
            "F14",
        ),
        (
            "siphon",
            "nothing holds the plunger, and the pump stands high",
            {"height_cm": Amount(50, 0, 1_000)},
            _STAYS,
            "F14",
        ),
        (
            "height_change",
            "the pump was moved, up or down",
            {"height_cm": Amount(30, -1_000, 1_000)},
            _STAYS,
            "F14",
        ),
        ("air_bubble", "air in the line", {"volume_ul": Amount(100, 0.001, 1e5)}, _STAYS, "F18"),
        ("clamp_shut", "the clamp on the line is shut", _NONE, _STAYS, ""),
        (
            "near_end",
            "the syringe holds only this much",
            {"left_ml": Amount(0.5, 0, 1_000)},
            _STAYS,
            "",
        ),
        ("drive_disengaged", "the drive has let go of the plunger", _NONE, _STAYS, "F14"),
    ),
    *_room(
        "sensor",
        (
            "force_sensor_drift",
            "the pressure sensor drifts",
            {"mmhg_per_min": Amount(5, -1_000, 1_000)},
            _STAYS,
            "F4",
        ),
        (
            "force_sensor_offset",
            "the pressure sensor is off",
            {"offset_mmhg": Amount(100, -10_000, 10_000)},
            _STAYS,
            "F4",
        ),
        ("air_alarm_missed", "the air detector sees nothing", _NONE, _STAYS, "F18"),
        ("door_open", "the door of the pump is open", _NONE, _STAYS, "F14"),
        ("syringe_unconfirmed", "the syringe is to be confirmed anew", _NONE, _STAYS, "F14"),
        ("false_air", "air is reported without a cause", _NONE, _HAPPENS, "F18"),
        ("sounder_failed", "no alarm can be heard", _NONE, _STAYS, "F3"),
        (
            "alarm_swapped",
            "the end of an infusion is told as one that keeps the vein open",
            _NONE,
            _STAYS,
            "F11",
        ),
    ),
    *_room(
        "power",
        ("power_loss", "all power is off; back when this is over", _NONE, _STAYS, "F8"),
        ("reboot", "power off and on again", _NONE, _HAPPENS, "F8"),
        ("settings_lost", "the settings are those of the factory", _NONE, _HAPPENS, "F8"),
        ("mains_loss", "the plug is out; the battery goes on", _NONE, _STAYS, "F10"),
        (
            "battery_left",
            "the battery has this much left",
            {"remaining_min": Amount(5, 0, 10_000)},
            _HAPPENS,
            "F10",
        ),
        ("battery_low", "the battery is low", _NONE, _STAYS, "F10"),
        ("battery_depleted", "the plug is out, and the battery empty", _NONE, _STAYS, "F10"),
        (
            "battery_alarm_missing",
            "the battery says nothing until it is empty",
            _NONE,
            _STAYS,
            "F10",
        ),
        (
            "brown_out",
            "the supply sags: the motor stands, and the pump does not know",
            _NONE,
            _HAPPENS,
            "F8",
        ),
        (
            "clock_drift",
            "the pump's clock is fast (or slow)",
            {"drift_ppm": Amount(10_000, -900_000, 1e6)},
            _STAYS,
            "F16",
        ),
    ),
    *_room(
        "protocol",
        ("mute", "obeys and never answers", _NONE, _STAYS, "F12"),
        (
            "reply_delay",
            "every answer is late",
            {"delay_ms": Amount(100, 0, 60_000)},
            _STAYS,
            "F19",
        ),
        (
            "frame_drop",
            "whole frames are lost; from the pump: obeyed, and the answer gone",
            {"direction": Choice(("from_pump", "to_pump")), "for_commands": _COMMANDS},
            _STAYS,
            "F19",
        ),
        (
            "late_reply",
            "so many answers come so late",
            {"delay_ms": Amount(1_500, 1, 60_000), "for_commands": _COMMANDS},
            _STAYS,
            "F19",
        ),
        (
            "reply_lost_after_action",
            "so many commands are obeyed, and the answer is gone",
            {"for_commands": _COMMANDS},
            _STAYS,
            "F19",
        ),
        (
            "unsolicited_between",
            "so many answers have something in front that nobody asked for",
            {"for_commands": _COMMANDS},
            _STAYS,
            "",
        ),
        (
            "wrong_address",
            "so many answers carry another address, none, or theirs twice",
            {"form": Choice(("wrong", "missing", "doubled")), "for_commands": _COMMANDS},
            _STAYS,
            "",
        ),
        (
            "two_answer",
            "so many answers come from another pump as well",
            {"for_commands": _COMMANDS},
            _STAYS,
            "",
        ),
        ("stop_ignored", "a stop is answered as if it had been obeyed", _NONE, _STAYS, "F22"),
        (
            "refuse_command",
            "so many commands are refused",
            {"for_commands": _COMMANDS},
            _STAYS,
            "F12",
        ),
        (
            "wrong_acknowledge",
            "so many commands are answered as if they had been obeyed",
            {"for_commands": _COMMANDS},
            _STAYS,
            "F7 F22",
        ),
        (
            "spurious_inoperable",
            "an internal fault is reported without a cause",
            _NONE,
            _HAPPENS,
            "F2",
        ),
        ("false_occlusion", "an occlusion is reported without a cause", _NONE, _HAPPENS, "F4"),
        ("false_dead_man", "the dead-man trips without a cause", _NONE, _HAPPENS, "F17"),
        (
            "delivers_in_alarm",
            "the motor goes on although an alarm says that it stands",
            _NONE,
            _STAYS,
            "F6",
        ),
        (
            "counter_error",
            "the counter of delivered volume is off",
            {"error_pct": Amount(10, -100, 1_000)},
            _STAYS,
            "F9 F15",
        ),
        (
            "counter_rollover",
            "the counter of delivered volume begins again there",
            {"at_ml": Amount(10, 0.001, 100_000)},
            _STAYS,
            "F9 F15",
        ),
    ),
    *_room(
        "keypad",
        ("keypad_stop", "somebody stops it at its keys", _NONE, _HAPPENS, "F12"),
        (
            "keypad_rate",
            "somebody sets another rate at its keys",
            {"rate_ml_h": Amount(100, 0.001, 100_000)},
            _HAPPENS,
            "F5",
        ),
        ("keypad_mode", "somebody changes its mode at its keys", _NONE, _HAPPENS, "F12"),
        (
            "key_bounce",
            "somebody keys this rate, and the last digit doubles: 10 becomes 100",
            {"rate_ml_h": Amount(10, 0.001, 100_000)},
            _HAPPENS,
            "F1",
        ),
        ("key_stuck", "the keys are stuck, and none is felt", _NONE, _STAYS, "F13"),
        (
            "screen_touched",
            "somebody touches the screen: the host is not heard until it ends a line",
            _NONE,
            _HAPPENS,
            "F12",
        ),
    ),
)
