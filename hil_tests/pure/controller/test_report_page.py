"""The report of a visit as a page: what it says, what it refuses to load, what it makes of odd logs."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.flat_json import Scalar
from controller.log_format import longest_valid_prefix
from controller.report.write import html_of
from firmware_bridge.notice import NOTICE
from hil_tests.pure.controller.report_logs import (
    FIRST_VISIT,
    HEADER,
    SEAL,
    Entry,
    alarm,
    log_bytes,
    page,
    sample,
    state,
)

VISIT = (*FIRST_VISIT, SEAL)
THIN = [entry for i, entry in enumerate(VISIT) if entry[1] != "sample" or i % 40 == 0]
HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\x1b[2J"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "div", "main", "header", "section"),
    *(
        "footer",
        "p",
        "span",
        "strong",
        "small",
        "h1",
        "h2",
        "h3",
        "dl",
        "dt",
        "dd",
        "ol",
        "ul",
        "li",
    ),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "code", "time", "figure"),
    *("figcaption", "svg", "rect", "line", "path", "text"),
}


class Reader(HTMLParser):
    """Every tag and attribute of a page, and its text outside the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "title" not in self.open:
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.words))


@pytest.fixture(scope="module")
def read() -> Reader:
    return Reader(page(VISIT))


# --- what it says -------------------------------------------------------------------------------------


def test_the_first_and_the_last_word_are_that_it_is_for_the_bench_only(read: Reader) -> None:
    assert read.text.startswith("BENCH AND SIMULATION ONLY Never a pump connected to a person.")
    assert read.text.endswith(NOTICE)


@pytest.mark.parametrize(
    "said",
    [
        "Ketamine first visit ✓ completed",
        "Log verified: 638 records, hash chain intact and sealed.",
        "70 kg",
        "40 years",
        "10 mg/mL",
        "BD 20 mL, 19.05 mm inside",
        "NE-1000 3.928",
        "sim:new-era",
        "scaled, 120 times as fast",
        "rule multiple: 2.5 x required dose 9.8 mg = 24.5 mg",
        "7 → 3",
        "4 → 6",
        "c" * 64,
        "1" * 64,
    ],
)
def test_a_person_finds(read: Reader, said: str) -> None:
    assert said in read.text


def test_the_four_amounts_of_a_dose_stand_side_by_side_and_apart(read: Reader) -> None:
    assert (
        "Test dose from 0:00:32 "
        "10.00 mg 1.000 mL at 60.000 mL/h "
        "9.90 mg 0.990 mL at 59.400 mL/h "
        "9.80 mg 0.980 mL "
        "9.90 mg 0.990 mL "
        "✓ completed 0:01:32, after 1 min"
    ) in read.text


def test_an_alarm_is_told_with_priority_onset_duration_value_limit_and_who_saw_it(
    read: Reader,
) -> None:
    assert (
        "SpO2 is low delivery held !!! high 0:05:00 observing 30 s 88 % 90 % nurse B 0:05:10"
    ) in read.text


def test_the_timeline_puts_every_answer_under_the_state_in_which_it_was_given(read: Reader) -> None:
    timeline = read.text[read.text.index("Timeline preparing") :]
    order = [
        "Dr A 2 items of the checklist answered yes: consent, escort",
        "baseline 0:00:15",
        "Test dose confirmed: exactly 1.000 mL at 60.000 mL/h",
        "test bolus 0:00:31",
        "Test dose delivered: 9.80 mg = 0.980 mL, completed",
        "observing 0:01:32",
        "!!! high SpO2 is low (value 88 %, limit 90 %)",
        "nurse B Acknowledged: SpO2 is low",
        "alarm over SpO2 is low",
        "Response: dissociation",
        "infusing 0:11:40",
    ]
    places = [timeline.index(line) for line in order]
    assert places == sorted(places)


