"""Everything a visit may run into, played in virtual time: each branch, each alarm of the first set."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise

import pytest

from controller.alarm_board import Alarm
from controller.alarms import ALARMS, FIRST_SET
from controller.cli.options import make_operator
from controller.cli.rehearsal import Rehearsed, Stage
from controller.cli.screen import Screen
from controller.log_format import longest_valid_prefix
from controller.procedure.table import DELIVERING, State
from controller.report.alarms import alarms
from controller.report.story import tell
from controller.runner import Observer, Runner
from controller.telemetry import Message
from hil_tests.visit_scenes import SCENES
from hil_tests.visit_stage import (
    BUDGET_S,
    KETAMINE,
    PROCEDURES,
    RECOVER,
    RESUME,
    USEFUL,
    WAYS,
    Scene,
    acknowledged,
    as_it_is,
    breaks,
    mended,
    plan_of,
    play,
    shows,
)
from sim.virtual_loop import run_virtual

SEEDS = range(4)
"""A taste; `python -m hil_tests.visit_table` plays 200 of each."""


def passed_through(stage: Stage) -> list[str]:
    return [str(record["to"]) for record in stage.events() if record["kind"] == "state"]


def ways_taken(stage: Stage) -> set[tuple[str, str]]:
    states = [record for record in stage.events() if record["kind"] == "state"]
    return {(str(record["from"]), str(record["to"])) for record in states}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_goes_where_it_must_raises_its_alarms_and_breaks_nothing(scene: Scene) -> None:
    rehearsed, stage = play(scene)
    assert rehearsed.violations == ()
    assert set(scene.expects) <= set(rehearsed.report.alarms)
    assert set(pairwise(scene.path.split())) <= ways_taken(stage)
    assert set(rehearsed.report.alarms) <= set(ALARMS)
    after_rescue = passed_through(stage)
    if State.RESCUE in after_rescue:
        later = after_rescue[after_rescue.index(State.RESCUE) :]
        assert not {state.value for state in DELIVERING} & set(later)


def test_the_scenes_reach_every_way_between_two_states_and_every_condition_of_the_first_set() -> (
    None
):
    ways = {way for scene in SCENES for way in pairwise(scene.path.split())}
    assert not set(WAYS) - ways
    expected = {alarm_id for scene in SCENES for alarm_id in scene.expects}
    for condition, ids in FIRST_SET.items():
        assert expected & set(ids), condition


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_every_procedure_completes_and_no_invariant_is_violated(procedure: str) -> None:
    for seed in SEEDS:
        stage = Stage(plan_of(procedure), seed, make_operator("auto"))
        rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=BUDGET_S)
        assert rehearsed.violations == (), f"seed {seed}"
        assert rehearsed.report.outcome.value in {"completed", "rescued"}, f"seed {seed}"


@pytest.mark.parametrize(("seed", "too_long"), [(91, True), (150, False)])
def test_who_is_long_not_fit_is_watched_until_fit_and_the_visit_completes(
    seed: int, too_long: bool
) -> None:
    """Two people in whom a visit once ended as aborted, for being unfit after 4 h (decision 0012)."""
    stage = Stage(plan_of(PROCEDURES[0]), seed, make_operator("auto"))
    rehearsed, _ = run_virtual(stage.run, seed=seed, budget_s=BUDGET_S)
    assert rehearsed.violations == ()
    assert rehearsed.report.outcome.value == "completed"
    assert ("recovery_too_long" in rehearsed.report.alarms) is too_long
    why = [r["why"] for r in stage.events() if r["kind"] == "refused" and r["what"] == "discharge"]
    assert len(why) > 10
    assert set(why) == {"the patient does not walk safely"}


# --- terminal, dashboards and log -----------------------------------------------------------------

LINE = re.compile(
    r"ALARM (?P<raised>\w+) \(\w+\)|alarm (?P<seen>\w+) acknowledged by .*: (?P<left>\w+)$"
    r"|alarm (?P<over>\w+) over, (?P<now>\w+)",
    re.MULTILINE,
)


class Three(Observer):
    """Listens to the dashboards and writes on a terminal, beside the log that is kept anyway."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.screen = Screen(device="bench-1", procedure="any", prompt=None, out=self.out)
        self.messages: list[Message] = []
        self.changes: list[tuple[str, str]] = []

    def alarm_changed(self, runner: Runner, alarm: Alarm) -> None:
        self.changes.append((alarm.id, alarm.state))
        self.screen.alarm_changed(runner, alarm)


def folded_terminal(text: str) -> list[tuple[str, str]]:
    changes = []
    for found in LINE.finditer(text):
        if found["raised"]:
            changes.append((found["raised"], "active"))
        elif found["seen"]:
            changes.append((found["seen"], found["left"]))
        else:
            changes.append((found["over"], found["now"]))
    return changes


