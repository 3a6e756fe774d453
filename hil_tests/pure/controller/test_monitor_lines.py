"""What is taken of a monitor's line, and that nothing in it can stand in the place of our own keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.log_format import RESERVED
from controller.procedure.events import (
    MODEL_MAX,
    NUMBER_MAX,
    concentrations,
    is_number,
    vitals_arrived,
)
from controller.procedure.table import State
from controller.samples import Samples
from firmware_bridge.quantities import Volume

if TYPE_CHECKING:
    from controller.runner import Runner

OURS = {"t_s": 12.0, "state": "infusing", "delivered_ml": 1.0}


def sampled(raw: dict[str, object]) -> dict[str, object]:
    """The record that this line leaves in a session log, of a pump that has not reported yet."""
    records: list[dict[str, object]] = []
    runner = SimpleNamespace(
        loop=SimpleNamespace(time=lambda: 112.0),
        started_at=100.0,
        state=State.INFUSING,
        visit=SimpleNamespace(account=SimpleNamespace(delivered=Volume.from_ml(1))),
        hand=SimpleNamespace(snapshot=None),
        record=lambda kind, data: records.append({"kind of record": kind, **data}),
    )
    Samples().vitals_seen(cast("Runner", runner), vitals_arrived(raw), raw)
    (record,) = records
    assert record.pop("kind of record") == "sample"
    return record


def test_a_line_leaves_its_vitals_signs_and_concentrations() -> None:
    raw: dict[str, object] = {
        "seq": 1,
        "hr_bpm": 72,
        "signs": {"anxious": False, "pain_fall_cm": 2.5},
        "model": {"plasma_ng_ml": 12, "effect_analgesic_ng_ml": 8.5},
    }
    assert sampled(raw) == OURS | {
        "hr_bpm": 72.0,
        "anxious": False,
        "pain_fall_cm": 2.5,
        "plasma_ng_ml": 12.0,
        "effect_analgesic_ng_ml": 8.5,
    }


@pytest.mark.parametrize("place", ["signs", "model"])
@pytest.mark.parametrize("key", sorted({*RESERVED, *OURS, "rate_ml_h", "infused_ml", "odd_key"}))
def test_keys_of_the_log_and_of_the_sample_are_taken_from_nobody(place: str, key: str) -> None:
    assert sampled({"seq": 1, place: {key: 1}}) == OURS
    assert sampled({"seq": 1, key: 1}) == OURS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["seq", "hr_bpm", "signs", "model", "invalid"]) | st.text(), JSON
    )
)
def test_whatever_a_line_holds_a_sample_is_ours(raw: dict[str, object]) -> None:
    record = sampled(raw)
    assert record | OURS == record
    assert RESERVED.isdisjoint(record)


def test_a_flood_of_concentrations_is_cut() -> None:
    model = {f"site_{'x' * n}_ng_ml": 1.0 for n in range(100)}
    assert len(concentrations({"model": model})) == MODEL_MAX
    assert concentrations({"model": [1, 2]}) == {}
    assert concentrations({"model": {4: 1.0}}) == {}


@pytest.mark.parametrize("huge", [10**400, -(10**400), NUMBER_MAX * 10, float("inf"), float("nan")])
def test_what_is_too_large_for_any_reading_is_no_number(huge: float) -> None:
    assert not is_number(huge)
    assert vitals_arrived({"seq": 1, "hr_bpm": huge}).sample == {}
