"""Which log `infusor run` goes on with, and when it refuses to."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from controller.cli.live_parts import (
    Clock,
    LiveSpec,
    LogListeners,
    interrupted_notice,
    opened_log,
)
from controller.cli.options import existing_plan
from controller.cli.outcome import Unreachable, Usage
from controller.cli.prompt import PromptOperator
from controller.event_log import EventLog, read
from controller.mqtt_url import Off
from controller.plan import Plan
from controller.procedure.table import State
from controller.procedure.visit import Recovered
from firmware_bridge.quantities import Concentration

PLAN = existing_plan("ketamine-first-visit")
Opened = tuple[EventLog, Path, Recovered | None]


PUMP = "new-era:/dev/ttyUSB0"


def opening(folder: Path, plan: Plan = PLAN, device: str = "bench-1", pump: str = PUMP) -> Opened:
    spec = LiveSpec(
        plan=plan,
        device=device,
        pump=pump,
        simulated_pump=False,
        operator=PromptOperator(),
        replay=None,
        mqtt=Off(),
        speed=1.0,
        seed=0,
        log_dir=folder,
    )
    return opened_log(spec, Clock(asyncio.get_running_loop()), LogListeners())


async def left_behind(folder: Path, state: State, **more: Any) -> Path:
    """A log whose controller ended in ``state`` without a footer."""
    log, path, recovered = opening(folder)
    assert recovered is None
    log.append("state", {"to": state.value, "from": "baseline", **more}, sync=True)
    await log.commit()
    log.close()
    return path


async def test_an_unfinished_visit_is_taken_up_again_and_the_person_is_told(tmp_path: Path) -> None:
    left = await left_behind(tmp_path, State.INFUSING)
    log, path, recovered = opening(tmp_path)
    assert path == left
    assert recovered is not None
    assert recovered.state is State.INFUSING
    notice = interrupted_notice(path, recovered)
    assert str(path) in notice
    assert "ended in infusing" in notice
    assert "the pump has been stopped" in notice
    log.close()


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (replace(PLAN, name="another"), "procedure ketamine-first-visit where another is asked"),
        (
            replace(PLAN, concentration=Concentration.from_mg_ml(5)),
            "concentration_mg_ml 10.0 where 5.0 is asked",
        ),
        (replace(PLAN, subject=replace(PLAN.subject, weight_g=60_000)), "weight_kg 70.0 where 60"),
        (replace(PLAN, procedure_sha256="ab"), "config_sha256 [0-9a-f]{64} where ab is asked"),
        (replace(PLAN, library_sha256="cd"), "library_sha256 [0-9a-f]{64} where cd is asked"),
    ],
)
async def test_an_account_is_not_carried_over_into_another_procedure(
    tmp_path: Path, plan: Plan, named: str
) -> None:
    path = await left_behind(tmp_path, State.INFUSING)
    before = path.read_bytes()
    with pytest.raises(Usage, match=named):
        opening(tmp_path, plan)
    assert path.read_bytes().startswith(before)
    log, again, recovered = opening(tmp_path)
    assert (again, recovered is None) == (path, False)
    log.close()


async def test_an_account_is_not_carried_over_to_another_pump(tmp_path: Path) -> None:
    await left_behind(tmp_path, State.INFUSING)
    with pytest.raises(Usage, match="pump new-era:/dev/ttyUSB0 where new-era:/dev/ttyUSB1 is"):
        opening(tmp_path, pump="new-era:/dev/ttyUSB1")


async def test_the_header_names_the_very_file_that_was_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    shipped = files("controller") / "data" / "procedures" / "ketamine-first-visit.toml"
    file.write_bytes(shipped.read_bytes() + b"# a word more\n")
    log, path, _ = opening(tmp_path, existing_plan(str(file)))
    await log.commit()
    log.close()
    header = read(path).records[0]
    assert header["config_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert header["config_sha256"] != PLAN.procedure_sha256
    assert header["library_sha256"] == PLAN.library_sha256


async def test_a_log_that_another_process_writes_is_a_device_in_use(tmp_path: Path) -> None:
    log, path, _ = opening(tmp_path)
    await log.commit()
    with pytest.raises(Unreachable) as raised:
        opening(tmp_path)
    assert str(raised.value) == f"bench-1 is in use: another process writes {path}"
    log.close()


async def test_the_unfinished_visit_of_another_device_is_left_alone(tmp_path: Path) -> None:
    await left_behind(tmp_path, State.INFUSING)
    log, path, recovered = opening(tmp_path, device="bench-2")
    assert recovered is None
    assert path.name.startswith("bench-2.")
    log.close()


async def test_a_visit_that_had_ended_is_sealed_and_a_new_one_begins(tmp_path: Path) -> None:
    left = await left_behind(tmp_path, State.ABORTED)
    log, path, recovered = opening(tmp_path)
    assert recovered is None
    assert path != left
    log.close()
    assert left.read_text().count('"kind":"footer"') == 1
