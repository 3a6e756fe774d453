"""A log folded back into a visit: last state, dose account, and records that say nonsense."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.procedure.events import EmergencyStopRequested, Started
from controller.procedure.table import State
from controller.procedure.visit import Status
from controller.replay import Replayed, ReplayError, replay
from firmware_bridge.quantities import Mass
from hil_tests.pure.controller.visit_driver import Stage

Log = list[dict[str, object]]


def log_of(stage: Stage) -> Log:
    return [{"kind": record.kind, **record.data} for record in stage.records]


def rescued(stage: Stage) -> Stage:
    stage.to_observing().answer("response", "anxiety")
    return stage


def held(stage: Stage) -> Stage:
    stage.to_infusing()
    stage.run(100)
    stage.answer("supervise", "hold")
    stage.run(2)
    return stage


def stopped(stage: Stage) -> Stage:
    stage.to_infusing().feed(EmergencyStopRequested("nurse"))
    return stage


@pytest.mark.parametrize(
    "way",
    [
        Stage.to_baseline,
        Stage.to_observing,
        Stage.to_infusing,
        held,
        rescued,
        stopped,
        Stage.to_recovering,
    ],
)
def test_the_log_gives_the_state_and_the_account(way: Callable[[Stage], Stage]) -> None:
    stage = way(Stage())
    replayed = replay(log_of(stage))
    assert replayed.state is stage.state
    assert replayed.hold_origin is stage.visit.chart.hold_origin
    assert replayed.rescued is stage.visit.chart.rescued
    assert replayed.infusion_dose == stage.visit.chart.infusion_dose
    for mine, theirs in zip(replayed.deliveries, stage.visit.account.deliveries, strict=True):
        assert (mine.id, mine.kind, mine.mass) == (theirs.id, theirs.kind, theirs.mass)
        assert (mine.volume, mine.rate) == (theirs.volume, theirs.rate)
        assert mine.programmed_volume == theirs.programmed_volume
        assert mine.delivered == theirs.recorded


def test_every_beginning_of_a_log_can_be_replayed() -> None:
    log = log_of(held(Stage()))
    for length in range(len(log) + 1):
        replayed = replay(log[:length])
        assert replayed.recovered.next_id > max((d.id for d in replayed.deliveries), default=0)


def test_a_finished_visit_has_its_outcome() -> None:
    stage = Stage().to_recovering().discharge()
    assert replay(log_of(stage)).outcome == "completed"
    assert replay(log_of(stage)[:-1]).outcome == ""


def test_an_empty_log_is_a_visit_that_prepares() -> None:
    assert replay([]) == Replayed()
    assert replay([{"kind": "sample", "x": 1}, {}]).state is State.PREPARING


def test_only_items_answered_with_yes_count_as_checked() -> None:
    stage = Stage()
    stage.feed(Started())
    stage.answer("checklist", "yes")
    stage.answer("checklist", "yes")
    stage.answer("checklist", "no")
    assert replay(log_of(stage)).recovered.checked == 2


def test_the_pump_of_the_last_self_test_is_known_and_counts_nothing_of_an_earlier_one() -> None:
    log: Log = [*log_of(held(Stage())), {"kind": "identity", "pump": "NE-1000 3.928"}]
    same = replay([*log, {"kind": "identity", "pump": "NE-1000 3.928"}])
    assert same.recovered.pump == "NE-1000 3.928"
    assert all(d.programmed_volume for d in same.deliveries)
    other = replay([*log, {"kind": "identity", "pump": "NE-1000 3.740"}])
    assert other.recovered.pump == "NE-1000 3.740"
    assert not any(d.programmed_volume for d in other.deliveries)


def test_an_entered_infusion_dose_is_kept() -> None:
    assert replay([{"kind": "infusion_dose", "dose_mg": 30.0}]).infusion_dose == Mass.from_mg(30)


def test_a_start_that_was_never_answered_is_still_starting() -> None:
    log = log_of(Stage().to_test_bolus())
    cut = next(i for i, r in enumerate(log) if r.get("what") == "starting")
    (delivery,) = replay(log[: cut + 1]).deliveries
    assert delivery.status is Status.STARTING


ORDER = {
    "kind": "dose",
    "what": "ordered",
    "delivery_id": 1,
    "use": "test",
    "dose_mg": 10,
    "volume_ml": 1,
    "rate_ml_h": 60,
}


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "state", "to": "asleep"},
        {"kind": "state"},
        {"kind": "hold", "origin": 3},
        {
            "kind": "dose",
            "what": "delivered",
            "delivery_id": 9,
            "volume_ml": 1,
            "status": "stopped",
        },
        {**ORDER, "delivery_id": "x"},
        {**ORDER, "dose_mg": True},
        {**ORDER, "dose_mg": -1},
        {**ORDER, "dose_mg": "10"},
        {**ORDER, "use": "tea"},
        {"kind": "infusion_dose"},
    ],
)
def test_a_record_that_says_nonsense_is_not_believed(record: dict[str, object]) -> None:
    with pytest.raises(ReplayError, match="record 7"):
        replay([{**record, "seq": 7}])


def test_a_step_of_a_delivery_that_is_unknown_is_not_believed() -> None:
    with pytest.raises(ReplayError):
        replay([ORDER, {**ORDER, "what": "danced"}])
