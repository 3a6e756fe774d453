"""The metric registry: every number this product publishes, with unit, range, precision and codes.

One source of truth for the birth document (`telemetry.Telemetry.meta`) and for whatever is generated
from it.  Codes are those of ISO/IEC 11073-10101 (MDC), context-free: partition x 65536 + term.  Each
row names the public text its term was read in:

* A: IHE Patient Care Device Technical Framework, volumes 2 and 3, revision 8;
* C: mdpnp/mdpnp (himss2015.idl and its monitor tables).

A key without a code has none that could be confirmed; it is then published without one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the nomenclature."""

    refid: str
    partition: int
    term: int
    source: str

    @property
    def number(self) -> int:
        """The context-free code."""
        return self.partition << 16 | self.term


@dataclass(frozen=True, slots=True)
class Metric:
    """One key of a message: what it is called, its UCUM unit, its range and the precision claimed.

    ``topic`` is the last level of the topic it appears on.  With ``can_be_unknown`` the message always
    holds ``<key>_ok`` too, and the key itself only when that is 1.
    """

    key: str
    label: str
    topic: str
    ucum: str = ""
    minimum: float = 0
    maximum: float = 1
    decimals: int = 0
    code: Code | None = None
    unit_term: int | None = None
    can_be_unknown: bool = True

    @property
    def unit_code(self) -> int | None:
        """The context-free MDC code of the unit (partition 4)."""
        return None if self.unit_term is None else 4 << 16 | self.unit_term


# Terms of units, all from A: beats and breaths a minute, %, mmHg, mL/h, mL, mg/mL, mg/min, s.
_BEATS, _BREATHS, _PERCENT, _MMHG = 2720, 2784, 544, 3872
_ML_H, _ML, _MG_ML, _MG_MIN, _SECONDS = 3122, 1618, 2162, 3346, 2176

PUMP: tuple[Metric, ...] = (
    Metric(
        "infusing",
        "Infusing",
        "pump",
        code=Code("MDC_PUMP_INFUSING_STATUS", 2, 53447, "A"),
    ),
    Metric(
        "state",
        "Pump state",
        "pump",
        code=Code("MDC_PUMP_STAT", 2, 53436, "A"),
        can_be_unknown=False,
    ),
    Metric("state_n", "Pump state as a number", "pump", maximum=5, can_be_unknown=False),
    Metric(
        "drug",
        "Drug",
        "pump",
        code=Code("MDC_DRUG_NAME_LABEL", 2, 53442, "A"),
        can_be_unknown=False,
    ),
    Metric(
        "conc_mg_ml",
        "Concentration",
        "pump",
        "mg/mL",
        maximum=100,
        decimals=3,
        code=Code("MDC_CONC_DRUG", 2, 26688, "A"),
        unit_term=_MG_ML,
        can_be_unknown=False,
    ),
    Metric(
        "rate_set_ml_h",
        "Flow rate set",
        "pump",
        "mL/h",
        maximum=1200,
        decimals=3,
        unit_term=_ML_H,
        can_be_unknown=False,
    ),
    Metric(
        "rate_ml_h",
        "Flow rate",
        "pump",
        "mL/h",
        maximum=1200,
        decimals=3,
        code=Code("MDC_FLOW_FLUID_PUMP", 2, 26712, "A"),
        unit_term=_ML_H,
    ),
    Metric(
        "dose_rate_mg_min",
        "Dose rate",
        "pump",
        "mg/min",
        maximum=1000,
        decimals=3,
        code=Code("MDC_FLOW_DRUG_DELIV", 2, 26732, "A"),
        unit_term=_MG_MIN,
    ),
    Metric(
        "volume_ml",
        "Volume delivered",
        "pump",
        "mL",
        maximum=1000,
        decimals=3,
        code=Code("MDC_VOL_FLUID_DELIV", 2, 26792, "A"),
        unit_term=_ML,
    ),
    Metric("dose_mg", "Drug delivered", "pump", "mg", maximum=10_000, decimals=3),
    Metric(
        "vtbi_ml",
        "Volume to be infused",
        "pump",
        "mL",
        maximum=1000,
        decimals=3,
        code=Code("MDC_VOL_FLUID_TBI", 2, 26812, "A"),
        unit_term=_ML,
    ),
    Metric(
        "remaining_ml",
        "Volume remaining",
        "pump",
        "mL",
        maximum=1000,
        decimals=3,
        code=Code("MDC_VOL_FLUID_TBI_REMAIN", 2, 26800, "A"),
        unit_term=_ML,
    ),
    Metric(
        "remaining_s",
        "Time remaining",
        "pump",
        "s",
        maximum=86_400,
        code=Code("MDC_TIME_PD_REMAIN", 2, 26844, "A"),
        unit_term=_SECONDS,
    ),
    Metric(
        "pressure_mmhg",
        "Line pressure",
        "pump",
        "mm[Hg]",
        maximum=1500,
        decimals=1,
        unit_term=_MMHG,
    ),
    Metric("battery_pct", "Battery", "pump", "%", maximum=100, decimals=0, unit_term=_PERCENT),
    Metric("link_ok", "Link to the pump", "pump", can_be_unknown=False),
)

