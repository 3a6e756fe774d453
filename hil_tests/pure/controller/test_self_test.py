"""The self-test: each line of it can fail, and says what it saw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from controller.library import LibraryError
from controller.procedure.visit import VitalsWatch
from controller.self_test import NEEDED, PLAUSIBLE, SelfTest
from firmware_bridge.messages import Capability, HelloAck

if TYPE_CHECKING:
    from controller.runner import Runner

WELL = {
    "hr_bpm": 72.0,
    "spo2_pct": 98.0,
    "nibp_sys_mmhg": 122.0,
    "nibp_dia_mmhg": 77.0,
    "rr_bpm": 14.0,
}
NOW = 100.0
HASH = "ab" * 32


def identity(firmware: str = "NE-1000", capabilities: Capability = NEEDED) -> HelloAck:
    return cast(
        "HelloAck", SimpleNamespace(firmware=firmware, capabilities=capabilities, serial_number="")
    )


def failed(
    sample: dict[str, float] | None = None,
    *,
    heard_at: float | None = NOW - 1,
    who: HelloAck | None = None,
    nobody: bool = False,
    dead_man: tuple[bool, str] = (True, ""),
    writable: bool = True,
    library: str | Exception = HASH,
) -> list[str]:
    """What the test says has failed."""

    def library_now() -> str:
        if isinstance(library, Exception):
            raise library
        return library

    vitals = VitalsWatch(WELL if sample is None else sample, heard_at=heard_at, stale=False)
    runner = SimpleNamespace(
        visit=SimpleNamespace(vitals=vitals),
        loop=SimpleNamespace(time=lambda: NOW),
        log=SimpleNamespace(writable=writable),
        record=lambda _kind, _data: 1,
    )
    test = SelfTest(library_sha256=HASH, library_now=library_now, data_age_s_max=5.0)
    ok, findings = test.finish(
        cast("Runner", runner), None if nobody else who or identity(), dead_man=dead_man
    )
    assert len(findings) == 6
    wrong = [text for text in findings if text.startswith("FAILED: ")]
    assert ok is not bool(wrong)
    assert all(text.startswith("ok: ") for text in findings if text not in wrong)
    return [text.removeprefix("FAILED: ") for text in wrong]


def test_a_bench_that_is_ready_passes() -> None:
    assert failed() == []


def test_the_library_must_be_the_one_that_the_plan_was_checked_against() -> None:
    other = "drug library: not the one that the plan was checked against"
    assert failed(library="cd" * 32) == [other]
    assert failed(library=LibraryError("damaged")) == ["drug library: damaged"]
    assert failed(library=OSError("gone")) == ["drug library: gone"]


@pytest.mark.parametrize("key", PLAUSIBLE)
def test_a_vital_sign_that_is_missing_or_impossible_fails(key: str) -> None:
    low, high = PLAUSIBLE[key]
    rest = {name: value for name, value in WELL.items() if name != key}
    assert failed(rest) == [f"sensors: no valid {key}"]
    for value in (low - 1, high + 1):
        text = f"sensors: {key} {value:g} is not from {low:g} to {high:g}"
        assert failed({**WELL, key: value}) == [text]
    for value in (low, high):
        assert failed({**WELL, key: value}) == []


@pytest.mark.parametrize("heard_at", [None, NOW - 5.1])
def test_an_old_sample_is_none(heard_at: float | None) -> None:
    assert failed(heard_at=heard_at) == ["sensors: no recent sample"]


def test_nobody_a_pump_without_a_name_or_without_a_dead_man_fail() -> None:
    assert failed(nobody=True)[0] == "identity: nobody answers"
    assert failed(who=identity("")) == ["identity: unknown"]
    lacking = identity(capabilities=Capability.VOLUME_TARGET)
    assert failed(who=lacking) == ["the pump lacks DEAD_MAN"]


def test_a_dead_man_that_did_not_trip_and_a_log_that_cannot_be_written_fail() -> None:
    assert failed(dead_man=(False, "no trip")) == ["dead-man and stop path: no trip"]
    assert failed(writable=False) == ["session log is writable"]


def test_a_clinical_pump_that_nobody_has_declared_fails() -> None:
    [wrong] = failed(who=identity(capabilities=NEEDED | Capability.CLINICAL))
    assert "connected to nobody" in wrong
