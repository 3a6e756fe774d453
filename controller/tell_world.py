"""Tells a simulated patient what a real one would notice: what a real pump says it gave, a drug by hand."""

from __future__ import annotations

from collections.abc import Mapping

from controller.procedure.effects import Scalar
from controller.runner import Observer, Runner
from controller.vitals_link import VitalsLink
from firmware_bridge.messages import Snapshot


class TellWorld(Observer):
    """``reports``: the pump is a real one, so its reported volume is what the patient gets."""

    def __init__(self, vitals: VitalsLink, *, reports: bool) -> None:
        self._vitals = vitals
        self._reports = reports

    def pump_seen(self, runner: Runner, snapshot: Snapshot) -> None:
        if self._reports:
            self._vitals.tell({"reported_nl": runner.visit.account.delivered.nl})

    def recorded(self, runner: Runner, kind: str, data: Mapping[str, Scalar]) -> None:
        given = data.get("dose_mg")
        if kind == "rescue" and data.get("drug") == "midazolam" and isinstance(given, int | float):
            self._vitals.tell({"midazolam_mg": float(given)})