VITALS: tuple[Metric, ...] = (
    Metric(
        "hr_bpm",
        "Heart rate",
        "vitals",
        "/min",
        maximum=350,
        decimals=1,
        code=Code("MDC_ECG_HEART_RATE", 2, 16770, "A, C"),
        unit_term=_BEATS,
    ),
    Metric(
        "spo2_pct",
        "Oxygen saturation",
        "vitals",
        "%",
        maximum=100,
        decimals=1,
        code=Code("MDC_PULS_OXIM_SAT_O2", 2, 19384, "A, C"),
        unit_term=_PERCENT,
    ),
    Metric(
        "nibp_sys_mmhg",
        "Systolic pressure",
        "vitals",
        "mm[Hg]",
        maximum=300,
        decimals=1,
        code=Code("MDC_PRESS_BLD_NONINV_SYS", 2, 18949, "A, C"),
        unit_term=_MMHG,
    ),
    Metric(
        "nibp_dia_mmhg",
        "Diastolic pressure",
        "vitals",
        "mm[Hg]",
        maximum=300,
        decimals=1,
        code=Code("MDC_PRESS_BLD_NONINV_DIA", 2, 18950, "A, C"),
        unit_term=_MMHG,
    ),
    Metric("nibp_age_s", "Age of the pressure", "vitals", "s", maximum=86_400, decimals=1),
    Metric(
        "rr_bpm",
        "Breathing rate",
        "vitals",
        "/min",
        maximum=120,
        decimals=1,
        code=Code("MDC_RESP_RATE", 2, 20490, "A, C"),
        unit_term=_BREATHS,
    ),
    Metric(
        "etco2_mmhg",
        "End-tidal carbon dioxide",
        "vitals",
        "mm[Hg]",
        maximum=150,
        decimals=1,
        code=Code("MDC_AWAY_CO2_ET", 2, 20656, "C"),
        unit_term=_MMHG,
    ),
)

METRICS = PUMP + VITALS

# Alarm conditions (partition 3), all from A.  The REFIDs of the second group are printed there
# without a number, so they are published without one.
EVENT_CODES: dict[str, int | None] = {
    code.refid: code.number
    for code in (
        Code("MDC_EVT_ALARM", 3, 8, "A"),
        Code("MDC_EVT_DISCONN", 3, 22, "A"),
        Code("MDC_EVT_EMPTY", 3, 26, "A"),
        Code("MDC_EVT_HI", 3, 40, "A"),
        Code("MDC_EVT_LO", 3, 62, "A"),
        Code("MDC_EVT_OCCL", 3, 80, "A"),
        Code("MDC_EVT_BATT_FAIL", 3, 192, "A"),
        Code("MDC_EVT_BATT_LO", 3, 194, "A"),
        Code("MDC_EVT_FLUID_LINE_PROB", 3, 252, "A"),
        Code("MDC_EVT_SENSOR_PROB", 3, 312, "A"),
        Code("MDC_EVT_FLUID_LINE_OCCL", 3, 332, "A"),
        Code("MDC_EVT_TIMEOUT", 3, 584, "A"),
        Code("MDC_EVT_PUMP_FLOW_FREE", 3, 598, "A"),
        Code("MDC_EVT_PUMP_DELIV_START", 3, 680, "A"),
        Code("MDC_EVT_APNEA", 3, 3072, "A"),
    )
} | dict.fromkeys(
    (
        "MDC_EVT_PUMP_DELIV_STOP",
        "MDC_EVT_PUMP_DELIV_COMP",
        "MDC_EVT_COMM_STATUS_CHANGE",
        "MDC_EVT_FLUID_LINE_AIR",
        "MDC_EVT_EMER_STOP",
        "MDC_EVT_MALF",
    )
)


def describe(metric: Metric) -> dict[str, str | int | float]:
    """The metric's row in the birth document; keys without a value are left out."""
    row: dict[str, str | int | float] = {
        "key": metric.key,
        "label": metric.label,
        "topic": metric.topic,
        "ucum": metric.ucum,
        "min": metric.minimum,
        "max": metric.maximum,
        "decimals": metric.decimals,
    }
    if metric.code is not None:
        row |= {"mdc": metric.code.refid, "mdc_code": metric.code.number}
    if metric.unit_code is not None:
        row["mdc_unit"] = metric.unit_code
    return row
