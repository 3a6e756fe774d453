"""The table of alarms: every condition there is, with one fixed priority, its kind, and what is done.

One row per id; an alarm without a row cannot be raised.  Priorities, kinds and phases are words of
IEC 60601-1-8 and of IHE PCD TF-2, B.8.5; ``mdc`` is the REFID of ISO/IEEE 11073-10101 where one fits,
and empty where none does (a value beyond its limit is MDC_EVT_HI or _LO, by its side).  Which condition holds when, the procedure decides; what is shown and kept,
`alarm_board`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Priority(StrEnum):
    """How fast a person must look at an alarm."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Kind(StrEnum):
    """Of whom the alarm speaks."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One condition.

    ``latching``: it stays on the board when its condition is gone, until a person has acknowledged it.
    ``title`` names it where the text of the moment is missing; ``action`` is what the controller does.
    """

    id: str
    kind: Kind
    priority: Priority
    latching: bool
    title: str
    action: str
    mdc: str = ""


_H, _M, _L = Priority.HIGH, Priority.MEDIUM, Priority.LOW
_BODY, _DEVICE, _ADVICE = Kind.PHYSIOLOGICAL, Kind.TECHNICAL, Kind.ADVISORY
_STOPS = "delivery is stopped"
_HELD = "delivery is held"
_TOLD = "a person is told"
_LATCHES, _ENDS = True, False

