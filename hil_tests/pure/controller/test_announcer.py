"""What dashboards are told about an alarm that comes, changes, goes and comes again."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from controller.alarm_board import AlarmBoard
from controller.announcer import Announcer
from controller.log_format import Stamp
from controller.procedure.effects import ClearAlarm, RaiseAlarm
from controller.publisher import NullPublisher
from controller.telemetry import Message, Telemetry

if TYPE_CHECKING:
    from controller.runner import Runner

TELEMETRY = Telemetry(device="bench-1", boot="a" * 12, session="S-0001", simulated=True)
RUNNER = cast("Runner", SimpleNamespace(log=SimpleNamespace(last_seq=7)))


class Dashboard(NullPublisher):
    """Keeps what is published about alarms."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def publish(self, message: Message) -> None:
        if "/alarm/" in message.topic and message.payload:
            body = json.loads(message.payload)
            self.seen.append((body["phase"], body["state"]))


def test_a_second_onset_of_an_alarm_is_a_start_and_no_update() -> None:
    dashboard, board = Dashboard(), AlarmBoard()
    announcer = Announcer(
        TELEMETRY,
        dashboard,
        lambda: Stamp(1, 2),
        procedure="p",
        drug="ketamine",
        pump="sim:new-era",
        version="0",
    )
    raised = RaiseAlarm("vitals_hr_bpm", "HR 170", 170.0, 120.0, "bpm")
    over = ClearAlarm("vitals_hr_bpm")
    for effect in (raised, raised, over, raised, over):
        alarm = (
            board.raise_alarm(effect, 1_000)
            if isinstance(effect, RaiseAlarm)
            else board.clear(effect)
        )
        assert alarm is not None
        announcer.alarm_changed(RUNNER, alarm)
    assert dashboard.seen == [
        ("start", "active"),
        ("update", "active"),
        ("end", "latched"),
        ("start", "active"),
        ("end", "latched"),
    ]
