"""The session log as people read it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.flat_json import Scalar
from controller.log_format import Record
from controller.show_log import as_json_lines
from controller.show_log import as_text as whole_text
from firmware_bridge.notice import NOTICE


def as_text(records: list[Record], *, samples: bool = False) -> list[str]:
    text = whole_text(records, samples=samples)
    assert text.endswith("\n")
    return text[:-1].split("\n")


def record(kind: str, at_ms: int = 0, /, **data: Scalar) -> Record:
    return {
        "v": 1,
        "ts": 1_795_339_521_000 + at_ms,
        "mono": at_ms,
        "boot": "a" * 12,
        "seq": 0,
        "session": "S-0001",
        "kind": kind,
        **data,
    }


HEADER = record(
    "header",
    notice=NOTICE,
    version="0.1.0",
    device="bench-1",
    procedure="ketamine-first-visit",
    config_sha256="ab",
    simulated=True,
)
OCCLUSION: dict[str, Scalar] = {
    "alarm": "occlusion",
    "text": "Occlusion",
    "priority": "high",
    "active": True,
    "value": 452.0,
    "limit": 450,
    "unit": "mmhg",
}
VISIT = [
    HEADER,
    record("state", 1_500, **{"from": "preparing", "to": "self_test"}),
    record("answer", 61_000, question="response", answer="dissociation"),
    record("dose", 62_000, what="ordered", dose_mg=25.0, over_min=45, rule="multiple"),
    record("dose", 63_000, what="programmed", rate_ml_h=3.333333, volume_ml=2.5),
    record("sample", 64_000, hr_bpm=72.1),
    record("dose", 2_763_000, what="delivered", dose_mg=24.9, volume_ml=2.49),
    record("alarm", 2_764_000, **OCCLUSION),
    record("alarm", 2_765_000, **OCCLUSION | {"active": False}),
    record("footer", 3_600_500, outcome="emergency_stopped", delivered_mg=24.9),
]


def test_a_visit_reads_from_the_notice_to_the_seal() -> None:
    assert (as_text(VISIT)) == [
        NOTICE,
        (
            "0:00:00.000  session S-0001 on bench-1, ketamine-first-visit (SIMULATED): "
            "version 0.1.0, config sha256 ab"
        ),
        "0:00:01.500  STATE preparing -> self_test",
        "0:01:01.000  answer: question response, answer dissociation",
        "0:01:02.000  DOSE ordered: dose 25.00 mg, over 45 min, rule multiple",
        "0:01:03.000  DOSE programmed: rate 3.33333 mL/h, volume 2.5 mL",
        "0:46:03.000  DOSE delivered: dose 24.90 mg, volume 2.49 mL",
        "0:46:04.000  ALARM *** Occlusion (value 452 mmHg, limit 450 mmHg)",
        "0:46:05.000  alarm over: Occlusion",
        "1:00:00.500  sealed: emergency_stopped: delivered 24.90 mg",
    ]


def test_samples_are_shown_when_asked_for() -> None:
    assert "0:01:04.000  sample: hr 72.1 /min" in (as_text(VISIT, samples=True))


def test_a_log_without_its_footer_says_so() -> None:
    assert (as_text([HEADER]))[-1].startswith("(no footer")
    assert (as_text([])) == [NOTICE]


def test_a_recovery_names_what_was_kept() -> None:
    clean = record("recovered", believed=12, tail_bytes=0, tail_file="")
    torn = record("recovered", believed=12, tail_bytes=7, tail_file="x.damaged-1", reason="torn")
    forged = record("recovered", believed=12, tail_bytes="\x1b[31m", tail_file="x")
    shown = "\n".join(as_text([forged]))
    assert "\x1b" not in shown
    assert r"\x1b[31m damaged bytes" in shown
    lines = as_text([clean, torn])
    assert lines[1].endswith("recovered after a crash, 12 records believed")
    assert lines[2].endswith("believed, 7 damaged bytes kept in x.damaged-1")


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("rate_ml_h", 26.7, "rate 26.7 mL/h"),
        ("dose_mg", 10, "dose 10.00 mg"),
        ("dose_mg", 8.3251, "dose 8.3251 mg"),
        ("dose_rate_mg_min", 0.445, "dose rate 0.445 mg/min"),
        ("conc_mg_ml", 10.0, "conc 10 mg/mL"),
        ("plasma_ng_ml", 81.234567, "plasma 81.2346 ng/mL"),
        ("spo2_pct", 98, "spo2 98 %"),
        ("line_pressure_mmhg", 82.4, "line pressure 82.4 mmHg"),
        ("latency_ms", 12, "latency 12 ms"),
        ("wait_s", 0.5, "wait 0.5 s"),
        ("count", 3, "count 3"),
        ("confirmed", True, "confirmed yes"),
        ("simulated", False, "simulated no"),
        ("reason", "", None),
        ("pump_s", "text", "pump s text"),
    ],
)
def test_every_value_is_shown_with_its_unit(key: str, value: Scalar, shown: str | None) -> None:
    line = (as_text([record("note", **{key: value})]))[1]
    assert line == "0:00:00.000  note" + (f": {shown}" if shown else "")


def test_a_log_cannot_drive_the_terminal() -> None:
    line = (as_text([record("note", text="\x1b[2Jgone\r\n\u202e\x9b")]))[1]
    assert line.endswith("text \\x1b[2Jgone\\r\\n\\u202e\\x9b")


def test_what_is_missing_is_shown_as_missing_and_an_unknown_kind_as_it_is() -> None:
    lines = as_text([record("header"), record("state", to="holding"), record("odd\x07kind")])
    assert "session S-0001 on ?, ? (a real pump on the bench)" in lines[1]
    assert lines[2].endswith("STATE holding")
    assert lines[3].endswith("odd\\x07kind")
    assert (as_text([record("alarm", alarm="empty", by="x", text="")]))[1].endswith(
        "ALARM empty: by x"
    )


def test_time_is_the_visits_own_and_not_the_wall_clocks() -> None:
    scaled = [{**record("note", at_ms), "ts": 1_795_339_521_000 - at_ms} for at_ms in (0, 600_000)]
    assert as_text(scaled)[2].startswith("0:10:00.000")


def test_counts_of_a_running_dose_are_shown_only_when_everything_is() -> None:
    counts = [
        record("dose", 1_000 * n, what="delivered", dose_mg=float(n), status=status)
        for n, status in enumerate(("running", "running", "completed"))
    ]
    assert [line.split("  ")[0] for line in as_text(counts)[1:-1]] == ["0:00:02.000"]
    whole = whole_text([*counts, record("sample", 9_000)], everything=True)
    assert whole.count("DOSE delivered") == 3
    assert "sample" in whole


def test_json_lines_pass_every_record_through() -> None:
    assert [json.loads(line) for line in as_json_lines(VISIT)] == VISIT
    assert len(list(as_json_lines(VISIT, samples=False))) == len(VISIT) - 1


@given(
    st.text(max_size=8),
    st.dictionaries(
        st.text(max_size=8),
        st.text(max_size=8) | st.integers() | st.floats(allow_nan=False) | st.booleans(),
        max_size=4,
    ),
)
def test_any_record_is_one_printable_line(kind: str, data: dict[str, Scalar]) -> None:
    whole = data | {key: value for key, value in record(kind).items() if key != "h"}
    for line in as_text([whole]):
        assert line.isprintable()
