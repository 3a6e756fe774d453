"""Codes and units: every number pinned to the published table, not to our own arithmetic."""

from __future__ import annotations

import pytest

from controller.metrics import EVENT_CODES, METRICS, Metric, describe

# key: REFID, context-free code, context-free unit code, UCUM, as printed in the public texts.
PRINTED = {
    "hr_bpm": ("MDC_ECG_HEART_RATE", 147842, 264864, "/min"),
    "spo2_pct": ("MDC_PULS_OXIM_SAT_O2", 150456, 262688, "%"),
    "nibp_sys_mmhg": ("MDC_PRESS_BLD_NONINV_SYS", 150021, 266016, "mm[Hg]"),
    "nibp_dia_mmhg": ("MDC_PRESS_BLD_NONINV_DIA", 150022, 266016, "mm[Hg]"),
    "rr_bpm": ("MDC_RESP_RATE", 151562, 264928, "/min"),
    "etco2_mmhg": ("MDC_AWAY_CO2_ET", 151728, 266016, "mm[Hg]"),
    "rate_ml_h": ("MDC_FLOW_FLUID_PUMP", 157784, 265266, "mL/h"),
    "vtbi_ml": ("MDC_VOL_FLUID_TBI", 157884, 263762, "mL"),
    "remaining_ml": ("MDC_VOL_FLUID_TBI_REMAIN", 157872, 263762, "mL"),
    "volume_ml": ("MDC_VOL_FLUID_DELIV", 157864, 263762, "mL"),
    "conc_mg_ml": ("MDC_CONC_DRUG", 157760, 264306, "mg/mL"),
    "dose_rate_mg_min": ("MDC_FLOW_DRUG_DELIV", 157804, 265490, "mg/min"),
    "remaining_s": ("MDC_TIME_PD_REMAIN", 157916, 264320, "s"),
    "drug": ("MDC_DRUG_NAME_LABEL", 184514, None, ""),
    "state": ("MDC_PUMP_STAT", 184508, None, ""),
    "infusing": ("MDC_PUMP_INFUSING_STATUS", 184519, None, ""),
}
BY_KEY = {metric.key: metric for metric in METRICS}


@pytest.mark.parametrize("key", PRINTED)
def test_every_coded_metric_has_the_printed_code_and_unit(key: str) -> None:
    metric = BY_KEY[key]
    assert metric.code is not None
    assert (metric.code.refid, metric.code.number, metric.unit_code, metric.ucum) == PRINTED[key]
    assert metric.code.source


def test_no_other_metric_claims_a_code() -> None:
    assert {metric.key for metric in METRICS if metric.code} == set(PRINTED)


def test_no_key_is_there_twice_and_every_range_has_a_width() -> None:
    assert len(BY_KEY) == len(METRICS)
    assert all(metric.minimum < metric.maximum for metric in METRICS)


def test_event_codes_are_the_printed_ones_and_the_unprinted_have_none() -> None:
    assert EVENT_CODES["MDC_EVT_FLUID_LINE_OCCL"] == 196940
    assert EVENT_CODES["MDC_EVT_BATT_LO"] == 196802
    assert EVENT_CODES["MDC_EVT_DISCONN"] == 196630
    assert EVENT_CODES["MDC_EVT_APNEA"] == 199680
    assert EVENT_CODES["MDC_EVT_PUMP_DELIV_STOP"] is None


def test_a_row_of_the_birth_document_leaves_out_what_is_not_known() -> None:
    assert describe(BY_KEY["rate_ml_h"]) == {
        "key": "rate_ml_h",
        "label": "Flow rate",
        "topic": "pump",
        "ucum": "mL/h",
        "mdc": "MDC_FLOW_FLUID_PUMP",
        "mdc_code": 157784,
        "mdc_unit": 265266,
        "min": 0,
        "max": 1200,
        "decimals": 3,
    }
    assert "mdc" not in describe(Metric("x", "X", "pump"))
    assert "mdc_unit" not in describe(Metric("x", "X", "pump"))
