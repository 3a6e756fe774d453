"""A real drive on a real line: each effect by itself, with the figure that follows from its parameters."""

from __future__ import annotations

from math import cos, exp, log, pi

import pytest

from sim.line import Line, Valve
from sim.mechanics import (
    NS_PER_H,
    PARTS_PER_NL,
    STALL_NOTICED_NS,
    Drive,
    End,
    MakeError,
    Mechanics,
    MotionEnd,
    Mount,
)

S = 1_000_000_000
MIN = 60 * S
ML = 1_000_000
BD20_UM = 19_050
TURN_NL = pi / 4 * 19.05**2 * 1_000  # of a 1 mm screw
TAU_MIN = 0.5
ELASTIC = Line(compliance_nl_mmhg=2_000, resistance_mmhg_min_ul=TAU_MIN / 2.0)


def fitted(
    line: Line = Line(), drive: Drive = Drive(), mount: Mount = Mount(), diameter_um: int = BD20_UM
) -> Mechanics:
    made = Mechanics(mount, line, drive)
    made.fit(diameter_um)
    return made


def end_of(made: Mechanics) -> MotionEnd:
    due = made.next_event_ns()
    assert due is not None
    end = made.advance(due)
    assert end is not None
    return end


# -- start-up -----------------------------------------------------------------------------------------


def test_nothing_moves_until_the_slack_is_taken_up_and_the_counter_runs_all_the_same() -> None:
    made = fitted(drive=Drive(slack_nl=100_000))
    made.start(ML)
    made.advance(5 * MIN)
    assert made.truth().rate_nl_h == 0
    made.advance(6 * MIN)
    assert made.truth().plunger_nl == 0
    assert made.infused_parts == 100_000 * PARTS_PER_NL
    made.advance(12 * MIN)
    assert made.truth().plunger_nl == made.truth().delivered_nl == 100_000


def test_a_purge_removes_the_slack_and_a_new_syringe_brings_it_back() -> None:
    made = fitted(drive=Drive(slack_nl=100_000), mount=Mount(BD20_UM, 20 * ML))
    made.start(60 * ML, 2 * ML * PARTS_PER_NL)
    end_of(made)
    purged = made.truth().plunger_nl
    assert purged == 1_900_000
    made.start(ML)
    made.advance(made.state.now_ns + MIN)
    assert made.truth().plunger_nl == purged + ML // 60
    made.stop()
    made.refill()
    before = made.truth().plunger_nl
    made.start(ML)
    made.advance(made.state.now_ns + 6 * MIN)
    assert made.truth().plunger_nl == before


def test_flow_starts_and_ends_with_the_time_constant_of_resistance_and_compliance() -> None:
    made = fitted(ELASTIC)
    made.start(6 * ML)
    made.advance(round(TAU_MIN * MIN))
    held = 100_000 * TAU_MIN
    assert made.truth().stored_nl == pytest.approx(held * (1 - exp(-1)), abs=2)
    made.advance(30 * MIN)
    made.stop()
    before = made.truth().delivered_nl
    made.advance(made.state.now_ns + round(TAU_MIN * MIN))
    assert made.truth().delivered_nl - before == pytest.approx(held * (1 - exp(-1)), abs=2)
    made.advance(made.state.now_ns + 20 * MIN)
    assert made.truth().delivered_nl - before == pytest.approx(held, abs=2)
    assert made.truth().pressure_mmhg == pytest.approx(0.0, abs=1e-6)


def test_a_line_that_lets_too_little_through_ends_in_an_alarm_at_the_instant_the_exponential_says() -> (
    None
):
    made = fitted(ELASTIC)
    made.start(240 * ML)  # 4 mL/min x 0.25 mmHg min/uL would be 1000 mmHg
    end = end_of(made)
    assert end.cause is End.OCCLUSION
    assert end.at_ns == pytest.approx(TAU_MIN * MIN * 0.693147, rel=1e-5)
    assert made.truth().pressure_mmhg == pytest.approx(500.0, abs=0.001)


# -- two slopes -----------------------------------------------------------------------------------------


