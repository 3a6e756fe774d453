"""Telemetry payloads: the published contract, key by key."""

from __future__ import annotations

import json
import math
import timeit
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.log_format import Stamp
from controller.metrics import METRICS, PUMP
from controller.telemetry import Message, Telemetry, TelemetryError, mmhg, read_estop
from controller.telemetry_views import (
    AlarmKind,
    AlarmState,
    AlarmView,
    EstopOutcome,
    Inactivation,
    MetaView,
    Phase,
    Priority,
    PumpSample,
    SessionView,
)
from firmware_bridge.messages import PumpState
from firmware_bridge.notice import NOTICE
from firmware_bridge.quantities import Concentration, Mass, Rate, Volume

STAMP = Stamp(1_795_339_521_393, 81_231)
TELEMETRY = Telemetry(device="bench-1", boot="a9cfd8f3dc6f", session="S-0001", simulated=True)
INFUSING = PumpSample(
    state=PumpState.RUNNING,
    drug="ketamine",
    concentration=Concentration.from_mg_ml(1),
    rate_set=Rate.from_ml_h("26.7"),
    rate=Rate.from_ml_h("26.7"),
    volume=Volume.from_ml("7.412"),
    vtbi=Volume.from_ml(20),
    pressure_pa=10_986,
    battery_pct=97,
)
VITALS = {
    "hr_bpm": 72.1,
    "spo2_pct": 98,
    "nibp_sys_mmhg": 121.0,
    "nibp_dia_mmhg": 80.0,
    "nibp_age_s": 12.0,
    "rr_bpm": 14.0,
    "etco2_mmhg": 38.0,
}
OCCLUSION = AlarmView(
    id="downstream_occlusion",
    kind=AlarmKind.TECHNICAL,
    priority=Priority.HIGH,
    phase=Phase.START,
    state=AlarmState.ACTIVE,
    text="Downstream occlusion",
    onset_ts_ms=1_795_339_521_880,
    seq=413,
    value=452.0,
    limit=450,
    unit="mm[Hg]",
    mdc="MDC_EVT_FLUID_LINE_OCCL",
    action="delivery stopped",
)
SESSION = SessionView(
    state="infusing",
    state_n=6,
    step="ketamine 25 mg over 45 min",
    elapsed_s=61.04,
    remaining_s=2638.96,
    dose=Mass.from_mg("10.5"),
    procedure="ketamine-first-visit",
    drug="ketamine",
)


def read(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.payload)
    return found


def pump(**changes: Any) -> dict[str, Any]:
    return read(TELEMETRY.pump(STAMP, 412, replace(INFUSING, **changes)))


def test_the_worked_example_comes_out_to_the_last_digit() -> None:
    expected = {
        "v": 1,
        "ts": 1795339521393,
        "mono": 81231,
        "boot": "a9cfd8f3dc6f",
        "eseq": 412,
        "session": "S-0001",
        "sim": True,
        "infusing": 1,
        "state": "infusing",
        "state_n": 2,
        "drug": "ketamine",
        "conc_mg_ml": 1.0,
        "rate_set_ml_h": 26.7,
        "rate_ml_h": 26.7,
        "dose_rate_mg_min": 0.445,
        "volume_ml": 7.412,
        "dose_mg": 7.412,
        "vtbi_ml": 20.0,
        "remaining_ml": 12.588,
        "remaining_s": 1697,
        "pressure_mmhg": 82.4,
        "battery_pct": 97.0,
        "link_ok": 1,
    }
    sample = pump()
    assert {key: sample[key] for key in expected} == expected
    oks = sample.keys() - expected.keys()
    assert oks == {f"{metric.key}_ok" for metric in PUMP if metric.can_be_unknown}
    assert {sample[key] for key in oks} == {1}


def test_a_pump_that_cannot_be_reached_says_nothing_but_that() -> None:
    sample = pump(link=False)
    assert (sample["link_ok"], sample["state"], sample["state_n"]) == (0, "unknown", 0)
    for metric in PUMP:
        if metric.can_be_unknown and metric.key != "vtbi_ml":
            assert metric.key not in sample
            assert sample[f"{metric.key}_ok"] == 0
    assert sample["rate_set_ml_h"] == 26.7


def test_each_unknown_value_is_absent_and_marked() -> None:
    sample = pump(rate=None, volume=None, vtbi=None, pressure_pa=None, battery_pct=None)
    unknown = {
        key.removesuffix("_ok")
        for key, value in sample.items()
        if key.endswith("_ok") and not value
    }
    assert unknown == {
        "rate_ml_h",
        "dose_rate_mg_min",
        "volume_ml",
        "dose_mg",
        "vtbi_ml",
        "remaining_ml",
        "remaining_s",
        "pressure_mmhg",
        "battery_pct",
    }
    assert not unknown & sample.keys()