# High alarms latch; those below end with their condition, but for the ones that say what was missed.
_ROWS = (
    # the patient
    AlarmRow("vitals_stale", _BODY, _H, _LATCHES, "No fresh vitals", _HELD, "MDC_EVT_SENSOR_PROB"),
    AlarmRow("vitals_hr_bpm", _BODY, _H, _LATCHES, "Heart rate", _HELD),
    AlarmRow("vitals_spo2_pct", _BODY, _H, _LATCHES, "Oxygen saturation", _HELD),
    AlarmRow("vitals_rr_bpm", _BODY, _H, _LATCHES, "Respiratory rate", _HELD),
    AlarmRow("vitals_nibp_sys_mmhg", _BODY, _H, _LATCHES, "Systolic pressure", _HELD),
    AlarmRow("vitals_nibp_dia_mmhg", _BODY, _H, _LATCHES, "Diastolic pressure", _HELD),
    AlarmRow("vitals_spo2_pct_warn", _BODY, _L, _ENDS, "Oxygen saturation", _TOLD),
    AlarmRow("ventilation_spo2_pct", _BODY, _H, _LATCHES, "SpO2 after midazolam", _TOLD),
    AlarmRow("ventilation_rr_bpm", _BODY, _H, _LATCHES, "Respiratory rate after midazolam", _TOLD),
    AlarmRow("ventilation_etco2_mmhg", _BODY, _H, _LATCHES, "EtCO2 after midazolam", _TOLD),
    AlarmRow("toxicity_sign", _BODY, _H, _LATCHES, "Sign of local anaesthetic toxicity", _HELD),
    # the pump, the syringe and the line
    AlarmRow(
        "pump_occlusion", _DEVICE, _H, _LATCHES, "Occlusion", _HELD, "MDC_EVT_FLUID_LINE_OCCL"
    ),
    AlarmRow("pump_empty", _DEVICE, _H, _LATCHES, "Pump says: empty", _HELD, "MDC_EVT_EMPTY"),
    AlarmRow("pump_air", _DEVICE, _H, _LATCHES, "Air in line", _HELD, "MDC_EVT_FLUID_LINE_AIR"),
    AlarmRow("pump_battery", _DEVICE, _H, _LATCHES, "Pump battery", _HELD, "MDC_EVT_BATT_LO"),
    AlarmRow("pump_battery_depleted", _DEVICE, _H, _LATCHES, "Pump battery empty", _HELD),
    AlarmRow("pump_mains_lost", _DEVICE, _H, _LATCHES, "Pump runs on battery", _HELD),
    AlarmRow("pump_stall", _DEVICE, _H, _LATCHES, "Pump motor stands", _HELD, "MDC_EVT_MALF"),
    AlarmRow("pump_lost_steps", _DEVICE, _H, _LATCHES, "Pump motor slips", _HELD, "MDC_EVT_MALF"),
    AlarmRow("pump_door_open", _DEVICE, _H, _LATCHES, "Pump door open", _HELD),
    AlarmRow("pump_clamp_shut", _DEVICE, _H, _LATCHES, "Line clamped", _HELD),
    AlarmRow("pump_reset", _DEVICE, _H, _LATCHES, "Pump was reset", _HELD),
    AlarmRow(
        "pump_lease_expired", _DEVICE, _H, _LATCHES, "Dead-man tripped", _STOPS, "MDC_EVT_TIMEOUT"
    ),
    AlarmRow("pump_estop_latched", _DEVICE, _H, _LATCHES, "Pump side is stopped", _STOPS),
    AlarmRow("pump_internal_fault", _DEVICE, _H, _LATCHES, "Pump fault", _HELD, "MDC_EVT_MALF"),
    AlarmRow("pump_link_lost", _DEVICE, _H, _LATCHES, "Pump cable", _HELD, "MDC_EVT_DISCONN"),
    AlarmRow("pump_stop_unconfirmed", _DEVICE, _H, _LATCHES, "Pump may still run", _STOPS),
    AlarmRow("pump_identity_changed", _DEVICE, _H, _LATCHES, "Another pump", _STOPS),
    AlarmRow("near_empty", _DEVICE, _M, _ENDS, "Syringe nearly empty", _TOLD),
    AlarmRow("empty", _DEVICE, _H, _LATCHES, "Syringe empty", _HELD, "MDC_EVT_EMPTY"),
    AlarmRow("link_lost", _DEVICE, _H, _LATCHES, "Pump out of reach", _HELD, "MDC_EVT_DISCONN"),
    AlarmRow("bridge_restarted", _DEVICE, _H, _LATCHES, "Bridge restarted", _HELD),
    # the delivery
    AlarmRow("delivery_uncertain", _DEVICE, _H, _LATCHES, "Delivered amount uncertain", _HELD),
    AlarmRow("delivery_read_back", _DEVICE, _H, _LATCHES, "Pump accepted another order", _HELD),
    AlarmRow("delivery_refused", _DEVICE, _M, _LATCHES, "Start refused", _HELD),
    AlarmRow("delivery_counter", _DEVICE, _H, _LATCHES, "Pump counter went back", _HELD),
    AlarmRow("delivery_over", _DEVICE, _H, _LATCHES, "More delivered than ordered", _HELD),
    AlarmRow("delivery_short", _DEVICE, _H, _LATCHES, "Pump stopped early", _HELD),
    AlarmRow("delivery_pace", _DEVICE, _H, _LATCHES, "Flow deviates", _HELD),
    AlarmRow(
        "delivery_unasked",
        _DEVICE,
        _H,
        _LATCHES,
        "Pump runs unasked",
        _STOPS,
        "MDC_EVT_PUMP_FLOW_FREE",
    ),
    AlarmRow("delivery_disagreement", _DEVICE, _H, _LATCHES, "Log and pump disagree", _HELD),
    AlarmRow(
        "time_ceiling",
        _DEVICE,
        _M,
        _LATCHES,
        "Infusion time ceiling",
        "the infusion ends",
        "MDC_EVT_TIMEOUT",
    ),
    AlarmRow(
        "bolus_time_ceiling", _DEVICE, _H, _LATCHES, "Bolus time ceiling", _HELD, "MDC_EVT_TIMEOUT"
    ),
    # the controller itself
    AlarmRow("log_not_writable", _DEVICE, _H, _LATCHES, "Log not writable", _HELD),
    AlarmRow("self_test", _DEVICE, _H, _LATCHES, "Self-test failed", "no start"),
    AlarmRow("interrupted", _DEVICE, _H, _LATCHES, "Controller was interrupted", _HELD),
    AlarmRow(
        "emergency_stop",
        _DEVICE,
        _H,
        _LATCHES,
        "Emergency stop",
        "stopped and latched",
        "MDC_EVT_EMER_STOP",
    ),
    AlarmRow("stop_unconfirmed", _DEVICE, _H, _LATCHES, "Stop not confirmed", "STOP is repeated"),
    AlarmRow("remote_stop_odd", _ADVICE, _L, _LATCHES, "Odd remote stop", _TOLD),
    AlarmRow("fault", _DEVICE, _H, _LATCHES, "Fault", "stopped and latched", "MDC_EVT_MALF"),
    # the people
    AlarmRow(
        "unanswered", _ADVICE, _M, _LATCHES, "A question is unanswered", _HELD, "MDC_EVT_TIMEOUT"
    ),
    AlarmRow(
        "rescue_unanswered",
        _ADVICE,
        _H,
        _LATCHES,
        "Rescue is not recorded",
        _TOLD,
        "MDC_EVT_TIMEOUT",
    ),
    AlarmRow("recovery_too_long", _ADVICE, _M, _LATCHES, "Not fit for discharge", _TOLD),
)

ALARMS: Mapping[str, AlarmRow] = MappingProxyType({row.id: row for row in _ROWS})
"""id -> row."""

FIRST_SET: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "occlusion": ("pump_occlusion",),
        "link loss": ("link_lost", "pump_link_lost"),
        "empty": ("empty", "pump_empty"),
        "near empty": ("near_empty",),
        "vitals out of limits": tuple(
            row.id for row in _ROWS if row.id.startswith("vitals_") and row.id != "vitals_stale"
        ),
        "ventilation after midazolam": tuple(
            row.id for row in _ROWS if row.id.startswith("ventilation_")
        ),
        "stale or invalid vitals": ("vitals_stale",),
        "time ceiling": ("time_ceiling", "bolus_time_ceiling"),
        "log not writable": ("log_not_writable",),
        "unanswered question": ("unanswered", "rescue_unanswered"),
        "toxicity sign": ("toxicity_sign",),
    }
)
"""Conditions that a bench must have seen at least once, and the rows that count for each."""
