"""One record a second of how pump and patient stood: what plots, reports and replays are made from."""

from __future__ import annotations

from collections.abc import Mapping

from controller.procedure.effects import Scalar
from controller.procedure.events import VitalsArrived, concentrations
from controller.runner import Observer, Runner
from firmware_bridge.messages import Capability, HelloAck, PumpState, Snapshot

PA_PER_MMHG = 133.322

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
    """Appends a ``sample`` record with every line of the monitor, and ``pump`` when it shows itself."""

    def __init__(self) -> None:
        self._met: HelloAck | None = None

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        identity = runner.hand.identity
        if identity is not None and not _same(identity, self._met):
            self._met = identity
            runner.record(
                "pump", {"firmware": identity.firmware, "serial_number": identity.serial_number}
            )

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
            if measures_pressure(runner):
                record["pressure_mmhg"] = round(snapshot.pressure_pa / PA_PER_MMHG, 1)
        runner.record("sample", record)


def _same(one: HelloAck, other: HelloAck | None) -> bool:
    """The same pump, whichever bridge speaks for it."""
    return other is not None and (one.firmware, one.serial_number) == (
        other.firmware,
        other.serial_number,
    )


def measures_pressure(runner: Runner) -> bool:
    """Whether the pump at hand can tell the pressure in the line."""
    identity = runner.hand.identity
    return identity is not None and Capability.PRESSURE in identity.capabilities
