"""What is read from a log before it is drawn: times, states, doses, alarms."""

from __future__ import annotations

import pytest

from controller.log_format import longest_valid_prefix
from controller.report import clock
from controller.report.alarms import alarms, highest
from controller.report.doses import Amount, Dose, doses
from controller.report.story import Span, tell
from hil_tests.pure.controller.report_logs import (
    EPOCH_MS,
    FIRST_VISIT,
    SEAL,
    alarm,
    dose,
    log_bytes,
    state,
    story,
)

# --- time ---------------------------------------------------------------------------------------------


def test_time_is_the_visits_own_and_not_the_wall_clocks() -> None:
    told = story([state(0, "preparing"), state(600, "self_test")])
    assert told.states == (Span("preparing", 0, 600), Span("self_test", 600, 600))


def test_after_a_crash_the_gap_is_taken_from_the_wall_clock_at_the_visits_speed() -> None:
    before = log_bytes([state(0, "preparing"), state(600, "infusing")])
    records = [dict(record) for record in longest_valid_prefix(before).records]
    crashed_ms = EPOCH_MS + 5_000
    again = {**records[-1], "boot": "b" * 12, "mono": 40, "ts": crashed_ms + 2_000, "to": "holding"}
    records[-1]["ts"] = crashed_ms
    prefix = longest_valid_prefix(before)
    told = tell(
        type(prefix)((*records, again), prefix.ends, prefix.h, sealed=False, reason=""), "x.jsonl"
    )
    assert [span.start_s for span in told.states] == [0, 600, pytest.approx(600 + 2 * 120)]


def test_a_log_that_was_recovered_goes_on_even_where_the_clocks_began_anew() -> None:
    again = [(40.0, "recovered", {"believed": 2}), state(50, "holding"), state(60, "recovering")]
    told = story([state(0, "preparing"), state(600, "infusing"), *again])
    assert [span.start_s for span in told.states] == [0, 600, 610, 620]


def test_time_never_runs_backwards_in_a_story() -> None:
    told = story([state(50, "preparing"), state(20, "self_test")])
    assert [moment.at_s for moment in told.events] == [0, 50, 50]


def test_a_state_lasts_until_the_next_one_and_the_last_to_the_end_of_the_log() -> None:
    told = story([*FIRST_VISIT, SEAL])
    assert [(span.name, span.length_s) for span in told.states[-2:]] == [
        ("recovering", 3_800),
        ("discharged", 1),
    ]
    assert told.state_at(500) == "observing"
    assert told.state_at(-1) == ""


def test_an_outcome_is_only_what_the_log_says() -> None:
    assert story([*FIRST_VISIT, SEAL]).outcome == "completed"
    assert story(FIRST_VISIT[:9]).outcome == ""
    assert story(FIRST_VISIT[:9]).footer == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.9, "0:00:59"), (3_600, "1:00:00"), (45_296, "12:34:56")],
)
def test_a_time_is_hours_minutes_and_whole_seconds_gone_by(seconds: float, text: str) -> None:
    assert clock.at(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 01 s"), (4_140, "1 h 09 min")],
)
def test_a_length_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert clock.long(seconds) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (EPOCH_MS, "2026-11-22 09:25:21 UTC"),
        (None, "unknown"),
        (1e30, "unknown"),
    ],
)
def test_a_label_is_a_date_or_unknown(ms: float | None, text: str) -> None:
    assert clock.date(ms) == text


# --- doses --------------------------------------------------------------------------------------------


def amounts(amount: Amount | None) -> tuple[float, float]:
    assert amount is not None
    assert amount.dose_mg is not None
    assert amount.volume_ml is not None
    return amount.dose_mg, amount.volume_ml


def test_ordered_programmed_delivered_and_estimated_are_four_amounts() -> None:
    (given,) = doses(story(FIRST_VISIT))
    assert given.ordered == Amount(10, 1, 60)
    assert given.programmed == Amount(9.9, 0.99, 59.4)
    assert given.delivered == Amount(9.8, 0.98)
    assert amounts(given.estimated(4_700, 10.0)) == pytest.approx((9.9, 0.99))
    assert (given.status, given.started_s, given.ended_s) == ("completed", 32, 92)


def test_the_estimate_of_a_dose_cut_short_is_rate_times_time() -> None:
    told = story([
        dose(0, "ordered", dose_mg=10.0, volume_ml=1.0, rate_ml_h=60.0),
        dose(10, "programmed", dose_mg=10.0, volume_ml=1.0, rate_ml_h=60.0),
        dose(40, "delivered", dose_mg=4.9, volume_ml=0.49, status="stopped"),
        dose(41, "delivered", dose_mg=5.0, volume_ml=0.50, status="stopped"),
    ])  # fmt: skip
    (given,) = doses(told)
    assert amounts(given.estimated(4_700, 10.0)) == pytest.approx((5.0, 0.5))
    assert given.delivered == Amount(5.0, 0.5)