def test_the_time_left_is_unknown_at_rest_and_nothing_when_all_is_delivered() -> None:
    at_rest = pump(state=PumpState.STOPPED, rate=Rate(0))
    assert (at_rest["infusing"], at_rest["remaining_ml"], at_rest["remaining_s_ok"]) == (
        0,
        12.588,
        0,
    )
    done = pump(state=PumpState.COMPLETED, rate=Rate(0), volume=Volume.from_ml(20))
    assert (done["state"], done["remaining_ml"], done["remaining_s"]) == ("completed", 0.0, 0)


@pytest.mark.parametrize(
    ("state", "text", "number"),
    [
        (PumpState.UNKNOWN, "unknown", 0),
        (PumpState.STOPPED, "stopped", 1),
        (PumpState.RUNNING, "infusing", 2),
        (PumpState.PAUSED, "paused", 3),
        (PumpState.COMPLETED, "completed", 4),
        (PumpState.ALARM, "alarm", 5),
    ],
)
def test_every_state_has_its_word_and_its_number(state: PumpState, text: str, number: int) -> None:
    sample = pump(state=state)
    assert (sample["state"], sample["state_n"]) == (text, number)
    assert sample["infusing_ok"] == (state is not PumpState.UNKNOWN)


def test_drug_is_rounded_down() -> None:
    sample = pump(volume=Volume(1_999), concentration=Concentration(1_000))
    assert sample["dose_mg"] == 0.001


def test_vitals_carry_every_number_and_whether_it_is_known() -> None:
    sample = read(TELEMETRY.vitals(STAMP, 412, VITALS))
    assert {key: sample[key] for key in VITALS} == VITALS
    assert all(sample[f"{key}_ok"] == 1 for key in VITALS)


def test_a_detached_or_senseless_sensor_is_absent_and_marked() -> None:
    sample = read(
        TELEMETRY.vitals(
            STAMP, 0, {"hr_bpm": math.nan, "spo2_pct": math.inf, "foo": 1.0, "rr_bpm": 14}
        )
    )
    known = {key for key in VITALS if sample[f"{key}_ok"]}
    assert known == {"rr_bpm"}
    assert sample.keys() & VITALS.keys() == known
    assert "foo" not in sample


def test_model_and_diagnosis_never_carry_what_is_not_finite() -> None:
    values = {"plasma_ng_ml": 81.5, "effect_psychedelic_ng_ml": math.nan}
    sample = read(TELEMETRY.model(STAMP, 3, values))
    assert sample["plasma_ng_ml"] == 81.5
    assert "effect_psychedelic_ng_ml" not in sample
    link = read(TELEMETRY.diag(STAMP, 3, {"round_trip_ms": 1.5, "dropped_n": 2, "port": "x"}))
    assert (link["round_trip_ms"], link["dropped_n"], link["port"]) == (1.5, 2, "x")


def test_the_session_is_kept_for_whoever_comes_late() -> None:
    message = TELEMETRY.session(STAMP, 412, SESSION)
    assert (message.topic, message.qos, message.retain) == ("infusion/v1/bench-1/session", 1, True)
    view = read(message)
    assert (view["state"], view["state_n"], view["elapsed_s"]) == ("infusing", 6, 61.0)
    assert (view["remaining_s"], view["remaining_s_ok"], view["dose_mg"]) == (2638, 1, 10.5)
    assert (view["series_n"], view["series_of"], view["outcome"]) == (1, 1, "")
    waiting = read(TELEMETRY.session(STAMP, 412, replace(SESSION, remaining_s=None)))
    assert waiting["remaining_s_ok"] == 0
    assert "remaining_s" not in waiting


def test_an_alarm_is_the_published_object() -> None:
    message = TELEMETRY.alarm(Stamp(1_795_339_521_901, 81_739), OCCLUSION)
    assert message.topic == "infusion/v1/bench-1/alarm/downstream_occlusion"
    assert (message.qos, message.retain) == (1, True)
    assert read(message) == {
        "v": 1,
        "ts": 1795339521901,
        "mono": 81739,
        "boot": "a9cfd8f3dc6f",
        "seq": 413,
        "session": "S-0001",
        "sim": True,
        "id": "downstream_occlusion",
        "kind": "technical",
        "priority": "high",
        "priority_n": 3,
        "phase": "start",
        "state": "active",
        "active": 1,
        "latched": 0,
        "inactivation": "enabled",
        "text": "Downstream occlusion",
        "value": 452.0,
        "value_ok": 1,
        "limit": 450.0,
        "limit_ok": 1,
        "unit": "mm[Hg]",
        "mdc": "MDC_EVT_FLUID_LINE_OCCL",
        "mdc_code": 196940,
        "onset_ts": 1795339521880,
        "action": "delivery stopped",
    }