def folded_messages(messages: list[Message]) -> list[tuple[str, str]]:
    changes = []
    for message in messages:
        if "/alarm/" in message.topic and message.payload:
            told = json.loads(message.payload)
            assert message.topic.endswith(f"/alarm/{told['id']}")
            row = ALARMS[told["id"]]
            assert (told["priority"], told["kind"]) == (row.priority.value, row.kind.value)
            assert (told["active"], told["latched"]) == (
                int(told["state"] == "active"),
                int(told["state"] == "latched"),
            )
            changes.append((told["id"], told["state"]))
    return changes


def folded_log(stage: Stage) -> list[tuple[str, str]]:
    return [(str(r["alarm"]), str(r["state"])) for r in stage.events() if r["kind"] == "alarm"]


def overheard(scene: Scene) -> tuple[Rehearsed, Stage, Three]:
    three = Three()

    class Ear(Observer):
        heard = False

        def state_changed(self, runner: Runner, previous: State) -> None:
            if not self.heard:
                self.heard = True
                stages[0].bus.subscribe(three.messages.append)

    ear = Ear()
    stages: list[Stage] = []
    rehearsed, stage = play(scene, observers=(three, ear), on_stage=stages.append)
    return rehearsed, stage, three


@pytest.mark.parametrize(
    "name",
    ["occlusion, mended and resumed", "spo2_pct = 89.0", "a sign that passes", "cable out"],
)
def test_terminal_dashboards_and_log_tell_the_same_story_of_every_alarm(name: str) -> None:
    scene = next(scene for scene in SCENES if scene.name == name)
    _, stage, three = overheard(scene)
    assert three.changes
    assert folded_log(stage) == three.changes
    assert folded_terminal(three.out.getvalue()) == three.changes
    assert folded_messages(three.messages) == three.changes
    assert dict(three.changes).keys() == set(stage_alarms(stage))


MANY = Scene(
    "many alarms: seen, latched, over, again",
    KETAMINE,
    USEFUL + RESUME + RECOVER,
    (
        (State.OBSERVING, 60.0, shows(spo2_pct=93.0)),
        (State.OBSERVING, 120.0, acknowledged),
        (State.OBSERVING, 200.0, as_it_is),
        (State.INFUSING, 60.0, shows(hr_bpm=160.0)),
        (State.HOLDING, 30.0, as_it_is),
        (State.HOLDING, 60.0, acknowledged),
        (State.INFUSING, 420.0, breaks("downstream_occlusion")),
        (State.RECOVERING, 120.0, mended),
        (State.RECOVERING, 200.0, shows(spo2_pct=89.0)),
        (State.RECOVERING, 300.0, as_it_is),
        (State.RECOVERING, 400.0, acknowledged),
    ),
)


def test_of_many_alarms_at_once_all_three_tell_the_same_and_so_does_the_report() -> None:
    _, stage, three = overheard(MANY)
    assert {name for name, _ in three.changes} >= {
        *("vitals_spo2_pct", "vitals_spo2_pct_warn", "vitals_hr_bpm", "pump_occlusion"),
    }
    assert {now for _, now in three.changes} == {"active", "latched", "inactive"}
    assert folded_log(stage) == three.changes
    assert folded_terminal(three.out.getvalue()) == three.changes
    assert folded_messages(three.messages) == three.changes
    seen = [(r["alarm"], r["by"]) for r in stage.events() if r.get("phase") == "acknowledged"]
    assert len(seen) >= 3
    told = alarms(tell(longest_valid_prefix(stage.storage.contents()), "x.jsonl"))
    assert {alarm.id for alarm in told} == set(stage_alarms(stage))
    assert [(alarm.id, alarm.seen_by) for alarm in told if alarm.seen_by] == seen


def stage_alarms(stage: Stage) -> tuple[str, ...]:
    assert stage.runner is not None
    return tuple(stage.runner.alarms.raised_ever)


def test_an_acknowledged_alarm_is_told_with_who_has_seen_it() -> None:
    scene = next(scene for scene in SCENES if scene.name == "occlusion, mended and resumed")
    assert any(deed[2] is acknowledged for deed in scene.deeds)
    _, stage, three = overheard(scene)
    [seen] = [r for r in stage.events() if r.get("phase") == "acknowledged"]
    assert (seen["alarm"], seen["by"], seen["state"]) == ("pump_occlusion", "nurse", "active")
    assert folded_terminal(three.out.getvalue())[-1] == ("pump_occlusion", "inactive")


def test_at_the_end_no_alarm_is_left_on_the_broker() -> None:
    scene = next(scene for scene in SCENES if scene.name == "toxicity")
    _, stage, _ = overheard(scene)
    assert not [t for t, m in stage.bus.retained.items() if "/alarm/" in t and m.payload]