def test_what_failed_in_the_self_test_is_marked(read: Reader) -> None:
    assert "✓ ok link ■ FAILED a log on a full disk" in read.text.replace("  ", " ")


def test_a_vital_sign_is_told_at_baseline_at_its_extremes_and_beside_its_limits(
    read: Reader,
) -> None:
    assert (
        "Oxygen saturation % 98 88 0:05:00 observing 98 0:00:20 baseline 97 hold < 90, warn < 94"
    ) in read.text


def test_a_record_of_a_kind_that_nobody_knew_is_told_with_its_units() -> None:
    odd: Entry = (50.0, "follow_up_call", {"benefit_h": 36.0, "by": "nurse B", "walking_ok": 0})
    assert (
        "nurse B Follow up call: benefit 36 h, walking no"
        in Reader(page([state(0, "x"), odd])).text
    )


def test_what_is_said_over_and_over_is_told_once_with_how_often() -> None:
    refused = [(float(t), "refused", {"what": "discharge", "why": "no escort"}) for t in (5, 6, 7)]
    text = Reader(page([state(0, "recovering"), *refused])).text
    assert text.count("Discharge refused: no escort") == 1
    assert "(3 times, until 0:00:07)" in text


def test_every_assessment_is_a_row_and_the_same_answer_again_is_told_once() -> None:
    scores: dict[str, Scalar] = {"by": "Dr A", "pain_0_10": 3.0, "walking_ok": 0.0}
    asked: list[Entry] = [(float(t), "recovery", scores) for t in (600, 1_200, 1_800)]
    asked.append((2_400.0, "recovery", {**scores, "walking_ok": 1.0}))
    text = Reader(page([state(0, "recovering"), *asked])).text
    assert "Asked Pain (of 10) Walking" in text
    assert "Recovery 0:10:00, 3 times until 0:30:00 3 no Recovery 0:40:00 3 yes" in text


def test_the_checklist_says_what_was_asked() -> None:
    text = "The IV line is in place"
    answer: dict[str, Scalar] = {"item": "iv", "role": "nurse", "choice": "yes", "by": "nurse, B"}
    asked: Entry = (1.0, "checklist", {**answer, "text": text})
    found = Reader(page([asked])).text
    assert f"{text} yes nurse, B, 0:00:01" in found
    assert f"B {text}: yes" in found


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("stop", {"confirmed": True}, "Stop confirmed: the pump's own count stands still"),
        ("stop", {"confirmed": False, "why": "it runs"}, "STOP NOT CONFIRMED: it runs"),
        ("hold", {"reason": "SpO2 is low"}, "Delivery is held: SpO2 is low"),
        ("holding", {"choice": "resume", "by": "Dr A"}, "Dr A Holding: resume"),
        ("signs", {"sign": "twitching", "severe": True}, "Signs asked for: twitching, severe"),
        (
            "rescue",
            {"drug": "midazolam", "choice": "given", "number": 2, "midazolam_mg": 1.0},
            "Midazolam given, dose 2: midazolam 1.00 mg",
        ),
        ("prompt", {"text": "watch breathing"}, "Watch breathing"),
        (
            "recovered",
            {"believed": 12, "tail_bytes": 7, "tail_file": "x"},
            "A new controller took over: 12 records of the log believed, 7 damaged bytes kept",
        ),
        ("interrupted", {"state": "test_bolus"}, "Interrupted while test bolus"),
        ("bridge_log", {"line": "bridge: stop: disarmed"}, "pump Bridge: stop: disarmed"),
        ("not_confirmed", {"reason": "expired"}, "Not confirmed: expired"),
        ("aborting", {"reason": "no escort"}, "Given up: no escort"),
        (
            "finished",
            {"outcome": "fault", "reason": "x", "delivered_mg": 1.0, "delivered_ml": 0.1},
            "Finished: fault, x, delivered 1.00 mg = 0.100 mL",
        ),
    ],
)
def test_a_record_is_told_in_a_sentence(kind: str, data: dict[str, Scalar], said: str) -> None:
    assert said in Reader(page([state(0, "x"), (1.0, kind, data)])).text