def test_a_dose_that_is_still_running_is_estimated_to_the_end_of_the_log_and_no_further() -> None:
    running = Dose(
        1, "infusion", 0, Amount(), Amount(25, 2.5, 3.6), started_s=100, status="running"
    )
    assert amounts(running.estimated(1_100, 10.0)) == pytest.approx((10.0, 1.0))
    assert running.estimated(90_000, None) == Amount(None, 2.5)


def test_a_dose_that_an_emergency_stop_cut_off_ended_there_with_the_last_count_of_the_pump() -> (
    None
):
    told = story([
        dose(0, "programmed", dose_mg=10.0, volume_ml=1.0, rate_ml_h=60.0),
        dose(60, "delivered", dose_mg=10.0, volume_ml=1.0, status="completed"),
        dose(100, "programmed", 2, dose_mg=25.0, volume_ml=2.5, rate_ml_h=3.6),
        dose(190, "delivered", 2, dose_mg=0.9, volume_ml=0.09, status="running"),
        (200.0, "stop", {"confirmed": True}),
        (200.0, "finished", {"outcome": "emergency_stopped", "delivered_mg": 11.0, "delivered_ml": 1.1}),
    ])  # fmt: skip
    _, cut = doses(told)
    assert (cut.status, cut.ended_s) == ("stopped", 200)
    assert amounts(cut.delivered) == pytest.approx((1.0, 0.1))
    assert amounts(cut.estimated(9_000, 10.0)) == pytest.approx((1.0, 0.1))


def test_a_dose_whose_stop_was_never_confirmed_stays_open() -> None:
    told = story([
        dose(100, "programmed", dose_mg=25.0, volume_ml=2.5, rate_ml_h=3.6),
        dose(190, "delivered", dose_mg=0.9, volume_ml=0.09, status="running"),
        (200.0, "stop", {"confirmed": False, "why": "it runs"}),
    ])  # fmt: skip
    (still,) = doses(told)
    assert (still.status, still.ended_s, still.delivered) == ("running", None, Amount(0.9, 0.09))


def test_a_dose_without_a_start_has_no_estimate() -> None:
    (given,) = doses(story([dose(0, "ordered", dose_mg=1.0), dose(1, "never_started")]))
    assert given.status == "never_started"
    assert given.estimated(99, 10.0) is None


def test_a_dose_record_without_a_number_belongs_to_none() -> None:
    assert doses(story([(0.0, "dose", {"what": "ordered", "dose_mg": 10.0})])) == ()


# --- alarms -------------------------------------------------------------------------------------------


def test_an_alarm_lasts_from_its_first_record_to_its_end() -> None:
    (found,) = alarms(
        story([alarm(10, active=True), alarm(20, active=True), alarm(35, active=False)])
    )
    assert (found.since_s, found.ended_s, found.seen_s) == (10, 35, None)


def test_an_alarm_that_comes_again_is_another_one() -> None:
    told = story([alarm(t, active=on) for t, on in ((1, True), (2, False), (5, True))])
    assert [(found.since_s, found.ended_s) for found in alarms(told)] == [(1, 2), (5, None)]


def test_an_alarm_that_becomes_more_urgent_begins_anew() -> None:
    told = story([alarm(1, active=True, priority="low"), alarm(4, active=True, priority="high")])
    assert [(f.priority, f.since_s, f.ended_s) for f in alarms(told)] == [
        ("low", 1, 4),
        ("high", 4, None),
    ]


@pytest.mark.parametrize("still", [True, False])
def test_who_acknowledged_an_alarm_is_kept_whether_or_not_it_still_holds(still: bool) -> None:
    entries = [alarm(1, active=True), *([] if still else [alarm(2, active=False)])]
    seen = alarm(3, active=still, phase="acknowledged", by="nurse B")
    (found,) = alarms(story([*entries, seen]))
    assert (found.seen_by, found.seen_s) == ("nurse B", 3)
    assert (found.ended_s is None) is still


def test_an_end_or_an_acknowledgement_of_no_alarm_is_none() -> None:
    told = story([alarm(1, active=False), alarm(2, active=False, phase="acknowledged")])
    assert alarms(told) == ()


def test_the_highest_alarm_is_the_most_urgent_one() -> None:
    told = story([alarm(1, active=True, alarm="a", priority="medium"), alarm(2, active=True)])
    assert highest(alarms(told)) == "high"
    assert highest(()) == ""