def test_two_slopes_store_the_sum_of_both_and_are_released_as_such() -> None:
    line = Line(compliance_nl_mmhg=1_600, soft_nl_mmhg=5_000, knee_mmhg=60, alarm_mmhg=500)
    made = fitted(line)
    made.occlude()
    made.start(3 * ML)
    made.advance(6 * MIN)
    assert made.truth().pressure_mmhg == pytest.approx(60.0)
    end = end_of(made)
    whole = 60 * 5_000 + 440 * 1_600
    assert end == MotionEnd(End.OCCLUSION, round(whole / (3 * ML) * NS_PER_H))
    assert made.clear_occlusion() == whole
    assert made.truth().delivered_nl == whole


def test_a_released_bolus_flows_as_fast_as_the_line_lets_it() -> None:
    made = fitted(ELASTIC)
    made.occlude()
    made.start(6 * ML)
    end_of(made)
    assert made.clear_occlusion() == ML
    assert made.truth().delivered_nl == 0
    made.advance(made.state.now_ns + round(TAU_MIN * MIN))
    assert made.truth().delivered_nl == pytest.approx(ML * (1 - exp(-1)), abs=2)


def test_pumping_back_after_an_alarm_leaves_little_to_be_released() -> None:
    worn = Drive(backlash_um=100)
    for line, drive in ((Line(), Drive()), (Line(soft_nl_mmhg=5_000, knee_mmhg=60), worn)):
        made = fitted(line, drive)
        made.occlude()
        made.start(6 * ML)
        end_of(made)
        assert made.pump_back(60 * ML, 20.0)
        assert end_of(made).cause is End.TARGET
        assert made.truth().pressure_mmhg == pytest.approx(20.0, abs=0.01)
        assert not made.pump_back(60 * ML, 20.1)
        assert made.clear_occlusion() == pytest.approx(20 * (line.soft_nl_mmhg or 2_000), abs=60)


def test_flow_through_two_slopes_is_one_exponential_after_another() -> None:
    line = Line(
        compliance_nl_mmhg=2_000, soft_nl_mmhg=4_000, knee_mmhg=100, resistance_mmhg_min_ul=0.25
    )
    made = fitted(line)
    made.start(60 * ML)  # settles at 250 mmHg; 1 min below the knee, 0.5 min above
    knee = log(250 / 150)
    made.advance(round(knee * MIN))
    assert made.truth().pressure_mmhg == pytest.approx(100.0, abs=1e-4)
    made.advance(round((knee + 0.5) * MIN))
    assert made.truth().pressure_mmhg == pytest.approx(250 - 150 / exp(1), abs=1e-4)
    made.advance(20 * MIN)
    made.stop()
    made.advance(20 * MIN + round((0.5 * log(2.5) + 1) * MIN))
    assert made.truth().pressure_mmhg == pytest.approx(100 / exp(1), abs=1e-4)


# -- the screw ------------------------------------------------------------------------------------------


def test_an_eccentric_screw_makes_the_volume_that_the_integral_of_its_ripple_says() -> None:
    eccentric = 10
    made = fitted(drive=Drive(lead_um=1_000, eccentric_um=eccentric))
    made.start(ML)
    amplitude_nl = TURN_NL * eccentric / 1_000
    share, omega = 2 * pi * eccentric / 1_000, 2 * pi * ML / TURN_NL  # per h
    for minute in range(1, 60):
        made.advance(minute * MIN)
        hours = minute / 60
        exact = ML * hours + ML * share / omega * cos(omega * hours - pi / 2)
        assert abs(made.truth().delivered_nl - exact) <= 0.005 * amplitude_nl + 1
    assert share == pytest.approx(0.063, abs=0.0005)


def test_whole_turns_give_whole_volumes_and_a_changed_rate_keeps_the_angle() -> None:
    made = fitted(drive=Drive(lead_um=1_000, eccentric_um=100))
    made.start(ML, round(TURN_NL * 0.3 * PARTS_PER_NL))
    end_of(made)
    made.start(9 * ML, round(TURN_NL * 0.7 * PARTS_PER_NL))
    end_of(made)
    assert made.truth().plunger_nl == pytest.approx(TURN_NL, abs=1)