def test_an_alarm_without_value_or_number_leaves_them_out() -> None:
    view = read(
        TELEMETRY.alarm(STAMP, replace(OCCLUSION, value=None, limit=math.nan, mdc="MDC_EVT_MALF"))
    )
    assert (view["value_ok"], view["limit_ok"]) == (0, 0)
    assert view["mdc"] == "MDC_EVT_MALF"
    assert not {"value", "limit", "mdc_code"} & view.keys()
    assert "mdc" not in read(TELEMETRY.alarm(STAMP, replace(OCCLUSION, mdc="")))


def test_an_alarm_is_taken_off_the_broker_by_an_empty_payload() -> None:
    assert TELEMETRY.alarm_gone("link_lost") == Message(
        "infusion/v1/bench-1/alarm/link_lost", b"", 1, True
    )


@pytest.mark.parametrize("bad", ["", "a/b", "a.b", "+", "#", "A", "x" * 49, "a b", "occlusion\n"])
def test_no_odd_name_becomes_part_of_a_topic(bad: str) -> None:
    with pytest.raises(TelemetryError, match="topic"):
        TELEMETRY.alarm_gone(bad)


@pytest.mark.parametrize("bad", ["", "Bench", "a/b", "a" * 33, "a_b", "a b", "a\n", "+", "#"])
def test_a_device_id_is_of_the_published_pattern(bad: str) -> None:
    with pytest.raises(TelemetryError, match="1 to 32"):
        Telemetry(device=bad, boot="a" * 12, session="", simulated=False)


def test_the_summary_names_the_most_urgent_alarm_first() -> None:
    low = replace(OCCLUSION, id="battery", priority=Priority.LOW, text="Battery low", onset_ts_ms=1)
    later = replace(OCCLUSION, id="empty", text="Syringe empty", onset_ts_ms=2_000_000_000_000)
    latched = replace(
        low, id="reset", state=AlarmState.LATCHED, inactivation=Inactivation.AUDIO_PAUSED
    )
    over = replace(OCCLUSION, id="air", state=AlarmState.INACTIVE)
    message = TELEMETRY.alarm_summary(STAMP, 413, [low, later, OCCLUSION, latched, over])
    view = read(message)
    assert (message.topic, message.qos, message.retain) == (
        "infusion/v1/bench-1/alarms/summary",
        1,
        True,
    )
    assert (view["highest"], view["highest_n"], view["text"]) == ("high", 3, "Downstream occlusion")
    assert (view["active_n"], view["latched_n"], view["silenced"]) == (3, 1, 1)


def test_a_latched_alarm_still_asks_for_a_person_and_silence_says_none() -> None:
    latched = replace(OCCLUSION, state=AlarmState.LATCHED)
    view = read(TELEMETRY.alarm_summary(STAMP, 1, [latched]))
    assert (view["highest_n"], view["active_n"], view["latched_n"], view["silenced"]) == (
        3,
        0,
        1,
        0,
    )
    none = read(TELEMETRY.alarm_summary(STAMP, 1, []))
    assert (none["highest"], none["highest_n"], none["active_n"], none["text"]) == (
        "none",
        0,
        0,
        "",
    )


def test_events_are_the_records_of_the_log_with_their_own_number() -> None:
    record = {"v": 1, "ts": 5, "mono": 6, "boot": "b" * 12, "seq": 7, "session": "S-1", "kind": "x"}
    message = TELEMETRY.event(record)  # type: ignore[arg-type]  # a plain literal
    assert (message.topic, message.qos, message.retain) == ("infusion/v1/bench-1/event", 1, False)
    assert read(message) == {**record, "sim": True, "hist": 0}
    assert read(TELEMETRY.event(record, late=True))["hist"] == 1  # type: ignore[arg-type]


def test_a_gap_says_from_where_to_where() -> None:
    gap = read(TELEMETRY.gap(STAMP, 3, 90))
    assert (gap["kind"], gap["from_seq"], gap["to_seq"], gap["seq"]) == ("gap", 3, 90, 90)


def test_the_birth_document_has_notice_versions_and_every_metric() -> None:
    message = TELEMETRY.meta(STAMP, 0, MetaView("0.1.0", "ketamine-first-visit", "sim:new-era"))
    meta = read(message)
    assert (message.topic, message.qos, message.retain) == ("infusion/v1/bench-1/meta", 1, True)
    assert meta["notice"] == NOTICE
    assert meta["name"] == "bench-1 (SIMULATED)"
    assert [row["key"] for row in meta["metrics"]] == [metric.key for metric in METRICS]
    assert meta["states"][2] == "infusing"
    assert len(meta["schema_hash"]) == 64
    real = Telemetry(device="bench-1", boot="a" * 12, session="", simulated=False)
    assert read(real.meta(STAMP, 0, MetaView("0", "", "")))["name"] == "bench-1"