def test_drug_given_by_hand_is_kept_apart_from_what_the_pump_gave() -> None:
    given_by_hand: Entry = (
        9.0,
        "rescue",
        {"drug": "midazolam", "choice": "given", "dose_mg": 1.5, "by": "Dr A"},
    )
    text = Reader(page([state(0, "rescue"), given_by_hand])).text
    assert "Midazolam given dose 1.50 mg Dr A 0:00:09" in text
    assert "No dose was ordered." in text


def test_the_last_count_of_the_pump_wins_over_the_records_before_it() -> None:
    last: Entry = (
        99.0,
        "finished",
        {"outcome": "fault", "delivered_mg": 9.9, "delivered_ml": 0.99},
    )
    text = Reader(page([*FIRST_VISIT[:-1], last])).text
    assert "9.90 mg 0.990 mL at the end; 9.80 mg in the table" in text


# --- whether it can be believed -----------------------------------------------------------------------


def test_an_unfinished_log_says_so_on_top() -> None:
    text = Reader(page(FIRST_VISIT[:20])).text
    assert "… not finished" in text
    assert "Unfinished log" in text
    assert "Log verified" not in text


def test_a_damaged_log_is_reported_up_to_the_damage_and_says_where_it_is() -> None:
    data = bytearray(log_bytes(VISIT))
    data[data.index(b'"dissociation"')] ^= 1
    html = html_of(longest_valid_prefix(bytes(data)), "bad.jsonl")
    text = Reader(html).text
    assert re.search(r"LOG DAMAGED at record 63\d: line 63\d: does not belong to the chain", text)
    assert "Response: dissociation" not in text
    assert "Test dose delivered" in text


def test_an_empty_file_is_a_page_that_says_so() -> None:
    text = Reader(html_of(longest_valid_prefix(b""), "empty.jsonl")).text
    assert "LOG DAMAGED at record 0: it is empty" in text


# --- what it must not do ------------------------------------------------------------------------------


def test_nothing_is_loaded_and_nothing_runs() -> None:
    html = page(VISIT)
    found = Reader(html)
    assert found.tags <= ALLOWED | {"title"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert not found.attributes & {"src", "href", "srcset", "action", "xlink:href", "style"}
    assert "default-src 'none'" in unescape(html)
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("at", [i for i, entry in enumerate(THIN) if entry[1] != "sample"])
def test_hostile_text_in_any_record_is_only_text(at: int) -> None:
    found = Reader(page([*THIN[:at], _poisoned(THIN[at]), *THIN[at + 1 :]]))
    assert found.tags <= ALLOWED
    assert not {name for name in found.attributes if name.startswith("on")}


def test_hostile_text_in_the_header_is_only_text_and_what_it_hides_is_spelt_out() -> None:
    header: dict[str, Scalar] = {
        key: HOSTILE if isinstance(value, str) else value for key, value in HEADER.items()
    }
    html = page(THIN, header)
    assert Reader(html).tags <= ALLOWED
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "\\u202e\\x1b[2J" in html


def test_keys_and_kinds_are_text_as_well() -> None:
    entry: Entry = (1.0, HOSTILE, {HOSTILE: HOSTILE, f"{HOSTILE}_ng_ml": 3.0})
    odd: Entry = (2.0, "sample", {f"{HOSTILE}_ng_ml": 3.0, "toxicity": HOSTILE})
    html = page([state(0, HOSTILE), entry, odd, alarm(3, active=True, priority=HOSTILE)])
    assert Reader(html).tags <= ALLOWED


scalars = st.one_of(
    st.text(max_size=8),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
KEYS = (
    *("to", "from", "what", "delivery_id", "use", "dose_mg", "volume_ml", "rate_ml_h", "status"),
    *("alarm", "priority", "active", "text", "value", "limit", "unit", "phase", "by", "choice"),
    *("item", "ok", "findings", "line", "outcome", "hr_bpm", "nibp_sys_mmhg", "nibp_dia_mmhg"),
    *("nibp_age_s", "plasma_ng_ml", "dissociation_pct", "toxicity", "anxious", "state", "token"),
    *("pain_0_10", "delivered_mg", "delivered_ml", "speed", "hold_below_hr_bpm", "response"),
)
KINDS = (
    *("state", "dose", "alarm", "sample", "checklist", "self_test", "baseline", "recovery", "pump"),
    *("rescue", "response", "arithmetic", "confirmed", "finished", "intent", "bridge", "odd"),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(0, 1e5), st.floats(0, 9e15)),
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(KEYS), scalars, max_size=8),
        ),
        max_size=12,
    ),
    st.dictionaries(st.sampled_from(KEYS), scalars, max_size=4),
)
def test_any_log_at_all_gives_a_page(entries: list[Entry], header: dict[str, Scalar]) -> None:
    assert Reader(page(entries, header)).open == []


