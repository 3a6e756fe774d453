"""Session logs made by hand, for what is read from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.flat_json import Scalar
from controller.log_format import GENESIS, Prefix, Stamp, encode_record, longest_valid_prefix
from controller.report.story import Story, tell
from controller.report.write import html_of

EPOCH_MS = 1_795_339_521_000
Entry = tuple[float, str, Mapping[str, Scalar]]
"""Seconds, kind, data."""

HEADER: dict[str, Scalar] = {
    "version": "0.1.0",
    "device": "bench-1",
    "procedure": "ketamine-first-visit",
    "config_sha256": "c" * 64,
    "library_sha256": "1" * 64,
    "library_version": "2026.1",
    "simulated": True,
    "pump": "sim:new-era",
    "clock": "scaled",
    "speed": 120.0,
    "seed": 7,
    "weight_kg": 70.0,
    "age_years": 40,
    "height_cm": 170,
    "drug": "ketamine",
    "concentration_mg_ml": 10.0,
    "syringe": "BD 20 mL",
    "syringe_diameter_mm": 19.05,
    "loaded_ml": 20.0,
    "hold_below_spo2_pct": 90.0,
    "warn_below_spo2_pct": 94.0,
    "hold_above_nibp_dia_mmhg": 110.0,
}


def state(at_s: float, name: str, before: str = "") -> Entry:
    return at_s, "state", {"to": name, "from": before}


def dose(at_s: float, what: str, number: int = 1, **data: Scalar) -> Entry:
    return at_s, "dose", {"what": what, "delivery_id": number, "use": "test", **data}


def alarm(at_s: float, *, active: bool, **data: Scalar) -> Entry:
    told: dict[str, Scalar] = {"alarm": "spo2_pct.low", "priority": "high", "text": "SpO2 is low"}
    return at_s, "alarm", {**told, "active": active, **data}


def sample(at_s: float, name: str = "observing", **values: Scalar) -> Entry:
    return at_s, "sample", {"t_s": at_s, "state": name, **values}


_ENTRIES: tuple[Entry, ...] = (
    state(0, "preparing"),
    (1, "checklist", {"item": "consent", "role": "physician", "choice": "yes", "by": "Dr A"}),
    (2, "checklist", {"item": "escort", "role": "nurse", "choice": "yes", "by": "Dr A"}),
    state(10, "self_test", "preparing"),
    (11, "pump", {"firmware": "NE-1000 3.928", "serial_number": ""}),
    (12, "self_test", {"ok": True, "findings": "ok: link; FAILED: a log on a full disk"}),
    state(15, "baseline", "self_test"),
    *(
        sample(float(t), "baseline", hr_bpm=70.0, spo2_pct=98.0, rate_ml_h=0.0)
        for t in range(20, 30)
    ),
    (30, "baseline", {"by": "Dr A", "pain_0_10": 7.0, "mood_0_10": 4.0}),
    (31, "confirmed", {"token": "test-1-1000000nL-60000000nL/h", "by": "Dr A"}),
    state(31, "test_bolus", "baseline"),
    dose(31, "ordered", dose_mg=10.0, volume_ml=1.0, rate_ml_h=60.0),
    dose(31, "starting", dose_mg=10.0, volume_ml=1.0, rate_ml_h=60.0),
    dose(32, "programmed", dose_mg=9.9, volume_ml=0.99, rate_ml_h=59.4),
    dose(50, "delivered", dose_mg=4.0, volume_ml=0.4, status="running"),
    dose(92, "delivered", dose_mg=9.8, volume_ml=0.98, status="completed"),
    state(92, "observing", "test_bolus"),
    *(
        sample(
            float(t),
            hr_bpm=72.0,
            spo2_pct=97.0 if t != 300 else 88.0,
            nibp_sys_mmhg=120.0,
            nibp_dia_mmhg=80.0,
            nibp_age_s=float((t - 100) % 300),
            rate_ml_h=0.0,
            delivered_ml=0.98,
            plasma_ng_ml=100.0,
            effect_psychedelic_ng_ml=60.0,
            dissociation_pct=40.0,
            anxious=t > 500,
        )
        for t in range(100, 700)
    ),
    alarm(300, active=True, value=88.0, limit=90.0, unit="%", action="delivery held"),
    alarm(310, active=True, phase="acknowledged", by="nurse B"),
    alarm(330, active=False),
    (700, "response", {"response": "dissociation", "by": "Dr A"}),
    state(700, "infusing", "observing"),
    (700, "arithmetic", {"line": "rule multiple: 2.5 x required dose 9.8 mg = 24.5 mg"}),
    state(900, "recovering", "infusing"),
    (4_600, "recovery", {"by": "Dr A", "pain_0_10": 3.0, "mood_0_10": 6.0, "walking_ok": 1}),
    state(4_700, "discharged", "recovering"),
    (
        4_700,
        "finished",
        {"outcome": "completed", "reason": "", "delivered_mg": 9.8, "delivered_ml": 0.98},
    ),
)
FIRST_VISIT = tuple(sorted(_ENTRIES, key=lambda entry: entry[0]))
SEAL: Entry = (
    4_701,
    "footer",
    {"outcome": "completed", "final_state": "discharged", "warnings": ""},
)


def log_bytes(
    entries: Iterable[Entry], header: Mapping[str, Scalar] | None = None, *, boot: str = "a" * 12
) -> bytes:
    """A chained log of these entries, in the order given; the wall clock runs 120 times slower."""
    h, lines = GENESIS, []
    first: Entry = (0.0, "header", HEADER if header is None else header)
    for seq, (at_s, kind, data) in enumerate([first, *entries]):
        stamp = Stamp(EPOCH_MS + round(at_s / 120 * 1000), round(at_s * 1000))
        line, h = encode_record(
            h, stamp=stamp, boot=boot, seq=seq, session="S-0001", kind=kind, data=data
        )
        lines.append(line)
    return b"".join(lines)


def prefix(entries: Iterable[Entry], header: Mapping[str, Scalar] | None = None) -> Prefix:
    return longest_valid_prefix(log_bytes(entries, header))


def story(entries: Iterable[Entry], header: Mapping[str, Scalar] | None = None) -> Story:
    return tell(prefix(entries, header), "bench-1.S-0001.jsonl")


def page(entries: Iterable[Entry], header: Mapping[str, Scalar] | None = None) -> str:
    return html_of(prefix(entries, header), "bench-1.S-0001.jsonl")