def test_a_syringe_that_is_changed_finds_the_screw_where_it_stood() -> None:
    made = fitted(drive=Drive(lead_um=1_000, eccentric_um=100))
    small, large = (pi / 4 * mm**2 * 1_000 for mm in (19.05, 26.59))
    made.start(ML, round(small / 4 * PARTS_PER_NL))
    end_of(made)
    assert made.truth().plunger_nl == pytest.approx(small * (0.25 + 0.1), abs=1)
    made.fit(26_590)
    made.start(ML, round(large / 2 * PARTS_PER_NL))
    end_of(made)
    whole = small * (0.25 + 0.1) + large * (0.5 - 2 * 0.1)
    assert made.truth().plunger_nl == pytest.approx(whole, abs=2)


def test_the_target_ends_the_motion_on_time_whatever_the_screw_does() -> None:
    made = fitted(drive=Drive(lead_um=1_000, eccentric_um=100))
    made.start(ML, ML * PARTS_PER_NL)
    assert end_of(made) == MotionEnd(End.TARGET, NS_PER_H)
    assert made.infused_parts == ML * PARTS_PER_NL


def test_a_syringe_on_an_eccentric_screw_runs_empty_when_its_content_is_out() -> None:
    made = fitted(drive=Drive(lead_um=1_000, eccentric_um=50), mount=Mount(BD20_UM, 3 * ML))
    made.start(10 * ML)
    assert end_of(made).cause is End.EMPTY
    assert (made.truth().plunger_nl, made.truth().content_nl) == (3 * ML, 0)


def test_backlash_is_lost_at_each_reversal_and_at_no_start() -> None:
    made = fitted(drive=Drive(backlash_um=100))
    lost = pi / 4 * 19.05**2 * 100
    moved = ML * PARTS_PER_NL
    made.start(60 * ML, moved)
    end_of(made)
    made.start(60 * ML, moved)
    end_of(made)
    assert made.truth().plunger_nl == 2 * ML
    made.start(-60 * ML, moved)
    end_of(made)
    assert made.truth().plunger_nl == pytest.approx(ML + lost, abs=1)
    made.start(60 * ML, moved)
    end_of(made)
    assert made.truth().plunger_nl == pytest.approx(2 * ML, abs=1)
    assert made.infused_parts - made.withdrawn_parts == 2 * moved