# --- for everybody ------------------------------------------------------------------------------------


def test_every_figure_says_in_words_what_it_shows() -> None:
    html = page(VISIT)
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', html)
    assert len(labels) == html.count("<svg ") == 6  # pump, body, vitals, each at two widths
    vitals = next(label for label in labels if label.startswith("Vital signs"))
    assert "Oxygen saturation (%): Oxygen saturation from 88 to 98" in vitals
    assert "limits: hold &lt; 90, warn &lt; 94" in vitals


def test_headings_are_in_order_tables_have_captions_and_no_id_is_used_twice(read: Reader) -> None:
    html = page(VISIT)
    levels = [int(level) for level in re.findall(r"<h([1-3])[ >]", html)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert html.count("<table ") == html.count("<caption>")
    assert len(read.ids) == len(set(read.ids))
    assert all(name in read.ids for name in re.findall(r'aria-labelledby="([^"]*)"', html))


def test_a_visit_of_two_hours_is_a_page_of_less_than_four_hundred_kilobytes() -> None:
    noise = [
        sample(
            float(t),
            hr_bpm=70 + t * 7_919 % 97 / 10,
            spo2_pct=97 + t * 104_729 % 31 / 10,
            rr_bpm=14 + t * 1_299_709 % 53 / 10,
            etco2_mmhg=38 + t * 15_485_863 % 41 / 10,
            nibp_sys_mmhg=float(120 + t // 300),
            nibp_dia_mmhg=80.0,
            nibp_age_s=float(t % 300),
            rate_ml_h=3.333,
            delivered_ml=t / 2_000,
            pressure_mmhg=80 + t * 32_452_843 % 61 / 10,
            plasma_ng_ml=t / 40,
            effect_psychedelic_ng_ml=t / 50,
            dissociation_pct=t / 100,
        )
        for t in range(7_700)
    ]
    html = page([state(0, "infusing"), *noise])
    assert "Line pressure, mmHg" in html
    assert len(html.encode()) < 400_000


def _poisoned(entry: Entry) -> Entry:
    at_s, kind, data = entry
    worse = {key: HOSTILE if isinstance(value, str) else value for key, value in data.items()}
    return at_s, kind, worse


def test_what_was_told_days_later_stands_beside_the_scores() -> None:
    later: dict[str, Scalar] = {
        "ts": 1_795_939_521_000,
        "kind": "followup",
        "benefit_h": 60.0,
        "side_effects": HOSTILE,
        "by": "nurse B",
    }
    found = Reader(html_of(longest_valid_prefix(log_bytes(VISIT)), "x.jsonl", [later]))
    assert "2026-11-29 08:05:21 UTC nurse B benefit 60 h, side effects </title>" in found.text
    assert found.tags <= ALLOWED
