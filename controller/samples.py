"""One record a second of how pump and patient stood: what plots, reports and replays are made from."""

from __future__ import annotations

from collections.abc import Mapping

from controller.procedure.effects import Scalar
from controller.runner import Observer, Runner
from firmware_bridge.messages import PumpState

KEPT = (
    "hr_bpm",
    "spo2_pct",
    "nibp_sys_mmhg",
    "nibp_dia_mmhg",
    "nibp_age_s",
    "rr_bpm",
    "etco2_mmhg",
)


class Samples(Observer):
    """Appends a ``sample`` record with every line of the monitor."""

    def vitals_seen(self, runner: Runner, raw: Mapping[str, object]) -> None:
        account = runner.visit.account
        record: dict[str, Scalar] = {
            "t_s": round(runner.loop.time() - runner.started_at, 3),
            "state": runner.state.value,
            "delivered_ml": account.delivered.ml,
        }
        snapshot = runner.hand.snapshot
        if snapshot is not None:
            running = snapshot.state is PumpState.RUNNING
            record["rate_ml_h"] = snapshot.rate.ml_h if running else 0.0
            record["infused_ml"] = snapshot.infused.ml
        for key in KEPT:
            value = raw.get(key)
            if isinstance(value, int | float):
                record[key] = value
        for group in ("model", "signs"):
            values = raw.get(group)
            if isinstance(values, Mapping):
                record.update(
                    (key, value) for key, value in values.items() if isinstance(value, int | float)
                )
        runner.record("sample", record)