def test_a_sticking_plunger_jumps_and_a_faster_one_does_not() -> None:
    made = fitted(drive=Drive(jump_nl=5_000, jump_below_nl_h=ML), mount=Mount(BD20_UM, 20 * ML))
    made.start(ML // 2)
    made.advance(36 * S - 1)
    assert made.truth().delivered_nl == 0
    made.advance(36 * S)
    assert made.truth().delivered_nl == 5_000
    made.advance(2 * 36 * S - 1)
    assert made.truth().delivered_nl == 5_000
    made.start(2 * ML)
    assert made.truth().delivered_nl == pytest.approx(10_000, abs=1)
    made.advance(made.state.now_ns + S)
    assert made.truth().delivered_nl == pytest.approx(10_000 + 2 * ML / 3_600, abs=1)
    assert made.truth().content_nl == pytest.approx(20 * ML - made.truth().delivered_nl, abs=1)


def test_a_stroked_drive_moves_by_whole_microsteps() -> None:
    drive = Drive(lead_um=1_000, microsteps=1, stroked=True)
    made = fitted(drive=drive)
    stroke = drive.stroke_nl(BD20_UM)
    made.start(6 * ML)
    for second in range(1, 20):
        made.advance(second * S)
        strokes = made.truth().plunger_nl / stroke
        assert strokes == pytest.approx(round(strokes), abs=0.01)


# -- height and siphon ----------------------------------------------------------------------------------


def test_a_lifted_pump_gives_a_bolus_and_a_lowered_one_takes_it_back_first() -> None:
    made = fitted(drive=Drive())
    made.raise_pump(50)
    bolus = 50 * 0.734 * 2_000
    assert made.truth().delivered_nl == pytest.approx(bolus, abs=1)
    made.raise_pump(0)
    assert made.truth().delivered_nl == 0
    made.raise_pump(-50)
    assert made.truth().delivered_nl == pytest.approx(-bolus, abs=1)
    assert made.truth().plunger_nl == 0


def test_height_does_nothing_to_an_occluded_line_until_it_is_opened() -> None:
    made = fitted()
    made.occlude()
    made.raise_pump(50)
    assert made.truth().delivered_nl == 0
    assert made.clear_occlusion() == pytest.approx(50 * 0.734 * 2_000, abs=1)


def test_a_loose_syringe_empties_itself_without_the_motor() -> None:
    made = fitted(mount=Mount(BD20_UM, 20 * ML, 2 * ML))
    made.free_flow(60 * ML)
    made.advance(MIN)
    truth = made.truth()
    assert (truth.delivered_nl, truth.content_nl, truth.rate_nl_h) == (ML, ML, 60 * ML)
    assert made.infused_parts == 0
    made.advance(9 * MIN)
    assert (made.truth().delivered_nl, made.truth().content_nl) == (2 * ML, 0)
    assert made.truth().rate_nl_h == 0


def test_after_a_free_flow_the_pusher_has_to_catch_up_with_the_plunger() -> None:
    made = fitted()
    made.free_flow(6 * ML)
    made.advance(MIN)
    made.free_flow(0)
    made.start(ML)
    made.advance(MIN + 6 * MIN)
    assert made.truth().delivered_nl == 100_000
    made.advance(MIN + 12 * MIN)
    assert made.truth().delivered_nl == 200_000


def test_a_siphon_flows_with_its_height_and_neither_a_clamp_nor_a_valve_lets_it() -> None:
    made = fitted()
    made.siphon(30)
    made.advance(MIN)
    flow = made.truth().delivered_nl
    assert flow == pytest.approx(30 * 0.734 / 0.02 * 1_000, rel=1e-6)
    made.clamp(shut=True)
    made.advance(2 * MIN)
    assert made.truth().delivered_nl == flow
    guarded = fitted(Line(valve=Valve(75, 55)))
    guarded.siphon(30)
    guarded.advance(MIN)
    assert guarded.truth().delivered_nl == 0


def test_an_antisiphon_valve_opens_with_a_bolus_and_holds_its_closing_pressure() -> None:
    made = fitted(Line(valve=Valve(opens_mmhg=75, closes_mmhg=55)))
    made.start(6 * ML)
    opened = 75 * 2_000 / (6 * ML) * NS_PER_H
    made.advance(round(opened) - S)
    assert made.truth().delivered_nl == 0
    made.advance(round(opened) + S)
    assert made.truth().delivered_nl == pytest.approx(20 * 2_000 + ML / 600, abs=3)
    assert made.truth().pressure_mmhg == pytest.approx(55.0)


def test_a_bolus_through_a_valve_leaves_what_the_valve_holds() -> None:
    made = fitted(Line(valve=Valve(opens_mmhg=75, closes_mmhg=55)))
    made.occlude()
    made.start(6 * ML)
    end_of(made)
    assert made.clear_occlusion() == (500 - 55) * 2_000
    assert made.truth().delivered_nl == (500 - 55) * 2_000


# -- the clamp, upstream, the sensor --------------------------------------------------------------------


def test_a_shut_clamp_is_an_occlusion_and_can_be_read() -> None:
    made = fitted()
    made.clamp(shut=True)
    made.start(6 * ML)
    assert end_of(made).cause is End.OCCLUSION
    assert made.housing.clamp_shut
    made.clamp(shut=False)
    assert made.truth().delivered_nl == ML


def test_a_sensor_in_the_line_does_not_see_what_is_shut_before_it() -> None:
    seen, unseen = fitted(), fitted(Line(sensor="line"))
    for made in (seen, unseen):
        made.occlude_upstream(occluded=True)
        made.start(6 * ML)
    assert end_of(seen) == MotionEnd(End.OCCLUSION, 10 * MIN)
    unseen.advance(10 * MIN)
    assert unseen.sensed_mmhg() == pytest.approx(0.0)
    assert unseen.truth().pressure_mmhg == pytest.approx(500.0)
    assert end_of(unseen) == MotionEnd(End.STALL, 20 * MIN)


@pytest.mark.parametrize("drive", [Drive(), Drive(lead_um=1_000, eccentric_um=50)])
def test_a_drifting_sensor_gives_a_false_alarm_on_an_open_line(drive: Drive) -> None:
    made = fitted(drive=drive)
    made.start(6 * ML)
    made.sensor_error(drift_mmhg_min=25)
    assert end_of(made) == MotionEnd(End.OCCLUSION, 20 * MIN)
    assert made.truth().pressure_mmhg == 0.0
    assert made.sensed_mmhg() == pytest.approx(500.0)


@pytest.mark.parametrize(("drift", "minutes"), [(50.0, 5), (-25.0, 20), (0.0, 10)])
def test_a_drifting_sensor_makes_the_alarm_early_or_late(drift: float, minutes: int) -> None:
    made = fitted()
    made.occlude()
    made.sensor_error(drift_mmhg_min=drift)
    made.start(6 * ML)
    end = end_of(made)
    assert end.at_ns == pytest.approx(minutes * MIN, abs=2)
    assert made.truth().stored_nl == pytest.approx(minutes * 100_000, abs=1)


def test_a_sensor_that_drifts_in_a_line_with_resistance_is_found_to_the_nanosecond() -> None:
    made = fitted(ELASTIC)
    made.start(60 * ML)  # settles at 250 mmHg
    made.sensor_error(drift_mmhg_min=10)
    end = end_of(made)
    assert end.cause is End.OCCLUSION
    assert made.sensed_mmhg() == pytest.approx(500.0, abs=1e-6)
    assert end.at_ns == pytest.approx(25 * MIN, rel=1e-6)


def test_an_offset_alone_is_noticed_at_once_as_a_false_occlusion() -> None:
    made = fitted()
    made.start(6 * ML)
    made.advance(MIN)
    made.sensor_error(offset_mmhg=600)
    assert end_of(made) == MotionEnd(End.OCCLUSION, MIN + STALL_NOTICED_NS)
    made.sensor_error()
    made.start(6 * ML)
    assert made.next_event_ns() is None


# -- lost steps and wrong syringes ------------------------------------------------------------------------


def test_lost_steps_are_counted_as_delivered_and_are_not() -> None:
    made = fitted()
    made.lose_steps(20)
    made.start(6 * ML, ML * PARTS_PER_NL)
    assert end_of(made) == MotionEnd(End.TARGET, 10 * MIN)
    assert made.infused_parts == ML * PARTS_PER_NL
    assert made.truth().delivered_nl == 800_000
    made.lose_steps(100)
    made.start(6 * ML)
    made.advance(made.state.now_ns + NS_PER_H)
    assert made.truth().delivered_nl == 800_000


def test_a_wrong_syringe_is_wrong_until_the_right_one_is_back() -> None:
    made = fitted(diameter_um=26_590)
    made.start(36 * ML)
    made.wrong_syringe(29_700)
    made.advance(100 * S)
    assert made.truth().plunger_nl == ML * 29_700**2 // 26_590**2
    made.fit(26_590)
    assert made.truth().rate_nl_h == 36 * ML * 29_700**2 // 26_590**2
    made.wrong_syringe(None)
    assert made.truth().rate_nl_h == 36 * ML


# -- drug and air ---------------------------------------------------------------------------------------


def test_the_dead_volume_comes_before_the_drug() -> None:
    made = fitted(Line(dead_volume_nl=500_000))
    made.start(6 * ML)
    made.advance(5 * MIN)
    assert (made.truth().delivered_nl, made.drug_nl()) == (500_000, 0)
    made.advance(8 * MIN)
    assert (made.truth().delivered_nl, made.drug_nl()) == (800_000, 300_000)
    assert fitted().drug_nl() == 0


def test_drug_that_was_sucked_back_is_not_given_twice() -> None:
    for line in (Line(), ELASTIC):
        made = fitted(line)
        made.start(6 * ML)
        made.advance(20 * MIN)
        given = made.drug_nl()
        made.start(-6 * ML)
        made.advance(25 * MIN)
        made.start(6 * ML)
        made.advance(29 * MIN)
        assert given <= made.drug_nl() <= given + 50_000
        made.advance(60 * MIN)
        assert made.drug_nl() == pytest.approx(made.truth().delivered_nl, abs=1)


def test_what_flowed_on_before_it_turned_round_was_given() -> None:
    made = fitted(ELASTIC)
    made.start(6 * ML)
    made.advance(20 * MIN)
    given = made.drug_nl()
    made.start(-6 * ML)
    made.advance(40 * MIN)
    held = 100_000 * TAU_MIN
    assert made.drug_nl() == pytest.approx(given + held * (1 - log(2)), abs=2)


def test_a_bubble_softens_the_line_and_changes_no_pressure_when_it_comes() -> None:
    made = fitted()
    made.occlude()
    made.start(6 * ML)
    made.advance(MIN)
    made.bubble(ML)
    assert made.truth().pressure_mmhg == pytest.approx(50.0)
    made.advance(2 * MIN)
    assert made.truth().pressure_mmhg == pytest.approx(50 + 100_000 / (2_000 + ML / 760))
    made.remove_air()
    assert made.truth().pressure_mmhg == pytest.approx(50 + 100_000 / (2_000 + ML / 760))


def test_a_bubble_that_leaves_takes_its_spring_along_and_no_pressure() -> None:
    made = fitted(ELASTIC)
    made.bubble(200_000)
    made.start(60 * ML)
    assert made.state.real is not None
    while made.state.real.bubbles:
        before = made.truth().pressure_mmhg
        made.advance(made.state.now_ns + S // 10)
        assert made.truth().pressure_mmhg - before < 1.0
    assert made.truth().pressure_mmhg > 100


@pytest.mark.parametrize("eccentric_um", [0, 1])
def test_a_bubble_reaches_the_detector_with_the_flow_and_leaves_at_the_end_of_the_line(
    eccentric_um: int,
) -> None:
    drive = Drive(lead_um=1_000, eccentric_um=eccentric_um)
    made = fitted(Line(air_detector_nl=300_000, dead_volume_nl=ML), drive)
    made.start(6 * ML)
    made.advance(MIN)
    made.bubble(200_000)
    arrived = end_of(made)
    assert arrived.cause is End.AIR
    assert arrived.at_ns == pytest.approx(4 * MIN, abs=1 + eccentric_um * S)
    assert made.air_seen()
    made.start(6 * ML)
    assert end_of(made) == MotionEnd(End.AIR, arrived.at_ns + STALL_NOTICED_NS)
    made.blind_air_detector(blind=True)
    assert not made.air_seen()
    made.start(6 * ML)
    began = made.state.now_ns
    made.advance(began + 9 * MIN + 1 + eccentric_um * S)
    assert made.state.real is not None
    delivered = made.truth().delivered_nl
    assert delivered == pytest.approx(1_300_000, abs=eccentric_um * 3_000)
    assert made.state.real.bubbles == []
    assert made.drug_nl() == pytest.approx(delivered - 200_000 - ML, abs=1)


def test_a_detector_misses_a_bubble_smaller_than_it_sees() -> None:
    made = fitted(Line(air_detector_nl=300_000, dead_volume_nl=ML, air_seen_nl=50_000))
    made.bubble(49_999)
    made.start(6 * ML, ML * PARTS_PER_NL)
    assert end_of(made).cause is End.TARGET


# -- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Drive(lead_um=0), "lead_um"),
        (lambda: Drive(lead_um=1_000, eccentric_um=160), "eccentric_um"),
        (lambda: Drive(slack_nl=-1), "slack_nl"),
        (lambda: Drive(microsteps=0), "microsteps"),
        (lambda: Line(compliance_nl_mmhg=0), "compliance"),
        (lambda: Line(soft_nl_mmhg=0), "soft"),
        (lambda: Line(resistance_mmhg_min_ul=float("nan")), "resistance"),
        (lambda: Line(sensor="ear"), "force or line"),
        (lambda: Valve(opens_mmhg=10, closes_mmhg=20), "opens_mmhg"),
        (lambda: fitted().raise_pump(float("inf")), "height_cm"),
        (lambda: fitted().free_flow(-1), "free flow"),
        (lambda: fitted().bubble(0), "bubble"),
        (lambda: fitted().lose_steps(101), "loss_pct"),
        (lambda: fitted().wrong_syringe(0), "diameter_um"),
        (lambda: fitted().wear(-1), "backlash_um"),
        (lambda: fitted().sensor_error(offset_mmhg=float("nan")), "offset_mmhg"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_and_limit(build: object, named: str) -> None:
    assert callable(build)
    with pytest.raises(MakeError, match=named):
        build()
