"""The plunger in closed form: worked figures, ends of motion, occlusion, conservation, invariance."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.mechanics import (
    NS_PER_H,
    PARTS_PER_NL,
    STALL_NOTICED_NS,
    Drive,
    End,
    Line,
    Mechanics,
    MotionEnd,
    Mount,
)

S = 1_000_000_000
MIN = 60 * S
ML = 1_000_000
RATE = 26_700_000  # 26.7 mL/h in nL/h


def fitted(mount: Mount = Mount(), line: Line = Line(), diameter_um: int = 14_430) -> Mechanics:
    mechanics = Mechanics(mount, line)
    mechanics.fit(diameter_um)
    return mechanics


# -- the worked example of the design ---------------------------------------------------------------


def test_twenty_ml_at_26_7_ml_h_are_there_at_the_nanosecond_after_the_exact_instant() -> None:
    mechanics = fitted()
    mechanics.start(RATE, 20 * ML * PARTS_PER_NL)
    assert mechanics.next_event_ns() == 2_696_629_213_484
    assert mechanics.advance(2_696_629_213_483) is None
    assert mechanics.truth().plunger_nl == 19_999_999
    assert mechanics.advance(2_696_629_213_484) == MotionEnd(End.TARGET, 2_696_629_213_484)
    assert mechanics.truth().plunger_nl == 20_000_000
    assert mechanics.next_event_ns() is None


def test_forty_five_minutes_without_a_target_give_exactly_20_025_000_nl() -> None:
    mechanics = fitted()
    mechanics.start(RATE)
    assert mechanics.advance(45 * MIN) is None
    assert mechanics.truth().plunger_nl == 20_025_000
    assert mechanics.next_event_ns() is None


def test_millisecond_steps_and_one_step_give_the_same_number() -> None:
    stepped, at_once = fitted(), fitted()
    for mechanics in (stepped, at_once):
        mechanics.start(RATE, ML * PARTS_PER_NL)
    for ms in range(0, 140_000, 7):
        stepped.advance(ms * 1_000_000)
    stepped.advance(140 * S)
    at_once.advance(140 * S)
    assert stepped.truth() == at_once.truth()
    assert stepped.truth().plunger_nl == ML


# -- steps ------------------------------------------------------------------------------------------


def test_a_microstep_of_a_bd_ten_ml_on_a_two_mm_screw_is_102_92_nl() -> None:
    assert Drive().stroke_nl(14_480) == pytest.approx(102.92, abs=0.005)


def test_two_ml_h_need_5_3978_microsteps_a_second() -> None:
    mechanics = fitted(diameter_um=14_480)
    mechanics.start(2 * ML)
    mechanics.advance(10_000 * S)
    assert mechanics.truth().steps == 53_978


def test_a_gear_divides_the_stroke() -> None:
    assert Drive(gear=216).stroke_nl(14_480) == pytest.approx(Drive().stroke_nl(14_480) / 216)


def test_steps_are_counted_in_both_directions_and_across_syringes() -> None:
    mechanics = fitted(diameter_um=14_480)
    mechanics.start(36 * ML)
    mechanics.advance(100 * S)
    one_way = mechanics.truth().steps
    mechanics.start(-36 * ML)
    mechanics.advance(200 * S)
    assert mechanics.truth().steps == pytest.approx(2 * one_way, abs=1)
    before = mechanics.truth().steps
    mechanics.fit(26_590)
    assert mechanics.truth().steps == before


# -- what stands still --------------------------------------------------------------------------------


def test_time_that_runs_backwards_changes_nothing() -> None:
    mechanics = fitted()
    mechanics.start(RATE)
    mechanics.advance(10 * S)
    before = mechanics.truth()
    mechanics.advance(5 * S)
    assert mechanics.truth() == before


def test_a_stopped_motor_moves_nothing_however_long() -> None:
    mechanics = fitted()
    mechanics.start(RATE)
    mechanics.advance(10 * S)
    mechanics.stop()
    before = mechanics.truth()
    assert mechanics.next_event_ns() is None
    mechanics.advance(10 * NS_PER_H)
    assert mechanics.truth() == before
    assert before.rate_nl_h == 0


def test_infused_withdrawn_and_moved_are_counted_apart() -> None:
    mechanics = fitted()
    mechanics.start(36 * ML)
    mechanics.advance(100 * S)
    assert mechanics.truth().rate_nl_h == 36 * ML
    mechanics.start(-18 * ML)
    mechanics.advance(200 * S)
    assert mechanics.infused_parts == ML * PARTS_PER_NL
    assert mechanics.withdrawn_parts == ML // 2 * PARTS_PER_NL
    assert mechanics.moved_parts == 3 * ML // 2 * PARTS_PER_NL
    truth = mechanics.truth()
    assert (truth.plunger_nl, truth.delivered_nl) == (ML // 2, ML // 2)
    assert truth.rate_nl_h == -18 * ML


# -- the syringe --------------------------------------------------------------------------------------


def test_a_syringe_without_ends_never_runs_out() -> None:
    mechanics = fitted()
    mechanics.start(1_000 * ML)
    assert mechanics.next_event_ns() is None
    assert mechanics.truth().content_nl is None


def test_an_empty_syringe_ends_the_motion() -> None:
    mechanics = fitted(Mount(14_430, 10 * ML, 2 * ML))
    mechanics.start(36 * ML)
    assert mechanics.advance(300 * S) == MotionEnd(End.EMPTY, 200 * S)
    truth = mechanics.truth()
    assert (truth.plunger_nl, truth.content_nl) == (2 * ML, 0)


def test_a_target_that_empties_the_syringe_counts_as_reached() -> None:
    mechanics = fitted(Mount(14_430, 10 * ML))
    mechanics.start(36 * ML, 10 * ML * PARTS_PER_NL)
    assert mechanics.advance(NS_PER_H) == MotionEnd(End.TARGET, 1_000 * S)


def test_starting_at_the_bottom_is_noticed_soon_and_moves_nothing() -> None:
    mechanics = fitted(Mount(14_430, 10 * ML))
    mechanics.run_dry()
    mechanics.start(36 * ML)
    assert mechanics.truth().rate_nl_h == 0
    assert mechanics.advance(S) == MotionEnd(End.EMPTY, STALL_NOTICED_NS)
    assert mechanics.truth().plunger_nl == 0
    assert mechanics.infused_parts == 0


def test_a_refilled_syringe_is_as_full_as_it_was_loaded() -> None:
    mechanics = fitted(Mount(14_430, 10 * ML, 7 * ML))
    mechanics.run_dry()
    assert mechanics.truth().content_nl == 0
    mechanics.refill()
    assert mechanics.truth().content_nl == 7 * ML


def test_running_dry_and_refilling_work_for_a_syringe_without_ends() -> None:
    mechanics = fitted()
    mechanics.run_dry()
    mechanics.start(RATE)
    assert mechanics.advance(S) == MotionEnd(End.EMPTY, STALL_NOTICED_NS)
    mechanics.start(-RATE)
    assert mechanics.next_event_ns() is None
    mechanics.refill()
    assert mechanics.truth().content_nl is None


def test_withdrawing_stops_at_a_full_syringe() -> None:
    mechanics = fitted(Mount(14_430, 10 * ML, 9 * ML))
    mechanics.start(-36 * ML)
    assert mechanics.advance(NS_PER_H) == MotionEnd(End.FULL, 100 * S)
    assert mechanics.truth().content_nl == 10 * ML


def test_more_than_the_capacity_cannot_be_loaded() -> None:
    assert fitted(Mount(14_430, 10 * ML, 99 * ML)).truth().content_nl == 10 * ML


def test_a_wrong_syringe_is_wrong_by_the_square_of_the_diameters() -> None:
    mechanics = fitted(Mount(29_700), diameter_um=26_590)
    mechanics.start(36 * ML, ML * PARTS_PER_NL)
    assert mechanics.truth().rate_nl_h == 36 * ML * 29_700**2 // 26_590**2
    mechanics.advance(NS_PER_H)
    assert mechanics.infused_parts == ML * PARTS_PER_NL
    assert mechanics.truth().plunger_nl == ML * 29_700**2 // 26_590**2
    assert mechanics.truth().plunger_nl / ML == pytest.approx(1.2476, abs=1e-4)


def test_a_wrong_syringe_runs_out_where_its_own_content_ends() -> None:
    mechanics = fitted(Mount(29_700, 60 * ML, 2 * ML), diameter_um=26_590)
    mechanics.start(36 * ML)
    end = mechanics.advance(NS_PER_H)
    assert end is not None
    assert end.cause is End.EMPTY
    assert mechanics.truth().plunger_nl == 2 * ML
    assert mechanics.truth().content_nl == 0


# -- the line -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_ml_h", "minutes"), [(0.5, 120), (3, 20), (5, 12)], ids=["0.5", "3", "5 mL/h"]
)
def test_an_occlusion_is_noticed_after_one_stored_ml(rate_ml_h: float, minutes: int) -> None:
    mechanics = fitted()
    mechanics.occlude()
    mechanics.start(int(rate_ml_h * ML))
    assert mechanics.advance(NS_PER_H * 9) == MotionEnd(End.OCCLUSION, minutes * MIN)
    truth = mechanics.truth()
    assert (truth.plunger_nl, truth.stored_nl, truth.delivered_nl) == (ML, ML, 0)
    assert truth.pressure_mmhg == pytest.approx(500.0)


def test_compliance_and_alarm_pressure_are_parameters() -> None:
    mechanics = fitted(line=Line(compliance_nl_mmhg=1_200, alarm_mmhg=250))
    mechanics.occlude()
    mechanics.start(3 * ML)
    mechanics.advance(NS_PER_H)
    assert mechanics.truth().stored_nl == 300_000


def test_clearing_an_occlusion_releases_what_was_stored() -> None:
    mechanics = fitted()
    mechanics.start(36 * ML)
    mechanics.advance(10 * S)
    mechanics.occlude()
    mechanics.advance(60 * S)
    truth = mechanics.truth()
    assert (truth.delivered_nl, truth.stored_nl) == (100_000, 500_000)
    assert truth.pressure_mmhg == pytest.approx(250.0)
    assert mechanics.clear_occlusion() == 500_000
    truth = mechanics.truth()
    assert (truth.delivered_nl, truth.stored_nl, truth.released_nl) == (600_000, 0, 500_000)
    assert truth.pressure_mmhg == 0.0
    mechanics.advance(70 * S)
    assert mechanics.truth().delivered_nl == 700_000


def test_pressure_stays_after_the_motor_stopped_and_a_new_start_is_noticed_at_once() -> None:
    mechanics = fitted()
    mechanics.occlude()
    mechanics.start(36 * ML)
    mechanics.advance(NS_PER_H)
    assert mechanics.truth().pressure_mmhg == pytest.approx(500.0)
    mechanics.start(36 * ML)
    assert mechanics.advance(NS_PER_H + S) == MotionEnd(End.OCCLUSION, NS_PER_H + STALL_NOTICED_NS)
    assert mechanics.truth().stored_nl == ML


def test_withdrawing_relieves_the_pressure_and_then_pulls() -> None:
    mechanics = fitted()
    mechanics.occlude()
    mechanics.start(36 * ML)
    mechanics.advance(50 * S)
    mechanics.start(-36 * ML)
    end = mechanics.advance(NS_PER_H)
    assert end == MotionEnd(End.OCCLUSION, 200 * S)
    assert mechanics.truth().pressure_mmhg == pytest.approx(-500.0)


def test_a_blocked_motor_is_noticed_without_having_moved() -> None:
    mechanics = fitted()
    mechanics.start(RATE)
    mechanics.advance(S)
    before = mechanics.truth().plunger_nl
    mechanics.block(blocked=True)
    assert mechanics.advance(9 * S) == MotionEnd(End.STALL, S + STALL_NOTICED_NS)
    assert mechanics.truth().plunger_nl == before
    mechanics.block(blocked=False)
    mechanics.start(RATE)
    assert mechanics.next_event_ns() is None


# -- properties ---------------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["infuse", "withdraw", "target", "stop", "occlude", "clear", "block", "free", "dry"]
        ),
        st.integers(1, 10**13),
        st.integers(1, 2_000 * ML),
    ),
    max_size=12,
)
MOUNTS = st.sampled_from([Mount(), Mount(14_430, 10 * ML), Mount(29_700, 60 * ML, 30 * ML)])


def act(mechanics: Mechanics, action: str, amount: int) -> None:
    match action:
        case "infuse":
            mechanics.start(amount)
        case "withdraw":
            mechanics.start(-amount)
        case "target":
            mechanics.start(amount, amount * PARTS_PER_NL // 3)
        case "stop":
            mechanics.stop()
        case "occlude":
            mechanics.occlude()
        case "clear":
            mechanics.clear_occlusion()
        case "dry":
            mechanics.run_dry()
        case _:
            mechanics.block(blocked=action == "block")


@given(MOUNTS, ACTIONS, st.lists(st.integers(0, 10**14), max_size=20))
def test_looking_in_between_never_changes_what_happens(
    mount: Mount, actions: list[tuple[str, int, int]], looks: list[int]
) -> None:
    watched, alone = fitted(mount, diameter_um=26_590), fitted(mount, diameter_um=26_590)
    now = 0
    for action, wait, amount in actions:
        for look in sorted(looks):
            if now < look < now + wait:
                watched.advance(look)
                watched.truth()
        now += wait
        watched.advance(now)
        alone.advance(now)
        act(watched, action, amount)
        act(alone, action, amount)
        assert watched.truth() == alone.truth()


@given(MOUNTS, ACTIONS)
def test_what_the_plunger_moved_is_delivered_or_stored_at_every_event(
    mount: Mount, actions: list[tuple[str, int, int]]
) -> None:
    mechanics = fitted(mount, diameter_um=14_430)
    now, released = 0, 0
    for action, wait, amount in actions:
        now += wait
        mechanics.advance(now)
        act(mechanics, action, amount)
        truth = mechanics.truth()
        assert truth.plunger_nl == truth.delivered_nl + truth.stored_nl
        assert abs(truth.stored_nl) <= ML + 1
        assert abs(truth.pressure_mmhg) <= 500.001
        released = truth.released_nl
        if truth.content_nl is not None and mount.capacity_nl is not None:
            assert 0 <= truth.content_nl <= mount.capacity_nl
    assert released == mechanics.truth().released_nl


@given(MOUNTS, ACTIONS)
def test_a_copied_state_goes_on_like_the_original(
    mount: Mount, actions: list[tuple[str, int, int]]
) -> None:
    mechanics = fitted(mount)
    now = 0
    for action, wait, amount in actions:
        now += wait
        mechanics.advance(now)
        act(mechanics, action, amount)
    copied = Mechanics(mount, Line(), Drive(), deepcopy(mechanics.state))
    for _ in range(2):
        now += 10**12
        assert copied.advance(now) == mechanics.advance(now)
        assert copied.truth() == mechanics.truth()