def test_availability_is_one_plain_word() -> None:
    topic = "infusion/v1/bench-1/availability"
    assert TELEMETRY.availability(online=True) == Message(topic, b"online", 1, True)
    assert TELEMETRY.availability(online=False) == Message(topic, b"offline", 1, True)


def test_the_answer_to_a_stop_says_what_the_pump_confirmed() -> None:
    outcome = EstopOutcome("req-1", 10, 12, None, "emergency_stopped")
    message = TELEMETRY.estop_result(STAMP, 9, outcome)
    assert message.topic == "infusion/v1/bench-1/cmd/estop/result/req-1"
    assert (message.qos, message.retain) == (1, False)
    view = read(message)
    assert (view["confirmed"], view["sent_ts"], view["confirmed_ts_ok"]) == (0, 12, 0)
    confirmed = read(TELEMETRY.estop_result(STAMP, 9, replace(outcome, confirmed_ts_ms=40)))
    assert (confirmed["confirmed"], confirmed["confirmed_ts"]) == (1, 40)
    with pytest.raises(TelemetryError):
        TELEMETRY.estop_result(STAMP, 9, replace(outcome, id="a/b"))


@pytest.mark.parametrize(
    ("payload", "request_id", "odd"),
    [
        (b"", "", ""),
        (b"{}", "", ""),
        (b'{"id":"req-1","ts":5,"source":"ward"}', "req-1", ""),
        (b'{"id":"a/b"}', "", "id is not"),
        (b'{"id":7}', "", "id is not"),
        (b'{"id":"r","dose_mg":5}', "r", "unknown key 'dose_mg'"),
        (b"STOP!", "", "not JSON"),
        (b"x" * 5000, "", "5000 bytes are more than 4096"),
    ],
)
def test_the_body_of_a_stop_is_read_and_never_believed(
    payload: bytes, request_id: str, odd: str
) -> None:
    request = read_estop(payload)
    assert request.id == request_id
    assert odd in request.odd
    assert bool(odd) == bool(request.odd)


@given(st.binary(max_size=100))
def test_no_body_of_a_stop_raises(payload: bytes) -> None:
    read_estop(payload)


def every_message() -> list[Message]:
    unknown = replace(INFUSING, rate=None, volume=None, vtbi=None, link=False)
    return [
        TELEMETRY.pump(STAMP, 1, INFUSING),
        TELEMETRY.pump(STAMP, 1, unknown),
        TELEMETRY.vitals(STAMP, 1, VITALS),
        TELEMETRY.vitals(STAMP, 1, {"hr_bpm": math.nan}),
        TELEMETRY.model(STAMP, 1, {"plasma_ng_ml": 1.0}),
        TELEMETRY.diag(STAMP, 1, {"dropped_n": 1}),
        TELEMETRY.session(STAMP, 1, SESSION),
        TELEMETRY.alarm(STAMP, OCCLUSION),
        TELEMETRY.alarm_summary(STAMP, 1, [OCCLUSION]),
        TELEMETRY.gap(STAMP, 1, 2),
        TELEMETRY.estop_result(STAMP, 1, EstopOutcome("r", 1, None, None, "x")),
    ]


@pytest.mark.parametrize("message", every_message(), ids=lambda message: message.topic)
def test_every_payload_is_flat_and_has_the_envelope(message: Message) -> None:
    view = read(message)
    assert all(isinstance(value, str | int | float | bool) for value in view.values())
    assert {"v", "ts", "mono", "boot", "session", "sim"} <= view.keys()
    assert ("seq" in view) != ("eseq" in view)
    for key in view:
        if key.endswith("_ok") and key != "link_ok":
            assert (key.removesuffix("_ok") in view) == (view[key] == 1)


def test_every_key_keeps_one_type_whatever_its_value() -> None:
    whole = pump(battery_pct=97, pressure_pa=0, rate=Rate(0), volume=Volume(0))
    for key, value in pump().items():
        if key in whole:
            assert type(whole[key]) is type(value), key


def test_only_what_the_topic_tree_lists_is_retained() -> None:
    retained = {message.topic.split("/")[3] for message in every_message() if message.retain}
    assert retained == {"session", "alarm", "alarms"}


def test_pascals_become_mmhg_with_one_decimal() -> None:
    assert (mmhg(0), mmhg(10_986), mmhg(60_000)) == (0.0, 82.4, 450.0)


def test_a_second_of_telemetry_costs_microseconds() -> None:
    def second() -> None:
        TELEMETRY.pump(STAMP, 1, INFUSING)
        TELEMETRY.vitals(STAMP, 1, VITALS)

    best = min(timeit.repeat(second, number=1000, repeat=5))
    assert best / 1000 < 80e-6  # 20 us is the aim on a quiet machine; this one is shared
