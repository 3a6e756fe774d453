"""One record a second of how pump and patient stood: what plots, reports and replays are made from."""

from __future__ import annotations

from collections.abc import Mapping

from controller.procedure.effects import Scalar
from controller.procedure.events import VitalsArrived, concentrations
from controller.runner import Observer, Runner
from firmware_bridge.messages import PumpState

KEPT = frozenset(
    {
        "hr_bpm",
        "spo2_pct",
        "nibp_sys_mmhg",
        "nibp_dia_mmhg",
        "nibp_age_s",
        "rr_bpm",
        "etco2_mmhg",
    }
)


class Samples(Observer):
    """Appends a ``sample`` record with every line of the monitor."""

    def vitals_seen(self, runner: Runner, vitals: VitalsArrived, raw: Mapping[str, object]) -> None:
        record: dict[str, Scalar] = {
            key: value for key, value in vitals.sample.items() if key in KEPT
        }
        record |= vitals.signs
        record |= concentrations(raw)
        # Ours last: nothing that a monitor sends can stand in their place.
        record["t_s"] = round(runner.loop.time() - runner.started_at, 3)
        record["state"] = runner.state.value
        record["delivered_ml"] = runner.visit.account.delivered.ml
        snapshot = runner.hand.snapshot
        if snapshot is not None:
            running = snapshot.state is PumpState.RUNNING
            record["rate_ml_h"] = snapshot.rate.ml_h if running else 0.0
            record["infused_ml"] = snapshot.infused.ml
        runner.record("sample", record)
